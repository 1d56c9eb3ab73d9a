"""The exploration's design: fair to every cell wherever it is stopped, and evenly spread."""

import re
from collections import Counter
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import qmc

from hfrun.study.design import design, every_point, sequence
from hfrun.study.space import Parameter, Space, canonical
from hfrun.study_config import StudyConfig
from lob_backtest.errors import ConfigError
from lob_backtest.strict_yaml import build, parse_yaml

PAGE = Path(__file__).resolve().parents[3] / "docs/search_spaces.md"
KINDS = ("sobol", "halton", "random")
RATE, DECAY = "training.learning_rate", "training.weight_decay"
DROPOUT = "model.config.dropout"


def space_of(*nuisance: Parameter, fixed=None, **scientific) -> Space:
    named = {key.replace("__", "."): tuple(values) for key, values in scientific.items()}
    return Space(scientific=named, nuisance=nuisance, fixed=fixed or {})


def two_ranges(cells: int = 3) -> Space:
    return space_of(
        Parameter(key=RATE, low=1e-5, high=1e-2, log=True),
        Parameter(key=DECAY, low=1e-4, high=0.3, log=True),
        model__config__dropout=[i / 10 for i in range(cells)],
    )


def nuisance_of(values) -> str:
    return canonical({key: held for key, held in values.items() if key != DROPOUT})


def units(space: Space, values) -> np.ndarray:
    return np.array([space.point(each) for each in values], dtype=float)


@pytest.mark.parametrize("kind", [*KINDS, "grid"])
def test_every_cell_gets_the_same_points_in_the_same_order(kind) -> None:
    found = design(two_ranges(), trials=24, kind=kind, seed=3)
    by_cell = {
        dropout: [nuisance_of(each) for each in found if each[DROPOUT] == dropout]
        for dropout in (0.0, 0.1, 0.2)
    }
    # as a grid: 4 rates, 2 decays, 3 dropouts
    assert len(found) == 24
    assert len(by_cell[0.0]) == 8
    assert by_cell[0.0] == by_cell[0.1] == by_cell[0.2]
    assert len(set(by_cell[0.0])) == 8


@settings(max_examples=30, deadline=None)
@given(
    trials=st.integers(7, 40),
    cells=st.integers(1, 7),
    kind=st.sampled_from(KINDS),
    seed=st.integers(0, 2**32 - 1),
)
def test_wherever_it_is_stopped_no_cell_is_ahead_by_more_than_one(trials, cells, kind, seed):
    found = design(two_ranges(cells), trials=trials, kind=kind, seed=seed)
    assert len(found) == trials
    for stopped in range(trials + 1):
        counts = Counter(each[DROPOUT] for each in found[:stopped])
        assert len(counts) == min(stopped, cells)
        assert max(counts.values(), default=0) <= -(-stopped // cells)
    assert all(1e-5 <= each[RATE] <= 1e-2 and 1e-4 <= each[DECAY] <= 0.3 for each in found)


@pytest.mark.parametrize("kind", KINDS)
def test_a_larger_budget_goes_on_where_the_smaller_ended(kind) -> None:
    short = design(two_ranges(), trials=22, kind=kind, seed=5)
    assert design(two_ranges(), trials=50, kind=kind, seed=5)[:22] == short
    assert design(two_ranges(), trials=22, kind=kind, seed=6) != short


@pytest.mark.parametrize("kind", [*KINDS, "grid"])
def test_each_cell_needs_a_trial(kind) -> None:
    with pytest.raises(ConfigError, match="trials=2: there are 3 comb"):
        design(two_ranges(), trials=2, kind=kind, seed=0)


def test_a_cut_round_favours_no_cell() -> None:
    last = Counter(
        design(two_ranges(), trials=4, kind="random", seed=seed)[3][DROPOUT] for seed in range(300)
    )
    # 100 each are expected; a standard deviation is 8.2
    assert set(last) == {0.0, 0.1, 0.2}
    assert max(abs(count - 100) for count in last.values()) < 33


@pytest.mark.parametrize("seed", range(5))
def test_sixteen_points_of_sobol_fall_into_sixteen_bins_of_each_hyperparameter(seed) -> None:
    space = two_ranges(1)
    found = units(space, design(space, trials=16, kind="sobol", seed=seed))
    for column in found.T:
        assert sorted(np.floor(column * 16 + 1e-9)) == list(range(16))


def discrepancies(kind, trials: int) -> np.ndarray:
    space = two_ranges(1)
    return np.array(
        [
            qmc.discrepancy(units(space, design(space, trials=trials, kind=kind, seed=seed)))
            for seed in range(20)
        ]
    )


@pytest.mark.parametrize("trials", [8, 13, 24, 50])
def test_a_quasi_random_design_is_more_even_than_a_random_one(trials) -> None:
    random = discrepancies("random", trials)
    assert discrepancies("sobol", trials).mean() < random.mean() / 2
    assert discrepancies("halton", trials).mean() < random.mean() / 2
    assert (discrepancies("sobol", trials) < np.median(random)).mean() >= 0.95


def test_a_sequence_is_that_of_scipy_however_it_is_drawn() -> None:
    expected = qmc.Sobol(3, scramble=True, rng=np.random.default_rng(7)).random_base2(5)
    for first in (1, 5, 16, 32):
        held = list(islice(sequence(3, kind="sobol", seed=7, first=first), 32))
        np.testing.assert_array_equal(held, expected)


def test_no_trial_is_there_twice_and_a_finite_space_is_tried_out() -> None:
    space = space_of(
        Parameter(key="a.b", values=("x", "y", {"name": "z"})),
        Parameter(key="a.layers", low=1, high=4, integer=True, log=True),
        a__c=[0, 1],
    )
    for kind in KINDS:
        found = design(space, trials=100, kind=kind, seed=0)
        assert len(found) == 24 == len({canonical(each) for each in found})
        assert len(design(space, trials=23, kind=kind, seed=0)) == 23
    assert len(list(every_point(space, space.cells()[0]))) == 12


def test_without_nuisance_every_cell_is_tried_once() -> None:
    found = design(space_of(a__b=[1, 2, 3]), trials=10, kind="sobol", seed=0)
    assert sorted(each["a.b"] for each in found) == [1, 2, 3]


def conditional(*more: Parameter) -> Space:
    return space_of(
        *more,
        Parameter(key="a.rate", low=0.0, high=1.0, when={"a.optim": ("sgd",)}),
        Parameter(key="a.nesterov", values=(True, False), when={"a.optim": ("sgd", "lion")}),
        a__optim=["sgd", "adamw", "lion"],
    )


def test_a_cell_with_few_values_leaves_its_turns_unused() -> None:
    found = design(conditional(), trials=30, kind="sobol", seed=1)
    assert Counter(each["a.optim"] for each in found) == {"sgd": 10, "adamw": 1, "lion": 2}
    assert all(set(each) == {"a.optim"} for each in found if each["a.optim"] == "adamw")
    assert all(len(each) == 3 for each in found if each["a.optim"] == "sgd")


@settings(max_examples=20, deadline=None)
@given(
    less=st.integers(3, 30),
    more=st.integers(0, 30),
    kind=st.sampled_from(KINDS),
    seed=st.integers(0, 1000),
)
def test_a_larger_budget_goes_on_with_listed_and_conditional_values_too(less, more, kind, seed):
    space = conditional(
        Parameter(key="a.layers", low=1, high=4, integer=True), Parameter(key="a.b", values=(1, 2))
    )
    short = design(space, trials=less, kind=kind, seed=seed)
    assert design(space, trials=less + more, kind=kind, seed=seed)[: len(short)] == short
    counts = Counter(each["a.optim"] for each in short)
    assert max(counts.values()) == -(-less // 3)
    assert counts["adamw"] >= min(less // 3, 8)
    assert len({canonical(each) for each in short}) == len(short)


def test_a_grid_by_hand() -> None:
    space = space_of(
        Parameter(key="a.rate", low=1e-4, high=1e-2, log=True),
        Parameter(key="a.size", low=8, high=9, integer=True),
        a__b=["x", "y"],
    )
    found = design(space, trials=13, kind="grid", seed=0)
    expected = [
        (b, rate, size) for b in "xy" for rate in (1e-4, 1e-3, 1e-2) for size in (8, 9)
    ]  # 2 x 3 x 2 = 12; a fourth rate would be 16
    told = sorted((each["a.b"], round(each["a.rate"], 9), each["a.size"]) for each in found)
    assert told == sorted(expected)


def test_one_level_of_a_range_is_its_middle() -> None:
    space = space_of(
        Parameter(key="a.rate", low=1e-4, high=1e-2, log=True),
        Parameter(key="a.b", values=tuple(range(5))),
    )
    found = design(space, trials=9, kind="grid", seed=0)
    assert [each["a.rate"] for each in found] == pytest.approx([1e-3] * 5)
    assert sorted(each["a.b"] for each in found) == list(range(5))


def test_a_grid_counts_what_is_set_alone() -> None:
    found = design(conditional(), trials=13, kind="grid", seed=0)
    # sgd: 5 rates x 2, adamw: 1, lion: 2
    assert Counter(each["a.optim"] for each in found) == {"sgd": 10, "adamw": 1, "lion": 2}
    assert sorted({each["a.rate"] for each in found if "a.rate" in each}) == pytest.approx(
        [0, 0.25, 0.5, 0.75, 1]
    )


def test_a_grid_that_the_budget_does_not_carry_is_refused() -> None:
    space = space_of(Parameter(key="a.b", values=(1, 2, 3)), a__c=[0, 1])
    with pytest.raises(ConfigError, match="trials=5: a grid of the listed values needs 6"):
        design(space, trials=5, kind="grid", seed=0)
    assert len(design(space, trials=6, kind="grid", seed=0)) == 6


def test_a_grid_of_unused_ranges_ends() -> None:
    space = space_of(
        Parameter(key="a.never", low=0.0, high=1.0, when={"a.c": (9,)}),
        Parameter(key="a.size", low=1, high=3, integer=True),
        a__c=[0, 1],
    )
    found = design(space, trials=50, kind="grid", seed=0)
    assert len(found) == 6
    assert all(set(each) == {"a.c", "a.size"} for each in found)


def test_the_figures_of_the_page_are_what_its_code_prints(capsys: pytest.CaptureFixture[str]):
    page = PAGE.read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    exec(compile(code, PAGE.name, "exec"), {})
    printed = [line.split() for line in capsys.readouterr().out.splitlines()]
    rows = re.findall(r"^\| (sobol|halton|random) \| (0.*) \|$", page, re.MULTILINE)
    assert printed == [[kind, *figures.split(" | ")] for kind, figures in rows]
    assert len(printed) == 3


def test_the_studies_of_the_page_are_ones_that_can_be_designed() -> None:
    examples = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(examples) == 2
    for text in examples:
        errors: list[str] = []
        study = build(StudyConfig, parse_yaml(text)["study"], "study", errors)
        assert errors == []
        space = Space.of(study)
        assert space.doubts() == []
        found = design(space, trials=study.budget.trials, kind=study.design, seed=0)
        assert len(found) == study.budget.trials
