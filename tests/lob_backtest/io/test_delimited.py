"""Delimited text: every line once, whatever the chunks, and a bad one by its number."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lob_backtest.errors import FormatError
from lob_backtest.io.delimited import DelimitedFile, require_file

TYPES = {"id": int, "price": float, "side": str}
GOOD = [f"{i},{i / 4},{'ask' if i % 2 else 'bid'}" for i in range(9)]


def table(path: Path, lines: list[str], **options: object) -> DelimitedFile:
    path.write_text("\n".join(lines) + "\n")
    settings = {"dtypes": TYPES, "has_header": False, "wanted": "a table of three columns"}
    return DelimitedFile(open_file=lambda: path.open("rb"), name=path.name, **settings | options)


@pytest.mark.parametrize("has_header", [False, True])
@pytest.mark.parametrize("chunk_rows", [1, 2, 4, 9, 100])
def test_every_line_comes_once_with_its_number(tmp_path, chunk_rows, has_header) -> None:
    lines = ["id,price,side"] * has_header + GOOD
    file = table(tmp_path / "t.csv", lines, has_header=has_header)
    chunks = list(file.chunks(chunk_rows))
    assert [len(chunk.frame) for chunk in chunks[:-1]] == [chunk_rows] * (len(chunks) - 1)
    assert [n for chunk in chunks for n in range(chunk.first_line, chunk.first_line + len(
        chunk.frame))] == [*range(1 + has_header, 10 + has_header)]  # fmt: skip
    read = [
        ",".join(map(str, row)) for chunk in chunks for row in chunk.frame.itertuples(index=False)
    ]
    assert read == [f"{i},{i / 4},{'ask' if i % 2 else 'bid'}" for i in range(9)]
    assert chunks[-1].position == (tmp_path / "t.csv").stat().st_size


BAD = [
    ("x,1.0,bid", r"id='x'"),
    ("1.5,1.0,bid", r"id='1.5'"),
    ("inf,1.0,bid", r"id='inf'"),
    ("99999999999999999999,1.0,bid", r"id='9{20}'"),
    (",1.0,bid", r"id=''"),
    ("1,one,bid", r"price='one'"),
    ("1,,bid", "a field is missing"),
    ("1,1.0,", "a field is missing"),
    ("1,1.0", "a field is missing"),
    ("", r"id=''"),
]


@pytest.mark.parametrize(("bad", "message"), BAD)
@pytest.mark.parametrize("place", [0, 1, 5, 9])
@pytest.mark.parametrize("chunk_rows", [1, 2, 5, 100])
def test_a_bad_line_is_named_whatever_the_chunks(tmp_path, bad, message, place, chunk_rows) -> None:
    file = table(tmp_path / "t.csv", [*GOOD[:place], bad, *GOOD[place:], "1,2,ask"])
    with pytest.raises(
        FormatError, match=rf"t\.csv, line {place + 1}: {message}; needs a table of"
    ):
        list(file.chunks(chunk_rows))


@pytest.mark.parametrize("place", range(10))
@pytest.mark.parametrize("chunk_rows", [1, 2, 5, 100])
def test_a_line_with_a_field_too_many_is_refused(tmp_path, place, chunk_rows) -> None:
    file = table(tmp_path / "t.csv", [*GOOD[:place], "1,1.0,bid,7", *GOOD[place:]])
    with pytest.raises(FormatError, match=r"t\.csv: cannot be read \(.*\); needs a table of three"):
        list(file.chunks(chunk_rows))


def test_only_named_columns_may_be_empty(tmp_path: Path) -> None:
    lines = [*GOOD, "9,,bid", "10,1.0,"]
    file = table(tmp_path / "t.csv", lines, may_be_empty=("price", "side"))
    (chunk,) = file.chunks(100)
    assert np.isnan(chunk.frame["price"].iloc[9])
    assert chunk.frame["side"].isna().tolist() == [False] * 10 + [True]
    with pytest.raises(FormatError, match=r"line 12: price='x'; needs"):
        list(
            table(tmp_path / "t.csv", [*lines, "1,x,bid"], may_be_empty=("price", "side")).chunks(3)
        )


def test_files_without_lines_are_refused(tmp_path: Path) -> None:
    header_only = table(tmp_path / "t.csv", ["id,price,side"], has_header=True)
    with pytest.raises(
        FormatError, match=r"t\.csv: no lines of data; needs a table of three columns"
    ):
        list(header_only.chunks(5))
    with pytest.raises(FormatError, match=r"none\.csv: no such file; needs a table"):
        require_file(tmp_path / "none.csv", "a table")
    (tmp_path / "t.csv").write_bytes(b"")
    with pytest.raises(
        FormatError, match=r"t\.csv: the file is empty; needs a table; fetch it again"
    ):
        require_file(tmp_path / "t.csv", "a table")
    with pytest.raises(FormatError, match=r"t\.csv: no lines of data"):
        list(header_only.chunks(5))


@given(st.data())
def test_a_packed_file_that_was_cut_off_is_refused(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("packed") / "t.csv.gz"
    packed = gzip.compress("\n".join(GOOD * 50).encode())
    path.write_bytes(packed[: data.draw(st.integers(1, len(packed) - 1))])
    file = DelimitedFile(
        open_file=lambda: path.open("rb"), name=path.name, dtypes=TYPES, has_header=False,
        wanted="a table", compression="gzip",
    )  # fmt: skip
    with pytest.raises(FormatError, match=r"t\.csv\.gz: cannot be read .* fetch it again"):
        list(file.chunks(data.draw(st.integers(1, 500))))
