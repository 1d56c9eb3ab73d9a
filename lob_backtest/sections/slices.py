"""Where the model is right and where it earns: figures by time of day, spread, volatility, day.

Every labelled decision is in one slice of each kind, and every trade in the slice of the decision
that it followed, so slices of one kind add up to the whole.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from lob_backtest.book import BoolArray, FloatArray, IntArray
from lob_backtest.metrics import classification_metrics, said_classes
from lob_backtest.predictions import CLASS_NAMES
from lob_backtest.resampling import label_overlap
from lob_backtest.sections.confidence import share_interval
from lob_backtest.sections.parts import Part
from lob_backtest.sections.regimes import (
    Regime,
    clock_regime,
    decision_of,
    session_regime,
    spread_regime,
    volatility_regime,
)

_WORDS = {
    "time_of_day": "Local time of the decision, {timezone}.",
    "spread": "Spread at the last row known at the decision.",
    "volatility": "Volatility of the mid-price over the ten label horizons before the decision, "
                  "per horizon.",
    "session": "Local day of the decision, {timezone}.",
}  # fmt: skip
_UNKNOWN = "not known yet"


def slices_section(parts: Sequence[Part], *, capital: float | None = None) -> dict[str, Any]:
    """Figures of the model in every slice, by kind of slice, and ``words`` about the kinds.

    Regimes come from what was known at the decision. Their limits are terciles of all test
    decisions of the instrument, found afterwards: they describe, nobody could have traded by them.

    Args:
        parts: one an instrument, all on one clock.
        capital: currency that returns are relative to; None leaves money out.
    """
    tests, books = [part.test for part in parts], [part.book for part in parts]
    alone = len(parts) == 1
    pairs = list(zip(books, tests, strict=True))
    kinds: dict[str, list[Regime]] = {
        "time_of_day": clock_regime(books[0], tests),
        "spread": [spread_regime(book, test, with_limits=alone) for book, test in pairs],
        "volatility": [volatility_regime(book, test, with_limits=alone) for book, test in pairs],
        "session": session_regime(books[0], tests),
    }
    zone = books[0].meta.timezone
    overlap = float(np.mean([label_overlap(test) for test in tests]))
    return {
        **{kind: _slices(parts, regimes, capital, overlap) for kind, regimes in kinds.items()},
        "words": {kind: words.format(timezone=zone) for kind, words in _WORDS.items()},
    }


def _slices(
    parts: Sequence[Part], regimes: Sequence[Regime], capital: float | None, overlap: float
) -> list[dict[str, Any]]:
    names = regimes[0].names
    labels = np.concatenate([part.test.label for part in parts])
    known = np.concatenate([part.test.is_labelled for part in parts])
    probability = np.concatenate([part.test.probability for part in parts])
    code = np.concatenate([regime.code for regime in regimes])
    money = None if capital is None else _money(parts, regimes)
    rows = []
    for place in (*range(len(names)), -1):
        chosen = known & (code == place)
        row = {
            "name": _UNKNOWN if place < 0 else names[place],
            "n": int(chosen.sum()),
            **_figures(labels[chosen], probability[chosen], overlap),
            **_earned(money, place, capital),
        }
        if row["n"] or row["trades"]:
            rows.append(row)
    return rows


def _figures(labels: IntArray, probability: FloatArray, overlap: float) -> dict[str, Any]:
    keys = ("accuracy", "majority_accuracy", "f1_weighted", "mcc")
    if labels.size == 0:
        nothing = (*keys, "accuracy_low", "accuracy_high", *(f"{c}_share" for c in CLASS_NAMES))
        return dict.fromkeys(nothing)
    figures = classification_metrics(labels, probability)
    hits = int((said_classes(probability)[0] == labels).sum())
    low, high = share_interval(hits, labels.size, overlap=overlap)
    shares = np.bincount(labels, minlength=len(CLASS_NAMES)) / labels.size
    return {
        **{key: figures[key] for key in keys},
        "accuracy_low": low,
        "accuracy_high": high,
        **{f"{name}_share": float(s) for name, s in zip(CLASS_NAMES, shares, strict=True)},
    }


def _money(parts: Sequence[Part], regimes: Sequence[Regime]) -> tuple[IntArray, FloatArray] | None:
    """Slice and net profit of each trade of all parts; None where one was not traded."""
    codes, profits = [], []
    for part, regime in zip(parts, regimes, strict=True):
        if part.trades is None:
            return None
        decision = decision_of(part.test, part.trades.fold, part.trades.open_ns)
        codes.append(np.where(decision >= 0, regime.code[decision], -1))
        profits.append(part.trades.net_pnl)
    return np.concatenate(codes), np.concatenate(profits)


def _earned(
    money: tuple[IntArray, FloatArray] | None, place: int, capital: float | None
) -> dict[str, Any]:
    if money is None or capital is None:
        return {"net_return": None, "trades": None}
    here: BoolArray = money[0] == place
    return {"net_return": float(money[1][here].sum() / capital), "trades": int(here.sum())}
