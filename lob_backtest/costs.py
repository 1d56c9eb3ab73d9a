"""What a trade costs: how far from the mid-price it fills, and what the venue takes on top.

    slippage   |size| * distance of the fill from the mid         half-spread, walking the book
    fee        max(minimum, |size| * price * bps / 10,000 + |size| * per unit)      maker or taker
    tax        sales only: size * price * tax_bps / 10,000 + size * per unit

One object says it everywhere: in the backtest, in labels, in the search for thresholds and in the
cost sensitivity, where the whole of it is multiplied. Costs have no default: free trading is asked
for by name, ``Costs.none()``.
"""

import math
from dataclasses import dataclass, fields, replace
from typing import Literal

import numpy as np

from lob_backtest.book import BoolArray, FloatArray
from lob_backtest.config import CostsConfig
from lob_backtest.errors import CostError
from lob_backtest.venues import Venue, venue

_BPS = 10_000


@dataclass(frozen=True, kw_only=True)
class Costs:
    """Costs of one order; all money in the book's currency, all units as the book counts sizes.

    Attributes:
        taker_bps, maker_bps: commission in basis points of the traded notional, on every buy and
            every sale; a negative maker fee is a rebate.
        taker_per_unit, maker_per_unit: commission per unit (share) traded.
        minimum_fee: least commission of an order, unless it earns a rebate; alone it is a flat fee
            an order.
        sell_tax_bps: tax on the notional of sales.
        sell_per_unit: levy per unit sold.
        multiple: 1 is the cost as it is; 0 trades at the mid for nothing; slippage, commission and
            tax are all multiplied.

    Raises:
        CostError: negative where it may not be, not finite, or a fee of the whole notional.
    """

    taker_bps: float
    maker_bps: float
    taker_per_unit: float = 0.0
    maker_per_unit: float = 0.0
    minimum_fee: float = 0.0
    sell_tax_bps: float = 0.0
    sell_per_unit: float = 0.0
    multiple: float = 1.0

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            may_be_rebate = item.name in ("maker_bps", "maker_per_unit")
            if not math.isfinite(value) or (value < 0 and not may_be_rebate):
                raise CostError(f"{item.name}={value}: needs to be finite and at least 0")
            if item.name.endswith("_bps") and abs(value) >= _BPS:
                raise CostError(
                    f"{item.name}={value}: needs to be below {_BPS:,} basis points of the traded "
                    "notional; for free trading write costs: none"
                )

    @classmethod
    def none(cls) -> "Costs":
        """Free trading at the mid: what gross figures are computed with."""
        return cls(taker_bps=0.0, maker_bps=0.0, multiple=0.0)

    @classmethod
    def proportional(cls, fee_bps: float) -> "Costs":
        """The spread, and one fee on the notional of every trade, maker or taker."""
        return cls(taker_bps=fee_bps, maker_bps=fee_bps)

    def scaled(self, multiple: float) -> "Costs":
        """The whole cost times ``multiple``; 0 is ``none``."""
        return replace(self, multiple=self.multiple * multiple)

    def fees(self, *, size: FloatArray, price: FloatArray, is_maker: BoolArray) -> FloatArray:
        """``(K,)`` commission and tax of each order in currency.

        Args:
            size: ``(K,)`` units, positive bought, negative sold.
            price: ``(K,)`` price of the fill in currency.
            is_maker: ``(K,)`` whether the order rested in the book.
        """
        units, notional = np.abs(size), np.abs(size) * price
        bps = np.where(is_maker, self.maker_bps, self.taker_bps)
        per_unit = np.where(is_maker, self.maker_per_unit, self.taker_per_unit)
        commission = notional * bps / _BPS + units * per_unit
        # No minimum takes a rebate away.
        commission = np.where(commission < 0, commission, np.maximum(commission, self.minimum_fee))
        tax = notional * self.sell_tax_bps / _BPS + units * self.sell_per_unit
        return np.asarray(self.multiple * (commission + np.where(size < 0, tax, 0.0)))

    def round_trip(self, *, size: FloatArray, bid: FloatArray, ask: FloatArray) -> FloatArray:
        """``(K,)`` currency that buying at the ask and selling at the bid as a taker costs.

            size * (ask - bid) + fees of the purchase + fees and tax of the sale

        The cheapest way in and out at once: orders within the best level, no time between them. For
        an entry and an exit at different times take the mean of the round trips at either.

        Args:
            size: ``(K,)`` units, positive; long or short cost the same.
            bid, ask: ``(K,)`` best prices in currency.
        """
        taker = np.zeros(np.shape(size), dtype=np.bool_)
        bought = self.fees(size=size, price=ask, is_maker=taker)
        sold = self.fees(size=-size, price=bid, is_maker=taker)
        return np.asarray(self.multiple * size * (ask - bid) + bought + sold)

    def slippage(self, *, size: FloatArray, price: FloatArray, mid: FloatArray) -> FloatArray:
        """``(K,)`` what filling at ``price`` rather than at the mid costs, in currency."""
        return self.multiple * size * (price - mid)


def costs_of(config: Literal["none"] | CostsConfig) -> Costs:
    """The costs that a config asks for; free trading only by name.

    The preset's figures, each replaced by the config's own where it has one; without a preset a
    maker pays what a taker pays unless the config says otherwise. The discount then multiplies the
    commission, rebates included, but no minimum and no tax.

    Raises:
        CostError: an unknown preset, or figures that are no costs.
    """
    if config == "none":
        return Costs.none()
    own = {
        "taker_bps": config.fee_bps,
        "maker_bps": config.maker_fee_bps,
        "taker_per_unit": config.fee_per_unit,
        "maker_per_unit": config.maker_fee_per_unit,
        "minimum_fee": config.minimum_fee,
        "sell_tax_bps": config.sell_tax_bps,
        "sell_per_unit": config.sell_fee_per_unit,
    }
    base = dict.fromkeys(own, 0.0)
    if config.preset is not None:
        base = figures_of(venue(config.preset))
    else:
        base |= {"maker_bps": config.fee_bps or 0.0, "maker_per_unit": config.fee_per_unit or 0.0}
    chosen = base | {name: value for name, value in own.items() if value is not None}
    if config.discount is not None:
        for name in ("taker_bps", "maker_bps", "taker_per_unit", "maker_per_unit"):
            chosen[name] *= config.discount
    return Costs(**chosen)


def figures_of(preset: Venue) -> dict[str, float]:
    """The preset's figures by the names that ``Costs`` gives them."""
    return {
        item.name: getattr(preset, item.name) for item in fields(Costs) if item.name != "multiple"
    }
