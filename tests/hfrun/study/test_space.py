"""The search space: positions and values, conditions, and the mistakes that it refuses."""

import doctest
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hfrun.study import space as space_module
from hfrun.study.space import Parameter, Space, as_meant, canonical
from hfrun.study_config import StudyConfig
from lob_backtest.errors import ConfigError

RATE = Parameter(key="training.learning_rate", low=1e-5, high=1e-1, log=True)
OPTIMIZERS = Parameter(key="training.optim", values=("adamw", "sgd", {"name": "lion"}))
UNITS = st.floats(0, 1, exclude_max=True)


@st.composite
def ranges(draw) -> Parameter:
    log, integer = draw(st.booleans()), draw(st.booleans())
    if integer:
        low = draw(st.integers(1 if log else -50, 60))
        return Parameter(
            key="a.b", low=low, high=low + draw(st.integers(1, 300)), log=log, integer=True
        )
    low = draw(st.floats(1e-8, 10) if log else st.floats(-100, 100))
    factor = draw(st.floats(1.01, 1e6))
    return Parameter(key="a.b", low=low, high=low * factor if log else low + factor, log=log)


def study(**parts) -> StudyConfig:
    return StudyConfig(**parts)


def mistakes(**parts) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        Space.of(study(**parts))
    return [line.removeprefix("  - ") for line in str(caught.value).splitlines()[1:]]


def test_examples_of_the_docstrings() -> None:
    assert doctest.testmod(space_module).failed == 0


def test_quantiles_of_a_log_range_are_equal_factors() -> None:
    found = [RATE.at(u) for u in (0, 0.25, 0.5, 0.75, 1)]
    assert found == pytest.approx([1e-5, 1e-4, 1e-3, 1e-2, 1e-1])
    assert [RATE.unit(value) for value in found] == pytest.approx([0, 0.25, 0.5, 0.75, 1])


def test_whole_numbers_and_listed_values_hold_equal_shares() -> None:
    layers = Parameter(key="model.config.layers", low=1, high=4, integer=True)
    places = (0, 0.24, 0.26, 0.49, 0.51, 0.74, 0.76, 0.999)
    assert [layers.at(u) for u in places] == [1, 1, 2, 2, 3, 3, 4, 4]
    assert [OPTIMIZERS.at(u) for u in (0, 0.32, 0.34, 0.65, 0.67, 0.999)] == [
        "adamw", "adamw", "sgd", "sgd", {"name": "lion"}, {"name": "lion"},
    ]  # fmt: skip
    assert [OPTIMIZERS.unit(each) for each in OPTIMIZERS.values or ()] == pytest.approx(
        [1 / 6, 1 / 2, 5 / 6]
    )


def test_whole_numbers_on_a_log_scale_hold_the_share_from_half_below_to_half_above() -> None:
    sizes = Parameter(key="a.b", low=1, high=128, log=True, integer=True)
    width = math.log(128.5 / 0.5)
    share_of_one = math.log(1.5 / 0.5) / width
    assert sizes.at(share_of_one - 1e-6) == 1
    assert sizes.at(share_of_one + 1e-6) == 2
    assert sizes.unit(2) == pytest.approx(math.log(2 / 0.5) / width)


@settings(deadline=None)
@given(ranges(), UNITS)
def test_a_value_is_in_its_bounds_and_its_position_leads_back_to_it(parameter, u) -> None:
    value = parameter.at(u)
    assert parameter.low <= value <= parameter.high
    again = parameter.at(parameter.unit(value))
    if parameter.integer:
        assert isinstance(value, int)
        assert again == value
    else:
        assert again == pytest.approx(value, rel=1e-9, abs=1e-9)
        assert parameter.unit(value) == pytest.approx(u, abs=1e-6)


@settings(deadline=None)
@given(ranges(), UNITS, UNITS)
def test_a_larger_position_is_no_smaller_value(parameter, one, other) -> None:
    assert parameter.at(min(one, other)) <= parameter.at(max(one, other))


@settings(deadline=None)
@given(ranges())
def test_the_ends_of_the_scale_are_the_bounds_and_beyond_them_is_the_nearer(parameter) -> None:
    assert parameter.at(0) == pytest.approx(parameter.low, rel=1e-12)
    assert parameter.at(1) == pytest.approx(parameter.high, rel=1e-12)
    assert parameter.unit(parameter.high + 1) == parameter.unit(parameter.high)
    assert 0 <= parameter.unit(parameter.low) < parameter.unit(parameter.high) <= 1


@pytest.mark.parametrize("n", range(1, 30))
def test_every_listed_value_is_at_its_own_position(n: int) -> None:
    parameter = Parameter(key="a.b", values=tuple(range(n)))
    assert [parameter.at(parameter.unit(value)) for value in range(n)] == list(range(n))
    assert parameter.levels == n


def test_what_is_no_value_of_it_has_no_position() -> None:
    with pytest.raises(ConfigError, match=r"training\.optim: got 'adam'; needs one of 'adamw'"):
        OPTIMIZERS.unit("adam")
    for value in ("fast", True, None, math.nan):
        with pytest.raises(ConfigError, match="needs a number"):
            RATE.unit(value)


def test_equal_values_are_one_whatever_their_kind_or_order() -> None:
    assert canonical({"a": 1, "b": [2.0, "x"]}) == canonical({"b": (2, "x"), "a": 1.0})
    assert canonical(True) != canonical(1)
    assert canonical("1") != canonical(1)
    assert [as_meant(each) for each in ("1e-4", "adamw", "1-2", 3)] == [1e-4, "adamw", "1-2", 3]


def test_a_study_becomes_a_space_with_conditions_after_what_they_name() -> None:
    space = Space.of(
        study(
            scientific={"model.config.dropout": ["0.0", 3e-1], "training.optim": ["sgd", "adamw"]},
            nuisance={
                "training.nesterov": {"values": [True, False], "when": {"training.momentum": [3]}},
                "training.momentum": {"low": 1, "high": 4, "integer": True,
                                      "when": {"training.optim": "sgd"}},
                "training.learning_rate": {"low": "1e-5", "high": 1e-1, "log": True},
            },
            fixed={"training.max_steps": 10},
        )
    )  # fmt: skip
    assert [each.key for each in space.nuisance] == [
        "training.momentum", "training.nesterov", "training.learning_rate",
    ]  # fmt: skip
    assert space.nuisance[2] == RATE
    assert space.nuisance[0].when == {"training.optim": ("sgd",)}
    assert space.cells()[1] == {"model.config.dropout": "0.0", "training.optim": "adamw"}
    assert len(space.cells()) == 4


def conditional() -> Space:
    return Space.of(
        study(
            scientific={"training.optim": ["sgd", "adamw"]},
            nuisance={
                "a.momentum": {"low": 0, "high": 1, "when": {"training.optim": "sgd"}},
                "a.nesterov": {"values": [True, False], "when": {"training.optim": "sgd"}},
                "a.damp": {"low": 0, "high": 1, "when": {"a.nesterov": False, "a.size": [8, 16]}},
            },
            fixed={"a.size": 8.0},
        )
    )


def test_only_what_is_set_has_a_value_through_a_chain_of_conditions() -> None:
    space = conditional()
    sgd, adamw = space.cells()
    assert space.values(sgd, (0.5, 0.9, 0.25)) == {
        "training.optim": "sgd", "a.momentum": 0.5, "a.nesterov": False, "a.damp": 0.25,
    }  # fmt: skip
    assert list(space.values(sgd, (0.5, 0.1, 0.25))) == [
        "training.optim", "a.momentum", "a.nesterov",
    ]  # fmt: skip
    assert space.values(adamw, (0.5, 0.9, 0.25)) == {"training.optim": "adamw"}
    assert space.point(space.values(sgd, (0.5, 0.1, 0.25))) == (0.5, 0.25, None)
    assert [each.key for each in space.reachable(sgd)] == ["a.momentum", "a.nesterov", "a.damp"]
    assert space.reachable(adamw) == ()


def test_true_is_not_one_in_a_condition_and_a_whole_number_is() -> None:
    one = Parameter(key="a.b", low=0, high=1, when={"c.d": (1,)})
    assert one.is_set({"c.d": 1.0})
    assert not one.is_set({"c.d": True})
    assert not one.is_set({})


def test_without_scientific_values_there_is_one_cell() -> None:
    assert Space.of(study(nuisance={"a.b": [1, 2]})).cells() == [{}]


def test_all_mistakes_at_once() -> None:
    found = mistakes(
        scientific={"model.type": ["llama", "mlp", "llama"]},
        nuisance={
            "a.list": [1, 1.0],
            "a.typo": {"low": 0, "high": 1, "when": {"model.typ": "mlp"}},
            "a.absent": {"low": 0, "high": 1, "when": {"model.type": ["mlp", "deeplob"]}},
            "a.continuous": {"low": 0, "high": 1, "when": {"a.typo": 0.5}},
            "a.none": {"low": 0, "high": 1, "when": {"model.type": []}},
            "a.layers": {"low": 1, "high": 3, "integer": True},
            "a.fixed_off": {"low": 0, "high": 1, "when": {"a.fixed": [2, 3]}},
            "a.beyond": {"low": 0, "high": 1, "when": {"a.layers": [2, 4, 2.5]}},
        },
        fixed={"a.fixed": 1},
    )
    assert [line.partition(":")[0] for line in found] == [
        "scientific.model.type",
        "nuisance.a.list",
        "nuisance.a.typo.when.model.typ",
        "nuisance.a.absent.when.model.type",
        "nuisance.a.continuous.when.a.typo",
        "nuisance.a.none.when.model.type",
        "nuisance.a.fixed_off.when.a.fixed",
        "nuisance.a.beyond.when.a.layers",
        "nuisance.a.beyond.when.a.layers",
    ]
    assert "'llama' is there twice" in found[0]
    assert "did you mean model.type?" in found[2]
    assert "'deeplob' never comes; needs one of 'llama', 'mlp', 'llama'" in found[3]
    assert "a.fixed is fixed at 1" in found[6]
    assert "4 never comes; needs a whole number from 1 to 3" in found[7]


def test_conditions_in_a_circle_are_named_without_those_that_only_hang_on_it() -> None:
    found = mistakes(
        nuisance={
            "a.one": {"values": [1, 2], "when": {"a.two": 1}},
            "a.two": {"values": [1, 2], "when": {"a.one": 1, "a.free": 1}},
            "a.hanging": {"values": [1, 2], "when": {"a.one": 1}},
            "a.free": [1, 2],
        },
    )
    assert found == [
        "nuisance.a.one, nuisance.a.two: their conditions wait for each other; leave out the "
        "`when` of one"
    ]
    assert (
        "wait for each other" in mistakes(nuisance={"a.b": {"values": [1], "when": {"a.b": 1}}})[0]
    )


def test_a_section_is_not_set_over_a_key_of_it() -> None:
    whole, part = {"training.schedule": [{"name": "linear"}, {"name": "cosine"}]}, 0.1
    assert (
        "training.schedule: set after training.schedule.floor, which it overwrites"
        in mistakes(nuisance=whole, fixed={"training.schedule.floor": part})[0]
    )
    later = {"training.schedule.floor": {"low": 0, "high": part}}
    assert Space.of(study(scientific=whole, nuisance=later)).nuisance[0].high == part


def test_what_is_probably_not_meant_is_told_and_not_refused() -> None:
    space = Space.of(
        study(
            scientific={"a.optim": ["sgd", "adamw"]},
            nuisance={
                "a.rate": {"low": 1e-4, "high": 1e-1},
                "a.log": {"low": 1e-4, "high": 1e-1, "log": True},
                "a.narrow": {"low": 0.01, "high": 0.5},
                "a.from_zero": {"low": 0, "high": 0.5},
                "a.only": [0.9],
                "a.nesterov": {"values": [True, False], "when": {"a.optim": "sgd"}},
                "a.never": {"low": 0, "high": 1,
                            "when": {"a.optim": "adamw", "a.nesterov": True}},
            },
        )
    )  # fmt: skip
    assert space.doubts() == [
        "nuisance.a.rate: from 0.0001 to 0.1 on a linear scale, so that 90% of the trials are "
        "above 0.01; set log: true",
        "nuisance.a.only: has one value alone; put it under study.fixed",
        "nuisance.a.never: set in no trial, by the conditions on it; leave it out",
    ]
