"""What a trade costs: the half-spread, by trading at the touch, and a proportional fee on top.

    buy  at mid + spread_multiple * half_spread      fee = fee_bps / 10,000 * |size| * price
    sell at mid - spread_multiple * half_spread

Costs have no default anywhere: free trading is asked for by name, ``Costs.none()``.
"""

import math
from dataclasses import dataclass, replace

from lob_backtest.book import FloatArray
from lob_backtest.errors import CostError

_BPS = 10_000


@dataclass(frozen=True, kw_only=True)
class Costs:
    """Costs of one side of a trade; use ``at_touch`` or ``none``.

    Attributes:
        fee_bps: fee in basis points of the traded notional, on every buy and every sell.
        spread_multiple: 1 trades at the touch, 0 at the mid, 2 as if the spread were twice as wide.

    Raises:
        CostError: negative or not finite, or a fee of the whole notional.
    """

    fee_bps: float
    spread_multiple: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.fee_bps < _BPS:
            raise CostError(
                f"fee_bps={self.fee_bps}: needs to be from 0 to below {_BPS:,} basis points of "
                "the traded notional; for free trading write costs: none"
            )
        if not (math.isfinite(self.spread_multiple) and self.spread_multiple >= 0):
            raise CostError(
                f"spread_multiple={self.spread_multiple}: needs to be 0 (mid), 1 (touch) or above"
            )

    @classmethod
    def none(cls) -> "Costs":
        """Free trading at the mid: what gross figures are computed with."""
        return cls(fee_bps=0.0, spread_multiple=0.0)

    @classmethod
    def at_touch(cls, *, fee_bps: float) -> "Costs":
        """Buy at the best ask, sell at the best bid, pay the fee."""
        return cls(fee_bps=fee_bps)

    @property
    def fee_share(self) -> float:
        """Fee as a share of the traded notional."""
        return self.fee_bps / _BPS

    def scaled(self, multiple: float) -> "Costs":
        """The whole cost times ``multiple``: half-spread and fee; 0 is ``none``."""
        return replace(
            self,
            fee_bps=self.fee_bps * multiple,
            spread_multiple=self.spread_multiple * multiple,
        )

    def paid_half_spread(self, half_spread: FloatArray) -> FloatArray:
        """Distance of the trade's price from the mid, in the unit of ``half_spread``."""
        return self.spread_multiple * half_spread
