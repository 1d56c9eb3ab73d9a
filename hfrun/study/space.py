"""What a study varies: scientific values, and nuisance hyperparameters each on its own scale.

    scientific  {dropout: [0.0, 0.3]}                      2 cells, the question
    nuisance    learning_rate  1e-5 |--------------| 1e-2  u in [0, 1] on a log scale
                momentum       0.5  |--------------| 0.99  only `when` the optimizer is sgd

A design and an optimizer work on positions from 0 to 1; here they become values and back.
"""

import difflib
import itertools
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hfrun.study_config import ParameterConfig, StudyConfig
from lob_backtest.errors import ConfigError
from lob_backtest.strict_yaml import finish, shown

_EXPONENT = re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+")


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """A hyperparameter that is a range of numbers or one of listed values.

    Positions are quantiles: u of a range is the share of it below the value, on its own scale. A
    whole number and a listed value each hold an equal share of [0, 1) (whole numbers on a log
    scale: the share from half below to half above them), so that equal steps of u find them all.

    Args:
        key: ``section.key`` of the config.
        low: of the range, itself included; None for listed values.
        high: of the range, itself included.
        log: whether equal steps of u are equal factors.
        integer: whether only whole numbers count.
        values: the listed ones, of any kind; None for a range.
        when: it is set only where each of these keys has one of the values listed for it.
    """

    key: str
    low: float | None = None
    high: float | None = None
    log: bool = False
    integer: bool = False
    values: tuple[Any, ...] | None = None
    when: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)

    @classmethod
    def of(cls, key: str, config: ParameterConfig) -> "Parameter":
        """The parameter of a study's ``nuisance`` section."""
        values = config.values
        return cls(
            key=key,
            low=config.low,
            high=config.high,
            log=config.log,
            integer=config.integer,
            values=None if values is None else tuple(as_meant(value) for value in values),
            when={name: _listed(allowed) for name, allowed in config.when.items()},
        )

    @property
    def levels(self) -> int | None:
        """How many values it can have; None where it is continuous."""
        if self.values is not None:
            return len(self.values)
        if not self.integer:
            return None
        low, high = self._range
        return int(high - low) + 1

    def at(self, u: float) -> Any:
        """The value at the quantile u.

        >>> rate = Parameter(key="training.learning_rate", low=1e-5, high=1e-1, log=True)
        >>> round(rate.at(0.25), 12), round(rate.unit(1e-4), 12)
        (0.0001, 0.25)
        """
        u = min(max(float(u), 0.0), 1.0)
        if self.values is not None:
            return self.values[min(int(u * len(self.values)), len(self.values) - 1)]
        low, high = self._range
        start, end = self._scale
        value = start + u * (end - start)
        if self.log:
            value = math.exp(value)
        if self.integer:
            return int(min(max(round(value), low), high))
        return min(max(value, low), high)

    def unit(self, value: Any) -> float:
        """The position of a value in [0, 1]; of a number outside the range, the nearer bound.

        Raises:
            ConfigError: a value that is not listed, or no number where one is needed.
        """
        if self.values is not None:
            listed = [canonical(each) for each in self.values]
            if canonical(value) not in listed:
                raise ConfigError(
                    f"{self.key}: got {shown(value)}; needs one of "
                    f"{', '.join(shown(each) for each in self.values)}"
                )
            return (listed.index(canonical(value)) + 0.5) / len(listed)
        if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
            raise ConfigError(f"{self.key}: got {shown(value)}; needs a number")
        low, high = self._range
        inside = min(max(float(value), low), high)
        start, end = self._scale
        return min(max(((math.log(inside) if self.log else inside) - start) / (end - start), 0), 1)

    def is_set(self, values: Mapping[str, Any]) -> bool:
        """Whether all its conditions hold; one on a key without a value does not.

        Args:
            values: of every key that a condition may name, fixed ones too (``Space.is_set`` adds
                those).
        """
        return all(
            key in values and _is_among(values[key], allowed) for key, allowed in self.when.items()
        )

    @property
    def _range(self) -> tuple[float, float]:
        assert self.low is not None  # ParameterConfig has seen to it
        assert self.high is not None
        return self.low, self.high

    @property
    def _scale(self) -> tuple[float, float]:
        """Both ends on the scale on which positions are even; whole numbers own half a step."""
        low, high = self._range
        half = 0.5 if self.integer else 0.0
        low, high = low - half, high + half
        return (math.log(low), math.log(high)) if self.log else (low, high)


@dataclass(frozen=True, kw_only=True)
class Space:
    """All that a study varies, and what it holds.

    Args:
        scientific: the values of each scientific hyperparameter.
        nuisance: ordered so that a hyperparameter comes after those that its conditions name.
        fixed: one value each.
    """

    scientific: Mapping[str, tuple[Any, ...]]
    nuisance: tuple[Parameter, ...]
    fixed: Mapping[str, Any]

    @classmethod
    def of(cls, study: StudyConfig) -> "Space":
        """The space that a study's sections describe.

        Raises:
            ConfigError: all of its mistakes at once: a value twice, a condition on an unknown key
                or on a value that never comes, conditions in a circle, a key that would overwrite
                part of another.
        """
        space = cls(
            scientific={
                key: tuple(as_meant(value) for value in values)
                for key, values in study.scientific.items()
            },
            nuisance=_in_order(
                [Parameter.of(key, config) for key, config in study.parameters.items()]
            ),
            fixed={key: as_meant(value) for key, value in study.fixed.items()},
        )
        return finish(space, _mistakes(space), "study")

    def cells(self) -> list[dict[str, Any]]:
        """Every combination of scientific values, the last key changing fastest; one without."""
        products = itertools.product(*self.scientific.values())
        return [dict(zip(self.scientific, values, strict=True)) for values in products]

    def values(self, cell: Mapping[str, Any], point: Sequence[float]) -> dict[str, Any]:
        """A cell's values and those of the nuisance hyperparameters that are set at a point.

        Args:
            cell: the scientific values.
            point: ``(D,)`` a position in [0, 1] for each nuisance hyperparameter, set or not.
        """
        found = dict(cell)
        for parameter, u in zip(self.nuisance, point, strict=True):
            if self.is_set(parameter, found):
                found[parameter.key] = parameter.at(u)
        return found

    def point(self, values: Mapping[str, Any]) -> tuple[float | None, ...]:
        """``(D,)`` the position of each nuisance hyperparameter, None where it is not set."""
        return tuple(
            parameter.unit(values[parameter.key]) if parameter.key in values else None
            for parameter in self.nuisance
        )

    def is_set(self, parameter: Parameter, values: Mapping[str, Any]) -> bool:
        """Whether a nuisance hyperparameter has a value beside these (and the fixed ones)."""
        return parameter.is_set({**self.fixed, **values})

    def reachable(self, cell: Mapping[str, Any]) -> tuple[Parameter, ...]:
        """The nuisance hyperparameters that are set somewhere in a cell."""
        held = {**self.fixed, **cell}
        found: dict[str, Parameter] = {}
        for parameter in self.nuisance:
            if all(
                _is_among(held[key], allowed) if key in held else key in found
                for key, allowed in parameter.when.items()
            ):
                found[parameter.key] = parameter
        return tuple(found.values())


def as_meant(value: Any) -> Any:
    """YAML 1.1 reads 1e-4 (no dot) as text; it is the number that its writer meant."""
    return float(value) if isinstance(value, str) and _EXPONENT.fullmatch(value) else value


def canonical(value: Any) -> str:
    """A text that equal values share: whole or not, however their keys are ordered."""
    return json.dumps(_plain(value), sort_keys=True, default=str)


def _plain(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        return float(value) if abs(value) < 2**53 else value
    if isinstance(value, Mapping):
        return {str(key): _plain(held) for key, held in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(held) for held in value]
    return value


def _is_among(value: Any, allowed: Iterable[Any]) -> bool:
    return canonical(value) in {canonical(each) for each in allowed}


def _listed(allowed: Any) -> tuple[Any, ...]:
    """The values of a condition; one alone needs no list."""
    values = allowed if isinstance(allowed, list | tuple) else [allowed]
    return tuple(as_meant(value) for value in values)


def _in_order(parameters: Sequence[Parameter]) -> tuple[Parameter, ...]:
    """Each after those that its conditions name, else as written; circles are left at the end."""
    left, ordered = list(parameters), []
    while left:
        waiting = {parameter.key for parameter in left}
        ready = next((each for each in left if not waiting & each.when.keys()), left[0])
        ordered.append(ready)
        left.remove(ready)
    return tuple(ordered)


# ---- mistakes ----


def _mistakes(space: Space) -> list[str]:
    return [
        *_values_twice(space),
        *_circles(space.nuisance),
        *(found for parameter in space.nuisance for found in _of_conditions(parameter, space)),
        *_overwritten(space),
    ]


def _values_twice(space: Space) -> list[str]:
    listed = {f"scientific.{key}": values for key, values in space.scientific.items()}
    listed |= {f"nuisance.{each.key}": each.values or () for each in space.nuisance}
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


def _of_conditions(parameter: Parameter, space: Space) -> list[str]:
    nuisance = {each.key: each for each in space.nuisance}
    known = [*space.scientific, *nuisance, *space.fixed]
    errors = []
    for key, allowed in parameter.when.items():
        name = f"nuisance.{parameter.key}.when.{key}"
        if key not in known:
            errors.append(f"{name}: {_unknown(key, known)}")
        elif not allowed:
            errors.append(f"{name}: got no values; needs at least one, or leave it out")
        elif key in nuisance:
            errors += _never(name, allowed, nuisance[key])
        elif key in space.scientific:
            errors += _not_listed(name, allowed, space.scientific[key])
        elif not _is_among(space.fixed[key], allowed):
            errors.append(f"{name}: never holds: {key} is fixed at {shown(space.fixed[key])}")
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
        if not _is_among(value, possible)
    ]


def _overwritten(space: Space) -> list[str]:
    """Keys are set in this order; a whole section after a key of it would wipe that out."""
    keys = [*space.fixed, *space.scientific, *(parameter.key for parameter in space.nuisance)]
    return [
        f"{later}: set after {earlier}, which it overwrites; vary one of the two"
        for i, later in enumerate(keys)
        for earlier in keys[:i]
        if earlier.startswith(f"{later}.")
    ]
