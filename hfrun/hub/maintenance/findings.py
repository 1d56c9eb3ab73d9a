"""What a check finds: each finding with its place, what is wrong, and what repair would do."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DAMAGE = "damage"  # something is lost, false or in danger
LEFTOVER = "leftover"  # harmless: what a killed process or a half copy left lying

Identity = tuple[int, int]  # inode and size: a file that was replaced since has another


@dataclass(frozen=True, kw_only=True)
class SetAside:
    """Move a file or a folder to ``quarantine/``, under the path that it had."""

    path: Path
    seen: Identity | None

    def __str__(self) -> str:
        return "moved to quarantine"


@dataclass(frozen=True, kw_only=True)
class PutRight:
    """Move a file to the name that its content asks for, where nothing is yet."""

    path: Path
    seen: Identity | None
    to: Path

    def __str__(self) -> str:
        return f"moved to its right name, {self.to.name}"


@dataclass(frozen=True, kw_only=True)
class Rewrite:
    """Write a file anew; a copy of the old one, if there is one, goes to ``quarantine/``."""

    path: Path
    seen: Identity | None
    data: bytes
    effect: str
    restores: bool = False  # it brings something back, for which others need not be moved

    def __str__(self) -> str:
        return self.effect


@dataclass(frozen=True, kw_only=True)
class Remove:
    """Delete what an ended process left: a temporary file, a note of an upload that is gone."""

    path: Path
    seen: Identity | None

    def __str__(self) -> str:
        return "removed"


@dataclass(frozen=True, kw_only=True)
class Restrict:
    """Let only the owner read a file."""

    path: Path
    seen: Identity | None

    def __str__(self) -> str:
        return "made readable by its owner alone"


Remedy = SetAside | PutRight | Rewrite | Remove | Restrict


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        place: of the file, below the hub's root; for the content of a file, its repository and
            path.
        remedy: what repair does; None where only a person can help, in the way of ``advice``.
    """

    severity: str
    place: str
    wrong: str
    remedy: Remedy | None = None
    advice: str = ""

    def as_dict(self) -> dict[str, Any]:
        """What ``--json`` prints of it."""
        return {
            "severity": self.severity,
            "place": self.place,
            "wrong": self.wrong,
            "repair": None if self.remedy is None else str(self.remedy),
            "advice": self.advice,
        }

    def text(self, *, done: bool = False) -> str:
        """Two or three lines for people; ``done`` where repair has been at work."""
        lines = [f"{self.severity}  {self.place}", f"    {self.wrong}"]
        if self.remedy is not None:
            lines.append(f"    {'repaired' if done else 'with --repair'}: {self.remedy}")
        elif self.advice:
            lines.append(f"    cannot be repaired here: {self.advice}")
        return "\n".join(lines)


@dataclass(frozen=True, kw_only=True)
class Report:
    """What one check read and found.

    Attributes:
        counts: how many repositories, refs, commits, trees and objects were looked at, and how
            many bytes of objects there are.
        mended: findings that a repair has done away with.
    """

    findings: tuple[Finding, ...]
    counts: Mapping[str, int]
    quick: bool
    mended: tuple[Finding, ...] = ()

    @property
    def is_sound(self) -> bool:
        """Whether nothing is damaged any more; leftovers do no harm."""
        return all(finding.severity != DAMAGE for finding in self.findings)

    def as_dict(self) -> dict[str, Any]:
        """What ``--json`` prints."""
        return {
            "sound": self.is_sound,
            "quick": self.quick,
            "counts": dict(self.counts),
            "findings": [finding.as_dict() for finding in self.findings],
            "mended": [finding.as_dict() for finding in self.mended],
        }

    def text(self) -> str:
        """All findings, and one line that sums them up."""
        looked = ", ".join(f"{n} {name}" for name, n in self.counts.items())
        damage = sum(finding.severity == DAMAGE for finding in self.findings)
        verdict = "sound" if self.is_sound else f"{damage} damaged"
        mended = f", {len(self.mended)} repaired" if self.mended else ""
        leftovers = f", {len(self.findings) - damage} left over"
        depth = "; contents were not read (--quick)" if self.quick else ""
        return "\n".join(
            [
                *(finding.text(done=True) for finding in self.mended),
                *(finding.text() for finding in self.findings),
                f"{verdict}{mended}{leftovers}: {looked}{depth}",
            ]
        )


def without_note(note: Path) -> Remedy:
    """How a note of an upload goes: it is empty, and one that is not may be something else."""
    seen = identity(note)
    if seen is not None and seen[1] > 0:
        return SetAside(path=note, seen=seen)
    return Remove(path=note, seen=seen)


def identity(path: Path) -> Identity | None:
    """Inode and size of a file, not following links; None where there is none."""
    try:
        status = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return status.st_ino, status.st_size
