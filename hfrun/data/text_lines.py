"""One text a line: ``LABEL ||| text``, ``text@label`` and JSON objects.

    3 ||| A warm , funny , engaging film .                  bars: the label is before the first |||
    The orders are worth EUR 5mn .@positive                 at: the label is after the last @
    {"text": "A warm , funny film .", "label": 3}           jsonl

A line ends at LF or CRLF alone: other signs that Unicode counts as ends of lines occur in texts.
Blank lines are skipped.
"""

import json
from collections.abc import Iterator
from typing import Any

from hfrun.data.text_rows import LabelledRows, as_text, as_written, place_of, shortened
from hfrun.errors import DataError

BARS, AT = "|||", "@"


def numbered_lines(content: str) -> Iterator[tuple[int, str]]:
    """Number, from 1, and text of each line that is not blank."""
    for number, line in enumerate(content.split("\n"), start=1):
        if line.strip():
            yield number, line.removesuffix("\r")


def read_bars(content: str, *, where: str) -> LabelledRows:
    """``LABEL ||| text``: spaces around both are dropped.

    Raises:
        DataError: a line has no ``|||``.
    """
    rows = []
    for number, line in numbered_lines(content):
        label, bars, text = line.partition(BARS)
        if not bars:
            raise _no_sign(where, number, line, "LABEL ||| text", "bars")
        rows.append((text.strip(), label.strip()))
    return _rows(rows)


def read_at(content: str, *, where: str) -> LabelledRows:
    """``text@label``: the label is what stands after the last ``@``.

    Raises:
        DataError: a line has no ``@``.
    """
    rows = []
    for number, line in numbered_lines(content):
        text, at, label = line.rpartition(AT)
        if not at:
            raise _no_sign(where, number, line, "text@label", "at")
        rows.append((text.strip(), label.strip()))
    return _rows(rows)


def read_json_lines(
    content: str, *, where: str, text_column: str, label_column: str
) -> LabelledRows:
    """A JSON object a line, or one JSON list of objects; a label that is left out is missing.

    Raises:
        DataError: a line is no object, an object lacks the text, or all lack the label.
    """
    rows, has_labels, keys = [], False, dict[str, None]()
    for place, item in _objects(content, where):
        keys.update(dict.fromkeys(item))
        if text_column not in item:
            place_of(text_column, list(item), key="text_column", where=place)
        has_labels |= label_column in item
        text = as_text(item[text_column], place)
        rows.append((text, as_written(item.get(label_column), place)))
    if rows and not has_labels:
        place_of(label_column, list(keys), key="label_column", where=where)
    return _rows(rows)


def _objects(content: str, where: str) -> Iterator[tuple[str, dict[str, Any]]]:
    if content.lstrip().startswith("["):
        for number, item in enumerate(_parsed(content, where), start=1):
            yield f"{where}, item {number}", _object(item, f"{where}, item {number}")
        return
    for number, line in numbered_lines(content):
        place = f"{where}:{number}"
        yield place, _object(_parsed(line, place), place)


def _parsed(text: str, place: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"{place}: not valid JSON: {error}; got {shortened(text)}; needs one object a line, "
            "or set data.format to what the file is"
        ) from None


def _object(item: Any, place: str) -> dict[str, Any]:
    if not isinstance(item, dict):
        raise DataError(
            f"{place}: got {shortened(json.dumps(item))}; needs a JSON object with the text and "
            "its label"
        )
    return item


def _rows(rows: list[tuple[str, str]]) -> LabelledRows:
    texts, raw_labels = zip(*rows, strict=True) if rows else ((), ())
    return LabelledRows(texts=tuple(texts), raw_labels=tuple(raw_labels))


def _no_sign(where: str, number: int, line: str, form: str, name: str) -> DataError:
    return DataError(
        f"{where}:{number}: got {shortened(line)}; the format {name} needs {form} in every line; "
        "mend the line, or set data.format to what the file is"
    )
