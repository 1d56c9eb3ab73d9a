"""JSON of strangers as values that any answer can carry."""

import json
import re
from typing import Any

# Text unfolds: three bytes of JSON can be a list, which takes sixty.
MAX_VALUES = 400_000
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+"', re.DOTALL)
_ALL_BUT_MARKS = bytes(set(range(256)) - set(b"[{,"))


def require_few_values(data: bytes) -> None:
    """ValueError for JSON of more than ``MAX_VALUES``, found out without unfolding it."""
    if _marks(data) <= MAX_VALUES:
        return
    found = position = 0
    for string in _STRING.finditer(data):
        found += _marks(data[position : string.start()])
        position = string.end()
        if found > MAX_VALUES:
            break
    if found + _marks(data[position:]) > MAX_VALUES:
        raise ValueError(f"got JSON of more than {MAX_VALUES} values")


def _marks(data: bytes) -> int:
    """How many bytes begin or part values: about as many as there are values."""
    return len(data.translate(None, delete=_ALL_BUT_MARKS))


def plain_json(data: bytes) -> Any:
    """Decode JSON; what it allows and an answer does not becomes text.

    NaN, infinities (``1e999`` is one) and halves of surrogate pairs can be read, not written.

    Raises:
        ValueError: no JSON, nested too deeply, or too many values.
    """
    require_few_values(data)
    try:
        value = json.loads(data.decode("utf-8", "replace"), parse_constant=str)
        plain = json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")
        return json.loads(plain, parse_constant=str)
    except RecursionError:
        raise ValueError("got JSON that is nested too deeply") from None


def plain_object(data: bytes) -> dict[str, Any]:
    """Like ``plain_json``, for what has to be an object; ValueError for anything else."""
    value = plain_json(data)
    if not isinstance(value, dict):
        raise ValueError(f"got a JSON {type(value).__name__} where an object is needed")
    return value
