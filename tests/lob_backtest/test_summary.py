"""What a book is like: counted by hand on a few rows, and by another way on random books."""

import json
import math
import zipfile
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lob_backtest.book import Book
from lob_backtest.cli import main
from lob_backtest.errors import BookError
from lob_backtest.io.lobster import read_lobster
from lob_backtest.io.summary import common_step_ticks, inspect_book
from tests.lob_backtest.books import META_ALWAYS_OPEN, SECOND, book_from_mids, books


def scaled(book: Book, factor: int) -> Book:
    """The same book with prices that use every ``factor``-th tick only."""
    return replace(book, ask_ticks=book.ask_ticks * factor, bid_ticks=book.bid_ticks * factor)


def test_silences_are_counted_within_sessions_and_the_longest_come_first():
    book = book_from_mids(
        [100, 101, 102, 103, 104, 105, 106],
        at_seconds=[0, 100, 101, 171, 86_400, 86_461, 86_471],
    )
    figures = inspect_book(book)
    assert figures["gaps"] == {
        "longer_than_seconds": 60.0,
        "n": 3,  # 100, 70 and 61 seconds; the night is none
        "seconds": 231.0,
        "share_of_time": pytest.approx(231 / (171 + 71)),
    }
    longest = figures["longest_silences"]
    assert [gap["seconds"] for gap in longest] == [100, 70, 61, 10, 1]
    assert longest[2] == {
        "seconds": 61.0,
        "start": "2020-01-07T10:00:00+00:00",
        "end": "2020-01-07T10:01:01+00:00",
        "session": 1,
    }
    assert figures["seconds_between_rows"]["p50"] == 61
    assert figures["warnings"] == [
        "3 silences longer than 60 s inside sessions (95.5% of the time): windows and labels reach "
        "across them"
    ]
    assert inspect_book(book, gap_seconds=100)["gaps"]["n"] == 0  # longer, not as long


def test_rates_are_over_the_time_that_the_rows_span():
    book = book_from_mids(
        [100, 101, 102, 101, 100, 101], at_seconds=[0, 0.5, 1.2, 1.4, 1.9, 86_400]
    )
    figures = inspect_book(book)
    assert [session["events_per_second"] for session in figures["sessions"]] == [5 / 1.9, None]
    assert figures["busiest_second"] == {"start": "2020-01-06T10:00:01+00:00", "rows": 3}


def test_repeats_are_rows_that_show_nothing_new():
    book = book_from_mids(
        [100, 100, 100, 101, 101], at_seconds=[0, 1, 1, 2, 86_400], ask_size=[5, 5, 6, 6, 6]
    )
    figures = inspect_book(book)
    # Row 1 repeats row 0; row 2 has another size, and row 4 opens a session.
    assert (figures["repeated_rows"], figures["repeated_instants"]) == (1, 1)
    still = inspect_book(book_from_mids([100] * 10))
    assert still["repeated_rows"] == 9
    assert still["warnings"] == [
        "9 of 10 rows repeat the row before: horizons and windows in rows are shorter than they "
        "look"
    ]


def test_the_depth_is_told_level_by_level_and_made_up_prices_do_not_count():
    book = book_from_mids([100, 100, 101, 100], n_levels=2, ask_size=[1, 2, 3, 2])
    thin = book.ask_size.copy()
    thin[2, 1] = 0.0
    first, second = inspect_book(replace(book, ask_size=thin))["depth"]
    assert (first["ask_size"], first["bid_size"]) == (2.0, 10.0)
    assert (first["ask_distance_ticks"], first["ask_missing_share"]) == (1.0, 0.0)
    assert second == {
        "level": 2, "ask_size": (2 + 4 + 0 + 4) / 4, "ask_distance_ticks": 2.0,
        "ask_missing_share": 0.25, "bid_size": 20.0, "bid_distance_ticks": 2.0,
        "bid_missing_share": 0.0,
    }  # fmt: skip


def test_a_tick_that_no_price_uses_is_warned_of():
    book = book_from_mids([100, 101, 103, 106, 110, 115, 120, 100.5], n_levels=3)
    figures = inspect_book(book)
    assert (figures["common_step_ticks"], figures["warnings"]) == (1, [])
    figures = inspect_book(scaled(book, 5))
    assert figures["common_step_ticks"] == 5
    assert figures["warnings"] == [
        "all prices are multiples of 5 ticks of 0.01 apart: the tick is probably 0.05, and every "
        "figure in ticks 5 times too large"
    ]


def test_a_few_prices_are_too_few_to_doubt_the_tick():
    figures = inspect_book(scaled(book_from_mids([100, 101, 103, 105]), 5))
    assert (figures["common_step_ticks"], figures["warnings"]) == (5, [])


def test_the_made_up_prices_of_missing_levels_do_not_hide_a_wrong_tick():
    book = scaled(book_from_mids([100, 101, 103], n_levels=2), 5)
    size, ticks = book.ask_size.copy(), book.ask_ticks.copy()
    size[:, 1], ticks[:, 1] = 0.0, ticks[:, 0] + 1
    assert common_step_ticks(replace(book, ask_size=size, ask_ticks=ticks)) == 5


@settings(max_examples=60, deadline=None)
@given(books(max_rows=60), st.integers(1, 40))
def test_the_common_step_is_the_divisor_of_all_differences(book, factor):
    existing = np.concatenate(
        [book.ask_ticks[book.ask_size > 0], book.bid_ticks[book.bid_size > 0]]
    )
    expected = math.gcd(*(int(price - existing[0]) for price in existing))
    assert common_step_ticks(book) == expected
    # A made-up price of the scaled book is still a tick beside its neighbour's: sizes decide.
    assert common_step_ticks(scaled(book, factor)) == expected * factor


@settings(max_examples=60, deadline=None)
@given(books())
def test_figures_agree_with_a_plain_reading_of_the_rows(book):
    figures = inspect_book(book, gap_seconds=2.0)
    waits, same, per_second = [], 0, {}
    for row in range(book.n_rows):
        second = int(book.time_ns[row]) // SECOND
        per_second[second] = per_second.get(second, 0) + 1
        if row and book.session[row] == book.session[row - 1]:
            waits.append((int(book.time_ns[row]) - int(book.time_ns[row - 1])) / SECOND)
            same += all(
                (columns[row] == columns[row - 1]).all()
                for columns in (book.ask_ticks, book.ask_size, book.bid_ticks, book.bid_size)
            )
    assert figures["repeated_rows"] == same
    assert figures["busiest_second"]["rows"] == max(per_second.values())
    assert figures["gaps"]["n"] == sum(wait > 2 for wait in waits)
    longest = [gap["seconds"] for gap in figures["longest_silences"]]
    assert longest == pytest.approx(sorted(waits, reverse=True)[:5])
    between = figures["seconds_between_rows"]
    assert between["p99"] == pytest.approx(np.quantile(waits, 0.99))
    assert sum(session["rows"] for session in figures["sessions"]) == book.n_rows
    distance = (book.ask_ticks[:, 0] - book.mid_ticks).mean()
    assert figures["depth"][0]["ask_distance_ticks"] == pytest.approx(distance)
    assert json.loads(json.dumps(figures, allow_nan=False)) == figures


def test_a_book_of_one_row_has_no_silences_and_no_tick_to_doubt():
    figures = inspect_book(book_from_mids([100.5], meta=META_ALWAYS_OPEN))
    assert figures["seconds_between_rows"] is None
    assert figures["longest_silences"] == []
    assert (figures["common_step_ticks"], figures["warnings"]) == (1, [])


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf")])
def test_a_gap_of_no_length_is_refused(seconds):
    with pytest.raises(BookError, match=f"gap_seconds={seconds}: needs a number of seconds above"):
        inspect_book(book_from_mids([100, 101]), gap_seconds=seconds)


def test_the_command_tells_everything_and_writes_the_plots(tmp_path, capsys):
    book = str(tmp_path / "book.parquet")
    recipe = ["--days", "14", "--rows-per-day", "250", "--levels", "2"]
    assert main(["synthetic", "-o", book, *recipe, "--json"]) == 0
    capsys.readouterr()
    assert main(["inspect", book, "--gap-seconds", "600"]) == 0
    text = capsys.readouterr().out
    for said in ("common step ticks", "longest silences", "depth\nlevel", "...", "warning: "):
        assert said in text
    assert main(["inspect", book, "--json", "--plots", str(tmp_path / "plots")]) == 0
    told = json.loads(capsys.readouterr().out)
    assert len(told["sessions"]) == 14
    written = sorted(str(path) for path in (tmp_path / "plots").iterdir())
    assert sorted(told["plots"]) == written
    assert len(written) == 10
    assert main(["inspect", book, "--gap-seconds", "0"]) == 2
    assert "gap_seconds=0.0: needs" in capsys.readouterr().err


def test_a_real_days_figures_equal_an_independent_reading(lob_data_dir):
    path = lob_data_dir / "data" / "lobster" / "LOBSTER_SampleFile_GOOG_2012-06-21_1.zip"
    book, _ = read_lobster(path)
    figures = inspect_book(book)
    with zipfile.ZipFile(path) as archive:
        tables = {
            kind: pd.read_csv(archive.open(name), header=None)
            for name in archive.namelist()
            for kind in ("message", "orderbook")
            if f"_{kind}_" in name
        }
    # Columns: seconds since midnight; ask price and size, bid price and size, in 1/10,000 dollar.
    at, prices = tables["message"][0], tables["orderbook"].to_numpy()
    spread = (prices[:, 0] - prices[:, 2]) // 100
    assert figures["rows"] == len(prices) == 49_482
    assert figures["spread_ticks"]["p50"] == np.median(spread)
    assert figures["spread_ticks"]["p100"] == spread.max()
    assert figures["depth"][0]["ask_size"] == pytest.approx(prices[:, 1].mean())
    assert figures["repeated_rows"] == int((prices[1:] == prices[:-1]).all(axis=1).sum())
    assert figures["repeated_instants"] == int((at.diff() == 0).sum())
    assert figures["busiest_second"]["rows"] == at.astype(int).value_counts().max()
    assert figures["longest_silences"][0]["seconds"] == pytest.approx(at.diff().max(), abs=1e-6)
    assert figures["common_step_ticks"] == 1
    assert figures["warnings"] == []
