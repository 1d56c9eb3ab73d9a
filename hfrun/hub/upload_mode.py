"""Which files travel as large files (LFS): by the repository's .gitattributes, or by size."""

import re
from functools import lru_cache

# Above this, a file inside the JSON of a commit would have to be held in memory.
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

_WILDCARD = re.compile(r"\*\*/|\*\*|\*|\?")
_TRANSLATED = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
_MAX_WILDCARDS = 6  # more could make one match take exponential time; such a line is ignored


def is_large(path: str, size: int, gitattributes: str) -> bool:
    """Whether a file goes the LFS way; the last line that speaks of it wins, as in git."""
    large = size > REGULAR_MAX_BYTES
    if size == 0 or large:
        return large
    for pattern, whole_path, lfs in _filter_lines(gitattributes):
        if pattern.fullmatch(path if whole_path else path.rpartition("/")[2]):
            large = lfs
    return large


@lru_cache(maxsize=64)
def _filter_lines(gitattributes: str) -> list[tuple[re.Pattern[str], bool, bool]]:
    """Per line: the pattern, whether it is for whole paths, and whether it means LFS."""
    lines = []
    for line in gitattributes.splitlines():
        pattern, *attributes = line.split() or [""]
        filters = [a for a in attributes if a.lstrip("-!").partition("=")[0] == "filter"]
        wildcards = len(_WILDCARD.findall(pattern))
        if filters and not pattern.startswith("#") and wildcards <= _MAX_WILDCARDS:
            lfs = filters[-1] == "filter=lfs"
            lines.append((_compiled(pattern.lstrip("/")), "/" in pattern, lfs))
    return lines


def _compiled(pattern: str) -> re.Pattern[str]:
    parts, end = [], 0
    for match in _WILDCARD.finditer(pattern):
        parts += [re.escape(pattern[end : match.start()]), _TRANSLATED[match.group()]]
        end = match.end()
    return re.compile("".join([*parts, re.escape(pattern[end:])]))
