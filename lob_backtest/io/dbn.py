"""Databento's own binary files (DBN), also packed, with the help of the optional package databento.

    "DBN", version, length of the metadata | metadata | record, record, ...

The package says what the metadata and the fields of a record mean. The records are read here, block
by block: its own reader warns of a file that was cut off, and does not notice it in a packed one.
"""

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
from lob_backtest.io.opening import Opened, opened, readable
from lob_backtest.io.stream import Counts
from lob_backtest.io.tables import Place

_WANTED = "a Databento DBN file of the schema mbp-10 or mbp-1"
_SCHEMAS = {"mbp-10": ("MBP10Msg", 10), "mbp-1": ("MBP1Msg", 1)}
_UNDEFINED_PRICE = 2**63 - 1
_UNITS = 1e9  # prices are whole numbers of 1e-9
_NS_PER_DAY = 86_400_000_000_000
_HEAD_BYTES = 8
_MOST_METADATA = 1 << 28
_WORDS = 4  # a record's length counts 32-bit words
_MOST_RECORDS = 50_000


@dataclass(frozen=True, kw_only=True, eq=False)
class DbnFile:
    """A DBN file.

    Attributes:
        path: the file.
        dtype: of a record.
        levels: of its schema.
        symbols: the package's map from an instrument's number and a day to its name.
    """

    path: Path
    dtype: np.dtype[Any]
    levels: int
    symbols: Any

    def first(self) -> tuple[str, int]:
        """Instrument and publisher of the first record."""
        for records in self.batches(1, Counts(), 1):
            return str(records.names[records.which[0]]), int(records.publisher[0])
        raise FormatError(f"{self.path}: no records; needs {_WANTED}; fetch the file again")

    def batches(self, n_levels: int, counts: Counts, chunk_rows: int) -> Iterator[Records]:
        """The records in file order, at most ``chunk_rows`` at a time."""
        size = self.dtype.itemsize * min(chunk_rows, _MOST_RECORDS)
        n_read, rest = 0, b""
        with opened(self.path, _WANTED) as file:
            _metadata(file, self.path)
            while True:
                with readable(self.path, _WANTED):
                    block = file.stream.read(size - len(rest))
                if not block:
                    break
                counts.done = file.position()
                block = rest + block
                whole = len(block) - len(block) % self.dtype.itemsize
                chunk, rest = np.frombuffer(block[:whole], dtype=self.dtype), block[whole:]
                numbers = np.arange(n_read + 1, n_read + 1 + chunk.size, dtype=np.int64)
                place = Place(name=self.path.name, numbers=numbers, unit="record", wanted=_WANTED)
                n_read += chunk.size
                if chunk.size:
                    yield self._records(chunk, place, n_levels)
        if rest:
            raise FormatError(
                f"{self.path}: cut off within record {n_read + 1}; needs {_WANTED}; fetch it again"
            )

    def _records(self, chunk: Any, place: Place, n_levels: int) -> Records:
        is_other = chunk["length"] != self.dtype.itemsize // _WORDS
        place.refuse(is_other | (chunk["rtype"] != self.levels), "a record of another kind",
                     "ask Databento for a historical file of one schema")  # fmt: skip
        place.refuse(chunk["ts_recv"] >= 2**63, "ts_recv is undefined")
        time_ns = chunk["ts_recv"].astype(np.int64)
        # A number means an instrument on a day.
        keys, which = np.unique(
            np.stack([chunk["instrument_id"].astype(np.int64), time_ns // _NS_PER_DAY]),
            axis=1,
            return_inverse=True,
        )
        return Records(
            place=place,
            time_ns=time_ns,
            flags=chunk["flags"].astype(np.int64),
            publisher=chunk["publisher_id"].astype(np.int64),
            names=np.array([self._name(int(number), int(day)) for number, day in keys.T]),
            which=which.astype(np.int64).ravel(),
            ask=_side(chunk, "ask", n_levels),
            bid=_side(chunk, "bid", n_levels),
        )

    def _name(self, number: int, day: int) -> str:
        return self.symbols.resolve(number, np.datetime64(day, "D").item()) or str(number)


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
        native, symbology = (
            import_module(name) for name in ("databento_dbn", "databento.common.symbology")
        )
    except ImportError as error:
        raise FormatError(
            f"{path}: DBN files need the package databento; install it with: "
            "pip install 'hfrun[databento]', or ask Databento for csv"
        ) from error
    with opened(path, _WANTED) as file:
        encoded = _metadata(file, path)
    try:
        metadata = native.Metadata.decode(encoded)
        symbols = symbology.InstrumentMap()
        symbols.insert_metadata(metadata)
    except Exception as error:  # the package has no common exception for damaged metadata
        raise FormatError(
            f"{path}: cannot be read ({error}); needs {_WANTED}; fetch it again if it was cut off"
        ) from error
    schema = str(metadata.schema)
    if schema not in _SCHEMAS:
        raise FormatError(f"{path}: got the schema {schema}; needs {_WANTED}")
    record, levels = _SCHEMAS[schema]
    fields = [*getattr(native, record)._dtypes, *([("ts_out", "u8")] if metadata.ts_out else [])]
    return DbnFile(path=path, dtype=np.dtype(fields), levels=levels, symbols=symbols)


def _metadata(file: Opened, path: Path) -> bytes:
    """Read what stands before the records."""
    with readable(path, _WANTED):
        head = file.stream.read(_HEAD_BYTES)
        length = int.from_bytes(head[4:], "little")
        body = file.stream.read(length) if length <= _MOST_METADATA else b""
    if len(head) < _HEAD_BYTES or len(body) < length:
        raise FormatError(
            f"{path}: cannot be read (it ends within the metadata); needs {_WANTED}; fetch it again"
        )
    return head + body


def _side(chunk: Any, name: str, n_levels: int) -> Side:
    units = np.stack([chunk[f"{name}_px_{level:02}"] for level in range(n_levels)], axis=1)
    is_missing = units == _UNDEFINED_PRICE
    price: FloatArray = np.where(is_missing, 0, units) / _UNITS
    sizes = [chunk[f"{name}_sz_{level:02}"].astype(np.float64) for level in range(n_levels)]
    return Side(name=name, price=price, size=np.stack(sizes, axis=1), is_missing=is_missing)
