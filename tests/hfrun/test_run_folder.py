"""The run folder says what its report was made with, and serves one process at a time."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from hfrun.config import load_config
from hfrun.errors import WalkForwardError
from hfrun.run_folder import claim_run_folder, read_run, run_identity
from lob_backtest.files import sole_use
from tests.hfrun.conftest import TinyRun


def fee_in_config(run: TinyRun) -> float:
    config = yaml.safe_load((run.folder / "config.yaml").read_text("utf-8"))
    return float(config["backtest"]["costs"]["fee_bps"])


def report(run: TinyRun) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run.folder / "report/report.json").read_text("utf-8"))
    return found


def test_a_run_judged_with_other_costs_says_so_and_keeps_its_origin(own_run: TinyRun) -> None:
    before = read_run(own_run.folder)
    assert [entry["backtest"]["costs"]["fee_bps"] for entry in before["scored"]] == [0.2]
    assert own_run.again("backtest.costs.fee_bps=7", "gates.f1_lift=0.5") == 3
    after = read_run(own_run.folder)
    assert fee_in_config(own_run) == 7.0
    assert report(own_run)["provenance"]["config"]["backtest"]["costs"]["fee_bps"] == 7.0
    assert report(own_run)["provenance"]["scored"] == after["scored"]
    fees = [entry["backtest"]["costs"]["fee_bps"] for entry in after["scored"]]
    lifts = [entry["gates"]["f1_lift"] for entry in after["scored"]]
    assert (fees, lifts) == ([0.2, 7.0], [0.02, 0.5])
    assert after["scored"][0] == before["scored"][0]
    assert {"created_at", "command", "git", "versions"} <= after["scored"][1].keys()
    for origin in ("created_at", "command", "git", "versions", "identity"):
        assert after[origin] == before[origin]


def test_judging_again_in_the_same_way_leaves_the_record_as_it_is(own_run: TinyRun) -> None:
    names = ["run.json", "config.yaml", "report/report.json", "report/report.html"]
    for changes in ([], ["backtest.costs.fee_bps=7"]):
        own_run.again(*changes)
        before = [(own_run.folder / name).read_bytes() for name in names]
        own_run.again(*changes)
        assert [(own_run.folder / name).read_bytes() for name in names] == before


def test_a_report_does_not_carry_the_outcome_of_the_judgement_before_it(own_run: TinyRun) -> None:
    own_run.again("backtest.costs.fee_bps=7")
    assert {"verdict", "training"} & report(own_run)["provenance"].keys() == set()
    assert read_run(own_run.folder)["verdict"] == report(own_run)["verdict"]


def test_a_run_that_is_judged_anew_is_not_trained_again(own_run: TinyRun) -> None:
    figures = own_run.folder / "folds/000/figures.json"
    before = figures.stat().st_mtime_ns
    own_run.again("backtest.costs.fee_bps=7")
    assert figures.stat().st_mtime_ns == before


def test_a_folder_in_use_is_refused_and_free_again_afterwards(
    own_run: TinyRun, capsys: pytest.CaptureFixture[str]
) -> None:
    with sole_use(own_run.folder, what="a test"):
        assert own_run.again() == 2
    error = capsys.readouterr().err
    assert "another run is at work here already" in error
    assert error.count("error: ") == 1
    assert own_run.again() == 3


def test_the_identity_is_of_all_that_a_model_depends_on_and_of_nothing_else(
    finished_run: TinyRun,
) -> None:
    def identity(*overrides: str, sha: str = "aa", path: str = "book.parquet") -> str:
        data = [{"path": path, "sha256": sha, "rows": 1}]
        return run_identity(load_config(finished_run.config, overrides), kind="train", data=data)

    same = ["run.name=x", "run.output_dir=y", "backtest.costs.fee_bps=9", "gates.f1_lift=0.1",
            "hub.repo=a/b", "hub.private=true", "data.book=elsewhere.parquet"]  # fmt: skip
    other = ["run.seed=1", "training.learning_rate=0.1", "data.window=30", "walk_forward.test=50",
             "model.config.dropout=0.2"]  # fmt: skip
    assert [identity(override) for override in same] == [identity()] * len(same)
    assert identity(path="/elsewhere/book.parquet") == identity()
    found = {identity(override) for override in other} | {identity(sha="bb"), identity()}
    assert len(found) == len(other) + 2


def test_a_folder_of_another_run_is_refused_by_name(finished_run: TinyRun, tmp_path: Path) -> None:
    config = load_config(finished_run.config)
    claim_run_folder(tmp_path / "run", config, kind="train", data=[])
    before = (tmp_path / "run/run.json").read_bytes()
    other = replace(config, run=replace(config.run, seed=1))
    with pytest.raises(WalkForwardError, match="holds the run 'tiny' of another config"):
        claim_run_folder(tmp_path / "run", other, kind="train", data=[])
    assert (tmp_path / "run/run.json").read_bytes() == before


def test_a_broken_record_is_named(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("{", encoding="utf-8")
    with pytest.raises(WalkForwardError, match=r"run\.json: not valid JSON"):
        read_run(tmp_path)


def test_a_folder_that_holds_something_else_is_not_mixed_with_a_run(
    finished_run: TinyRun, tmp_path: Path
) -> None:
    config = load_config(finished_run.config)
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(WalkForwardError, match=r"holds notes\.txt and no run"):
        claim_run_folder(tmp_path, config, kind="train", data=[])
    with pytest.raises(WalkForwardError, match=r"notes\.txt: is a file"):
        claim_run_folder(tmp_path / "notes.txt", config, kind="train", data=[])
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
    (tmp_path / "notes.txt").rename(tmp_path / "book.parquet")  # what the demo starts with
    claim_run_folder(tmp_path, config, kind="train", data=[])
    assert (tmp_path / "run.json").is_file()


def test_other_pretrained_weights_in_the_same_place_are_another_run(
    finished_run: TinyRun, tmp_path: Path
) -> None:
    weights = tmp_path / "model.safetensors"

    def identity(content: bytes) -> str:
        weights.write_bytes(content)
        config = load_config(finished_run.config, [f"model.pretrained={tmp_path}"])
        return run_identity(config, kind="train", data=[])

    assert identity(b"one") == identity(b"one") != identity(b"two")
