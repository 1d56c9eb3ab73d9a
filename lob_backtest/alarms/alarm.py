"""One leak alarm's outcome, and what all alarms look at."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from lob_backtest.book import Book, FloatArray, IntArray
from lob_backtest.predictions import DOWN, FLAT, UP, Predictions

# Below this many independent labels, neither skill nor its absence can be told from luck.
LEAST_LABELS = 30


@dataclass(frozen=True, kw_only=True)
class Alarm:
    """One alarm's outcome.

    Attributes:
        name: what was tried.
        raised: None where it could not be tried on this data.
        value, limit: the figure that decides and its limit; None where there is no figure.
        reason: one sentence with the figures.
    """

    name: str
    raised: bool | None
    value: float | None
    limit: float | None
    reason: str

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, kw_only=True, eq=False)
class Evidence:
    """The labelled decisions of one model, and what the mid-price did after each; n decisions.

    Attributes:
        fold, session, decided_ns, label_end_ns, label: ``(n,)``.
        probability: ``(n, 3)``.
        move_ticks: ``(n,)`` mid at ``label_end_ns`` minus mid at the decision.
    """

    fold: IntArray
    session: IntArray
    decided_ns: IntArray
    label_end_ns: IntArray
    label: IntArray
    probability: FloatArray
    move_ticks: FloatArray

    @property
    def said(self) -> IntArray:
        """``(n,)`` predicted class."""
        said: IntArray = np.argmax(self.probability, axis=1).astype(np.int64)
        return said

    @property
    def side(self) -> IntArray:
        """``(n,)`` -1, 0 or 1: the side of the market that the predicted class takes.

        None where down and up are as likely: who gives each class a third has no view, although the
        predicted class is the first among equals.
        """
        down, up = self.probability[:, DOWN], self.probability[:, UP]
        return np.where(down == up, 0, self.said - FLAT)

    @property
    def n(self) -> int:
        return int(self.label.size)

    @property
    def overlap(self) -> float:
        """How many labels, on average, are open at once: n over the independent ones."""
        ends = np.searchsorted(self.decided_ns, self.label_end_ns, side="left")
        same = np.searchsorted(self.session, self.session, side="right")
        return float(np.maximum(np.minimum(ends, same) - np.arange(self.n), 1).mean())


def evidence(book: Book, table: Predictions) -> Evidence:
    """What a model said at its labelled test decisions, in time order, and what came of it."""
    order = np.argsort(table.decided_ns, kind="stable")
    chosen = order[table.is_labelled[order]]
    decided_ns, end_ns = table.decided_ns[chosen], table.label_end_ns[chosen]
    row = book.row_known_at(decided_ns)
    return Evidence(
        fold=table.fold[chosen],
        session=book.session[row],
        decided_ns=decided_ns,
        label_end_ns=end_ns,
        label=table.label[chosen],
        probability=table.probability[chosen],
        move_ticks=book.mid_ticks[book.row_known_at(end_ns)] - book.mid_ticks[row],
    )
