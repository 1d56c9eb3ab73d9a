"""Files of one JSON object a line, written as things happen."""

import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from lob_backtest.files import write_text


def strict_line(record: Mapping[str, Any]) -> str:
    """One line of strict JSON. It has no NaN, and null would read as "not measured": a number
    that is not finite becomes the text "nan", "inf" or "-inf", which ``float`` reads back.

    >>> strict_line({"step": 3, "loss": float("nan")})
    '{"step": 3, "loss": "nan"}'
    """
    return json.dumps({key: _strict(value) for key, value in record.items()}, allow_nan=False)


def _strict(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, Mapping):
        return {key: _strict(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_strict(item) for item in value]
    return value


class JsonLines:
    """A JSON lines file that is appended to, each line whole and on disk before the next."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, record: Mapping[str, Any]) -> None:
        """Add a line. The file is opened and closed, so that it can be read at any moment."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(strict_line(record) + "\n")

    def rewrite(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Replace the whole file, atomically."""
        write_text(self.path, "".join(strict_line(record) + "\n" for record in records))
