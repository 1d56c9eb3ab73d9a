"""Labelled texts as a file has them, before their labels are numbers."""

import difflib
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hfrun.errors import DataError

# Codes with leading zeros are names; int() refuses thousands of digits.
_WHOLE = re.compile(r"([+-]?(?:0|[1-9][0-9]{0,17}))(?:\.0+)?", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class LabelledRows:
    """Texts and their labels as written; "" is a label that is missing.

    Attributes:
        texts: N of them.
        raw_labels: N of them; of a column that numbers its classes, the names of the classes.
        names: of such a column, in its order; else None.
    """

    texts: tuple[str, ...]
    raw_labels: tuple[str, ...]
    names: tuple[str, ...] | None = None

    def __len__(self) -> int:
        return len(self.texts)

    def take(self, rows: Sequence[int]) -> "LabelledRows":
        """The rows with these numbers, in this order."""
        return LabelledRows(
            texts=tuple(self.texts[row] for row in rows),
            raw_labels=tuple(self.raw_labels[row] for row in rows),
            names=self.names,
        )


def whole_number(raw: str) -> int | None:
    """The number that a label is, also one that was written as a float (``3.0``); else None."""
    found = _WHOLE.fullmatch(raw)
    return None if found is None else int(found[1])


def as_written(value: Any, where: str) -> str:
    """One cell of a label column as text; missing ones (null, NaN) are "".

    Raises:
        DataError: it is a list, a mapping or something else that is no label.
    """
    if value is None:
        return ""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        if math.isnan(value):
            return ""
        return str(int(value)) if value.is_integer() else repr(value)
    raise DataError(
        f"{where}: got a label of type {type(value).__name__}: {shortened(str(value))}; needs a "
        "name or a whole number; set data.label_column to a column that has these"
    )


def as_text(value: Any, where: str) -> str:
    """One cell of a text column; null is the empty text, of which the audit speaks.

    Raises:
        DataError: it is no text, or none that UTF-8 can say.
    """
    if value is None:
        return ""
    if not isinstance(value, str):
        raise DataError(
            f"{where}: got a text of type {type(value).__name__}: {shortened(str(value))}; needs "
            "a string; set data.text_column to the column of the texts"
        )
    try:
        value.encode()
    except UnicodeEncodeError:
        raise DataError(
            f"{where}: got half of a surrogate pair in {shortened(value)}; no tokenizer can read "
            "it; mend the text"
        ) from None
    return value


def place_of(column: str, columns: Sequence[str], *, key: str, where: str) -> int:
    """Where a column stands among those of a file.

    Raises:
        DataError: it is not there, or there twice; lists those that are.
    """
    if columns.count(column) == 1:
        return columns.index(column)
    if column in columns:
        raise DataError(f"{where}: got column {column!r} {columns.count(column)} times; needs one")
    near = difflib.get_close_matches(column, columns, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise DataError(
        f"{where}: has no column {column!r}, but {', '.join(map(repr, columns))}; set data.{key} "
        f"to one of these{hint}"
    )


def shortened(text: str, most: int = 60) -> str:
    """The text as Python writes it, cut where it is long: for messages."""
    return repr(text if len(text) <= most else text[: most - 3] + "...")
