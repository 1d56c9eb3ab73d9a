"""The full path on a synthetic book: with its signal planted it passes, without it fails."""

import json
from pathlib import Path
from typing import Any

import pytest

from hfrun.cli import main as hfrun

ROOT = Path(__file__).resolve().parents[2]
SMALLER = [
    "data.book.days=3", "data.book.rows_per_day=6000", "training.per_device_train_batch_size=64",
    "training.num_train_epochs=5", "training.learning_rate=1e-3", "walk_forward.train=1800",
    "walk_forward.validation=300", "walk_forward.test=400",
]  # fmt: skip


def walk_forward(folder: Path, *overrides: str) -> tuple[int, dict[str, Any]]:
    """Exit code and report of the shipped config on a smaller book."""
    config = str(ROOT / "configs/synthetic.yaml")
    code = hfrun(["walk-forward", config, f"run.output_dir={folder}", *SMALLER, *overrides])
    report: dict[str, Any] = json.loads((folder / "report/report.json").read_text("utf-8"))
    return code, report


def test_a_planted_signal_passes_every_required_gate(tmp_path: Path) -> None:
    code, report = walk_forward(tmp_path / "run")
    failed = [gate for gate in report["gates"] if gate["required"] and not gate["passed"]]
    assert failed == []
    assert (code, report["verdict"]) == (0, "pass")
    assert report["aggregate"]["net_return"]["low"] > 0
    best = max(
        figures["f1_weighted"]["value"]
        for figures in report["aggregate"]["baselines"].values()
        if figures["f1_weighted"]["value"] is not None
    )
    assert report["aggregate"]["f1_weighted"]["low"] > best + 0.02


def test_without_the_signal_nothing_is_found_and_the_gates_fail(tmp_path: Path) -> None:
    code, report = walk_forward(
        tmp_path / "run", "data.book.signal=0", "training.num_train_epochs=2"
    )
    assert (code, report["verdict"]) == (3, "fail")
    gates = {gate["name"]: gate["passed"] for gate in report["gates"]}
    assert not gates["f1_lift"]
    assert not gates["backtest"]
    assert report["aggregate"]["net_return"]["value"] <= 0


def test_an_interrupted_walk_forward_goes_on_where_it_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Interrupted after its first fold, then resumed: the same predictions as in one go."""
    short = ["data.book.rows_per_day=2000", "training.num_train_epochs=1", "walk_forward.train=500",
             "walk_forward.validation=100", "walk_forward.test=250"]  # fmt: skip
    whole, resumed = tmp_path / "whole", tmp_path / "resumed"
    _, expected = walk_forward(whole, *short)
    assert len(expected["folds"]) >= 2
    from hfrun import walk_forward as module

    fit, fitted = module.fit_fold, []

    def fit_once(*arguments: Any) -> None:
        if fitted:
            raise KeyboardInterrupt
        fitted.append(fit(*arguments))

    monkeypatch.setattr(module, "fit_fold", fit_once)
    config = str(ROOT / "configs/synthetic.yaml")
    command = ["walk-forward", config, f"run.output_dir={resumed}", *SMALLER, *short]
    assert hfrun(command) == 130
    assert not (resumed / "predictions.parquet").exists()
    monkeypatch.setattr(module, "fit_fold", fit)
    first = (resumed / "folds/000/figures.json").stat().st_mtime_ns
    walk_forward(resumed, *short)
    assert (resumed / "folds/000/figures.json").stat().st_mtime_ns == first
    assert (resumed / "predictions.parquet").read_bytes() == (
        whole / "predictions.parquet"
    ).read_bytes()
