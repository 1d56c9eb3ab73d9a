"""What a run was found to be worth, read from the report that was pushed with its model.

The hub never judges: it shows the verdict, the gates and the figures as the pushed
``report/report.json`` has them. Whoever may write to the repository may have written that file by
hand, so nothing here is taken for granted: what is not of its type or too large is left out.
"""

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from types import MappingProxyType
from typing import Any, Literal

from cachetools import LRUCache

from hfrun.hub.card.markdown import is_number
from hfrun.hub.card.records import records
from hfrun.hub.names import is_utf8
from hfrun.hub.store.repository import Repository
from hfrun.hub.store.tree import Entry, Tree

REPORT_PATH = "report/report.json"
MAX_REPORT_BYTES = 5_000_000

_MAX_GATES = 30
_MAX_METRICS = 100
_MAX_NAME = 60
_MAX_REASON = 600
_MAX_NUMBER = 1e300  # beyond it sums and formats of numbers end in infinity
_VERDICTS: Mapping[str, Literal["PASS", "FAIL"]] = {"pass": "PASS", "fail": "FAIL"}

_CACHED_CHARACTERS = 10_000_000
_COLOURS = {"pass": "#2e7d32", "fail": "#c62828", "not judged": "#616161"}
_CHARACTER_PIXELS = 7
_MARGIN_PIXELS = 8


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A metric over all evaluation folds and its confidence interval, None where it has none."""

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True, kw_only=True)
class GateRow:
    """One acceptance gate as the report has it.

    Attributes:
        passed: None where the gate was not judged.
        value, limit: None where there is no figure.
        required: whether the verdict needs it.
    """

    name: str
    passed: bool | None
    value: float | None
    limit: float | None
    reason: str
    required: bool = True


@dataclass(frozen=True, kw_only=True)
class RunVerdict:
    """The verdict, the gates it came from and the figures behind them."""

    verdict: Literal["PASS", "FAIL"] | None
    gates: tuple[GateRow, ...] = ()
    metrics: Mapping[str, Figure] = field(default_factory=lambda: MappingProxyType({}))


_cache: LRUCache[str, RunVerdict | None] = LRUCache(
    _CACHED_CHARACTERS, getsizeof=lambda verdict: _characters(verdict)
)
_cache_lock = threading.Lock()


def run_verdict(repository: Repository, tree: Tree) -> RunVerdict | None:
    """What the report that was pushed with a commit says; None where there is none to read.

    Args:
        repository: that holds the commit.
        tree: all files of the commit.
    """
    entry = tree.get(REPORT_PATH)
    if entry is None or entry.size > MAX_REPORT_BYTES:
        return None
    with _cache_lock:
        if entry.sha256 in _cache:
            return _cache[entry.sha256]
    try:
        found = _read(repository, entry)
    except OSError:  # the object is missing: hub check says so, a page need not fall
        return None
    with _cache_lock:
        _cache[entry.sha256] = found
    return found


def badge_svg(verdict: RunVerdict | None) -> str:
    """A small picture for a page or another README: "gates" and pass, fail or not judged."""
    outcome = verdict.verdict.lower() if verdict and verdict.verdict else "not judged"
    left, right = _width("gates"), _width(outcome)
    words = escape(f"gates: {outcome}")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + right}" height="20" role="img" '
        f'aria-label="{words}"><title>{words}</title>'
        f'<rect width="{left + right}" height="20" rx="3" fill="#424242"/>'
        f'<path d="M{left} 0h{right - 3}a3 3 0 0 1 3 3v14a3 3 0 0 1-3 3h-{right - 3}z" '
        f'fill="{_COLOURS[outcome]}"/>'
        '<g fill="#fff" text-anchor="middle" font-family="Verdana,sans-serif" font-size="11">'
        f'<text x="{left / 2:g}" y="14">gates</text>'
        f'<text x="{left + right / 2:g}" y="14">{escape(outcome)}</text></g></svg>'
    )


def _width(words: str) -> int:
    return len(words) * _CHARACTER_PIXELS + 2 * _MARGIN_PIXELS


def _read(repository: Repository, entry: Entry) -> RunVerdict | None:
    with repository.content(entry).open("rb") as file:
        content = file.read(MAX_REPORT_BYTES + 1)
    try:
        report = json.loads(content, parse_constant=lambda _: None)
    except (ValueError, RecursionError):  # also a number of thousands of digits
        return None
    if not isinstance(report, dict) or not report.keys() & {"verdict", "gates", "aggregate"}:
        return None
    said = report.get("verdict")
    gates = [row for row in records(report.get("gates")) if _name(row.get("name"))]
    return RunVerdict(
        verdict=_VERDICTS.get(said.lower()) if isinstance(said, str) else None,
        gates=tuple(map(_gate, gates[:_MAX_GATES])),
        metrics=MappingProxyType(_metrics(report.get("aggregate"))),
    )


def _gate(row: Mapping[str, Any]) -> GateRow:
    passed, reason = row.get("passed"), row.get("reason")
    return GateRow(
        name=_name(row.get("name")) or "",
        passed=passed if isinstance(passed, bool) else None,
        value=_number(row.get("value")),
        limit=_number(row.get("limit")),
        reason=reason[:_MAX_REASON] if isinstance(reason, str) and is_utf8(reason) else "",
        required=row.get("required") is True,
    )


def _metrics(aggregate: Any) -> dict[str, Figure]:
    found: dict[str, Figure] = {}
    for key, figure in aggregate.items() if isinstance(aggregate, dict) else ():
        value = _number(figure.get("value")) if isinstance(figure, dict) else None
        if value is None or _name(key) is None:
            continue
        low, high = _number(figure.get("low")), _number(figure.get("high"))
        if low is None or high is None or low > high:
            low = high = None
        found[key] = Figure(value=value, low=low, high=high)
        if len(found) == _MAX_METRICS:
            break
    return found


def _name(value: Any) -> str | None:
    """A short name in plain characters, as gates and metrics have; None for anything else."""
    if not isinstance(value, str) or not 0 < len(value) <= _MAX_NAME:
        return None
    return value if value.isascii() and value.replace("_", "").replace("@", "").isalnum() else None


def _number(value: Any) -> float | None:
    return float(value) if is_number(value) and abs(value) <= _MAX_NUMBER else None


def _characters(verdict: RunVerdict | None) -> int:
    if verdict is None:
        return 100
    return 500 + sum(200 + len(g.reason) for g in verdict.gates) + 200 * len(verdict.metrics)
