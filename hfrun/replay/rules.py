"""The rules file of a replay: stop rules, and by what an epoch is chosen.

    stop_rules:
      - {rule: above, metric: train_eval_gap, limit: 0.15, epochs: [3, 5]}
      - {rule: early_stopping, metric: eval_accuracy, mode: max, patience: 5}
    score: eval_accuracy
    gates: {max_train_eval_gap: 0.10}

``score`` and ``gates`` may be left out, a plain list is taken for the stop rules alone, and the
config of a run is a rules file too: its other sections are passed over.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hfrun.training.stop_rules import StopRules, stop_rules_from
from lob_backtest.config import SECTION_NAMES, GatesConfig
from lob_backtest.errors import ConfigError
from lob_backtest.gates import check_rules
from lob_backtest.strict_yaml import build, finish, parse_yaml, shown, unknown_keys

_OWN = ("stop_rules", "score", "gates")


@dataclass(frozen=True, kw_only=True, eq=False)
class ReplayRules:
    """What recorded runs are held against.

    Args:
        stop_rules: as a config declares them; of several that fire in an epoch the first counts.
        score: the metric by which an epoch is chosen; None for each run's own.
        gates: the gates' limits; None for each run's own.
    """

    stop_rules: tuple[Mapping[str, Any], ...]
    score: str | None = None
    gates: GatesConfig | None = None

    def fresh(self) -> StopRules:
        """The rules, having seen no epoch."""
        return stop_rules_from(self.stop_rules)


def read_rules(path: Path) -> ReplayRules:
    """Read a rules file.

    Raises:
        ConfigError: lists everything in it that cannot be; it has no stop rules.
    """
    if not path.is_file():
        raise ConfigError(f"{path}: no such rules file; ones that ship are in configs/stop_rules/")
    try:
        raw = parse_yaml(path.read_text(encoding="utf-8"))
    except ValueError as error:  # also bytes that are no UTF-8
        raise ConfigError(f"{path}: not valid YAML: {error}") from error
    return rules_from(raw, source=str(path))


def rules_from(raw: Any, *, source: str = "rules") -> ReplayRules:
    """As ``read_rules``, of what the file holds."""
    held = {"stop_rules": raw} if isinstance(raw, list) else raw
    if not isinstance(held, Mapping):
        raise ConfigError(f"{source}: got {shown(raw)}; needs stop_rules: with a list of rules")
    errors = unknown_keys(held, [*_OWN, *SECTION_NAMES], "")
    declared = _declared(held.get("stop_rules"), errors)
    score = held.get("score")
    if score is not None and not isinstance(score, str):
        errors.append(f"score: got {shown(score)}; needs a metric's name, e.g. eval_accuracy")
    gates = build(GatesConfig, held["gates"], "gates", errors) if "gates" in held else None
    rules = ReplayRules(
        stop_rules=declared, score=score if isinstance(score, str) else None, gates=gates
    )
    finished = finish(rules, errors, source)
    if gates is not None:
        check_rules(gates, baselines=None)
    return finished


def _declared(raw: Any, errors: list[str]) -> tuple[Mapping[str, Any], ...]:
    if not isinstance(raw, list) or not raw:
        errors.append(f"stop_rules: got {shown(raw)}; needs a list of at least one rule")
        return ()
    try:
        stop_rules_from(raw)
    except ConfigError as error:
        errors.append(str(error))
    return tuple(raw)
