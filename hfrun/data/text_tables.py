"""Tables of texts: csv and tsv with a header line, and Parquet."""

import csv
import io
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Any

from hfrun.data.text_rows import LabelledRows, as_text, as_written, place_of, shortened
from hfrun.errors import DataError

DELIMITERS = (",", "\t", ";", "|")


def read_csv(content: str, *, where: str, text_column: str, label_column: str) -> LabelledRows:
    """Columns by the names in the first line, between commas, tabs, semicolons or bars.

    Columns that are whole numbers, where no header has these names, are places counted from 0 in a
    file without a header. Quotes are as RFC 4180 has them: a quoted field may hold delimiters,
    doubled quotes and ends of lines. In a file with tabs, of which every line has the same number,
    a quote that does not enclose its whole field is a sign of the text.

    Raises:
        DataError: a column is not there, a row has another number of fields than the first, or
            a quote is left open.
    """
    if not content.strip():
        return LabelledRows(texts=(), raw_labels=())
    columns = (text_column, label_column)
    rows = _records(content, delimiter_of(content, *columns), where)
    number, header = next(rows)
    places = _places(header, columns)
    if places is not None:
        rows = chain([(number, header)], rows)
    else:
        names = [name.strip() for name in header]
        places = (
            place_of(text_column, names, key="text_column", where=where),
            place_of(label_column, names, key="label_column", where=where),
        )
    found = [_chosen(row, places, len(header), f"{where}:{number}") for number, row in rows]
    texts, raw_labels = zip(*found, strict=True) if found else ((), ())
    return LabelledRows(texts=tuple(texts), raw_labels=tuple(raw_labels))


def delimiter_of(content: str, *columns: str) -> str:
    """The sign that splits the first line so that the columns are there; else the commonest."""
    header = content.lstrip("\r\n").partition("\n")[0].rstrip("\r")
    for delimiter in DELIMITERS:
        names = next(csv.reader([header], delimiter=delimiter))
        if {name.strip() for name in names}.issuperset(columns):
            return delimiter
    return "\t" if "\t" in header else max(DELIMITERS, key=header.count)


def _places(header: list[str], columns: tuple[str, str]) -> tuple[int, int] | None:
    """Where the columns stand if they are numbers of places; None if they are names."""
    if any(column in header or not column.isdecimal() for column in columns):
        return None
    text, label = (int(column) for column in columns)
    return (text, label) if max(text, label) < len(header) else None


def _chosen(row: list[str], places: tuple[int, int], width: int, place: str) -> tuple[str, str]:
    if len(row) != width:
        raise DataError(
            f"{place}: got {len(row)} fields, the first line has {width}: {shortened(str(row))}; "
            "a text with the delimiter in it needs quotes"
        )
    text, label = places
    return row[text], row[label].strip()


def _records(content: str, delimiter: str, where: str) -> Iterator[tuple[int, list[str]]]:
    """Line on which it begins, and fields, of each row that is not blank."""
    if delimiter == "\t":
        lines = [line.removesuffix("\r") for line in content.split("\n")]
        filled = [(number, line) for number, line in enumerate(lines, start=1) if line.strip()]
        if len({line.count("\t") for _, line in filled}) == 1:
            for number, line in filled:
                yield number, [_unquoted(part) for part in line.split("\t")]
            return
    with _long_fields():
        reader = csv.reader(io.StringIO(content, newline=""), delimiter=delimiter, strict=True)
        begins = 1
        try:
            for row in reader:
                if row and (len(row) > 1 or row[0].strip()):
                    yield begins, row
                begins = reader.line_num + 1
        except csv.Error as error:
            raise DataError(
                f"{where}:{begins}: {error}; a quote within a quoted text is written twice, and "
                "each that opens needs one that closes"
            ) from None


def _unquoted(part: str) -> str:
    inner = part[1:-1]
    enclosed = len(part) >= 2 and part[0] == part[-1] == '"'
    if enclosed and '"' not in inner.replace('""', ""):
        return inner.replace('""', '"')
    return part


@contextmanager
def _long_fields() -> Iterator[None]:
    """Lift the limit of 131,072 signs a field: the audit speaks of texts that are too long."""
    before = csv.field_size_limit(sys.maxsize)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def read_parquet(data: bytes, *, where: str, text_column: str, label_column: str) -> LabelledRows:
    """Two columns of a Parquet file; class names that ``datasets`` wrote into it are kept.

    Raises:
        DataError: it is no Parquet, a column is not there or has no texts or labels.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(pa.BufferReader(data))
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{where}: not a Parquet file that can be read: {error}") from None
    columns = table.column_names
    text = place_of(text_column, columns, key="text_column", where=where)
    label = place_of(label_column, columns, key="label_column", where=where)
    return rows_of_columns(
        table.column(text).to_pylist(),
        table.column(label).to_pylist(),
        names=_class_names(table.schema.metadata, label_column),
        where=where,
    )


def rows_of_columns(
    texts: list[Any], labels: list[Any], *, names: tuple[str, ...] | None, where: str
) -> LabelledRows:
    """Columns of Python values as rows; with ``names``, labels number them and -1 is missing.

    Raises:
        DataError: a value is no text or no label, or a number has no name.
    """
    if names is not None:
        labels = [_named(label, names, f"{where}, row {row}")
                  for row, label in enumerate(labels, start=1)]  # fmt: skip
    return LabelledRows(
        texts=tuple(as_text(text, f"{where}, row {row}") for row, text in enumerate(texts, 1)),
        raw_labels=tuple(
            as_written(label, f"{where}, row {row}") for row, label in enumerate(labels, 1)
        ),
        names=names,
    )


def _named(label: Any, names: tuple[str, ...], place: str) -> Any:
    if label is None or label == -1:
        return None
    if isinstance(label, int) and 0 <= label < len(names):
        return names[label]
    raise DataError(f"{place}: got label {label!r}; needs one of 0 to {len(names) - 1}: {names}")


def _class_names(metadata: dict[bytes, bytes] | None, column: str) -> tuple[str, ...] | None:
    """The names of the column's classes, if ``datasets`` wrote the file and numbered them."""
    try:
        written = json.loads((metadata or {}).get(b"huggingface", b"{}"))
        feature = written["info"]["features"][column]
        return tuple(feature["names"]) if feature["_type"] == "ClassLabel" else None
    except (ValueError, KeyError, TypeError):
        return None
