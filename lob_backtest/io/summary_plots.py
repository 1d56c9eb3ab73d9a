"""Plots of a book as files: mid and spread, depth, event rate, waits and spreads.

Every plot first condenses the rows into some hundreds of bins, so that ten million rows draw as
fast as ten thousand and the files stay small. Times are local ones of the book's timezone; nights
take no room.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lob_backtest.book import Book, FloatArray, IntArray, local_ns
from lob_backtest.files import atomic_path
from lob_backtest.io.summary import waits_ns

_BINS = 900  # along the time axis: about one a pixel
_RATE_BINS = 120
_WAIT_BINS = 70
_MOST_SPREADS = 60  # bars; the rest is told in words
_MOST_TICKS = 7
_NS_PER_SECOND = 1_000_000_000
_NS_PER_DAY = 86_400 * _NS_PER_SECOND
_INK, _MUTED, _GRID = "#1f2933", "#5f6b7a", "#e3e7ec"
_ASK, _BID, _MID = "#c2570c", "#1d5fbf", "#1f2933"
# Seconds between the marks of a clock axis.
_CLOCK_STEPS = (
    1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 14_400, 21_600, 43_200,
    86_400,
)  # fmt: skip


def write_plots(book: Book, folder: Path | str) -> list[Path]:
    """Write every plot as ``NAME.svg`` and ``NAME.png``; the same book gives the same bytes.

    Args:
        book: the book.
        folder: made where it is missing; files of these names are replaced, one by one and whole.

    Returns:
        The paths, svg and png of each plot.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    paths = []
    style: dict[Any, Any] = {
        "svg.hashsalt": "lob_backtest",
        "svg.fonttype": "none",
        "text.parse_math": False,  # a $ in an instrument's name is a dollar
        "font.size": 10,
        "text.color": _INK,
        "axes.labelcolor": _MUTED,
        "xtick.color": _MUTED,
        "ytick.color": _MUTED,
        "axes.edgecolor": _GRID,
    }
    with mpl.rc_context(style):
        for name, draw in _PLOTS.items():
            figure = Figure(figsize=(8.4, 4.6), layout="constrained")
            draw(figure, book)
            figure.suptitle(_heading(book), x=0.01, ha="left", fontsize=9, color=_MUTED)
            for kind in ("svg", "png"):
                path = Path(folder) / f"{name}.{kind}"
                with atomic_path(path) as partial:
                    metadata = {"Date": None} if kind == "svg" else None
                    figure.savefig(partial, format=kind, dpi=130, metadata=metadata)
                paths.append(path)
    return paths


@dataclass(frozen=True, kw_only=True, eq=False)
class TimeBins:
    """Runs of rows that share a stretch of time; never empty, never across sessions.

    Attributes:
        starts: ``(K + 1,)`` first row of each bin, then N.
        at_seconds: ``(K,)`` where it stands: seconds since the first session's local midnight,
            sessions set side by side.
        session: ``(K,)`` its session.
    """

    starts: IntArray
    at_seconds: FloatArray
    session: IntArray


def time_bins(book: Book, *, n_bins: int = _BINS) -> TimeBins:
    """About ``n_bins`` bins of equal time; where rows are missing there is no bin."""
    opens = book.session_starts[:-1]
    spans = book.time_ns[book.session_starts[1:] - 1] - book.time_ns[opens]
    # A session as it follows the one before it: a little room between the two.
    room = max(int(spans.sum()) // 200, _NS_PER_SECOND)
    begins = np.concatenate([[0], np.cumsum(spans + room)[:-1]]) + _since_midnight_ns(book)
    width = max(int(spans.sum()) // n_bins, 1)
    bin_of_row = (book.time_ns - book.time_ns[opens][book.session]) // width
    is_first = np.diff(bin_of_row, prepend=-1) != 0
    is_first[opens] = True
    starts = np.flatnonzero(is_first).astype(np.int64)
    session = book.session[starts]
    return TimeBins(
        starts=np.append(starts, book.n_rows),
        at_seconds=(begins[session] + bin_of_row[starts] * width) / _NS_PER_SECOND,
        session=session,
    )


def _mid_and_spread(figure: Any, book: Book) -> None:
    bins = time_bins(book)
    starts, n = bins.starts[:-1], np.diff(bins.starts)
    price = book.mid_ticks * book.meta.tick_size
    last = price[bins.starts[1:] - 1]
    low, high = np.minimum.reduceat(price, starts), np.maximum.reduceat(price, starts)
    spread = book.spread_ticks
    mean = np.add.reduceat(spread, starts) / n
    most = np.maximum.reduceat(spread, starts)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[2, 1])
    opens = np.flatnonzero(np.diff(bins.session)) + 1

    def parted(values: FloatArray) -> FloatArray:  # no line is drawn from session to session
        return np.insert(values.astype(np.float64), opens, np.nan)

    at = parted(bins.at_seconds)
    few = bins.session.size < 3 * (opens.size + 1)  # a session of one bin would be no line
    line: dict[str, Any] = {"linewidth": 0.9, "marker": "." if few else None}
    upper.fill_between(at, parted(low), parted(high), color=_MID, alpha=0.35, linewidth=0)
    upper.plot(at, parted(last), color=_MID, **line)
    lower.fill_between(at, parted(mean), parted(most), color=_ASK, alpha=0.35, linewidth=0)
    lower.plot(at, parted(mean), color=_ASK, **line)
    _shape(upper, f"mid-price, {book.meta.currency}: last, least and most of each bin")
    _shape(lower, "spread, ticks: mean and up to the most")
    if most.max() > 20 * np.median(mean):
        lower.set_yscale("log")
        lower.yaxis.set_minor_formatter(lambda value, _: "")
    lower.yaxis.set_major_formatter(lambda value, _: f"{value:,.10g}")
    upper.ticklabel_format(axis="y", useOffset=False, style="plain")
    _time_axis(lower, book, bins)


def _depth_profile(figure: Any, book: Book) -> None:
    left, right = figure.subplots(1, 2)
    level = np.arange(1, book.n_levels + 1)
    for offset, side, colour in ((0.2, "ask", _ASK), (-0.2, "bid", _BID)):
        size, apart = _mean_level(book, side)
        left.barh(level - offset, size, height=0.36, color=colour, label=side)
        sign = 1 if side == "ask" else -1
        edge = np.concatenate([[0.0], np.cumsum(size)])
        place = np.concatenate([[sign * apart[0]], sign * apart])
        right.step(place, edge, where="post", color=colour, linewidth=1.4)
        right.fill_between(place, edge, step="post", color=colour, alpha=0.2, linewidth=0)
    left.set_ylim(book.n_levels + 0.6, 0.4)
    left.set_yticks(level[:: -(-book.n_levels // 10)])
    left.set_xlabel("mean size (0 where the level is missing)")
    _shape(left, "size by level")
    left.legend(frameon=False, fontsize=9, loc="best")
    right.set_ylim(bottom=0)
    right.set_xlabel("mean distance from the mid, ticks")
    right.xaxis.set_major_formatter(lambda value, _: f"{value:,.10g}")
    _shape(right, "cumulated size by distance")


def rate_by_time_of_day(book: Book) -> tuple[FloatArray, FloatArray, int]:
    """Rows a second in bins of the local day, over the days' time that lies in each bin.

    A day counts from its first row to its last one. A bin that no day has been in for a tenth of
    its length says nothing: NaN.

    Returns:
        ``(B + 1,)`` edges in seconds since midnight, ``(B,)`` rates, and the number of days.
    """
    clock = local_ns(book.time_ns, book.meta.timezone)
    days = np.flatnonzero(np.diff(clock // _NS_PER_DAY, prepend=-1))
    in_day = clock % _NS_PER_DAY
    begin, end = in_day[days], in_day[np.append(days[1:], book.n_rows) - 1]
    low, high = int(begin.min()), int(end.max())
    step = _clock_step((high - low) / _NS_PER_SECOND / _RATE_BINS) * _NS_PER_SECOND
    edges = np.arange(low // step, high // step + 2) * step
    rows = np.bincount(in_day // step - low // step, minlength=edges.size - 1)
    open_ns = np.minimum(end[:, None], edges[1:]) - np.maximum(begin[:, None], edges[:-1])
    seconds = np.maximum(open_ns, 0).sum(axis=0) / _NS_PER_SECOND
    says = seconds > step / _NS_PER_SECOND / 10
    rate = np.full(rows.size, np.nan)
    rate[says] = rows[says] / seconds[says]
    return edges / _NS_PER_SECOND, rate, int(days.size)


def _event_rate(figure: Any, book: Book) -> None:
    edges, rate, n_days = rate_by_time_of_day(book)
    axes = figure.subplots()
    axes.stairs(np.nan_to_num(rate), edges, fill=True, color=_BID, alpha=0.75)
    _shape(axes, f"rows a second, in bins of {_duration(int(edges[1] - edges[0]))}")
    axes.set_xlim(edges[0], edges[-1])
    axes.set_ylim(bottom=0)
    _clock_ticks(axes, edges[0], edges[-1])
    over = "1 day" if n_days == 1 else f"mean of {n_days} days"
    axes.set_xlabel(f"time of the day, {book.meta.timezone}; {over}")


def _waits(figure: Any, book: Book) -> None:
    wait, _ = waits_ns(book)
    axes = figure.subplots()
    apart = wait[wait > 0]
    if apart.size:
        low, high = np.log10(apart.min()), np.log10(apart.max())
        middle, half = (low + high) / 2, max((high - low) / 2 + 0.01, 0.5)  # a decade or more
        edges = np.logspace(middle - half, middle + half, _WAIT_BINS + 1)
        n, _ = np.histogram(apart, edges)
        axes.stairs(n / wait.size, edges / _NS_PER_SECOND, fill=True, color=_BID, alpha=0.75)
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(lambda value, _: _short_time(value))
        axes.xaxis.set_minor_formatter(lambda value, _: "")
        axes.set_xlabel("time from a row to the next of its session")
    share = f"{1 - apart.size / wait.size:.1%} follow at once (not drawn)" if wait.size else "none"
    _shape(axes, f"share of rows by the time to the next row; {share}")
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.1%}")


def _spreads(figure: Any, book: Book) -> None:
    spread = book.spread_ticks
    top = int(spread.max())
    if top > _MOST_SPREADS:
        top = int(np.quantile(spread, 0.995))
    width = -(-top // _MOST_SPREADS)  # ticks a bar
    shown = spread[spread <= top]
    share = np.bincount((shown - 1) // width) / spread.size
    axes = figure.subplots()
    at = 1 + (np.arange(share.size) + 0.5) * width - 0.5
    axes.bar(at, share, width=0.85 * width, color=_ASK, alpha=0.85)
    beyond = 1 - shown.size / spread.size
    more = f"; {beyond:.1%} up to {spread.max():,} ticks are not drawn" if beyond else ""
    of = "" if width == 1 else f", {width:,} ticks a bar"
    _shape(axes, f"share of rows by spread{of}{more}")
    axes.set_xlabel(f"spread, ticks of {book.meta.tick_size:g} {book.meta.currency}")
    axes.set_xlim(at[0] - width, at[-1] + width)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.10g}")
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")


_PLOTS: dict[str, Callable[[Any, Book], None]] = {
    "mid_and_spread": _mid_and_spread,
    "depth_profile": _depth_profile,
    "event_rate": _event_rate,
    "seconds_between_rows": _waits,
    "spread_histogram": _spreads,
}


def _mean_level(book: Book, side: str) -> tuple[FloatArray, FloatArray]:
    """``(L,)`` mean sizes, and mean distances from the mid where the level exists."""
    size, ticks = getattr(book, f"{side}_size"), getattr(book, f"{side}_ticks")
    sizes, distances = np.zeros(book.n_levels), np.zeros(book.n_levels)
    for level in range(book.n_levels):
        exists = size[:, level] > 0
        sizes[level] = size[:, level].mean()
        if exists.any():
            apart = np.abs(ticks[:, level] - book.mid_ticks)
            distances[level] = apart[exists].mean()
    return sizes, np.maximum.accumulate(distances)


def _shape(axes: Any, title: str) -> None:
    axes.set_title(title, loc="left", fontsize=10)
    axes.grid(axis="y", color=_GRID, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _time_axis(axes: Any, book: Book, bins: TimeBins) -> None:
    """A clock within one session, dates over several."""
    axes.set_xlim(bins.at_seconds[0], max(bins.at_seconds[-1], bins.at_seconds[0] + 1e-6))
    if bins.session[-1] == 0:
        day = _local(book, 0).normalize()
        _clock_ticks(axes, bins.at_seconds[0], bins.at_seconds[-1], day)
        axes.set_xlabel(f"time, {book.meta.timezone}, from {day:%Y-%m-%d}")
        return
    opens = np.flatnonzero(np.diff(bins.session, prepend=-1))
    for each in axes.figure.axes:
        lines = {"transform": each.get_xaxis_transform(), "color": _GRID, "zorder": 0}
        each.vlines(bins.at_seconds[opens[1:]], 0, 1, linewidth=0.8, **lines)
    chosen = opens[:: -(-opens.size // _MOST_TICKS)]
    days = [_local(book, int(row)) for row in bins.starts[chosen]]
    axes.set_xticks(bins.at_seconds[chosen], [f"{day:%m-%d}" for day in days], ha="left")
    axes.set_xlabel(f"sessions from {days[0]:%Y-%m-%d}, side by side; lines part them")


def _clock_ticks(axes: Any, low: float, high: float, first_day: pd.Timestamp | None = None) -> None:
    """Marks at whole minutes, hours or days; midnights carry their date where it is given."""
    step = _clock_step((high - low) / _MOST_TICKS)
    at = np.arange(np.ceil(low / step), np.floor(high / step) + 1) * step
    labels = []
    for second in at:
        day, rest = divmod(round(second), 86_400)
        if first_day is None:
            rest += 86_400 * day  # the end of a day is 24:00
        text = f"{rest // 3600:02}:{rest // 60 % 60:02}" + (f":{rest % 60:02}" if step < 60 else "")
        if first_day is not None and rest == 0:
            text = f"{first_day + pd.Timedelta(days=day):%m-%d}"
        labels.append(text)
    axes.set_xticks(at, labels)


def _clock_step(seconds: float) -> int:
    """The shortest usual length of time that is at least ``seconds``; whole days beyond a day."""
    longest = _CLOCK_STEPS[-1]
    return next(
        (step for step in _CLOCK_STEPS if step >= seconds), longest * -int(-seconds // longest)
    )


def _duration(seconds: int) -> str:
    for unit, length in (("h", 3600), ("min", 60)):
        if seconds % length == 0:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"


def _short_time(seconds: float) -> str:
    for unit, length in (("s", 1), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= 0.999 * length:
            return f"{seconds / length:,.0f} {unit}"
    return f"{seconds * 1e9:.0f} ns"


def _since_midnight_ns(book: Book) -> int:
    return int(local_ns(book.time_ns[:1], book.meta.timezone)[0] % _NS_PER_DAY)


def _local(book: Book, row: int) -> pd.Timestamp:
    return pd.Timestamp(int(local_ns(book.time_ns[row : row + 1], book.meta.timezone)[0]))


def _heading(book: Book) -> str:
    first, last = _local(book, 0), _local(book, book.n_rows - 1)
    days = f"{first:%Y-%m-%d}" + ("" if first.date() == last.date() else f" to {last:%Y-%m-%d}")
    return f"{book.meta.instrument}, {days}, {book.n_rows:,} rows"
