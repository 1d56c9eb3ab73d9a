"""A file of labelled texts: its bytes, their encoding, and the format that they are in."""

import codecs
import gzip
import hashlib
import zlib
from pathlib import Path

from hfrun.data.text_lines import AT, BARS, numbered_lines, read_at, read_bars, read_json_lines
from hfrun.data.text_rows import LabelledRows
from hfrun.data.text_tables import DELIMITERS, read_csv, read_parquet
from hfrun.errors import DataError

_OF_SUFFIX = {
    ".csv": "csv", ".tsv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl",
    ".parquet": "parquet",
}  # fmt: skip
_GZIP, _PARQUET = b"\x1f\x8b", b"PAR1"


def read_text_file(
    path: Path, *, kind: str = "auto", text_column: str = "text", label_column: str = "label"
) -> tuple[LabelledRows, str]:
    """The rows of a file, and the SHA-256 of its bytes.

    Args:
        path: of the file, which may be compressed by gzip.
        kind: ``bars``, ``at``, ``csv``, ``jsonl`` or ``parquet``; ``auto`` goes by the file's
            name, then by its content.
        text_column: of the formats with columns.
        label_column: of the formats with columns.

    Raises:
        DataError: the file is not there, not UTF-8, not in its format, or in none that is known.
    """
    raw = _bytes_of(path)
    data, where = _unpacked(raw, path), str(path)
    columns = {"text_column": text_column, "label_column": label_column}
    if kind == "auto":
        kind = _by_name(path, data) or _by_content(decoded(data, where), where, **columns)
    digest = hashlib.sha256(raw).hexdigest()
    if kind == "parquet":
        return read_parquet(data, where=where, **columns), digest
    content = decoded(data, where)
    if kind == "bars":
        return read_bars(content, where=where), digest
    if kind == "at":
        return read_at(content, where=where), digest
    read = {"csv": read_csv, "jsonl": read_json_lines}[kind]
    return read(content, where=where, **columns), digest


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise DataError(
            f"{path}: there is no such file; a path is taken from the folder in which the command "
            "is run, and a hub id is given as data.source"
        ) from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None


def _unpacked(raw: bytes, path: Path) -> bytes:
    if not raw.startswith(_GZIP):
        return raw
    try:
        return gzip.decompress(raw)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: its gzip is damaged: {error}; fetch the file again") from None


def decoded(data: bytes, where: str) -> str:
    """UTF-8 with or without a byte order mark, or UTF-16 with one.

    Raises:
        DataError: names the first byte that is wrong, and its line.
    """
    is_utf16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return data.decode("utf-16" if is_utf16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        if is_utf16:
            raise DataError(f"{where}: begins as UTF-16, but is not: {error.reason}") from None
        mark = len(codecs.BOM_UTF8) if data.startswith(codecs.BOM_UTF8) else 0
        at = error.start + mark
        line = data.count(b"\n", 0, at) + 1
        raise DataError(
            f"{where}:{line}: got the byte 0x{data[at]:02x} ("
            f"{error.reason}); needs UTF-8; convert the file, e.g. of Latin-1: iconv -f latin1 "
            "-t utf-8"
        ) from None


def _by_name(path: Path, data: bytes) -> str | None:
    if data.startswith(_PARQUET):
        return "parquet"
    name = path.name.lower().removesuffix(".gz")
    return _OF_SUFFIX.get(Path(name).suffix)


def _by_content(content: str, where: str, *, text_column: str, label_column: str) -> str:
    """The one format that every line is in, or most of them.

    Where most lines but not all are in one, its reader names the first that is not.

    Raises:
        DataError: none or several fit.
    """
    lines = [line.strip() for _, line in numbered_lines(content)]
    if not lines:
        return "bars"  # no rows, as in any other format
    if all(line.startswith("{") and line.endswith("}") for line in lines):
        return "jsonl"
    fits = {
        "bars": sum(BARS in line for line in lines) / len(lines),
        "at": sum(AT in line for line in lines) / len(lines),
        "csv": float(_has_columns(lines[0], text_column, label_column)),
    }
    for least in (1.0, 0.5):
        found = [name for name, share in fits.items() if share >= least]
        if len(found) == 1:
            return found[0]
        if found:
            raise DataError(
                f"{where}: could be {' or '.join(found)}: every line fits; set data.format to "
                "the one that it is"
            )
    raise DataError(
        f"{where}: got lines that are neither LABEL ||| text nor text@label, nor JSON, and no "
        f"header with the columns {text_column!r} and {label_column!r}; set data.format, and "
        "data.text_column and data.label_column to the names in the header (without one, to "
        "places counted from 0)"
    )


def _has_columns(header: str, *columns: str) -> bool:
    return any(
        {name.strip().strip('"') for name in header.split(delimiter)}.issuperset(columns)
        for delimiter in DELIMITERS
    )
