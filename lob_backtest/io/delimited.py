"""Reading delimited text chunk by chunk so that whatever is wrong with it is said with its line."""

import warnings
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt
import pandas as pd

from lob_backtest.book import BoolArray
from lob_backtest.errors import FormatError

if TYPE_CHECKING:
    from pandas.io.parsers import TextFileReader

Compression = Literal["gzip", "bz2"]

# What gzip, bz2, zip and pandas raise on files that are cut off, damaged or of another kind.
_UNREADABLE = (
    OSError,
    EOFError,
    zlib.error,
    BadZipFile,
    NotImplementedError,  # a zip packed by another method
    RuntimeError,  # a zip with a password
    UnicodeDecodeError,
    ValueError,
    pd.errors.ParserWarning,
)


def require_file(path: Path | str, wanted: str) -> Path:
    """The path, if there is a file with something in it."""
    path = Path(path)
    if not path.is_file():
        raise FormatError(f"{path}: no such file; needs {wanted}")
    if path.stat().st_size == 0:
        raise FormatError(f"{path}: the file is empty; needs {wanted}; fetch it again")
    return path


@contextmanager
def explained(name: Path | str, wanted: str) -> Iterator[None]:
    """Turn what a damaged or foreign file raises into one FormatError."""
    try:
        yield
    except pd.errors.EmptyDataError as error:
        raise FormatError(f"{name}: the file is empty; needs {wanted}; fetch it again") from error
    except _UNREADABLE as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise FormatError(
            f"{name}: cannot be read ({reason}); needs {wanted}; fetch it again if it was cut off"
        ) from error


@dataclass(frozen=True, kw_only=True, eq=False)
class Lines:
    """Some lines of a file, parsed.

    Attributes:
        frame: one row a line, typed columns, nothing missing.
        first_line: number of the frame's first row in the file, from 1.
        position: bytes of the (packed) file that were read until here.
        table: the file.
    """

    frame: pd.DataFrame
    first_line: int
    position: int
    table: "DelimitedFile"

    def refuse(self, bad: BoolArray, got: str) -> None:
        """Raise a FormatError that names the first bad line, if there is one."""
        if bad.any():
            line = self.first_line + int(np.argmax(bad))
            count = int(bad.sum())
            more = f" ({count} such lines near it)" if count > 1 else ""
            raise FormatError(
                f"{self.table.name}, line {line}: {got}{more}; needs {self.table.wanted}; "
                "fetch the file again or mend the line"
            )


@dataclass(frozen=True, kw_only=True, eq=False)
class DelimitedFile:
    """A text file of typed columns.

    Attributes:
        open_file: opens the file anew; it is read a second time to find a bad line.
        name: how messages call the file.
        dtypes: int, float or str of every column, in the file's order.
        has_header: whether the first line names the columns; checked by the caller.
        wanted: what the file should have been, for messages.
        compression: of what ``open_file`` gives: ``"gzip"``, ``"bz2"`` or None.
        separator: one character.
        may_be_empty: the float or str columns in which a field may be empty (NaN).
    """

    open_file: Callable[[], IO[bytes]]
    name: Path | str
    dtypes: Mapping[str, type[Any]]
    has_header: bool
    wanted: str
    compression: Compression | None = None
    separator: str = ","
    may_be_empty: tuple[str, ...] = ()

    def chunks(self, chunk_rows: int) -> Iterator[Lines]:
        """The lines in their order, ``chunk_rows`` at a time.

        Raises:
            FormatError: unreadable, no lines at all, or a line that has other fields, with its
                number.
        """
        first_line = 1 + self.has_header
        for frame, position in self._frames(chunk_rows):
            lines = Lines(frame=frame, first_line=first_line, position=position, table=self)
            filled = frame.drop(columns=list(self.may_be_empty))
            lines.refuse(filled.isna().any(axis=1).to_numpy(), "a field is missing")
            first_line += len(frame)
            yield lines
        if first_line == 1 + self.has_header:
            raise FormatError(f"{self.name}: no lines of data; needs {self.wanted}; fetch it again")

    def _frames(self, chunk_rows: int) -> Iterator[tuple[pd.DataFrame, int]]:
        with ExitStack() as opened:
            with explained(self.name, self.wanted):
                file = opened.enter_context(self.open_file())
                reader = opened.enter_context(self._reader(file, self.dtypes, chunk_rows))
            while True:
                with explained(self.name, self.wanted):
                    try:
                        frame = _next_frame(reader)
                    except (ValueError, OverflowError) as error:
                        if isinstance(error, pd.errors.ParserError | pd.errors.EmptyDataError):
                            raise
                        self._refuse_bad_line(chunk_rows)
                        raise
                if frame is None:
                    return
                if not frame.empty:
                    yield frame, file.tell()

    def _reader(
        self, file: IO[bytes], dtypes: Mapping[str, type[Any]], chunk_rows: int
    ) -> "TextFileReader":
        return pd.read_csv(
            file,
            names=list(dtypes),
            header=0 if self.has_header else None,
            dtype=dict(dtypes),
            sep=self.separator,
            index_col=False,
            compression=self.compression,
            na_filter=dtypes is self.dtypes,
            skip_blank_lines=False,
            on_bad_lines="error",
            chunksize=chunk_rows,
        )

    def _refuse_bad_line(self, chunk_rows: int) -> None:
        """Read the numbers as text, to name the first that is none."""
        first_line = 1 + self.has_header
        as_text = dict.fromkeys(self.dtypes, str)
        with self.open_file() as file, self._reader(file, as_text, chunk_rows) as reader:
            while (text := _next_frame(reader)) is not None:
                lines = Lines(frame=text, first_line=first_line, position=0, table=self)
                for column, dtype in self.dtypes.items():
                    if dtype is not str:
                        empty_is_fine = column in self.may_be_empty
                        bad = _is_no_number(text[column], dtype, empty_is_fine=empty_is_fine)
                        got = text[column].iloc[int(np.argmax(bad))]
                        lines.refuse(bad, f"{column}={got!r}")
                first_line += len(text)


def _next_frame(reader: "TextFileReader") -> pd.DataFrame | None:
    with warnings.catch_warnings():
        # pandas only warns where the first lines of a chunk have more fields than it was told of.
        warnings.simplefilter("error", pd.errors.ParserWarning)
        # An infinity in a column of whole numbers: refused as such a moment later.
        warnings.simplefilter("ignore", RuntimeWarning)
        return next(reader, None)


def _is_no_number(
    text: "pd.Series[str]", dtype: type[Any], *, empty_is_fine: bool
) -> npt.NDArray[np.bool_]:
    values: Any = pd.to_numeric(text, errors="coerce").to_numpy(dtype=np.float64)
    bad: npt.NDArray[np.bool_] = ~np.isfinite(values)
    if dtype is int:
        bad |= values != np.floor(values)
        bad |= ~(np.abs(values) < 2.0**63)
    if empty_is_fine:
        bad &= text.to_numpy() != ""
    return bad
