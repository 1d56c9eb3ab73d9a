"""Images are shown only where their bytes and their size do no harm."""

import io
import struct
import zlib
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from hfrun.hub.pages.images import MAX_BYTES, MAX_PIXELS, ShownImage, shown_image
from hfrun.hub.store.repository import Repository
from hfrun.hub.store.tree import lfs_entry
from tests.hfrun.hub.pages.stored import new_repository, stored


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    return new_repository(tmp_path_factory.mktemp("images"))


def image(kind: str, *, mode: str = "RGB", **how: Any) -> bytes:
    stream = io.BytesIO()
    Image.new(mode, (31, 17), 77).save(stream, kind, **how)
    return stream.getvalue()


def animated() -> bytes:
    stream = io.BytesIO()
    frames = [Image.new("P", (31, 17), colour) for colour in (1, 2, 3)]
    frames[0].save(stream, "GIF", save_all=True, append_images=frames[1:], duration=40, loop=0)
    return stream.getvalue()


def png_of(width: int, height: int) -> bytes:
    """A whole PNG file whose header alone is large: its one block unfolds into no pixels."""

    def chunk(name: bytes, body: bytes) -> bytes:
        named = name + body
        return struct.pack(">I", len(body)) + named + struct.pack(">I", zlib.crc32(named))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = chunk(b"IDAT", zlib.compress(b"\0" * 10_000)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + data


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (image("PNG"), "image/png"),
        (image("PNG", mode="1"), "image/png"),
        (image("JPEG"), "image/jpeg"),
        (image("JPEG", progressive=True), "image/jpeg"),
        (image("JPEG", exif=b"Exif\0\0" + b"x" * 60_000), "image/jpeg"),
        (image("GIF", mode="P"), "image/gif"),
        (image("GIF", mode="P", comment=b"c" * 1_000, loop=0), "image/gif"),
        (animated(), "image/gif"),
        (image("WEBP"), "image/webp"),
        (image("WEBP", lossless=True), "image/webp"),
        (image("WEBP", mode="RGBA"), "image/webp"),
        (image("WEBP", exif=b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0"), "image/webp"),
    ],
)
def test_an_image_is_known_by_its_bytes_and_its_size(
    repository: Repository, content: bytes, media_type: str
) -> None:
    """Widths and heights are those that Pillow 13.0 wrote."""
    found = shown_image(repository, stored(repository, content))
    assert found == ShownImage(media_type=media_type, width=31, height=17)


@pytest.mark.parametrize(
    "content",
    [
        b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
        b"<html><script>alert(1)</script>",
        image("BMP"),
        image("TIFF"),
        image("PNG")[:20],
        b"GIF89a",
        b"RIFF\0\0\0\0WEBPVP8 \0\0\0\0",
        b"\xff\xd8\xff\xe0",
        b"",
        png_of(50_000, 50_000),
        png_of(2**31 - 1, 2**31 - 1),
        png_of(MAX_PIXELS + 1, 1),
        png_of(0, 10),
        b"GIF89a" + struct.pack("<HH", 65_535, 65_535) + b"\0\0\0",
        image("GIF", mode="P").replace(b",\0\0\0\0\x1f\0\x11\0", b",\0\0\0\0\xff\xff\xff\xff"),
        b"\xff\xd8\xff" + b"\xfe\0\x02\xff" * 100_000 + image("JPEG")[3:],
        b"RIFF\0\0\0\0WEBPVP8X" + b"\0" * 8 + b"\xff" * 6,
    ],
)
def test_what_is_no_image_or_a_huge_one_is_not_shown(
    repository: Repository, content: bytes
) -> None:
    assert shown_image(repository, stored(repository, content)) is None


def test_the_largest_image_is_shown_and_its_neighbour_is_not(repository: Repository) -> None:
    whole = shown_image(repository, stored(repository, png_of(MAX_PIXELS // 1_000, 1_000)))
    assert whole == ShownImage(media_type="image/png", width=25_000, height=1_000)
    over = stored(repository, png_of(MAX_PIXELS // 1_000 + 1, 1_000))
    assert shown_image(repository, over) is None


def test_a_file_of_too_many_bytes_is_not_opened(repository: Repository) -> None:
    assert shown_image(repository, lfs_entry("0" * 64, MAX_BYTES + 1)) is None  # stored nowhere
    assert shown_image(repository, lfs_entry("0" * 64, MAX_BYTES)) is None  # missing: no error


BEGINNINGS = [
    b"\x89PNG\r\n\x1a\n",
    b"\xff\xd8\xff",
    b"GIF89a",
    b"RIFF1234WEBP",
    b"RIFF1234WEBPVP8L",
]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(BEGINNINGS), st.binary(max_size=60))
def test_no_bytes_raise_or_pass_for_a_huge_image(
    repository: Repository, beginning: bytes, rest: bytes
) -> None:
    found = shown_image(repository, stored(repository, beginning + rest))
    assert found is None or 0 < found.width * found.height <= MAX_PIXELS
