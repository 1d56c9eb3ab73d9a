"""Text with few, very long lines: a table lying on its side, read some columns at a time.

    line 1   c1 c2 c3 ... c254750        each line is megabytes long; a row of the table is the
    line 2   c1 c2 c3 ...                same column of every line

The lines are found once; then every wanted line is read on from where it was left, so that memory
holds a stretch of columns, never a line.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from lob_backtest.book import FloatArray
from lob_backtest.errors import FormatError
from lob_backtest.io.delimited import explained, require_file

_BLOCK_BYTES = 1 << 16
_LONGEST_NUMBER = 1 << 10


@dataclass(frozen=True, kw_only=True)
class WideText:
    """Lines of numbers with blanks between, and where they are.

    Attributes:
        path: the file.
        bounds: first byte and end of each line.
        wanted: what the file should be, for messages.
    """

    path: Path
    bounds: tuple[tuple[int, int], ...]
    wanted: str

    @classmethod
    def opened(cls, path: Path, *, n_lines: int, wanted: str) -> "WideText":
        """Find the lines of a file.

        Raises:
            FormatError: no such file, or another number of lines.
        """
        path = require_file(path, wanted)
        with explained(path, wanted), path.open("rb") as file:
            bounds = _line_bounds(file, n_lines)
        if len(bounds) != n_lines:
            got = f"more than {n_lines}" if len(bounds) > n_lines else str(len(bounds))
            raise FormatError(
                f"{path}: got {got} lines; needs {wanted}; unpack it first where it is packed, "
                "and do not turn rows into columns"
            )
        return cls(path=path, bounds=tuple(bounds), wanted=wanted)

    def columns(
        self, lines: Sequence[int], start: int, stop: int | None, *, at_a_time: int
    ) -> Iterator[FloatArray]:
        """``(n, len(lines))`` numbers of the columns from ``start`` on, ``n <= at_a_time``.

        Args:
            lines: which lines, from 0.
            start: first column.
            stop: column behind the last; None reads to the end of the lines. All of them must end
                at the same column: a value that is missing would shift what follows.

        Raises:
            FormatError: a line that ends before the others, or a value that is no number.
        """
        with ExitStack() as stack:
            with explained(self.path, self.wanted):
                file = stack.enter_context(self.path.open("rb"))
            readers = [_LineReader(file, *self.bounds[line]) for line in lines]
            column = 0
            while column < start:
                n = min(at_a_time, start - column)
                self._even([reader.skip(n) for reader in readers], lines, column, n)
                column += n
            while stop is None or column < stop:
                n = at_a_time if stop is None else min(at_a_time, stop - column)
                texts = [reader.take(n) for reader in readers]
                got = self._even([len(text) for text in texts], lines, column,
                                 None if stop is None else n)  # fmt: skip
                if got:
                    yield self._numbers(texts, lines, column)
                column += got
                if got < n:
                    return
            self._even([reader.skip_all() for reader in readers], lines, column, None)

    def _even(
        self, counts: Sequence[int], lines: Sequence[int], column: int, needed: int | None
    ) -> int:
        """How many columns every line gave; refuses lines of different lengths."""
        most = max(counts) if needed is None else needed
        for line, n in zip(lines, counts, strict=True):
            if n < most:
                raise FormatError(
                    f"{self.path.name}, line {line + 1}: ends after {column + n:,} columns, others "
                    f"go on; needs {self.wanted}; fetch the file again"
                )
        return most

    def _numbers(
        self, texts: Sequence[Sequence[bytes]], lines: Sequence[int], column: int
    ) -> FloatArray:
        numbers = np.empty((len(texts[0]), len(texts)))
        for i, values in enumerate(texts):
            try:
                numbers[:, i] = [float(value) for value in values]
            except ValueError as error:
                bad = next(j for j, value in enumerate(values) if not _is_number(value))
                raise FormatError(
                    f"{self.path.name}, line {lines[i] + 1}, column {column + bad + 1}: "
                    f"{values[bad][:40]!r} is no number; needs {self.wanted}; fetch the file again"
                ) from error
        return numbers


class _LineReader:
    """Reads one line on from where it was left."""

    def __init__(self, file: IO[bytes], start: int, stop: int) -> None:
        self._file, self._position, self._stop = file, start, stop
        self._waiting: list[bytes] = []
        self._rest = b""  # a number of which the end was not read yet

    def take(self, n: int) -> list[bytes]:
        """The next ``n`` numbers as text, fewer at the end of the line."""
        while len(self._waiting) < n and self._read():
            pass
        taken, self._waiting = self._waiting[:n], self._waiting[n:]
        return taken

    def skip(self, n: int) -> int:
        """Leave out the next ``n`` numbers; says how many there were."""
        return len(self.take(n))

    def skip_all(self) -> int:
        """Leave out the rest of the line; says how many numbers there were."""
        n = 0
        while taken := self.skip(_BLOCK_BYTES):
            n += taken
        return n

    def _read(self) -> bool:
        if self._position >= self._stop:
            if self._rest:
                self._waiting.append(self._rest)
                self._rest = b""
            return False
        self._file.seek(self._position)
        block = self._file.read(min(_BLOCK_BYTES, self._stop - self._position))
        self._position = self._position + len(block) if block else self._stop
        block = self._rest + block
        ends_within = not block[-1:].isspace()
        numbers = block.split()
        self._rest = numbers.pop() if ends_within and numbers else b""
        if len(self._rest) > _LONGEST_NUMBER:
            self._waiting.append(self._rest)  # refused as what it is: no number
            self._rest = b""
        self._waiting += numbers
        return True


def _line_bounds(file: IO[bytes], n_lines: int) -> list[tuple[int, int]]:
    """First byte and end of each line that has something in it, of ``n_lines + 1`` at the most."""
    bounds: list[tuple[int, int]] = []
    start = position = 0
    is_blank = True
    while block := file.read(1 << 20):
        pieces = block.split(b"\n")
        for i, piece in enumerate(pieces):
            is_blank = is_blank and not piece.strip()
            position += len(piece)
            if i < len(pieces) - 1:
                if not is_blank:
                    bounds.append((start, position))
                position += 1
                start, is_blank = position, True
                if len(bounds) > n_lines:
                    return bounds
    if not is_blank:
        bounds.append((start, position))
    return bounds


def _is_number(value: bytes) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True
