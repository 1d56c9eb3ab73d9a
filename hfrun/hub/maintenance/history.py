"""The commits of one repository as a graph with holes."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from hfrun.hub.store.commit import Commit


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

    def remainder(self, *, besides: set[str]) -> str | None:
        """The newest whole commit of all lines that do not end at one of ``besides``.

        What remains of a branch whose newest commits are lost, as far as that can be told: where
        lines of deleted branches are still there, only what all of them have in common. ::

            a <- b <- c <- (main is lost)
                 b <- x (of a deleted branch)         b remains
        """
        tips = sorted(self.whole - {commit.parent for commit in self.commits.values()} - besides)
        if not tips:
            return None
        shared = list(self.line(tips[0]))
        place = {commit_id: n for n, commit_id in enumerate(shared)}
        newest = 0
        for tip in tips[1:]:
            joined = next((place[c] for c in self.line(tip) if c in place), None)
            if joined is None:
                return None
            newest = max(newest, joined)
        return self.newest_whole(shared[newest])

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
