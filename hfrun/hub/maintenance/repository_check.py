"""One repository: whether its refs, commits, trees and notes are what they say."""

from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from hfrun.hub.maintenance.contents import Contents
from hfrun.hub.maintenance.discussion_check import discussion_findings
from hfrun.hub.maintenance.findings import (
    DAMAGE,
    LEFTOVER,
    Finding,
    PutRight,
    Remedy,
    Rewrite,
    SetAside,
    identity,
    without_note,
)
from hfrun.hub.maintenance.history import History
from hfrun.hub.maintenance.raw import files, parsed_commit, parsed_tree, read, tree_id
from hfrun.hub.maintenance.settings_check import settings_findings
from hfrun.hub.names import is_ref_name, is_sha1, is_sha256
from hfrun.hub.store.commit import Commit
from hfrun.hub.store.repository import DEFAULT_BRANCH, KINDS_OF_REFS


class RepositoryCheck:
    """Reads one repository in the order opposite to that of its writers.

    Pull requests come first, then refs, commits, trees and objects. So whatever one of them names
    was on the disk when it was read, and a commit that is made meanwhile is no gap. The caller
    keeps sweeps away.

    Args:
        rewind: a commit is whole only if the contents of all its files are stored.
    """

    def __init__(self, folder: Path, contents: Contents, *, rewind: bool) -> None:
        self.folder = folder
        self.counts: Counter[str] = Counter(repositories=1)
        self._contents = contents
        self._rewind = rewind
        self._shown = folder.relative_to(contents.root).as_posix()
        self._commits: dict[str, Commit] = {}
        self._parents: dict[str, str | None] = {}  # of commits whose text is not what was committed
        self._trees: dict[str, bool] = {}  # sound ones, and whether all their contents are stored
        self._misnamed: list[tuple[Path, str]] = []  # with the ids that their contents have
        self._found: list[Finding] = []
        self._bases: dict[str, str] = {}  # where pull requests began
        self._removed: set[str] = set()  # large files whose content was deleted for good

    def findings(self) -> list[Finding]:
        """All that is wrong but for the contents of files, which are claimed on the way."""
        self._found, self._bases = discussion_findings(self._contents.root, self.folder)
        self._removed = {file.name for file in files(self.folder / "removed")}
        refs = self._refs()
        for file in files(self.folder / "commits"):
            self._read_commit(Path(file.path))
        self._read_ancestors()
        for file in files(self.folder / "trees"):
            self._read_tree(Path(file.path))
        history = History(self._commits, self._whole())
        heads = self._check_refs(refs, history)
        self._check_commits(history, history.reachable(heads))
        self._check_misnamed(set(refs.values()))
        self._check_notes()
        self._found += settings_findings(self.folder, self._shown, list(self._commits.values()))
        self.counts.update(refs=len(refs), commits=len(self._commits), trees=len(self._trees))
        return self._found

    def _refs(self) -> dict[Path, str]:
        """The files of all refs and what they hold; those that no name leads to are findings."""
        refs = {}
        for kind in KINDS_OF_REFS:
            for file in files(self.folder / "refs" / kind):
                name = unquote(file.name)
                path = Path(file.path)
                if not is_ref_name(name) or quote(name, safe="") != file.name:
                    self._add(path, "no ref can have this name", SetAside(**_of(path)), LEFTOVER)
                elif (data := read(path)) is not None:
                    refs[path] = data.decode("utf-8", "replace").strip()
        return refs

    def _read_commit(self, path: Path) -> None:
        commit_id = path.name.removesuffix(".json")
        data = read(path)
        if data is None or commit_id in self._commits:
            return
        try:
            commit = parsed_commit(commit_id, data)
            right = commit.computed_id()
        except ValueError as error:
            self._add(path, f"not a commit: {error}", SetAside(**_of(path)))
            return
        if f"{right}.json" == path.name:
            self._commits[commit_id] = commit
            return
        self._parents[commit_id] = commit.parent
        self._misnamed.append((path, right))

    def _read_ancestors(self) -> None:
        """Those that came after the folder was listed, of commits that came after as well."""
        waiting = list(self._commits.values())
        while waiting:
            parent = waiting.pop().parent
            if parent is not None and parent not in self._commits:
                self._read_commit(self.folder / "commits" / f"{parent}.json")
                if parent in self._commits:
                    waiting.append(self._commits[parent])

    def _read_tree(self, path: Path) -> None:
        data = read(path)
        if data is None:
            return
        try:
            tree = parsed_tree(data)
            right = tree_id(tree)
        except ValueError as error:
            self._add(path, f"not a tree: {error}", SetAside(**_of(path)))
            return
        if f"{right}.json" != path.name:
            self._misnamed.append((path, right))
            return
        place = self._shown.removeprefix("repositories/")
        stored = [
            self._contents.claim(entry, f"{place}: {name}")
            for name, entry in tree.items()
            if not (entry.lfs and entry.sha256 in self._removed)
        ]
        self._trees[right] = all(stored)

    def _whole(self) -> frozenset[str]:
        trees = {tree for tree, is_complete in self._trees.items() if is_complete}
        sound = trees if self._rewind else self._trees.keys()
        return frozenset(c.id for c in self._commits.values() if c.tree in sound)

    def _check_refs(self, refs: dict[Path, str], history: History) -> set[str]:
        """Findings on refs; returns the commits that they point at once those are mended."""
        heads = {commit for path, commit in refs.items() if path.parent.name != "tags"}
        needed = [self._ref_file("heads", DEFAULT_BRANCH)]
        needed += [self._ref_file("pr", number) for number in self._bases]
        kept = set()
        for path, commit_id in {**dict.fromkeys(needed, ""), **refs}.items():
            if commit_id in history.whole:
                kept.add(commit_id)
                continue
            target = self._target(path, commit_id, history, heads)
            if target is None and commit_id in history.commits:
                # Nothing older is better: what is left of this commit stays reachable.
                kept.add(commit_id)
                self._add(path, self._lack(commit_id), advice="push its files again")
                continue
            if target is not None:
                kept.add(target)
            self._add(path, self._lack(commit_id), _moved(path, target))
        return kept

    def _target(self, path: Path, commit_id: str, history: History, heads: set[str]) -> str | None:
        """The newest whole commit on the line of a ref, as far as the line can be told."""
        target = history.newest_whole(commit_id)
        target = target or history.newest_whole(self._parents.get(commit_id))
        if target is None and path.parent.name == "pr":
            target = history.newest_whole(self._bases.get(path.name))
        if target is None and path.parent.name == "heads":
            target = history.remainder(besides=heads - {commit_id})
        return target

    def _lack(self, commit_id: str) -> str:
        """Why a commit cannot be checked out."""
        if not commit_id:
            return "it is missing, or empty"
        if not is_sha1(commit_id):
            return f"it points at {commit_id[:60]!r}, which is no commit id"
        if commit_id in self._commits:
            is_there = self._commits[commit_id].tree in self._trees
            lost = "contents of which are not stored" if is_there else "whose tree is lost"
            return f"it points at commit {commit_id}, {lost}"
        damaged = commit_id in self._parents or self._commit_file(commit_id).exists()
        return f"it points at commit {commit_id}, which is {'damaged' if damaged else 'missing'}"

    def _check_commits(self, history: History, reachable: set[str]) -> None:
        lacking = (history.gapped | self._commits.keys()) - (history.whole - history.gapped)
        needed = {self._commits[commit_id].tree for commit_id in self._commits.keys() - lacking}
        needed |= {self._commits[commit_id].tree for commit_id in reachable}
        for commit_id in sorted(lacking):
            wrong, lost = self._loss(self._commits[commit_id])
            if commit_id not in reachable:
                path = self._commit_file(commit_id)
                self._add(path, f"{wrong}; no ref needs it", SetAside(**_of(path)))
            elif lost:
                advice = f"copy {lost}.json from another copy of this hub, or squash the history"
                self._add(self._commit_file(commit_id), wrong, advice=advice)
        for tree, is_complete in self._trees.items():
            if self._rewind and not is_complete and tree not in needed:
                path = self.folder / "trees" / f"{tree}.json"
                wrong = "contents of which are not stored; no ref needs it"
                self._add(path, wrong, SetAside(**_of(path)))

    def _loss(self, commit: Commit) -> tuple[str, str]:
        """What a commit lacks, and the file that would bring it back, if it is one of its own."""
        if commit.tree not in self._trees:
            return f"its tree {commit.tree} is missing or damaged", f"trees/{commit.tree}"
        if commit.parent is not None and commit.parent not in self._commits:
            return f"its history has a gap, at {commit.parent}", f"commits/{commit.parent}"
        return "it lacks contents, or ancestors", ""

    def _check_notes(self) -> None:
        for file in files(self.folder / "uploads"):
            if not is_sha256(file.name) or not self._contents.is_stored(file.name):
                path = Path(file.path)
                wrong = "it notes an upload of which nothing is stored"
                self._add(path, wrong, without_note(path), LEFTOVER)

    def _check_misnamed(self, needed: set[str]) -> None:
        """Content that is missed under its right name goes there; any other is useless."""
        needed |= {commit.tree for commit in self._commits.values()}
        needed |= {commit.parent for commit in self._commits.values() if commit.parent is not None}
        for path, right in self._misnamed:
            remedy: Remedy = SetAside(**_of(path))
            target = path.with_name(f"{right}.json")
            if right in needed and not target.exists():
                remedy = PutRight(**_of(path), to=target)
            self._add(path, f"its content is that of {right}", remedy)

    def _add(
        self,
        path: Path,
        wrong: str,
        remedy: Remedy | None = None,
        severity: str = DAMAGE,
        *,
        advice: str = "",
    ) -> None:
        place = path.relative_to(self._contents.root).as_posix()
        self._found.append(
            Finding(severity=severity, place=place, wrong=wrong, remedy=remedy, advice=advice)
        )

    def _ref_file(self, kind: str, name: str) -> Path:
        return self.folder / "refs" / kind / name

    def _commit_file(self, commit_id: str) -> Path:
        return self.folder / "commits" / f"{commit_id}.json"


def _moved(path: Path, target: str | None) -> Remedy | None:
    if target is not None:
        effect = f"moved to {target}, the newest whole commit that is known of its line"
        return Rewrite(**_of(path), data=target.encode() + b"\n", effect=effect)
    return SetAside(**_of(path)) if path.exists() else None


def _of(path: Path) -> dict[str, Any]:
    return {"path": path, "seen": identity(path)}
