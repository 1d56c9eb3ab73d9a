"""Reading a run's records leniently: a card leaves out what they lack or what is none."""

from collections.abc import Mapping, Sequence
from typing import Any

Record = Mapping[str, Any]


def records(value: Any) -> Sequence[Record]:
    """The mappings of a list; nothing for what is no list."""
    return [row for row in value if isinstance(row, Mapping)] if isinstance(value, list) else []


def figure(figures: Any, key: str) -> Record:
    """``{value, low, high}`` of an aggregate; empty where it has none."""
    found = figures.get(key) if isinstance(figures, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def value_of(figures: Any, key: str) -> Any:
    """The value alone; None where there is none."""
    return figure(figures, key).get("value")
