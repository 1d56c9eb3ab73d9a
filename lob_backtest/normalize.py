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
window that it will be part of: so each row is computed once and windows are slices of it.

References: Cont, Kukanov and Stoikov (2014), The price impact of order book events, J. Financial
Econometrics 12(1), eq. 2 (bid e - ask e at the touch); Xu, Gould and Howison (2018), Multi-level
order-flow imbalance in a limit order book (level by level); Kolm, Turiel and Westray (2023), Deep
order flow imbalance, Mathematical Finance 33(4) (each side by itself, as a network's input).
"""

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
        _check_choices(self.inputs, self.prices, self.slow_mean_rows, self.sizes)
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

    def transform(
        self, book: Book, start: int = 0, stop: int | None = None
    ) -> npt.NDArray[np.float32]:
        """``(stop - start, 4 L)`` float32: the rows as model input, in contract column order.

        The same rows come out alike whatever ``start`` and ``stop`` are.

        Raises:
            BookError: the book has another number of levels than the training book.
        """
        if book.n_levels != self.n_levels:
            raise BookError(
                f"{book.meta.instrument}: got {book.n_levels} levels, but the normalization was "
                f"fitted on {self.n_levels}; use a book of {self.n_levels} levels"
            )
        begin, end, _ = slice(start, stop).indices(book.n_rows)
        raw = _raw_columns(
            book, begin, end, self.inputs, self.prices, self.slow_mean_rows, self.sizes
        )
        most = MOST_DEVIATIONS if self.inputs == "order_flow" else np.inf
        rows = np.empty((max(end - begin, 0), 4 * self.n_levels), dtype=np.float32)
        # Column by column: a float64 copy of a long book would take several times its memory.
        for column, values in enumerate(raw):
            scaled = (values - self.mean[column]) / self.scale[column]
            rows[:, column] = np.clip(scaled, -most, most)
        return rows

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
    _check_choices(inputs, prices, slow_mean_rows, sizes)
    if not 0 <= start_row < stop_row <= book.n_rows:
        raise BookError(
            f"{book.meta.instrument}: got the training rows {start_row} to {stop_row}; needs at "
            f"least one row within 0 to {book.n_rows}"
        )
    mean, scale = [], []
    for raw in _raw_columns(book, start_row, stop_row, inputs, prices, slow_mean_rows, sizes):
        mean.append(float(raw.mean()))
        # By its range: rounding may leave a constant column a deviation of 1e-17.
        scale.append(1.0 if raw.min() == raw.max() else float(raw.std()))
    return Normalizer(
        inputs=inputs,
        prices=prices,
        slow_mean_rows=slow_mean_rows,
        sizes=sizes,
        mean=tuple(mean),
        scale=tuple(scale),
    )


def slow_mean_ticks(book: Book, start: int, stop: int, *, span_rows: int) -> FloatArray:
    """``(stop - start,)`` causal exponential mean of the mid in ticks.

        s_0 = m_0 at a session's first row
        s_i = s_(i-1) + a (m_i - s_(i-1))      with a = 2 / (span + 1)

    It restarts with each session, so that a night's gap is no signal.
    """
    if stop <= start:
        return np.empty(0)
    sessions = book.session_starts
    parts = []
    for session in range(int(book.session[start]), int(book.session[stop - 1]) + 1):
        first, last = int(sessions[session]), min(int(sessions[session + 1]), stop)
        mid = pd.Series(book.mid_ticks[first:last])
        mean = mid.ewm(span=span_rows, adjust=False).mean().to_numpy()
        parts.append(mean[max(start - first, 0) :])
    return np.concatenate(parts)


def _reference(
    book: Book, start: int, stop: int, prices: Prices, slow_mean_rows: int
) -> FloatArray:
    """What the rows' prices are taken relative to, in ticks."""
    if prices == "slow_mean":
        return slow_mean_ticks(book, start, stop, span_rows=slow_mean_rows)
    if prices == "mid":
        return book.mid_ticks[start:stop]
    return np.zeros(max(stop - start, 0))


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


def _raw_columns(
    book: Book,
    start: int,
    stop: int,
    inputs: Inputs,
    prices: Prices,
    slow_mean_rows: int,
    sizes: Sizes,
) -> Iterator[FloatArray]:
    """The 4 L columns of some rows before they are standardised, in contract order."""
    stop = max(start, stop)
    if inputs == "order_flow":
        yield from _flow_columns(book, start, stop, sizes)
        return
    reference = _reference(book, start, stop, prices, slow_mean_rows)
    for level in range(book.n_levels):
        for ticks, size in ((book.ask_ticks, book.ask_size), (book.bid_ticks, book.bid_size)):
            yield ticks[start:stop, level] - reference
            yield _shown_size(size[start:stop, level], sizes)


def _flow_columns(book: Book, start: int, stop: int, sizes: Sizes) -> Iterator[FloatArray]:
    """Price changes and order flows, by side and level, against the row before."""
    begin = max(start - 1, 0)
    n_rows = stop - start
    starts = book.session_starts
    own = starts[(starts >= start) & (starts < stop)] - start
    for level in range(book.n_levels):
        for ticks, size, better in (
            (book.ask_ticks, book.ask_size, -1),
            (book.bid_ticks, book.bid_size, 1),
        ):
            price = ticks[begin:stop, level]
            change = np.diff(price).astype(np.float64)
            flow = side_flow(better * price, size[begin:stop, level])
            for values in (change, np.sign(flow) * _shown_size(np.abs(flow), sizes)):
                column = np.zeros(n_rows)
                column[n_rows - values.size :] = values  # book row 0 has none before it
                column[own] = 0.0
                yield column


def _shown_size(size: FloatArray, sizes: Sizes) -> FloatArray:
    return np.log1p(size) if sizes == "log" else size


def _check_choices(inputs: str, prices: str, slow_mean_rows: int, sizes: str) -> None:
    if inputs not in ("levels", "order_flow"):
        raise ConfigError(f"inputs={inputs!r}: inputs is levels or order_flow")
    if prices not in ("slow_mean", "mid", "absolute") or sizes not in ("log", "raw"):
        raise ConfigError(
            f"prices={prices!r} and sizes={sizes!r}: prices is slow_mean, mid or absolute, "
            "sizes is log or raw"
        )
    if slow_mean_rows < 1:
        raise ConfigError(f"slow_mean_rows={slow_mean_rows}: needs a span of at least 1 row")
