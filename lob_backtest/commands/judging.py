"""The command that judges a written report, and how a judgement is told."""

import argparse
from typing import Any

from lob_backtest.command_line import EXIT_DONE, EXIT_GATES_FAILED
from lob_backtest.commands.tables import show
from lob_backtest.config import GatesConfig
from lob_backtest.errors import ConfigError
from lob_backtest.gates import judge, verdict
from lob_backtest.report import as_written, read_report
from lob_backtest.strict_yaml import build, finish, parse_yaml
from lob_backtest.training_figures import training_from


def gate(arguments: argparse.Namespace) -> int:
    """Judge a written report again, by its own limits or by others."""
    report = read_report(arguments.report)
    with as_written(arguments.report):
        outcome = _judged(report, _rules(report, arguments.overrides))
        text = judgement_text(outcome)
    show(outcome, text, as_json=arguments.json)
    return exit_code(outcome["verdict"])


def _judged(report: dict[str, Any], rules: GatesConfig) -> dict[str, Any]:
    training = report.get("training")
    gates = judge(
        folds=report["folds"],
        aggregate=report["aggregate"],
        rules=rules,
        training=None if training is None else training_from(training),
        one_test=report["paired"] if report.get("kind") == "text" else None,
    )
    return {
        "verdict": verdict(gates, alarms=report.get("alarms") or []),
        "gates": [each.as_dict() for each in gates],
        "alarms": report.get("alarms"),
    }


def exit_code(outcome: str) -> int:
    """0 for a pass, 3 for a fail."""
    return EXIT_DONE if outcome == "pass" else EXIT_GATES_FAILED


def judgement_text(report: dict[str, Any]) -> str:
    """The verdict, every gate and every leak alarm, one a line."""
    marks = {True: "pass", False: "FAIL", None: "  - "}
    lines = [
        f"  {marks[each['passed']]}  {each['name']}{'' if each['required'] else ' (optional)'}: "
        f"{each['reason']}"
        for each in report["gates"]
    ]
    if report["alarms"]:
        calls = {True: "LEAK", False: "  ok", None: "  - "}
        lines += ["", "Leak alarms"]
        lines += [f"  {calls[each['raised']]}  {_named(each)}: {each['reason']}"
                  for each in report["alarms"]]  # fmt: skip
    return "\n".join([f"Verdict: {report['verdict'].upper()}", *lines])


def _named(alarm: dict[str, Any]) -> str:
    instrument = alarm.get("instrument")
    return alarm["name"] if instrument is None else f"{alarm['name']} ({instrument})"


def _rules(report: dict[str, Any], overrides: list[str]) -> GatesConfig:
    """The report's own limits with ``gates.key=value`` put over them."""
    raw = dict(report.get("rules") or {})
    for text in overrides:
        name, equals, value = text.partition("=")
        section, _, key = name.partition(".")
        if not equals or section != "gates" or not key:
            raise ConfigError(f"{text!r}: needs gates.key=value, e.g. gates.off=[grad_norm]")
        try:
            raw[key] = parse_yaml(value)
        except ValueError as error:
            raise ConfigError(f"{text!r}: the value is not valid YAML") from error
    errors: list[str] = []
    return finish(build(GatesConfig, raw, "gates", errors), errors, "gate")
