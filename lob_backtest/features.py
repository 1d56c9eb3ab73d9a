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
would leave the session ends at its first row. They are worked out a stretch of rows at a time, so
that a book larger than memory works, and come out alike however long the stretches are:

    session     |------------------------------------------------>
    stretch 2               [ looked back on |  ^   ^^    ^   ]         ^ decisions

A linear model sees them standardised by train and cut off, which ``HandScaler`` does.

References: Cont, Kukanov and Stoikov (2014), The price impact of order book events, J. Financial
Econometrics 12(1), eq. 2 (order flow); Xu, Gould and Howison (2018), Multi-level order-flow
imbalance in a limit order book; Stoikov (2018), The micro-price, Quantitative Finance 18(12).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lob_backtest.book import Book, FloatArray, IntArray
from lob_backtest.decisions import Decisions
from lob_backtest.errors import FormatError, LabelError
from lob_backtest.files import atomic_path, empty_npy
from lob_backtest.normalize import side_flow

MOVE_ROWS = (1, 2, 5, 10, 20, 50, 100, 200, 500)
ORDER_FLOW_ROWS = (10, 100)
VOLATILITY_ROWS = 100

_STRETCH_ROWS = 65_536
_LONGEST_LOOK = max(*MOVE_ROWS, *ORDER_FLOW_ROWS, VOLATILITY_ROWS)
# Every number of rows that is summed over divides it. Sums begin anew at these distances from a
# session's start, wherever a stretch begins: so a rounded sum is the same in every stretch.
_GRID_ROWS = 100
# Standardised features are cut off here: one freak order size must not steer a linear model.
_MOST_DEVIATIONS = 5.0

HandValues = npt.NDArray[np.float64] | npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, eq=False)
class HandFeatures:
    """Named features, one row a decision.

    Attributes:
        values: ``(D, K)`` float64, finite. Those of a file of :func:`write_hand_features`, mapped
            and of float32, do as well.
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
        bad = [n for n, column in zip(self.names, self.values.T, strict=True)
               if not np.isfinite(column).all()]  # fmt: skip
        if bad:
            raise LabelError(f"features {bad} hold NaN or infinity; every value must be finite")

    def column(self, name: str) -> FloatArray:
        """``(D,)`` the feature of that name."""
        return self.values[:, self.names.index(name)]


def hand_feature_names(n_levels: int) -> tuple[str, ...]:
    """Names of the K = 12 + 7 L features of a book of L levels, in order."""
    names = ["spread", "micro_price", *(f"move_{n}" for n in MOVE_ROWS), "volatility"]
    for level in range(1, n_levels + 1):
        names += [f"imbalance_{level}"]
        names += [f"{side}_{what}_{level}" for side in ("ask", "bid") for what in ("price", "size")]
        names += [f"order_flow_{level}_over_{rows}" for rows in ORDER_FLOW_ROWS]
    return tuple(names)


def hand_features(book: Book, decisions: Decisions) -> HandFeatures:
    """All features at every decision, in float64.

    Beyond the result it needs memory for some ten thousand rows.
    """
    names = hand_feature_names(book.n_levels)
    values = np.empty((decisions.n, len(names)), dtype=np.float64)
    _fill(values, book, decisions)
    return HandFeatures(values=values, names=names)


def write_hand_features(book: Book, decisions: Decisions, path: Path) -> Path:
    """Write :func:`hand_features` ``(D, K)`` as an ``.npy`` file of float32, for books of any size.

    Half of float64 and enough for a network: prices are relative to the mid, so that no feature is
    a small difference of large figures any more.
    """
    shape = (decisions.n, len(hand_feature_names(book.n_levels)))
    with atomic_path(path) as partial:
        values = empty_npy(partial, dtype=np.float32, shape=shape)
        _fill(values, book, decisions)
        values.flush()
        del values
    return path


def order_flow_events(book: Book, level: int) -> FloatArray:
    """``(N,)`` order flow ``e`` of each row at a level (0 is best), 0 at a session's first row.

    Positive for what pushes the price up: bids added or asks taken away at the level.
    """
    flow = np.zeros(book.n_rows)
    flow[1:] = _net_flow(book, 0, book.n_rows, level)
    flow[book.session_starts[:-1]] = 0.0
    return flow


@dataclass(frozen=True, kw_only=True)
class HandScaler:
    """Features as a linear model sees them: ``(x - mean) / scale``, cut off at 5 deviations.

    Attributes:
        names: K feature names.
        mean, scale: K figures each; a scale is positive.

    Raises:
        FormatError: other numbers of figures, or such that are not finite or no scale.
    """

    names: tuple[str, ...]
    mean: tuple[float, ...]
    scale: tuple[float, ...]

    def __post_init__(self) -> None:
        counts = (len(self.names), len(self.mean), len(self.scale))
        figures = np.array([*self.mean, *self.scale], dtype=np.float64)
        is_sound = len(set(counts)) == 1 and counts[0] > 0 and np.isfinite(figures).all()
        if not is_sound or min(self.scale) <= 0:
            raise FormatError(
                f"got {counts[0]} names, {counts[1]} means and {counts[2]} scales; needs as many "
                "of each, at least one, all finite, and scales above 0"
            )

    def transform(self, values: HandValues) -> npt.NDArray[np.float32]:
        """``(D, K)`` float32 of raw features ``(D, K)``; a row depends on that row alone.

        Raises:
            LabelError: another number of features.
        """
        if values.ndim != 2 or values.shape[1] != len(self.names):
            raise LabelError(
                f"got features of shape {values.shape}; the scaler was fitted on "
                f"{len(self.names)}: needs (D, {len(self.names)}); use a book of as many levels"
            )
        scaled = np.empty(values.shape, dtype=np.float32)
        mean, scale = np.array(self.mean), np.array(self.scale)
        for start in range(0, len(values), _STRETCH_ROWS // 8):
            part = slice(start, start + _STRETCH_ROWS // 8)
            deviations = (values[part] - mean) / scale
            scaled[part] = np.clip(deviations, -_MOST_DEVIATIONS, _MOST_DEVIATIONS)
        return scaled

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values; :meth:`from_dict` gives back an equal scaler."""
        return {"names": list(self.names), "mean": list(self.mean), "scale": list(self.scale)}

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> "HandScaler":
        """What :meth:`to_dict` wrote.

        Raises:
            FormatError: other keys, or figures that are no scaler.
        """
        if set(raw) != {"names", "mean", "scale"}:
            raise FormatError(f"a scaler has the keys names, mean and scale; got {sorted(raw)}")
        try:
            mean, scale = (tuple(float(value) for value in raw[name]) for name in ("mean", "scale"))
            names = tuple(str(name) for name in raw["names"])
        except (TypeError, ValueError) as error:
            raise FormatError(f"a scaler's figures must be numbers: {error}") from error
        return cls(names=names, mean=mean, scale=scale)


def fit_hand_scaler(values: HandValues, train: IntArray, *, names: tuple[str, ...]) -> HandScaler:
    """Mean and standard deviation of each feature over the train decisions alone.

    A feature that is constant there gets the scale 1.

    Args:
        values: ``(D, K)`` features of all decisions; may be memory-mapped.
        train: indices into the D decisions.
        names: K names.

    Raises:
        LabelError: no train decisions, or names and columns do not match.
    """
    if values.shape[1] != len(names) or train.size == 0:
        raise LabelError(
            f"got features of shape {values.shape}, {len(names)} names and {train.size} train "
            "decisions; needs a name a feature, and a decision"
        )
    mean, scale = [], []
    for column in range(len(names)):
        seen = values[train, column].astype(np.float64)
        mean.append(float(seen.mean()))
        # By its range: rounding may leave a constant feature a deviation of 1e-17. And 0 is that of
        # one whose squares are below any float.
        scale.append(1.0 if seen.min() == seen.max() else float(seen.std()) or 1.0)
    return HandScaler(names=names, mean=tuple(mean), scale=tuple(scale))


@dataclass(frozen=True, kw_only=True, eq=False)
class _Stretch:
    """Rows ``begin <= row < end`` of one session, and decisions in them.

    Attributes:
        at: ``(d,)`` the decisions' rows, counted from ``begin``; each has all rows before it that a
            feature looks back on, as far as its session has them.
    """

    book: Book
    begin: int
    end: int
    at: IntArray

    @cached_property
    def mid(self) -> FloatArray:
        rows = slice(self.begin, self.end)
        return (self.book.ask_ticks[rows, 0] + self.book.bid_ticks[rows, 0]) / 2

    @cached_property
    def mid_now(self) -> FloatArray:
        return self.mid[self.at]

    def back(self, n: int) -> IntArray:
        """``(d,)`` n rows before each decision, or the session's first row if later."""
        return np.maximum(self.at - n, 0)

    def now(self, side: npt.NDArray[Any], level: int) -> npt.NDArray[Any]:
        """``(d,)`` of one of the book's arrays at the decisions."""
        known: npt.NDArray[Any] = side[self.begin : self.end, level][self.at]
        return known


def _stretches(book: Book, decisions: Decisions) -> Iterator[tuple[slice, _Stretch]]:
    """Which decisions, and the rows that they look at; no two sessions in one."""
    for first in range(0, decisions.n, _STRETCH_ROWS):
        rows = decisions.rows[first : first + _STRETCH_ROWS]
        session = decisions.session[first : first + _STRETCH_ROWS]
        is_new = (np.diff(rows // _STRETCH_ROWS) != 0) | (np.diff(session) != 0)
        for a, b in pairwise([0, *(np.flatnonzero(is_new) + 1), rows.size]):
            start = int(book.session_starts[session[a]])
            look = max(int(rows[a]) - _LONGEST_LOOK - start, 0) // _GRID_ROWS * _GRID_ROWS
            begin, end = start + look, int(rows[b - 1]) + 1
            stretch = _Stretch(book=book, begin=begin, end=end, at=rows[a:b] - begin)
            yield slice(first + int(a), first + int(b)), stretch


def _fill(values: HandValues, book: Book, decisions: Decisions) -> None:
    """Write all features ``(D, K)``, a stretch of the book and a column at a time."""
    for part, stretch in _stretches(book, decisions):
        for k, column in enumerate(_columns(stretch)):
            values[part, k] = column


def _columns(stretch: _Stretch) -> Iterator[npt.NDArray[Any]]:
    """``(d,)`` each feature, in the order of the names."""
    ask, bid = stretch.now(stretch.book.ask_ticks, 0), stretch.now(stretch.book.bid_ticks, 0)
    yield ask - bid
    # Micro-price minus mid: half the spread times the imbalance at the touch.
    yield (ask - bid) / 2 * _imbalance(stretch, 0)
    for n in MOVE_ROWS:
        yield stretch.mid_now - stretch.mid[stretch.back(n)]
    yield _volatility(stretch)
    for level in range(stretch.book.n_levels):
        yield _imbalance(stretch, level)
        yield from _scaled_book(stretch, level)
        flow = np.zeros(stretch.end - stretch.begin)
        flow[1:] = _net_flow(stretch.book, stretch.begin, stretch.end, level)
        for n in ORDER_FLOW_ROWS:
            yield _sums_over(flow, n)[stretch.at]


def _imbalance(stretch: _Stretch, level: int) -> FloatArray:
    ask_size = stretch.now(stretch.book.ask_size, level)
    bid_size = stretch.now(stretch.book.bid_size, level)
    both = ask_size + bid_size
    # A level missing on both sides is balanced.
    ahead: FloatArray = (bid_size - ask_size) / np.where(both > 0, both, 1.0)
    return ahead


def _scaled_book(stretch: _Stretch, level: int) -> Iterator[FloatArray]:
    """Ask price, ask size, bid price and bid size of one level."""
    book = stretch.book
    for ticks, size in ((book.ask_ticks, book.ask_size), (book.bid_ticks, book.bid_size)):
        yield stretch.now(ticks, level) - stretch.mid_now
        yield np.log1p(stretch.now(size, level))


def _volatility(stretch: _Stretch) -> FloatArray:
    """``(d,)`` root mean square mid change a row over the last rows of the session."""
    squares = np.diff(stretch.mid, prepend=stretch.mid[0]) ** 2
    n_steps = np.clip(stretch.at, 1, VOLATILITY_ROWS)
    return np.sqrt(_sums_over(squares, VOLATILITY_ROWS)[stretch.at] / n_steps)


def _net_flow(book: Book, begin: int, end: int, level: int) -> FloatArray:
    """``(end - begin - 1,)`` order flow of each row against the one before, bids less asks."""
    rows = slice(begin, end)
    bid = side_flow(book.bid_ticks[rows, level], book.bid_size[rows, level])
    return bid - side_flow(-book.ask_ticks[rows, level], book.ask_size[rows, level])


def _sums_over(values: FloatArray, n: int) -> FloatArray:
    """``(m,)`` sum of the last n values at each, of fewer at the beginning.

        n = 4     | 0 1 2 3 | 4 5 6 7 |      over 2..5:  (2 + 3) + (4 + 5)
                       >---- ---->            end of one block, beginning of the next

    A difference of two running totals would carry the rounding of every huge size that ever was;
    here no figure outside the n enters.
    """
    m = values.size
    blocks = np.zeros((-(-m // n), n))
    blocks.reshape(-1)[:m] = values
    sums: FloatArray = np.cumsum(blocks, axis=1).reshape(-1)[:m]
    ends = np.cumsum(blocks[:, ::-1], axis=1)[:, ::-1].copy()
    ends[:, 0] = 0.0  # a whole block is its own last prefix
    sums[n - 1 :] += ends.reshape(-1)[: max(m - n + 1, 0)]
    return sums
