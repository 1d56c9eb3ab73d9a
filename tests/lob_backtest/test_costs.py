"""Costs: by hand, what is refused, how they scale, and what a config makes of a preset."""

from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lob_backtest.config import CostsConfig
from lob_backtest.costs import Costs, costs_of
from lob_backtest.errors import CostError
from lob_backtest.venues import VENUES

BOTH_WAYS = {"size": np.array([2.0, -3.0]), "price": np.array([10.0, 9.0])}
TAKER, MAKER = np.zeros(2, dtype=np.bool_), np.ones(2, dtype=np.bool_)
MID = np.array([9.5, 9.5])
RATES = ("taker_bps", "maker_bps", "taker_per_unit", "maker_per_unit")

costs_of_any_kind = st.builds(
    Costs,
    taker_bps=st.floats(0, 100),
    maker_bps=st.floats(-5, 100),
    taker_per_unit=st.floats(0, 1),
    maker_per_unit=st.floats(-0.1, 1),
    minimum_fee=st.floats(0, 30),
    sell_tax_bps=st.floats(0, 50),
    sell_per_unit=st.floats(0, 0.01),
    multiple=st.floats(0, 10),
)


def one(costs: Costs, size: float, price: float, *, is_maker: bool = False) -> float:
    fees = costs.fees(size=np.array([size]), price=np.array([price]), is_maker=np.array([is_maker]))
    return float(fees[0])


# ---------------------------------------------------------------------------- by hand


def test_costs_have_no_default_fee() -> None:
    with pytest.raises(TypeError, match="taker_bps"):
        Costs()  # type: ignore[call-arg]


def test_costs_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        Costs.none().taker_bps = 1.0  # type: ignore[misc]


def test_a_fee_is_a_share_of_the_notional_and_slippage_the_distance_from_the_mid() -> None:
    costs = Costs.proportional(100.0)
    assert costs.fees(is_maker=TAKER, **BOTH_WAYS) == pytest.approx([0.2, 0.27])
    assert costs.slippage(mid=MID, **BOTH_WAYS) == pytest.approx([1.0, 1.5])
    assert Costs.none().fees(is_maker=TAKER, **BOTH_WAYS).tolist() == [0.0, 0.0]
    assert Costs.none().slippage(mid=MID, **BOTH_WAYS).tolist() == [0.0, 0.0]


def test_makers_and_takers_pay_their_own_rates_and_a_maker_may_be_paid() -> None:
    costs = Costs(taker_bps=7.5, maker_bps=-2.5, taker_per_unit=0.01, maker_per_unit=0.002)
    paid = costs.fees(is_maker=np.array([True, False]), **BOTH_WAYS)
    # 20 at -2.5 bps and 2 units at 0.002; 27 at 7.5 bps and 3 units at 0.01.
    assert paid == pytest.approx([-0.005 + 0.004, 0.02025 + 0.03])


def test_a_tax_and_a_levy_are_paid_on_sales_alone() -> None:
    costs = Costs(taker_bps=0.0, maker_bps=0.0, sell_tax_bps=30.0, sell_per_unit=0.01)
    assert costs.fees(is_maker=TAKER, **BOTH_WAYS) == pytest.approx([0.0, 27 * 0.003 + 0.03])
    assert costs.fees(is_maker=MAKER, **BOTH_WAYS) == pytest.approx([0.0, 27 * 0.003 + 0.03])


@pytest.mark.parametrize(
    ("size", "price", "fee"),
    [
        (1, 600.0, 20.0),  # 0.1425 % of 600 is 0.855: the minimum is 333 bps
        (20, 600.0, 20.0),  # 17.1
        (24, 600.0, 20.52),
        (1000, 600.0, 855.0),
        (-1, 600.0, 20.0 + 1.8),  # and 0.3 % tax on the sale
        (-1000, 600.0, 855.0 + 1800.0),
    ],
)
def test_a_minimum_makes_small_orders_expensive(size: float, price: float, fee: float) -> None:
    taiwan = costs_of(CostsConfig(preset="taiwan_stock"))
    assert one(taiwan, size, price) == pytest.approx(fee)


def test_a_minimum_alone_is_a_flat_fee_and_takes_no_rebate_away() -> None:
    flat = Costs(taker_bps=0.0, maker_bps=-1.0, minimum_fee=2.0)
    assert one(flat, 5, 100.0) == 2.0
    assert one(flat, 5, 100.0, is_maker=True) == pytest.approx(-0.05)


def test_a_round_trip_buys_at_the_ask_and_sells_at_the_bid() -> None:
    costs = Costs(taker_bps=10.0, maker_bps=0.0, minimum_fee=1.0, sell_tax_bps=20.0)
    trips = costs.round_trip(
        size=np.array([2.0, 200.0]), bid=np.array([9.0, 9.0]), ask=np.array([10.0, 10.0])
    )
    # 2 x 1.00 of spread, twice the minimum, tax 0.036; 200 x 1.00, 2.00 + 1.80, tax 3.60.
    assert trips == pytest.approx([2 + 2 + 0.036, 200 + 3.8 + 3.6])
    no_costs = Costs.none().round_trip(
        size=np.array([2.0]), bid=np.array([9.0]), ask=np.array([10.0])
    )
    assert no_costs.tolist() == [0.0]


# ------------------------------------------------------------------------ from a config


def test_free_trading_is_asked_for_by_name() -> None:
    assert costs_of("none") == Costs.none()


def test_makers_pay_what_takers_pay_unless_the_config_says_otherwise() -> None:
    both = costs_of(CostsConfig(fee_bps=3.0, fee_per_unit=0.1))
    assert [getattr(both, name) for name in RATES] == [3.0, 3.0, 0.1, 0.1]
    rebate = costs_of(CostsConfig(fee_bps=3.0, maker_fee_bps=-1.0))
    assert [getattr(rebate, name) for name in RATES] == [3.0, -1.0, 0.0, 0.0]


def test_a_discount_multiplies_the_commission_but_no_minimum_and_no_tax() -> None:
    whole = costs_of(CostsConfig(preset="taiwan_stock"))
    discounted = costs_of(CostsConfig(preset="taiwan_stock", discount=0.6))
    assert discounted == replace(whole, taker_bps=0.6 * 14.25, maker_bps=0.6 * 14.25)
    assert one(discounted, -1000, 100.0) == pytest.approx(85.5 + 300.0)
    assert one(discounted, 100, 100.0) == 20.0
    of_own = costs_of(CostsConfig(fee_per_unit=0.01, minimum_fee=1.0, discount=0.5))
    assert (of_own.taker_per_unit, of_own.minimum_fee) == (0.005, 1.0)


def test_figures_of_ones_own_replace_those_of_the_preset_one_by_one() -> None:
    whole = costs_of(CostsConfig(preset="taiwan_stock"))
    own = costs_of(CostsConfig(preset="taiwan_stock", minimum_fee=1.0, sell_tax_bps=0.0))
    assert own == replace(whole, minimum_fee=1.0, sell_tax_bps=0.0)
    dearer = costs_of(CostsConfig(preset="bitmex_2020", fee_bps=9.0))
    assert (dearer.taker_bps, dearer.maker_bps) == (9.0, -2.5)


@pytest.mark.parametrize("venue", VENUES, ids=[each.name for each in VENUES])
def test_a_preset_charges_its_own_figures(venue) -> None:
    costs = costs_of(CostsConfig(preset=venue.name))
    for name in (*RATES, "minimum_fee", "sell_tax_bps", "sell_per_unit"):
        assert getattr(costs, name) == getattr(venue, name)
    assert costs.multiple == 1.0


def test_an_unknown_preset_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(CostError, match=r"'taiwan_stok': no such preset; did you mean 'taiwan_st"):
        costs_of(CostsConfig(preset="taiwan_stok"))
    with pytest.raises(CostError, match="'zzz': no such preset; There are taiwan_stock"):
        costs_of(CostsConfig(preset="zzz"))


# ------------------------------------------------------------------------ what is refused


@pytest.mark.parametrize("fee_bps", [-0.1, float("nan"), float("inf"), 10_000])
def test_a_fee_that_is_no_cost_is_refused(fee_bps: float) -> None:
    with pytest.raises(CostError, match=f"taker_bps={fee_bps}: needs to be"):
        Costs.proportional(fee_bps)


@pytest.mark.parametrize("name", ["minimum_fee", "sell_tax_bps", "sell_per_unit", "taker_per_unit"])
def test_only_a_maker_may_be_paid(name: str) -> None:
    with pytest.raises(CostError, match=f"{name}=-1: needs to be finite and at least 0"):
        Costs(taker_bps=1.0, maker_bps=1.0, **{name: -1})


@pytest.mark.parametrize("multiple", [-1, float("nan"), float("inf")])
def test_a_negative_multiple_is_refused(multiple: float) -> None:
    with pytest.raises(CostError):
        Costs.proportional(1).scaled(multiple)


# ------------------------------------------------------------------------- properties


@given(costs=costs_of_any_kind, multiple=st.floats(0, 10))
def test_scaling_multiplies_every_part_alike(costs: Costs, multiple: float) -> None:
    scaled = costs.scaled(multiple)
    for is_maker in (TAKER, MAKER):
        assert scaled.fees(is_maker=is_maker, **BOTH_WAYS) == pytest.approx(
            multiple * costs.fees(is_maker=is_maker, **BOTH_WAYS)
        )
    assert scaled.slippage(mid=MID, **BOTH_WAYS) == pytest.approx(
        multiple * costs.slippage(mid=MID, **BOTH_WAYS)
    )
    trip = {"size": np.array([2.0]), "bid": np.array([9.0]), "ask": np.array([9.5])}
    assert scaled.round_trip(**trip) == pytest.approx(multiple * costs.round_trip(**trip))


@given(costs=costs_of_any_kind, size=st.floats(0.01, 1e4), price=st.floats(0.01, 1e4))
def test_dearer_rates_never_charge_less(costs: Costs, size: float, price: float) -> None:
    for name in (*RATES, "minimum_fee", "sell_tax_bps", "sell_per_unit"):
        # A larger rebate is no dearer rate, so what is doubled is a charge.
        if getattr(costs, name) < 0:
            continue
        dearer = replace(costs, **{name: 2 * getattr(costs, name)})
        for signed in (size, -size):
            for is_maker in (False, True):
                before = one(costs, signed, price, is_maker=is_maker)
                assert one(dearer, signed, price, is_maker=is_maker) >= before - 1e-9


def test_scaling_by_zero_is_free_trading_and_by_one_changes_nothing() -> None:
    costs = Costs.proportional(2.5)
    assert costs.scaled(0).multiple == Costs.none().multiple == 0
    assert costs.scaled(1) == costs
