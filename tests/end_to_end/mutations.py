"""Ways to spoil a good table, drawn at random: its rows, cells, columns and metadata.

A mutation is a function of what is to be spoilt and comes with words that say what it does, so that
a failing example can be read. Nothing here knows what the package makes of it.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import strategies as st

NS_PER_DAY = 86_400_000_000_000
INTEGERS = (
    0, 1, -1, 2, 3, 127, -128, 2**31, -(2**31), 2**53, 2**53 + 1, 2**61, 2**62, -(2**62), 2**63 - 1,
    -(2**63), 9_999_999_999,
)  # fmt: skip
FLOATS = (
    float("nan"), float("inf"), float("-inf"), -1.0, 0.0, -0.0, 1.0, 0.5, 1 / 3, 2.0, 1e300, -1e300,
    1.7e308, 1e-300, 5e-324, 1e15, 1e18, 2.0**53,
    2.0**62,
)  # fmt: skip
STEPS = (1, -1, 2, 1000, 10**9, -(10**9), NS_PER_DAY, -NS_PER_DAY, 365 * NS_PER_DAY, 2**62)
FACTORS = (-1.0, 0.0, 0.5, 1.001, 0.999, 2.0, 1e-9, 1e3, 1e6, 1e9, 1e300)
TYPES: dict[str, pa.DataType] = {
    "string": pa.string(), "large_string": pa.large_string(), "float16": pa.float16(),
    "float32": pa.float32(), "float64": pa.float64(), "int8": pa.int8(), "int32": pa.int32(),
    "int64": pa.int64(), "uint64": pa.uint64(), "bool": pa.bool_(), "binary": pa.binary(),
    "timestamp": pa.timestamp("ns"), "timestamp_utc": pa.timestamp("ns", "UTC"),
    "duration": pa.duration("ns"), "date": pa.date32(),
    "decimal": pa.decimal128(38, 6), "null": pa.null(), "list": pa.list_(pa.float64()),
    "struct": pa.struct([("a", pa.float64())]),
    "dictionary": pa.dictionary(pa.int32(), pa.string()),
}  # fmt: skip


@dataclass(frozen=True)
class Mutation:
    """What is done, in words, and a function that does it."""

    what: str
    apply: Callable[[Any], Any]

    def __repr__(self) -> str:
        return f"<{self.what}>"


@dataclass(frozen=True)
class Columns:
    """A table as a list: names may repeat and types may be anything."""

    names: list[str]
    arrays: list[pa.Array]
    metadata: dict[bytes, bytes]

    @classmethod
    def of(cls, table: pa.Table) -> "Columns":
        arrays = [column.combine_chunks() for column in table.columns]
        return cls(list(table.column_names), arrays, dict(table.schema.metadata or {}))

    @property
    def n_rows(self) -> int:
        return len(self.arrays[0]) if self.arrays else 0

    def rows(self, places: Sequence[int]) -> "Columns":
        """These rows, in this order."""
        index = pa.array(places, pa.int64())
        return Columns(self.names, [array.take(index) for array in self.arrays], self.metadata)

    def with_array(self, at: int, array: pa.Array) -> "Columns":
        return Columns(
            self.names, [*self.arrays[:at], array, *self.arrays[at + 1 :]], self.metadata
        )

    def table(self) -> pa.Table:
        fields = [
            pa.field(name, array.type) for name, array in zip(self.names, self.arrays, strict=True)
        ]
        return pa.Table.from_arrays(self.arrays, schema=pa.schema(fields, self.metadata))

    def write(self, path: Any, **options: Any) -> None:
        pq.write_table(self.table(), path, **options)


def retyped(array: pa.Array, wanted: pa.DataType) -> pa.Array:
    """The values as another type: cast where that works, otherwise whatever can be had."""
    try:
        return array.cast(wanted, safe=False)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        pass
    values = array.to_pylist()
    for made in (
        lambda v: wanted.to_pandas_dtype()(v),
        lambda v: Decimal(str(v)),
        lambda v: str(v).encode(),
        lambda v: [float(v)],
        lambda v: {"a": 1.0},
        lambda v: None,
    ):
        try:
            return pa.array([made(value) for value in values], wanted)
        except Exception:  # the next way
            continue
    raise AssertionError(wanted)


def cell_changed(
    columns: Columns, at: int, rows: Sequence[int], change: Callable[[Any], Any]
) -> Columns:
    """Some cells of a column changed, the column's type kept where it can hold the result."""
    array = columns.arrays[at]
    values = array.to_pylist()
    for row in rows:
        values[row] = change(values[row])
    try:
        return columns.with_array(at, pa.array(values, array.type))
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError, TypeError, ValueError):
        return columns


def stepped(step: int) -> Callable[[Any], Any]:
    def change(value: Any) -> Any:
        if not isinstance(value, int) or isinstance(value, bool):
            return value
        return min(max(value + step, -(2**63)), 2**63 - 1)

    return change


@st.composite
def row_mutations(draw: st.DrawFn, n: int) -> Mutation:
    """Rows dropped, repeated, swapped, turned or shuffled."""
    kind = draw(
        st.sampled_from(
            ("drop one", "drop some", "head", "tail", "repeat", "twice", "swap", "turn", "shuffle",
             "none left", "one left", "interleave")
        )
    )  # fmt: skip
    a, b = draw(st.integers(0, n - 1)), draw(st.integers(0, n - 1))
    seed = draw(st.integers(0, 2**16))
    rng = np.random.default_rng(seed)
    whole = list(range(n))
    places = {
        "drop one": lambda: [i for i in whole if i != a],
        "drop some": lambda: [i for i in whole if rng.random() > 0.1],
        "head": lambda: whole[: a + 1],
        "tail": lambda: whole[a:],
        "repeat": lambda: [*whole[: a + 1], *whole[a:]],
        "twice": lambda: whole + whole,
        "swap": lambda: [b if i == a else a if i == b else i for i in whole],
        "turn": lambda: whole[::-1],
        "shuffle": lambda: rng.permutation(n).tolist(),
        "none left": list,
        "one left": lambda: [a],
        "interleave": lambda: [i for i in whole for _ in range(2)],
    }[kind]()
    kept = [place for place in places if place < n]

    def apply(columns: Columns) -> Columns:
        return columns.rows([place for place in kept if place < columns.n_rows])

    return Mutation(f"rows: {kind} ({a}, {b}, {seed})", apply)


@st.composite
def cell_mutations(draw: st.DrawFn, names: Sequence[str], n: int) -> Mutation:
    """One, some or all cells of a column: special values, other values, other rows' values."""
    name = draw(st.sampled_from(names))
    where = draw(st.sampled_from(("one", "one", "one", "last", "first", "some", "all")))
    row, seed = draw(st.integers(0, n - 1)), draw(st.integers(0, 2**16))
    kind = draw(st.sampled_from(("special", "special", "step", "factor", "add", "null", "text")))
    value: Any = {
        "special": lambda: (draw(st.sampled_from(INTEGERS)), draw(st.sampled_from(FLOATS))),
        "step": lambda: draw(st.sampled_from(STEPS)),
        "factor": lambda: draw(st.sampled_from(FACTORS)),
        "add": lambda: draw(st.sampled_from((1e-3, -1e-3, 1e-5, 1e-12, 1.0))),
        "null": lambda: None,
        "text": lambda: draw(st.sampled_from(("", "OTHER", "TEST ", "\0", "é" * 40))),
    }[kind]()
    what = f"cells of {name}: {where} (row {row}, {seed}) {kind} {value}"

    def change(old: Any) -> Any:
        if kind == "null":
            return None
        if kind == "text":
            return value if isinstance(old, str) else old
        if isinstance(old, bool) or not isinstance(old, int | float):
            return old
        if kind == "special":
            return value[0] if isinstance(old, int) else value[1]
        if isinstance(old, int):
            if kind == "factor":
                return int(min(max(old * value, -(2.0**62)), 2.0**62))
            return stepped(value if kind == "step" else 1)(old)
        return old * value if kind == "factor" else old + value

    def apply(columns: Columns) -> Columns:
        if name not in columns.names or not columns.n_rows:
            return columns
        count = columns.n_rows
        rows = {
            "one": [row % count], "first": [0], "last": [count - 1], "all": list(range(count)),
            "some": [i for i in range(count) if np.random.default_rng(seed + i).random() < 0.1],
        }[where]  # fmt: skip
        return cell_changed(columns, columns.names.index(name), rows, change)

    return Mutation(what, apply)


@st.composite
def column_mutations(draw: st.DrawFn, names: Sequence[str]) -> Mutation:
    """Columns dropped, renamed, swapped, repeated, exchanged, added or of another type."""
    kind = draw(
        st.sampled_from(
            ("drop", "rename", "rename to other", "swap", "shuffle", "repeat", "repeat renamed",
             "exchange values", "add", "type", "type", "type", "shift", "all floats")
        )
    )  # fmt: skip
    a, b = draw(st.integers(0, len(names) - 1)), draw(st.integers(0, len(names) - 1))
    wanted, seed = draw(st.sampled_from(sorted(TYPES))), draw(st.integers(0, 2**16))

    def apply(columns: Columns) -> Columns:
        if not columns.arrays:
            return columns
        own, arrays = list(columns.names), list(columns.arrays)
        i, j = a % len(own), b % len(own)
        if kind == "drop":
            del own[i], arrays[i]
        elif kind == "rename":
            own[i] = draw_name(own[i], seed)
        elif kind == "rename to other":
            own[i] = own[j]
        elif kind == "swap":
            own[i], own[j], arrays[i], arrays[j] = own[j], own[i], arrays[j], arrays[i]
        elif kind == "shuffle":
            order = np.random.default_rng(seed).permutation(len(own))
            own, arrays = [own[k] for k in order], [arrays[k] for k in order]
        elif kind.startswith("repeat"):
            own.append(own[i] if kind == "repeat" else f"{own[i]}_2")
            arrays.append(arrays[i])
        elif kind == "exchange values":
            arrays[i], arrays[j] = arrays[j], arrays[i]
        elif kind == "add":
            own.append("note")
            arrays.append(retyped(arrays[i], TYPES[wanted]))
        elif kind == "shift" and len(arrays[i]):
            arrays[i] = arrays[i].take(pa.array(np.roll(np.arange(len(arrays[i])), 1)))
        elif kind == "all floats":
            arrays = [
                retyped(array, pa.float64()) if pa.types.is_integer(array.type) else array
                for array in arrays
            ]
        elif kind == "type":
            arrays[i] = retyped(arrays[i], TYPES[wanted])
        return Columns(own, arrays, columns.metadata)

    words = f" to {wanted}" if kind in ("type", "add") else ""
    return Mutation(f"columns: {kind} {names[a]}, {names[b]}{words} ({seed})", apply)


def draw_name(name: str, seed: int) -> str:
    options = (f"{name} ", name.upper(), "", f"{name}_x", name[:-1], "index", "__index_level_0__")
    return options[seed % len(options)]


META_VALUES: tuple[Any, ...] = (
    None, "", "OTHER", 0, 0.0, -0.01, 1, 0.1, float("nan"), float("inf"), 1e300, 1e-320, 5e-324,
    "0.01", True, [], {}, "UTC", "America/New_York", "Asia/Tokyo", "Mars/Olympus", "../UTC",
    "/etc/passwd", "UTC+25", "\0", "16:00", "09:30", "00:00", "24:00", "25:00", "9:5", "09:30:00",
    "0930", "-1:00", "०९:३०", "x" * 5000,
)  # fmt: skip
RAW_META = (b"", b"null", b"[]", b"{", b"\xff\xfe", b"{}", b"1e999", b'"x"', b"[" * 100_000)


@st.composite
def metadata_mutations(draw: st.DrawFn, key: bytes) -> Mutation:
    """Metadata missing, cut off, or with another value."""
    kind = draw(st.sampled_from(("drop", "raw", "value", "value", "value", "key", "hours")))
    name = draw(
        st.sampled_from(
            ("instrument", "tick_size", "currency", "timezone", "session_open", "session_close",
             "source")
        )
    )  # fmt: skip
    value, raw = draw(st.sampled_from(META_VALUES)), draw(st.sampled_from(RAW_META))

    def apply(columns: Columns) -> Columns:
        metadata = dict(columns.metadata)
        if kind == "drop" or key not in metadata:
            metadata.pop(key, None)
            return Columns(columns.names, columns.arrays, metadata)
        if kind == "raw":
            metadata[key] = raw
            return Columns(columns.names, columns.arrays, metadata)
        try:
            values = json.loads(metadata[key])
            if kind == "value":
                values[name] = value
            elif kind == "key":
                values["other"] = values.pop(name)
            else:
                values |= {"session_open": "16:00", "session_close": "09:30"}
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return columns
        metadata[key] = json.dumps(values).encode()
        return Columns(columns.names, columns.arrays, metadata)

    return Mutation(f"metadata: {kind} {name}={str(value)[:40]!r} {raw[:10]!r}", apply)
