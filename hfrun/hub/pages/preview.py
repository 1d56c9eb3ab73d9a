"""What the page of a stored file shows of it, bounded in memory and time whatever it holds.

text, code, svg          its first lines
json                     the same, set out over lines where it is small
csv, tsv, jsonl          a table of its first rows
parquet                  its schema and first rows, read by a process of its own
safetensors              names, types and shapes from its header
png, jpeg, gif, webp     the image, if it is of a size that does no harm
archives, pickles, ...   never opened
"""

import json
import re
from collections.abc import Callable, Mapping
from pathlib import PurePosixPath

from hfrun.hub.pages.images import shown_image
from hfrun.hub.pages.preview_kinds import (
    MAX_CHARACTERS,
    MAX_LINE_CHARACTERS,
    MAX_LINES,
    Head,
    NoPreviewError,
    Preview,
    no_preview,
)
from hfrun.hub.pages.preview_tables import (
    csv_preview,
    json_lines_preview,
    parquet_preview,
    safetensors_preview,
)
from hfrun.hub.store.repository import Repository
from hfrun.hub.store.tree import Entry

__all__ = ["Preview", "preview"]

_IMAGES = frozenset({".png", ".jpg", ".jpeg", ".gif", ".webp"})
# A few of their bytes can unfold into gigabytes, or into a program.
_NEVER_OPENED = frozenset(
    {".npz", ".npy", ".zip", ".gz", ".tgz", ".bz2", ".xz", ".zst", ".7z", ".tar", ".rar"}
    | {".pkl", ".pickle", ".joblib", ".pt", ".pth", ".bin", ".ckpt", ".h5", ".onnx", ".msgpack"}
    | {".gguf", ".arrow", ".feather", ".wasm", ".so", ".exe", ".pdf", ".mp4", ".mp3", ".wav"}
)

_BINARY = frozenset({".parquet", ".safetensors"})
_JSON_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+')


def preview(repository: Repository, path: str, entry: Entry) -> Preview:
    """What a page may show of one file.

    Args:
        repository: that holds the file.
        path: of the file; its suffix says how to read it.
        entry: of the file.

    Returns:
        A preview of kind "none" with a note wherever the file cannot be read as what its name
        says, or not within bounds; no content makes this fail.
    """
    suffix = PurePosixPath(path).suffix.lower()
    if entry.size == 0:
        return no_preview("an empty file")
    if suffix in _NEVER_OPENED:
        return no_preview(f"files of this kind ({suffix}) are not opened here")
    if suffix in _IMAGES:
        return _image_preview(repository, entry)
    head = Head(file=repository.content(entry), size=entry.size)
    for reader in (_READERS.get(suffix), None if suffix in _BINARY else text_preview):
        if reader is None:
            continue
        try:
            return reader(head)
        except NoPreviewError as error:
            return no_preview(str(error))
        except Exception:  # a parser of foreign bytes: whatever it met is no page's end
            continue
    return no_preview("not shown: it is not what its name says")


def text_preview(head: Head) -> Preview:
    """The first lines of a text; NoPreviewError for what is none."""
    text, whole = head.text()
    lines = text.split("\n")
    kept = [_cut(line) for line in lines[:MAX_LINES]]
    shown = "\n".join(kept)
    truncated = not whole or shown != text
    note = f"only the beginning of {head.size} bytes is shown" if truncated else ""
    return Preview(kind="text", text=shown, truncated=truncated, note=note)


def json_preview(head: Head) -> Preview:
    """A small JSON text set out over lines; any other as it is."""
    text, whole = head.text()
    if not whole or "\n" in text.strip():
        return text_preview(head)
    try:
        json.loads(text, parse_int=str)  # int takes at most 4,300 digits
    except (ValueError, RecursionError):
        return text_preview(head)
    shown = _set_out(text)
    cut = len(shown) > MAX_CHARACTERS
    note = "only the beginning is shown" if cut else ""
    return Preview(kind="text", text=shown[:MAX_CHARACTERS], truncated=cut, note=note)


def _set_out(text: str) -> str:
    """Valid JSON with a line for each item; every number and string keeps its own characters.

    >>> print(_set_out('{"a": [1.0, 2e5], "b": []}'))
    {
      "a": [
        1.0,
        2e5
      ],
      "b": []
    }
    """
    parts: list[str] = []
    characters = depth = 0
    previous = ""
    for token in _JSON_TOKEN.findall(text):
        before = ""
        if token in ("}", "]"):
            depth -= 1
            before = "" if previous in ("{", "[") else "\n" + "  " * depth
        elif previous in ("{", "[", ","):
            before = "\n" + "  " * depth
        elif previous == ":":
            before = " "
        parts.append(before + token)
        depth += token in ("{", "[")
        previous = token
        characters += len(parts[-1])
        if characters > MAX_CHARACTERS:  # deep nesting makes much white space of few bytes
            break
    return "".join(parts)


def _cut(line: str) -> str:
    return line if len(line) <= MAX_LINE_CHARACTERS else line[:MAX_LINE_CHARACTERS] + "…"


def _image_preview(repository: Repository, entry: Entry) -> Preview:
    image = shown_image(repository, entry)
    if image is None:
        return no_preview("not shown: too large an image, or none that a browser knows")
    return Preview(kind="image", note=f"{image.width} × {image.height} pixels")


_READERS: Mapping[str, Callable[[Head], Preview]] = {
    ".json": json_preview,
    ".csv": csv_preview,
    ".tsv": csv_preview,
    ".jsonl": json_lines_preview,
    ".ndjson": json_lines_preview,
    ".parquet": parquet_preview,
    ".safetensors": safetensors_preview,
}
