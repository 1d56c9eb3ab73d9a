"""A nuisance hyperparameter: its values, their positions from 0 to 1, and when it is set.

learning_rate  1e-5 |----------x---| 1e-1     u = 0.75 on a log scale is 1e-2
optimizer      [ adamw | sgd | lion ]         a third of [0, 1) each
"""

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from hfrun.study_config import ParameterConfig
from lob_backtest.errors import ConfigError
from lob_backtest.strict_yaml import shown

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
            key in values and is_among(values[key], allowed) for key, allowed in self.when.items()
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


def is_among(value: Any, allowed: Iterable[Any]) -> bool:
    """Whether a value is one of these, by ``canonical``."""
    return canonical(value) in {canonical(each) for each in allowed}


def _listed(allowed: Any) -> tuple[Any, ...]:
    """The values of a condition; one alone needs no list."""
    values = allowed if isinstance(allowed, list | tuple) else [allowed]
    return tuple(as_meant(value) for value in values)
