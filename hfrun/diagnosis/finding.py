"""A finding of the diagnosis: what a run's figures say, and the experiment that would show more."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

Severity = Literal["error", "warning", "advice", "info"]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)

Evidence = Mapping[str, float | str]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What one rule says of a run.

    Args:
        rule: the rule's stable name.
        severity: ``error`` (the result is not what it seems), ``warning`` (it most likely cost
            score), ``advice`` (worth an experiment) or ``info`` (worth knowing).
        message: one sentence with the numbers in it.
        evidence: the numbers, by name; never empty.
        next_experiment: what to try, as overrides where possible.
        source: where the rule comes from.
        courses: labels of the trainings that show it; empty for a run with one training.
    """

    rule: str
    severity: Severity
    message: str
    evidence: Evidence
    next_experiment: str
    source: str
    courses: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self) | {"evidence": dict(self.evidence), "courses": list(self.courses)}


@dataclass(frozen=True, kw_only=True)
class Sign:
    """What a rule sees in one training, before those of several trainings are put together.

    ``weight`` says how much of it there is: the training with the most is quoted.
    """

    severity: Severity
    message: str
    evidence: Evidence
    next_experiment: str
    weight: float = 0.0
