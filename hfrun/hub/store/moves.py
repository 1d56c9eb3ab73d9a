"""Names that repositories have left, and where each of these is now.

::

    moved/names/<kind>/<ns>/<name>   in lower case: keys of repositories that left this name, one
                                     a line, the latest first
    moved/places/<key>.json          the ids at which the repository of a key may be

Neither is believed alone: a name leads to a repository only if no other has that name now, and
if the repository that is found has the same key in its own ``repo.json``. So a file that is left
over, or whose repository was deleted, leads nowhere, and never to somebody else's repository.

A public repository that takes or leaves a name ends what the name led to before. A private one
does so only for those who may see it: others must not notice that it is there.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from hfrun.hub.names import RepoId
from hfrun.hub.store.disk import sync_folder, write_durably


class Moves:
    """``moved/`` of a hub's root; whoever writes holds the locks of the names in question."""

    def __init__(self, root: Path) -> None:
        self.folder = root / "moved"

    def keys(self, name: RepoId) -> list[str]:
        """The keys of the repositories that left this name, the latest first."""
        try:
            return self._name(name).read_text().split()
        except (FileNotFoundError, NotADirectoryError):
            return []

    def places(self, key: str) -> list[RepoId]:
        """Where the repository of this key may be."""
        try:
            listed = json.loads(self._places(key).read_bytes())
        except FileNotFoundError:
            return []
        return [RepoId(**fields) for fields in listed]

    def names(self, key: str) -> list[RepoId]:
        """The names, in lower case, that are written to lead to the repository of this key."""
        files = sorted((self.folder / "names").glob("*/*/[!.]*"))
        listed = [RepoId(kind=f.parts[-3], namespace=f.parts[-2], name=f.parts[-1]) for f in files]
        return [name for name in listed if key in self.keys(name)]

    def expect(self, key: str, places: Sequence[RepoId]) -> None:
        """Say where the repository of this key may be."""
        listed = [{"kind": p.kind, "namespace": p.namespace, "name": p.name} for p in places]
        write_durably(self._places(key), json.dumps(listed).encode() + b"\n")

    def forget(self, key: str) -> None:
        """Let every name that led to the repository of this key lead to it no longer."""
        _remove(self._places(key))

    def lead(self, name: RepoId, keys: Sequence[str]) -> None:
        """Let a name lead to the repositories of these keys, the first that a caller may see."""
        if keys:
            write_durably(self._name(name), "".join(f"{key}\n" for key in keys).encode())
        else:
            _remove(self._name(name))

    def _name(self, name: RepoId) -> Path:
        return self.folder.joinpath("names", *name.place)

    def _places(self, key: str) -> Path:
        return self.folder / "places" / f"{key}.json"


def _remove(file: Path) -> None:
    try:
        file.unlink()
    except (FileNotFoundError, NotADirectoryError):
        return
    sync_folder(file.parent)
