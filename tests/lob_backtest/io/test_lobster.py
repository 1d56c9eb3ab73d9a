"""LOBSTER: the real days against an independent reading, small files by hand."""

import csv
import io
import zipfile
from dataclasses import replace
from decimal import ROUND_HALF_UP, Decimal
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lob_backtest.book import read_book
from lob_backtest.errors import FormatError
from lob_backtest.io import ImportOptions, import_book, read_lobster, read_source
from lob_backtest.io.cleaning import REASONS
from lob_backtest.io.lobster import _session, nanoseconds_of, open_lobster

NOTHING = dict.fromkeys(REASONS, 0)
NAME = "ABC_{}_34200000_57600000_{}_2.csv"
DATE = "2012-06-21"
GOOG = "LOBSTER_SampleFile_GOOG_2012-06-21_10.zip"
AMZN = "LOBSTER_SampleFile_AMZN_2012-06-21_5.zip"
MESSAGES = [
    "34200.015105074,1,11,100,1000100,1",
    "34200.1,4,11,100,1000100,1",
    "34200.1,7,0,0,-1,-1",
    "57599.999999999,3,12,100,1000200,-1",
]
BOOK = [
    "1000300,5,1000100,7,1000400,6,1000000,8",
    "1000300,5,1000000,8,9999999999,0,999900,3",
    "1000300,5,1000000,8,9999999999,0,-9999999999,0",
    "1000200,1,1000000,8,1000300,5,999900,3",
]


def write_day(
    folder: Path, book: list[str] = BOOK, messages: list[str] = MESSAGES, date: str = DATE
) -> Path:
    orderbook = folder / NAME.format(date, "orderbook")
    orderbook.write_text("\n".join(book) + "\n")
    (folder / NAME.format(date, "message")).write_text("\n".join(messages) + "\n")
    return orderbook


def test_four_rows_by_hand(tmp_path: Path) -> None:
    book, report = read_lobster(write_day(tmp_path))
    assert book.ask_ticks.tolist() == [
        [10003, 10004], [10003, 10004], [10003, 10004], [10002, 10003],
    ]  # fmt: skip
    assert book.ask_size.tolist() == [[5, 6], [5, 0], [5, 0], [1, 5]]
    assert book.bid_ticks.tolist() == [[10001, 10000], [10000, 9999], [10000, 9999], [10000, 9999]]
    assert book.bid_size.tolist() == [[7, 8], [8, 3], [8, 0], [8, 3]]
    # 09:30 in New York's summer is 13:30 UTC.
    opening = pd.Timestamp("2012-06-21T13:30", tz="UTC").value
    assert (book.time_ns - opening).tolist() == [
        15_105_074, 100_000_000, 100_000_000, 23_399_999_999_999,
    ]  # fmt: skip
    meta = book.meta
    assert (meta.instrument, meta.tick_size, meta.currency) == ("ABC", 0.01, "USD")
    assert (meta.timezone, meta.session_open, meta.session_close) == (
        "America/New_York", "09:30", "16:00",
    )  # fmt: skip
    assert report.events_noted == {"trading halts (type 7)": 1}
    assert (report.events, report.rows, report.levels) == (4, 4, 2)


def test_new_yorks_winter_is_an_hour_later_in_utc(tmp_path: Path) -> None:
    book, _ = read_lobster(write_day(tmp_path, date="2012-12-21"))
    assert pd.Timestamp(int(book.time_ns[0])) == pd.Timestamp("2012-12-21T14:30:00.015105074")


def test_crossed_and_one_sided_rows_are_dropped_and_counted(tmp_path: Path) -> None:
    rows = [
        "1000100,5,1000100,7,1000400,6,1000000,8",
        "9999999999,0,1000100,7,9999999999,0,1000000,8",
        *BOOK[2:],
    ]
    book, report = read_lobster(write_day(tmp_path, rows))
    assert book.n_rows == 2
    assert report.rows_dropped == NOTHING | {"crossed or locked": 1, "one side empty": 1}
    assert report.crossed_share_before == 0.25


@pytest.mark.parametrize("name", [GOOG, AMZN])
def test_real_days_equal_an_independent_reading(lob_data_dir: Path, name: str) -> None:
    path = lob_data_dir / "data" / "lobster" / name
    book, report = read_lobster(path)
    assert book.n_rows == report.rows == {GOOG: 147_916, AMZN: 155_935}[name]
    assert book.n_levels == {GOOG: 10, AMZN: 5}[name]
    with zipfile.ZipFile(path) as archive:
        members = {"orderbook" in member: member for member in archive.namelist()
                   if member.endswith(".csv")}  # fmt: skip
        with archive.open(members[True]) as file:
            lines = list(csv.reader(io.TextIOWrapper(file, encoding="ascii")))
        touches = [[int(field) for field in line[:4]] for line in lines]
        with archive.open(members[False]) as file:
            seconds = [Decimal(row[0]) for row in csv.reader(io.TextIOWrapper(file))]
    ours = np.column_stack(
        [book.ask_ticks[:, 0] * 100, book.ask_size[:, 0], book.bid_ticks[:, 0] * 100,
         book.bid_size[:, 0]]
    )  # fmt: skip
    np.testing.assert_array_equal(ours, np.array(touches, dtype=np.float64))
    midnight = pd.Timestamp("2012-06-21", tz="America/New_York").value
    exact = [
        midnight + int((value * 10**9).quantize(Decimal(1), rounding=ROUND_HALF_UP))
        for value in seconds
    ]
    np.testing.assert_array_equal(book.time_ns, np.array(exact))
    assert report.rows_dropped == NOTHING
    repeats = sum(a == b for a, b in pairwise(lines))
    assert report.rows_repeated == repeats > 0  # hidden executions, for one


@given(st.lists(st.tuples(st.integers(0, 86_399), st.integers(0, 10**12 - 1)), min_size=1))
def test_seconds_become_the_nearest_nanosecond(parts: list[tuple[int, int]]) -> None:
    texts = [f"{whole}.{fraction:012d}" for whole, fraction in parts]
    exact = [
        int((Decimal(text) * 10**9).quantize(Decimal(1), rounding=ROUND_HALF_UP)) for text in texts
    ]
    assert nanoseconds_of(pd.Series(texts)).tolist() == exact


def test_fewer_levels_are_the_best_ones(tmp_path: Path) -> None:
    path = write_day(tmp_path)
    whole, top = read_lobster(path)[0], read_lobster(path, levels=1)[0]
    np.testing.assert_array_equal(top.features(), whole.features()[:, :4])
    with pytest.raises(FormatError, match="got levels=3; the file has 1 to 2"):
        read_lobster(path, levels=3)


def test_several_days_join_in_time_order(tmp_path: Path) -> None:
    later, earlier = write_day(tmp_path), write_day(tmp_path, date="2012-06-20")
    out = tmp_path / "book.parquet"
    report = import_book("lobster", [later, earlier], out)
    book = read_book(out)
    assert (book.n_rows, report.rows, report.events) == (8, 8, 8)
    assert book.meta.source == f"LOBSTER, {earlier.name}; LOBSTER, {later.name}"
    assert report.events_noted == {"trading halts (type 7)": 2}
    assert book.session_starts.tolist() == [0, 4, 8]
    np.testing.assert_array_equal(book.rows(4, 8).features(), read_lobster(later)[0].features())
    # A shell's *.csv also names the message tables.
    import_book("lobster", sorted(tmp_path.glob("*.csv")), tmp_path / "all.parquet")
    assert (tmp_path / "all.parquet").read_bytes() == out.read_bytes()
    with pytest.raises(FormatError, match="overlap in time; give each day once"):
        import_book("lobster", [later, later], out)
    with pytest.raises(FormatError, match="got message tables only"):
        import_book("lobster", sorted(tmp_path.glob("*_message_*")), out)
    assert (tmp_path / "all.parquet").read_bytes() == out.read_bytes()


def test_what_the_options_say_replaces_what_the_format_says(tmp_path: Path) -> None:
    path = write_day(tmp_path)
    options = ImportOptions(
        instrument="ABC.N", tick_size=0.0001, currency="CAD", session=("09:30", "12:00")
    )
    book, report = read_source(open_lobster(path, options))
    assert book.ask_ticks[0].tolist() == [1_000_300, 1_000_400]
    assert report.rows_dropped["outside the session"] == 1
    assert book.meta == replace(
        read_lobster(path)[0].meta,
        instrument="ABC.N", tick_size=0.0001, currency="CAD", session_close="12:00",
    )  # fmt: skip
    with pytest.raises(FormatError, match="leave no choice of --timezone; leave it out"):
        open_lobster(path, ImportOptions(timezone="UTC"))
    with pytest.raises(FormatError, match=r"tick size 0.00015: LOBSTER prices are dollars in"):
        open_lobster(path, ImportOptions(tick_size=0.00015))


@pytest.mark.parametrize(
    ("row", "line", "message"),
    [
        (
            1,
            "1000350,5,1000000,8,1000400,6,999900,3",
            "line 2: an ask price between two ticks of 0.01",
        ),
        (
            3,
            "1000300,5,1000001,8,1000400,6,999900,3",
            "line 4: a bid price between two ticks of 0.01",
        ),
        (0, "1000300,-5,1000100,7,1000400,6,1000000,8", "line 1: a negative size"),
        (2, "1000300,5,1000000,8,9999999999,4,999900,3", "line 3: a size at a missing level"),
        (2, "1000300,5,1000000,x,1000400,6,999900,3", "line 3: column 4='x'"),
        (2, "1000300,5,1000000", "line 3: column 4=''"),
    ],
)
def test_a_bad_row_is_named(tmp_path: Path, row: int, line: str, message: str) -> None:
    rows = [*BOOK[:row], line, *BOOK[row + 1 :]]
    with pytest.raises(FormatError, match=f"ABC_.*orderbook_2.csv, {message}"):
        read_lobster(write_day(tmp_path, rows))


def test_days_that_are_not_whole_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"4 rows in ABC_.* and 3 in ABC_.*: fetch both again"):
        read_lobster(write_day(tmp_path, messages=MESSAGES[:3]))
    with pytest.raises(FormatError, match=r"message_2\.csv, line 1: the first field is no time"):
        read_lobster(write_day(tmp_path, messages=["9:30,1,1,1,1,1", *MESSAGES[1:]]))
    path = write_day(tmp_path)
    (tmp_path / NAME.format(DATE, "message")).unlink()
    with pytest.raises(FormatError, match=r"message_2\.csv: no such file"):
        read_lobster(path)
    nameless = path.rename(tmp_path / "book.csv")
    with pytest.raises(FormatError, match="the name says neither date nor levels"):
        read_lobster(nameless)


def test_a_table_of_more_levels_than_its_name_says_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"orderbook_2\.csv: cannot be read"):
        read_lobster(write_day(tmp_path, [row + ",1000500,1,999800,1" for row in BOOK]))


def test_zips_that_are_no_day_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "day.zip"
    orderbook = NAME.format(DATE, "orderbook")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(orderbook, "\n".join(BOOK))
    with pytest.raises(FormatError, match=r"message_2\.csv is missing in the zip"):
        read_lobster(path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(NAME.format(DATE, "message"), "\n".join(MESSAGES))
    assert read_lobster(path)[0].n_rows == 4
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(FormatError, match=r"day\.zip: cannot be read .*fetch it again"):
        read_lobster(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "nothing")
    with pytest.raises(FormatError, match=r"got \['readme.txt'\] in the zip"):
        read_lobster(path)


@pytest.mark.parametrize(
    ("start", "end", "session"),
    [
        (34_200_000, 57_600_000, ("09:30", "16:00")),
        (36_000_000, 37_800_000, ("09:30", "16:00")),  # half an hour of the session
        (14_400_000, 72_000_000, ("04:00", "20:00")),
        (34_170_000, 57_601_000, ("09:29", "16:01")),
    ],
)
def test_the_session_is_as_long_as_the_files_name_says(start, end, session) -> None:
    assert _session(start, end) == session
