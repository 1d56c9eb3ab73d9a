"""What is said of a book before a model's answers about it are believed.

Two ways to be misled, neither of which shows in the probabilities: a book that the model has learnt
from, and one in other units or of a market like none that it has seen.
"""

import warnings
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from hfrun.errors import DataError
from hfrun.models.preprocessing import Preprocessing
from lob_backtest.book import Book, BookMeta
from lob_backtest.decisions import Decisions

InSample = Literal["warn", "refuse", "leave_out"]

_LOOKED_AT_ROWS = 4096  # of a book, to see whether its figures are those of the training
# Half of a column's rows further out than this: another unit, or another market. On a day of GOOG
# and half an hour of BTC/USD, normalised by their first third, the rest stays within 1.5 and its
# last 200 rows within 6; in ticks of a tenth the prices lie at 6 to 38, in lots of a hundredth the
# sizes at 4 to 97.
_MOST_DEVIATIONS = 6.0


class InSampleWarning(UserWarning):
    """The model was trained or chosen on what it is asked about."""


class UnfamiliarBookWarning(UserWarning):
    """A book whose figures lie far from those of the training."""


def out_of_sample(decisions: Decisions, train_end_ns: int, in_sample: InSample) -> Decisions:
    """The decisions that are to be answered, after what is to be said about the others."""
    if in_sample not in ("warn", "refuse", "leave_out"):
        raise DataError(f"in_sample={in_sample!r}: needs warn, refuse or leave_out")
    later = decisions.decided_ns > train_end_ns
    if later.all():
        return decisions
    end, first = (pd.Timestamp(ns, unit="ns", tz="UTC") for ns in
                  (train_end_ns, int(decisions.decided_ns[0])))  # fmt: skip
    found = (
        f"{int((~later).sum())} of {decisions.n} decisions, from {first:%Y-%m-%d %H:%M:%S} on, lie "
        f"at or before the end of the model's training ({end:%Y-%m-%d %H:%M:%S} UTC)"
    )
    if in_sample == "refuse" or (in_sample == "leave_out" and not later.any()):
        raise DataError(f"{found}; give a book of a later time")
    if in_sample == "leave_out":
        return decisions.select(later)
    warnings.warn(
        f"{found}: it has learnt from them, and their probabilities flatter it. Give a book of a "
        'later time, or in_sample="leave_out"',
        InSampleWarning,
        stacklevel=5,
    )
    return decisions


def warn_if_unfamiliar(
    rows: npt.NDArray[np.float32], preprocessing: Preprocessing, book: Book
) -> None:
    """Say so where a column of the model's input ``(N, 4 L)`` is nothing like it was in training.

    An order flow is mostly 0 and cut off: it does not show its unit.
    """
    if preprocessing.normalizer.inputs != "levels":
        return
    some = rows[:: max(len(rows) // _LOOKED_AT_ROWS, 1)]
    apart = np.median(np.abs(some), axis=0)
    worst = int(np.argmax(apart))
    if apart[worst] <= _MOST_DEVIATIONS:
        return
    name = preprocessing.to_dict()["columns"][1 + worst]
    warnings.warn(
        f"{name}: half of the rows lie {apart[worst]:.0f} standard deviations or more from what "
        f"the model was trained on{_tick_sizes(preprocessing.market, book.meta)}. Check that "
        "prices are in ticks and sizes in the training book's unit; a model knows little about a "
        "market like no other that it has seen",
        UnfamiliarBookWarning,
        stacklevel=6,
    )


def _tick_sizes(trained_on: BookMeta | None, meta: BookMeta) -> str:
    if trained_on is None:
        return ""
    return (
        f" ({trained_on.instrument} in ticks of {trained_on.tick_size:g}; this is "
        f"{meta.instrument} in ticks of {meta.tick_size:g})"
    )
