"""Mending what a check finds: nothing is lost by it, what is wrong is set aside."""

import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from hfrun.hub.maintenance.check import check
from hfrun.hub.maintenance.contents import Facts
from hfrun.hub.maintenance.findings import (
    Finding,
    PutRight,
    Remove,
    Report,
    Restrict,
    Rewrite,
    SetAside,
    identity,
)
from hfrun.hub.maintenance.raw import QUARANTINE, delete
from hfrun.hub.store.disk import make_folder, sync_folder, write_durably
from hfrun.hub.store.objects import ObjectStore

_MOST_ROUNDS = 10  # a tree brought back lets commits be judged anew, and these their refs


def repair(root: Path, *, quick: bool = False, rewind: bool = False) -> Report:
    """Check, mend what can be mended, and check again, until nothing more can be done.

    Args:
        quick: as of ``check``.
        rewind: move refs back to the newest commit whose contents are all stored, as a copy
            needs that was taken while others pushed; otherwise a file that is lost takes no
            newer commit from its branch.

    Returns:
        What is still wrong, and what was mended.
    """
    facts: dict[str, Facts] = {}
    bench = _Bench(root)
    mended: list[Finding] = []
    report = check(root, quick=quick, rewind=rewind, facts=facts)
    for _ in range(_MOST_ROUNDS):
        done = bench.mend(report.findings)
        if not done:
            break
        mended += done
        report = check(root, quick=quick, rewind=rewind, facts=facts)
    return replace(report, mended=tuple(mended))


class _Bench:
    """Applies remedies, alone: no ref moves and nothing is taken into use meanwhile."""

    def __init__(self, root: Path) -> None:
        self._root = root
        stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H-%M-%SZ")
        self._quarantine = root / QUARANTINE / f"{stamp}-{os.getpid()}"

    def mend(self, findings: tuple[Finding, ...]) -> list[Finding]:
        """Those of the findings that were mended.

        What brings something back comes alone: with it, other things may turn out to be whole.
        """
        cures = [finding for finding in findings if finding.remedy is not None]
        restoring = [finding for finding in cures if _restores(finding)]
        with ObjectStore(self._root).sweeping():
            return [finding for finding in restoring or cures if self._apply(finding)]

    def _apply(self, finding: Finding) -> bool:
        """Whether it was done; not if the file is another one than the check saw."""
        remedy = finding.remedy
        assert remedy is not None  # the caller chose those with one
        if identity(remedy.path) != remedy.seen:
            return False
        match remedy:
            case SetAside():
                _move(remedy.path, self._aside(remedy.path))
            case PutRight():
                if remedy.to.exists():
                    return False
                _move(remedy.path, remedy.to)
            case Rewrite():
                if remedy.seen is not None:
                    write_durably(self._aside(remedy.path), remedy.path.read_bytes())
                write_durably(remedy.path, remedy.data)
            case Remove():
                delete(remedy.path)
                sync_folder(remedy.path.parent)
            case Restrict():
                remedy.path.chmod(0o600)
        return True

    def _aside(self, path: Path) -> Path:
        """Where a file goes in quarantine; one of its name may be there from an earlier round."""
        target = self._quarantine / path.relative_to(self._root)
        n = 1
        while os.path.lexists(target):
            target = target.with_name(f"{path.name}.{n}")
            n += 1
        return target


def _restores(finding: Finding) -> bool:
    remedy = finding.remedy
    return isinstance(remedy, PutRight) or (isinstance(remedy, Rewrite) and remedy.restores)


def _move(path: Path, target: Path) -> None:
    make_folder(target.parent)
    path.rename(target)
    sync_folder(target.parent)  # first: a power cut may leave both names, never none
    sync_folder(path.parent)
