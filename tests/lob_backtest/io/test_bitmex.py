"""BitMEX: the real files against an independent reading, small files by hand."""

import csv
import gzip
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from tests.lob_backtest.io.imports import imported, refused, same_books, touches

FILES = ("20200303_2145_2151", "20200304_1118_1120", "20200310_1825_1843")
ROWS = {"XBTUSD": 7_866 + 6_794 + 91_779, "ETHUSD": 4_114 + 2_128 + 28_221}


def line(second: int, ms: int, symbol: str, bid: float, tick: float = 0.5) -> str:
    asks = [bid + tick * (level + 1) for level in range(10)]
    bids = [bid - tick * level for level in range(10)]
    groups = (asks, range(1, 11), bids, range(11, 21))
    values = ",".join(f"{value:g}" for group in groups for value in group)
    return f"2020-03-03 21:45:{second:02},{ms},{symbol},{values}"


LINES = [
    line(14, 129, "XBTUSD\0\0\0\0", 8737),
    line(14, 83, "ETHUSD\0\0\0\0", 224.25, 0.05),
    line(14, 129, "XBTUSD  ", 8737.5),
    line(15, 7, '"XBTUSD"', 8736),
]


def write(folder: Path, lines: list[str] = LINES, name: str = "book.csv") -> Path:
    path = folder / name
    path.write_text("\n".join(lines) + "\n")
    return path


def test_three_lines_of_one_symbol_by_hand(tmp_path: Path) -> None:
    book, report = imported("bitmex", write(tmp_path), tmp_path, instrument="XBTUSD", levels=2)
    assert touches(book) == [[17475, 1, 17474, 11], [17476, 1, 17475, 11], [17473, 1, 17472, 11]]
    assert book.ask_ticks[0].tolist() == [17475, 17476]
    assert book.bid_size[0].tolist() == [11, 12]
    start = int(datetime(2020, 3, 3, 21, 45, 14, tzinfo=UTC).timestamp()) * 10**9
    assert (book.time_ns - start).tolist() == [129_000_000, 129_000_000, 1_007_000_000]
    meta = book.meta
    assert (meta.instrument, meta.tick_size, meta.currency) == ("XBTUSD", 0.5, "USD")
    assert (meta.timezone, meta.session_open) == ("UTC", None)
    assert (report.events, report.rows) == (4, 3)
    assert report.rows_dropped["of another instrument"] == 1


@pytest.mark.parametrize(("symbol", "tick"), [("XBTUSD", 0.5), ("ETHUSD", 0.05)])
def test_the_real_files_equal_an_independent_reading(
    lob_data_dir: Path, tmp_path: Path, symbol: str, tick: float
) -> None:
    paths = [lob_data_dir / "data/bitmex" / f"orderbook10_{name}.csv.gz" for name in FILES]
    book, report = imported("bitmex", paths, tmp_path, n_rows=7_001, instrument=symbol)
    times, expected, n_lines = [], [], 0
    for path in paths:
        with gzip.open(path, "rt", newline="") as file:
            for row in csv.reader(file):
                n_lines += 1
                if row[2].rstrip("\0 ") == symbol:
                    moment = datetime.fromisoformat(row[0]).replace(tzinfo=UTC)
                    times.append(int(moment.timestamp()) * 10**9 + int(row[1]) * 10**6)
                    ask, ask_size, bid, bid_size = (float(row[i]) for i in (3, 13, 23, 33))
                    expected.append([ask, ask_size, bid, bid_size])
    assert (report.events, report.rows, book.n_rows) == (n_lines, ROWS[symbol], ROWS[symbol])
    assert book.time_ns.tolist() == times
    ours = book.features()[:, :4] * [tick, 1, tick, 1]
    np.testing.assert_allclose(ours, expected, rtol=1e-15)
    assert book.n_levels == 10
    assert book.meta.tick_size == tick


def test_chunks_never_show(lob_data_dir: Path, tmp_path: Path) -> None:
    path = lob_data_dir / "data/bitmex" / f"orderbook10_{FILES[1]}.csv.gz"
    whole, told = imported("bitmex", path, tmp_path, instrument="ETHUSD")
    for n_rows in (1000, 37):
        book, report = imported("bitmex", path, tmp_path, n_rows=n_rows, instrument="ETHUSD")
        same_books(book, whole)
        assert report == told


def test_an_instrument_must_be_chosen_where_there_are_several(tmp_path: Path) -> None:
    path = write(tmp_path)
    refused("bitmex", path, tmp_path,
            r"the file has 2 instruments \(ETHUSD, XBTUSD\), .* --instrument ETHUSD")  # fmt: skip
    refused("bitmex", path, tmp_path, "no rows of LTCUSD; the file has ETHUSD, XBTUSD",
            instrument="LTCUSD", tick_size=0.01, currency="USD")  # fmt: skip
    book, _ = imported("bitmex", write(tmp_path, [LINES[0], LINES[3]]), tmp_path)
    assert book.meta.instrument == "XBTUSD"


def test_the_tick_and_currency_of_an_unknown_contract_are_asked_for(tmp_path: Path) -> None:
    path = write(tmp_path, [line(1, 0, "LTCUSD", 60, 0.25)])
    refused("bitmex", path, tmp_path, r"give --tick-size \(.*LTCUSD.*\); --currency \(.*LTCUSD")
    book, _ = imported("bitmex", path, tmp_path, tick_size=0.25, currency="XBT")
    assert touches(book) == [[241, 1, 240, 11]]
    assert (book.meta.currency, book.meta.tick_size) == ("XBT", 0.25)


def test_a_price_between_ticks_is_refused_with_the_step_that_fits(tmp_path: Path) -> None:
    path = write(tmp_path, [LINES[0], line(15, 0, "XBTUSD", 8737.25)])
    refused("bitmex", path, tmp_path,
            r"book.csv, line 2: ask price 8737.75 of level 1 is between two ticks of 0.5; .*"
            r"--tick-size 0.25", instrument="XBTUSD")  # fmt: skip
    book, _ = imported("bitmex", path, tmp_path, instrument="XBTUSD", tick_size=0.25)
    assert book.ask_ticks[:, 0].tolist() == [34950, 34951]


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        (0, "yesterday", "line 2: seconds='yesterday' is no time"),
        (1, "1000", "line 2: milliseconds that are not 0 to 999"),
        (1, "1.5", "line 2: ms='1.5' is no whole number"),
        (3, "x", "line 2: ask_price_1='x' is no number"),
        (3, "", "line 2: ask_price_1='' is no number"),
        (4, "nan", "line 2: ask price nan of level 2 is no finite number"),
        (4, "inf", "line 2: ask price inf of level 2 is no finite number"),
        (4, "1e300", "line 2: ask price 1e[+]300 of level 2 is more than 2.40 ticks of 0.5"),
        (23, "-1", "line 2: bid price -1 of level 1 is not positive"),
        (33, "-5", "line 2: bid size -5 of level 1 is negative"),
        (33, "1e300", "line 2: bid size 1e[+]300 of level 1 is too large"),
    ],
)
def test_a_bad_value_is_named_with_its_line(
    tmp_path: Path, field: int, value: str, message: str
) -> None:
    fields = LINES[2].split(",")
    fields[field] = value
    path = write(tmp_path, [LINES[0], ",".join(fields), LINES[3]])
    refused("bitmex", path, tmp_path, message, instrument="XBTUSD")


def test_other_tables_and_damaged_files_are_refused(lob_data_dir: Path, tmp_path: Path) -> None:
    refused("bitmex", write(tmp_path, [LINES[0], LINES[2][:-3]]), tmp_path,
            "line 2: got 42 fields, needs 43")  # fmt: skip
    refused("bitmex", write(tmp_path, [LINES[0], "", LINES[2]]), tmp_path, "line 2: ")
    refused("bitmex", lob_data_dir / "data/bitmex/trades_20200310.csv.gz", tmp_path,
            "needs BitMEX orderBook10 lines", instrument="XBTUSD")  # fmt: skip
    whole = (lob_data_dir / "data/bitmex" / f"orderbook10_{FILES[0]}.csv.gz").read_bytes()
    for cut in (len(whole) // 2, len(whole) - 4, 11):
        (tmp_path / "cut.csv.gz").write_bytes(whole[:cut])
        refused("bitmex", tmp_path / "cut.csv.gz", tmp_path, r"cut.csv.*fetch it again",
                instrument="XBTUSD")  # fmt: skip
    (tmp_path / "empty.csv").write_bytes(b"")
    refused("bitmex", tmp_path / "empty.csv", tmp_path, "the file is empty")
    refused("bitmex", tmp_path / "none.csv", tmp_path, "no such file")
    earlier = [line(16, 0, "XBTUSD", 8737), line(15, 0, "XBTUSD", 8737)]
    refused("bitmex", write(tmp_path, earlier), tmp_path, "needs rows in time order")
    refused("bitmex", write(tmp_path), tmp_path, "leave no choice of --mapping",
            instrument="XBTUSD", mapping=tmp_path / "m.yaml")  # fmt: skip
