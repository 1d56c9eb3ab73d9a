"""The size of a chunk never shows in a book, and a damaged file never becomes one in silence."""

import gzip
import zipfile
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from lob_backtest.book import read_book, write_book
from lob_backtest.errors import FormatError, LobBacktestError
from lob_backtest.io import ImportOptions, import_book, read_lobster, sample_path
from tests.lob_backtest.books import random_book
from tests.lob_backtest.io.big_files import write_big_day
from tests.lob_backtest.io.order_files import QUIET, Event, write_orders
from tests.lob_backtest.io.sources import import_chunked
from tests.lob_backtest.io.test_lobster import BOOK, MESSAGES, NAME, write_day
from tests.terminal import stderr_on_a_terminal

CLOSING: list[Event] = [
    (2000, order, "deleted", side, price, 1.0)
    for order, side, price in ((1, "bid", 100), (4, "ask", 103), (5, "bid", 100), (6, "ask", 9))
]


def lobster_days(folder: Path) -> list[Path]:
    one_sided = "9999999999,0,1000100,7,9999999999,0,1000000,8"
    return [
        write_day(folder),
        write_day(folder, [BOOK[0], one_sided, *BOOK[2:]], date="2012-06-20"),
    ]


def orders(folder: Path) -> list[Path]:
    return [write_orders(folder / "orders.csv", [*QUIET, *CLOSING])]


def books(folder: Path) -> list[Path]:
    book = random_book(np.random.default_rng(3), n_rows=17, n_levels=2, n_sessions=2)
    write_book(book, folder / "in.parquet")
    return [folder / "in.parquet"]


@pytest.mark.parametrize(
    ("name", "files"), [("lobster", lobster_days), ("bitstamp", orders), ("parquet", books)]
)
def test_chunks_of_any_size_give_the_same_file_and_report(tmp_path: Path, name, files) -> None:
    paths = files(tmp_path)
    whole = import_chunked(name, paths, tmp_path / "whole.parquet", 10_000, levels=2)
    assert whole.rows >= 5
    for n_rows in range(1, 20):
        report = import_chunked(name, paths, tmp_path / "out.parquet", n_rows, levels=2)
        assert report == whole
        assert (tmp_path / "out.parquet").read_bytes() == (tmp_path / "whole.parquet").read_bytes()


def test_a_real_day_is_the_same_in_chunks(lob_data_dir: Path, tmp_path: Path) -> None:
    path = lob_data_dir / "data" / "lobster" / "LOBSTER_SampleFile_AMZN_2012-06-21_5.zip"
    book, report = read_lobster(path, levels=3)
    for n_rows in (20_011, 200_000):
        out = tmp_path / f"{n_rows}.parquet"
        assert import_chunked("lobster", [path], out, n_rows, levels=3) == report
        again = read_book(out)
        assert again.meta == book.meta
        np.testing.assert_array_equal(again.time_ns, book.time_ns)
        np.testing.assert_array_equal(again.features(), book.features())
    assert (tmp_path / "20011.parquet").read_bytes() == (tmp_path / "200000.parquet").read_bytes()


def test_the_recorded_orders_are_the_same_in_chunks(tmp_path: Path) -> None:
    try:
        path = sample_path()
    except FormatError as error:
        pytest.skip(str(error))
    with gzip.open(path, "rt") as file:
        lines = [next(file) for _ in range(20_000)]
    (tmp_path / "orders.csv").write_text("".join(lines))
    paths = [tmp_path / "orders.csv"]
    reports = {n: import_chunked("bitstamp", paths, tmp_path / str(n), n) for n in (313, 50_000)}
    assert reports[313] == reports[50_000]
    assert (tmp_path / "313").read_bytes() == (tmp_path / "50000").read_bytes()


def test_days_are_joined_in_time_order_in_whatever_order_they_are_given(tmp_path: Path) -> None:
    book = random_book(np.random.default_rng(5), n_rows=40, n_levels=2, n_sessions=4)
    starts = book.session_starts.tolist()
    paths = []
    for i, (start, stop) in enumerate(pairwise(starts)):
        paths.append(tmp_path / f"{i}.parquet")
        day = book.rows(start, stop)
        write_book(replace(day, meta=replace(day.meta, source=f"day {i}")), paths[-1])
    for order in ([0, 1, 2, 3], [3, 1, 0, 2], [2, 3, 0, 1]):
        out = tmp_path / "book.parquet"
        report = import_book("parquet", [paths[i] for i in order], out, progress=False)
        whole = read_book(out)
        assert (whole.meta.source, report.files) == (
            "day 0; day 1; day 2; day 3",
            ("0.parquet", "1.parquet", "2.parquet", "3.parquet"),
        )
        np.testing.assert_array_equal(whole.features(), book.features())
        np.testing.assert_array_equal(whole.session_starts, book.session_starts)


def test_a_day_that_is_broken_in_its_middle_leaves_nothing(tmp_path: Path) -> None:
    good, bad = write_day(tmp_path), write_big_day(tmp_path, n_rows=3000, levels=2)
    lines = bad.read_text().splitlines()
    bad.write_text("\n".join([*lines[:2500], "1,2,x,4,5,6,7,8", *lines[2501:]]))
    before = sorted(tmp_path.iterdir())
    options = ImportOptions(instrument="ONE")
    with pytest.raises(
        FormatError, match=r"BIG_.*_2\.csv, line 2501: column 3='x'; needs a LOBSTER"
    ):
        import_book("lobster", [good, bad], tmp_path / "out.parquet", options=options)
    assert sorted(tmp_path.iterdir()) == before


def test_a_bar_or_a_line_shows_how_far_the_bytes_are(tmp_path: Path, capsys) -> None:
    path, out = write_big_day(tmp_path, n_rows=60_000, levels=2), tmp_path / "out.parquet"
    megabytes = -(-sum(file.stat().st_size for file in tmp_path.iterdir()) // 10**6)
    with stderr_on_a_terminal() as shown:
        import_book("lobster", [path], out)
    assert "importing:   0%|" in shown.text
    assert f"| 0/{megabytes} [00:00<?, ?MB/s]" in shown.text
    import_book("lobster", [path], out)
    assert capsys.readouterr().err.startswith(f"importing: {megabytes}/{megabytes} MB in ")
    import_book("parquet", [out], tmp_path / "again.parquet")  # rows, where bytes are not known
    assert capsys.readouterr().err.startswith("importing: 60 x 1000 rows in ")
    import_book("lobster", [path], out, progress=False)
    assert capsys.readouterr() == ("", "")


def a_zip(folder: Path) -> bytes:
    path = folder / "whole.zip"
    with zipfile.ZipFile(path, "w", compression=zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(NAME.format("2012-06-21", "orderbook"), "\n".join(BOOK))
        archive.writestr(NAME.format("2012-06-21", "message"), "\n".join(MESSAGES))
    return path.read_bytes()


FUZZ = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@FUZZ
@given(st.data())
def test_a_damaged_zip_is_refused_or_changes_nothing(tmp_path: Path, data: st.DataObject) -> None:
    whole = bytearray(a_zip(tmp_path))
    expected, _ = read_lobster(tmp_path / "whole.zip")
    place = data.draw(st.integers(0, len(whole) - 1))
    if data.draw(st.booleans()):
        del whole[place:]
    else:
        whole[place] = data.draw(st.integers(0, 255))
    damaged = tmp_path / "damaged.zip"
    damaged.write_bytes(whole)
    try:
        book, _ = read_lobster(damaged)
    except LobBacktestError:
        return
    np.testing.assert_array_equal(book.features(), expected.features())
    np.testing.assert_array_equal(book.time_ns, expected.time_ns)


FIELD = st.sampled_from(
    ["", "0", "-1", "x", "nan", "inf", "1e400", "9" * 30, "9223372036854775807", "1.5", '"', "\x00",
     "9999999999", "-9999999999", "1000300", " 7", "0x10"]
)  # fmt: skip


def refusal_of(name: str, path: Path, out: Path, n_rows: int) -> str | None:
    """The one line that an import is refused with, having written nothing; or None."""
    out.unlink(missing_ok=True)
    try:
        import_chunked(name, [path], out, n_rows, levels=2)
    except LobBacktestError as error:
        (message,) = str(error).splitlines()
        assert not out.exists()
        return message
    return None


@FUZZ
@given(st.integers(0, 11), st.integers(0, 7), FIELD, st.integers(1, 5))
@example(3, 0, "\x00", 1)
def test_a_field_of_any_kind_is_refused_or_gives_a_sound_book(
    tmp_path: Path, line: int, field: int, value: str, n_rows: int
) -> None:
    """In the orderbook, the messages or the orders; a Book checks itself."""
    tables = [list(BOOK), list(MESSAGES)]
    table = tables[line // 6 % 2]
    fields = table[line % 4].split(",")
    fields[field % len(fields)] = value
    table[line % 4] = ",".join(fields)
    path = write_day(tmp_path, *tables)
    out = tmp_path / "out.parquet"
    assert refusal_of("lobster", path, out, n_rows) is not None or read_book(out).n_rows >= 1


@FUZZ
@given(st.integers(1, len(QUIET)), st.integers(0, 6), FIELD, st.integers(1, 5))
def test_an_order_of_any_kind_is_refused_or_gives_a_sound_book(
    tmp_path: Path, line: int, field: int, value: str, n_rows: int
) -> None:
    path = write_orders(tmp_path / "orders.csv", QUIET)
    lines = path.read_text().splitlines()
    fields = lines[line].split(",")
    fields[field] = value
    lines[line] = ",".join(fields)
    path.write_text("\n".join(lines))
    out = tmp_path / "out.parquet"
    assert refusal_of("bitstamp", path, out, n_rows) is not None or read_book(out).n_rows >= 1
