"""Book rows as model input: prices against a reference known at the row, then standardised.

    price column   (price - reference) in ticks        size column   log(1 + size)  or  size
    every column   (x - mean) / scale                  mean and scale from training rows alone

    prices="slow_mean"   reference: exponential mean of the session's mids up to the row; keeps both
                         the book's shape and where the price is going
    prices="mid"         reference: the row's own mid; keeps the shape only, momentum is gone
    prices="absolute"    no reference; keeps momentum, but a new price level is a new input

Row i depends on rows <= i of its own session only, never on the window that it will be part of: so
each row is computed once and windows are slices of it.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from lob_backtest.book import Book, FloatArray
from lob_backtest.errors import BookError, ConfigError, FormatError

Prices = Literal["slow_mean", "mid", "absolute"]
Sizes = Literal["log", "raw"]


@dataclass(frozen=True, kw_only=True)
class Normalizer:
    """A fitted normalization; two are equal when they treat every book alike.

    Attributes:
        prices: what prices are taken relative to.
        slow_mean_rows: span of the slow mean in rows: the weight of a new mid is 2 / (span + 1).
        sizes: ``"log"`` or ``"raw"``.
        mean, scale: 4 L figures each, in contract column order (ask price, ask size, bid price,
            bid size, level by level). A scale is positive.

    Raises:
        ConfigError: an unknown ``prices`` or ``sizes``, or ``slow_mean_rows`` below 1.
        FormatError: ``mean`` and ``scale`` are no 4 L finite figures, or a scale is not positive.
    """

    prices: Prices
    slow_mean_rows: int
    sizes: Sizes
    mean: tuple[float, ...]
    scale: tuple[float, ...]

    def __post_init__(self) -> None:
        _check_choices(self.prices, self.slow_mean_rows, self.sizes)
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
        reference = _reference(book, begin, end, self.prices, self.slow_mean_rows)
        rows = np.empty((max(end - begin, 0), 4 * self.n_levels), dtype=np.float32)
        # Column by column: a float64 copy of a long book would take several times its memory.
        for column in range(rows.shape[1]):
            raw = _raw_column(book, column, begin, end, reference, self.sizes)
            rows[:, column] = (raw - self.mean[column]) / self.scale[column]
        return rows

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values; :meth:`from_dict` gives back an equal normalizer."""
        return asdict(self) | {"mean": list(self.mean), "scale": list(self.scale)}

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> "Normalizer":
        """What :meth:`to_dict` wrote.

        Raises:
            FormatError: other keys, or figures that are no normalization.
        """
        known = {field.name for field in fields(cls)}
        if set(raw) != known:
            raise FormatError(f"a normalizer has the keys {sorted(known)}; got {sorted(raw)}")
        try:
            mean, scale = (tuple(float(value) for value in raw[name]) for name in ("mean", "scale"))
            rows = int(raw["slow_mean_rows"])
        except (TypeError, ValueError) as error:
            raise FormatError(f"a normalizer's figures must be numbers: {error}") from error
        return cls(
            prices=raw["prices"], slow_mean_rows=rows, sizes=raw["sizes"], mean=mean, scale=scale
        )


def fit_normalizer(
    book: Book,
    *,
    start_row: int,
    stop_row: int,
    prices: Prices,
    slow_mean_rows: int,
    sizes: Sizes,
) -> Normalizer:
    """Mean and standard deviation of each column over ``start_row <= row < stop_row``.

    Pass the rows of a fold's train part alone: ``stop_row`` is one past the row known at the last
    training decision. A column that is constant there gets the scale 1.

    Args:
        book: the book; rows at or after ``stop_row`` are not looked at.
        start_row, stop_row: the training rows. The slow mean of the first of them still looks back
            to the start of its session, which was known then.
        prices, slow_mean_rows, sizes: as in :class:`Normalizer`.

    Raises:
        ConfigError: an unknown ``prices`` or ``sizes``, or ``slow_mean_rows`` below 1.
        BookError: the range holds no rows or leaves the book.
    """
    _check_choices(prices, slow_mean_rows, sizes)
    if not 0 <= start_row < stop_row <= book.n_rows:
        raise BookError(
            f"{book.meta.instrument}: got the training rows {start_row} to {stop_row}; needs at "
            f"least one row within 0 to {book.n_rows}"
        )
    reference = _reference(book, start_row, stop_row, prices, slow_mean_rows)
    mean, scale = [], []
    for column in range(4 * book.n_levels):
        raw = _raw_column(book, column, start_row, stop_row, reference, sizes)
        mean.append(float(raw.mean()))
        # By its range: rounding may leave a constant column a deviation of 1e-17.
        scale.append(1.0 if raw.min() == raw.max() else float(raw.std()))
    return Normalizer(
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


def _raw_column(
    book: Book, column: int, start: int, stop: int, reference: FloatArray, sizes: Sizes
) -> FloatArray:
    """One column before it is standardised; contract order is ask price, size, bid price, size."""
    level, part = divmod(column, 4)
    if part in (0, 2):
        ticks = book.ask_ticks if part == 0 else book.bid_ticks
        return ticks[start:stop, level] - reference
    size = (book.ask_size if part == 1 else book.bid_size)[start:stop, level]
    return np.log1p(size) if sizes == "log" else size


def _check_choices(prices: str, slow_mean_rows: int, sizes: str) -> None:
    if prices not in ("slow_mean", "mid", "absolute") or sizes not in ("log", "raw"):
        raise ConfigError(
            f"prices={prices!r} and sizes={sizes!r}: prices is slow_mean, mid or absolute, "
            "sizes is log or raw"
        )
    if slow_mean_rows < 1:
        raise ConfigError(f"slow_mean_rows={slow_mean_rows}: needs a span of at least 1 row")
