"""Book rows as model input: the levels themselves or what changed in them, then standardised.

    every column   (x - mean) / scale       mean and scale from training rows alone

    inputs="levels"                         price columns            size columns
                                            (p - reference) ticks    log(1 + q)  or  q
    prices="slow_mean"   reference: exponential mean of the session's mids up to the row; keeps both
                         the book's shape and where the price is going
    prices="mid"         reference: the row's own mid; keeps the shape only, momentum is gone
    prices="absolute"    no reference; keeps momentum, but a new price level is a new input

    inputs="order_flow"                     price columns            size columns
    (' is the row before, in the session)   p - p' ticks             sign(e) log(1 + |e|)  or  e

    ask   e = q 1{p <= p'} - q' 1{p >= p'}      what was offered at the level, less what went
    bid   e = q 1{p >= p'} - q' 1{p <= p'}      the same of what is bid; bid - ask pushes up

An order flow is 0 at a session's first row. Most rows change one level: so a column is 0 nearly
always and far out else, and is cut off at ``MOST_DEVIATIONS``.

Row i depends on rows <= i of its own session only (an order flow on rows i-1 and i), never on the
window that it will be part of: so each row is computed once and windows are slices of it. Rows are
taken a part at a time, so that a book larger than memory works.

References: Cont, Kukanov and Stoikov (2014), The price impact of order book events, J. Financial
Econometrics 12(1), eq. 2 (bid e - ask e at the touch); Xu, Gould and Howison (2018), Multi-level
order-flow imbalance in a limit order book (level by level); Kolm, Turiel and Westray (2023), Deep
order flow imbalance, Mathematical Finance 33(4) (each side by itself, as a network's input).
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from lob_backtest.book import Book, FloatArray, IntArray
from lob_backtest.errors import BookError, ConfigError, FormatError

Inputs = Literal["levels", "order_flow"]
Prices = Literal["slow_mean", "mid", "absolute"]
Sizes = Literal["log", "raw"]

# Of an order flow column. On four real books log flows stay within 11 deviations, but prices that
# hardly ever move have a tiny one: one tick is 39 of them (BAC, level 1), a jump 700.
MOST_DEVIATIONS = 10.0

_PART_ROWS = 16_384


@dataclass(frozen=True, kw_only=True)
class Normalizer:
    """A fitted normalization; two are equal when they treat every book alike.

    Attributes:
        inputs: what a row holds; an order flow looks at neither ``prices`` nor ``slow_mean_rows``.
        prices: what prices are taken relative to.
        slow_mean_rows: span of the slow mean in rows: the weight of a new mid is 2 / (span + 1).
        sizes: ``"log"`` or ``"raw"``.
        mean, scale: 4 L figures each, in contract column order (ask price, ask size, bid price,
            bid size, level by level). A scale is positive.

    Raises:
        ConfigError: unknown ``inputs``, ``prices`` or ``sizes``, or ``slow_mean_rows`` below 1.
        FormatError: ``mean`` and ``scale`` are no 4 L finite figures, or a scale is not positive.
    """

    prices: Prices
    slow_mean_rows: int
    sizes: Sizes
    mean: tuple[float, ...]
    scale: tuple[float, ...]
    inputs: Inputs = "levels"

    def __post_init__(self) -> None:
        _ = self._raw  # checks the choices
        mean, scale = np.array(self.mean), np.array(self.scale)
        finite = np.all(np.isfinite(mean)) and np.all(np.isfinite(scale))
        if mean.size == 0 or mean.size % 4 or mean.shape != scale.shape or not finite:
            raise FormatError(
                f"got {mean.size} means and {scale.size} scales; needs 4 finite figures a level "
                "in both"
            )
        if not np.all(scale > 0):
            raise FormatError(f"got the scale {scale.min()}; needs scales above 0")

    @property
    def n_levels(self) -> int:
        return len(self.mean) // 4

    @property
    def _raw(self) -> "_Raw":
        return _Raw(
            inputs=self.inputs,
            prices=self.prices,
            slow_mean_rows=self.slow_mean_rows,
            sizes=self.sizes,
        )

    def transform(
        self, book: Book, start: int = 0, stop: int | None = None
    ) -> npt.NDArray[np.float32]:
        """``(stop - start, 4 L)`` float32: the rows as model input, in contract column order.

        The same rows come out alike whatever ``start`` and ``stop`` are.

        Raises:
            BookError: the book has another number of levels than the training book.
        """
        begin, end, _ = slice(start, stop).indices(book.n_rows)
        rows = np.empty((max(end - begin, 0), 4 * book.n_levels), dtype=np.float32)
        for first, part in self.parts(book, begin, end):
            rows[first - begin : first - begin + len(part)] = part
        return rows

    def parts(
        self, book: Book, start: int = 0, stop: int | None = None
    ) -> Iterator[tuple[int, npt.NDArray[np.float32]]]:
        """:meth:`transform` a part at a time: each with the row that it begins at, in order.

        A whole book takes one pass, where a transform of each part by itself would take the slow
        mean from the session's start every time.

        Raises:
            BookError: the book has another number of levels than the training book.
        """
        if book.n_levels != self.n_levels:
            raise BookError(
                f"{book.meta.instrument}: got {book.n_levels} levels, but the normalization was "
                f"fitted on {self.n_levels}; use a book of {self.n_levels} levels"
            )
        begin, end, _ = slice(start, stop).indices(book.n_rows)
        most = MOST_DEVIATIONS if self.inputs == "order_flow" else np.inf
        for first, last, columns in self._raw.parts(book, begin, end):
            rows = np.empty((last - first, 4 * self.n_levels), dtype=np.float32)
            for column, values in enumerate(columns):
                scaled = (values - self.mean[column]) / self.scale[column]
                rows[:, column] = np.clip(scaled, -most, most)
            yield first, rows

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values; :meth:`from_dict` gives back an equal normalizer."""
        return asdict(self) | {"mean": list(self.mean), "scale": list(self.scale)}

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> "Normalizer":
        """What :meth:`to_dict` wrote, also before there were ``inputs`` other than levels.

        Raises:
            FormatError: other keys, or figures that are no normalization.
        """
        known = {field.name for field in fields(cls)}
        if set(raw) | {"inputs"} != known:
            raise FormatError(f"a normalizer has the keys {sorted(known)}; got {sorted(raw)}")
        try:
            mean, scale = (tuple(float(value) for value in raw[name]) for name in ("mean", "scale"))
            rows = int(raw["slow_mean_rows"])
        except (TypeError, ValueError) as error:
            raise FormatError(f"a normalizer's figures must be numbers: {error}") from error
        return cls(
            inputs=raw.get("inputs", "levels"),
            prices=raw["prices"],
            slow_mean_rows=rows,
            sizes=raw["sizes"],
            mean=mean,
            scale=scale,
        )


def fit_normalizer(
    book: Book,
    *,
    start_row: int,
    stop_row: int,
    prices: Prices,
    slow_mean_rows: int,
    sizes: Sizes,
    inputs: Inputs = "levels",
) -> Normalizer:
    """Mean and standard deviation of each column over ``start_row <= row < stop_row``.

    Pass the rows of a fold's train part alone: ``stop_row`` is one past the row known at the last
    training decision. A column that is constant there gets the scale 1.

    Args:
        book: the book; rows at or after ``stop_row`` are not looked at.
        start_row, stop_row: the training rows. The first of them still looks back, as far as to the
            start of its session, which was known then.
        prices, slow_mean_rows, sizes, inputs: as in :class:`Normalizer`.

    Raises:
        ConfigError: unknown ``inputs``, ``prices`` or ``sizes``, or ``slow_mean_rows`` below 1.
        BookError: the range holds no rows or leaves the book.
    """
    raw = _Raw(inputs=inputs, prices=prices, slow_mean_rows=slow_mean_rows, sizes=sizes)
    if not 0 <= start_row < stop_row <= book.n_rows:
        raise BookError(
            f"{book.meta.instrument}: got the training rows {start_row} to {stop_row}; needs at "
            f"least one row within 0 to {book.n_rows}"
        )
    columns = [_Moments() for _ in range(4 * book.n_levels)]
    for _, _, values in raw.parts(book, start_row, stop_row):
        for moments, part in zip(columns, values, strict=True):
            moments.add(part)
    return Normalizer(
        inputs=inputs,
        prices=prices,
        slow_mean_rows=slow_mean_rows,
        sizes=sizes,
        mean=tuple(moments.mean for moments in columns),
        scale=tuple(moments.scale for moments in columns),
    )


def slow_mean_ticks(book: Book, start: int, stop: int, *, span_rows: int) -> FloatArray:
    """``(stop - start,)`` causal exponential mean of the mid in ticks.

        s_0 = m_0 at a session's first row
        s_i = s_(i-1) + a (m_i - s_(i-1))      with a = 2 / (span + 1)

    It restarts with each session, so that a night's gap is no signal.
    """
    parts = [mean for _, mean in _slow_means(book, start, stop, span_rows=span_rows)]
    return np.concatenate([np.empty(0), *parts])


def side_flow(price: IntArray, size: FloatArray) -> FloatArray:
    """``(n - 1,)`` order flow of one side at one level between neighbouring rows.

        e_i = q_i 1{p_i >= p_(i-1)} - q_(i-1) 1{p_i <= p_(i-1)}

    Positive for what was added at the level or came at a better price. A missing level has size 0.

    Args:
        price: ``(n,)`` ticks, higher is better: bids as they are, asks with their sign turned.
        size: ``(n,)`` sizes.
    """
    flow: FloatArray = size[1:] * (price[1:] >= price[:-1])
    flow -= size[:-1] * (price[1:] <= price[:-1])
    return flow


@dataclass(frozen=True, kw_only=True)
class _Raw:
    """What a row holds before it is standardised; the attributes of :class:`Normalizer`."""

    inputs: Inputs
    prices: Prices
    slow_mean_rows: int
    sizes: Sizes

    def __post_init__(self) -> None:
        if self.inputs not in ("levels", "order_flow"):
            raise ConfigError(f"inputs={self.inputs!r}: inputs is levels or order_flow")
        if self.prices not in ("slow_mean", "mid", "absolute") or self.sizes not in ("log", "raw"):
            raise ConfigError(
                f"prices={self.prices!r} and sizes={self.sizes!r}: prices is slow_mean, mid or "
                "absolute, sizes is log or raw"
            )
        if self.slow_mean_rows < 1:
            raise ConfigError(
                f"slow_mean_rows={self.slow_mean_rows}: needs a span of at least 1 row"
            )

    def parts(
        self, book: Book, start: int, stop: int
    ) -> Iterator[tuple[int, int, Iterator[FloatArray]]]:
        """First row, one past the last, and the 4 L columns in contract order, part by part."""
        if self.inputs == "order_flow":
            for first, last in _spans(start, stop):
                yield first, last, self._flow_columns(book, first, last)
            return
        for first, reference in self._references(book, start, stop):
            last = first + reference.size
            yield first, last, self._level_columns(book, first, last, reference)

    def _references(self, book: Book, start: int, stop: int) -> Iterator[tuple[int, FloatArray]]:
        """What prices are taken relative to, in ticks."""
        if self.prices == "slow_mean":
            yield from _slow_means(book, start, stop, span_rows=self.slow_mean_rows)
            return
        for first, last in _spans(start, stop):
            is_mid = self.prices == "mid"
            yield first, _mid_ticks(book, first, last) if is_mid else np.zeros(last - first)

    def _level_columns(
        self, book: Book, first: int, last: int, reference: FloatArray
    ) -> Iterator[FloatArray]:
        rows = slice(first, last)
        for level in range(book.n_levels):
            for ticks, size in ((book.ask_ticks, book.ask_size), (book.bid_ticks, book.bid_size)):
                yield ticks[rows, level] - reference
                yield self._shown(size[rows, level])

    def _flow_columns(self, book: Book, first: int, last: int) -> Iterator[FloatArray]:
        """Price changes and order flows, by level and side, against the row before."""
        rows = slice(max(first - 1, 0), last)
        starts = book.session_starts
        of_session = starts[(starts >= first) & (starts < last)] - first
        for level in range(book.n_levels):
            for ticks, size, better in (
                (book.ask_ticks, book.ask_size, -1),
                (book.bid_ticks, book.bid_size, 1),
            ):
                price = ticks[rows, level]
                flow = side_flow(better * price, size[rows, level])
                for changes in (np.diff(price), np.sign(flow) * self._shown(np.abs(flow))):
                    column = np.zeros(last - first)
                    column[last - first - changes.size :] = changes  # row 0 of the book has none
                    column[of_session] = 0.0
                    yield column

    def _shown(self, size: FloatArray) -> FloatArray:
        return np.log1p(size) if self.sizes == "log" else size


@dataclass
class _Moments:
    """Mean and deviation of figures that come a part at a time.

    Parts are joined by their means and sums of squared deviations, which loses no digits.

    References: Chan, Golub and LeVeque (1983), Algorithms for computing the sample variance, The
    American Statistician 37(3).
    """

    n: int = 0
    mean: float = 0.0
    squares: float = 0.0
    least: float = math.inf
    most: float = -math.inf

    def add(self, part: FloatArray) -> None:
        mean = float(part.mean())
        apart, n = mean - self.mean, self.n + part.size
        self.squares += float(np.sum((part - mean) ** 2)) + apart**2 * self.n * (part.size / n)
        self.mean += apart * (part.size / n)
        self.n = n
        self.least = min(self.least, float(part.min()))
        self.most = max(self.most, float(part.max()))

    @property
    def scale(self) -> float:
        """The standard deviation, of a constant 1."""
        if self.least == self.most:  # rounding may leave it a deviation of 1e-17
            return 1.0
        return math.sqrt(self.squares / self.n) or 1.0  # 0 where the squares are below any float


def _spans(start: int, stop: int) -> Iterator[tuple[int, int]]:
    for first in range(start, stop, _PART_ROWS):
        yield first, min(first + _PART_ROWS, stop)


def _mid_ticks(book: Book, first: int, last: int) -> FloatArray:
    mid: FloatArray = (book.ask_ticks[first:last, 0] + book.bid_ticks[first:last, 0]) / 2
    return mid


def _slow_means(
    book: Book, start: int, stop: int, *, span_rows: int
) -> Iterator[tuple[int, FloatArray]]:
    """The slow mean a part at a time, each with its first row; no two sessions in one."""
    if stop <= start:
        return
    starts = book.session_starts
    row = int(starts[np.searchsorted(starts, start, side="right") - 1])
    carried = np.empty(0)
    while row < stop:
        next_session = int(starts[np.searchsorted(starts, row, side="right")])
        end = min(next_session, row + _PART_ROWS, stop)
        if row in starts:
            carried = np.empty(0)
        # Its last value in front carries the mean on: the same steps as over the whole session.
        mid = pd.Series(np.append(carried, _mid_ticks(book, row, end)))
        mean = mid.ewm(span=span_rows, adjust=False).mean().to_numpy()[carried.size :]
        carried = mean[-1:]
        if end > start:
            yield max(row, start), mean[max(start - row, 0) :]
        row = end
