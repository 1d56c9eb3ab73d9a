"""The memory that a book of N rows takes while a fold is fitted, or the whole of it is predicted.

    fresh process   imports ─ a run over a few rows ─ idle ─ the same run over N rows
    held            ________╱‾‾╲____________________......╱‾‾╲╱‾‾‾‾╲___   peak - idle = data

What counts is memory that cannot be given back: anonymous and shared pages (RssAnon + RssShmem of
the process and those it started), read from outside every few milliseconds. Pages of files
(RssFile) stand beside it: the system drops them when it needs the room. The run over a few rows
goes through the same code first, so that libraries have loaded and allocators have taken what they
keep.

    ratio = (peak - idle) / (N * 4 L * 4 bytes)        the rows as the model's float32 input
"""

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hfrun.errors import HfrunError
from lob_backtest.book import write_book
from lob_backtest.command_line import EXIT_DONE, run_command
from lob_backtest.files import write_json
from lob_backtest.progress import announce
from lob_backtest.synthetic import synthetic_book

WANTED_RATIO = 1.5
CASES = ("fit", "predict")
FEW, IDLE = "few", "idle"

_FEW_ROWS = 20_000  # every batch is as full as in the long run
_ROWS_A_DAY = 250_000
_SAMPLE_SECONDS = 0.004
_IDLE_SECONDS = 0.1
_MIB = 2**20


def window_memory(n_rows: int, *, levels: int = 10, window: int = 100) -> dict[str, Any]:
    """Peak memory of the data of a training and of a prediction, as a multiple of the rows' size.

    Every event is a decision. The book is synthetic, a session for every 250,000 rows.

    Args:
        n_rows: N, rows of the book.
        levels: L, levels a side.
        window: T, rows a window.

    Returns:
        ``window_memory_ratio``, the larger of the cases' ratios, and the figures of each case.
    """
    rows_bytes = n_rows * 4 * levels * 4
    with tempfile.TemporaryDirectory() as folder:
        _write_books(Path(folder), n_rows=n_rows, levels=levels)
        cases = {case: _figures(case, Path(folder), window, rows_bytes) for case in CASES}
    return {
        "window_memory_ratio": max(figures["ratio"] for figures in cases.values()),
        "wanted_ratio": WANTED_RATIO,
        "rows": n_rows,
        "levels": levels,
        "window": window,
        "rows_float32_mib": rows_bytes / _MIB,
        **cases,
    }


def _write_books(folder: Path, *, n_rows: int, levels: int) -> None:
    """The book, and one of a few rows."""
    for name, rows in (("few", _FEW_ROWS), ("book", n_rows)):
        days = -(-rows // _ROWS_A_DAY)
        book = synthetic_book(
            days=days,
            rows_per_day=-(-rows // days),
            levels=levels,
            signal=float(levels > 1),
            seed=0,
        )
        write_book(book.rows(0, rows), folder / f"{name}.parquet")


def _figures(case: str, folder: Path, window: int, rows_bytes: int) -> dict[str, Any]:
    """Run one case in a process of its own, and what it held."""
    announce(f"memory: {case}")
    stages = watched(
        [sys.executable, "-m", "hfrun.bench.memory_cases", case, str(folder), str(window)]
    )
    few, idle = stages.pop(FEW), stages.pop(IDLE)
    peak = max(held.pinned for held in stages.values())
    return {
        "ratio": (peak - idle.pinned) / rows_bytes,
        "data_mib": (peak - idle.pinned) / _MIB,
        "idle_mib": idle.pinned / _MIB,
        "peak_mib": peak / _MIB,
        "peak_of_few_rows_mib": few.pinned / _MIB,
        "files_mib": max(held.files for held in stages.values()) / _MIB,
        "stages_mib": {name: (held.pinned - idle.pinned) / _MIB for name, held in stages.items()},
    }


def watched(command: Sequence[str]) -> "dict[str, Held]":
    """The most that each stage of a process holds, by the name that it prints at its beginning.

    All before the line ``idle`` is the stage ``few``. The process is to wait then for a line; it
    gets one when enough has been seen of its idleness.

    Raises:
        HfrunError: the process fails, or the system has no /proc.
    """
    if not Path("/proc/self/status").exists():
        raise HfrunError("the memory bench reads /proc, which this system has not; run it on Linux")
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        watch = _Watch(child.pid)
        assert child.stdin is not None
        assert child.stdout is not None
        for line in child.stdout:
            if line.strip() == IDLE:
                watch.begin(IDLE)
                while IDLE not in watch.peaks:
                    time.sleep(_IDLE_SECONDS)
                child.stdin.write("go\n")
                child.stdin.flush()
            elif IDLE in watch.peaks:
                watch.begin(line.strip())
        watch.stop()
    if child.returncode:
        raise HfrunError(f"{' '.join(command[1:4])} ended with code {child.returncode}; see above")
    return watch.peaks


class Held:
    """Bytes that a process and its children hold: not to be given back, and of files."""

    def __init__(self, pinned: int = 0, files: int = 0) -> None:
        self.pinned = pinned
        self.files = files

    def __or__(self, other: "Held") -> "Held":
        return Held(max(self.pinned, other.pinned), max(self.files, other.files))


class _Watch:
    """Reads what a process holds every few milliseconds, and keeps the peak of each stage."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._stage = FEW
        self._is_over = threading.Event()
        self.peaks: dict[str, Held] = {}
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def begin(self, stage: str) -> None:
        """What is held from now on belongs to a stage."""
        self._stage = stage

    def stop(self) -> None:
        """End the reading."""
        self._is_over.set()
        self._thread.join()

    def _read(self) -> None:
        while not self._is_over.wait(_SAMPLE_SECONDS):
            # The stage first: what is seen late is held against the stage that made it.
            stage, held = self._stage, held_by(self._pid)
            self.peaks[stage] = self.peaks.get(stage, Held()) | held


def held_by(pid: int) -> Held:
    """What a process and those it started hold now; pages that they share count for each."""
    total = Held()
    for each in (pid, *_children(pid)):
        try:
            status = Path(f"/proc/{each}/status").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has just ended
        sizes = dict(line.split(":", 1) for line in status.splitlines())
        kib = {name: int(sizes.get(name, "0 kB").split()[0]) for name in
               ("RssAnon", "RssShmem", "RssFile")}  # fmt: skip
        total.pinned += 1024 * (kib["RssAnon"] + kib["RssShmem"])
        total.files += 1024 * kib["RssFile"]
    return total


def _children(pid: int) -> list[int]:
    try:
        words = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except (FileNotFoundError, ProcessLookupError):
        return []
    return [each for word in words for each in (int(word), *_children(int(word)))]


def main(argv: Sequence[str] | None = None) -> int:
    """The command line of the memory bench."""
    parser = argparse.ArgumentParser(
        prog="python -m hfrun.bench.memory",
        description="Measure the memory that a book's rows take in a training and a prediction.",
    )
    parser.add_argument("--json", type=Path, required=True, metavar="FILE")
    parser.add_argument("--rows", type=int, default=1_000_000, metavar="N")
    parser.add_argument("--levels", type=int, default=10, metavar="L")
    parser.add_argument("--window", type=int, default=100, metavar="T")
    parser.set_defaults(run=_run)
    return run_command(parser, argv)


def _run(arguments: argparse.Namespace) -> int:
    found = window_memory(arguments.rows, levels=arguments.levels, window=arguments.window)
    write_json(arguments.json, found)
    announce(json.dumps(found, indent=2))
    announce(
        f"window_memory_ratio {found['window_memory_ratio']:.2f} (wanted: at most {WANTED_RATIO}); "
        f"{arguments.json}"
    )
    return EXIT_DONE


if __name__ == "__main__":
    sys.exit(main())
