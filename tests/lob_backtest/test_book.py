"""The book table: each check refuses what it names, and files keep every value."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lob_backtest.book import Book, BookMeta, book_columns, read_book, write_book
from lob_backtest.errors import BookError, FormatError
from tests.lob_backtest.books import META, META_ALWAYS_OPEN, book_from_mids, books, random_book

TIMES = np.array([10, 11, 11, 13], dtype=np.int64)
TABLE = {"ask_ticks": (np.int64, [[101, 102], [101, 103], [102, 103], [102, 104]]),
         "ask_size": (np.float64, [[5, 6], [5, 0], [1, 2], [3, 4]]),
         "bid_ticks": (np.int64, [[100, 99], [100, 98], [100, 99], [101, 99]]),
         "bid_size": (np.float64, [[7, 8], [7, 8], [9, 0], [2, 2]])}  # fmt: skip


def four_rows(**changed: Any) -> Book:
    table = {name: np.array(rows, dtype=dtype) for name, (dtype, rows) in TABLE.items()}
    return Book(**{"meta": META_ALWAYS_OPEN, "time_ns": TIMES, **table, **changed})


def with_value(name: str, row: int, column: int, value: float) -> dict[str, Any]:
    dtype, rows = TABLE[name]
    table = np.array(rows, dtype=dtype)
    table[row, column] = value
    return {name: table}


def test_prices_spreads_and_rows_known_by_hand() -> None:
    book = four_rows()
    assert (book.n_rows, book.n_levels) == (4, 2)
    assert book.mid_ticks.tolist() == [100.5, 100.5, 101.0, 101.5]
    assert book.spread_ticks.tolist() == [1, 1, 2, 1]
    assert book.is_last_of_instant.tolist() == [True, False, True, True]
    assert book.row_known_at(np.array([9, 10, 11, 12, 13, 99])).tolist() == [-1, 0, 2, 2, 3, 3]
    assert book.features(0, 1).tolist() == [[101, 5, 100, 7, 102, 6, 99, 8]]
    assert book_columns(2) == [
        "time_ns",
        "ask_price_1", "ask_size_1", "bid_price_1", "bid_size_1",
        "ask_price_2", "ask_size_2", "bid_price_2", "bid_size_2",
    ]  # fmt: skip
    part = book.rows(1, 3)
    assert (part.time_ns.tolist(), part.mid_ticks.tolist()) == ([11, 11], [100.5, 101.0])


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"time_ns": TIMES[::-1].copy()}, "time_ns goes back in time in 2 of 4 rows, first in row"),
        (with_value("ask_ticks", 2, 0, 100), r"crossed or locked\) in 1 of 4 rows, first in row 2"),
        (with_value("bid_ticks", 3, 0, 103), r"crossed or locked\) in 1 of 4 rows, first in row 3"),
        (with_value("ask_ticks", 0, 1, 101), "levels out of order in 1 of 4 rows, first in row 0"),
        (with_value("bid_ticks", 1, 1, 100), "levels out of order in 1 of 4 rows, first in row 1"),
        (with_value("ask_size", 3, 1, -1), "ask size negative, not finite, or zero at the touch"),
        (with_value("bid_size", 2, 0, 0), "bid size negative, not finite, or zero at the touch"),
        (with_value("bid_size", 0, 1, np.nan), "bid size negative, not finite"),
        (with_value("ask_size", 0, 0, np.inf), "ask size negative, not finite"),
        ({"time_ns": TIMES - 11}, "time_ns before 1970 or after 2116 in 1 of 4 rows"),
        ({"time_ns": TIMES + 2**62}, "time_ns before 1970 or after 2116 in 4 of 4 rows"),
        (
            with_value("ask_ticks", 1, 1, 2**54),
            r"beyond 2\*\*53 ticks in 1 of 4 rows, first in row 1",
        ),
        (with_value("bid_ticks", 0, 1, -(2**54)), r"beyond 2\*\*53 ticks in 1 of 4 rows"),
        (
            {"ask_ticks": np.array(TABLE["ask_ticks"][1], dtype=np.float64)},
            "ask_ticks is of float64; needs int64",
        ),
        (
            {"bid_size": np.array(TABLE["bid_size"][1], dtype=np.int64)},
            "bid_size is of int64; needs float64",
        ),
        ({"time_ns": TIMES[:3]}, r"ask_ticks has shape \(4, 2\); needs \(3, 2\)"),
        (with_value("bid_size", 0, 0, 0) | {"bid_ticks": np.zeros((4, 3))}, "bid_ticks has shape"),
    ],
)
def test_rows_that_are_no_book_are_refused(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(BookError, match=message):
        four_rows(**changed)


def test_a_level_behind_a_missing_one_is_refused() -> None:
    with pytest.raises(BookError, match="an ask level behind a missing one in 1 of 1 rows"):
        Book(
            meta=META,
            time_ns=np.array([0]),
            ask_ticks=np.array([[101, 102, 103]]),
            ask_size=np.array([[1.0, 0.0, 2.0]]),
            bid_ticks=np.array([[100, 99, 98]]),
            bid_size=np.ones((1, 3)),
        )


def test_no_rows_are_no_book() -> None:
    with pytest.raises(BookError, match="got 0 rows of 1 levels"):
        book_from_mids([100.0]).rows(0, 0)


BREAKS: dict[str, Callable[[Book, int], Book]] = {
    "goes back in time": lambda book, row: replace(
        book, time_ns=_set(book.time_ns, row, book.time_ns[-1] + 1)
    ),
    "crossed or locked": lambda book, row: replace(
        book, ask_ticks=_set(book.ask_ticks, (row, 0), book.bid_ticks[row, 0])
    ),
    "bid size negative": lambda book, row: replace(book, bid_size=_set(book.bid_size, (row, 0), 0)),
    "ask size negative": lambda book, row: replace(
        book, ask_size=_set(book.ask_size, (row, -1), -1.0)
    ),
    "out of order": lambda book, row: replace(
        book,
        bid_ticks=np.concatenate([book.bid_ticks, _set(book.bid_ticks, row, 0)[:, -1:]], axis=1)
        + np.where(np.arange(book.n_levels + 1) == book.n_levels, 10**6, 0),
        bid_size=np.concatenate([book.bid_size, np.zeros((book.n_rows, 1))], axis=1),
        ask_ticks=np.concatenate([book.ask_ticks, book.ask_ticks[:, -1:] + 1], axis=1),
        ask_size=np.concatenate([book.ask_size, np.zeros((book.n_rows, 1))], axis=1),
    ),
}


def _set(values: np.ndarray, where: Any, value: float) -> np.ndarray:
    changed = values.copy()
    changed[where] = value
    return changed


@given(books(), st.sampled_from(sorted(BREAKS)), st.data())
def test_one_broken_value_anywhere_is_refused(book: Book, name: str, data: st.DataObject) -> None:
    row = data.draw(st.integers(0, book.n_rows - 2))
    with pytest.raises(BookError, match=f"{name}.* first in row"):
        BREAKS[name](book, row)


@given(book=books(max_rows=60))
def test_a_written_book_is_read_back_equal(
    tmp_path_factory: pytest.TempPathFactory, book: Book
) -> None:
    path = tmp_path_factory.mktemp("books") / "book.parquet"
    write_book(book, path)
    again = read_book(path)
    assert again.meta == book.meta
    for name in ("time_ns", "ask_ticks", "ask_size", "bid_ticks", "bid_size"):
        np.testing.assert_array_equal(getattr(again, name), getattr(book, name))
        assert getattr(again, name).dtype == getattr(book, name).dtype


def test_columns_on_disk_stand_in_contract_order(tmp_path: Path) -> None:
    write_book(four_rows(), tmp_path / "book.parquet")
    table = pq.read_table(tmp_path / "book.parquet")
    assert table.column_names == book_columns(2)
    assert table.column("bid_price_2").to_pylist() == [99, 98, 99, 99]
    assert sorted(json.loads(table.schema.metadata[b"lob_backtest.book"])) == [
        "currency", "instrument", "session_close", "session_open", "source", "tick_size",
        "timezone",
    ]  # fmt: skip
    assert [file.name for file in tmp_path.iterdir()] == ["book.parquet"]


def test_files_that_are_no_book_table_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "book.parquet"
    with pytest.raises(FormatError, match="no such file; make it with: lob-backtest import"):
        read_book(path)
    path.write_text("time_ns,ask_price_1\n")
    with pytest.raises(FormatError, match="not a Parquet file"):
        read_book(path)
    write_book(four_rows(), path)
    table = pq.read_table(path)

    def refused(changed: pa.Table, message: str) -> None:
        pq.write_table(changed, path)
        with pytest.raises(FormatError, match=message):
            read_book(path)

    swapped = table.select([*table.column_names[:1], *table.column_names[3:], "ask_price_1",
                            "ask_size_1"])  # fmt: skip
    refused(swapped, "got the columns time_ns, bid_price_1, .* in this order")
    refused(table.replace_schema_metadata({}), "no book metadata")
    refused(table.replace_schema_metadata({"lob_backtest.book": '{"tick_size": 1}'}),
            r"book metadata has \['tick_size'\]; needs")  # fmt: skip
    refused(table.replace_schema_metadata({"lob_backtest.book": '{"tick_'}), "are no JSON")
    refused(table.replace_schema_metadata({"lob_backtest.book": "[1]"}),
            r"book metadata has \[1\]; needs")  # fmt: skip
    known = json.loads(table.schema.metadata[b"lob_backtest.book"])
    for name, value in (("tick_size", "0.01"), ("tick_size", True), ("timezone", None)):
        raw = json.dumps(known | {name: value})
        refused(table.replace_schema_metadata({"lob_backtest.book": raw}),
                f"book metadata has {name}={value!r}; import the book anew")  # fmt: skip
    floats = table.set_column(1, "ask_price_1", table.column(1).cast(pa.float64()))
    refused(floats, "column ask_price_1 is double; needs int64")
    empty = pa.array([None, 1.0, 1.0, 1.0])
    refused(table.set_column(2, "ask_size_1", empty), "1 empty values in ask_size_1")


def test_a_damaged_book_file_is_refused_and_never_read_as_another(tmp_path: Path) -> None:
    book = random_book(np.random.default_rng(0), n_rows=300, n_levels=2)
    path = tmp_path / "book.parquet"
    write_book(book, path)
    whole = path.read_bytes()
    for cut in range(1, len(whole), len(whole) // 50):
        path.write_bytes(whole[:cut])
        with pytest.raises(
            FormatError, match=r"book\.parquet: not a Parquet file, or a damaged one"
        ):
            read_book(path)


def test_a_book_file_with_a_changed_byte_is_refused_or_has_the_same_rows(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    book = random_book(rng, n_rows=50, n_levels=1)
    path = tmp_path / "book.parquet"
    write_book(book, path)
    whole = path.read_bytes()
    for place in range(0, len(whole), 11):
        changed = bytearray(whole)
        changed[place] ^= int(rng.integers(1, 256))
        path.write_bytes(changed)
        try:
            again = read_book(path)
        except (FormatError, BookError) as error:
            assert "\n" not in str(error)  # noqa: PT017  (either is right)
            continue
        np.testing.assert_array_equal(again.time_ns, book.time_ns)
        np.testing.assert_array_equal(again.features(), book.features())


def test_a_new_local_day_opens_a_session_whatever_the_day_is_in_utc() -> None:
    local = ["2024-03-08 10:00", "2024-03-08 15:59", "2024-03-11 09:30", "2024-03-11 10:00"]
    times = pd.DatetimeIndex(local).tz_localize("America/New_York").as_unit("ns").asi8
    meta = replace(META, timezone="America/New_York")
    book = replace(four_rows(), meta=meta, time_ns=np.asarray(times))
    assert book.session.tolist() == [0, 0, 1, 1]  # clocks went forward in between
    assert book.session_starts.tolist() == [0, 2, 4]
    always = replace(book, meta=META_ALWAYS_OPEN)
    assert (always.session.tolist(), always.session_starts.tolist()) == ([0, 0, 0, 0], [0, 4])


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"tick_size": 0.0}, "tick_size=0.0: needs a positive price step"),
        ({"tick_size": np.inf}, "tick_size=inf: needs a positive price step"),
        ({"tick_size": np.nan}, "tick_size=nan: needs a positive price step"),
        ({"session_close": None}, "give both, or neither"),
        ({"session_open": "16:00"}, "needs a close after the open"),
        ({"session_open": "9h30"}, "'9h30': needs HH:MM between 00:00 and 24:00"),
        ({"session_close": "16:75"}, "'16:75': needs HH:MM"),
    ],
)
def test_metadata_that_make_no_sense_are_refused(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(BookError, match=message):
        replace(META, **changed)


@pytest.mark.parametrize("timezone", ["Mars/Olympus", "", "../UTC"])
@pytest.mark.parametrize("meta", [META, META_ALWAYS_OPEN], ids=["hours", "always open"])
def test_an_unknown_time_zone_is_refused(meta: BookMeta, timezone: str) -> None:
    with pytest.raises(BookError, match=f"timezone='{timezone}' is no known time zone"):
        replace(meta, timezone=timezone)


def test_rows_outside_the_session_are_refused_and_its_ends_belong_to_it() -> None:
    opening = 9.5 * 3600 - 10 * 3600  # META's session opens half an hour before START
    closing = opening + 6.5 * 3600
    book = book_from_mids([100, 101, 100], at_seconds=[opening, 0, closing])
    assert book.n_rows == 3
    with pytest.raises(BookError, match=r"time outside the session \(09:30 to 16:00 UTC\) in 2 of"):
        book_from_mids([100, 101, 100], at_seconds=[opening - 1e-9, 0, closing + 1e-9])
    always = book_from_mids(
        [100, 101], at_seconds=[opening - 1, closing + 1], meta=META_ALWAYS_OPEN
    )
    assert always.n_rows == 2
