"""Checking a hub's folder, whole or beside a running server."""

from collections import Counter
from pathlib import Path

from hfrun.hub.maintenance.contents import Contents, Facts
from hfrun.hub.maintenance.discussion_check import moved_findings
from hfrun.hub.maintenance.findings import Finding, Report, identity
from hfrun.hub.maintenance.raw import repository_folders
from hfrun.hub.maintenance.repository_check import RepositoryCheck
from hfrun.hub.maintenance.settings_check import root_findings
from hfrun.hub.store.hub_store import open_root
from hfrun.hub.store.objects import ObjectStore
from lob_backtest.progress import progress


def check(
    root: Path,
    *,
    quick: bool = False,
    rewind: bool = False,
    facts: dict[str, Facts] | None = None,
) -> Report:
    """Everything that is wrong below a hub's root; nothing is changed.

    Servers may go on: what they write while this reads is no finding, and neither is a
    repository that is deleted or moved meanwhile.

    Args:
        quick: leave out reading the contents of files; their sizes are compared.
        rewind: a commit with missing contents is not whole, and no ref should point at it.
        facts: of objects that an earlier check has read, to be added to.

    Raises:
        HubError: the folder is no hub of this format.
    """
    contents = Contents(open_root(root, create=False), facts)
    counts: Counter[str] = Counter(repositories=0, refs=0, commits=0, trees=0)
    found = [*root_findings(root), *moved_findings(root)]
    checked: set[Path] = set()
    while new := [folder for folder in repository_folders(root) if folder not in checked]:
        for folder in progress(new, label="refs, commits and trees", unit="repository"):
            found += _of_repository(folder, contents, counts, rewind=rewind)
            checked.add(folder)
    found += contents.findings(quick=quick)
    counts.update(objects=contents.objects, bytes=contents.bytes)
    return Report(findings=tuple(found), counts=counts, quick=quick)


def _of_repository(
    folder: Path, contents: Contents, counts: Counter[str], *, rewind: bool
) -> list[Finding]:
    """Findings of one repository; none where it was deleted or replaced while it was read."""
    for _ in range(3):
        before = _inode(folder)
        one = RepositoryCheck(folder, contents, rewind=rewind)
        with ObjectStore(contents.root).in_use():  # a sweep would take what was just listed
            found = one.findings()
        after = _inode(folder)
        if before is not None and before == after:
            counts.update(one.counts)
            return found
        if after is None:
            return []
    return []  # deleted and made again three times while it was read


def _inode(folder: Path) -> int | None:
    seen = identity(folder)
    return None if seen is None else seen[0]
