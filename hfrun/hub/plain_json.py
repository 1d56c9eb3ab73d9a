"""JSON of strangers as values that any answer can carry."""

import json
from typing import Any


def plain_json(data: bytes) -> Any:
    """Decode JSON; what it allows and an answer does not becomes text.

    NaN, infinities (``1e999`` is one) and halves of surrogate pairs can be read, not written.

    Raises:
        ValueError: no JSON, or nested too deeply.
    """
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
