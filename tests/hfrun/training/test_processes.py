"""One process equals two: the same losses, norms, metrics and weights.

A model with batch norms learns otherwise on two, as each sees its own part of a batch. It is still
given every decision, evaluated as it will predict, and taken up again where it was ended.
"""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from hfrun.fitting import FoldFiles
from tests.hfrun.fold_case import assert_same_results, validation_figures
from tests.hfrun.text_run_case import TextHome

SCRIPT = Path(__file__).with_name("train_in_processes.py")
FIT = Path(__file__).with_name("fit_in_processes.py")
TEXTS = Path(__file__).with_name("texts_in_processes.py")
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
    launch_two(SCRIPT, out)
    return json.loads((out / "found.json").read_text())


def launch_two(script: Path, out: Path) -> None:
    # accelerate launch --cpu --num_processes 2 would silently start one
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    done = subprocess.run(
        [sys.executable, *launcher, str(script), str(out)],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_two_processes_train_as_one_does(tmp_path: Path) -> None:
    one, two = in_this_process(tmp_path / "one"), in_two_processes(tmp_path / "two")
    assert (one["processes"], two["processes"]) == (1, 2)
    assert len(one["history"]) == len(two["history"]) == 10 + 2 + 1
    for alone, together in zip(one["history"], two["history"], strict=True):
        want = {name: alone[name] for name in COMPARED if name in alone}
        assert {name: together[name] for name in want} == pytest.approx(want, rel=1e-4, abs=1e-6)
    for want, got in zip(one["weights"], two["weights"], strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-6)


def test_two_processes_fit_every_decision_and_evaluate_what_they_predict(tmp_path: Path) -> None:
    launch_two(FIT, tmp_path)
    drawn = [json.loads((tmp_path / f"drawn-{rank}.json").read_text()) for rank in (0, 1)]
    train, steps = drawn[0]["train"], 5  # 57 decisions in steps of 14
    for epoch in (0, 1):
        part = slice(epoch * steps, (epoch + 1) * steps)
        given = [row for process in drawn for batch in process["whole"][part] for row in batch]
        assert len(given) == 2 * 7 * steps
        assert sorted(set(given)) == train  # the last step is filled up with some of the first
        assert given != train
    assert drawn[0]["whole"][:steps] != drawn[0]["whole"][steps:]
    for process in drawn:  # from the checkpoint after the second epoch's first step on
        assert process["resumed"] == process["whole"][steps + 1 :]
    whole, resumed = FoldFiles(tmp_path / "whole"), FoldFiles(tmp_path / "killed")
    accuracy, loss = validation_figures(whole)
    figures = whole.read_figures()
    assert accuracy == pytest.approx(figures["eval_accuracy"], abs=1e-12)
    assert loss == pytest.approx(figures["eval_loss"], abs=1e-6)
    assert_same_results(whole, resumed)


def test_two_processes_train_on_texts_as_one_does(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    TextHome.make(tmp_path / "home")
    alone = subprocess.run(
        [sys.executable, str(TEXTS), str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert alone.returncode == 0, alone.stderr
    launch_two(TEXTS, tmp_path)
    one, two = (
        [json.loads(line) for line in (tmp_path / name / "metrics.jsonl").read_text().splitlines()]
        for name in ("run1", "run2")
    )
    assert len(one) == len(two) == 12 + 2 + 1
    for want, got in zip(one, two, strict=True):
        shared = {name: want[name] for name in COMPARED if name in want}
        assert {name: got[name] for name in shared} == pytest.approx(shared, rel=2e-4, abs=1e-6)
    weights = [load_file(tmp_path / name / "model/model.safetensors") for name in ("run1", "run2")]
    for name, want in weights[0].items():
        np.testing.assert_allclose(weights[1][name], want, rtol=1e-3, atol=1e-5)
