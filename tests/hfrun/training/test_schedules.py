"""Schedules: by hand, as properties, and against transformers' own where they meet."""

import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import get_cosine_schedule_with_warmup

from hfrun.errors import TrainingError
from hfrun.training.schedules import ScheduleOptions, build_warmup_cosine, warmup_cosine_factor


def factors(warmup: int, total: int, start_factor: float, floor: float) -> list[float]:
    sizes = {"warmup_steps": warmup, "total_steps": total}
    shape = {"start_factor": start_factor, "floor": floor}
    return [warmup_cosine_factor(step, **sizes, **shape) for step in range(total + 1)]


def test_factor_at_every_step_of_a_short_run_by_hand() -> None:
    # warm-up over 4 steps from 0.2, then a cosine over 4 steps down to 0.1
    root = math.sqrt(0.5)
    assert factors(4, 8, 0.2, 0.1) == pytest.approx(
        [0.2, 0.4, 0.6, 0.8, 1.0, 0.1 + 0.45 * (1 + root), 0.55, 0.1 + 0.45 * (1 - root), 0.1]
    )


def test_warm_up_really_warms_up() -> None:
    # the defect it replaces: the rate frozen in warm-up, the cosine running underneath
    rates = factors(10, 100, 0.01, 0.0)
    assert all(later > earlier for earlier, later in itertools.pairwise(rates[:11]))
    assert rates[10] == 1.0
    assert all(later < earlier for earlier, later in itertools.pairwise(rates[10:]))


@given(
    total=st.integers(2, 200),
    warmup_share=st.floats(0, 0.9),
    start=st.floats(0, 1),
    floor=st.floats(0, 1),
)
def test_factor_stays_between_its_lowest_value_and_one(total, warmup_share, start, floor) -> None:
    rates = factors(int(total * warmup_share), total, start, floor)
    assert all(min(start, floor) - 1e-12 <= rate <= 1 + 1e-12 for rate in rates)
    assert rates[-1] == pytest.approx(floor)
    assert max(rates) == pytest.approx(1.0)


def test_from_zero_to_zero_it_is_transformers_cosine_schedule() -> None:
    def optimizer() -> torch.optim.Optimizer:
        return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.3)

    options = ScheduleOptions(start_factor=0.0, floor=0.0)
    ours = build_warmup_cosine(optimizer(), options, warmup_steps=3, total_steps=12)
    theirs = get_cosine_schedule_with_warmup(optimizer(), 3, 12)
    for _ in range(12):
        assert ours.get_last_lr() == pytest.approx(theirs.get_last_lr(), abs=1e-15)
        for scheduler in (ours, theirs):
            scheduler.optimizer.step()
            scheduler.step()


def test_each_group_keeps_its_own_peak() -> None:
    groups = [{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": rate} for rate in (1.0, 0.1)]
    optimizer = torch.optim.SGD(groups)
    build_warmup_cosine(optimizer, ScheduleOptions(), warmup_steps=2, total_steps=4)
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.01, 0.001])


@pytest.mark.parametrize(("warmup", "total"), [(10, 10), (12, 10), (0, 0)])
def test_a_run_that_never_reaches_its_peak_is_refused(warmup: int, total: int) -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))])
    with pytest.raises(TrainingError, match=f"warmup_steps={warmup} of {total} optimizer steps"):
        build_warmup_cosine(optimizer, ScheduleOptions(), warmup_steps=warmup, total_steps=total)


@pytest.mark.parametrize("wrong", [{"start_factor": -0.1}, {"floor": 1.5}])
def test_shares_of_the_peak_outside_0_to_1_are_refused(wrong) -> None:
    with pytest.raises(TrainingError, match="from 0 to 1"):
        ScheduleOptions(**wrong)
