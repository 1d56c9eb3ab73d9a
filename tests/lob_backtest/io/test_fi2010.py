"""FI-2010: files of its shape made here, since the data set itself cannot be shipped."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lob_backtest.errors import FormatError
from lob_backtest.io.fi2010 import FI2010_HORIZONS, FI2010_STOCKS, read_fi2010_labels
from tests.lob_backtest.io.imports import imported, refused, same_books

TRAIN = "Train_Dst_NoAuction_DecPre_CF_7.txt"
TEST = "Test_Dst_NoAuction_DecPre_CF_7.txt"
LENGTHS = (40, 25, 31, 18, 52)
PRICES = (2615, 1352, 1760, 1310, 3905)  # cents


def matrix(rng: np.random.Generator, lengths: tuple[int, ...] = LENGTHS) -> np.ndarray:
    """``(149, N)`` in the units of the files: euros / 100, shares / 100,000."""
    n = sum(lengths)
    mid = np.concatenate(
        [price + np.cumsum(rng.integers(-1, 2, size=length))
         for price, length in zip(PRICES, lengths, strict=True)]
    )  # fmt: skip
    table = np.empty((149, n))
    for level in range(10):
        table[4 * level] = (mid + 1 + level) / 10_000
        table[4 * level + 2] = (mid - 1 - level) / 10_000
        table[4 * level + 1] = rng.integers(1, 5_000, n) / 100_000
        table[4 * level + 3] = rng.integers(1, 5_000, n) / 100_000
    table[40:144] = rng.normal(size=(104, n))
    table[144:] = rng.integers(1, 4, size=(5, n))
    return table


def write(folder: Path, table: np.ndarray, name: str = TRAIN, **how: Any) -> Path:
    np.savetxt(folder / name, table, fmt=how.get("fmt", "%16.7e"), delimiter="")
    return folder / name


@pytest.fixture
def table() -> np.ndarray:
    return matrix(np.random.default_rng(3))


@pytest.mark.parametrize("number", range(5))
def test_each_stock_equals_an_independent_reading(
    tmp_path: Path, table: np.ndarray, number: int
) -> None:
    path = write(tmp_path, table)
    book, report = imported("fi2010", path, tmp_path, instrument=FI2010_STOCKS[number])
    lines = [[float(value) for value in line.split()] for line in path.read_text().splitlines()]
    start = sum(LENGTHS[:number])
    columns = np.array(lines)[:40, start : start + LENGTHS[number]].T
    expected = np.rint(columns * np.tile([10_000, 100_000], 20))  # cents, shares
    np.testing.assert_array_equal(book.features(), expected)
    assert (report.rows, report.events) == (LENGTHS[number], sum(LENGTHS))
    assert report.rows_dropped["of another instrument"] == sum(LENGTHS) - LENGTHS[number]
    assert report.events_noted["nights inside, not marked by the file"] == 6
    meta = book.meta
    assert (meta.instrument, meta.tick_size, meta.currency) == (f"stock_{number + 1}", 0.01, "EUR")


def test_a_row_is_a_tenth_of_a_second_and_a_file_a_session(
    tmp_path: Path, table: np.ndarray
) -> None:
    paths = [write(tmp_path, table), write(tmp_path, matrix(np.random.default_rng(4)), TEST)]
    book, report = imported("fi2010", paths[::-1], tmp_path, instrument="stock_2")
    assert book.session_starts.tolist() == [0, 25, 50]
    first, second = (np.datetime64(day, "ns").astype(np.int64) for day in
                     ("2010-06-09", "2010-06-10"))  # fmt: skip
    expected = np.concatenate([midnight + np.arange(25) * 10**8 for midnight in (first, second)])
    np.testing.assert_array_equal(book.time_ns, expected)
    assert report.events_noted["nights inside, not marked by the file"] == 6
    assert "times are made up" in book.meta.source


def test_the_ten_one_day_files_are_ten_sessions(tmp_path: Path) -> None:
    names = ["Train_Dst_NoAuction_DecPre_CF_1.txt"]
    names += [f"Test_Dst_NoAuction_DecPre_CF_{fold}.txt" for fold in range(1, 10)]
    rng = np.random.default_rng(5)
    paths = [write(tmp_path, matrix(rng, (4, 3, 5, 2, 6)), name) for name in names]
    book, report = imported("fi2010", paths, tmp_path, instrument="stock_5")
    assert book.session_starts.tolist() == list(range(0, 61, 6))
    assert report.events_noted["nights inside, not marked by the file"] == 0


@pytest.mark.parametrize("n_rows", [1, 7, 18])
def test_chunks_never_show(tmp_path: Path, table: np.ndarray, n_rows: int) -> None:
    path = write(tmp_path, table)
    whole, told = imported("fi2010", path, tmp_path, instrument="stock_4", levels=3)
    book, report = imported("fi2010", path, tmp_path, n_rows=n_rows, instrument="stock_4", levels=3)
    same_books(book, whole)
    assert report == told


def test_lines_that_are_longer_than_a_block_are_read_on(tmp_path: Path) -> None:
    lengths = (6_000, 5_000, 7_000, 4_000, 9_000)  # 31,000 numbers of 16 characters a line
    table = matrix(np.random.default_rng(6), lengths)
    table[40:144] = 0
    path = write(tmp_path, table)
    book, _ = imported("fi2010", path, tmp_path, n_rows=2_500, instrument="stock_5")
    expected = np.rint(table[:40, 22_000:].T * np.tile([10_000, 100_000], 20))
    np.testing.assert_array_equal(book.features(), expected)


def test_the_benchmarks_labels_keep_their_rows(tmp_path: Path, table: np.ndarray) -> None:
    table[2, 45] = table[0, 45]  # stock_2's sixth row is locked, and no row of the book
    path = write(tmp_path, table)
    book, report = imported("fi2010", path, tmp_path, instrument="stock_2")
    found = read_fi2010_labels(path, instrument="stock_2")
    assert (report.rows, report.rows_dropped["crossed or locked"]) == (24, 1)
    assert found.labels.shape == (25, len(FI2010_HORIZONS))
    names = {1: 2, 2: 1, 3: 0}  # there 1 is up, here 2 is
    expected = [[names[int(value)] for value in row] for row in table[144:, 40:65].T]
    assert found.labels.tolist() == expected
    np.testing.assert_array_equal(np.delete(found.time_ns, 5), book.time_ns)
    table[146, 50] = 4
    with pytest.raises(FormatError, match="column 51: a label that is not 1, 2 or 3"):
        read_fi2010_labels(write(tmp_path, table), instrument="stock_2")


def test_the_stock_is_asked_for_and_the_stretches_are_told(
    tmp_path: Path, table: np.ndarray
) -> None:
    path = write(tmp_path, table)
    refused("fi2010", path, tmp_path, "give --instrument .*stock_1: 40 columns, stock_2: 25 col")
    refused("fi2010", path, tmp_path, "no stock 'KESBV'; .* needs stock_1", instrument="KESBV")
    refused("fi2010", path, tmp_path, "leave no choice of --session", instrument="stock_1",
            session=("10:00", "18:00"))  # fmt: skip


def test_normalized_files_are_no_prices(tmp_path: Path, table: np.ndarray) -> None:
    for scale in ("ZScore", "MinMax"):
        path = write(tmp_path, table, TRAIN.replace("DecPre", scale))
        refused("fi2010", path, tmp_path, f"{scale} values are no prices, .*in decimal precision: "
                f"Train_Dst_NoAuction_DecPre_CF_7.txt", instrument="stock_1")  # fmt: skip
    z = (table - table.mean(axis=1, keepdims=True)) / table.std(axis=1, keepdims=True)
    refused("fi2010", write(tmp_path, z), tmp_path, "a negative best price", instrument="stock_1")
    table[8] += 0.00005
    refused("fi2010", write(tmp_path, table), tmp_path,
            r"column 1: ask price .* of level 3 is between two ticks of 0.01; .*--tick-size 0.005",
            instrument="stock_1")  # fmt: skip
    book, _ = imported("fi2010", tmp_path / TRAIN, tmp_path, instrument="stock_1", tick_size=0.005)
    assert book.n_rows == 40
    nameless = write(tmp_path, table, "fi2010.txt")
    refused("fi2010", nameless, tmp_path, "the name says neither part nor fold")


def test_other_than_five_stretches_are_refused(tmp_path: Path, table: np.ndarray) -> None:
    path = write(tmp_path, table[:, :60])
    refused("fi2010", path, tmp_path, r"2 stretches .*from the columns 1, 41\); needs five",
            instrument="stock_1")  # fmt: skip
    table[[0, 2], 10] *= 2  # one column of a wild price
    refused("fi2010", write(tmp_path, table), tmp_path, r"7 stretches .*columns 1, 11, 12, 41",
            instrument="stock_1")  # fmt: skip


def edited(folder: Path, table: np.ndarray, line: int, change: Any) -> Path:
    path = write(folder, table)
    lines = path.read_text().splitlines()
    values = lines[line].split()
    lines[line] = " ".join(change(values))
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize(
    ("line", "change", "message"),
    [
        (5, lambda v: [*v[:3], *v[4:]], "line 6: ends after 165 columns, others go on"),
        (5, lambda v: [*v, "1"], "line 1: ends after 166 columns, others go on"),
        (2, lambda v: v[:-1], "line 3: ends after 165 columns"),
        (5, lambda v: [*v[:3], "x", *v[4:]], r"line 6, column 4: b'x' is no number"),
        (5, lambda v: [*v[:3], "nan", *v[4:]], "column 4: ask size nan of level 2"),
        (5, lambda v: [*v[:3], "-1", *v[4:]], "column 4: ask size -100000 of level 2 is negative"),
        (4, lambda v: [*v[:3], "inf", *v[4:]], "column 4: ask price inf of level 2"),
        (4, lambda v: [*v[:3], "-1", *v[4:]], "column 4: ask price -100 .* is not positive"),
        (0, lambda v: [*v[:3], "inf", *v[4:]], "column 4: a best price that is no number"),
    ],
)
def test_a_bad_value_is_named(
    tmp_path: Path, table: np.ndarray, line: int, change: Any, message: str
) -> None:
    refused("fi2010", edited(tmp_path, table, line, change), tmp_path, message,
            instrument="stock_1")  # fmt: skip


def test_files_of_another_shape_are_refused(tmp_path: Path, table: np.ndarray) -> None:
    path = write(tmp_path, table.T)
    refused("fi2010", path, tmp_path, "got more than 149 lines", instrument="stock_1")
    path = write(tmp_path, table[:144])
    refused("fi2010", path, tmp_path, "got 144 lines; needs an FI-2010", instrument="stock_1")
    whole = write(tmp_path, table).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    refused("fi2010", path, tmp_path, "lines; needs", instrument="stock_1")
    path.write_bytes(b"PK\3\4" + whole[:100])
    refused("fi2010", path, tmp_path, "unpack it first", instrument="stock_1")
