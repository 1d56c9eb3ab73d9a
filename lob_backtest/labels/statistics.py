"""What labels are like: class shares, how independent they are, and whether they could ever pay."""

from typing import Any

import numpy as np

from lob_backtest.book import Book, FloatArray, IntArray
from lob_backtest.costs import Costs
from lob_backtest.decisions import Decisions
from lob_backtest.labels.executable import taker_fee_ticks
from lob_backtest.labels.overlap import effective_labels, mean_overlap
from lob_backtest.predictions import CLASS_NAMES, FLAT

MOST_BELOW_ROUND_TRIP = 0.5
_MOST_OF_ONE_CLASS = 0.9


def round_trip_ticks(book: Book, decisions: Decisions, *, costs: Costs, units: float) -> FloatArray:
    """``(D,)`` the cheapest round trip as known at each decision, in ticks a unit.

        spread(t) + fees of a buy at the ask and of a sale at the bid

    In at once and out at once, as taker: latency, moves and a widening spread come on top. A
    resting order may pay less, if it fills.

    Args:
        costs: what trades pay; its multiple also scales the spread, as in the backtest.
        units: size of the trade, above 0; it matters where there is a minimum fee.
    """
    rows = decisions.rows
    # Costs.round_trip in ticks: a spread of two ticks has to be exactly two where moves are held
    # against it.
    buy, sale = (taker_fee_ticks(book, rows, costs=costs, units=u) for u in (units, -units))
    return np.asarray(costs.multiple * book.spread_at(rows) + buy + sale)


def below_round_trip_share(
    labels: IntArray, move_ticks: FloatArray, trip_ticks: FloatArray
) -> float | None:
    """Share of the up and down labels whose mid moved by less than a round trip costs.

    To be right about such a label earns nothing: with a share near 1 the best possible model loses.

    Args:
        labels: ``(D,)`` classes; flat and unknown ones are left out.
        move_ticks: ``(D,)`` move of the mid itself, not of its mean, over the horizon.
        trip_ticks: ``(D,)`` as :func:`round_trip_ticks` gives them.

    Returns:
        None without any up or down label.

    >>> below_round_trip_share(np.array([2, 0, 1]), np.array([1.0, -3.0, 0.0]), np.full(3, 2.0))
    0.5
    """
    moves_away = (labels >= 0) & (labels != FLAT) & np.isfinite(move_ticks)
    if not moves_away.any():
        return None
    return float(np.mean(np.abs(move_ticks[moves_away]) < trip_ticks[moves_away]))


def class_shares(labels: IntArray) -> dict[str, float]:
    """Share of each class among the known labels; all 0 where none is known."""
    counts = np.bincount(labels[labels >= 0], minlength=len(CLASS_NAMES))
    return {
        name: float(n) / max(int(counts.sum()), 1)
        for name, n in zip(CLASS_NAMES, counts, strict=True)
    }


def label_statistics(
    book: Book,
    decisions: Decisions,
    labels: IntArray,
    label_end_ns: IntArray,
    *,
    mid_move_ticks: FloatArray,
    costs: Costs | None,
    units: float = 1.0,
    most_below: float = MOST_BELOW_ROUND_TRIP,
) -> dict[str, Any]:
    """What the labels of some decisions are like, as plain JSON types.

    Args:
        labels: ``(D,)`` classes, -1 unknown.
        label_end_ns: ``(D,)`` as :class:`Moves` has it.
        mid_move_ticks: ``(D,)`` move of the mid itself until the label is known.
        costs: what trades pay; None leaves the round trip out.
        units: size of a trade.
        most_below: share of up and down labels below the round trip from which to warn.

    Returns:
        ``n`` known labels, ``unknown``, ``shares`` by class, ``effective_labels``,
        ``mean_overlap``, ``round_trip_ticks`` (median), ``below_round_trip_share`` and
        ``warnings``; None where there is nothing to tell.
    """
    known = labels >= 0
    spans = decisions.decided_ns[known], label_end_ns[known]
    shares = class_shares(labels)
    trip, below = None, None
    if costs is not None and known.any():
        trips = round_trip_ticks(book, decisions.select(known), costs=costs, units=units)
        trip = float(np.median(trips))
        below = below_round_trip_share(labels[known], mid_move_ticks[known], trips)
    return {
        "n": int(known.sum()),
        "unknown": int((~known).sum()),
        "shares": shares,
        "effective_labels": effective_labels(*spans),
        "mean_overlap": mean_overlap(*spans),
        "round_trip_ticks": trip,
        "below_round_trip_share": below,
        "warnings": _warnings(shares, below, trip, most_below),
    }


def _warnings(
    shares: dict[str, float], below: float | None, trip: float | None, most_below: float
) -> list[str]:
    found = []
    for name, share in shares.items():
        if share > _MOST_OF_ONE_CLASS:
            found.append(
                f"{share:.1%} of the labels are {name}: a constant guess will look accurate; "
                "lengthen the horizon, use one in clock time, or decide on mid-price changes"
            )
    if below is not None and below > most_below:
        found.append(
            f"{below:.1%} of the up and down labels moved by less than the cheapest round trip "
            f"(median {trip:.3g} ticks): a model that is right about them loses money all the "
            "same; lengthen the horizon, raise data.label.threshold_ticks, or take labels of "
            "kind executable"
        )
    return found
