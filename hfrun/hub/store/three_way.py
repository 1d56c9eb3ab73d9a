"""What changed between two trees of files, and putting such changes on a third one."""

from collections.abc import Sequence
from dataclasses import dataclass

from hfrun.hub.store.tree import Entry, Tree, folders


@dataclass(frozen=True, kw_only=True)
class FileChange:
    """One file that two trees hold differently; None where a tree has no such file."""

    path: str
    before: Entry | None
    after: Entry | None

    @property
    def kind(self) -> str:
        """``added``, ``deleted`` or ``modified``."""
        if self.before is None:
            return "added"
        return "deleted" if self.after is None else "modified"


def file_changes(before: Tree, after: Tree) -> list[FileChange]:
    """Every file that differs, in the order of their paths; a renamed one is deleted and added."""
    paths = sorted(before.keys() | after.keys())
    pairs = ((path, before.get(path), after.get(path)) for path in paths)
    return [FileChange(path=path, before=old, after=new) for path, old, new in pairs if old != new]


def merged(base: Tree, ours: Tree, theirs: Tree) -> tuple[dict[str, Entry], Sequence[str]]:
    """Put what ``theirs`` changed since ``base`` on ``ours``, whole files at a time.

    ::

        base  ours  theirs
         a     a     b      b
         a     b     b      b          both made the same change
         a     b     a      b          theirs left it alone
         a     b     c      conflict

    Returns:
        All files of ours with the changes, and the paths in conflict, which are as in ours. A
        path that would be a file and a folder at once is in conflict too.
    """
    result, conflicts = dict(ours), []
    for change in file_changes(base, theirs):
        present = ours.get(change.path)
        if present == change.after:
            continue
        if present != change.before:
            conflicts.append(change.path)
        elif change.after is None:
            del result[change.path]
        else:
            result[change.path] = change.after
    both = folders(result) & result.keys()
    return result, sorted({*conflicts, *both})
