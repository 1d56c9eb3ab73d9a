"""Reading comma-separated files so that whatever is wrong with one is said with its line."""

import warnings
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Literal
from zipfile import BadZipFile

import numpy as np
import pandas as pd

from lob_backtest.book import BoolArray
from lob_backtest.errors import FormatError

Compression = Literal["gzip", "bz2"]

# What gzip, bz2, zip and pandas raise on files that are cut off, damaged or of another kind.
_UNREADABLE = (
    OSError,
    EOFError,
    zlib.error,
    BadZipFile,
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
        reason = str(error).strip() or type(error).__name__
        raise FormatError(
            f"{name}: cannot be read ({reason}); needs {wanted}; fetch it again if it was cut off"
        ) from error


def read_columns(
    open_file: Callable[[], IO[bytes]],
    name: Path | str,
    *,
    dtypes: Mapping[str, type[Any]],
    has_header: bool,
    wanted: str,
    compression: Compression | None = None,
) -> pd.DataFrame:
    """Typed columns of a comma-separated file.

    Args:
        open_file: opens the file anew; it is read a second time to find a bad line.
        name: how messages call the file.
        dtypes: int, float or str of every column, in the file's order.
        has_header: whether the first line names the columns; checked by the caller.
        wanted: what the file should have been, for messages.
        compression: ``"gzip"``, ``"bz2"`` or None.

    Raises:
        FormatError: unreadable, or a line that has other fields, with its number.
    """

    def read(as_types: Mapping[str, type[Any]], *, keep_text: bool) -> pd.DataFrame:
        with open_file() as file, warnings.catch_warnings():
            # pandas only warns when every line has more fields than it was told of.
            warnings.simplefilter("error", pd.errors.ParserWarning)
            frame: pd.DataFrame = pd.read_csv(
                file,
                names=list(dtypes),
                header=0 if has_header else None,
                dtype=dict(as_types),
                index_col=False,
                compression=compression,
                na_filter=not keep_text,
                skip_blank_lines=False,
                on_bad_lines="error",
            )
            return frame

    with explained(name, wanted):
        try:
            frame = read(dtypes, keep_text=False)
        except (ValueError, OverflowError) as error:
            if isinstance(error, pd.errors.ParserError | pd.errors.EmptyDataError):
                raise
            _refuse_bad_line(read(dict.fromkeys(dtypes, str), keep_text=True), name, dtypes,
                             has_header=has_header, wanted=wanted)  # fmt: skip
            raise
    if frame.empty:
        raise FormatError(f"{name}: no lines of data; needs {wanted}; fetch it again")
    refuse_lines(frame.isna().any(axis=1).to_numpy(), name, "a field is missing",
                 has_header=has_header, wanted=wanted)  # fmt: skip
    return frame


def refuse_lines(
    bad: BoolArray, name: Path | str, got: str, *, has_header: bool, wanted: str
) -> None:
    """Raise a FormatError that names the first bad line, if there is one."""
    if bad.any():
        line = int(np.argmax(bad)) + 1 + has_header
        raise FormatError(
            f"{name}, line {line}: {got} ({int(bad.sum())} such lines); needs {wanted}; "
            "fetch the file again or mend these lines"
        )


def _refuse_bad_line(
    text: pd.DataFrame,
    name: Path | str,
    dtypes: Mapping[str, type[Any]],
    *,
    has_header: bool,
    wanted: str,
) -> None:
    for column, dtype in dtypes.items():
        if dtype is str:
            continue
        values: Any = pd.to_numeric(text[column], errors="coerce").to_numpy(dtype=np.float64)
        bad = ~np.isfinite(values)
        if dtype is int:
            bad |= values != np.floor(values)
        if bad.any():
            got = f"{column}={text[column].iloc[int(np.argmax(bad))]!r}"
            refuse_lines(bad, name, got, has_header=has_header, wanted=wanted)
