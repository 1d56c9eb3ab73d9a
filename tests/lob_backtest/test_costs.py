"""Costs: what is refused, and how they scale."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lob_backtest.costs import Costs
from lob_backtest.errors import CostError


def test_costs_have_no_default_fee() -> None:
    with pytest.raises(TypeError, match="taker_bps"):
        Costs()  # type: ignore[call-arg]


def test_a_fee_is_a_share_of_the_notional_and_slippage_the_distance_from_the_mid() -> None:
    order = {"size": np.array([2.0, -3.0]), "price": np.array([10.0, 9.0])}
    taker = np.zeros(2, dtype=np.bool_)
    costs = Costs.proportional(100.0)
    assert costs.fees(is_maker=taker, **order) == pytest.approx([0.2, 0.27])
    assert costs.slippage(mid=np.array([9.5, 9.5]), **order) == pytest.approx([1.0, 1.5])
    assert Costs.none().fees(is_maker=taker, **order).tolist() == [0.0, 0.0]
    assert Costs.none().slippage(mid=np.array([9.5, 9.5]), **order).tolist() == [0.0, 0.0]


@pytest.mark.parametrize("fee_bps", [-0.1, float("nan"), float("inf"), 10_000])
def test_a_fee_that_is_no_cost_is_refused(fee_bps: float) -> None:
    with pytest.raises(CostError, match=f"taker_bps={fee_bps}: needs to be"):
        Costs.proportional(fee_bps)


@pytest.mark.parametrize("multiple", [-1, float("nan"), float("inf")])
def test_a_negative_multiple_is_refused(multiple: float) -> None:
    with pytest.raises(CostError):
        Costs.proportional(1).scaled(multiple)


@given(st.floats(0, 100), st.floats(0, 10))
def test_scaling_multiplies_fee_and_slippage_alike(fee_bps: float, multiple: float) -> None:
    costs, scaled = Costs.proportional(fee_bps), Costs.proportional(fee_bps).scaled(multiple)
    order = {"size": np.array([2.0, -3.0]), "price": np.array([10.0, 9.0])}
    taker, mid = np.zeros(2, dtype=np.bool_), np.array([9.5, 9.5])
    assert scaled.fees(is_maker=taker, **order) == pytest.approx(
        multiple * costs.fees(is_maker=taker, **order)
    )
    assert scaled.slippage(mid=mid, **order) == pytest.approx(
        multiple * costs.slippage(mid=mid, **order)
    )


def test_scaling_by_zero_is_free_trading_and_by_one_changes_nothing() -> None:
    costs = Costs.proportional(2.5)
    assert costs.scaled(0).multiple == Costs.none().multiple == 0
    assert costs.scaled(1) == costs
