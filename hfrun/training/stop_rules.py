"""Stop rules: declared in the config, judged once an epoch, naming what they saw when they fire.

    - {rule: early_stopping, metric: eval_f1_weighted, mode: max, patience: 5, min_delta: 0.0008}
    - {rule: above, metric: train_eval_gap, limit: 0.15, epochs: [3, 5]}
    - {rule: above, metric: grad_norm, limit: 5.0, consecutive: 2}
    - {rule: rise_from_best, metric: eval_loss, limit: 0.10}
    - {rule: rising, metric: eval_loss, consecutive: 5}
    - {rule: below, metric: eval_f1_weighted, limit: 0.45, consecutive: 5}
    - {rule: non_finite}

Nothing here knows the Trainer: the same rules judge a live run and the record of an old one.
``epochs: [a, b]`` are the epochs, both included, in which a rule counts, numbered as the record
numbers them; bests and previous values are followed outside them too. ``consecutive`` counts
epochs in a row; one without the metric is passed over. A NaN is above, below or better than
nothing: that is what ``non_finite`` is for.
"""

import difflib
import json
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, Literal

from lob_backtest.errors import ConfigError
from lob_backtest.strict_yaml import build

# A difference of decimal figures, such as 0.4308 - 0.43, is off by about 1e-17.
_TOLERANCE = 1e-12

# What has to stay finite in an epoch's metrics.
_WATCHED = ("loss", "train_loss", "eval_loss", "grad_norm")


@dataclass(frozen=True, kw_only=True)
class Fired:
    """A rule that fired: its name, the value it saw, the limit and the epoch, and a sentence."""

    rule: str
    metric: str
    value: float
    limit: float | None
    epoch: int
    reason: str

    def to_dict(self) -> dict[str, Any]:
        """For JSON, which has no NaN: a value that is not finite becomes its name as text."""
        value = self.value if math.isfinite(self.value) else str(self.value)
        return asdict(self) | {"value": value}

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> "Fired":
        """What ``to_dict`` gave."""
        return cls(**{**saved, "value": float(saved["value"])})


@dataclass(kw_only=True)
class RuleState:
    """What a rule remembers between epochs."""

    best: float | None = None
    previous: float | None = None
    in_a_row: int = 0


@dataclass(frozen=True, kw_only=True)
class _Rule:
    """A condition on one metric that must hold ``needed`` epochs in a row."""

    name: ClassVar[str]

    metric: str
    epochs: list[int] | None = None

    def __post_init__(self) -> None:
        if self.epochs is not None and (len(self.epochs) != 2 or self.epochs[0] > self.epochs[1]):
            raise ConfigError(f"epochs={self.epochs}: needs [first, last]")

    @property
    def needed(self) -> int:
        raise NotImplementedError

    def compare(self, state: RuleState, value: float) -> tuple[bool, float | None]:
        """Whether the condition holds and the limit it was held against; updates the state."""
        raise NotImplementedError

    def sentence(self, value: float, limit: float | None) -> str:
        raise NotImplementedError

    def judge(self, state: RuleState, epoch: int, metrics: Mapping[str, float]) -> Fired | None:
        value = metrics.get(self.metric)
        if value is None:
            return None
        holds, limit = self.compare(state, value)
        state.previous = value
        applies = self.epochs is None or self.epochs[0] <= epoch <= self.epochs[1]
        state.in_a_row = state.in_a_row + 1 if holds and applies else 0
        if state.in_a_row < self.needed:
            return None
        return Fired(
            rule=self.name,
            metric=self.metric,
            value=value,
            limit=limit,
            epoch=epoch,
            reason=self.sentence(value, limit) + _in_a_row(self.needed),
        )


@dataclass(frozen=True, kw_only=True)
class EarlyStopping(_Rule):
    """``patience`` epochs in a row have not beaten the best by more than ``min_delta``.

    The best moves only when it is beaten by more than ``min_delta``, so steady gains below it
    add up against the best and do not stop the run by themselves.
    """

    name = "early_stopping"

    mode: Literal["max", "min"]
    patience: int
    min_delta: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.patience < 1 or self.min_delta < 0:
            raise ConfigError(
                f"patience={self.patience}, min_delta={self.min_delta}: needs patience of at "
                "least 1 and min_delta of at least 0"
            )

    @property
    def needed(self) -> int:
        return self.patience

    def compare(self, state: RuleState, value: float) -> tuple[bool, float | None]:
        if state.best is None:
            state.best = None if math.isnan(value) else value
            return math.isnan(value), state.best
        best = state.best
        gain = value - best if self.mode == "max" else best - value
        if gain > self.min_delta + _TOLERANCE:
            state.best = value
            return False, best
        return True, best

    def sentence(self, value: float, limit: float | None) -> str:
        best = "nothing" if limit is None else f"{limit:.6g}"
        return f"{self.metric} {value:.6g} has not beaten {best} by more than {self.min_delta:g}"


@dataclass(frozen=True, kw_only=True)
class _Repeated(_Rule):
    consecutive: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.consecutive < 1:
            raise ConfigError(f"consecutive={self.consecutive}: needs at least 1")

    @property
    def needed(self) -> int:
        return self.consecutive


@dataclass(frozen=True, kw_only=True)
class Above(_Repeated):
    """The metric is above the limit."""

    name = "above"

    limit: float

    def compare(self, state: RuleState, value: float) -> tuple[bool, float | None]:
        return value > self.limit, self.limit

    def sentence(self, value: float, limit: float | None) -> str:
        return f"{self.metric} {value:.6g} is above {limit:g}"


@dataclass(frozen=True, kw_only=True)
class Below(_Repeated):
    """The metric is below the limit."""

    name = "below"

    limit: float

    def compare(self, state: RuleState, value: float) -> tuple[bool, float | None]:
        return value < self.limit, self.limit

    def sentence(self, value: float, limit: float | None) -> str:
        return f"{self.metric} {value:.6g} is below {limit:g}"


@dataclass(frozen=True, kw_only=True)
class RiseFromBest(_Repeated):
    """The metric is more than ``limit`` (0.10 is 10 %) above its lowest value so far."""

    name = "rise_from_best"

    limit: float

    def compare(self, state: RuleState, value: float) -> tuple[bool, float | None]:
        if state.best is None or value < state.best:
            state.best = None if math.isnan(value) else value
            return False, None
        bar = state.best + self.limit * abs(state.best)
        return value > bar + _TOLERANCE, bar

    def sentence(self, value: float, limit: float | None) -> str:
        return f"{self.metric} {value:.6g} is above {limit:.6g}, its best and {self.limit:.0%} more"


@dataclass(frozen=True, kw_only=True)
class Rising(_Repeated):
    """The metric is above that of the epoch before."""

    name = "rising"

    def compare(self, state: RuleState, value: float) -> tuple[bool, float | None]:
        return state.previous is not None and value > state.previous, state.previous

    def sentence(self, value: float, limit: float | None) -> str:
        return f"{self.metric} {value:.6g} is above the {limit:.6g} before it"


@dataclass(frozen=True, kw_only=True)
class NonFinite(_Rule):
    """A loss or a gradient norm is NaN or infinite; a live run is checked at every step."""

    name = "non_finite"

    metric: str = field(init=False, default="loss or gradient")
    epochs: list[int] | None = field(init=False, default=None)

    def judge(self, state: RuleState, epoch: int, metrics: Mapping[str, float]) -> Fired | None:
        for metric in _WATCHED:
            value = metrics.get(metric)
            if value is not None and not math.isfinite(value):
                reason = f"{metric} is {value}"
                return Fired(
                    rule=self.name,
                    metric=metric,
                    value=value,
                    limit=None,
                    epoch=epoch,
                    reason=reason,
                )
        return None


RULES: dict[str, type[_Rule]] = {
    rule.name: rule for rule in (EarlyStopping, Above, Below, RiseFromBest, Rising, NonFinite)
}


class StopRules:
    """Rules with what they remember; feed them one epoch after the other.

    >>> rules = stop_rules_from([{"rule": "above", "metric": "train_eval_gap", "limit": 0.15}])
    >>> rules.update(1, {"train_accuracy": 0.60, "eval_accuracy": 0.45})
    >>> rules.update(2, {"train_accuracy": 0.61, "eval_accuracy": 0.45}).reason
    'train_eval_gap 0.16 is above 0.15'
    """

    def __init__(self, rules: Sequence[_Rule]) -> None:
        self.rules = tuple(rules)
        self.reset()

    def reset(self) -> None:
        """Forget every epoch: a new run begins."""
        self._states = [RuleState() for _ in self.rules]

    def update(self, epoch: int, metrics: Mapping[str, float | None]) -> Fired | None:
        """Judge an epoch; of several rules that fire, the first in the list is returned.

        Args:
            epoch: its number, as the record counts.
            metrics: by name; ``train_eval_gap`` is formed from ``train_accuracy`` and
                ``eval_accuracy`` where it is not there itself. None is a metric not measured.
        """
        measured = _with_gap({name: v for name, v in metrics.items() if v is not None})
        judged = zip(self.rules, self._states, strict=True)
        fired = [rule.judge(state, epoch, measured) for rule, state in judged]
        return next((one for one in fired if one is not None), None)

    def check_step(self, epoch: int, values: Mapping[str, float]) -> Fired | None:
        """Judge one optimizer step by ``non_finite`` alone, between two epochs."""
        checks = (
            rule.judge(RuleState(), epoch, values)
            for rule in self.rules
            if isinstance(rule, NonFinite)
        )
        return next((one for one in checks if one is not None), None)

    def state_dict(self) -> dict[str, Any]:
        """What the rules remember, for JSON, by the rules' own declarations."""
        judged = zip(self.rules, self._states, strict=True)
        return {_declaration(rule): asdict(state) for rule, state in judged}

    def load_state_dict(self, saved: Mapping[str, Any]) -> None:
        """Take up what was saved; a rule that was not in the list then starts afresh."""
        self._states = [RuleState(**saved.get(_declaration(rule), {})) for rule in self.rules]


def stop_rules_from(declarations: Sequence[Any]) -> StopRules:
    """Rules from a config's list of mappings.

    Raises:
        ConfigError: lists every unknown rule, unknown or missing key and wrong value at once.
    """
    errors: list[str] = []
    rules = []
    for index, declaration in enumerate(declarations):
        rule = _rule_from(declaration, f"stop_rules[{index}]", errors)
        if rule is not None:
            rules.append(rule)
    if errors:
        raise ConfigError("; ".join(errors))
    return StopRules(rules)


def check_metric_names(rules: StopRules, known: Collection[str]) -> None:
    """Refuse rules on a metric that a run will never carry: they would never fire, and not say so.

    Records of other programs may carry other names, so this is asked for live runs only.

    Raises:
        ConfigError: names every such metric, each with the nearest known one.
    """
    errors = []
    for index, rule in enumerate(rules.rules):
        if isinstance(rule, NonFinite) or rule.metric in known:
            continue
        near = difflib.get_close_matches(rule.metric, known, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]}? " if near else ""
        errors.append(
            f"stop_rules[{index}].metric: got {rule.metric!r}, which no evaluation carries; "
            f"{hint}known: {', '.join(known)}"
        )
    if errors:
        raise ConfigError("; ".join(errors))


def _rule_from(declaration: Any, where: str, errors: list[str]) -> _Rule | None:
    if not isinstance(declaration, Mapping) or "rule" not in declaration:
        errors.append(f"{where}: got {declaration!r}; needs rule: one of {', '.join(RULES)}")
        return None
    name = declaration["rule"]
    if not isinstance(name, str) or name not in RULES:
        near = difflib.get_close_matches(str(name), RULES, n=1)
        hint = f"did you mean {near[0]}?" if near else f"needs one of {', '.join(RULES)}"
        errors.append(f"{where}.rule: got {name!r}; {hint}")
        return None
    keys = {key: value for key, value in declaration.items() if key != "rule"}
    return build(RULES[name], keys, where, errors)


def _with_gap(metrics: dict[str, float]) -> dict[str, float]:
    """Add ``train_eval_gap``, rounded so that 0.6 - 0.45 is 0.15 and not a little less or more."""
    if "train_accuracy" in metrics and "eval_accuracy" in metrics:
        gap = round(metrics["train_accuracy"] - metrics["eval_accuracy"], 10)
        metrics.setdefault("train_eval_gap", gap)
    return metrics


def _declaration(rule: _Rule) -> str:
    return json.dumps({"rule": rule.name} | asdict(rule), sort_keys=True)


def _in_a_row(times: int) -> str:
    return "" if times == 1 else f", {times} times in a row"
