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

_BPS = 10_000


@dataclass(frozen=True, kw_only=True)
class Costs:
    """Costs of one order; all money in the book's currency, all units as the book counts sizes.

    Attributes:
        taker_bps, maker_bps: commission in basis points of the traded notional, on every buy and
            every sale; a negative maker fee is a rebate.
        taker_per_unit, maker_per_unit: commission per unit (share) traded.
        minimum_fee: least commission of an order that pays one.
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
        # A minimum holds for what is charged; a rebate or a free order stays what it is.
        commission = np.where(commission > 0, np.maximum(commission, self.minimum_fee), commission)
        tax = notional * self.sell_tax_bps / _BPS + units * self.sell_per_unit
        return np.asarray(self.multiple * (commission + np.where(size < 0, tax, 0.0)))

    def slippage(self, *, size: FloatArray, price: FloatArray, mid: FloatArray) -> FloatArray:
        """``(K,)`` what filling at ``price`` rather than at the mid costs, in currency."""
        return self.multiple * size * (price - mid)


def costs_of(config: Literal["none"] | CostsConfig) -> Costs:
    """The costs that a config asks for; free trading only by name."""
    if config == "none":
        return Costs.none()
    discount = 1.0 if config.discount is None else config.discount
    fee, per_unit = (discount * (value or 0.0) for value in (config.fee_bps, config.fee_per_unit))
    maker, maker_per_unit = config.maker_fee_bps, config.maker_fee_per_unit
    return Costs(
        taker_bps=fee,
        maker_bps=fee if maker is None else discount * maker,
        taker_per_unit=per_unit,
        maker_per_unit=per_unit if maker_per_unit is None else discount * maker_per_unit,
        minimum_fee=config.minimum_fee or 0.0,
        sell_tax_bps=config.sell_tax_bps or 0.0,
        sell_per_unit=config.sell_fee_per_unit or 0.0,
    )
