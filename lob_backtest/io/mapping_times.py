"""Times of a mapped table as exact nanoseconds: numbers digit by digit, text as ISO 8601."""

import re

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from lob_backtest.book import BoolArray, IntArray
from lob_backtest.io.ladders import instants_ns, integers
from lob_backtest.io.mapping_yaml import TimeColumns
from lob_backtest.io.tables import Place

_DECIMALS = {"ns": 0, "us": 3, "ms": 6, "s": 9}  # of a unit that are nanoseconds
_NUMBER = r"^[0-9]{1,19}(\.[0-9]{1,30})?$"
_OFFSET = re.compile(r"(Z|[+-]\d\d:?\d\d)$")
_NS_PER_DAY = 86_400_000_000_000
_MOST_NS = 2**63 - 1


def time_ns(
    place: Place, batch: pa.RecordBatch, time: TimeColumns, names: dict[str, str]
) -> IntArray:
    """``(n,)`` UTC nanoseconds of the rows.

    Args:
        place: where they stand.
        batch: their columns.
        time: what the columns mean.
        names: of the columns in the batch: ``"time"``, and ``"date"`` where there is one.

    Raises:
        FormatError: naming the first row without a time, or with one that its time zone does not
            have or has twice.
    """
    column, name = batch.column(names["time"]), names["time"]
    place.refuse(column.is_null().to_numpy(zero_copy_only=False), f"{name} is missing")
    if time.is_time_of_day:
        of_day = _since_midnight(place, column, name, time.unit)
        out_of_day = (of_day < 0) | (of_day >= _NS_PER_DAY)
        place.refuse(out_of_day, f"{name} is no time of a day")
        day = time.day if time.day is not None else batch.column(names["date"])
        return _utc(place, _days_ns(place, day, batch.num_rows) + of_day, time.timezone, name)
    if pa.types.is_timestamp(column.type):
        instants = instants_ns(place, column, name)
        return instants if column.type.tz else _utc(place, instants, time.timezone, name)
    if time.unit == "iso":
        return _from_text(place, column, name, time.timezone)
    return _numbers_ns(place, column, name, time.unit)


def _since_midnight(place: Place, column: pa.Array, name: str, unit: str) -> IntArray:
    got = f"{name} is no time of day as 14:30:00.5"
    if pa.types.is_time(column.type):
        return _cast(place, column, pa.time64("ns"), got)
    if unit == "iso":
        text = pc.binary_join_element_wise("1970-01-01T", column.cast(pa.string()), "")
        return _cast(place, text, pa.timestamp("ns"), got)
    return _numbers_ns(place, column, name, unit)


def _numbers_ns(place: Place, column: pa.Array, name: str, unit: str) -> IntArray:
    decimals = _DECIMALS[unit]
    if not pa.types.is_string(column.type):
        whole = integers(place, pa.record_batch([column], names=[name]), name)
        _refuse_far(place, whole, decimals, name)
        scaled: IntArray = whole * 10**decimals
        return scaled
    fits = pc.match_substring_regex(column, _NUMBER).to_numpy(zero_copy_only=False)
    place.refuse(~fits, f"{name} is no number of {unit}")
    parts = pd.Series(column.to_pylist(), dtype="str").str.partition(".")
    fraction = parts[2].str.pad(decimals + 1, side="right", fillchar="0")
    digits = fraction.str.slice(0, decimals) if decimals else pd.Series("0", index=parts.index)
    rounding_up = fraction.str.slice(decimals, decimals + 1).to_numpy(dtype=np.int64) >= 5
    is_long = parts[0].str.len().to_numpy() > 18
    whole = parts[0].where(~is_long, parts[0].str.slice(0, 18)).to_numpy(dtype=np.int64)
    if is_long.any():
        exact = [min(int(text), _MOST_NS) for text in parts[0]]
        whole = np.array(exact, dtype=np.int64)
    _refuse_far(place, whole, decimals, name)
    ns: IntArray = whole * 10**decimals + digits.to_numpy(dtype=np.int64) + rounding_up
    return ns


def _refuse_far(place: Place, whole: IntArray, decimals: int, name: str) -> None:
    # A second less than the most, so that a fraction still fits.
    most = (_MOST_NS - 10**9) // 10**decimals
    place.refuse((whole > most) | (whole < 0), f"{name} is beyond the times that there are")


def _from_text(place: Place, column: pa.Array, name: str, timezone: str) -> IntArray:
    text = column.cast(pa.string())
    first = text[0].as_py() if len(text) else ""
    got = f"{name} is no time as 2024-01-05T14:30:00.5Z"
    if _OFFSET.search(first.partition("T")[2] or first.partition(" ")[2]):
        return _cast(place, text, pa.timestamp("ns", "UTC"), f"{got}, with an offset as the first")
    local = _cast(place, text, pa.timestamp("ns"), f"{got}, without an offset as the first")
    return _utc(place, local, timezone, name)


def _days_ns(place: Place, day: str | pa.Array, n: int) -> IntArray:
    if isinstance(day, str):
        return np.full(n, pd.Timestamp(day).as_unit("ns").value, dtype=np.int64)
    place.refuse(day.is_null().to_numpy(zero_copy_only=False), "the day is missing")
    if pa.types.is_date(day.type) or pa.types.is_timestamp(day.type):
        days = day.cast(pa.timestamp("ns"))
    else:
        text = pc.replace_substring_regex(
            day.cast(pa.string()), r"^(\d{4})(\d\d)(\d\d)$", r"\1-\2-\3"
        )
        return _cast(place, text, pa.timestamp("ns"), "the day is none as 2024-01-05")
    return instants_ns(place, days, "day")


def _utc(place: Place, local: IntArray, timezone: str, name: str) -> IntArray:
    """Instants of wall-clock times; refuses those that a change of clocks leaves out or repeats."""
    if timezone == "UTC":
        return local
    index = pd.DatetimeIndex(local.astype("datetime64[ns]"))
    utc = index.tz_localize(timezone, ambiguous="NaT", nonexistent="NaT")
    is_unclear: BoolArray = np.asarray(utc.isna())
    got = f"{name} is a time that {timezone} does not have, or has twice (clocks changed)"
    place.refuse(is_unclear, got, "give times in UTC or with an offset")
    return np.asarray(utc.as_unit("ns").asi8, dtype=np.int64)


def _cast(place: Place, column: pa.Array, to: pa.DataType, got: str) -> IntArray:
    try:
        return np.asarray(
            column.cast(to).cast(pa.int64()).to_numpy(zero_copy_only=False), dtype=np.int64
        )
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        place.refuse(np.array([not _casts(value, to) for value in column]), got)
        raise


def _casts(value: pa.Scalar, to: pa.DataType) -> bool:
    try:
        value.cast(to)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return False
    return True
