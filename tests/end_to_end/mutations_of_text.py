"""Ways to spoil a good file as bytes, as text, or as nested values of YAML and JSON."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

import numpy as np
from hypothesis import strategies as st

from tests.end_to_end.mutations import Mutation


@st.composite
def byte_mutations(draw: st.DrawFn) -> Mutation:
    """A file cut off, with flipped, overwritten, inserted or lost bytes, or of something else."""
    kind = draw(
        st.sampled_from(
            ("cut", "cut", "flip", "flip", "flip", "zeros", "insert", "lose", "empty", "text",
             "twice", "noise", "head", "tail flip")
        )
    )  # fmt: skip
    share = draw(st.floats(0, 1, exclude_max=True))
    bit, width = draw(st.integers(0, 7)), draw(st.integers(1, 64))

    def apply(data: bytes) -> bytes:
        if not data:
            return data
        at = int(share * len(data))
        if kind == "tail flip":  # the footer of a Parquet file
            at, some = len(data) - 1 - int(share * min(len(data) - 1, 3000)), bytearray(data)
            some[at] ^= 1 << bit
            return bytes(some)
        if kind == "flip":
            some = bytearray(data)
            some[at] ^= 1 << bit
            return bytes(some)
        return {
            "cut": lambda: data[:at],
            "zeros": lambda: data[:at] + b"\0" * len(data[at : at + width]) + data[at + width :],
            "insert": lambda: data[:at] + bytes([bit]) * width + data[at:],
            "lose": lambda: data[:at] + data[at + width :],
            "empty": lambda: b"",
            "text": lambda: b"a,b,c\n1,2,3\n",
            "twice": lambda: data + data,
            "noise": lambda: np.random.default_rng(width).bytes(len(data)),
            "head": lambda: data[:4] + data[-4:],
        }[kind]()

    return Mutation(f"bytes: {kind} at {share:.6f}, bit {bit}, width {width}", apply)


JUNK: tuple[Any, ...] = (
    None, "", "x", -1, 0, 1, 2, 3, 0.5, 1.5, -0.5, float("nan"), float("inf"), float("-inf"), 1e300,
    1e18, 1e-300, 2**31, 2**53 + 1, 2**62, 2**63, 2**70, 10**400, True, False, [], {}, [1], [None],
    {"a": 1}, "1e-4", "nan", "1_0", "0x10", [0.4, float("nan")], "2020-01-01",
)  # fmt: skip


@st.composite
def tree_mutations(
    draw: st.DrawFn, good: Mapping[tuple[Any, ...], Sequence[Any]] | None = None
) -> Mutation:
    """A value of nested mappings and lists replaced, lost, renamed, or put beside an unknown one.

    Args:
        good: other values that may make sense, by their place.
    """
    share = draw(st.floats(0, 1, exclude_max=True))
    chosen: tuple[Any, ...] | None = None
    if good and draw(st.booleans()):
        chosen, kind = draw(st.sampled_from(sorted(good))), "other"
        value = draw(st.sampled_from(good[chosen]))
    else:
        kind = draw(st.sampled_from(("junk", "junk", "junk", "lose", "rename", "add")))
        value = draw(st.sampled_from(JUNK))

    def apply(tree: Any) -> Any:
        tree = deepcopy(tree)
        paths = paths_of(tree)
        if not paths:
            return tree
        path, target = chosen or paths[int(share * len(paths))], tree
        try:
            for key in path[:-1]:
                target = target[key]
            if kind == "lose":
                del target[path[-1]]
            elif kind == "rename":
                target[f"{path[-1]}s"] = target.pop(path[-1])
            elif kind == "add":
                target["note"] = value
            else:
                target[path[-1]] = value
        except (LookupError, TypeError, AttributeError):
            pass  # an earlier mutation took the place away
        return tree

    words = "" if kind in ("lose", "rename") else f" {str(value)[:60]!r}"
    return Mutation(f"{chosen or f'value at {share:.6f}'}: {kind}{words}", apply)


def paths_of(tree: Any, *, deepest: int = 6) -> list[tuple[Any, ...]]:
    """Every place in nested mappings and lists (of a list only the first and the last item)."""
    if deepest == 0 or not isinstance(tree, dict | list) or not tree:
        return []
    keys = list(tree) if isinstance(tree, dict) else sorted({0, len(tree) - 1})
    found: list[tuple[Any, ...]] = []
    for key in keys:
        found.append((key,))
        found += [(key, *rest) for rest in paths_of(tree[key], deepest=deepest - 1)]
    return found


TEXTS = (
    "\t", "a: [", "&a [*a]", "!!python/object/apply:os.system [ls]", "x: 2020-13-45", "x: 0b_",
    "x: ._", "x: !!int abc", "x: 2020-01-01T00:00:00+99:00", "- " * 3000, "[" * 3000,
    "? [1, 2]\n: 3", "<<: 1", "data: 1", "backtest: {latency_ns: 7}", "\0", "é",
    "data:\n  window: 5",
    "%YAML 9.9", "--- 1\n--- 2", "*unknown", "a: &b {<<: *b}", "x: !!timestamp 1", "x: !!set [1]",
    "x: !!binary '='", "x: {1: 2, 1: 3}",
)  # fmt: skip


@st.composite
def text_mutations(draw: st.DrawFn) -> Mutation:
    """Text with a strange line in it, a line lost, repeated, moved or turned."""
    kind = draw(st.sampled_from(("add", "add", "lose", "repeat", "swap", "indent", "alone")))
    line, share, other = draw(st.sampled_from(TEXTS)), draw(st.floats(0, 1)), draw(st.floats(0, 1))

    def apply(data: bytes) -> bytes:
        lines = data.decode("utf-8", "replace").split("\n")
        a, b = (int(part * (len(lines) - 1)) for part in (share, other))
        if kind == "add":
            lines.insert(a, line)
        elif kind == "lose":
            del lines[a]
        elif kind == "repeat":
            lines.insert(b, lines[a])
        elif kind == "swap":
            lines[a], lines[b] = lines[b], lines[a]
        elif kind == "indent":
            lines[a] = f"  {lines[a]}"
        else:
            lines = [line]
        return "\n".join(lines).encode()

    return Mutation(f"text: {kind} {line[:30]!r} at {share:.4f}, {other:.4f}", apply)


FIELDS = (
    "", " ", "nan", "NaN", "inf", "-inf", "-1", "0", "-0", "1", "2", "1e300", "1e-300", "9" * 25,
    "9223372036854775807", "9223372036854775808", "-9223372036854775808", "9999999999", "abc",
    "1_0", "0x1A", "１２", "5.0", "5.5", "+5", " 5", "5 ", "1e2", "TRUE", "null", "NA", "\0", "é",
    '"', '"5"', "5;6", "2012-13-45 00:00:00", "2020-03-03 21:45:14", "2020-03-03T21:45:14Z",
    "1.00000000000000000001", "0.1", "1e", ".5", "5.", "--5", "1,5", "\r", "\t5",
)  # fmt: skip


@st.composite
def csv_mutations(draw: st.DrawFn) -> Mutation:
    """Lines and fields of delimited text changed, lost, repeated, moved."""
    kind = draw(
        st.sampled_from(
            ("field", "field", "field", "field", "scale", "copy", "drop line", "repeat line",
             "swap lines", "shuffle", "turn", "drop field", "add field", "drop column",
             "swap columns", "carriage returns", "mark", "blank line", "tabs", "no end", "quoted")
        )
    )  # fmt: skip
    share, other, third = (draw(st.floats(0, 1, exclude_max=True)) for _ in range(3))
    value, factor = draw(st.sampled_from(FIELDS)), draw(st.sampled_from(("0", "00", ".5", "-")))

    def apply(data: bytes) -> bytes:
        rows = [line.split(",") for line in data.decode("utf-8", "replace").split("\n")]
        a, b = int(share * len(rows)), int(other * len(rows))
        at, to = int(third * len(rows[a])), int(other * len(rows[a]))
        if kind == "field":
            rows[a][at] = value
        elif kind == "scale":
            old = rows[a][at]
            rows[a][at] = factor + old if factor == "-" else old + factor
        elif kind == "copy":
            rows[a][at] = rows[b][min(at, len(rows[b]) - 1)]
        elif kind == "drop line":
            del rows[a]
        elif kind == "repeat line":
            rows.insert(b, list(rows[a]))
        elif kind == "swap lines":
            rows[a], rows[b] = rows[b], rows[a]
        elif kind == "shuffle":
            order = np.random.default_rng(int(other * 1000)).permutation(len(rows))
            rows = [rows[i] for i in order]
        elif kind == "turn":
            rows = rows[::-1]
        elif kind == "drop field":
            del rows[a][at]
        elif kind == "add field":
            rows[a].insert(at, value)
        elif kind == "drop column":
            rows = [row[:at] + row[at + 1 :] for row in rows]
        elif kind == "swap columns":
            i, j = sorted((at, to))
            rows = [
                [*row[:i], row[j], *row[i + 1 : j], row[i], *row[j + 1 :]]
                if i < j < len(row)
                else row
                for row in rows
            ]
        elif kind == "blank line":
            rows.insert(a, [""])
        elif kind == "quoted":
            rows[a][at] = f'"{rows[a][at]}"'
        text = "\n".join(",".join(row) for row in rows)
        return {
            "carriage returns": text.replace("\n", "\r\n"),
            "mark": f"\ufeff{text}",
            "tabs": text.replace(",", "\t"),
            "no end": text.rstrip("\n"),
        }.get(kind, text).encode("utf-8", "replace")

    return Mutation(
        f"csv: {kind} at {share:.4f}, {other:.4f}, {third:.4f} {value!r} {factor}", apply
    )
