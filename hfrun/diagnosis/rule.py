"""Rules of the diagnosis: pure functions from a record to what they see in it.

A rule over a training (``course_rule``) is asked for each fold of a walk-forward, and its answers
are put together: the worst fold is quoted, and the others are counted. What fewer than half of the
folds show may be chance, and is told one step milder.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hfrun.diagnosis.finding import SEVERITIES, Finding, Severity, Sign
from hfrun.record import Course, RunRecord

OfCourse = Callable[[Course, RunRecord], Sign | None]
OfRecord = Callable[[RunRecord, RunRecord | None], Sign | None]


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A rule with its name, the source it comes from, and the sentence the docs say of it."""

    name: str
    source: str
    says: str
    judge: Callable[[RunRecord, RunRecord | None], list[Finding]]


def course_rule(source: str) -> Callable[[OfCourse], Rule]:
    """Make a rule of a function of one training; its name and first line are the rule's."""

    def made(function: OfCourse) -> Rule:
        def judge(record: RunRecord, parent: RunRecord | None) -> list[Finding]:
            seen = [(course, function(course, record)) for course in record.courses]
            signs = [(course.label, sign) for course, sign in seen if sign is not None]
            return _together(function.__name__, source, signs, of=len(record.courses))

        return Rule(name=function.__name__, source=source, says=_says(function), judge=judge)

    return made


def record_rule(source: str) -> Callable[[OfRecord], Rule]:
    """Make a rule of a function of a run and, where there is one, of its parent."""

    def made(function: OfRecord) -> Rule:
        def judge(record: RunRecord, parent: RunRecord | None) -> list[Finding]:
            sign = function(record, parent)
            signs = [] if sign is None else [("", sign)]
            return _together(function.__name__, source, signs, of=1)

        return Rule(name=function.__name__, source=source, says=_says(function), judge=judge)

    return made


def _says(function: Callable[..., object]) -> str:
    return (function.__doc__ or "").strip().splitlines()[0]


def _together(
    name: str, source: str, signs: Sequence[tuple[str, Sign]], *, of: int
) -> list[Finding]:
    if not signs:
        return []
    label, worst = max(signs, key=lambda held: held[1].weight)
    severity, message = worst.severity, worst.message
    if of > 1:
        most = "" if len(signs) == 1 else "most in "
        message = f"in {len(signs)} of {of} folds, {most}{label}: {message}"
        if 2 * len(signs) < of:
            severity = _milder(severity)
    counted = {"folds_with": len(signs), "folds_of": of} if of > 1 else {}
    return [
        Finding(
            rule=name,
            severity=severity,
            message=f"{message[0].upper()}{message[1:]}.",
            evidence={key: _plain(value) for key, value in {**worst.evidence, **counted}.items()},
            next_experiment=worst.next_experiment,
            source=source,
            courses=tuple(held for held, _ in signs if held),
        )
    ]


def _plain(value: float | str) -> float | str:
    """For JSON, which has no infinity."""
    return value if isinstance(value, str) or math.isfinite(value) else str(value)


def _milder(severity: Severity) -> Severity:
    if severity == "error":  # what is broken in one fold is broken
        return severity
    return SEVERITIES[min(SEVERITIES.index(severity) + 1, len(SEVERITIES) - 1)]
