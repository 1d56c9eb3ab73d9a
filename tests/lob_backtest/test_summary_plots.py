"""The plots of a book: what is in the files, how rows are condensed, and books at the edge."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lob_backtest.book import Book
from lob_backtest.io.summary_plots import rate_by_time_of_day, time_bins, write_plots
from tests.lob_backtest.books import (
    META,
    META_ALWAYS_OPEN,
    book_from_mids,
    books,
    random_book,
)

NAMES = ("mid_and_spread", "depth_profile", "event_rate", "seconds_between_rows",
         "spread_histogram")  # fmt: skip
PNG = b"\x89PNG\r\n\x1a\n"


def texts(path: Path) -> str:
    """All the words in an svg file."""
    return " ".join(text.strip() for text in ElementTree.parse(path).getroot().itertext())


def test_every_plot_is_written_as_svg_and_png_and_says_what_it_shows(tmp_path):
    book = random_book(np.random.default_rng(0), 400, 3, 3)
    folder = tmp_path / "new" / "folder"
    paths = write_plots(book, folder)
    assert [path.name for path in paths] == [
        f"{n}.{kind}" for n in NAMES for kind in ("svg", "png")
    ]
    assert sorted(folder.iterdir()) == sorted(paths)
    svg = {path.stem: texts(path) for path in paths if path.suffix == ".svg"}
    for words in svg.values():
        assert "TEST, 2020-01-06 to 2020-01-08, 400 rows" in words
    assert "mid-price, USD" in svg["mid_and_spread"]
    assert "01-07" in svg["mid_and_spread"]
    assert "size by level" in svg["depth_profile"]
    assert "mean of 3 days" in svg["event_rate"]
    assert "follow at once" in svg["seconds_between_rows"]
    assert "spread, ticks of 0.01 USD" in svg["spread_histogram"]
    before = [path.read_bytes() for path in paths]
    assert all(content.startswith(PNG) for content in before[1::2])
    # The same book gives the same bytes.
    assert [path.read_bytes() for path in write_plots(book, folder)] == before


def test_a_book_of_ten_times_the_rows_draws_no_more_points(tmp_path):
    rng = np.random.default_rng(2)
    few, many = random_book(rng, 6_000, 1), random_book(rng, 60_000, 1, mean_gap_s=0.1)
    sizes = [
        sum(
            path.stat().st_size for path in write_plots(book, tmp_path / name) if "svg" in path.name
        )
        for name, book in (("few", few), ("many", many))
    ]
    assert sizes[1] < 1.3 * sizes[0]


@settings(max_examples=60, deadline=None)
@given(books(), st.sampled_from([1, 2, 20]))
def test_bins_hold_every_row_once_and_no_bin_crosses_a_session(book, n_bins):
    bins = time_bins(book, n_bins=n_bins)
    assert (bins.starts[0], bins.starts[-1]) == (0, book.n_rows)
    assert np.all(np.diff(bins.starts) > 0)
    for (a, b), session in zip(pairwise(bins.starts), bins.session, strict=True):
        assert set(book.session[a:b].tolist()) == {session}
    assert np.all(np.diff(bins.at_seconds) > 0)
    # The end of a session cuts a bin off; its last row may begin one.
    assert bins.session.size <= n_bins + book.session_starts.size - 1


def test_bins_stand_at_the_local_time_of_the_day():
    hours = replace(META, timezone="America/New_York", session_open="04:00", session_close="06:00")
    book = book_from_mids([100] * 11, meta=hours)
    bins = time_bins(book, n_bins=5)
    assert bins.at_seconds.tolist() == [5 * 3600 + second for second in (0, 2, 4, 6, 8, 10)]
    assert bins.starts.tolist() == [0, 2, 4, 6, 8, 10, 11]


def test_rates_count_the_days_that_were_open_at_that_time():
    # Day 0 has a row a second for 240 s, day 1 two rows a second for its first 120 s.
    first = np.arange(241)
    second = 86_400 + np.arange(241) / 2
    at = np.concatenate([first, second])
    book = book_from_mids(100 + at % 2, at_seconds=at.tolist())
    edges, rate, n_days = rate_by_time_of_day(book)
    assert n_days == 2
    assert edges[0] == 10 * 3600
    assert edges[1] - edges[0] == 2  # 240 s in at most 120 bins
    assert rate[:59] == pytest.approx(3 / 2)
    assert rate[61:119] == pytest.approx(1.0)


def at_the_edge() -> dict[str, Book]:
    rng = np.random.default_rng(3)
    plain = random_book(rng, 60, 2, meta=META_ALWAYS_OPEN)
    dollars = replace(META_ALWAYS_OPEN, instrument="A$_{B}^$ & <C>")  # what TeX would read
    return {
        "one row": plain.rows(0, 1),
        "no second level, huge spreads, a nanosecond apart": replace(
            plain,
            time_ns=plain.time_ns[0] + np.arange(60),
            ask_size=np.concatenate([plain.ask_size[:, :1], np.zeros((60, 1))], axis=1),
            bid_ticks=plain.bid_ticks - np.arange(60)[:, None] ** 4,
        ),
        "a week without a night, of dollars": random_book(
            rng, 3000, 1, mean_gap_s=300.0, meta=dollars
        ),
        "half a year of one row a day": random_book(rng, 180, 1, 180),
    }


@pytest.mark.parametrize("name", at_the_edge())
def test_books_at_the_edge_are_drawn_too(tmp_path, name):
    paths = write_plots(at_the_edge()[name], tmp_path)
    assert len(paths) == 10
    for path in paths:
        if path.suffix == ".svg":
            assert len(texts(path)) > 50
