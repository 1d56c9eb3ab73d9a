"""What a run's figures say of it, with the next experiment: one rule a finding, with its numbers.

    record ─► rules, each a pure function ─► findings, the most severe first

A rule whose figures are not in the record says nothing. docs/diagnosis.md lists all of them.
"""

import dataclasses
import textwrap
from collections.abc import Sequence
from pathlib import Path

from hfrun.diagnosis import (
    answers,
    certainty,
    choice,
    fit,
    gradients,
    overfitting,
    rates,
    settings,
    stability,
    warmup,
)
from hfrun.diagnosis.finding import SEVERITIES, Finding, Severity
from hfrun.diagnosis.rule import Rule
from hfrun.record import RunRecord
from lob_backtest.files import write_json

__all__ = ["RULES", "Finding", "Rule", "Severity", "diagnose", "text_of", "write_diagnosis"]

RULES: tuple[Rule, ...] = (
    *stability.RULES,
    *fit.RULES,
    *overfitting.RULES,
    *choice.RULES,
    *rates.RULES,
    *warmup.RULES,
    *gradients.RULES,
    *settings.RULES,
    *answers.RULES,
    *certainty.RULES,
)

DIAGNOSIS_FILE = "diagnosis.json"
_WIDTH = 96


def diagnose(record: RunRecord, parent: RunRecord | None = None) -> list[Finding]:
    """Findings of every rule, the most severe first, else in the order of the rules.

    Args:
        record: the run.
        parent: the run it was changed from, which some rules compare it with.
    """
    sound = _sound(record)
    found = [
        finding
        for rule in RULES
        for finding in rule.judge(record if rule is stability.not_finite else sound, parent)
    ]
    return sorted(found, key=lambda finding: SEVERITIES.index(finding.severity))


def _sound(record: RunRecord) -> RunRecord:
    """The record without trainings that broke, of which nothing else can be believed."""
    sound = tuple(course for course in record.courses if not stability.is_broken(course))
    if len(sound) == len(record.courses):
        return record
    if sound:
        return dataclasses.replace(record, courses=sound)
    return dataclasses.replace(record, courses=(), test={}, report={})


def write_diagnosis(findings: Sequence[Finding], folder: Path) -> None:
    """Write ``diagnosis.json`` into a run's folder: the list of findings."""
    write_json(folder / DIAGNOSIS_FILE, [finding.as_dict() for finding in findings])


def text_of(findings: Sequence[Finding]) -> str:
    """Lines for the terminal."""
    if not findings:
        return "no findings: no rule had figures that speak against this run"
    return "\n".join(line for finding in findings for line in _lines(finding))


def _lines(finding: Finding) -> list[str]:
    head = f"{finding.severity:<8} {finding.rule}"
    body = textwrap.wrap(finding.message, _WIDTH - 9)
    step = textwrap.wrap(f"next: {finding.next_experiment}", _WIDTH - 9)
    return [head, *(f"{'':9}{line}" for line in (*body, *step))]
