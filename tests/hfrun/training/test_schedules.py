"""Schedules: by hand, as properties, and against transformers' and torch's own where they meet."""

import itertools
import math
import warnings

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.optim.lr_scheduler import LRScheduler, OneCycleLR, StepLR
from transformers import (
    TrainerCallback,
    get_constant_schedule_with_warmup,
    get_cosine_schedule_with_warmup,
    get_linear_schedule_with_warmup,
    get_wsd_schedule,
)

from hfrun.config import config_from, effective_yaml
from hfrun.errors import TrainingError
from hfrun.training.schedules import ScheduleOptions, build_schedule
from lob_backtest.errors import ConfigError
from lob_backtest.strict_yaml import parse_yaml

NAMES = ("cosine", "linear", "step", "constant", "one_cycle", "warmup_stable_decay")
ROOT = math.sqrt(0.5)


def adam(*rates: float) -> torch.optim.Optimizer:
    groups = [{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": r} for r in rates or (1.0,)]
    return torch.optim.AdamW(groups)


def sgd(rate: float = 1.0, **options: float) -> torch.optim.Optimizer:
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=rate, **options)


def rates_of(scheduler: LRScheduler, steps: int) -> list[float]:
    """The rate with which each step is taken, as the optimizer itself holds it."""
    rates = []
    for _ in range(steps):
        rates.append(float(scheduler.optimizer.param_groups[0]["lr"]))
        scheduler.optimizer.step()
        scheduler.step()
    return rates


def rates(name: str, *, warmup: int, total: int, steps: int | None = None, **keys) -> list[float]:
    options = ScheduleOptions(name=name, **keys)
    scheduler = build_schedule(adam(), options, warmup_steps=warmup, total_steps=total)
    return rates_of(scheduler, total if steps is None else steps)


# ---- every step by hand ----


def test_cosine_at_every_step_by_hand() -> None:
    # warm-up over 4 steps from 0.2, then a cosine over 4 steps down to 0.1
    got = rates("cosine", warmup=4, total=8, steps=9, start_factor=0.2, floor=0.1)
    assert got == pytest.approx(
        [0.2, 0.4, 0.6, 0.8, 1.0, 0.1 + 0.45 * (1 + ROOT), 0.55, 0.1 + 0.45 * (1 - ROOT), 0.1]
    )


def test_linear_at_every_step_by_hand() -> None:
    got = rates("linear", warmup=2, total=6, steps=8, start_factor=0.5, floor=0.2)
    assert got == pytest.approx([0.5, 0.75, 1.0, 0.8, 0.6, 0.4, 0.2, 0.2])


def test_step_at_every_step_by_hand() -> None:
    keys = {"start_factor": 0.5, "floor": 0.02, "step_factor": 0.1}
    expected = [0.5, 1, 1, 1, 0.1, 0.1, 0.1, 0.02, 0.02, 0.02]
    assert rates("step", warmup=1, total=10, step_every=3, **keys) == pytest.approx(expected)
    # a share of all steps, rounded up as transformers rounds its own: 3 of 10
    assert rates("step", warmup=1, total=10, step_every=0.25, **keys) == pytest.approx(expected)


def test_constant_at_every_step_by_hand() -> None:
    got = rates("constant", warmup=2, total=5, start_factor=0.2)
    assert got == pytest.approx([0.2, 0.6, 1, 1, 1])


@pytest.mark.parametrize(
    ("shape", "fall"),
    [
        ("linear", [1.0, 0.775, 0.55, 0.325]),
        ("cosine", [1.0, 0.1 + 0.45 * (1 + ROOT), 0.55, 0.1 + 0.45 * (1 - ROOT)]),
        ("sqrt", [1.0, 0.55, 0.1 + 0.9 * (1 - ROOT), 0.1 + 0.9 * (1 - math.sqrt(0.75))]),
    ],
)  # fmt: skip
def test_warmup_stable_decay_at_every_step_by_hand(shape: str, fall: list[float]) -> None:
    keys = {"start_factor": 0.5, "floor": 0.1, "decay_share": 0.4, "shape": shape}
    got = rates("warmup_stable_decay", warmup=2, total=10, steps=11, **keys)
    assert got == pytest.approx([0.5, 0.75, 1, 1, 1, 1, *fall, 0.1])


def test_one_cycle_and_its_momentum_at_every_step_by_hand() -> None:
    options = ScheduleOptions(
        name="one_cycle", shape="linear", start_factor=0.2, floor=0.1, low_momentum=0.8,
        high_momentum=0.9,
    )  # fmt: skip
    optimizer = adam()
    scheduler = build_schedule(optimizer, options, warmup_steps=2, total_steps=7)
    got = []
    for _ in range(8):
        group = optimizer.param_groups[0]
        got.append((group["lr"], group["betas"][0]))
        optimizer.step()
        scheduler.step()
    assert [rate for rate, _ in got] == pytest.approx([0.2, 0.6, 1, 0.775, 0.55, 0.325, 0.1, 0.1])
    assert [beta for _, beta in got] == pytest.approx(
        [0.9, 0.85, 0.8, 0.825, 0.85, 0.875, 0.9, 0.9]
    )
    assert optimizer.param_groups[0]["betas"][1] == 0.999


def test_warm_up_really_warms_up() -> None:
    # the defect it replaces: the rate frozen in warm-up, the cosine running underneath
    got = rates("cosine", warmup=10, total=100, steps=101)
    assert all(later > earlier for earlier, later in itertools.pairwise(got[:11]))
    assert got[10] == 1.0
    assert all(later < earlier for earlier, later in itertools.pairwise(got[10:]))


def test_one_cycle_without_a_warm_up_rises_for_three_tenths() -> None:
    got = rates("one_cycle", warmup=0, total=100)
    assert got == rates("one_cycle", warmup=30, total=100)
    assert got.index(max(got)) == 30


# ---- references ----


@pytest.mark.parametrize(("warmup", "total"), [(3, 12), (0, 7), (1, 2), (0, 1)])
def test_from_zero_to_zero_they_are_transformers_schedules(warmup: int, total: int) -> None:
    theirs = {
        "cosine": get_cosine_schedule_with_warmup(adam(), warmup, total),
        "linear": get_linear_schedule_with_warmup(adam(), warmup, total),
        "constant": get_constant_schedule_with_warmup(adam(), warmup),
    }
    for name, scheduler in theirs.items():
        ours = rates(name, warmup=warmup, total=total, start_factor=0.0)
        assert ours == pytest.approx(rates_of(scheduler, total), abs=1e-15), name


@pytest.mark.parametrize("shape", ["linear", "cosine", "sqrt"])
@pytest.mark.parametrize("floor", [0.0, 0.1])
def test_warmup_stable_decay_is_transformers_own(shape: str, floor: float) -> None:
    theirs = get_wsd_schedule(
        adam(), 3, 8, 20, decay_type="1-sqrt" if shape == "sqrt" else shape, min_lr_ratio=floor
    )
    keys = {"start_factor": floor, "floor": floor, "decay_share": 0.4, "shape": shape}
    ours = rates("warmup_stable_decay", warmup=3, total=20, **keys)
    assert ours == pytest.approx(rates_of(theirs, 20), abs=1e-15)


def test_step_is_torchs_step_schedule() -> None:
    ours = rates("step", warmup=0, total=20, step_every=4, step_factor=0.3)
    assert ours == pytest.approx(rates_of(StepLR(adam(), 4, 0.3), 20), abs=1e-15)


@pytest.mark.parametrize("shape", ["cosine", "linear"])
@pytest.mark.parametrize(("warmup", "total"), [(30, 100), (1, 9), (5, 7), (2, 3)])
def test_one_cycle_is_torchs_rate_and_momentum(shape: str, warmup: int, total: int) -> None:
    for make in (adam, lambda: sgd(momentum=0.9)):
        seen: list[list[tuple[float, float]]] = []
        for ours in (True, False):
            optimizer = make()
            scheduler = _one_cycle(optimizer, shape, warmup, total, ours=ours)
            seen.append([])
            for step in range(total):
                group = optimizer.param_groups[0]
                momentum = group["betas"][0] if "betas" in group else group["momentum"]
                seen[-1].append((float(group["lr"]), momentum))
                optimizer.step()
                if step < total - 1:  # torch's refuses to be asked for more
                    scheduler.step()
        assert [value for pair in seen[0] for value in pair] == pytest.approx(
            [value for pair in seen[1] for value in pair], abs=1e-12
        )


def _one_cycle(optimizer, shape: str, warmup: int, total: int, *, ours: bool) -> LRScheduler:
    if ours:
        options = ScheduleOptions(name="one_cycle", shape=shape)
        return build_schedule(optimizer, options, warmup_steps=warmup, total_steps=total)
    return OneCycleLR(
        optimizer, max_lr=1.0, total_steps=total, pct_start=(warmup + 1) / total,
        anneal_strategy="cos" if shape == "cosine" else "linear",
    )  # fmt: skip


# ---- properties ----


@given(
    name=st.sampled_from(NAMES), total=st.integers(2, 60), share=st.floats(0, 0.7),
    start=st.floats(0, 1), floor=st.floats(0, 1),
)  # fmt: skip
def test_every_rate_is_between_the_lowest_and_the_peak_which_is_reached(
    name: str, total: int, share: float, start: float, floor: float
) -> None:
    keys = {"start_factor": start} | ({} if name == "constant" else {"floor": floor})
    got = rates(name, warmup=int(total * share), total=total, steps=total + 1, **keys)
    lowest = start if name == "constant" else min(start, floor)
    assert all(lowest - 1e-12 <= rate <= 1 + 1e-12 for rate in got)
    assert max(got[:-1]) == pytest.approx(1.0)
    if name not in ("constant", "step"):
        assert got[-1] == pytest.approx(floor)


@pytest.mark.parametrize("name", NAMES)
def test_each_group_keeps_its_own_peak_at_every_step(name: str) -> None:
    optimizer = adam(1.0, 0.1, 1e-4)
    scheduler = build_schedule(
        optimizer, ScheduleOptions(name=name), warmup_steps=2, total_steps=12
    )
    for _ in range(12):
        first, second, third = (group["lr"] for group in optimizer.param_groups)
        assert (second, third) == pytest.approx((0.1 * first, 1e-4 * first))
        optimizer.step()
        scheduler.step()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("stop", [1, 4, 9])
def test_taken_up_from_its_state_it_goes_on_as_if_never_interrupted(name: str, stop: int) -> None:
    options = ScheduleOptions(name=name)

    def started() -> tuple[torch.optim.Optimizer, LRScheduler]:
        optimizer = adam(1.0, 0.1)
        return optimizer, build_schedule(optimizer, options, warmup_steps=3, total_steps=10)

    def steps(optimizer, scheduler, count: int) -> list[tuple[float, tuple[float, float]]]:
        taken = []
        for _ in range(count):
            taken += [(group["lr"], group["betas"]) for group in optimizer.param_groups]
            optimizer.step()
            scheduler.step()
        return taken

    whole = steps(*started(), 10)
    optimizer, scheduler = started()
    first = steps(optimizer, scheduler, stop)
    resumed, again = started()
    resumed.load_state_dict(optimizer.state_dict())
    again.load_state_dict(scheduler.state_dict())
    assert first + steps(resumed, again, 10 - stop) == whole


# ---- through the Trainer ----


class Seen(TrainerCallback):
    """The rate and beta1 with which each step is taken."""

    def __init__(self) -> None:
        self.rates: list[float] = []
        self.betas: list[float] = []

    def on_pre_optimizer_step(self, args, state, control, *, optimizer, **kwargs) -> None:
        self.rates.append(optimizer.param_groups[0]["lr"])
        self.betas.append(optimizer.param_groups[0]["betas"][0])


@pytest.mark.parametrize("name", NAMES)
def test_the_trainer_takes_each_step_at_the_schedules_rate(make_trainer, name: str) -> None:
    seen = Seen()
    make_trainer(
        schedule=ScheduleOptions(name=name),
        callbacks=[seen],
        arguments={"warmup_steps": 0.3, "gradient_accumulation_steps": 2, "num_train_epochs": 3},
    ).train()
    assert seen.rates == pytest.approx([0.01 * r for r in rates(name, warmup=3, total=9)])


def test_a_run_resumed_inside_one_cycle_is_the_uninterrupted_one(make_trainer, tmp_path) -> None:
    def train(out: str, resume: str | None = None, **arguments) -> tuple[Seen, dict]:
        seen = Seen()
        trainer = make_trainer(
            out=out, schedule=ScheduleOptions(name="one_cycle"), callbacks=[seen],
            arguments={"save_strategy": "epoch", "warmup_steps": 3, **arguments},
        )  # fmt: skip
        trainer.train(resume_from_checkpoint=resume)
        return seen, trainer.model.state_dict()

    whole, weights = train("whole")
    resumed, again = train("resumed", str(tmp_path / "whole" / "checkpoint-5"))
    assert (resumed.rates, resumed.betas) == (whole.rates[5:], whole.betas[5:])
    assert min(whole.betas) == pytest.approx(0.85)
    assert all(torch.equal(weights[name], again[name]) for name in weights)


# ---- what is refused ----


@pytest.mark.parametrize(("warmup", "total"), [(10, 10), (12, 10), (0, 0)])
@pytest.mark.parametrize("name", NAMES)
def test_a_run_that_never_reaches_its_peak_is_refused(name: str, warmup: int, total: int) -> None:
    with pytest.raises(TrainingError, match=f"warmup_steps={warmup} of {total} optimizer steps"):
        rates(name, warmup=warmup, total=total)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"start_factor": -0.1}, r"start_factor=-0\.1; needs a share"),
        ({"floor": 1.5}, r"floor=1\.5; needs a share"),
        ({"floor": math.nan}, "floor=nan; needs a share"),
        ({"name": "step", "step_factor": 2.0}, r"step_factor=2\.0; needs a share"),
        ({"name": "step", "step_every": 0.0}, r"step_every=0\.0; needs a whole number"),
        ({"name": "step", "step_every": 2.5}, r"step_every=2\.5; needs a whole number"),
        ({"name": "one_cycle", "shape": "sqrt"}, "shape='sqrt'; one_cycle needs cosine or linear"),
        ({"name": "one_cycle", "low_momentum": 0.97}, r"low_momentum=0\.97, high_momentum=0\.95"),
        ({"name": "constant", "floor": 0.1}, "floor: of no use to the schedule constant, which has "
         "start_factor"),
        ({"decay_share": 0.1, "shape": "linear"}, "decay_share, shape: of no use to the schedule "
         "cosine, which has start_factor, floor"),
        ({"name": "exponential"}, "name='exponential'; needs one of cosine, linear"),
    ],
)  # fmt: skip
def test_values_out_of_range_and_keys_of_other_schedules_are_refused(keys, message) -> None:
    with pytest.raises(TrainingError, match=message):
        ScheduleOptions(**keys)


def test_a_decay_that_begins_inside_the_warm_up_is_refused() -> None:
    with pytest.raises(TrainingError, match=r"warmup_steps=6 and decay_share=0.5 \(5 steps\) do "):
        rates("warmup_stable_decay", warmup=6, total=10, decay_share=0.5)


def test_an_optimizer_without_momentum_is_refused_unless_none_is_cycled() -> None:
    parameters = [torch.nn.Parameter(torch.zeros(1))]
    sizes = {"warmup_steps": 1, "total_steps": 5}
    with pytest.raises(TrainingError, match="cycle_momentum: the optimizer has neither"):
        build_schedule(torch.optim.Adagrad(parameters), ScheduleOptions(name="one_cycle"), **sizes)
    options = ScheduleOptions(name="one_cycle", cycle_momentum=False)
    optimizer = torch.optim.Adagrad(parameters, lr=0.5)
    build_schedule(optimizer, options, **sizes)
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.02)


# ---- in a config ----


def _config(schedule: dict):
    raw = {
        "run": {"name": "a", "output_dir": "out"},
        "data": {"train": "train.txt", "validation": "dev.txt", "test": "test.txt"},
        "model": {"tokenizer": "folder"},
        "training": {"num_train_epochs": 1, "schedule": schedule},
    }
    return config_from(raw, source="test")


@pytest.mark.parametrize("name", NAMES)
def test_the_effective_config_shows_the_defaults_and_reads_back(name: str) -> None:
    config = _config({"name": name})
    written = parse_yaml(effective_yaml(config))
    shown = {
        key: value for key, value in written["training"]["schedule"].items() if value is not None
    }
    assert shown == {"name": name, **ScheduleOptions(name=name).own}
    assert config_from(written, source="written").training.schedule == config.training.schedule


def test_a_key_of_another_schedule_is_a_config_error() -> None:
    with pytest.raises(ConfigError, match=r"training\.schedule: step_every: of no use to the"):
        _config({"name": "linear", "step_every": 3})


def test_schedules_give_no_warning_in_the_order_that_torch_wants() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rates("one_cycle", warmup=1, total=4)
