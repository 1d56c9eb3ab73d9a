"""Logged numbers in print: as the record wrote them where that is short, rounded where it is long.

A number is never made here, with one exception that is said to be one: the gap between two
accuracies that stand in the same row, which is exact in decimals.
"""

import math
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, TypeGuard

NOTHING = "–"
# The longest figure that is printed as it is; a log of our own holds seventeen digits.
_DIGITS = 6


def shown(value: Any) -> str:
    """A figure of the log.

    >>> shown(0.5014), shown(1e-07), shown(0.7159763313609467), shown(0.00019109923976848176)
    ('0.5014', '1e-07', '0.7160', '1.911e-04')
    >>> shown(None), shown("nan"), shown(float("nan")), shown(2.0)
    ('–', 'nan', 'nan', '2.0')
    """
    if value is None:
        return NOTHING
    if isinstance(value, str | bool) or not isinstance(value, int | float):
        return str(value)
    if not math.isfinite(value) or not _is_long(value):
        return repr(value)
    return _rounded(value)


def column(values: Sequence[Any]) -> list[str]:
    """Figures that stand below each other: rounded alike as soon as one of them is long.

    >>> column([0.515625, 0.75, None]), column([0.515625, 0.7159763313609467, 0.75])
    (['0.515625', '0.75', '–'], ['0.5156', '0.7160', '0.7500'])
    """
    if not any(is_figure(value) and _is_long(value) for value in values):
        return [shown(value) for value in values]
    return [_rounded(value) if is_figure(value) else shown(value) for value in values]


def _rounded(value: float) -> str:
    if value == 0 or 1e-3 <= abs(value) < 1e6:
        return format(value, ".4f")
    return format(value, ".3e")


def _is_long(value: float) -> bool:
    return _significant(repr(value)) > _DIGITS


def _significant(text: str) -> int:
    """Digits of a printed number, without leading zeros and the exponent."""
    mantissa = text.lstrip("-").partition("e")[0]
    return len(mantissa.replace(".", "").lstrip("0"))


def counted(value: Any) -> str:
    """A number of epochs or steps: whole ones without a point.

    >>> counted(4.0), counted(0.5), counted(None)
    ('4', '0.5', '–')
    """
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return shown(value)


def is_figure(value: Any) -> TypeGuard[int | float]:
    """Whether it is a finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return math.isfinite(value)


def gap_of(epoch: Mapping[str, Any]) -> float | None:
    """Train minus evaluation accuracy of a row that holds both, exact in decimals.

    >>> gap_of({"train_accuracy": 0.7919, "eval_accuracy": 0.4982})
    0.2937
    """
    train, evaluation = epoch.get("train_accuracy"), epoch.get("eval_accuracy")
    if not (is_figure(train) and is_figure(evaluation)):
        return None
    return float(Decimal(repr(train)) - Decimal(repr(evaluation)))


def span(values: Sequence[float]) -> str:
    """One figure, or the least and the greatest of several."""
    if not values:
        return ""
    low, high = column([min(values), max(values)])
    return low if low == high else f"{low} … {high}"


def interval(figure: Mapping[str, Any]) -> str:
    """A figure with its confidence interval, where it has one, in Markdown.

    >>> interval({"value": 0.408}), interval({"value": 0.5, "low": 0.48751234, "high": 0.5125})
    ('0.408', '0.5000 \\\\[0.4875, 0.5125\\\\]')
    """
    sides = [figure.get(name) for name in ("value", "low", "high")]
    if not is_figure(sides[0]):
        return ""
    if not (is_figure(sides[1]) and is_figure(sides[2])):
        return shown(sides[0])
    value, low, high = column(sides)
    return f"{value} \\[{low}, {high}\\]"
