"""Stored tables as a few short rows: csv, jsonl, parquet and the header of safetensors."""

import csv
import io
import json
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hfrun.hub.pages.preview_kinds import (
    MAX_CELL_CHARACTERS,
    MAX_COLUMNS,
    MAX_ROWS,
    Head,
    NoPreviewError,
    Preview,
    cell,
)

_MAX_SAFETENSORS_HEADER = 2_000_000
_MAX_TENSORS = 1_000
_MAX_PARQUET_ANSWER = 2_000_000
_PARQUET_SECONDS = 10.0
_PARQUET_READERS = threading.BoundedSemaphore(2)
_PARQUET_WAIT_SECONDS = 10.0


def csv_preview(head: Head) -> Preview:
    """The first rows, under the first line as their header."""
    text, whole = head.text()
    first_line = text.partition("\n")[0]
    delimiter = max(",;\t", key=first_line.count)
    rows: list[list[str]] = []
    reader = csv.reader(io.StringIO(text), delimiter=delimiter)
    for row in reader:
        rows.append(row[: MAX_COLUMNS + 1])
        if len(rows) > MAX_ROWS + 1:
            break
    else:
        if not whole and len(rows) > 1:
            rows.pop()  # its end was cut off
    if not any(rows):
        raise NoPreviewError("not shown: a table without a line")
    return _table(rows[0], rows[1:], more=not whole)


def json_lines_preview(head: Head) -> Preview:
    """The first objects, a row each, under all keys that they have."""
    text, whole = head.text()
    lines = text.split("\n")
    if not whole and len(lines) > 1:
        lines.pop()
    objects = []
    for line in lines:
        if line.strip():
            objects.append(json.loads(line, parse_int=_whole_number))
        if len(objects) > MAX_ROWS:
            break
    if not all(isinstance(row, dict) for row in objects):
        return _table(["value"], [[_json_cell(row)] for row in objects], more=not whole)
    header = list(dict.fromkeys(str(key) for row in objects for key in row))
    seen = header[: MAX_COLUMNS + 1]
    rows = [[_json_cell(row[key]) if key in row else "" for key in seen] for row in objects]
    return _table(seen, rows, more=not whole)


def _whole_number(digits: str) -> int | str:
    return int(digits) if len(digits) <= MAX_CELL_CHARACTERS else digits


def _json_cell(value: Any) -> str:
    if isinstance(value, str):
        return value[: MAX_CELL_CHARACTERS + 1]
    return json.dumps(value, ensure_ascii=False)[: MAX_CELL_CHARACTERS + 1]


def safetensors_preview(head: Head) -> Preview:
    """Name, type and shape of each tensor, from the header alone.

    The header is JSON after its length in 8 bytes, little endian (safetensors, format).
    """
    length = int.from_bytes(head.read(8), "little")
    if not 2 <= length <= min(head.size - 8, _MAX_SAFETENSORS_HEADER):
        raise NoPreviewError("not shown: the header is too long, or no header")
    tensors = json.loads(head.read(length, start=8), parse_int=str)
    if not isinstance(tensors, dict):
        raise NoPreviewError("not shown: the header is no mapping")
    rows = [
        [name, str(row.get("dtype", "")), _shape(row.get("shape"))]
        for name, row in tensors.items()
        if name != "__metadata__" and isinstance(row, dict)
    ]
    header = ("tensor", "type", "shape")
    shown = tuple(tuple(cell(value) for value in row) for row in rows[:_MAX_TENSORS])
    return Preview(
        kind="table",
        header=header,
        rows=shown,
        truncated=len(rows) > len(shown),
        note=f"{len(rows)} tensors",
    )


def _shape(value: Any) -> str:
    if not isinstance(value, list):
        return ""
    return " × ".join(str(size)[:20] for size in value[:16])


def parquet_preview(head: Head) -> Preview:
    """Schema and first rows, by a process that may take little memory and time.

    A few kilobytes of Parquet can unfold into gigabytes, and its reader is no Python: what goes
    wrong there ends that process, and not the hub.
    """
    if not _PARQUET_READERS.acquire(timeout=_PARQUET_WAIT_SECONDS):
        raise NoPreviewError("not shown: too many tables are being read; try again")
    try:
        answer = _parquet_answer(head.file)
    finally:
        _PARQUET_READERS.release()
    if "error" in answer:
        raise NoPreviewError(f"not shown: {answer['error']}")
    columns, rows, note = answer["columns"], answer["rows"], str(answer["note"])
    if rows is None:
        return replace(_table(["column", "type"], columns, more=False), truncated=True, note=note)
    header = [f"{name} ({kind})" for name, kind in columns]
    return replace(_table(header, rows, more=bool(answer["more"])), note=note)


def _parquet_answer(file: Path) -> dict[str, Any]:
    program = Path(__file__).with_name("parquet_rows.py")
    try:
        # -I: the folder that the hub runs in is none of its modules' folders.
        done = subprocess.run(
            [sys.executable, "-I", str(program), str(file)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_PARQUET_SECONDS,
            env={"OMP_NUM_THREADS": "1"},
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise NoPreviewError("not shown: reading it takes too long") from None
    if done.returncode != 0 or len(done.stdout) > _MAX_PARQUET_ANSWER:
        raise NoPreviewError("not shown: no sound Parquet file, or one that takes too much memory")
    answer = json.loads(done.stdout)
    assert isinstance(answer, dict)
    return answer


def _table(header: Sequence[str], rows: Sequence[Sequence[str]], *, more: bool) -> Preview:
    """The first rows and columns, every row as long as the header."""
    cut = more or len(rows) > MAX_ROWS
    kept = rows[:MAX_ROWS]
    width = max(len(header), *(len(row) for row in kept)) if kept else len(header)
    shown = min(width, MAX_COLUMNS)
    named = [cell(name) for name in header[:shown]]
    notes = []
    if cut:
        notes.append(f"the first {len(kept)} rows")
    if width > shown:
        notes.append(f"the first {shown} columns")
    return Preview(
        kind="table",
        header=tuple(named + [""] * (shown - len(named))),
        rows=tuple((*map(cell, row[:shown]), *[""] * (shown - len(row))) for row in kept),
        truncated=bool(notes),
        note=" and ".join(notes),
    )
