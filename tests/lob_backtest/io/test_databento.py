"""Databento: the real day against an independent reading, small files by hand, csv and DBN."""

import csv
import gzip
import io
import zipfile
from datetime import UTC, date, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from lob_backtest.io import dbn
from tests.lob_backtest.io.imports import imported, refused, touches

LAST, BAD_TIME, BAD_BOOK = 128, 8, 4
OPEN_NS = int(datetime(2025, 4, 3, 13, 30, tzinfo=UTC).timestamp()) * 10**9
UNDEFINED = 2**63 - 1
SIDES = ["bid_px", "ask_px", "bid_sz", "ask_sz"]
# nanoseconds after the open, flags, bid, ask, bid size, ask size in cents and shares; symbol
Record = tuple[int, int, int, int, int, int, str]
RECORDS: list[Record] = [
    (1, LAST, 3010, 3200, 50, 200, "FROG"),
    (5, 0, 3010, 3195, 50, 10, "FROG"),  # inside an event
    (5, LAST, 3010, 3150, 50, 30, "FROG"),
    (7, LAST | BAD_BOOK, 3011, 3150, 1, 30, "FROG"),
    (6, LAST | BAD_TIME, 3012, 3150, 2, 30, "FROG"),  # dated before the one before
    (9, LAST, 3014, 3014, 2, 30, "FROG"),  # locked
]


def iso(ns: int) -> str:
    whole = datetime.fromtimestamp(ns // 10**9, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{whole}.{ns % 10**9:09}Z"


def fields(record: Record, *, pretty: bool, levels: int, publisher: int) -> list[str]:
    after_ns, flags, bid, ask, bid_size, ask_size, symbol = record
    known, event = OPEN_NS + after_ns, OPEN_NS + after_ns - 1_000

    def price(cents: int) -> str:
        return f"{cents // 100}.{cents % 100:02}0000000" if pretty else str(cents * 10**7)

    times = [iso(known), iso(event)] if pretty else [str(known), str(event)]
    row = [*times, str(publisher), str(flags), price(bid), price(ask), str(bid_size), str(ask_size)]
    for _ in range(1, levels):  # levels that are not there
        row += ["" if pretty else str(UNDEFINED)] * 2 + ["0", "0"]
    return [*row, symbol]


def csv_text(
    records: list[Record] = RECORDS, *, pretty: bool = True, levels: int = 2, publisher: int = 2
) -> str:
    names = ["ts_recv", "ts_event", "publisher_id", "flags"]
    names += [f"{name}_{level:02}" for level in range(levels) for name in SIDES]
    rows = [fields(record, pretty=pretty, levels=levels, publisher=publisher) for record in records]
    return "\n".join(",".join(row) for row in [[*names, "symbol"], *rows]) + "\n"


def write(folder: Path, text: str, name: str = "frog.csv") -> Path:
    path = folder / name
    path.write_text(text)
    return path


@pytest.mark.parametrize("pretty", [True, False])
def test_events_become_rows_by_hand(tmp_path: Path, pretty: bool) -> None:
    book, report = imported("databento", write(tmp_path, csv_text(pretty=pretty)), tmp_path)
    assert touches(book) == [[3200, 200, 3010, 50], [3150, 30, 3010, 50], [3150, 30, 3012, 2]]
    assert (book.time_ns - OPEN_NS).tolist() == [1, 5, 6]  # ts_recv, not ts_event
    assert book.ask_size[:, 1].tolist() == [0, 0, 0]
    assert book.ask_ticks[0].tolist() == [3200, 3201]
    assert (report.events, report.rows) == (6, 3)
    assert {why: n for why, n in report.rows_dropped.items() if n} == {
        "inside an event (no F_LAST)": 1, "after a gap in the feed": 1, "crossed or locked": 1,
    }  # fmt: skip
    assert report.events_noted["with a doubtful receive time"] == 1
    meta = book.meta
    assert (meta.instrument, meta.tick_size, meta.currency) == ("FROG", 0.01, "USD")
    assert (meta.timezone, meta.session_open, meta.session_close) == (
        "America/New_York", "09:30", "16:00",
    )  # fmt: skip
    assert meta.source == "Databento, frog.csv, time is ts_recv"


@pytest.mark.parametrize("n_rows", [1, 2])
def test_a_record_dated_a_little_late_is_known_when_the_one_before_is(
    tmp_path: Path, n_rows: int
) -> None:
    records = [RECORDS[0], (9, LAST, 3011, 3200, 1, 1, "FROG"), (4, LAST, 3012, 3200, 1, 1, "FROG")]
    path = write(tmp_path, csv_text(records))
    book, report = imported("databento", path, tmp_path, n_rows=n_rows)
    assert (book.time_ns - OPEN_NS).tolist() == [1, 9, 9]
    assert report.events_noted["dated before the one before, by less than 1 s"] == 1
    records[1] = (2 * 10**9, LAST, 3011, 3200, 1, 1, "FROG")
    refused("databento", write(tmp_path, csv_text(records)), tmp_path, "needs rows in time order")


def test_the_real_day_equals_an_independent_reading(lob_data_dir: Path, tmp_path: Path) -> None:
    path = lob_data_dir / "data/databento/FROG_2025-04-03_mbp10.zip"
    book, report = imported("databento", path, tmp_path, n_rows=1_999)
    times, rows, n_lines = [], [], 0
    with zipfile.ZipFile(path) as archive, archive.open(archive.namelist()[0]) as file:
        lines = csv.reader(io.TextIOWrapper(file, "utf-8"))
        place = {name: i for i, name in enumerate(next(lines))}
        names = ("ask_px_00", "ask_sz_00", "bid_px_00", "bid_sz_00", "ask_px_09", "bid_sz_09")
        for line in lines:
            n_lines += 1
            if int(line[place["flags"]]) & LAST:
                seconds, _, rest = line[place["ts_event"]].partition(".")
                whole = datetime.fromisoformat(seconds.removesuffix("+00:00")).replace(tzinfo=UTC)
                fraction = rest.partition("+")[0].ljust(9, "0")
                times.append(int(whole.timestamp()) * 10**9 + int(fraction or 0))
                rows.append([float(line[place[name]]) for name in names])
    assert (n_lines, len(rows)) == (33_286, 31_717)
    assert (report.events, report.rows) == (n_lines, len(rows))
    assert book.time_ns.tolist() == times
    ours = [book.ask_ticks[:, 0] / 100, book.ask_size[:, 0], book.bid_ticks[:, 0] / 100,
            book.bid_size[:, 0], book.ask_ticks[:, 9] / 100, book.bid_size[:, 9]]  # fmt: skip
    np.testing.assert_allclose(np.column_stack(ours), rows, rtol=1e-15)
    assert report.rows_dropped["inside an event (no F_LAST)"] == 1_569
    assert book.meta.source.endswith("time is ts_event")  # the file has no ts_recv


def test_packed_files_are_the_same_book(tmp_path: Path) -> None:
    text = csv_text()
    whole, _ = imported("databento", write(tmp_path, text), tmp_path)
    (tmp_path / "a.gz").write_bytes(gzip.compress(text.encode()))
    with (
        pa.OSFile(str(tmp_path / "a.zst"), "wb") as raw,
        pa.CompressedOutputStream(raw, "zstd") as packed,
    ):
        packed.write(text.encode())
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.write(tmp_path / "a.zst", "frog.csv.zst")
    for name in ("a.gz", "a.zst", "a.zip"):
        book, _ = imported("databento", tmp_path / name, tmp_path)
        np.testing.assert_array_equal(book.features(), whole.features())
        whole_bytes = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(whole_bytes[: len(whole_bytes) - 6])
        refused("databento", tmp_path / name, tmp_path, "cannot be read .*fetch it again")


def test_several_instruments_and_several_venues(tmp_path: Path) -> None:
    other = [(2, LAST, 100, 101, 1, 1, "SPY"), RECORDS[0], RECORDS[2]]
    path = write(tmp_path, csv_text(other))
    refused("databento", path, tmp_path, r"has 2 instruments \(FROG, SPY\).*--instrument FROG")
    book, report = imported("databento", path, tmp_path, instrument="FROG")
    assert touches(book) == [[3200, 200, 3010, 50], [3150, 30, 3010, 50]]
    assert report.rows_dropped["of another instrument"] == 1
    refused("databento", path, tmp_path, "no rows of QQQ; the file has FROG, SPY", instrument="QQQ")
    header, *rows = csv_text(other[1:]).splitlines()
    rows[1] = rows[1].replace(",2,128,", ",3,128,")
    refused("databento", write(tmp_path, "\n".join([header, *rows])), tmp_path,
            r"several venues \(publisher_id 2, 3\)")  # fmt: skip


def test_what_is_not_known_of_other_markets_is_asked_for(tmp_path: Path) -> None:
    records = [(1, LAST, 530025, 530050, 1, 1, "ESM5")]
    path = write(tmp_path, csv_text(records, publisher=1))
    refused("databento", path, tmp_path, r"give --tick-size \(.*\); --currency \(")
    book, _ = imported("databento", path, tmp_path, tick_size=0.25, currency="USD")
    assert touches(book) == [[21202, 1, 21201, 1]]
    assert (book.meta.session_open, book.meta.timezone) == (None, "UTC")
    nameless = csv_text(records).replace(",symbol", ",x")
    refused("databento", write(tmp_path, nameless), tmp_path, "give --instrument")
    book, _ = imported("databento", path, tmp_path, instrument="ESM5", tick_size=0.25,
                       currency="USD", timezone="America/Chicago",
                       session=("08:30", "15:15"))  # fmt: skip
    assert book.meta.session_open == "08:30"


def test_a_file_that_never_ends_an_event_is_refused(tmp_path: Path) -> None:
    records = [(1, 0, 3010, 3200, 1, 1, "FROG")]
    refused("databento", write(tmp_path, csv_text(records)), tmp_path, "carries the flag F_LAST")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("32.000000000", "32.005000000", "line 2: ask price 32.005 .* --tick-size 0.005"),
        ("32.000000000", "x", "line 2: ask_px_00='x' is no number"),
        ("32.000000000", "inf", "line 2: ask price inf"),
        ("32.000000000", "", "line 2: ask size 200 of level 1 is without a price"),
        (",50,200,", ",-50,200,", "line 2: bid size -50 of level 1 is negative"),
        (",128,30.1", ",x,30.1", "line 2: flags='x' is no whole number"),
        (",128,30.1", ",,30.1", "line 2: flags is missing"),
        ("2025-04-03T13:30:00.000000001Z", "13:30", "line 2: ts_recv='13:30' is no time"),
        ("ts_recv", "ts\rrecv", "cannot be read .*fetch the file again"),
        ("flags", "flag", "got the columns ts_recv, ts_event, .*needs a Databento csv"),
        ("bid_px_00", "bid_px", "needs a Databento csv"),
    ],
)
def test_a_bad_value_is_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    text = csv_text()
    assert old in text
    refused("databento", write(tmp_path, text.replace(old, new, 1)), tmp_path, message)


def dbn_bytes(records: list[Record], schema: str = "mbp-10") -> bytes:
    native: Any = pytest.importorskip("databento_dbn")
    interval = SimpleNamespace(
        start_date=date(2025, 4, 3), end_date=date(2025, 4, 4), symbol="6292"
    )
    mapping = SimpleNamespace(raw_symbol="FROG", intervals=[interval])
    metadata = native.Metadata(
        dataset="XNAS.ITCH", start=OPEN_NS, stype_in=native.SType.RAW_SYMBOL,
        stype_out=native.SType.INSTRUMENT_ID, schema=native.Schema.from_str(schema),
        symbols=["FROG"], mappings=[mapping],
    )  # fmt: skip
    encoded = bytes(metadata)
    for after_ns, flags, bid, ask, bid_size, ask_size, symbol in records:
        level = native.BidAskPair(bid_px=bid * 10**7, ask_px=ask * 10**7, bid_sz=bid_size,
                                  ask_sz=ask_size, bid_ct=1, ask_ct=1)  # fmt: skip
        message = native.MBP10Msg(
            publisher_id=2, instrument_id=6292 if symbol == "FROG" else 7, price=0, size=1,
            action=native.Action.ADD, side=native.Side.BID, depth=0, flags=flags,
            levels=[level, *[native.BidAskPair()] * 9],  # nine that are not there
            ts_recv=OPEN_NS + after_ns, ts_event=OPEN_NS + after_ns - 1_000,
        )  # fmt: skip
        encoded += bytes(message)
    return encoded


@pytest.mark.parametrize("n_rows", [1, 4, 100])
def test_dbn_is_the_same_book_as_csv(tmp_path: Path, n_rows: int) -> None:
    (tmp_path / "frog.dbn").write_bytes(gzip.compress(dbn_bytes(RECORDS)))
    book, report = imported("databento", tmp_path / "frog.dbn", tmp_path, n_rows=n_rows, levels=2)
    expected, told = imported("databento", write(tmp_path, csv_text()), tmp_path)
    np.testing.assert_array_equal(book.features(), expected.features())
    np.testing.assert_array_equal(book.time_ns, expected.time_ns)
    assert report.rows_dropped == told.rows_dropped
    assert report.events_noted == told.events_noted
    assert book.meta.instrument == "FROG"
    assert book.meta.source == "Databento, frog.dbn, time is ts_recv"


def test_dbn_with_several_instruments_cut_off_or_of_another_schema(tmp_path: Path) -> None:
    path = tmp_path / "a.dbn"
    path.write_bytes(dbn_bytes([*RECORDS, (10, LAST, 1, 2, 1, 1, "OTHER")]))
    refused("databento", path, tmp_path, r"2 instruments \(7, FROG\)")
    path.write_bytes(dbn_bytes(RECORDS)[:-100])
    refused("databento", path, tmp_path, "a.dbn: cut off within record 6; .*fetch it again")
    path.write_bytes(dbn_bytes(RECORDS)[:40])
    refused("databento", path, tmp_path, "it ends within the metadata")
    path.write_bytes(b"DBN" + bytes([250]) + dbn_bytes(RECORDS)[4:])
    refused("databento", path, tmp_path, "a.dbn: cannot be read .*newer version of DBN")
    packed = gzip.compress(dbn_bytes(RECORDS))
    path.write_bytes(packed[: len(packed) - 5])
    refused("databento", path, tmp_path, "a.dbn: cannot be read .*fetch it again")
    foreign = bytearray(dbn_bytes(RECORDS))
    foreign[len(foreign) - 2 * 368 + 1] = 22  # rtype of a record: the last but one
    path.write_bytes(bytes(foreign))
    refused("databento", path, tmp_path, "a.dbn, record 5: a record of another kind")
    path.write_bytes(dbn_bytes([], schema="trades"))
    refused("databento", path, tmp_path, "got the schema trades; needs .*mbp-10")
    path.write_bytes(dbn_bytes([]))
    refused("databento", path, tmp_path, "no records")


def test_without_the_package_dbn_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(_: str) -> None:
        raise ImportError("databento")

    (tmp_path / "a.dbn").write_bytes(b"DBN\3 and more")
    monkeypatch.setattr(dbn, "import_module", missing)
    refused("databento", tmp_path / "a.dbn", tmp_path, r"pip install 'hfrun\[databento\]'")
