"""LOBSTER days of any length, written block by block, and the memory that reading one takes."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

_BLOCK = 50_000
_OPENING_NS = 34_200_000_000_000
_SESSION_NS = 23_400_000_000_000
# VmHWM is of the child alone; getrusage would begin with what this process has.
_IMPORT_AND_MEASURE = """
import re, sys
from pathlib import Path
from lob_backtest.cli import main
code = main(sys.argv[1:])
print("peak_kib", re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])
sys.exit(code)
"""


def big_rows(start: int, n: int, levels: int) -> np.ndarray:
    """``(n, 4 levels)`` whole numbers in LOBSTER's columns and units; row i depends on i alone."""
    i = np.arange(start, start + n, dtype=np.int64)[:, None]
    depth = np.arange(levels, dtype=np.int64)
    mid = 1_000_000 + 100 * ((i // 7) % 501 - 250)
    table = np.empty((n, 4 * levels), dtype=np.int64)
    table[:, 0::4], table[:, 2::4] = mid + 100 * (1 + depth), mid - 100 * (1 + depth)
    table[:, 1::4], table[:, 3::4] = 1 + (i + 3 * depth) % 97, 1 + (i * 5 + depth) % 89
    return table


def big_times_ns(start: int, n: int, n_rows: int) -> np.ndarray:
    """Nanoseconds after midnight, evenly over the session."""
    return _OPENING_NS + np.arange(start, start + n, dtype=np.int64) * (_SESSION_NS // n_rows)


def write_big_day(folder: Path, *, n_rows: int, levels: int) -> Path:
    """The two tables of a day; gives the orderbook's path."""
    name = f"BIG_2020-01-06_34200000_57600000_{{}}_{levels}.csv"
    orderbook, message = (folder / name.format(table) for table in ("orderbook", "message"))
    line = ",".join(["%d"] * (4 * levels)) + "\n"
    with orderbook.open("w") as books, message.open("w") as messages:
        for start in range(0, n_rows, _BLOCK):
            n = min(_BLOCK, n_rows - start)
            books.write(line * n % tuple(big_rows(start, n, levels).ravel().tolist()))
            times = big_times_ns(start, n, n_rows).tolist()
            messages.write(
                "".join(f"{ns // 10**9}.{ns % 10**9:09d},1,7,100,1000000,1\n" for ns in times)
            )
    return orderbook


def import_in_a_child(path: Path, out: Path, *, memory_mb: int) -> tuple[dict[str, Any], float]:
    """What ``lob-backtest import lobster --json`` says, and its peak memory in MiB."""
    arguments = ["import", "lobster", str(path), "-o", str(out), "--memory-mb", str(memory_mb)]
    done = subprocess.run(
        [sys.executable, "-c", _IMPORT_AND_MEASURE, *arguments, "--json"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    told, _, peak = done.stdout.rpartition("peak_kib ")
    return json.loads(told), int(peak) / 1024
