"""Books written chunk by chunk: the same bytes as written whole, or nothing."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lob_backtest.book import Book, read_book, row_group_rows, table, write_book
from lob_backtest.errors import BookError
from lob_backtest.io.stream import Rows
from lob_backtest.io.writing import writing_book
from tests.lob_backtest.books import META, book_from_mids, random_book


def chunks_of(book: Book, sizes: list[int]) -> Iterator[Rows]:
    start = 0
    for size in [*sizes, book.n_rows]:
        rows = slice(start, start + size)
        yield Rows(
            time_ns=book.time_ns[rows], ask_ticks=book.ask_ticks[rows],
            ask_size=book.ask_size[rows], bid_ticks=book.bid_ticks[rows],
            bid_size=book.bid_size[rows],
        )  # fmt: skip
        start += size


@pytest.fixture
def groups_of_ten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "_ROW_GROUP_BYTES", 10 * 8 * (1 + 4 * 2))
    assert row_group_rows(2) == 10


@pytest.mark.usefixtures("groups_of_ten")
@given(st.lists(st.integers(0, 40), max_size=8), st.integers(1, 60))
def test_chunks_of_any_size_give_the_bytes_of_the_whole(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], n_rows: int
) -> None:
    folder = tmp_path_factory.mktemp("books")
    book = random_book(np.random.default_rng(n_rows), n_rows=n_rows, n_levels=2)
    write_book(book, folder / "whole.parquet")
    with writing_book(folder / "chunks.parquet", meta=book.meta, n_levels=2) as writer:
        for rows in chunks_of(book, sizes):
            writer.append(rows)
    assert (folder / "chunks.parquet").read_bytes() == (folder / "whole.parquet").read_bytes()
    with pq.ParquetFile(folder / "whole.parquet") as file:
        assert file.num_row_groups == -(-n_rows // 10)
    again = read_book(folder / "chunks.parquet")
    np.testing.assert_array_equal(again.features(), book.features())
    np.testing.assert_array_equal(again.time_ns, book.time_ns)


@pytest.mark.usefixtures("groups_of_ten")
@pytest.mark.parametrize("n_before", [3, 10, 11])
def test_rows_that_are_no_book_leave_the_old_file(tmp_path: Path, n_before: int) -> None:
    book = book_from_mids([100.0] * 40, n_levels=2)
    path = tmp_path / "book.parquet"
    path.write_text("the old book")
    (start, rest) = chunks_of(book, [n_before])
    backwards = replace(rest, time_ns=rest.time_ns - 5 * 10**9)
    crossed = replace(rest, bid_ticks=rest.bid_ticks + 5)

    def write(*parts: Rows) -> None:
        with writing_book(path, meta=META, n_levels=2) as writer:
            for rows in parts:
                writer.append(rows)

    for bad, message in ((backwards, "goes back in time from"), (crossed, "crossed or locked")):
        with pytest.raises(BookError, match=message):
            write(start, bad)
        assert path.read_text() == "the old book"
        assert [file.name for file in tmp_path.iterdir()] == ["book.parquet"]


def test_no_rows_are_no_book(tmp_path: Path) -> None:
    with (
        pytest.raises(BookError, match="tests: no row is left; a book needs at least one"),
        writing_book(tmp_path / "book.parquet", meta=META, n_levels=2),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("groups_of_ten")
def test_what_is_wrong_is_found_across_row_groups(tmp_path: Path) -> None:
    book = book_from_mids([100.0] * 25, n_levels=2)
    path = tmp_path / "book.parquet"
    write_book(book, path)
    whole = pq.read_table(path)
    times = whole.column("time_ns").to_numpy().copy()
    times[10] = times[9] - 1  # the first row of the second group
    pq.write_table(whole.set_column(0, "time_ns", [times]), path, row_group_size=10)
    with pytest.raises(BookError, match="goes back in time in 1 of 25 rows, first in row 10"):
        read_book(path)
