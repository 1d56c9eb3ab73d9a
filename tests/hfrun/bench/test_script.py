"""`scripts/bench` knows its benches."""

import importlib.util
import re
import subprocess
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[3] / "scripts/bench"


def test_without_a_bench_it_says_which_there_are() -> None:
    done = subprocess.run(["bash", SCRIPT], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert re.findall(r"^  scripts/bench ([\w-]+)", done.stderr, re.M) == [
        "score",
        "deeplob",
        "text",
        "text-runs",
        "hub",
        "quality",
    ]


def test_every_bench_is_a_module() -> None:
    modules = re.findall(r"module=([\w.]+)", SCRIPT.read_text("utf-8"))
    assert len(modules) == 6
    assert all(importlib.util.find_spec(name) is not None for name in modules)
