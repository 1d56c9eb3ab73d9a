"""Tables through a mapping: a foreign csv by hand, the real LOBSTER day, every kind of time."""

import csv
import io
import zipfile
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from lob_backtest.io import read_lobster
from lob_backtest.io.mapping_times import time_ns
from lob_backtest.io.mapping_yaml import TimeColumns
from lob_backtest.io.tables import Place
from tests.lob_backtest.io.imports import imported, refused, same_books, touches

LEVELS = {
    "count": 2,
    "ask_price": "ap{level:02d}",
    "ask_size": "as{level:02d}",
    "bid_price": "bp{level:02d}",
    "bid_size": "bs{level:02d}",
}
MAPPING: dict[str, Any] = {
    "instrument": "ACME",
    "tick_size": 0.01,
    "currency": "USD",
    "time": {"column": "t", "unit": "ns"},
    "levels": LEVELS,
}
HEADER = "t,ap01,as01,bp01,bs01,ap02,as02,bp02,bs02,note"
LINES = [
    "1704465000000000001,10.02,5,10.01,6,10.03,7,10.00,8,first",
    "1704465000000000001,10.02,5,10.01,6.5,10.04,7,10.00,8,",
    "1704465001000000000,10.03,4,10.01,6,10.05,7,9.99,8,x",
]
ROWS = [[1002, 5, 1001, 6], [1002, 5, 1001, 6.5], [1003, 4, 1001, 6]]


def write_mapping(folder: Path, **changes: Any) -> Path:
    mapping = {key: value for key, value in {**MAPPING, **changes}.items() if value is not None}
    path = folder / "mapping.yaml"
    path.write_text(yaml.safe_dump(mapping))
    return path


def write(folder: Path, lines: list[str] = LINES, header: str | None = HEADER) -> Path:
    path = folder / "table.csv"
    path.write_text("\n".join([*([header] if header else []), *lines]) + "\n")
    return path


def test_a_csv_by_hand(tmp_path: Path) -> None:
    mapping = write_mapping(tmp_path)
    book, report = imported("mapped", write(tmp_path), tmp_path, mapping=mapping)
    assert touches(book) == ROWS
    assert book.ask_ticks[:, 1].tolist() == [1003, 1004, 1005]
    assert book.time_ns.tolist() == [1704465000000000001] * 2 + [1704465001000000000]
    assert (report.events, report.rows) == (3, 3)
    meta = book.meta
    assert (meta.instrument, meta.tick_size, meta.currency) == ("ACME", 0.01, "USD")
    assert (meta.timezone, meta.session_open) == ("UTC", None)
    top, _ = imported("mapped", tmp_path / "table.csv", tmp_path, mapping=mapping, levels=1)
    assert top.n_levels == 1
    for n_rows in (1, 2):
        again, told = imported("mapped", tmp_path / "table.csv", tmp_path, mapping=mapping,
                               n_rows=n_rows)  # fmt: skip
        same_books(again, book)
        assert told == report


def test_parquet_is_the_same_book_as_csv(tmp_path: Path) -> None:
    mapping = write_mapping(tmp_path)
    book, _ = imported("mapped", write(tmp_path), tmp_path, mapping=mapping)
    frame = pd.read_csv(tmp_path / "table.csv")
    for name, kind in (("as01", "int32"), ("bp01", "str"), ("t", "datetime64[ns]")):
        frame[name] = frame[name].astype(kind)
        frame.to_parquet(tmp_path / "table.parquet")
        same, _ = imported("mapped", tmp_path / "table.parquet", tmp_path, mapping=mapping)
        np.testing.assert_array_equal(same.features(), book.features())
        np.testing.assert_array_equal(same.time_ns, book.time_ns)


def test_options_of_the_command_go_before_the_mapping(tmp_path: Path) -> None:
    mapping = write_mapping(tmp_path, session="09:30-16:00", timezone="America/New_York")
    book, _ = imported("mapped", write(tmp_path), tmp_path, mapping=mapping)
    assert (book.meta.session_open, book.meta.session_close) == ("09:30", "16:00")
    book, _ = imported("mapped", write(tmp_path), tmp_path, mapping=mapping, instrument="X",
                       tick_size=0.005, currency="EUR", session=("08:00", "20:00"),
                       timezone="Europe/Paris")  # fmt: skip
    assert touches(book)[0] == [2004, 5, 2002, 6]
    meta = book.meta
    assert (meta.instrument, meta.tick_size, meta.currency) == ("X", 0.005, "EUR")
    assert (meta.timezone, meta.session_open) == ("Europe/Paris", "08:00")


def test_what_nobody_says_is_asked_for_at_once(tmp_path: Path) -> None:
    path = write(tmp_path)
    refused("mapped", path, tmp_path, "give --mapping")
    mapping = write_mapping(tmp_path, instrument=None, tick_size=None, currency=None)
    refused("mapped", path, tmp_path, "give --instrument .*; --tick-size .*; --currency",
            mapping=mapping)  # fmt: skip


def test_every_error_of_a_mapping_is_shown_at_once(tmp_path: Path) -> None:
    levels = {**LEVELS, "ask_price": "ap{lvl}", "coutn": 3}
    mapping = write_mapping(
        tmp_path, instrumnt="A", tick_size=-1, levels=levels, time={"column": "t", "unit": "h"}
    )
    told = refused("mapped", write(tmp_path), tmp_path, "problems in the config", mapping=mapping)
    for line in (
        "instrumnt: unknown key; did you mean instrument?",
        "levels.coutn: unknown key; did you mean count?",
        "time.unit: got 'h'; needs 'ns' or 'us' or 'ms' or 's' or 'iso'",
    ):
        assert line in told


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"levels": {**LEVELS, "ask_price": "ap"}}, "ap: named more than once"),
        ({"levels": {**LEVELS, "ask_price": "ap{lvl}"}}, r"ask_price: got 'ap\{lvl\}'; needs a pa"),
        ({"levels": {**LEVELS, "ask_price": ["a"]}}, "ask_price: 1 columns; needs count=2"),
        ({"levels": {**LEVELS, "ask_price": ["ap01", "bp01"]}}, "bp01: named more than once"),
        ({"levels": {**LEVELS, "count": 0}}, "count: got 0; needs at least 1"),
        ({"tick_size": 0}, "tick_size: got 0.0; needs a positive number"),
        ({"session": "9 to 5"}, "session: got '9 to 5'; needs local times as 09:30-16:00"),
        ({"session": "16:00-09:30"}, "needs a close after the open"),
        ({"timezone": "Mars/Base"}, "timezone: got 'Mars/Base'; needs an IANA name"),
        ({"time": {"column": "t", "unit": "s", "date": "x"}}, "date: got 'x'; needs a day"),
        ({"time": {"column": "t", "unit": "s", "date": "2024-01-05", "date_column": "d"}},
         "give one of them"),
        ({"time": {"column": "time", "unit": "s"}}, "no column time"),
        ({"text": {"delimiter": ";;"}}, "delimiter: got ';;'; needs one character"),
        ({"text": {"delimiter": "\n"}}, "delimiter: got .* needs one character"),
        ({"levels": {**LEVELS, "ask_price": "ap{level}"}},
         r"no column ap1 \(did you mean ap01\?\), ap2 \(did you mean ap02\?\)"),
    ],
)  # fmt: skip
def test_a_mapping_that_cannot_be_is_refused(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    refused(
        "mapped", write(tmp_path), tmp_path, message, mapping=write_mapping(tmp_path, **changes)
    )


def test_columns_by_number_another_delimiter_and_scales(tmp_path: Path) -> None:
    lines = [f"{line.rpartition(',')[0]}".replace(",", "\t").replace(".", "") for line in LINES[:1]]
    levels = {"count": 2, "ask_price": [2, 6], "ask_size": [3, 7], "bid_price": [4, 8],
              "bid_size": [5, 9]}  # fmt: skip
    mapping = write_mapping(
        tmp_path, levels=levels, time={"column": 1, "unit": "ns"}, price_scale=0.01,
        size_scale=100, text={"header": False, "delimiter": "\t", "skip_lines": 1},
    )  # fmt: skip
    path = write(tmp_path, lines, header="made on a Friday")
    book, _ = imported("mapped", path, tmp_path, mapping=mapping)
    assert touches(book) == [[1002, 500, 1001, 600]]
    assert book.ask_ticks.tolist() == [[1002, 1003]]
    short = write(tmp_path, [lines[0].rpartition("\t")[0]], header="made on a Friday")
    refused("mapped", short, tmp_path, "no column column 9", mapping=mapping)


def test_marks_of_missing_levels(tmp_path: Path) -> None:
    lines = [LINES[0], LINES[1].replace("10.04,7", ","), LINES[2].replace("10.05,7", "-1,NA")]
    path = write(tmp_path, lines)
    book, _ = imported("mapped", path, tmp_path,
                       mapping=write_mapping(tmp_path, missing=["", "-1", "NA"]))  # fmt: skip
    assert book.ask_size[:, 1].tolist() == [7, 0, 0]
    assert book.ask_ticks[:, 1].tolist() == [1003, 1003, 1004]
    refused("mapped", path, tmp_path, "line 3: ap02='' is no number",
            mapping=write_mapping(tmp_path))  # fmt: skip
    half = write(tmp_path, [LINES[0].replace("10.03,7", ",7")])
    refused("mapped", half, tmp_path, "line 2: ask size 7 of level 2 is without a price",
            mapping=write_mapping(tmp_path, missing=[""]))  # fmt: skip
    frame = pd.read_csv(write(tmp_path, lines[:2]))
    frame.to_parquet(tmp_path / "table.parquet")
    refused("mapped", tmp_path / "table.parquet", tmp_path, r"row 2: an empty ask price.*missing:",
            mapping=write_mapping(tmp_path))  # fmt: skip
    book, _ = imported("mapped", tmp_path / "table.parquet", tmp_path,
                       mapping=write_mapping(tmp_path, missing=[""]))  # fmt: skip
    assert book.ask_size[:, 1].tolist() == [7, 0]


def test_a_column_of_instruments(tmp_path: Path) -> None:
    lines = [LINES[0].replace("first", "ACME"), LINES[1] + "OTHER", LINES[2][:-1] + "ACME"]
    mapping = write_mapping(tmp_path, instrument_column="note")
    book, report = imported("mapped", write(tmp_path, lines), tmp_path, mapping=mapping)
    assert touches(book) == [ROWS[0], ROWS[2]]
    assert report.rows_dropped["of another instrument"] == 1
    refused("mapped", write(tmp_path, lines), tmp_path, "no rows of X; the file has ACME, OTHER",
            mapping=mapping, instrument="X")  # fmt: skip


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        (0, "x", "line 3: t is no number of ns"),
        (0, "-5", "line 3: t is no number of ns"),
        (0, "99999999999999999999", "line 3: t is no number of ns"),
        (0, "9999999999999999999", "line 3: t is beyond the times that there are"),
        (0, "", "line 3: t is no number of ns"),
        (0, "1604465000000000000", "needs rows in time order"),
        (1, "ten", "line 3: ap01='ten' is no number"),
        (1, "nan", "line 3: ask price nan of level 1"),
        (1, "10.025", "line 3: ask price 10.025 .*--tick-size 0.005"),
        (2, "-5", "line 3: ask size -5 of level 1 is negative"),
        (2, "inf", "line 3: ask size inf of level 1"),
        (3, "1e99", "line 3: bid price 1e[+]99 of level 1 is more than"),
    ],
)
def test_a_bad_value_is_named(tmp_path: Path, field: int, value: str, message: str) -> None:
    fields = LINES[1].split(",")
    fields[field] = value
    path = write(tmp_path, [LINES[0], ",".join(fields), LINES[2]])
    refused("mapped", path, tmp_path, f"table.csv, .*{message}", mapping=write_mapping(tmp_path))


def test_lobsters_real_day_through_a_mapping(lob_data_dir: Path, tmp_path: Path) -> None:
    """The two tables side by side: seconds after midnight in New York, prices * 10,000."""
    source = lob_data_dir / "data/lobster/LOBSTER_SampleFile_GOOG_2012-06-21_1.zip"
    with zipfile.ZipFile(source) as archive:
        tables = {
            kind: archive.read(next(name for name in archive.namelist() if kind in name))
            for kind in ("message", "orderbook")
        }
    messages, books = (list(csv.reader(io.StringIO(tables[kind].decode())))
                       for kind in ("message", "orderbook"))  # fmt: skip
    with (tmp_path / "day.csv").open("w", newline="") as file:
        csv.writer(file).writerows(
            [message[0], *book] for message, book in zip(messages, books, strict=True)
        )
    levels = {"count": 1, "ask_price": [2], "ask_size": [3], "bid_price": [4], "bid_size": [5]}
    mapping = write_mapping(
        tmp_path, instrument="GOOG", timezone="America/New_York", session="09:30-16:00",
        time={"column": 1, "unit": "s", "date": "2012-06-21", "timezone": "America/New_York"},
        levels=levels, price_scale=0.0001, text={"header": False},
    )  # fmt: skip
    book, report = imported("mapped", tmp_path / "day.csv", tmp_path, mapping=mapping, n_rows=9_999)
    expected, _ = read_lobster(source)
    assert report.rows == 49_482
    np.testing.assert_array_equal(book.time_ns, expected.time_ns)
    np.testing.assert_array_equal(book.features(), expected.features())


def times(column: Any, time: TimeColumns, date: Any = None) -> list[int]:
    columns = {"t": pa.array(column), **({} if date is None else {"d": pa.array(date)})}
    batch = pa.record_batch(columns)
    place = Place(name="f", numbers=np.arange(batch.num_rows), unit="line", wanted="times")
    names = {"time": "t", "date": "d"} if date is not None else {"time": "t"}
    return time_ns(place, batch, time, names).tolist()


NY = "America/New_York"
NOON = int(datetime(2024, 1, 5, 17, tzinfo=UTC).timestamp()) * 10**9  # noon in New York


@pytest.mark.parametrize(
    ("column", "time", "date"),
    [
        ([str(NOON)], {"unit": "ns"}, None),
        ([f"{NOON // 1000}.000"], {"unit": "us"}, None),
        ([NOON // 10**6], {"unit": "ms"}, None),
        ([float(NOON // 10**9)], {"unit": "s"}, None),
        (["2024-01-05T17:00:00Z"], {"unit": "iso"}, None),
        (["2024-01-05 12:00:00.000000000-05:00"], {"unit": "iso"}, None),
        (["2024-01-05 12:00"], {"unit": "iso", "timezone": NY}, None),
        ([datetime(2024, 1, 5, 12)], {"unit": "iso", "timezone": NY}, None),
        (["12:00:00"], {"unit": "iso", "timezone": NY, "date": "2024-01-05"}, None),
        (["43200.000000000"], {"unit": "s", "timezone": NY, "date_column": "d"}, ["2024-01-05"]),
        ([43_200_000], {"unit": "ms", "timezone": NY, "date_column": "d"}, ["20240105"]),
        ([43_200_000], {"unit": "ms", "timezone": NY, "date_column": "d"}, [datetime(2024, 1, 5)]),
    ],
)
def test_one_instant_in_many_clothes(column: Any, time: dict[str, Any], date: Any) -> None:
    assert times(column, TimeColumns(column="t", **time), date) == [NOON]


@given(st.lists(st.tuples(st.integers(0, 2 * 10**9), st.integers(0, 10**9 - 1)), min_size=1))
def test_decimal_seconds_are_exact(parts: list[tuple[int, int]]) -> None:
    column = [f"{whole}.{fraction:09d}" for whole, fraction in parts]
    expected = [int(Decimal(text) * 10**9) for text in column]
    assert times(column, TimeColumns(column="t", unit="s")) == expected
    in_ms = [f"{Decimal(text) * 1000:f}" for text in column]
    assert times(in_ms, TimeColumns(column="t", unit="ms")) == expected


def test_a_yaml_date_is_a_day(tmp_path: Path) -> None:
    mapping = write_mapping(tmp_path)
    text = mapping.read_text().replace("  unit: ns", "  unit: s\n  date: 2024-01-05")
    assert "date: 2024-01-05" in text
    mapping.write_text(text)
    lines = ["1.5" + LINES[0][19:], "2" + LINES[2][19:]]
    book, _ = imported("mapped", write(tmp_path, lines), tmp_path, mapping=mapping)
    midnight = int(datetime(2024, 1, 5, tzinfo=UTC).timestamp()) * 10**9
    assert (book.time_ns - midnight).tolist() == [1_500_000_000, 2_000_000_000]


@pytest.mark.parametrize(
    ("column", "time", "message"),
    [
        (["2024-03-10 02:30:00"], {"timezone": NY}, "a time that America/New_York does not have"),
        (["2024-11-03 01:30:00"], {"timezone": NY}, "does not have, or has twice"),
        (["2024-01-05 12:00", "soon"], {}, "line 1: t is no time as 2024-01-05T14:30:00.5Z"),
        (["2024-01-05 12:00Z", "2024-01-05 12:00"], {}, "line 1: .*with an offset as the first"),
        (["25:00:00"], {"date": "2024-01-05"}, "line 0: t is no time of day"),
        ([1.5], {"unit": "ms"}, "t is no column of whole numbers"),
        (["86400"], {"unit": "s", "date": "2024-01-05"}, "t is no time of a day"),
        ([datetime(3000, 1, 1)], {}, "beyond the times that nanoseconds reach"),
    ],
)
def test_times_that_are_none_are_refused(column: Any, time: dict[str, Any], message: str) -> None:
    with pytest.raises(Exception, match=message):
        times(column, TimeColumns(column="t", **{"unit": "iso", **time}))


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    mapping = write_mapping(tmp_path)
    path = tmp_path / "table.parquet"
    pd.read_csv(write(tmp_path)).to_parquet(path)
    path.write_bytes(path.read_bytes()[:-30])
    refused("mapped", path, tmp_path, "cannot be read", mapping=mapping)
    path.write_bytes(b"\xff\xfe\x00garbage")
    refused("mapped", path, tmp_path, "cannot be read|no column", mapping=mapping)
    twice = write(tmp_path, header=HEADER.replace("note", "ap01"))
    refused("mapped", twice, tmp_path, "ap01 stand more than once", mapping=mapping)
    refused("mapped", write(tmp_path, []), tmp_path, "no lines of data", mapping=mapping)
    frame = pd.read_csv(write(tmp_path))
    frame["ap01"] = ["10.02", "x", "10.03"]
    pq.write_table(pa.Table.from_pandas(frame), path)
    refused("mapped", path, tmp_path, "row 2: ap01 is no number", mapping=mapping)
