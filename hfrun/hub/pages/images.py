"""Whether a stored image may be shown on a page: its kind by its bytes, its size by its header."""

from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from hfrun.hub.repository import Repository
from hfrun.hub.tree import Entry

MAX_BYTES = 10_000_000
MAX_PIXELS = 25_000_000  # 100 MB when a browser unfolds it to four bytes a pixel

_HEAD_BYTES = 30
_MEDIA_TYPES = {"PNG": "image/png", "JPEG": "image/jpeg", "GIF": "image/gif", "WEBP": "image/webp"}


@dataclass(frozen=True, kw_only=True)
class ShownImage:
    """An image that does no harm to whom it is shown: media type, width and height in pixels."""

    media_type: str
    width: int
    height: int


def shown_image(repository: Repository, entry: Entry) -> ShownImage | None:
    """The image that a page may show; None for a file that it only links to.

    Only the header is read, nothing is unfolded. Vector images are none: they can carry scripts.

    Args:
        repository: that holds the file.
        entry: of the file; its name says nothing here.
    """
    if not 0 < entry.size <= MAX_BYTES:
        return None
    try:
        return _measured(repository.content(entry))
    except Exception:  # a parser of foreign bytes: whatever it dislikes is not shown
        return None


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


def _measured(file: Path) -> ShownImage | None:
    with file.open("rb") as stream:
        head = stream.read(_HEAD_BYTES)
        kind = image_format(head)
        if kind is None:
            return None
        stream.seek(0)
        width, height = _webp_size(head) if kind == "WEBP" else _pillow_size(kind, stream)
    if width <= 0 or height <= 0 or width * height > MAX_PIXELS:
        return None
    return ShownImage(media_type=_MEDIA_TYPES[kind], width=width, height=height)


def _pillow_size(kind: str, stream: BinaryIO) -> tuple[int, int]:
    """Width and height by the reader of this format alone.

    ``Image.open`` would warn of large images, and a filter of warnings is no thread's own.
    """
    from PIL import GifImagePlugin, JpegImagePlugin, PngImagePlugin

    if kind == "PNG":
        width, height = PngImagePlugin.PngImageFile(stream).size
    elif kind == "JPEG":
        width, height = JpegImagePlugin.JpegImageFile(stream).size
    else:
        width, height = GifImagePlugin.GifImageFile(stream).size
    return width, height


def _webp_size(head: bytes) -> tuple[int, int]:
    """Width and height of the canvas; Pillow's reader would make room for all its pixels.

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
    return 0, 0
