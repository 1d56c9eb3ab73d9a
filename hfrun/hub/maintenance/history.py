"""The commits of one repository as a graph with holes."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from hfrun.hub.commit import Commit


@dataclass(frozen=True)
class History:
    """Commits that are what their ids say, and which of them can be checked out.

    ::

        a <- b <- (c is lost) <- d        d has a gap; b is a tip: nothing sound stands on it

    Attributes:
        commits: the sound ones by their ids.
        whole: ids of those whose tree is sound too.
    """

    commits: Mapping[str, Commit]
    whole: frozenset[str]

    def line(self, commit_id: str | None) -> Iterator[str]:
        """The commit and its ancestors, newest first, down to the first or to a gap."""
        while commit_id is not None and commit_id in self.commits:
            yield commit_id
            commit_id = self.commits[commit_id].parent

    def newest_whole(self, commit_id: str | None) -> str | None:
        """The first on the line that can be checked out."""
        return next((ancestor for ancestor in self.line(commit_id) if ancestor in self.whole), None)

    def only_tip(self, *, besides: set[str]) -> str | None:
        """The one whole commit on which none stands and that is none of ``besides``.

        Where a branch has lost its newest commits, this is what remains of it.
        """
        parents = {commit.parent for commit in self.commits.values()}
        tips = self.whole - parents - besides
        return next(iter(tips)) if len(tips) == 1 else None

    @cached_property
    def gapped(self) -> frozenset[str]:
        """Commits of which an ancestor is missing."""
        known: dict[str | None, bool] = {None: False}
        for commit_id in self.commits:
            path = []
            at: str | None = commit_id
            while at is not None and at not in known and at in self.commits:
                path.append(at)
                at = self.commits[at].parent
            known.update(dict.fromkeys(path, known.get(at, True)))
        return frozenset(commit_id for commit_id in self.commits if known[commit_id])

    def reachable(self, heads: set[str]) -> set[str]:
        """The heads and all their ancestors, as far as they are there."""
        found: set[str] = set()
        for head in heads:
            for commit_id in self.line(head):
                if commit_id in found:
                    break
                found.add(commit_id)
        return found
