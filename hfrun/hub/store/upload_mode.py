"""Which files are kept as large files (LFS), and which of those may travel inside a commit."""

import re
from collections.abc import Sequence

from hfrun.hub.store.objects import ObjectStore
from hfrun.hub.store.path_rules import RULES_MAX_BYTES, PathRules
from hfrun.hub.store.tree import Tree

# Git itself would hold the file; above this it is a large one whatever .gitattributes says.
REGULAR_MAX_BYTES = 10_000_000

# Formats whose files are binary and often large; the first commit of a repository lists them.
_LARGE_SUFFIXES = (
    "7z arrow bin bz2 ckpt ftz gguf gz h5 joblib mlmodel model msgpack npy npz onnx ot parquet pb "
    "pickle pkl pt pth rar safetensors tar tflite tgz wasm xz zip zst"
)
_LARGE_PATTERNS = (
    *(f"*.{suffix}" for suffix in re.findall(r"\w+", _LARGE_SUFFIXES)),
    *("*.lfs.*", "*.tar.*", "*tfevents*", "saved_model/**/*"),
)

GITATTRIBUTES = "".join(f"{p} filter=lfs diff=lfs merge=lfs -text\n" for p in _LARGE_PATTERNS)


def rules_of(objects: ObjectStore, tree: Tree, *, gitignore: str | None = None) -> PathRules:
    """The rules that a revision's own .gitattributes and .gitignore files set for its paths.

    Args:
        gitignore: stands in for the .gitignore of the root.
    """

    def read(path: str) -> str:
        entry = tree.get(path)
        if entry is None or entry.size > RULES_MAX_BYTES:
            return ""
        return objects.path(entry.sha256).read_text("utf-8", "replace")

    return PathRules(read, gitignore=gitignore)


def is_large(path: str, size: int, rules: PathRules) -> bool:
    """Whether a file is kept as a large one; an empty one never is: clients send it as regular."""
    return size > REGULAR_MAX_BYTES or (size > 0 and rules.is_lfs(path))


def travels_in_commit(sizes: Sequence[int], *, regular_max_bytes: int) -> list[bool]:
    """Which large files are sent inside the commit although they are kept as large ones.

    Clients that have the package hf_xet send every other large file to a storage that this hub
    does not have. The small ones go first, until all of them together are twice the limit of one:
    a client holds what it commits in memory, several times over.

    >>> travels_in_commit([90, 100, 30, 101], regular_max_bytes=100)
    [True, False, True, False]
    """
    chosen, together = [False] * len(sizes), 0
    for i in sorted(range(len(sizes)), key=sizes.__getitem__):
        together += sizes[i]
        chosen[i] = sizes[i] <= regular_max_bytes and together <= 2 * regular_max_bytes
    return chosen
