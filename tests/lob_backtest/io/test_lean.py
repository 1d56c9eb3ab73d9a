"""Lean quotes: the five real days against an independent reading, small days by hand."""

import zipfile
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest

from tests.lob_backtest.io.imports import imported, refused, same_books, touches

NAME = "20131007_bac_Quote_Tick.csv"
DAYS = ("20131007", "20131008", "20131009", "20131010", "20131011")
OPEN_MS, CLOSE_MS = 34_200_000, 57_600_000
LINES = [
    "34199999,141800,700,0,0,P,1,0",  # before the opening: the bid is known at it
    "34200000,0,0,141900,500,Q,1,0",
    "34200000,141700,300,0,0,K,1,0",
    "34200005,0,0,141700,200,Z,1,0",  # locks the book for a moment
    "34200005,141600,900,0,0,Z,8,0",
    "34200007,1,1,2,2,N,1,1",  # suspicious: says nothing
    "34200008,0,0,0,0,N,1,0",
    "34200009,141500,100,141800,400,N,1,0",  # both sides at once
    "57600000,141500,50,0,0,N,1,0",
    "57600001,141400,50,0,0,N,1,0",
]


def write(folder: Path, lines: list[str] = LINES, member: str = NAME) -> Path:
    path = folder / "bac_tick_quote.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(member, "\n".join(lines) + "\n")
    return path


def midnight_ns(day: str) -> int:
    moment = datetime.strptime(day, "%Y%m%d").replace(tzinfo=ZoneInfo("America/New_York"))
    return int(moment.timestamp()) * 10**9


def test_a_day_by_hand(tmp_path: Path) -> None:
    book, report = imported("lean", write(tmp_path), tmp_path)
    assert touches(book) == [
        [1419, 500, 1418, 700],
        [1419, 500, 1417, 300],
        [1417, 200, 1416, 900],
        [1418, 400, 1415, 100],
        [1418, 400, 1415, 50],
    ]
    since_open = (book.time_ns - midnight_ns("20131007")) // 10**6 - OPEN_MS
    assert since_open.tolist() == [0, 0, 5, 9, CLOSE_MS - OPEN_MS]
    assert (report.events, report.rows) == (10, 5)
    assert {why: n for why, n in report.rows_dropped.items() if n} == {
        "suspicious": 1, "neither side said": 1, "outside the session": 2, "crossed or locked": 1,
    }  # fmt: skip
    assert report.events_noted["not regular by their condition"] == 1
    meta = book.meta
    assert (meta.instrument, meta.tick_size, meta.currency) == ("BAC", 0.01, "USD")
    assert (meta.timezone, meta.session_open, meta.session_close) == (
        "America/New_York", "09:30", "16:00",
    )  # fmt: skip


def independent_day(path: Path) -> tuple[pd.DataFrame, int, int]:
    """Rows of the session, and the numbers of lines and of lines that are locked within it."""
    names = ["ms", "bid", "bid_size", "ask", "ask_size"]
    lines = pd.read_csv(path, header=None, names=names, usecols=range(5))
    table = pd.DataFrame({"time_ns": midnight_ns(path.name.split("_")[1]) + lines["ms"] * 10**6})
    for side in ("ask", "bid"):
        is_said = lines[side] > 0
        table[side] = lines[side].where(is_said).ffill() / 100
        table[f"{side}_size"] = lines[f"{side}_size"].where(is_said).ffill()
    session = table[lines["ms"].between(OPEN_MS, CLOSE_MS)].dropna()
    is_locked = session["ask"] <= session["bid"]
    return session[~is_locked], len(lines), int(is_locked.sum())


def test_five_real_days_become_one_book_of_five_sessions(
    lob_data_dir: Path, tmp_path: Path
) -> None:
    paths = [lob_data_dir / "data/lean" / f"bac_{day}_tick_quote.zip" for day in DAYS]
    book, report = imported("lean", [*paths[2:], *paths[:2]], tmp_path, n_rows=100_000)
    starts = book.session_starts
    assert starts.size == 6
    n_events = n_crossed = 0
    for i, path in enumerate(paths):
        rows, n_lines, n_locked = independent_day(path)
        n_events, n_crossed = n_events + n_lines, n_crossed + n_locked
        assert starts[i + 1] - starts[i] == len(rows)
        day = slice(starts[i], starts[i + 1])
        np.testing.assert_array_equal(book.time_ns[day], rows["time_ns"])
        np.testing.assert_array_equal(
            book.features(starts[i], starts[i + 1]), rows[["ask", "ask_size", "bid", "bid_size"]]
        )
    assert (n_events, report.events) == (2_751_147, 2_751_147)
    assert report.rows == starts[-1]
    assert report.rows_dropped["crossed or locked"] == n_crossed
    dropped = sum(report.rows_dropped.values())
    assert report.rows + dropped == report.events


@pytest.mark.parametrize("n_rows", [1, 2, 3])
def test_chunks_never_show(tmp_path: Path, n_rows: int) -> None:
    path = write(tmp_path)
    whole, told = imported("lean", path, tmp_path)
    book, report = imported("lean", path, tmp_path, n_rows=n_rows)
    same_books(book, whole)
    assert report == told


def test_a_side_with_no_size_is_not_there(tmp_path: Path) -> None:
    lines = [*LINES[:3], "34200001,141700,0,0,0,K,1,0", "34200002,141700,10,0,0,K,1,0"]
    book, report = imported("lean", write(tmp_path, lines), tmp_path)
    assert book.bid_size[:, 0].tolist() == [700, 300, 10]
    assert report.rows_dropped["one side empty"] == 1


def test_winter_is_an_hour_later_and_an_extended_session_can_be_asked_for(tmp_path: Path) -> None:
    path = write(tmp_path, member="20131209_bac_Quote_Tick.csv")
    book, report = imported("lean", path, tmp_path, session=("09:29", "16:01"))
    assert int(book.time_ns[0]) == midnight_ns("20131209") + OPEN_MS * 10**6
    assert np.datetime64(int(book.time_ns[0]), "ns") == np.datetime64("2013-12-09T14:30:00")
    assert (report.rows, report.rows_dropped["outside the session"]) == (6, 0)


def test_a_csv_under_its_own_name_is_the_same_day(tmp_path: Path) -> None:
    whole, _ = imported("lean", write(tmp_path), tmp_path)
    (tmp_path / NAME).write_text("\n".join(LINES) + "\n")
    book, _ = imported("lean", tmp_path / NAME, tmp_path)
    same_books(book, whole)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("34200000,141850,1,0,0,P,1,0", "bid price between two ticks of 0.01; .*--tick-size"),
        ("34200000,-100,1,0,0,P,1,0", "bid price that is negative or too large"),
        ("34200000,141800,-1,0,0,P,1,0", "bid size that is negative or too large"),
        ("34200000,0,5,141900,1,P,1,0", "bid size without a price"),
        ("34200000,141800.5,1,0,0,P,1,0", "bid_price='141800.5' is no whole number"),
        ("34200000,nan,1,0,0,P,1,0", "bid_price='nan' is no whole number"),
        ("99999999,141800,1,0,0,P,1,0", "a time that is not within a day"),
        ("34200000,141800,1,0,0,P,1,2", "a suspicious flag that is not 0 or 1"),
        ("34200000,141800,1,0,0,P,1", "got 7 fields, needs 8"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str, message: str) -> None:
    path = write(tmp_path, [*LINES[:2], line, *LINES[2:]])
    refused("lean", path, tmp_path, f"{NAME}, line 3: {message}")


def test_a_tick_of_a_hundredth_of_a_cent_is_the_files_own(tmp_path: Path) -> None:
    path = write(tmp_path, [*LINES[:2], "34200001,141850,1,0,0,P,1,0"])
    book, _ = imported("lean", path, tmp_path, tick_size=0.0001)
    assert touches(book) == [[141900, 500, 141800, 700], [141900, 500, 141850, 1]]
    refused("lean", path, tmp_path, "have four decimals", tick_size=0.00003)


def test_other_files_are_refused(lob_data_dir: Path, tmp_path: Path) -> None:
    trades = lob_data_dir / "data/lean/bac_20131007_tick_trade.zip"
    refused("lean", trades, tmp_path, "got 20131007_bac_Trade_Tick.csv; needs a Lean day of quotes")
    refused("lean", write(tmp_path, member="quotes.csv"), tmp_path, "got quotes.csv; needs")
    odd = write(tmp_path, member="20131399_bac_Quote_Tick.csv")
    refused("lean", odd, tmp_path, "20131399 is no date")
    refused("lean", write(tmp_path), tmp_path, "got levels=2; the file has 1 to 1", levels=2)
    path = write(tmp_path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("20131008_bac_Quote_Tick.csv", "x")
    refused("lean", path, tmp_path, r"got 2 files in the zip \(2013.*unpack it")
    whole = (lob_data_dir / "data/lean/bac_20131007_tick_quote.zip").read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    refused("lean", path, tmp_path, "cannot be read .*fetch it again")
    damaged = bytearray(whole)
    damaged[len(whole) // 2] ^= 255
    path.write_bytes(bytes(damaged))
    refused("lean", path, tmp_path, r"2013.*csv.*")
