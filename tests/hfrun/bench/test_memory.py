"""The memory bench sees what cannot be given back, and the rows of a run stay below their size."""

import sys
import tempfile
from pathlib import Path

import pytest

from hfrun.bench.memory import FEW, IDLE, WANTED_RATIO, held_by, watched, window_memory
from hfrun.errors import HfrunError
from lob_backtest.book.mapped import scratch_folder

MIB = 2**20

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="the bench reads Linux's /proc"
)

_CHILD = """
import mmap, subprocess, sys, time

def seen():
    time.sleep(0.1)  # many samples long

print("ignored", flush=True)
first = bytearray(b"x") * (16 * 2**20)
seen()
del first
print("idle", flush=True)
sys.stdin.readline()
print("array", flush=True)
array = bytearray(b"x") * (48 * 2**20)
seen()
del array
print("file", flush=True)
with open(sys.argv[1], "r+b") as file:
    rows = mmap.mmap(file.fileno(), 0)
for start in range(0, len(rows), 2**20):
    rows[start : start + 2**20] = b"y" * 2**20
seen()
print("child", flush=True)
subprocess.run([sys.executable, "-c", "import time; b = bytearray(b'x') * 2**26; time.sleep(0.2)"])
"""


def test_arrays_and_children_count_and_files_do_not() -> None:
    with tempfile.NamedTemporaryFile(dir=scratch_folder()) as file:
        file.write(bytes(32 * MIB))
        file.flush()
        peaks = watched([sys.executable, "-c", _CHILD, file.name])
    assert list(peaks) == [FEW, IDLE, "array", "file", "child"]
    data = {name: (held.pinned - peaks[IDLE].pinned) / MIB for name, held in peaks.items()}
    assert 15 < data[FEW] < 20
    assert 47 < data["array"] < 52
    assert data["child"] > 64
    assert data["file"] < 4
    assert 31 < (peaks["file"].files - peaks[IDLE].files) / MIB < 40


def test_what_has_ended_holds_nothing() -> None:
    nobody = 2**22 + 1  # above the greatest number of a process
    held = held_by(nobody)
    assert (held.pinned, held.files) == (0, 0)


def test_a_case_that_fails_is_told_with_its_code() -> None:
    with pytest.raises(HfrunError, match="ended with code 3; see above"):
        watched([sys.executable, "-c", "raise SystemExit(3)"])


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("window", [20, 100, 300])
def test_a_runs_rows_take_at_most_one_and_a_half_times_their_size(window: int) -> None:
    found = window_memory(1_000_000, window=window)
    assert 0 < found["fit"]["ratio"] <= WANTED_RATIO, found
    assert 0 < found["predict"]["ratio"] <= WANTED_RATIO, found
    assert found["window_memory_ratio"] == max(found["fit"]["ratio"], found["predict"]["ratio"])
    print(f"window {window}: {found}")
