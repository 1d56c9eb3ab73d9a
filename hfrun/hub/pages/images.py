"""Whether a stored image may be shown on a page: its kind by its bytes, its size by its header."""

import io
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from cachetools import LRUCache

from hfrun.hub.store.repository import Repository
from hfrun.hub.store.tree import Entry

MAX_BYTES = 10_000_000
MAX_PIXELS = 25_000_000  # 100 MB when a browser unfolds it to four bytes a pixel

# What is looked into for the size. A JPEG file may carry its preview and its colours first.
_HEAD_BYTES = 250_000
_MEDIA_TYPES = {"PNG": "image/png", "JPEG": "image/jpeg", "GIF": "image/gif", "WEBP": "image/webp"}

Size = tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class ShownImage:
    """An image that does no harm to whom it is shown: media type, width and height in pixels."""

    media_type: str
    width: int
    height: int


_cache: LRUCache[str, ShownImage | None] = LRUCache(4_096)
_cache_lock = threading.Lock()


def shown_image(repository: Repository, entry: Entry) -> ShownImage | None:
    """The image that a page may show; None for a file that it only links to.

    Only the header is read, nothing is unfolded. Vector images are none: they can carry scripts.

    Args:
        repository: that holds the file.
        entry: of the file; its name says nothing here.
    """
    if not 0 < entry.size <= MAX_BYTES:
        return None
    with _cache_lock:
        if entry.sha256 in _cache:
            return _cache[entry.sha256]
    try:
        with repository.content(entry).open("rb") as stream:
            head = stream.read(_HEAD_BYTES)
    except OSError:  # the object is missing: hub check says so, a page need not fall
        return None
    found = _measured(head)
    with _cache_lock:
        _cache[entry.sha256] = found
    return found


def image_format(head: bytes) -> str | None:
    """PNG, JPEG, GIF or WEBP by the first bytes of a file."""
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if head.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "GIF"
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "WEBP"
    return None


def _measured(head: bytes) -> ShownImage | None:
    kind = image_format(head)
    if kind is None:
        return None
    try:
        width, height = _SIZES[kind](head)
    except Exception:  # a parser of foreign bytes: whatever it dislikes is not shown
        return None
    if width <= 0 or height <= 0 or width * height > MAX_PIXELS:
        return None
    return ShownImage(media_type=_MEDIA_TYPES[kind], width=width, height=height)


def _jpeg_size(head: bytes) -> Size:
    """Width and height, which stand behind segments of any number and kind.

    By the reader of this format itself: ``Image.open`` would also warn of large images, and what
    becomes of a warning is not decided here.
    """
    from PIL.JpegImagePlugin import JpegImageFile

    width, height = JpegImageFile(io.BytesIO(head)).size
    return width, height


# The readers of the other formats would unfold texts, or make room for every pixel.


def _png_size(head: bytes) -> Size:
    """Width and height, big endian in the first chunk (PNG specification, 11.2.1 IHDR)."""
    if head[12:16] != b"IHDR" or len(head) < 33:
        raise ValueError("no header")
    return int.from_bytes(head[16:20], "big"), int.from_bytes(head[20:24], "big")


def _gif_size(head: bytes) -> Size:
    """Width and height of the screen, or of the first frame where it reaches beyond it.

    ::

        GIF89a w w h h flags . .  [colours]  (21 label (n, n bytes)* 0)*  2C x x y y w w h h

    References: GIF 89a specification, sections 18 to 26.
    """

    def pair(at: int) -> Size:
        return int.from_bytes(head[at : at + 2], "little"), int.from_bytes(
            head[at + 2 : at + 4], "little"
        )

    width, height = pair(6)
    at = 13 + (3 << (head[10] & 7) + 1 if head[10] & 0x80 else 0)
    while head[at] == 0x21:
        at += 2
        while head[at]:
            at += 1 + head[at]
        at += 1
    if head[at] != 0x2C or len(head) < at + 9:
        raise ValueError("no frame")
    (left, top), (frame_width, frame_height) = pair(at + 1), pair(at + 5)
    return max(width, left + frame_width), max(height, top + frame_height)


def _webp_size(head: bytes) -> Size:
    """Width and height of the canvas.

    References: RFC 9649, sections 2.5 to 2.7 (lossy, lossless and extended files).
    """
    chunk = head[12:16]
    if chunk == b"VP8X":
        return 1 + int.from_bytes(head[24:27], "little"), 1 + int.from_bytes(head[27:30], "little")
    if chunk == b"VP8L" and head[20] == 0x2F:
        bits = int.from_bytes(head[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if chunk == b"VP8 " and head[23:26] == b"\x9d\x01\x2a":
        width, height = head[26:28], head[28:30]
        return int.from_bytes(width, "little") & 0x3FFF, int.from_bytes(height, "little") & 0x3FFF
    raise ValueError("no first chunk of an image")


_SIZES: Mapping[str, Callable[[bytes], Size]] = {
    "PNG": _png_size,
    "JPEG": _jpeg_size,
    "GIF": _gif_size,
    "WEBP": _webp_size,
}
