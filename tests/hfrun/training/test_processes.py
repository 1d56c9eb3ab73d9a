"""One process equals two: the same losses, norms, metrics and weights."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

SCRIPT = Path(__file__).with_name("train_in_processes.py")
COMPARED = (
    "loss", "grad_norm", "grad_norm_p95", "learning_rate", "eval_loss", "eval_f1_weighted",
    "train_loss", "train_accuracy", "train_eval_gap", "step",
)  # fmt: skip


def in_this_process(out: Path) -> dict[str, Any]:
    spec = importlib.util.spec_from_file_location(SCRIPT.stem, SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.main(out)
    return json.loads((out / "found.json").read_text())


def in_two_processes(out: Path) -> dict[str, Any]:
    # accelerate launch --cpu --num_processes 2 would silently start one
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    done = subprocess.run(
        [sys.executable, *launcher, str(SCRIPT), str(out)],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads((out / "found.json").read_text())


def test_two_processes_train_as_one_does(tmp_path: Path) -> None:
    one, two = in_this_process(tmp_path / "one"), in_two_processes(tmp_path / "two")
    assert (one["processes"], two["processes"]) == (1, 2)
    assert len(one["history"]) == len(two["history"]) == 10 + 2 + 1
    for alone, together in zip(one["history"], two["history"], strict=True):
        want = {name: alone[name] for name in COMPARED if name in alone}
        assert {name: together[name] for name in want} == pytest.approx(want, rel=1e-4, abs=1e-6)
    for want, got in zip(one["weights"], two["weights"], strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-6)
