"""Databento's own binary files (DBN, also .dbn.zst), read by the optional package ``databento``."""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from lob_backtest.book import FloatArray
from lob_backtest.errors import FormatError
from lob_backtest.io.databento_records import Records
from lob_backtest.io.ladders import Side
from lob_backtest.io.opening import opened
from lob_backtest.io.stream import Counts
from lob_backtest.io.tables import Place

_WANTED = "a Databento DBN file of the schema mbp-10 or mbp-1"
_LEVELS = {"mbp-10": 10, "mbp-1": 1}
_UNDEFINED_PRICE = 2**63 - 1
_UNDEFINED_TIME = 2**64 - 1
_UNITS = 1e9  # prices are whole numbers of 1e-9


@dataclass(frozen=True, kw_only=True, eq=False)
class DbnFile:
    """A DBN file.

    Attributes:
        path: the file.
        store: ``databento.DBNStore`` over it.
        levels: of the schema.
    """

    path: Path
    store: Any
    levels: int

    def first(self) -> tuple[str, int]:
        """Instrument and publisher of the first record."""
        for records in self.batches(1, Counts(), 1):
            return str(records.names[records.which[0]]), int(records.publisher[0])
        raise FormatError(f"{self.path}: no records; needs {_WANTED}; fetch the file again")

    def batches(self, n_levels: int, counts: Counts, chunk_rows: int) -> Iterator[Records]:
        """The records in file order, at most ``chunk_rows`` at a time."""
        symbols = _symbols(self.store)
        counts.size = 0  # the package does not tell how far it has read
        with _explained(self.path):
            chunks = iter(self.store.to_ndarray(count=chunk_rows))
        n_read = 0
        while True:
            with _explained(self.path):
                chunk = next(chunks, None)
            if chunk is None:
                return
            numbers = np.arange(n_read + 1, n_read + 1 + chunk.size, dtype=np.int64)
            place = Place(name=self.path.name, numbers=numbers, unit="record", wanted=_WANTED)
            n_read += chunk.size
            if chunk.size:
                yield _records(chunk, place, n_levels, symbols)


def is_dbn(path: Path) -> bool:
    """Whether a file starts as DBN does."""
    with opened(path, _WANTED) as file:
        return file.stream.peek(3)[:3] == b"DBN"


def open_dbn(path: Path) -> DbnFile:
    """Open a DBN file.

    Raises:
        FormatError: without the package; another schema; unreadable.
    """
    try:
        databento = import_module("databento")
    except ImportError as error:
        raise FormatError(
            f"{path}: DBN files need the package databento; install it with: "
            "pip install 'hfrun[databento]', or ask Databento for csv"
        ) from error
    with _explained(path):
        store = databento.DBNStore.from_file(path)
        schema = str(store.schema)
    if schema not in _LEVELS:
        raise FormatError(f"{path}: got the schema {schema}; needs {_WANTED}")
    return DbnFile(path=path, store=store, levels=_LEVELS[schema])


class _explained:  # noqa: N801 - a context manager, used as one
    """Turn whatever the package raises on a damaged file into one FormatError."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, _: object) -> None:
        # The package has no common exception for what is wrong with a file.
        if isinstance(error, Exception) and not isinstance(error, FormatError):
            raise FormatError(
                f"{self._path}: cannot be read ({error}); needs {_WANTED}; "
                "fetch it again if it was cut off"
            ) from error


def _symbols(store: Any) -> Any:
    symbology = import_module("databento.common.symbology")
    symbols = symbology.InstrumentMap()
    symbols.insert_metadata(store.metadata)
    return symbols


def _records(chunk: Any, place: Place, n_levels: int, symbols: Any) -> Records:
    place.refuse(chunk["ts_recv"] == _UNDEFINED_TIME, "ts_recv is undefined")
    time_ns = chunk["ts_recv"].astype(np.int64)
    days = time_ns // 86_400_000_000_000
    # A number means an instrument on a day.
    keys, which = np.unique(np.stack([chunk["instrument_id"].astype(np.int64), days]), axis=1,
                            return_inverse=True)  # fmt: skip
    names = np.array([_name(int(number), int(day), symbols) for number, day in keys.T])
    return Records(
        place=place,
        time_ns=time_ns,
        flags=chunk["flags"].astype(np.int64),
        publisher=chunk["publisher_id"].astype(np.int64),
        names=names,
        which=which.astype(np.int64).ravel(),
        ask=_side(chunk, "ask", n_levels),
        bid=_side(chunk, "bid", n_levels),
    )


def _name(number: int, day: int, symbols: Any) -> str:
    date = np.datetime64(day, "D").item()
    return symbols.resolve(number, date) or str(number)


def _side(chunk: Any, name: str, n_levels: int) -> Side:
    fields = [f"{name}_px_{level:02}" for level in range(n_levels)]
    units = np.stack([chunk[field] for field in fields], axis=1)
    is_missing = units == _UNDEFINED_PRICE
    price: FloatArray = np.where(is_missing, 0, units) / _UNITS
    sizes = [chunk[f"{name}_sz_{level:02}"].astype(np.float64) for level in range(n_levels)]
    return Side(name=name, price=price, size=np.stack(sizes, axis=1), is_missing=is_missing)
