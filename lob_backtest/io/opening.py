"""Opening a file as plain bytes, however it is packed: gzip, bzip2, zstandard, zip, or several.

What a file is packed with is told by its first bytes, not by its name.
"""

import bz2
import csv
import gzip
import io
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast
from zipfile import ZipFile

import pyarrow as pa

from lob_backtest.errors import FormatError
from lob_backtest.io.delimited import explained, require_file

_GZIP, _BZIP2, _ZSTANDARD, _ZIP = b"\x1f\x8b", b"BZh", b"\x28\xb5\x2f\xfd", b"PK\x03\x04"


@dataclass(frozen=True, kw_only=True, eq=False)
class Opened:
    """A file that is being read.

    Attributes:
        stream: its unpacked bytes.
        name: of the file inside a zip, or of the file itself, without the folder.
        raw: the file as it lies on disk, to tell how far the reading is.
    """

    stream: io.BufferedReader
    name: str
    raw: IO[bytes]

    def position(self) -> int:
        """Bytes of the packed file that were read so far."""
        return self.raw.tell()


@contextmanager
def opened(path: Path | str, wanted: str) -> Iterator[Opened]:
    """Open a file that may be packed; a zip must hold one file.

    Args:
        path: the file.
        wanted: what it should be, for messages.

    Raises:
        FormatError: no such file, empty, or packed in a way that cannot be opened.
    """
    path = require_file(path, wanted)
    with ExitStack() as stack:
        with readable(path, wanted):
            raw = stack.enter_context(path.open("rb"))
            stream, name = _unpacked(raw, path, wanted, stack)
        yield Opened(stream=stream, name=name, raw=raw)


@contextmanager
def readable(name: Path | str, wanted: str) -> Iterator[None]:
    """Turn what a damaged, foreign or locked file raises into one FormatError."""
    with explained(name, wanted):
        try:
            yield
        except (NotImplementedError, RuntimeError) as error:  # of zips: another method, a password
            raise FormatError(
                f"{name}: cannot be unpacked ({error}); unpack it first and name what was in it"
            ) from error


def first_rows(
    path: Path | str, wanted: str, n: int, *, skip: int = 0, delimiter: str = ","
) -> list[list[str]]:
    """The fields of the first ``n`` lines (fewer where there are fewer) behind ``skip`` others."""
    with opened(path, wanted) as file, readable(path, wanted):
        lines = [file.stream.readline(1 << 20) for _ in range(skip + n)]
    with readable(path, wanted):
        texts = [line.decode("utf-8-sig") for line in lines[skip:] if line]
    try:
        return list(csv.reader(texts, delimiter=delimiter, strict=True))
    except csv.Error as error:
        raise FormatError(
            f"{path}: cannot be read ({error}); needs {wanted}; fetch the file again"
        ) from error


def _unpacked(
    raw: io.BufferedReader, path: Path, wanted: str, stack: ExitStack
) -> tuple[io.BufferedReader, str]:
    stream, name = raw, path.name
    while True:
        magic = stream.peek(4)[:4]
        layer: Any
        if magic == _ZIP:
            if stream is not raw:
                raise FormatError(f"{path}: a zip inside another file; unpack it first")
            archive = stack.enter_context(ZipFile(raw))
            name = _only_member(archive, path, wanted)
            layer = archive.open(name)
        elif magic.startswith(_GZIP):
            layer = gzip.GzipFile(fileobj=stream)
        elif magic.startswith(_BZIP2):
            layer = bz2.BZ2File(stream)
        elif magic == _ZSTANDARD:
            layer = pa.CompressedInputStream(pa.PythonFile(stream, mode="r"), "zstd")
        else:
            return stream, Path(name).name
        stream = stack.enter_context(io.BufferedReader(cast(io.RawIOBase, layer), 1 << 17))


def _only_member(archive: ZipFile, path: Path, wanted: str) -> str:
    names = [
        item.filename
        for item in archive.infolist()
        if not item.filename.endswith("/") and not item.filename.startswith("__MACOSX/")
    ]
    if len(names) != 1:
        shown = ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")
        raise FormatError(
            f"{path}: got {len(names)} files in the zip ({shown}); needs one, {wanted}: "
            "unpack it and name the files"
        )
    return names[0]
