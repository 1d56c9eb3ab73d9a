"""Snapshots with lists of levels: the real file against an independent reading, and by hand."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.lob_backtest.io.imports import imported, refused, same_books, touches

ASKED: dict[str, Any] = {"tick_size": 0.01, "currency": "USDT"}
NAMED = {**ASKED, "instrument": "BTCUSDT"}
MS = 1_771_214_400_145
# asks and bids as (price, size)
SNAPSHOTS = [
    ([(101.02, 1.5), (101.04, 2.0), (101.05, 1.0)], [(101.01, 0.5), (101.0, 4.0)]),
    ([(101.02, 1.5)], [(101.0, 4.0), (100.9, 1.0)]),
    ([(101.02, 1.5)], [(101.0, 4.0), (100.9, 1.0)]),
]


def table(*, as_text: bool = False, time: str = "ts_ms", step: int = 1) -> dict[str, list[Any]]:
    columns: dict[str, list[Any]] = {time: [MS * step + i * step for i in range(len(SNAPSHOTS))]}
    for side, i in (("asks", 0), ("bids", 1)):
        for what, j in (("px", 0), ("qty", 1)):
            lists = [[level[j] for level in snapshot[i]] for snapshot in SNAPSHOTS]
            columns[f"{side}_{what}"] = [[str(v) for v in one] if as_text else one for one in lists]
    return columns


def write(folder: Path, columns: dict[str, Any], name: str = "snapshots.parquet") -> Path:
    pq.write_table(pa.table(columns), folder / name, row_group_size=2)
    return folder / name


def write_lines(folder: Path, lines: list[Any], name: str = "snapshots.jsonl") -> Path:
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    (folder / name).write_text("\n".join(texts) + "\n")
    return folder / name


def json_lines(time: str = "ts", *, as_text: bool = True, step: int = 1) -> list[dict[str, Any]]:
    convert = str if as_text else float
    return [
        {time: (MS + i) * step,
         "asks": [[convert(price), convert(size)] for price, size in asks],
         "bids": [[convert(price), convert(size)] for price, size in bids]}
        for i, (asks, bids) in enumerate(SNAPSHOTS)
    ]  # fmt: skip


@pytest.mark.parametrize("as_text", [False, True])
def test_three_snapshots_by_hand(tmp_path: Path, as_text: bool) -> None:
    path = write(tmp_path, table(as_text=as_text))
    book, report = imported("snapshots", path, tmp_path, levels=2, **NAMED)
    assert touches(book) == [
        [10102, 1.5, 10101, 0.5],
        [10102, 1.5, 10100, 4],
        [10102, 1.5, 10100, 4],
    ]
    assert book.ask_size.tolist() == [[1.5, 2], [1.5, 0], [1.5, 0]]
    assert book.ask_ticks[:, 1].tolist() == [10104, 10103, 10103]
    assert book.bid_ticks[:, 1].tolist() == [10100, 10090, 10090]
    assert (book.time_ns - MS * 10**6).tolist() == [0, 10**6, 2 * 10**6]
    assert (report.events, report.rows) == (3, 3)
    meta = book.meta
    assert (meta.instrument, meta.tick_size, meta.currency) == ("BTCUSDT", 0.01, "USDT")
    assert (meta.timezone, meta.session_open) == ("UTC", None)
    assert imported("snapshots", path, tmp_path, **NAMED)[0].n_levels == 10


def test_the_real_file_equals_an_independent_reading(lob_data_dir: Path, tmp_path: Path) -> None:
    path = lob_data_dir / "data/binance/lobdeep_btc_spot_2026-02-16_04.parquet"
    book, report = imported("snapshots", path, tmp_path, n_rows=20_000, tick_size=0.01)
    frame = pd.read_parquet(path)
    assert (report.events, report.rows, book.n_rows) == (2_559, 2_559, len(frame))
    assert (book.meta.instrument, book.meta.currency) == ("BTCUSDT", "USDT")
    np.testing.assert_array_equal(book.time_ns, frame["ts_ms"] * 10**6)
    columns = ("asks_px", "asks_qty", "bids_px", "bids_qty")
    expected = [[row[level] for level in range(10) for row in rows]
                for rows in zip(*(frame[name] for name in columns), strict=True)]  # fmt: skip
    ours = book.features()
    ours[:, 0::2] /= 100
    np.testing.assert_allclose(ours, np.array(expected), rtol=1e-15)
    np.testing.assert_allclose(ours[:, 0], frame["best_ask"], rtol=1e-15)
    np.testing.assert_allclose(ours[:, 2], frame["best_bid"], rtol=1e-15)


@pytest.mark.parametrize("n_rows", [1, 2, 7])
def test_chunks_never_show(tmp_path: Path, n_rows: int) -> None:
    for path in (write(tmp_path, table()), write_lines(tmp_path, json_lines())):
        whole, told = imported("snapshots", path, tmp_path, **NAMED)
        book, report = imported("snapshots", path, tmp_path, n_rows=n_rows, **NAMED)
        same_books(book, whole)
        assert report == told


@pytest.mark.parametrize("as_text", [False, True])
@pytest.mark.parametrize("time", ["ts", "E", "T"])
def test_json_lines_are_the_same_book(tmp_path: Path, time: str, as_text: bool) -> None:
    whole, _ = imported("snapshots", write(tmp_path, table()), tmp_path, **NAMED)
    path = write_lines(tmp_path, json_lines(time, as_text=as_text))
    book, _ = imported("snapshots", path, tmp_path, **NAMED)
    np.testing.assert_array_equal(book.features(), whole.features())
    np.testing.assert_array_equal(book.time_ns, whole.time_ns)
    wrapped = [{"stream": "x", "data": {**line, "s": "BTCUSDT"}} for line in json_lines(time)]
    book, _ = imported("snapshots", write_lines(tmp_path, wrapped), tmp_path, **ASKED)
    np.testing.assert_array_equal(book.features(), whole.features())
    assert book.meta.instrument == "BTCUSDT"


def test_the_recorders_clock_goes_before_the_exchanges(tmp_path: Path) -> None:
    lines = [{**line, "E": MS - 200, "T": MS - 300} for line in json_lines()]
    book, _ = imported("snapshots", write_lines(tmp_path, lines), tmp_path, **NAMED)
    assert (book.time_ns - MS * 10**6).tolist() == [0, 10**6, 2 * 10**6]


@pytest.mark.parametrize(("unit", "per_ms"), [("us", 10**3), ("ns", 10**6)])
def test_the_unit_of_time_is_named_or_told_by_its_size(
    tmp_path: Path, unit: str, per_ms: int
) -> None:
    expected = [(MS + i) * 10**6 for i in range(3)]
    path = write(tmp_path, table(time=f"ts_{unit}", step=per_ms))
    book, _ = imported("snapshots", path, tmp_path, **NAMED)
    lines = write_lines(tmp_path, json_lines(step=per_ms))
    same, _ = imported("snapshots", lines, tmp_path, **NAMED)
    assert book.time_ns.tolist() == same.time_ns.tolist() == expected
    columns = table()
    columns["ts_ms"] = pd.to_datetime(columns["ts_ms"], unit="ms")
    stamped, _ = imported("snapshots", write(tmp_path, columns), tmp_path, **NAMED)
    assert stamped.time_ns.tolist() == expected


def test_what_the_file_does_not_say_is_asked_for_at_once(tmp_path: Path) -> None:
    path = write(tmp_path, table())
    told = refused("snapshots", path, tmp_path, "give --instrument .*; --tick-size .*; --currency")
    assert "the first prices lie on 0.01" in told
    columns = {**table(), "symbol": ["A", "B", "A"], "quote": ["USDT"] * 3}
    path = write(tmp_path, columns)
    refused("snapshots", path, tmp_path, r"2 instruments \(A, B\)", tick_size=0.01)
    book, report = imported("snapshots", path, tmp_path, instrument="A", tick_size=0.01)
    assert (book.n_rows, report.rows_dropped["of another instrument"]) == (2, 1)
    assert book.meta.currency == "USDT"


def changed(name: str, row: int, value: Any) -> dict[str, Any]:
    columns = table(as_text=isinstance(value, list) and any(isinstance(v, str) for v in value))
    columns[name][row] = value
    return columns


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("asks_px", [101.04, 101.02], "row 2: ask lists of prices and sizes of different lengths"),
        ("asks_px", [101.025], "row 2: ask price 101.025 of level 1 is between two ticks"),
        ("asks_px", [float("nan")], "row 2: ask price nan of level 1 is no finite number"),
        ("asks_px", ["x"], "row 2: a value in a list is no number"),
        ("asks_px", [None], "row 2: an empty value in a list"),
        ("asks_px", None, "row 2: no list of asks"),
        ("bids_px", [100.9, 101.0], "row 2: bids that do not run from the best price outwards"),
        ("bids_qty", [-1.0, 1.0], "row 2: bid size -1 of level 1 is negative"),
        ("bids_qty", [float("inf"), 1.0], "row 2: bid size inf of level 1 is no finite number"),
        ("bids_px", [-1.0, -2.0], "row 2: bid price -1 of level 1 is not positive"),
        ("ts_ms", None, "row 2: ts_ms is missing"),
        ("ts_ms", -5, "row 2: ts_ms is no time since 1970"),
        ("ts_ms", MS - 5, "needs rows in time order"),
    ],
)
def test_a_bad_row_of_parquet_is_named(tmp_path: Path, name: str, value: Any, message: str) -> None:
    refused("snapshots", write(tmp_path, changed(name, 1, value)), tmp_path, message, **NAMED)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 2: no JSON"),
        ("[]", 'line 2: no "bids" and "asks"'),
        ({"E": MS, "b": [], "a": []}, "line 2: changes of the book, no snapshot"),
        ({"bids": [], "asks": []}, "line 2: the time is None"),
        ({"ts": 1.5, "bids": [], "asks": []}, "line 2: the time is '1.5'"),
        ({"ts": 5, "bids": [], "asks": []}, "line 2: a time that is no number since 1970"),
        ({"ts": MS // 1000, "bids": [], "asks": []}, "line 2: a time in another unit"),
        ({"ts": 10**30, "bids": [], "asks": []}, "line 2: the time 10+ is too large"),
        ({"ts": MS, "bids": [["1", "x"]], "asks": []}, "line 2: could not convert .*'x'"),
        ({"ts": MS, "bids": [[1, 2], [3, 4]], "asks": []}, "line 2: bids that do not run"),
        ({"ts": MS, "bids": [[1, True]], "asks": []}, "line 2: True is no number"),
        ({"ts": MS, "bids": [1], "asks": []}, r"line 2: bids is no list of \[price, size\]"),
        ({"ts": MS, "bids": [["nan", "1"]], "asks": []}, "line 2: bid price nan"),
        ('{"ts": 1771214400145, "bids": [[NaN, 1]], "asks": []}', "line 2: bid price nan"),
        ('{"ts": 1771214400145, "bids": [[1' + "0" * 400 + ', 1]], "asks": []}', "line 2: "),
    ],
)
def test_a_bad_line_of_json_is_named(tmp_path: Path, line: Any, message: str) -> None:
    path = write_lines(tmp_path, [json_lines()[0], line, json_lines()[1]])
    refused("snapshots", path, tmp_path, message, **NAMED)


def test_an_empty_side_is_dropped_and_counted(tmp_path: Path) -> None:
    lines = [*json_lines()[:2], {"ts": MS + 2, "bids": [], "asks": [["101.02", "1"]]}]
    book, report = imported("snapshots", write_lines(tmp_path, lines), tmp_path, **NAMED)
    assert (book.n_rows, report.rows_dropped["one side empty"]) == (2, 1)


def test_other_tables_and_damaged_files_are_refused(tmp_path: Path) -> None:
    columns = table()
    del columns["asks_qty"]
    refused("snapshots", write(tmp_path, columns), tmp_path, r"got the columns ts_ms \(int64\)")
    flat = {**table(), "asks_px": [1.0, 2.0, 3.0]}
    refused("snapshots", write(tmp_path, flat), tmp_path, r"asks_px \(double\).*needs Parquet with")
    path = write(tmp_path, table())
    path.write_bytes(path.read_bytes()[:-20])
    refused("snapshots", path, tmp_path, "cannot be read", **NAMED)
    empty = {name: values[:0] for name, values in table().items()}
    schema = pa.table(table()).schema
    pq.write_table(pa.table(empty, schema=schema), path)
    refused("snapshots", path, tmp_path, "no rows", **NAMED)
