"""What an audit of the data found, which of it stops a training, and how it is written down.

    error      a figure of the run would be wrong or mean nothing: stops, unless accepted
    warning    worth a look before the figures are believed
    info       worth knowing

A config accepts errors by name and number, so that new ones of the same kind are noticed:

    data.audit.accept: {duplicates_across_splits: 3}
"""

import difflib
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from hfrun.data.audit.names import BOOK_FINDINGS, TEXT_FINDINGS
from hfrun.errors import DataError
from lob_backtest.files import write_json, write_text

Severity = Literal["error", "warning", "info"]
Kind = Literal["text", "book"]

FILE_NAME = "audit.json"
TEXT_FILE_NAME = "audit.txt"

_ORDER: tuple[Severity, ...] = ("error", "warning", "info")
_WORDS: dict[Severity, str] = {"error": "error", "warning": "warning", "info": "note"}
_UNITS: dict[Kind, str] = {"text": "texts", "book": "decisions"}


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was found.

    Attributes:
        name: stable, as ``data.audit.accept`` names it.
        severity: an error stops a training.
        count: cases, as the message counts them; what acceptance is measured by.
        message: what was found, in words.
        examples: the first or worst cases, with where they stand.
        parts: train, validation or test, where it was found; empty for all of the data.
    """

    name: str
    severity: Severity
    count: int
    message: str
    examples: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class AuditReport:
    """All findings of one audit, the worst first.

    Attributes:
        kind: what was looked at.
        sizes: texts or decisions of each part.
        findings: what was found.
        accepted: by name, how many cases of an error may be there.
    """

    kind: Kind
    sizes: Mapping[str, int]
    findings: tuple[Finding, ...]
    accepted: Mapping[str, int]

    def __post_init__(self) -> None:
        worst_first = sorted(self.findings, key=lambda found: _ORDER.index(found.severity))
        object.__setattr__(self, "findings", tuple(worst_first))

    @property
    def errors(self) -> Counter[str]:
        """Cases of each error, by name, over all parts."""
        cases: Counter[str] = Counter()
        for found in self.findings:
            if found.severity == "error":
                cases[found.name] += found.count
        return cases

    @property
    def stops(self) -> tuple[Finding, ...]:
        """The errors of which there are more than accepted."""
        cases = self.errors
        return tuple(
            found
            for found in self.findings
            if found.severity == "error" and cases[found.name] > self.accepted.get(found.name, 0)
        )

    def as_dict(self) -> dict[str, Any]:
        """JSON-able; ``stops`` are the names that stop a training."""
        counts = Counter(found.severity for found in self.findings)
        return {
            "kind": self.kind,
            "sizes": dict(self.sizes),
            "counts": {severity: counts[severity] for severity in _ORDER},
            "stops": list(dict.fromkeys(found.name for found in self.stops)),
            "accepted": dict(self.accepted),
            "findings": [
                {**asdict(found), "examples": list(found.examples), "parts": list(found.parts)}
                for found in self.findings
            ],
        }

    def text(self) -> str:
        """For a terminal: a summary, and each finding with its examples."""
        sizes = ", ".join(f"{part} {size:,}" for part, size in self.sizes.items())
        lines = [f"{_UNITS[self.kind]}: {sizes}", self._summary()]
        for found in self.findings:
            where = f"  ({', '.join(found.parts)})" if found.parts else ""
            lines += ["", f"{self._state(found):<8}  {found.name}  {found.count:,}{where}"]
            lines += [f"          {found.message}"]
            lines += [f"            {example}" for example in found.examples]
        return "\n".join(lines)

    def brief(self) -> str:
        """For the beginning of a training: the summary, and a line for each error and warning."""
        told = [f"audit {self._summary()}"]
        for found in self.findings:
            if found.severity != "info":
                where = f" ({', '.join(found.parts)})" if found.parts else ""
                told.append(f"  {self._state(found)} {found.name}{where}: {found.message}")
        return "\n".join(told)

    def _state(self, found: Finding) -> str:
        """Its severity in a word; an error that the config accepts is called that."""
        cases, most = self.errors[found.name], self.accepted.get(found.name, 0)
        is_accepted = found.severity == "error" and 0 < cases <= most
        return "accepted" if is_accepted else _WORDS[found.severity]

    def _summary(self) -> str:
        counts = Counter(found.severity for found in self.findings)
        told = ", ".join(
            f"{counts[severity]} {_WORDS[severity]}{'s' * (counts[severity] != 1)}"
            for severity in _ORDER
        )
        stops = self.stops
        if stops:
            return f"found: {told}; stops a training"
        return f"found: {told}" + ("; all errors are accepted" if counts["error"] else "")


def check_accepted(accept: Mapping[str, int], kind: Kind) -> None:
    """Refuse names that no audit of this kind finds: a misspelt one would accept nothing.

    Raises:
        DataError: names what there is.
    """
    known = TEXT_FINDINGS if kind == "text" else BOOK_FINDINGS
    for name in accept:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]}? " if near else ""
            raise DataError(
                f"data.audit.accept.{name}: the audit of a {kind} run finds nothing of this "
                f"name; {hint}known: {', '.join(known)}"
            )


def require_clean(report: AuditReport) -> None:
    """Let a training begin, or say what stands against it.

    Raises:
        DataError: names each error that is not accepted, its cases, and how to accept it.
    """
    stops = report.stops
    if not stops:
        return
    cases = report.errors
    lines = [f"  {found.name} ({_where(found)}): {found.message}" for found in stops]
    names = dict.fromkeys(found.name for found in stops)
    accepting = [
        f"  data.audit.accept.{name}={cases[name]}    (accepted so far: "
        f"{report.accepted.get(name, 0)})"
        for name in names
    ]
    raise DataError(
        "\n".join(
            [
                f"the audit of the data found {len(stops)} "
                f"error{'s' * (len(stops) != 1)} that the config does not accept:",
                *lines,
                "mend the data, or accept what you know of:",
                *accepting,
            ]
        )
    )


def write_audit(report: AuditReport, folder: Path | str) -> Path:
    """Write ``audit.json`` and ``audit.txt`` into a run's folder; returns the first's path."""
    path = Path(folder) / FILE_NAME
    write_json(path, report.as_dict())
    write_text(path.with_name(TEXT_FILE_NAME), report.text() + "\n")
    return path


def _where(found: Finding) -> str:
    return ", ".join(found.parts) or "all parts"
