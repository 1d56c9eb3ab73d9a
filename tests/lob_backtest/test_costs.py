"""Costs: what is refused, and how they scale."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lob_backtest.costs import Costs
from lob_backtest.errors import CostError


def test_costs_have_no_default_fee() -> None:
    with pytest.raises(TypeError, match="fee_bps"):
        Costs()  # type: ignore[call-arg]


def test_at_touch_pays_the_whole_half_spread_and_none_pays_nothing() -> None:
    half_spread = np.array([0.5, 2.0])
    assert Costs.at_touch(fee_bps=3).paid_half_spread(half_spread).tolist() == [0.5, 2.0]
    assert Costs.none().paid_half_spread(half_spread).tolist() == [0.0, 0.0]
    assert Costs.at_touch(fee_bps=3).fee_share == 0.0003
    assert Costs.none().fee_share == 0.0


@pytest.mark.parametrize("fee_bps", [-0.1, float("nan"), float("inf"), 10_000])
def test_a_fee_that_is_no_cost_is_refused(fee_bps: float) -> None:
    with pytest.raises(CostError, match=f"fee_bps={fee_bps}: needs to be from 0 to below 10,000"):
        Costs.at_touch(fee_bps=fee_bps)


@pytest.mark.parametrize("multiple", [-1, float("nan"), float("inf")])
def test_a_negative_multiple_is_refused(multiple: float) -> None:
    with pytest.raises(CostError):
        Costs.at_touch(fee_bps=1).scaled(multiple)


@given(st.floats(0, 100), st.floats(0, 10))
def test_scaling_multiplies_fee_and_half_spread_alike(fee_bps: float, multiple: float) -> None:
    scaled = Costs.at_touch(fee_bps=fee_bps).scaled(multiple)
    assert scaled == Costs(fee_bps=fee_bps * multiple, spread_multiple=multiple)


def test_scaling_by_zero_is_free_trading_and_by_one_changes_nothing() -> None:
    costs = Costs.at_touch(fee_bps=2.5)
    assert costs.scaled(0) == Costs.none()
    assert costs.scaled(1) == costs
