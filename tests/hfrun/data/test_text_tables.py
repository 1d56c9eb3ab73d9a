"""Tables of texts: csv and tsv as others write them, and Parquet with and without class names."""

import csv
import io
from pathlib import Path

import datasets
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hfrun.data.text_files import read_text_file
from hfrun.data.text_rows import LabelledRows
from hfrun.data.text_tables import read_csv, read_parquet
from hfrun.errors import DataError

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
COLUMNS = {"text_column": "text", "label_column": "label"}


def table(content: str, **columns: str) -> list[tuple[str, str]]:
    found = read_csv(content, where="x.csv", **{**COLUMNS, **columns})
    return list(zip(found.texts, found.raw_labels, strict=True))


@pytest.mark.parametrize("delimiter", [",", "\t", ";", "|"])
def test_columns_are_found_by_name_between_any_delimiter(delimiter: str) -> None:
    lines = [["id", "label", "text"], ["7", "good", "fine"], ["8", " bad ", "dull "]]
    content = "".join(delimiter.join(line) + "\n" for line in lines)
    assert table(content) == [("fine", "good"), ("dull ", "bad")]


def test_quoted_texts_may_hold_delimiters_quotes_and_ends_of_lines() -> None:
    content = '\n"text","label"\r\n"a, ""b""\nc",1\r\n\r\nplain "d",0\r\n'
    assert table(content) == [('a, "b"\nc', "1"), ('plain "d"', "0")]


def test_words_that_pandas_takes_for_missing_are_texts() -> None:
    assert table("text,label\nNone,0\nnull,1\nNA,\n") == [("None", "0"), ("null", "1"), ("NA", "")]


def test_a_file_with_tabs_is_read_with_quotes_or_where_that_fails_without() -> None:
    assert table('text\tlabel\n"a\tb\nc"\t1\n"d ""e"""\t0\n') == [("a\tb\nc", "1"), ('d "e"', "0")]
    plain = 'text\tlabel\n"Wow" he said\t1\n5" screen\t0\n"all" of it\t1\n"\t0\n"all"\t0\n'
    assert [text for text, _ in table(plain)] == [
        '"Wow" he said', '5" screen', '"all" of it', '"', '"all"'
    ]  # fmt: skip
    with pytest.raises(DataError, match=r"x\.csv:2: '\\t' expected after '\"'"):
        table('text\tlabel\n"Wow" he said\t1\textra\n')


def test_numbers_are_places_in_a_file_without_a_header() -> None:
    content = '"3","Title","A, b"\n"1","Other","c"\n'
    assert table(content, text_column="2", label_column="0") == [("A, b", "3"), ("c", "1")]
    assert table("a, b\t1\n", text_column="0", label_column="1") == [("a, b", "1")]
    assert table("0,1\nx,y\n", text_column="0", label_column="1") == [("x", "y")]  # names first
    with pytest.raises(DataError, match="has no column '5', but 'a', 'b'"):
        table("a,b\n", text_column="5", label_column="0")


def test_a_text_longer_than_the_limit_of_the_csv_module_is_read() -> None:
    before = csv.field_size_limit()
    long = "word " * 50_000
    assert table(f"text,label\n{long},1\n") == [(long, "1")]
    assert csv.field_size_limit() == before


def test_rows_that_do_not_fit_the_header_are_named_by_their_line() -> None:
    with pytest.raises(DataError, match=r"x\.csv:4: got 3 fields, the first line has 2: .*quotes"):
        table('text,label\n"a\nb",1\nc, d,0\n')
    with pytest.raises(DataError, match=r"x\.csv:3: unexpected end of data; a quote"):
        table('text,label\na,1\n"b,0\nc,1\n')
    with pytest.raises(DataError, match="got column 'text' 2 times"):
        table("text,text,label\na,b,1\n")
    with pytest.raises(
        DataError, match=r"no column 'text'.*'sentence', 'label'.*data\.text_column"
    ):
        table("sentence,label\na,1\n")


@given(
    st.lists(st.tuples(TEXTS, st.integers(0, 9)), min_size=1, max_size=6), st.sampled_from(",;\t|")
)
def test_any_texts_come_back_from_the_csv_module(
    written: list[tuple[str, int]], delimiter: str
) -> None:
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, delimiter=delimiter)
    writer.writerows([("text", "label"), *written])
    assert table(buffer.getvalue()) == [(text, str(label)) for text, label in written]


@given(st.lists(TEXTS.filter(lambda text: "\r" not in text), min_size=1, max_size=6))
def test_any_texts_come_back_from_pandas(texts: list[str]) -> None:
    content = pd.DataFrame({"text": texts, "label": 1}).to_csv(index=False)
    assert [text for text, _ in table(content)] == texts


def test_a_carriage_return_that_pandas_left_without_quotes_is_not_read_as_a_row() -> None:
    content = pd.DataFrame({"text": ["a\rb"], "label": 1}).to_csv(index=False)
    assert content == "text,label\na\rb,1\n"
    with pytest.raises(DataError, match=r"x\.csv:2: new-line character seen in unquoted field;"):
        table(content)


def parquet(columns: dict[str, object], **names: str) -> LabelledRows:
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink)
    return read_parquet(sink.getvalue(), where="x.parquet", **{**COLUMNS, **names})


@pytest.mark.parametrize(
    ("labels", "raw"),
    [
        (pa.array([0, 2, None], pa.int8()), ("0", "2", "")),
        (pa.array([True, False, None]), ("true", "false", "")),
        (pa.array([1.0, 0.5, float("nan")]), ("1", "0.5", "")),
        (pa.array(["good", "bad ", None]).dictionary_encode(), ("good", "bad", "")),
        (pa.array(["good", "", "x"], pa.large_string()), ("good", "", "x")),
    ],
)
def test_parquet_labels_of_any_type_are_written_out(labels: pa.Array, raw: tuple[str, ...]) -> None:
    found = parquet({"text": ["a", "b", None], "label": labels, "other": [1, 2, 3]})
    assert found == LabelledRows(texts=("a", "b", ""), raw_labels=raw)


def test_parquet_columns_and_bytes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(DataError, match=r"row 2: got a text of type bytes"):
        parquet({"text": pa.array([None, b"b"]), "label": [0, 1]})
    with pytest.raises(DataError, match=r"no column 'text', but 'txt', 'label'.*mean 'txt'"):
        parquet({"txt": ["a"], "label": [0]})
    with pytest.raises(DataError, match="not a Parquet file that can be read"):
        read_parquet(b"PAR1 and nothing more PAR1", where="x.parquet", **COLUMNS)


def test_class_names_that_datasets_wrote_into_a_parquet_file_are_kept(tmp_path: Path) -> None:
    features = datasets.Features(
        {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["pos", "neg"])}
    )
    made = datasets.Dataset.from_dict({"text": ["a", "b", "c"], "label": [1, 0, -1]}, features)
    made.to_parquet(str(tmp_path / "data.bin"))
    found, _ = read_text_file(tmp_path / "data.bin")  # by its content
    assert found == LabelledRows(
        texts=("a", "b", "c"), raw_labels=("neg", "pos", ""), names=("pos", "neg")
    )


@given(st.lists(st.tuples(TEXTS, st.integers(-3, 3)), max_size=6))
def test_any_texts_come_back_from_parquet(written: list[tuple[str, int]]) -> None:
    texts = pa.array([text for text, _ in written], pa.string())
    found = parquet({"text": texts, "label": np.array([n for _, n in written], dtype=np.int32)})
    assert list(zip(found.texts, found.raw_labels, strict=True)) == [
        (text, str(number)) for text, number in written
    ]
