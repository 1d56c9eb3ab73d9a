"""Walk-forward folds: train, train-dev, validation, then test, again and again through time.

    0 |*****.d.vv.xxx            |    * train   d train-dev   v validation   x test
    1 |   *****.d.vv.xxx         |    . purged: label_end at or after the next block
    2 |      *****.d.vv.xxx      |

A later decision changes no earlier fold, save the last one, whose test block may grow.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from lob_backtest.book import FloatArray, IntArray
from lob_backtest.errors import SplitError
from lob_backtest.splits.fold import Fold, check_decisions, purged_fold

Mode = Literal["rolling", "expanding"]
Unit = Literal["decisions", "seconds", "days"]

_NS_PER_SECOND = 1_000_000_000


@dataclass(frozen=True, kw_only=True)
class _Lengths:
    """What was asked for, in ``unit``."""

    unit: Unit
    train: float
    train_dev: float
    validation: float
    test: float

    @property
    def asked(self) -> dict[str, float]:
        lengths = {"train": self.train, "train_dev": self.train_dev,
                   "validation": self.validation, "test": self.test}  # fmt: skip
        if self.train_dev == 0:
            del lengths["train_dev"]
        return lengths

    def __str__(self) -> str:
        *head, last = (f"{name}={length:g}" for name, length in self.asked.items())
        return f"{', '.join(head)} and {last}"


def walk_forward_folds(
    decided_ns: IntArray,
    label_end_ns: IntArray,
    session: IntArray,
    *,
    mode: Mode,
    unit: Unit,
    train: float,
    validation: float,
    test: float,
    train_dev: float = 0,
    embargo_ns: int = 0,
) -> list[Fold]:
    """Folds in time order, stepping by ``test``, so that the test blocks never overlap.

    Lengths are measured in decisions, in seconds of trading (the time between sessions does not
    count), or in days (sessions that hold decisions). In decisions and seconds a test block ends
    with its session, and a remainder shorter than half of ``test`` is dropped and counted; in days
    a test block is whole sessions. The other blocks may span sessions.

    Purge and embargo: a decision of train, train-dev or validation stays if its label_end is before
    the first decision of each of these blocks that follows, and more than ``embargo_ns`` before the
    first test decision. Test decisions are never purged.

    Args:
        decided_ns: ``(D,)`` strictly increasing instants.
        label_end_ns: ``(D,)`` last instant each label used.
        session: ``(D,)`` session number of each decision.
        mode: ``"rolling"`` keeps the length of train, ``"expanding"`` keeps its beginning.
        unit: what ``train``, ``train_dev``, ``validation`` and ``test`` count.
        train, validation, test: lengths; whole numbers for decisions and days.
        train_dev: length of the block between train and validation; 0 for none.
        embargo_ns: nanoseconds between the last instant of train and validation and test.

    Raises:
        SplitError: too few decisions for one fold, a block that the purge empties, or arguments
            that make no sense.
    """
    check_decisions(decided_ns, label_end_ns, session)
    lengths = _Lengths(
        unit=unit, train=train, train_dev=train_dev, validation=validation, test=test
    )
    _check_lengths(mode, lengths, embargo_ns)
    position, session_stop = _positions(decided_ns, session, unit)
    scale = _NS_PER_SECOND if unit == "seconds" else 1
    n_train, n_train_dev, n_validation, n_test = (
        round(length * scale) for length in (train, train_dev, validation, test)
    )
    before = n_train + n_train_dev + n_validation
    folds: list[Fold] = []
    dropped = 0
    for start, block, is_short in _test_blocks(position, session_stop, before, n_test, unit):
        if is_short:
            dropped += block.size
            continue
        trained = start - n_validation - n_train_dev
        known = 0 if mode == "expanding" else trained - n_train
        edges = np.searchsorted(position, [known, trained, start - n_validation, start])
        fold = purged_fold(
            len(folds), edges, block, decided_ns, label_end_ns,
            embargo_ns=embargo_ns, has_train_dev=train_dev > 0,
        )  # fmt: skip
        folds.append(replace(fold, n_dropped=dropped))
        dropped = 0
    if not folds:
        raise _too_few(lengths, got=(int(position[-1]) + 1) / scale)
    folds[-1] = replace(folds[-1], n_dropped=folds[-1].n_dropped + dropped)
    return folds


def holdout_fold(
    decided_ns: IntArray,
    label_end_ns: IntArray,
    session: IntArray,
    *,
    train: float,
    validation: float,
    test: float,
    train_dev: float = 0.0,
    embargo_ns: int = 0,
) -> Fold:
    """One fold of fractions of the decisions, in time order, with the same purge and embargo.

    Unlike a walk's, its test block may span sessions; windows, labels and positions still do not.

    Args:
        decided_ns, label_end_ns, session: ``(D,)`` as for :func:`walk_forward_folds`.
        train, validation, test: fractions above 0 that add up to at most 1, with ``train_dev``.
        train_dev: fraction between train and validation; 0 for none.
        embargo_ns: nanoseconds between the last instant of train and validation and test.

    Raises:
        SplitError: the fractions are no such thing, or a block is empty after the purge.
    """
    check_decisions(decided_ns, label_end_ns, session)
    total = train + train_dev + validation + test
    if not (min(train, validation, test) > 0 <= train_dev and total <= 1 + 1e-9) or embargo_ns < 0:
        between = "" if train_dev == 0 else f"train_dev={train_dev}, "
        raise SplitError(
            f"train={train}, {between}validation={validation}, test={test}, "
            f"embargo_ns={embargo_ns}: needs fractions above 0 that add up to at most 1, and an "
            "embargo of at least 0"
        )
    shares = np.cumsum([0.0, train, train_dev, validation, test])
    edges = np.round(shares * decided_ns.size).astype(np.int64)
    block = np.arange(edges[3], edges[4], dtype=np.int64)
    if block.size == 0:
        raise SplitError(
            f"test={test} of {decided_ns.size} decisions is none; needs at least one; "
            "enlarge the fraction or load more days"
        )
    return purged_fold(
        0, edges[:4], block, decided_ns, label_end_ns,
        embargo_ns=embargo_ns, has_train_dev=train_dev > 0,
    )  # fmt: skip


def _test_blocks(
    position: IntArray, session_stop: IntArray, start: int, n_test: int, unit: Unit
) -> Iterator[tuple[int, IntArray, bool]]:
    """Where each test block starts, its decisions, and whether less than half of one is left."""
    end = int(position[-1]) + 1
    while start < end:
        first = int(np.searchsorted(position, start))
        stop = min(start + n_test, end if unit == "days" else int(session_stop[first]))
        block = np.arange(first, np.searchsorted(position, stop), dtype=np.int64)
        is_short = 2 * (stop - start) < n_test
        if block.size or is_short:  # a quiet stretch of a session may hold no decision at all
            yield start, block, is_short
        start = stop


def _positions(decided_ns: IntArray, session: IntArray, unit: Unit) -> tuple[IntArray, IntArray]:
    """Where each decision stands on the unit's axis, and where its session ends on it.

    Never decreasing integers from 0: decision numbers, trading nanoseconds, or day numbers.
    """
    starts = np.flatnonzero(np.diff(session, prepend=session[0] - 1))
    day = np.cumsum(np.diff(session, prepend=session[0]) != 0, dtype=np.int64)
    if unit == "days":
        return day, day + 1
    if unit == "decisions":
        position = np.arange(decided_ns.size, dtype=np.int64)
    else:
        # The next session starts 1 ns after the last decision of the one before it.
        opening = np.diff(decided_ns, prepend=decided_ns[0])
        opening[starts[1:]] = 1
        position = np.cumsum(opening)
    stops = np.append(position[starts[1:]], position[-1] + 1)
    return position, stops[day]


def _check_lengths(mode: Mode, lengths: _Lengths, embargo_ns: int) -> None:
    unit = lengths.unit
    each = ", ".join(f"{name}={length}" for name, length in lengths.asked.items())
    asked = f"mode={mode!r}, unit={unit!r}, {each}"
    if mode not in ("rolling", "expanding") or unit not in ("decisions", "seconds", "days"):
        raise SplitError(
            f"{asked}: mode is rolling or expanding, unit is decisions, seconds or days"
        )
    values: FloatArray = np.array(list(lengths.asked.values()), dtype=np.float64)
    smallest = 1 / _NS_PER_SECOND if unit == "seconds" else 1
    if not np.all(np.isfinite(values) & (values >= smallest)) or embargo_ns < 0:
        raise SplitError(f"{asked}, embargo_ns={embargo_ns}: needs lengths above 0, embargo >= 0")
    if unit != "seconds" and np.any(values != np.round(values)):
        raise SplitError(f"{asked}: needs whole numbers of {unit}")


def _too_few(lengths: _Lengths, *, got: float) -> SplitError:
    need = sum(lengths.asked.values())
    if got >= need:
        return SplitError(
            f"{lengths}: no session has half a test block ({lengths.test / 2:g} {lengths.unit}) "
            "left after the blocks before it; shorten test"
        )
    return SplitError(
        f"{lengths} need {need:g} {lengths.unit}, got {got:g}; shorten the windows or load more "
        "days"
    )
