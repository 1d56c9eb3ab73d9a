"""The costs command: which presets there are, and what each charges on an example order."""

import argparse
from dataclasses import asdict
from typing import Any

import numpy as np

from lob_backtest.command_line import EXIT_DONE
from lob_backtest.commands.tables import show, table
from lob_backtest.config import CostsConfig
from lob_backtest.costs import costs_of
from lob_backtest.errors import CostError
from lob_backtest.venues import VENUES, Venue, venue

_HEAD = ("preset", "taker", "maker", "minimum", "on sales", "dates")
_BPS = 10_000
_LARGEST = 1e18


def costs(arguments: argparse.Namespace) -> int:
    """Print all presets, or one with its sources, and what an example order pays."""
    if not (0 < arguments.size <= _LARGEST and 0 < arguments.price <= _LARGEST):
        raise CostError(
            f"--size {arguments.size} --price {arguments.price}: needs a positive size and price "
            f"up to {_LARGEST:g}"
        )
    chosen = VENUES if arguments.preset is None else (venue(arguments.preset),)
    example = {"size": arguments.size, "price": arguments.price}
    value = [
        {**asdict(each), "example": {**example, **_example(each, **example)}} for each in chosen
    ]
    text = _all(value, **example) if arguments.preset is None else _one(value[0])
    show(value if arguments.preset is None else value[0], text, as_json=arguments.json)
    return EXIT_DONE


def charges(preset: Venue) -> tuple[str, ...]:
    """What a preset charges, in words: name, taker, maker, minimum, on sales, dates."""
    currency = preset.currency or ""
    return (
        preset.name,
        _rate(preset.taker_bps, preset.taker_per_unit, currency),
        _rate(preset.maker_bps, preset.maker_per_unit, currency),
        f"{preset.minimum_fee:g} {currency}" if preset.minimum_fee else "-",
        _rate(preset.sell_tax_bps, preset.sell_per_unit, currency),
        preset.period,
    )


def _rate(bps: float, per_unit: float, currency: str) -> str:
    parts = [f"{bps:g} bps"] if bps else []
    parts += [f"{per_unit:g} {currency} a unit"] if per_unit else []
    return " + ".join(parts) or "-"


def _example(preset: Venue, *, size: float, price: float) -> dict[str, float]:
    """Fees of a purchase and of a sale as a taker, and of both in basis points of the notional."""
    costs = costs_of(CostsConfig(preset=preset.name))
    bought, sold = costs.fees(
        size=np.array([size, -size]),
        price=np.array([price, price]),
        is_maker=np.zeros(2, dtype=np.bool_),
    ).tolist()
    return {
        "buy_fee": bought,
        "sell_fee": sold,
        "round_trip_bps": _BPS * (bought + sold) / (size * price),
    }


def _all(presets: list[dict[str, Any]], *, size: float, price: float) -> str:
    rows = [
        [*charges(venue(each["name"])), f"{each['example']['round_trip_bps']:.2f} bps"]
        for each in presets
    ]
    return (
        f"{table([*_HEAD, 'round trip'], rows)}\n\n"
        f"round trip: fees and taxes of buying and selling {size:g} units at {price:g} as a taker, "
        "without the spread\nsources and notes: lob-backtest costs PRESET"
    )


def _one(preset: dict[str, Any]) -> str:
    own, example = venue(preset["name"]), preset["example"]
    money = own.currency or "of the quote currency"
    rows = [[name, words] for name, words in zip(_HEAD[1:], charges(own)[1:], strict=True)]
    lines = [f"{own.name}: {own.title}", "", table(["charge", ""], rows), ""]
    lines += [
        f"{example['size']:g} units at {example['price']:g} as a taker: "
        f"{example['buy_fee']:.4g} {money} to buy, {example['sell_fee']:.4g} to sell, together "
        f"{example['round_trip_bps']:.2f} bps of the notional, without the spread"
    ]
    lines += [f"source: {source}" for source in own.sources] + [f"note: {own.note}"]
    return "\n".join(lines)
