"""What a finished run says in the terminal: what was found, the gates and why, what to try next."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hfrun.diagnosis import Finding
from hfrun.publishing import Published

_NEXT = {
    "f1_lift": "no lift over the best simple baseline: try another horizon "
    "or label (data.label), other inputs (data.normalize), or more days",
    "train_eval_gap": "the model memorises: raise model.config.dropout or training.weight_decay, "
    "or train fewer epochs",
    "grad_norm": "unsteady gradients: lower training.learning_rate or lengthen "
    "training.warmup_steps",
    "window_pass_rate": "the lift is not there in most windows: look at the per-fold table before "
    "tuning further",
    "window_stability": "windows differ widely: use longer test blocks, or look for a change of "
    "regime",
    "calibration": "probabilities are off: try training.loss.label_smoothing",
    "backtest": "costs eat the edge: compare the break-even cost with what you pay, and choose a "
    "longer horizon or a higher confidence threshold",
}
# What a run over texts would try instead.
_NEXT_OF_TEXTS = {
    "f1_lift": "no sure lift over counted words: start from pretrained weights "
    "(model.pretrained), look for a rate with hfrun lr-find, or train longer",
    "train_eval_gap": "the model memorises: raise model.config.hidden_dropout or "
    "training.weight_decay, or train fewer epochs",
    "calibration": "probabilities are off: divide the logits by the temperature in "
    "calibration.json, or try training.loss.label_smoothing",
}


_MOST_FINDINGS = 4


@dataclass(frozen=True, kw_only=True, eq=False)
class Summary:
    """The outcome of a run, for the terminal and as JSON."""

    folder: Path
    report: dict[str, Any]
    published: Published | None = None
    findings: Sequence[Finding] = ()

    @property
    def verdict(self) -> str:
        return str(self.report["verdict"])

    def as_dict(self) -> dict[str, Any]:
        """Folder, report, verdict, gates, alarms, figures, findings, the hub's commit if any."""
        return {
            "folder": str(self.folder),
            "report": str(self.folder / "report" / "report.html"),
            "verdict": self.verdict,
            "gates": self.report["gates"],
            "alarms": self.report.get("alarms"),
            "aggregate": self.report["aggregate"],
            "findings": [finding.as_dict() for finding in self.findings],
            "published": None if self.published is None else vars(self.published),
        }

    def text(self) -> str:
        """Some twenty lines that a person reads at the end of a run."""
        of_texts = self.report.get("kind") == "text"
        found = _found_of_texts(self.report) if of_texts else _found(self.report)
        lines = [*found, "", f"Verdict: {self.verdict.upper()}"]
        lines += [_gate_line(gate) for gate in self.report["gates"]]
        lines += _alarm_lines(self.report.get("alarms") or [])
        advice = _advice(self.report["gates"], of_texts=of_texts)
        if advice:
            lines += ["", "What to try next:", *(f"  - {text}" for text in advice)]
        lines += _finding_lines(self.findings, self.folder)
        page = (self.folder / "report" / "report.html").resolve()
        lines += ["", f"Report: {page.as_uri()}"]
        if self.published is not None:
            hub = self.published
            lines.append(
                f"Hub: {hub.repo} at {hub.endpoint}, commit {hub.commit[:12]}, tag {hub.tag}"
            )
        return "\n".join(lines)


def _found(report: dict[str, Any]) -> list[str]:
    aggregate = report["aggregate"]
    count = sum(fold["n"] for fold in report["folds"])
    folds = len(report["folds"])
    lines = [f"Found, over {folds} test fold{'s' if folds != 1 else ''} and {count:,} decisions:"]
    lines += _class_lines(aggregate)
    if aggregate.get("net_return", {}).get("value") is not None:
        lines.append(f"  gross return {_interval(aggregate['gross_return'], '+.3%')}")
        is_free = (report.get("backtest") or {}).get("costs") == "none"
        words = "without costs, as asked" if is_free else "after costs"
        lines.append(f"  net return   {_interval(aggregate['net_return'], '+.3%')} {words}")
    return lines


def _found_of_texts(report: dict[str, Any]) -> list[str]:
    aggregate, count = report["aggregate"], report["folds"][0]["n"]
    classes = len(report["label_names"])
    lines = [f"Found, over {count:,} test texts of {classes} classes:", *_class_lines(aggregate)]
    lines.append(f"  ECE          {_interval(aggregate['ece'], '.3f')}")
    calibration = report.get("calibration")
    if calibration is not None:
        lines[-1] += f"; with temperature {calibration['temperature']:.2f}: {calibration['claim']}"
    validation = report.get("validation")
    if validation is not None:
        accuracy = validation["accuracy"]
        lines.append(
            f"  validation   accuracy {accuracy:.3f}, of the texts that chose the checkpoint"
        )
    return lines


def _class_lines(aggregate: dict[str, Any]) -> list[str]:
    """Weighted F1 and accuracy, each with what it is held against."""
    best = max(
        (
            (name, figures["f1_weighted"]["value"])
            for name, figures in aggregate["baselines"].items()
            if figures.get("f1_weighted", {}).get("value") is not None
        ),
        key=lambda item: item[1],
        default=None,
    )
    against = f"; best baseline {best[0]} {best[1]:.3f}" if best else ""
    accuracy, majority = aggregate["accuracy"], aggregate["majority_accuracy"]["value"]
    return [
        f"  weighted F1  {_interval(aggregate['f1_weighted'], '.3f')}{against}",
        f"  accuracy     {_interval(accuracy, '.3f')}; largest class {majority:.3f}",
    ]


def _advice(gates: list[dict[str, Any]], *, of_texts: bool = False) -> list[str]:
    """For each failed gate what to try; gates without a figure need more folds first."""
    failed = [gate for gate in gates if gate["passed"] is False]
    words = {**_NEXT, **_NEXT_OF_TEXTS} if of_texts else _NEXT
    advice = [words[gate["name"]] for gate in failed if gate["value"] is not None]
    if len(advice) < len(failed) and not of_texts:
        advice.insert(0, "one split cannot carry every gate: judge several folds with "
                      "hfrun walk-forward")  # fmt: skip
    return advice


def _finding_lines(findings: Sequence[Finding], folder: Path) -> list[str]:
    """Findings that ask for something, each with its next experiment; the others are counted."""
    urgent = [each for each in findings if each.severity in ("error", "warning")]
    if not findings:
        return []
    lines = ["", "Diagnosis:"]
    for finding in urgent[:_MOST_FINDINGS]:
        lines.append(f"  {finding.severity}  {finding.rule}: {finding.message}")
        lines += textwrap.wrap(
            f"next: {finding.next_experiment}", 100, initial_indent=" " * 11,
            subsequent_indent=" " * 11,
        )  # fmt: skip
    left = len(findings) - len(urgent[:_MOST_FINDINGS])
    if left:
        lines.append(f"  {left} more: hfrun diagnose {folder}")
    return lines


def _interval(figure: dict[str, Any], form: str) -> str:
    if figure["value"] is None:
        return "undefined"
    text = format(figure["value"], form)
    if figure["low"] is None or figure["high"] is None:
        return text
    return f"{text} [{format(figure['low'], form)}, {format(figure['high'], form)}]"


def _gate_line(gate: dict[str, Any]) -> str:
    mark = {True: "pass", False: "FAIL", None: "  - "}[gate["passed"]]
    optional = "" if gate["required"] else " (optional)"
    return f"  {mark}  {gate['name']}{optional}: {gate['reason']}"


def _alarm_lines(alarms: list[dict[str, Any]]) -> list[str]:
    """The leak alarms that were raised, or that none was."""
    if not alarms:
        return []
    raised = [alarm for alarm in alarms if alarm["raised"]]
    if not raised:
        tried = sum(alarm["raised"] is not None for alarm in alarms)
        return [f"Leak alarms: none raised ({tried} of {len(alarms)} could be tried)"]
    return ["Leak alarms:", *(f"  LEAK  {each['name']}: {each['reason']}" for each in raised)]
