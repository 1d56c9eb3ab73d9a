"""What a study varies: scientific values, and nuisance hyperparameters each on its own scale.

    scientific  {dropout: [0.0, 0.3]}                      2 cells, the question
    nuisance    learning_rate  1e-5 |--------------| 1e-2  u in [0, 1] on a log scale
                momentum       0.5  |--------------| 0.99  only `when` the optimizer is sgd

A design and an optimizer work on positions from 0 to 1; here they become values and back.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hfrun.study.parameter import Parameter, as_meant, canonical, is_among
from hfrun.study.space_mistakes import doubts, mistakes
from hfrun.study_config import StudyConfig
from lob_backtest.strict_yaml import finish

__all__ = ["Parameter", "Space", "as_meant", "canonical"]


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
        errors = mistakes(space.scientific, space.nuisance, space.fixed)
        return finish(space, errors, "study")

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

    def as_listed(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Values that were kept as JSON, whose keys are texts, as the study lists them."""
        listed = {each.key: each.values or () for each in self.nuisance} | dict(self.scientific)
        return {
            key: next(
                (each for each in listed.get(key, ()) if canonical(each) == canonical(value)), value
            )
            for key, value in values.items()
        }

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
                is_among(held[key], allowed) if key in held else key in found
                for key, allowed in parameter.when.items()
            ):
                found[parameter.key] = parameter
        return tuple(found.values())

    def doubts(self) -> list[str]:
        """Sentences on what is possible and probably not meant, such as a rate without ``log``."""
        reached = {each.key for cell in self.cells() for each in self.reachable(cell)}
        return doubts(self.nuisance, reached)


def _in_order(parameters: Sequence[Parameter]) -> tuple[Parameter, ...]:
    """Each after those that its conditions name, else as written; circles are left at the end."""
    left, ordered = list(parameters), []
    while left:
        waiting = {parameter.key for parameter in left}
        ready = next((each for each in left if not waiting & each.when.keys()), left[0])
        ordered.append(ready)
        left.remove(ready)
    return tuple(ordered)
