"""Hand-made features of the book at each decision: what the simple baselines look at.

    spread          a_1 - b_1                                          ticks
    imbalance       (q^b_l - q^a_l) / (q^b_l + q^a_l), level by level  from -1 to 1
    micro-price     (a_1 q^b_1 + b_1 q^a_1) / (q^b_1 + q^a_1) - m      ticks
    past move       m_i - m_(i-n)                                      ticks, n = 1 to 500 rows
    order flow      sum of e_l over the last n rows, level by level    size, n = 10 and 100 rows
    volatility      root mean square of m_i - m_(i-1) over 100 rows    ticks a row
    scaled book     prices minus m, log(1 + size)                      ticks, log size

    e_l = q^b 1{b >= b'} - q'^b 1{b <= b'} - q^a 1{a <= a'} + q'^a 1{a >= a'}     (' the row before)

Every feature at a decision uses rows of its session up to the decision's row; a look back that
would leave the session ends at its first row.

References: Cont, Kukanov and Stoikov (2014), The price impact of order book events, J. Financial
Econometrics 12(1), eq. 2 (order flow); Xu, Gould and Howison (2018), Multi-level order-flow
imbalance in a limit order book; Stoikov (2018), The micro-price, Quantitative Finance 18(12).
"""

from dataclasses import dataclass

import numpy as np

from lob_backtest.book import Book, FloatArray, IntArray
from lob_backtest.decisions import Decisions
from lob_backtest.errors import LabelError

MOVE_ROWS = (1, 2, 5, 10, 20, 50, 100, 200, 500)
ORDER_FLOW_ROWS = (10, 100)
VOLATILITY_ROWS = 100


@dataclass(frozen=True, kw_only=True, eq=False)
class HandFeatures:
    """Named features, one row a decision.

    Attributes:
        values: ``(D, K)`` float64, finite.
        names: K different names, e.g. ``"imbalance_1"``, ``"order_flow_3_over_100"``.

    Raises:
        LabelError: names and columns do not match, or a value is not finite.
    """

    values: FloatArray
    names: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.values.ndim != 2 or self.values.shape[1] != len(self.names):
            raise LabelError(f"values have shape {self.values.shape}; need (D, {len(self.names)})")
        if len(set(self.names)) != len(self.names):
            raise LabelError(f"feature names repeat: {self.names}")
        is_finite = np.isfinite(self.values).all(axis=0)
        if not is_finite.all():
            bad = [self.names[k] for k in np.flatnonzero(~is_finite)]
            raise LabelError(f"features {bad} hold NaN or infinity; every value must be finite")

    def column(self, name: str) -> FloatArray:
        """``(D,)`` the feature of that name."""
        return self.values[:, self.names.index(name)]


def hand_features(book: Book, decisions: Decisions) -> HandFeatures:
    """All features at every decision: K = 12 + 7 L of them for L levels.

    Works column by column: beyond the result it needs a few arrays of the book's length.
    """
    columns = {
        "spread": book.spread_ticks[decisions.rows].astype(np.float64),
        "micro_price": _micro_price(book, decisions.rows),
        **_past_moves(book, decisions),
        "volatility": _volatility(book, decisions),
    }
    names = (*columns, *_level_names(book.n_levels))
    values = np.empty((decisions.n, len(names)), dtype=np.float64)
    for k, column in enumerate(columns.values()):
        values[:, k] = column
    for level in range(book.n_levels):
        first = len(columns) + level * 7
        values[:, first : first + 5] = _level_now(book, decisions.rows, level)
        values[:, first + 5 : first + 7] = _order_flow(book, decisions, level)
    return HandFeatures(values=values, names=names)


def order_flow_events(book: Book, level: int) -> FloatArray:
    """``(N,)`` order flow ``e`` of each row at a level (0 is best), 0 at a session's first row.

    Positive for what pushes the price up: bids added or asks taken away at the level.
    """
    bid, ask = book.bid_ticks[:, level], book.ask_ticks[:, level]
    bid_size, ask_size = book.bid_size[:, level], book.ask_size[:, level]
    flow = np.zeros(book.n_rows)
    flow[1:] += bid_size[1:] * (bid[1:] >= bid[:-1])
    flow[1:] -= bid_size[:-1] * (bid[1:] <= bid[:-1])
    flow[1:] -= ask_size[1:] * (ask[1:] <= ask[:-1])
    flow[1:] += ask_size[:-1] * (ask[1:] >= ask[:-1])
    flow[book.session_starts[:-1]] = 0.0
    return flow


def _level_names(n_levels: int) -> list[str]:
    names = []
    for level in range(1, n_levels + 1):
        names += [f"imbalance_{level}"]
        names += [f"{side}_{what}_{level}" for side in ("ask", "bid") for what in ("price", "size")]
        names += [f"order_flow_{level}_over_{rows}" for rows in ORDER_FLOW_ROWS]
    return names


def _level_now(book: Book, rows: IntArray, level: int) -> FloatArray:
    """``(D, 5)`` imbalance and the scaled book of one level."""
    ask_size, bid_size = book.ask_size[rows, level], book.bid_size[rows, level]
    both = ask_size + bid_size
    mid = book.mid_ticks[rows]
    return np.column_stack(
        [
            # A level missing on both sides is balanced.
            (bid_size - ask_size) / np.where(both > 0, both, 1.0),
            book.ask_ticks[rows, level] - mid,
            np.log1p(ask_size),
            book.bid_ticks[rows, level] - mid,
            np.log1p(bid_size),
        ]
    )


def _micro_price(book: Book, rows: IntArray) -> FloatArray:
    """``(D,)`` micro-price minus mid, which is half the spread times the imbalance at the touch."""
    ask_size, bid_size = book.ask_size[rows, 0], book.bid_size[rows, 0]
    ahead: FloatArray = (bid_size - ask_size) / (bid_size + ask_size)
    return book.spread_ticks[rows] / 2 * ahead


def _past_moves(book: Book, decisions: Decisions) -> dict[str, FloatArray]:
    mid = book.mid_ticks
    return {
        f"move_{n}": mid[decisions.rows] - mid[_rows_back(book, decisions, n)] for n in MOVE_ROWS
    }


def _volatility(book: Book, decisions: Decisions) -> FloatArray:
    """``(D,)`` root mean square mid change a row over the last rows of the session."""
    twice_mid = book.ask_ticks[:, 0] + book.bid_ticks[:, 0]
    step = np.diff(twice_mid, prepend=twice_mid[0])
    step[book.session_starts[:-1]] = 0
    total = np.cumsum(step**2)  # whole numbers: exact, whatever came before
    back = _rows_back(book, decisions, VOLATILITY_ROWS)
    n_steps = np.maximum(decisions.rows - back, 1)
    mean_square: FloatArray = (total[decisions.rows] - total[back]) / n_steps
    return np.sqrt(mean_square) / 2


def _order_flow(book: Book, decisions: Decisions, level: int) -> FloatArray:
    """``(D, len(ORDER_FLOW_ROWS))`` order flow of one level, summed over the last rows."""
    total = np.cumsum(order_flow_events(book, level))
    back = [_rows_back(book, decisions, n) for n in ORDER_FLOW_ROWS]
    return np.column_stack([total[decisions.rows] - total[rows] for rows in back])


def _rows_back(book: Book, decisions: Decisions, n: int) -> IntArray:
    """``(D,)`` the row n rows before each decision's, or its session's first row if later."""
    return np.maximum(decisions.rows - n, book.session_starts[decisions.session])
