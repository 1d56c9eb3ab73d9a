"""A replay for people: a row a training, and below it why each was stopped."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from hfrun.replay.replay import Replay
from lob_backtest.commands.tables import table
from lob_backtest.report.words import NOTHING

_HEADS = ["run", "epochs", "stop", "by", "best at", "chosen", "saved", "lost", "failed gates",
          "findings"]  # fmt: skip
_COUNTED = ("error", "warning")
_SEVERITIES = ("error", "warning", "advice", "info")


def text_of(replays: Sequence[Replay]) -> str:
    """The table, the reasons, and what the rules would have saved and lost over all."""
    scores = {one.score for one in replays if one.score is not None}
    lines = [table(_HEADS, [_row(one, with_score=len(scores) > 1) for one in replays]), ""]
    stopped = [one for one in replays if one.fired is not None]
    lines += [
        f"- {one.title}: after epoch {one.stop_epoch}, {one.fired.reason}"
        for one in stopped
        if one.fired is not None
    ]
    if len(scores) == 1:
        lines += [f"Best and chosen are by {scores.pop()}."]
    return "\n".join([*lines, _sums(replays, stopped), *_never_measured(replays)])


def _row(one: Replay, *, with_score: bool) -> list[str]:
    named = f" {one.score}" if with_score else ""
    return [
        one.title,
        str(one.epochs),
        NOTHING if one.stop_epoch is None else f"{one.stop_epoch:g}",
        one.rule or NOTHING,
        _scored(one.best_epoch, one.best_score, named),
        _scored(one.chosen_epoch, one.chosen_score, ""),
        f"{one.epochs_saved:g}",
        NOTHING if one.score_lost is None else f"{one.score_lost:.4g}",
        _gates(one.gates),
        _findings(one.findings),
    ]


def _sums(replays: Sequence[Replay], stopped: Sequence[Replay]) -> str:
    epochs = sum(one.epochs for one in replays)
    saved = sum(one.epochs_saved for one in replays)
    words = f"{len(stopped)} of {len(replays)} stopped; {saved:g} of {epochs} epochs saved"
    losers = [one for one in stopped if one.score_lost]
    if not losers:
        return f"{words}; none lost score." if stopped else f"{words}."
    worst = max(losers, key=lambda one: one.score_lost or 0.0)
    most = f"{worst.score_lost:.4g} {worst.score} ({worst.title})"
    return f"{words}; {len(losers)} lost score, at most {most}."


def _never_measured(replays: Sequence[Replay]) -> list[str]:
    """A rule on a metric that no record has fires for none: it may be misspelt."""
    lines = []
    for entries in zip(*(one.rules for one in replays), strict=True):
        if not any(entry["measured"] for entry in entries):
            rule = entries[0]
            lines.append(f"{rule['rule']} {rule['metric']}: no run has {rule['metric']} recorded")
    return lines


def _scored(epoch: float | None, score: float | None, named: str) -> str:
    return NOTHING if epoch is None else f"{epoch:g} ({score:.4g}{named})"


def _gates(gates: Sequence[Mapping[str, Any]]) -> str:
    failed = [gate["name"] for gate in gates if gate["passed"] is False]
    judged = sum(gate["passed"] is not None for gate in gates)
    if not judged:
        return NOTHING
    return ", ".join(failed) or f"none of {judged}"


def _findings(findings: Sequence[Mapping[str, Any]]) -> str:
    counts = Counter(finding["severity"] for finding in findings)
    found = [
        f"{counts[name]} {name}{'s' if counts[name] > 1 and name in _COUNTED else ''}"
        for name in _SEVERITIES
        if counts[name]
    ]
    return ", ".join(found) or NOTHING
