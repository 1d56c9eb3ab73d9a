"""Logged numbers in print: as the record wrote them where that is short, rounded where it is long.

A number is never made here, with one exception that is said to be one: the gap between two
accuracies that stand in the same row, which is exact in decimals.
"""

import math
from collections.abc import Mapping
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
    text = repr(value)
    if not math.isfinite(value) or _significant(text) <= _DIGITS:
        return text
    return format(value, ".4f") if 1e-3 <= abs(value) < 1e6 else format(value, ".3e")


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


def percent(share: Any) -> str:
    """A share of the steps.

    >>> percent(1.0), percent(0.9912609238451935), percent(None)
    ('100 %', '99 %', '–')
    """
    if not is_figure(share):
        return shown(share)
    return f"{100 * share:.0f} %"


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
