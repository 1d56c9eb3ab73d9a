"""Tables of texts: csv and tsv with a header line, and Parquet."""

import csv
import io
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hfrun.data.text_lines import numbered_lines
from hfrun.data.text_rows import LabelledRows, as_text, as_written, place_of, shortened
from hfrun.errors import DataError

DELIMITERS = (",", "\t", ";", "|")


def read_csv(content: str, *, where: str, text_column: str, label_column: str) -> LabelledRows:
    """Columns by the names in the first line, between commas, tabs, semicolons or bars.

    Columns that are whole numbers, where no header has these names, are places counted from 0 in a
    file without a header. Quotes are as RFC 4180 has them: a quoted field may hold delimiters,
    doubled quotes and ends of lines. A file with tabs that cannot be read so, while every line has
    as many, was written without quotes: they are signs of its texts.

    Raises:
        DataError: a column is not there, a row has another number of fields than the first, or
            a quote is left open.
    """
    if not content.strip():
        return LabelledRows(texts=(), raw_labels=())
    delimiter = delimiter_of(content, text_column, label_column)
    first, *rows = _records(content, delimiter, where)
    names = [name.strip() for name in first[1]]
    places = _places(names, (text_column, label_column))
    if places is not None:
        rows = [first, *rows]
    else:
        places = (
            place_of(text_column, names, key="text_column", where=where),
            place_of(label_column, names, key="label_column", where=where),
        )
    text, label = places
    return LabelledRows(
        texts=tuple(row[text] for _, row in rows),
        raw_labels=tuple(row[label].strip() for _, row in rows),
    )


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
    if set(columns) <= set(header) or not all(column.isdecimal() for column in columns):
        return None
    text, label = (int(column) for column in columns)
    return (text, label) if max(text, label) < len(header) else None


_Records = list[tuple[int, list[str]]]


def _records(content: str, delimiter: str, where: str) -> _Records:
    """Line on which it begins, and fields, of each row that is not blank; all have as many."""
    try:
        return _quoted(content, delimiter, where)
    except DataError:
        plain = _unquoted(content, delimiter) if delimiter == "\t" else None
        if plain is None:
            raise
        return plain


def _quoted(content: str, delimiter: str, where: str) -> _Records:
    # Lines end at LF alone: a CR by itself belongs to a text, and the csv module wants it quoted.
    reader = csv.reader(io.StringIO(content, newline="\n"), delimiter=delimiter, strict=True)
    found: _Records = []
    begins = 1
    with _long_fields():
        try:
            for row in reader:
                if len(row) > 1 or (row and row[0].strip()):
                    found.append((begins, row))
                begins = reader.line_num + 1
        except csv.Error as error:
            reason = str(error).partition(" - ")[0].replace("\t", r"\t")
            raise DataError(
                f"{where}:{begins}: {reason}; a quote within a quoted "
                "text is written twice, each that opens needs one that closes, and an end of a "
                "line within a text needs them"
            ) from None
    width = len(found[0][1])
    for begins, row in found:
        if len(row) != width:
            raise DataError(
                f"{where}:{begins}: got {len(row)} fields, the first line has {width}: "
                f"{shortened(delimiter.join(row))}; a text with {delimiter!r} in it needs quotes"
            )
    return found


def _unquoted(content: str, delimiter: str) -> _Records | None:
    """The parts of each line, if all lines have as many; else None."""
    found = [(number, line.split(delimiter)) for number, line in numbered_lines(content)]
    return found if len({len(row) for _, row in found}) == 1 else None


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
