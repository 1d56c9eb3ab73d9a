"""Reads the schema and the first rows of a Parquet file in a process with little memory.

Run by its path, without the package around it: ``python -I parquet_rows.py FILE`` prints one JSON
object, ``{columns, rows, more, note}`` or ``{error}``.
"""

import contextlib
import json
import resource
import sys
from typing import Any

MAX_ROWS = 20
MAX_COLUMNS = 50
MAX_CELL_CHARACTERS = 201
MAX_ROW_GROUP_BYTES = 64_000_000
MAX_FOOTER_BYTES = 4_000_000
MAX_MEMORY_BYTES = 800_000_000  # of addresses; the reader itself takes half of them
MAX_CPU_SECONDS = 3


def main(path: str) -> dict[str, Any]:
    """What there is to show of the file."""
    import pyarrow
    from pyarrow import parquet

    pyarrow.set_cpu_count(1)
    pyarrow.set_io_thread_count(1)
    with open(path, "rb") as file:  # noqa: PTH123 - as little as possible is imported here
        file.seek(-8, 2)
        footer_bytes = int.from_bytes(file.read(4), "little")
    if footer_bytes > MAX_FOOTER_BYTES:
        return {"error": f"the description of its columns takes {footer_bytes} bytes"}
    with parquet.ParquetFile(
        path,
        thrift_string_size_limit=MAX_FOOTER_BYTES,
        thrift_container_size_limit=100_000,
        buffer_size=1_000_000,
        pre_buffer=False,
    ) as table:
        return _shown(table)


def _shown(table: Any) -> dict[str, Any]:
    metadata, schema = table.metadata, table.schema_arrow
    columns = [[field.name[:200], str(field.type)[:200]] for field in schema][: MAX_COLUMNS + 1]
    note = f"{metadata.num_rows} rows, {len(schema)} columns"
    answer: dict[str, Any] = {"columns": columns, "rows": [], "more": False, "note": note}
    if metadata.num_row_groups == 0:
        return answer
    group_bytes = metadata.row_group(0).total_byte_size
    if not 0 <= group_bytes <= MAX_ROW_GROUP_BYTES:
        note += f"; the rows are not shown: the first group of them takes {group_bytes} bytes"
        return {**answer, "rows": None, "note": note}
    names = [field.name for field in schema][: MAX_COLUMNS + 1]
    batches = table.iter_batches(
        batch_size=MAX_ROWS, row_groups=[0], columns=names, use_threads=False
    )
    batch = next(batches, None)
    if batch is not None:
        texts = [[_text(value) for value in column] for column in batch.columns]
        answer["rows"] = [list(row) for row in zip(*texts, strict=True)]
    answer["more"] = metadata.num_rows > len(answer["rows"])
    if answer["more"]:
        answer["note"] = f"the first {len(answer['rows'])} of {note}"
    return answer


def _text(scalar: Any) -> str:
    value = scalar.as_py()
    return "" if value is None else str(value)[:MAX_CELL_CHARACTERS]


def limit() -> None:
    """Bound this process; where the system knows no such limit, the checks above are left."""
    for kind, most in (
        (resource.RLIMIT_AS, MAX_MEMORY_BYTES),
        (resource.RLIMIT_CPU, MAX_CPU_SECONDS),
        (resource.RLIMIT_CORE, 0),
    ):
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(kind, (most, most))


if __name__ == "__main__":
    limit()
    print(json.dumps(main(sys.argv[1])))
