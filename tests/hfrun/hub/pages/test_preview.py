"""Previews of files: what they show, and that no file costs more than its beginning."""

import gzip
import io
import json
import pickle
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from pyarrow import parquet
from safetensors.numpy import save as save_safetensors

from hfrun.hub.pages import preview_tables
from hfrun.hub.pages.preview import Preview, preview
from hfrun.hub.store.repository import Repository
from hfrun.hub.store.tree import lfs_entry
from tests.hfrun.hub.pages.stored import new_repository, stored


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    return new_repository(tmp_path_factory.mktemp("previews"))


def shown(repository: Repository, name: str, content: bytes | str) -> Preview:
    data = content.encode() if isinstance(content, str) else content
    return preview(repository, name, stored(repository, data))


# Text


@pytest.mark.parametrize("name", ["LICENSE", "a.py", ".gitattributes", "a.svg", "a.unknown"])
def test_a_text_is_shown_whole_under_any_name(repository: Repository, name: str) -> None:
    assert shown(repository, name, "\ufeffa\r\nä <b>\n") == Preview(kind="text", text="a\nä <b>\n")


def test_of_a_long_text_the_first_lines_are_shown(repository: Repository) -> None:
    found = shown(repository, "a.txt", "x\n" * 3_000)
    assert (found.text, found.truncated) == ("x\n" * 1_999 + "x", True)
    assert found.note == "only the beginning of 6000 bytes is shown"


def test_of_long_lines_the_beginnings_are_shown(repository: Repository) -> None:
    found = shown(repository, "a.txt", "y" * 2_001 + "\nend\n")
    assert (found.text, found.truncated) == ("y" * 2_000 + "…\nend\n", True)


def test_a_text_may_be_cut_within_a_character(repository: Repository) -> None:
    line = "é" * 900 + "\n"
    found = shown(repository, "a.txt", "ab" + line * 300)
    assert found.kind == "text"
    assert found.text.startswith("ab" + line)
    assert len(found.text.encode()) == 199_999


@pytest.mark.parametrize("content", [b"\xff\xfea\0", b"a\0b", b"caf\xe9", b"\x80\x04K\x01."])
def test_bytes_that_are_no_text_are_not_shown(repository: Repository, content: bytes) -> None:
    found = shown(repository, "a.txt", content)
    assert found.kind == "none"
    assert found.note.startswith("not shown: no text")


# JSON


def test_json_on_one_line_is_set_out_with_its_own_digits(repository: Repository) -> None:
    text = '{"a":[1.0,1e999,-0],"b":{},"c":"x, \\"y\\": {z}","a":' + "9" * 5_000 + "}"
    found = shown(repository, "a.json", text)
    assert found.text.split("\n")[:8] == [
        "{", '  "a": [', "    1.0,", "    1e999,", "    -0", "  ],", '  "b": {},',
        '  "c": "x, \\"y\\": {z}",',
    ]  # fmt: skip
    assert found.text.endswith("9" * 5_000 + "\n}")


@pytest.mark.parametrize("text", ['{"a": 1,\n "b": 2}', '{"a": ', "[" * 50_000, "{'a': 1}", "a"])
def test_other_json_is_shown_as_it_is(repository: Repository, text: str) -> None:
    lines = [line if len(line) <= 2_000 else line[:2_000] + "…" for line in text.split("\n")]
    assert shown(repository, "a.json", text).text == "\n".join(lines)


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(json_values)
def test_json_set_out_is_what_the_standard_library_writes(
    repository: Repository, value: object
) -> None:
    found = shown(repository, "a.json", json.dumps(value))
    assert found.text == json.dumps(value, indent=2)


def test_deep_json_does_not_become_a_long_text(repository: Repository) -> None:
    found = shown(repository, "a.json", "[" * 400 + "1," * 80_000 + "1" + "]" * 400)
    assert (len(found.text), found.truncated) == (200_000, True)


# Tables of text


def test_a_csv_file_is_a_table_under_its_first_line(repository: Repository) -> None:
    found = shown(repository, "a.csv", 'time,"price, ticks"\n1,"2\n3"\n4\n5,6,7\n')
    assert found == Preview(
        kind="table",
        header=("time", "price, ticks", ""),
        rows=(("1", "2 3", ""), ("4", "", ""), ("5", "6", "7")),
    )


@pytest.mark.parametrize(("name", "delimiter"), [("a.tsv", "\t"), ("a.csv", ";")])
def test_other_delimiters_are_seen(repository: Repository, name: str, delimiter: str) -> None:
    found = shown(repository, name, f"a{delimiter}b\n1{delimiter}2,5\n")
    assert (found.header, found.rows) == (("a", "b"), (("1", "2,5"),))


def test_of_a_large_csv_file_whole_rows_and_short_cells_are_shown(repository: Repository) -> None:
    found = shown(repository, "a.csv", "a,b\n" + ("1," + "x" * 300 + "\n") * 5_000)
    assert (len(found.rows), found.truncated) == (50, True)
    assert set(found.rows) == {("1", "x" * 200 + "…")}
    assert found.note == "the first 50 rows"
    long_rows = shown(repository, "a.csv", "a,b\n" + ("1," + "x" * 90_000 + "\n") * 3)
    assert [row[0] for row in long_rows.rows] == ["1", "1"]  # the third is cut in its middle


def test_a_line_of_many_cells_is_cut(repository: Repository) -> None:
    found = shown(repository, "a.csv", "," * 150_000 + "\n" + "1," * 60)
    assert (len(found.header), len(found.rows[0])) == (50, 50)
    assert found.note == "the first 50 columns"


def test_a_csv_file_that_cannot_be_read_is_shown_as_text(repository: Repository) -> None:
    found = shown(repository, "a.csv", '"' + "x" * 150_000)  # a cell longer than the reader takes
    assert (found.kind, len(found.text)) == ("text", 2_001)


def test_json_lines_are_a_table_of_all_their_keys(repository: Repository) -> None:
    text = '{"a": 1, "b": "x"}\n\n{"b": [1, {"c": null}], "d": 1e3}\n'
    assert shown(repository, "a.jsonl", text) == Preview(
        kind="table",
        header=("a", "b", "d"),
        rows=(("1", "x", ""), ("", '[1, {"c": null}]', "1000.0")),
    )


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("[1, 2]\n3\n", "table"),
        ('{"a": "\\ud800"}\n', "table"),
        ('{"a": ' + "9" * 5_000 + "}\n", "table"),
        ("".join(f'{{"k{i}": 1}}\n' for i in range(60)), "table"),
        ("[" * 50_000, "text"),
        ('{"a": }\n', "text"),
        ("\n\n", "table"),
    ],
)
def test_any_lines_of_json_are_a_table_or_text_that_can_be_sent(
    repository: Repository, text: str, kind: str
) -> None:
    found = shown(repository, "a.jsonl", text)
    assert found.kind == kind
    assert len(found.header) <= 50
    "".join([found.text, *found.header, *sum(found.rows, ())]).encode()


# Safetensors


def test_safetensors_are_a_table_of_their_header(repository: Repository) -> None:
    """As safetensors 0.5 and later write it."""
    tensors = {"w": np.zeros((2, 3), np.float32), "n": np.zeros((), np.int64)}
    found = shown(repository, "m.safetensors", save_safetensors(tensors, {"format": "pt"}))
    assert found.header == ("tensor", "type", "shape")
    assert set(found.rows) == {("w", "F32", "2 × 3"), ("n", "I64", "")}
    assert (found.truncated, found.note) == (False, "2 tensors")


@pytest.mark.parametrize(
    "header",
    [
        b"", b"[]", b"{", b"[" * 100_000, b'"a"', b'{"a": 1}' + b" " * 3_000_000,
    ],
)  # fmt: skip
def test_a_broken_header_of_tensors_is_not_shown(repository: Repository, header: bytes) -> None:
    content = struct.pack("<Q", len(header)) + header
    assert shown(repository, "m.safetensors", content).kind == "none"


def test_a_header_longer_than_the_file_is_not_read(repository: Repository) -> None:
    assert shown(repository, "m.safetensors", struct.pack("<Q", 2**63) + b"{}").kind == "none"
    assert shown(repository, "m.safetensors", b"{}").kind == "none"


def test_odd_rows_of_a_header_are_shown_as_they_can_be(repository: Repository) -> None:
    rows = {"a": 1, "b": {}, "c": {"dtype": ["F32"], "shape": [10**400, "x"]}, "\ud800": {}}
    header = json.dumps(rows).encode()
    found = shown(repository, "m.safetensors", struct.pack("<Q", len(header)) + header)
    assert [row[0] for row in found.rows] == ["b", "c", "?"]
    assert found.rows[1][2] == "1" + "0" * 19 + " × x"


# Parquet


def parquet_bytes(table: pa.Table, **how: Any) -> bytes:
    stream = io.BytesIO()
    parquet.write_table(table, stream, **how)
    return stream.getvalue()


def test_of_a_parquet_file_the_first_rows_are_shown_under_names_and_types(
    repository: Repository,
) -> None:
    table = pa.table({"time_ns": range(30), "note": ["ä" * 300] * 30})
    found = shown(repository, "a.parquet", parquet_bytes(table))
    assert found.header == ("time_ns (int64)", "note (string)")
    assert found.rows == tuple((str(i), "ä" * 200 + "…") for i in range(20))
    assert (found.truncated, found.note) == (True, "the first 20 of 30 rows, 2 columns")


def test_a_few_kilobytes_that_unfold_into_gigabytes_do_not(repository: Repository) -> None:
    value = pa.array(["z" * 50_000_000])  # once in the file; 20 rows of it are a gigabyte
    column = pa.DictionaryArray.from_arrays(pa.array([0] * 20), value)
    bomb = parquet_bytes(pa.table({"a": column}), compression="zstd", store_schema=False)
    assert len(bomb) < 100_000
    found = shown(repository, "bomb.parquet", bomb)
    assert (found.kind, found.rows) == ("none", ())
    assert found.note == "not shown: no sound Parquet file, or one that takes too much memory"


def test_of_a_large_group_of_rows_the_schema_alone_is_shown(repository: Repository) -> None:
    table = pa.table({"a": [b"q" * 70_000_000]})
    found = shown(repository, "a.parquet", parquet_bytes(table, compression="zstd"))
    assert (found.header, found.rows) == (("column", "type"), (("a", "binary"),))
    assert found.truncated
    assert found.note.startswith("1 rows, 1 columns; the rows are not shown: ")


def test_a_broken_parquet_file_is_not_shown(repository: Repository) -> None:
    whole = parquet_bytes(pa.table({"a": [1]}))
    assert shown(repository, "a.parquet", b"PAR1" + b"\xff" * 40 + b"PAR1").kind == "none"
    assert shown(repository, "a.parquet", whole[:-20] + whole[-8:]).kind == "none"


def test_a_reader_that_takes_too_long_is_ended(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preview_tables, "_PARQUET_SECONDS", 0.0)
    found = shown(repository, "a.parquet", parquet_bytes(pa.table({"a": [1]})))
    assert (found.kind, found.note) == ("none", "not shown: reading it takes too long")


# What is never opened


def test_archives_and_pickles_are_never_opened(repository: Repository, tmp_path: Path) -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("zeros", b"\0" * 1_000_000)
    for name, content in (
        ("a.npz", archive.getvalue()),
        ("a.zip", archive.getvalue()),
        ("a.txt.gz", gzip.compress(b"text")),
        ("a.PKL", pickle.dumps([1])),
        ("pytorch_model.bin", b"text"),
    ):
        found = shown(repository, name, content)
        assert found.kind == "none"
        assert "are not opened here" in found.note
        # Nothing is stored under this name at all.
        assert preview(repository, name, lfs_entry("0" * 64, 10)) == found


# Images, and anything


def test_an_image_is_shown_by_its_bytes_and_not_by_its_name(repository: Repository) -> None:
    stream = io.BytesIO()
    Image.new("RGB", (31, 17)).save(stream, "PNG")
    found = shown(repository, "a.jpg", stream.getvalue())
    assert found == Preview(kind="image", note="31 × 17 pixels")
    assert shown(repository, "a.png", "<svg onload=alert(1)>").kind == "none"


def test_an_empty_or_missing_file_is_said_to_be_so(repository: Repository) -> None:
    assert shown(repository, "a.csv", b"") == Preview(kind="none", note="an empty file")
    assert preview(repository, "a.csv", lfs_entry("0" * 64, 10)).kind == "none"


NAMES = ["a.txt", "a.json", "a.csv", "a.tsv", "a.jsonl", "a.safetensors", "a.png", "a.webp"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(NAMES), st.binary(max_size=80) | st.text(max_size=80).map(str.encode))
def test_no_content_makes_a_preview_fail(repository: Repository, name: str, content: bytes) -> None:
    found = shown(repository, name, content)
    assert {len(row) for row in found.rows} <= {len(found.header)}
    assert found.kind != "none" or found.note
    "".join([found.text, found.note, *found.header, *sum(found.rows, ())]).encode()
