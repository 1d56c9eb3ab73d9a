"""Latency: fixed or drawn, and that neither the future nor a selection changes a draw."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from lob_backtest.config import LatencyConfig
from lob_backtest.errors import CostError
from lob_backtest.latency import DrawnLatency, FixedLatency, latency_of
from tests.lob_backtest.books import SECOND, START, seconds

MILLISECOND = SECOND // 1000
DRAWN = DrawnLatency(median_ns=5 * MILLISECOND, p99_ns=40 * MILLISECOND, seed=7)


def test_a_fixed_latency_is_added_to_every_decision() -> None:
    decided = seconds([0, 1, 5])
    assert FixedLatency(ns=3).arrives_ns(decided).tolist() == (decided + 3).tolist()


def test_a_config_gives_either() -> None:
    assert latency_of(12) == FixedLatency(ns=12)
    given_one = LatencyConfig(median_ns=2, p99_ns=5, seed=4)
    assert latency_of(given_one) == DrawnLatency(median_ns=2, p99_ns=5, seed=4)


@pytest.mark.parametrize("ns", [-1, 10**18 + 1])
def test_a_latency_that_is_no_delay_is_refused(ns: int) -> None:
    with pytest.raises(CostError, match=f"latency_ns={ns}: needs 0 or more nanoseconds"):
        FixedLatency(ns=ns)


@pytest.mark.parametrize(("median_ns", "p99_ns"), [(0, 5), (-1, 5), (6, 5), (1, 10**18 + 1)])
def test_quantiles_that_are_none_are_refused(median_ns: int, p99_ns: int) -> None:
    with pytest.raises(CostError, match=f"median_ns={median_ns} and p99_ns={p99_ns}: needs"):
        DrawnLatency(median_ns=median_ns, p99_ns=p99_ns)


@pytest.mark.parametrize("step_ns", [1, 1000, MILLISECOND, SECOND])
def test_delays_are_log_normal_on_any_grid_of_decisions(step_ns: int) -> None:
    delays = DRAWN.delays_ns(START + step_ns * np.arange(40_000))
    log = np.log(delays / (5 * MILLISECOND))
    sigma = np.log(8) / stats.norm.ppf(0.99)
    # Kolmogorov-Smirnov at 40,000 draws sees distances of 0.8 %.
    assert stats.kstest(log, stats.norm(scale=sigma).cdf).pvalue > 0.001
    assert np.mean(delays > 40 * MILLISECOND) == pytest.approx(0.01, abs=0.002)
    # Neighbours know nothing of each other.
    assert abs(np.corrcoef(log[1:], log[:-1])[0, 1]) < 0.02


def test_another_seed_is_another_course_of_delays() -> None:
    decided = START + SECOND * np.arange(2000)
    other = DrawnLatency(median_ns=DRAWN.median_ns, p99_ns=DRAWN.p99_ns, seed=8)
    one, two = (np.log(latency.delays_ns(decided)) for latency in (DRAWN, other))
    assert abs(np.corrcoef(one, two)[0, 1]) < 0.08
    assert np.array_equal(DRAWN.delays_ns(decided), DRAWN.delays_ns(decided))


def test_equal_quantiles_are_a_fixed_latency() -> None:
    decided = START + SECOND * np.arange(50)
    certain = DrawnLatency(median_ns=77, p99_ns=77)
    assert certain.arrives_ns(decided).tolist() == (decided + 77).tolist()


def test_the_widest_of_quantiles_overflows_nothing() -> None:
    decided = START + SECOND * np.arange(20_000)
    delays = DrawnLatency(median_ns=1, p99_ns=10**18).delays_ns(decided)
    assert (delays >= 0).all()
    assert (decided + delays > 0).all()


@given(st.lists(st.integers(0, 10**12), min_size=1, max_size=60), st.data())
def test_a_draw_depends_on_its_own_decision_alone(offsets: list[int], data: st.DataObject) -> None:
    decided = START + np.unique(np.array(offsets))
    chosen = np.array(data.draw(st.lists(st.booleans(), min_size=decided.size)))[: decided.size]
    delays = DRAWN.delays_ns(decided)
    assert DRAWN.delays_ns(decided[chosen]).tolist() == delays[chosen].tolist()


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=60))
def test_orders_never_overtake_each_other(offsets: list[int]) -> None:
    decided = START + np.unique(np.array(offsets))
    arrives = DRAWN.arrives_ns(decided)
    assert (np.diff(arrives) >= 0).all()
    waits = arrives - (decided + DRAWN.delays_ns(decided))
    assert (waits >= 0).all()
    # One that waits arrives exactly with one that left before it.
    assert set(arrives[waits > 0]) <= set((decided + DRAWN.delays_ns(decided))[waits == 0])


def test_an_earlier_stream_does_not_hold_up_a_later_one() -> None:
    decided = np.concatenate([seconds([100, 101]), seconds([3, 4])])
    parts = [DRAWN.arrives_ns(part) for part in (decided[:2], decided[2:])]
    assert DRAWN.arrives_ns(decided).tolist() == np.concatenate(parts).tolist()
