"""Files of labelled texts: every format by hand, round trips of any texts, and clear refusals."""

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hfrun.data.text_files import decoded, read_text_file
from hfrun.data.text_lines import read_at, read_bars, read_json_lines
from hfrun.data.text_rows import LabelledRows
from hfrun.errors import DataError

# Any text of one line; the ends are clean, as the formats of one text a line drop spaces there.
LINES = st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"])).map(str.strip)
LABELS = st.text(
    st.characters(exclude_characters="\n@|", exclude_categories=["Cs"]), min_size=1
).map(str.strip)


def rows(path: Path, content: str | bytes, **options: str) -> LabelledRows:
    """What is read of a file with this content."""
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_text_file(path, **options)[0]


def pairs(found: LabelledRows) -> list[tuple[str, str]]:
    return list(zip(found.texts, found.raw_labels, strict=True))


def test_bars_split_at_the_first_and_at_splits_at_the_last(tmp_path: Path) -> None:
    bars = rows(tmp_path / "a.txt", "3 ||| A film | of ||| two bars .\n0|||Dull\n")
    assert pairs(bars) == [("A film | of ||| two bars .", "3"), ("Dull", "0")]
    at = rows(tmp_path / "b.txt", "Mail a@b.fi today .@neutral\nUp 5 % .@ positive \n")
    assert pairs(at) == [("Mail a@b.fi today .", "neutral"), ("Up 5 % .", "positive")]


def test_blank_lines_crlf_a_mark_and_a_missing_last_end_change_nothing(tmp_path: Path) -> None:
    plain = rows(tmp_path / "a.txt", "1 ||| one\n2 ||| two\n")
    assert rows(tmp_path / "b.txt", "\r\n1 ||| one\r\n  \r\n2 ||| two") == plain
    assert rows(tmp_path / "c.txt", b"\xef\xbb\xbf1 ||| one\n2 ||| two\n") == plain
    assert rows(tmp_path / "d.txt", "1 ||| one\n2 ||| two\n".encode("utf-16")) == plain
    assert rows(tmp_path / "e.txt.gz", gzip.compress(b"1 ||| one\n2 ||| two\n")) == plain
    assert rows(tmp_path / "f", gzip.compress(b"1 ||| one\n2 ||| two\n")) == plain


def test_signs_that_unicode_counts_as_ends_of_lines_stay_in_the_text(tmp_path: Path) -> None:
    text = "one\u2028two\x85three\x0bfour\x1cfive"
    assert rows(tmp_path / "a.txt", f"1 ||| {text}\n").texts == (text,)


def test_empty_texts_and_labels_are_kept_for_the_audit(tmp_path: Path) -> None:
    found = rows(tmp_path / "a.txt", "1 |||\n||| no label\n2 ||| fine\n")
    assert pairs(found) == [("", "1"), ("no label", ""), ("fine", "2")]


@pytest.mark.parametrize("kind", ["auto", "bars", "csv", "jsonl"])
def test_an_empty_file_has_no_rows(tmp_path: Path, kind: str) -> None:
    assert pairs(rows(tmp_path / "a.txt", "\n \n", kind=kind)) == []


def test_json_lines_take_numbers_truths_and_null_as_labels(tmp_path: Path) -> None:
    lines = [
        {"text": "a", "label": 3},
        {"label": "good ", "text": "b"},
        {"text": "c", "label": True},
        {"text": "d", "label": 2.0},
        {"text": "e", "label": None},
        {"text": None, "label": 0.5},
        {"text": "g"},
    ]
    content = "".join(json.dumps(line) + "\n" for line in lines)
    found = rows(tmp_path / "a.jsonl", content)
    assert found.raw_labels == ("3", "good", "true", "2", "", "0.5", "")
    assert found.texts == ("a", "b", "c", "d", "e", "", "g")
    assert rows(tmp_path / "a.json", json.dumps(lines, indent=2)) == found
    assert rows(tmp_path / "a.txt", content) == found  # by its content


def test_the_name_of_a_file_decides_before_its_content(tmp_path: Path) -> None:
    content = "text,label\n1 ||| a,x\n2 ||| b,y\n"
    assert pairs(rows(tmp_path / "a.csv", content)) == [("1 ||| a", "x"), ("2 ||| b", "y")]
    assert rows(tmp_path / "a.txt", content, kind="csv").raw_labels == ("x", "y")


def test_a_table_with_a_header_is_known_by_its_content(tmp_path: Path) -> None:
    assert pairs(rows(tmp_path / "a.txt", "label\ttext\n0\tone\n")) == [("one", "0")]


def test_tweets_with_an_at_in_most_lines_are_still_bars(tmp_path: Path) -> None:
    found = rows(tmp_path / "a.txt", "0 ||| @user hi\n1 ||| @user ho\n1 ||| nobody\n")
    assert found.texts == ("@user hi", "@user ho", "nobody")


def test_content_that_fits_two_formats_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.txt: could be bars or at: .* set data\.format"):
        rows(tmp_path / "a.txt", "0 ||| @user hi\n1 ||| @user ho\n")
    with pytest.raises(DataError, match=r"neither LABEL \|\|\| text nor text@label, nor JSON"):
        rows(tmp_path / "b.txt", "one\ntwo\n")


def test_a_line_in_another_format_is_named_by_its_number(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.txt:3: got 'three'; the format bars needs LABEL"):
        rows(tmp_path / "a.txt", "1 ||| one\n2 ||| two\nthree\n")
    with pytest.raises(DataError, match=r"b\.txt:2: got 'two'; the format at needs text@label"):
        rows(tmp_path / "b.txt", "one@x\ntwo\n", kind="at")
    with pytest.raises(DataError, match=r"c\.jsonl:2: not valid JSON"):
        rows(tmp_path / "c.jsonl", '{"text": "a", "label": 1}\n{"text": \n')
    with pytest.raises(DataError, match=r"d\.jsonl:1: got '3'; needs a JSON object"):
        rows(tmp_path / "d.jsonl", "3\n")


def test_columns_that_are_not_there_are_named_with_those_that_are(tmp_path: Path) -> None:
    content = '{"sentence": "a", "label": 1}\n'
    with pytest.raises(DataError, match=r":1: has no column 'text', but 'sentence', 'label'"):
        rows(tmp_path / "a.jsonl", content)
    with pytest.raises(DataError, match=r"no column 'labels'.*did you mean 'label'\?"):
        rows(tmp_path / "b.jsonl", content, text_column="sentence", label_column="labels")


def test_values_that_are_no_text_or_label_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.jsonl:1: got a text of type int: '5'"):
        rows(tmp_path / "a.jsonl", '{"text": 5, "label": 1}\n')
    with pytest.raises(DataError, match=r"b\.jsonl:1: got a label of type list: '\[1\]'"):
        rows(tmp_path / "b.jsonl", '{"text": "a", "label": [1]}\n')
    with pytest.raises(DataError, match=r"c\.jsonl:2: got half of a surrogate pair"):
        rows(tmp_path / "c.jsonl", '{"text": "a", "label": 1}\n{"text": "\\ud83d", "label": 1}\n')


def test_a_byte_that_is_no_utf8_is_named_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.txt:2: got the byte 0xe4 .*iconv -f latin1"):
        rows(tmp_path / "a.txt", "Nokia@neutral\nV\u00e4is\u00e4l\u00e4@neutral\n".encode("latin1"))
    with pytest.raises(DataError, match=r"x:1: got the byte 0xff"):
        decoded(b"\xef\xbb\xbfab\xff", "x")


def test_a_file_that_is_missing_a_folder_or_damaged_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no such file"):
        read_text_file(tmp_path / "none.txt")
    with pytest.raises(DataError, match="cannot be read: Is a directory"):
        read_text_file(tmp_path)
    with pytest.raises(DataError, match="its gzip is damaged"):
        rows(tmp_path / "a.txt.gz", gzip.compress(b"1 ||| one\n" * 50)[:-12])


def test_the_fingerprint_is_of_the_bytes_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"1 ||| abc\n")
    # printf '1 ||| abc\n' | sha256sum
    expected = "f5ac681bc00c7244fea4d9169c247b8754434fd3fcf589cf85a17de4c70759a6"
    assert read_text_file(path)[1] == expected


@given(st.lists(st.tuples(LINES, LABELS), max_size=8))
def test_any_texts_come_back_from_lines_as_they_were_written(
    written: list[tuple[str, str]],
) -> None:
    kept = [(text, label) for text, label in written if label]
    bars = "".join(f"{label} ||| {text}\n" for text, label in kept)
    assert pairs(read_bars(bars, where="x")) == kept
    at = "".join(f"{text}@{label}\n" for text, label in kept)
    assert pairs(read_at(at, where="x")) == kept


@given(
    st.lists(
        st.tuples(st.text(st.characters(exclude_categories=["Cs"])), st.integers(-5, 10**15)),
        max_size=8,
    ),
    st.booleans(),
)
def test_any_texts_come_back_from_json(written: list[tuple[str, int]], ascii_only: bool) -> None:
    objects = [{"text": text, "label": label} for text, label in written]
    expected = [(text, str(label)) for text, label in written]
    columns = {"text_column": "text", "label_column": "label"}
    lines = "".join(json.dumps(item, ensure_ascii=ascii_only) + "\n" for item in objects)
    assert pairs(read_json_lines(lines, where="x", **columns)) == expected
    whole = json.dumps(objects, ensure_ascii=ascii_only)
    assert pairs(read_json_lines(whole, where="x", **columns)) == expected
