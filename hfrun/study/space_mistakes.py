"""What can be wrong with a study's space, told all at once and before anything is trained."""

import difflib
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from hfrun.study.parameter import Parameter, canonical, is_among
from lob_backtest.strict_yaml import shown

_DECADES = 100  # the ratio of bounds from which a linear scale leaves the lower decades empty


def mistakes(
    scientific: Mapping[str, Sequence[Any]],
    nuisance: Sequence[Parameter],
    fixed: Mapping[str, Any],
) -> list[str]:
    """What makes a space impossible or other than its writer meant, in the order of its parts."""
    errors = [*_values_twice(scientific, nuisance), *_circles(nuisance)]
    for parameter in nuisance:
        errors += _of_conditions(parameter, scientific, nuisance, fixed)
    return errors + _overwritten([*fixed, *scientific, *(each.key for each in nuisance)])


def doubts(nuisance: Sequence[Parameter], reached: Collection[str]) -> list[str]:
    """What is possible and probably not meant.

    Args:
        nuisance: the hyperparameters.
        reached: keys of those that are set in some cell.
    """
    told = []
    for each in nuisance:
        name = f"nuisance.{each.key}"
        if each.key not in reached:
            told.append(f"{name}: set in no trial, by the conditions on it; leave it out")
        elif each.levels == 1:
            told.append(f"{name}: has one value alone; put it under study.fixed")
        elif _is_crowded(each):
            told.append(f"{name}: {_crowd(each)} set log: true")
    return told


def _is_crowded(parameter: Parameter) -> bool:
    """Whether its lower decades are all but empty on the linear scale that it has."""
    low, high = parameter.low, parameter.high
    if low is None or high is None or parameter.log:
        return False
    return low > 0 and high / low >= _DECADES


def _crowd(parameter: Parameter) -> str:
    assert parameter.low is not None
    assert parameter.high is not None
    low, high = parameter.low, parameter.high
    share = (high - high / 10) / (high - low)
    return (
        f"from {low:g} to {high:g} on a linear scale, so that {share:.0%} of the trials are above "
        f"{high / 10:g};"
    )


def _values_twice(
    scientific: Mapping[str, Sequence[Any]], nuisance: Sequence[Parameter]
) -> list[str]:
    listed = {f"scientific.{key}": values for key, values in scientific.items()}
    listed |= {f"nuisance.{each.key}": each.values or () for each in nuisance}
    errors = []
    for name, values in listed.items():
        texts = [canonical(value) for value in values]
        twice = [value for i, value in enumerate(values) if texts[i] in texts[:i]]
        errors += [f"{name}: {shown(value)} is there twice; leave one" for value in twice[:1]]
    return errors


def _circles(parameters: Sequence[Parameter]) -> list[str]:
    """The hyperparameters that wait for each other, once those that only follow are put aside."""
    keys = {parameter.key for parameter in parameters}
    waits = {parameter.key: keys & parameter.when.keys() for parameter in parameters}
    while True:
        named = {key for targets in waits.values() for key in targets}
        ends = [key for key, targets in waits.items() if not targets & waits.keys()]
        ends += [key for key in waits if key not in named]
        if not ends:
            break
        waits = {key: targets for key, targets in waits.items() if key not in ends}
    if not waits:
        return []
    return [
        f"nuisance.{', nuisance.'.join(waits)}: their conditions wait for each other; leave out "
        "the `when` of one"
    ]


def _of_conditions(
    parameter: Parameter,
    scientific: Mapping[str, Sequence[Any]],
    nuisance: Sequence[Parameter],
    fixed: Mapping[str, Any],
) -> list[str]:
    parents = {each.key: each for each in nuisance}
    known = [*scientific, *parents, *fixed]
    errors = []
    for key, allowed in parameter.when.items():
        name = f"nuisance.{parameter.key}.when.{key}"
        if key not in known:
            errors.append(f"{name}: {_unknown(key, known)}")
        elif not allowed:
            errors.append(f"{name}: got no values; needs at least one, or leave it out")
        elif key in parents:
            errors += _never(name, allowed, parents[key])
        elif key in scientific:
            errors += _not_listed(name, allowed, scientific[key])
        elif not is_among(fixed[key], allowed):
            errors.append(f"{name}: never holds: {key} is fixed at {shown(fixed[key])}")
    return errors


def _unknown(key: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]}? " if near else ""
    return (
        f"unknown key; {hint}A condition names a scientific, nuisance or fixed hyperparameter: "
        "put one that is not varied under study.fixed"
    )


def _never(name: str, allowed: Sequence[Any], parent: Parameter) -> list[str]:
    if parent.values is not None:
        return _not_listed(name, allowed, parent.values)
    if not parent.integer:
        return [
            f"{name}: {parent.key} is a continuous range, which hardly ever has just that value; "
            "needs one with listed values"
        ]
    assert parent.low is not None
    assert parent.high is not None
    outside = [
        value
        for value in allowed
        if not isinstance(value, int | float)
        or isinstance(value, bool)
        or value != int(value)
        or not parent.low <= value <= parent.high
    ]
    span = f"a whole number from {parent.low:g} to {parent.high:g}"
    return [f"{name}: {shown(value)} never comes; needs {span}" for value in outside]


def _not_listed(name: str, allowed: Sequence[Any], possible: Sequence[Any]) -> list[str]:
    options = ", ".join(shown(value) for value in possible)
    return [
        f"{name}: {shown(value)} never comes; needs one of {options}"
        for value in allowed
        if not is_among(value, possible)
    ]


def _overwritten(keys: Sequence[str]) -> list[str]:
    """Keys are set in this order; a whole section after a key of it would wipe that out."""
    return [
        f"{later}: set after {earlier}, which it overwrites; vary one of the two"
        for i, later in enumerate(keys)
        for earlier in keys[:i]
        if earlier.startswith(f"{later}.")
    ]
