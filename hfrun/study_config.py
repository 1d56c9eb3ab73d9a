"""The `study` section: one question, what is varied for it, by what it is decided, and its budget.

A sweep needs `grid` and `seeds` alone (``hfrun sweep``). A study (``hfrun study``) separates its
hyperparameters by the part they play: `scientific` ones are the question, `nuisance` ones are
tuned anew inside each scientific value so that the comparison is fair, and all others are fixed.

    study:
      question: does dropout pay?
      scientific: {model.config.dropout: [0.0, 0.3, 0.6]}
      nuisance:
        training.learning_rate: {low: 1.0e-5, high: 1.0e-2, log: true}
        training.weight_decay: {low: 1.0e-4, high: 0.3, log: true}
      score: {metric: eval_f1_weighted, constraints: [{metric: parameters, at_most: 200000}]}
      budget: {trials: 24}
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from lob_backtest.errors import ConfigError
from lob_backtest.strict_yaml import build

_SEEDS = 2**32  # what numpy's global generator takes
# The others look at the test part, and choosing by one of them would be choosing by the test.
TRAINING_GATES = ("grad_norm",)
# What is measured of a trial beside the figures of its evaluations.
COSTS = ("parameters", "model_megabytes", "latency_ms", "peak_memory_megabytes", "seconds")


def check_seeds(seeds: Sequence[int]) -> None:
    """Refuse seeds that numpy's global generator does not take."""
    for seed in seeds:
        if not 0 <= seed < _SEEDS:
            raise ConfigError(f"seed={seed} needs to be from 0 to {_SEEDS - 1}")


@dataclass(frozen=True, kw_only=True)
class ParameterConfig:
    """What a nuisance hyperparameter may be: a range, or a list of values.

    ``when`` makes it conditional: it is set only in trials in which each of the named
    hyperparameters has one of the values listed for it.
    """

    low: float | None = None
    high: float | None = None
    log: bool = False
    integer: bool = False
    values: list[Any] | None = None
    when: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.values is not None:
            if self.low is not None or self.high is not None or self.log or self.integer:
                raise ConfigError("got values and a range; needs either values or low and high")
            if not self.values:
                raise ConfigError("got no values; needs at least one")
            return
        if self.low is None or self.high is None or not self.low < self.high:
            raise ConfigError(f"low={self.low}, high={self.high}: needs low < high, or values")
        if self.log and self.low <= 0:
            raise ConfigError(f"low={self.low}: a log scale needs low > 0")
        if self.integer and (self.low != int(self.low) or self.high != int(self.high)):
            raise ConfigError(f"low={self.low}, high={self.high}: integer needs whole bounds")


@dataclass(frozen=True, kw_only=True)
class ConstraintConfig:
    """A satisficing metric, which only has to be met: of ``COSTS``, of an evaluation, or a gate."""

    metric: str | None = None
    gate: str | None = None
    at_most: float | None = None
    at_least: float | None = None

    def __post_init__(self) -> None:
        if (self.metric is None) == (self.gate is None):
            raise ConfigError("needs metric or gate, and not both")
        if self.gate is not None:
            if self.gate not in TRAINING_GATES:
                raise ConfigError(
                    f"gate={self.gate}: is judged on the test part, by which nothing may be "
                    f"chosen; needs {', '.join(TRAINING_GATES)}, or a metric of the validation "
                    "part such as {metric: train_eval_gap, at_most: 0.12}"
                )
            if self.at_most is not None or self.at_least is not None:
                raise ConfigError(f"gate={self.gate}: its limit is that of gates; leave it out")
        elif (self.at_most is None) == (self.at_least is None):
            raise ConfigError(f"metric={self.metric}: needs at_most or at_least, and not both")


@dataclass(frozen=True, kw_only=True)
class ScoreConfig:
    """One optimizing metric, of the validation part, under constraints.

    ``metric`` defaults to ``training.metric_for_best_model``, by which each run chooses its
    checkpoint, and ``mode`` to the way that is better for a metric of that name.
    """

    metric: str | None = None
    mode: Literal["max", "min"] | None = None
    constraints: list[ConstraintConfig] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class BudgetConfig:
    """How many trials there are of each phase.

    ``trials`` explore, ``exploit`` follow by Bayesian optimization once all of them have ended,
    and the best ``finalists`` are trained again, ``stretch`` times as long, with every seed.
    ``hours`` ends the study early: no trial is begun after that much time since it was made.
    """

    trials: int = 16
    exploit: int = 0
    finalists: int = 0
    stretch: float = 3.0
    hours: float | None = None

    def __post_init__(self) -> None:
        if self.trials < 1 or self.exploit < 0 or self.finalists < 0:
            raise ConfigError(
                f"trials={self.trials}, exploit={self.exploit}, finalists={self.finalists}: "
                "needs at least 1, 0 and 0"
            )
        if self.stretch < 1 or (self.hours is not None and self.hours <= 0):
            raise ConfigError(f"stretch={self.stretch}, hours={self.hours}: needs >= 1 and > 0")


@dataclass(frozen=True, kw_only=True)
class PruningConfig:
    """When a walk-forward trial is ended between two folds.

    It is when its folds so far are worse than the same folds of the best trial, by Wilcoxon's
    signed-rank test at ``p``, after at least ``least_folds``.
    """

    p: float = 0.1
    least_folds: int = 2

    def __post_init__(self) -> None:
        if not 0 < self.p < 1 or self.least_folds < 1:
            raise ConfigError(f"p={self.p}, least_folds={self.least_folds}: needs 0 < p < 1, >= 1")


@dataclass(frozen=True, kw_only=True)
class AdoptionConfig:
    """When a new config takes the place of the old: ``hfrun study adopt``.

    Incumbent and candidate are trained with ``seeds`` seeds of their own, and with as many more up
    to ``most_seeds`` while the answer is open; ``level`` is the chance to adopt one that is no
    better.
    """

    seeds: int = 5
    most_seeds: int = 15
    first_seed: int = 1000  # not the ones by which the candidate was chosen
    level: float = 0.025

    def __post_init__(self) -> None:
        if not 2 <= self.seeds <= self.most_seeds or not 0 < self.level < 0.5:
            raise ConfigError(
                f"seeds={self.seeds}, most_seeds={self.most_seeds}, level={self.level}: needs "
                "2 <= seeds <= most_seeds and 0 < level < 0.5"
            )
        check_seeds([self.first_seed, self.first_seed + self.most_seeds])


@dataclass(frozen=True, kw_only=True)
class StudyConfig:
    """A sweep or a study; keys of its values are ``section.key`` of the config.

    In a sweep's ``grid`` also ``dropout`` and ``weight_decay``, which are set through their
    callbacks: a number for the whole run, or a schedule within it. ``folds`` makes every trial a
    walk-forward, scored by the mean over its folds' validation blocks. ``storage`` is a journal
    file in the study's folder, or the address of a PostgreSQL database for several machines.
    """

    question: str = ""
    grid: dict[str, list[Any]] = field(default_factory=dict)
    seeds: list[int] = field(default_factory=lambda: [0])
    scientific: dict[str, list[Any]] = field(default_factory=dict)
    nuisance: dict[str, Any] = field(default_factory=dict)
    fixed: dict[str, Any] = field(default_factory=dict)
    score: ScoreConfig = field(default_factory=ScoreConfig)
    budget: BudgetConfig = field(default_factory=BudgetConfig)
    design: Literal["sobol", "halton", "random", "grid"] = "sobol"
    design_seed: int = 0
    folds: bool = False
    pruning: PruningConfig | None = None
    adoption: AdoptionConfig = field(default_factory=AdoptionConfig)
    storage: str | None = None
    workers: int = 1

    def __post_init__(self) -> None:
        lists = {f"grid.{key}": values for key, values in self.grid.items()}
        lists |= {f"scientific.{key}": values for key, values in self.scientific.items()}
        empty = [key for key, values in lists.items()
                 if not isinstance(values, list) or not values]  # fmt: skip
        if empty or not self.seeds:
            raise ConfigError(
                f"{', '.join(empty) or 'seeds'}: needs a list of at least one value for each key"
            )
        if not (self.grid or self.scientific or self.nuisance):
            raise ConfigError(
                "needs a grid with a list of values for each key (hfrun sweep), or scientific and "
                "nuisance hyperparameters (hfrun study)"
            )
        check_seeds([*self.seeds, self.design_seed])
        _check_parts(self)
        _ = self.parameters  # ranges that cannot be are found with all other mistakes

    @property
    def parameters(self) -> dict[str, ParameterConfig]:
        """The nuisance hyperparameters; a plain list of values is read as one."""
        errors: list[str] = []
        found: dict[str, ParameterConfig] = {}
        for key, raw in self.nuisance.items():
            given = {"values": raw} if isinstance(raw, list) else raw
            parameter = build(ParameterConfig, given, f"nuisance.{key}", errors)
            if parameter is not None:
                found[key] = parameter
        if errors:
            raise ConfigError("; ".join(errors))
        return found


def _check_parts(study: StudyConfig) -> None:
    parts: list[Mapping[str, Any]] = [study.scientific, study.nuisance, study.fixed]
    keys = [key for part in parts for key in part]
    twice = sorted({key for key in keys if keys.count(key) > 1})
    if twice:
        raise ConfigError(
            f"{', '.join(twice)}: named twice; a hyperparameter is scientific, nuisance or fixed"
        )
    if study.workers < 1:
        raise ConfigError(f"workers={study.workers} needs to be at least 1")
    if study.pruning is not None and not study.folds:
        raise ConfigError("pruning: ends trials between folds; needs folds: true")
