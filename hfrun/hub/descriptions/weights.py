"""What the header of a safetensors file says: which tensors it holds, without reading them.

Reference: the safetensors format, https://github.com/huggingface/safetensors#format.
"""

import math
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hfrun.hub.descriptions.plain_json import plain_object

HEADER_MAX_BYTES = 4_000_000  # thousands of tensors; a longer one is served but not read
WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
_FIELDS = ("dtype", "shape")


def header(file: Path) -> dict[str, Any]:
    """The header of a safetensors file, read in bounded size.

    Raises:
        ValueError: no such file, or a header of more than ``HEADER_MAX_BYTES``.
    """
    size = header_bytes(file)
    with file.open("rb") as stream:
        stream.seek(8)
        text = stream.read(size)
    if len(text) < size:
        raise ValueError(f"got {len(text)} of the {size} bytes of a header")
    return plain_object(text)


def header_bytes(file: Path) -> int:
    """How long the header of a safetensors file is; ValueError where that cannot be."""
    with file.open("rb") as stream:
        start = stream.read(8)
    size = int.from_bytes(start, "little")
    if len(start) < 8 or not 2 <= size <= HEADER_MAX_BYTES:
        raise ValueError(f"got a header of {size} bytes; needed are 2 to {HEADER_MAX_BYTES}")
    return size


def parameters(tensors: Mapping[str, Any], *, file_bytes: int) -> Counter[str]:
    """How many numbers of each type a header names, e.g. ``{"F32": 1_000}``.

    Args:
        tensors: a whole ``header``.
        file_bytes: size of the file; no type takes less than four bits.

    Raises:
        ValueError: a tensor without type or shape, or larger than its file.
    """
    counts: Counter[str] = Counter()
    for name, tensor in tensors.items():
        if name == "__metadata__":
            continue
        kind, shape = (tensor.get(k) if isinstance(tensor, dict) else None for k in _FIELDS)
        if not isinstance(kind, str) or not isinstance(shape, list):
            raise ValueError(f"got tensor {name[:100]!r} without dtype or shape")
        if not all(type(n) is int and 0 <= n <= 2 * file_bytes for n in shape) or len(shape) > 64:
            raise ValueError(f"got tensor {name[:100]!r} of shape {str(shape)[:100]}")
        counts[kind] += math.prod(shape)
    if sum(counts.values()) > 2 * file_bytes:
        raise ValueError("got more numbers than the file can hold")
    return counts


def shards(index: object) -> list[str]:
    """Names of the files that an index of sharded weights lists; ValueError for no such index."""
    weight_map = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(weight_map, dict):
        raise ValueError("got an index without a weight_map")
    names = set(weight_map.values()) if all(map(_is_text, weight_map.values())) else None
    if not names:
        raise ValueError("got a weight_map that names no files")
    return sorted(names)


def _is_text(value: object) -> bool:
    return isinstance(value, str)
