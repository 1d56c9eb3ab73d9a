"""Chosen columns of a text or Parquet table, batch by batch, each value as the type it is to be.

``delimited`` reads whole lines of numbers. These tables have columns that nobody needs, marks that
stand for "no value", and times written as text, which Arrow's readers take one by one and exactly.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from lob_backtest.book import BoolArray, IntArray
from lob_backtest.errors import FormatError
from lob_backtest.io.delimited import require_file
from lob_backtest.io.opening import Opened, opened, readable
from lob_backtest.io.stream import Counts

_BLOCK_BYTES = (1 << 18, 1 << 24)
_LONGEST_LINE = 1 << 24
_BYTES_PER_LINE = 256
_BAD_VALUE = re.compile(
    r"In CSV column #(?P<column>\d+): Row #(?P<row>\d+): CSV conversion error to (?P<type>\w+)"
    r".*?: (?:invalid value '(?P<value>.*)'|(?P<why>.*))",
    re.DOTALL,
)
_BAD_LINE = re.compile(r"Row #(?P<row>\d+): Expected (?P<needed>\d+) columns, got (?P<got>\d+)")


@dataclass(frozen=True, kw_only=True, eq=False)
class Place:
    """Where rows stand in a file, so that a refusal can name the first bad one.

    Attributes:
        name: of the file.
        numbers: ``(n,)`` number of each row in the file, from 1.
        unit: what is counted, ``"line"`` or ``"row"``.
        wanted: what the file should be.
    """

    name: str
    numbers: IntArray
    unit: str
    wanted: str

    def refuse(self, bad: BoolArray, got: str, remedy: str | None = None) -> None:
        """Raise a FormatError that names the first bad row, if there is one.

        Args:
            bad: ``(n,)`` or ``(n, L)``.
            got: what is wrong there.
            remedy: what to do about it.
        """
        if bad.any():
            rows = bad.any(axis=1) if bad.ndim == 2 else bad
            number = self.numbers[int(np.argmax(rows))]
            raise FormatError(
                f"{self.name}, {self.unit} {number}: {got}; needs {self.wanted}; "
                f"{remedy or f'mend or leave out this {self.unit}, or fetch the file again'}"
            )

    def chosen(self, rows: BoolArray) -> "Place":
        """Where these rows stand."""
        return replace(self, numbers=self.numbers[rows])


@dataclass(frozen=True, kw_only=True)
class TextTable:
    """How the lines of a text file are to be read.

    Attributes:
        names: of all its columns, in their order, each once.
        types: of the columns to read.
        wanted: what the file should be, for messages.
        delimiter: one character.
        skip_lines: lines before the data, the header among them.
        missing: texts that stand for "no value" in a column of numbers, which is given as null.
    """

    names: Sequence[str]
    types: Mapping[str, pa.DataType]
    wanted: str
    delimiter: str = ","
    skip_lines: int = 0
    missing: Sequence[str] = ()

    def batches(
        self, path: Path | str, counts: Counts, *, chunk_rows: int
    ) -> Iterator[tuple[Place, pa.RecordBatch]]:
        """The lines in their order, at most ``chunk_rows`` at a time, and where each batch stands.

        Raises:
            FormatError: unreadable, no lines, or a line that is not as told, with its number.
        """
        n_read = 0
        with opened(path, self.wanted) as file:
            for block in self._blocks(file, chunk_rows):
                batch = self._parsed(block, file.name, self.skip_lines + n_read)
                counts.done = file.position()
                for start in range(0, batch.num_rows, chunk_rows):
                    part = batch.slice(start, chunk_rows)
                    first = self.skip_lines + 1 + n_read
                    yield _place(file.name, first, part, "line", self.wanted), part
                    n_read += part.num_rows
        if n_read == 0:
            raise FormatError(
                f"{path}: no lines of data; needs {self.wanted}; fetch the file again"
            )

    def _blocks(self, file: Opened, chunk_rows: int) -> Iterator[bytes]:
        """Some whole lines at a time.

        Not left to Arrow's streaming reader: its reading ahead of a Python file can come to a
        standstill with whoever stops early.
        """
        smallest, largest = _BLOCK_BYTES
        size = min(max(chunk_rows * _BYTES_PER_LINE, smallest), largest)
        with readable(file.name, self.wanted):
            for _ in range(self.skip_lines):
                file.stream.readline(_LONGEST_LINE)
        rest = b""
        while True:
            with readable(file.name, self.wanted):
                read = file.stream.read(size)
            lines, newline, rest = (rest + read).rpartition(b"\n")
            if not read:
                if rest:
                    yield rest
                return
            if newline:
                yield lines + newline
            elif len(rest) > _LONGEST_LINE:
                raise FormatError(
                    f"{file.name}: a line of more than {_LONGEST_LINE >> 20} MiB; "
                    f"needs {self.wanted}"
                )

    def _parsed(self, block: bytes, name: str, lines_before: int) -> pa.RecordBatch:
        reading = pa_csv.ReadOptions(
            use_threads=False,  # messages name the row only when one thread reads
            block_size=len(block) + 1,
            column_names=list(self.names),
        )
        parsing = pa_csv.ParseOptions(delimiter=self.delimiter, ignore_empty_lines=False)
        converting = pa_csv.ConvertOptions(
            column_types=dict(self.types),
            include_columns=list(self.types),
            null_values=list(self.missing),
            strings_can_be_null=False,
        )
        with readable(name, self.wanted):
            try:
                table = pa_csv.read_csv(pa.BufferReader(block), reading, parsing, converting)
            except pa.ArrowInvalid as error:
                self._refuse(error, name, lines_before)
                raise
            return table.combine_chunks().to_batches()[0]

    def _refuse(self, error: Exception, name: str, lines_before: int) -> None:
        """Say what Arrow found in our own words, where they are known."""
        text = str(error)
        if found := _BAD_LINE.search(text):
            got = f"got {found['got']} fields, needs {found['needed']}"
        elif found := _BAD_VALUE.search(text):
            column = self.names[int(found["column"])]
            kinds = {"int": "whole number", "dou": "number", "tim": "time", "str": "UTF-8 text"}
            kind = kinds.get(found["type"][:3], found["type"])
            value = f"={found['value']!r}" if found["value"] is not None else ""
            got = f"{column}{value} is no {kind}"
        else:
            return
        line = lines_before + int(found["row"])
        raise FormatError(
            f"{name}, line {line}: {got}; needs {self.wanted}; "
            "fetch the file again or mend the line"
        ) from error


def parquet_batches(
    path: Path | str, columns: Sequence[str], wanted: str, counts: Counts, *, chunk_rows: int
) -> Iterator[tuple[Place, pa.RecordBatch]]:
    """Columns of a Parquet file, at most ``chunk_rows`` rows at a time, and where they stand."""
    with parquet_file(path, wanted) as file:
        n_rows = file.metadata.num_rows
        batches = file.iter_batches(batch_size=chunk_rows, columns=list(columns), use_threads=False)
        n_read = 0
        while True:
            with readable(path, wanted):
                batch = next(batches, None)
            if batch is None:
                break
            if batch.num_rows:
                yield _place(Path(path).name, 1 + n_read, batch, "row", wanted), batch
                n_read += batch.num_rows
                counts.done = min(counts.size * n_read // max(n_rows, 1), counts.size)
    if n_read != n_rows:
        raise FormatError(
            f"{path}: {n_read} rows where the file says that it has {n_rows}; it is damaged: fetch "
            "it again"
        )
    if n_read == 0:
        raise FormatError(f"{path}: no rows; needs {wanted}; fetch the file again")


def _place(name: str, first: int, batch: pa.RecordBatch, unit: str, wanted: str) -> Place:
    numbers = np.arange(first, first + batch.num_rows, dtype=np.int64)
    return Place(name=name, numbers=numbers, unit=unit, wanted=wanted)


def parquet_file(path: Path | str, wanted: str) -> pq.ParquetFile:
    """Open a Parquet file such that only what is asked for is held in memory."""
    path = require_file(path, wanted)
    with readable(path, wanted):
        return pq.ParquetFile(
            path, pre_buffer=False, buffer_size=1 << 20, page_checksum_verification=True
        )
