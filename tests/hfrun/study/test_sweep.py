"""Sweeps: every cell with every seed, grown and resumed, and what the tables and the page say."""

import argparse
import csv
import json
from pathlib import Path

import numpy as np
import pytest

from hfrun.commands import sweep as command
from hfrun.config import config_from
from hfrun.study import trials
from hfrun.study.score import Score, score_of
from hfrun.study.sweep import Sweep, run_sweep
from hfrun.study.sweep_page import sweep_page
from hfrun.study.sweep_tables import markdown_of, table_of, text_of
from lob_backtest.command_line import run_command
from lob_backtest.errors import ConfigError, LobBacktestError
from lob_backtest.files import sole_use
from tests.hfrun.study.fake_runs import FakeRuns, accuracy_of, raw_in

GRID = [(dropout, decay) for dropout in (0.3, 0.6, 0.8) for decay in (0, 0.01)]


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> FakeRuns:
    return FakeRuns().in_place(monkeypatch)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Sweep, FakeRuns]:
    """The whole sweep, to be looked at."""
    with pytest.MonkeyPatch.context() as patch:
        runs = FakeRuns().in_place(patch)
        return run_sweep(raw_in(tmp_path_factory.mktemp("whole")), source="sweep.yaml"), runs


def test_every_cell_is_run_with_every_seed(finished) -> None:
    sweep, runs = finished
    outcome = sweep.outcome
    assert runs.asked == [(*cell, seed) for cell in GRID for seed in (0, 1, 2)]
    assert outcome["counts"] == {"done": 18, "failed": 0, "diverged": 0}
    for cell, (dropout, decay) in zip(outcome["cells"], GRID, strict=True):
        scores = [accuracy_of(dropout, decay, seed) for seed in (0, 1, 2)]
        found = cell["validation"]["eval_accuracy"]
        assert found["mean"] == pytest.approx(np.mean(scores))
        assert found["sd"] == pytest.approx(np.std(scores, ddof=1))
        assert cell["test"]["accuracy"]["mean"] == pytest.approx(np.mean(scores) - 0.01)


def test_the_best_is_chosen_on_validation_and_never_on_test(
    finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcome = finished[0].outcome
    means = [np.mean([accuracy_of(*cell, seed) for seed in (0, 1, 2)]) for cell in GRID]
    assert outcome["best"] == int(np.argmax(means))

    def tested_backwards(config):
        summary = FakeRuns()(config)
        found = summary.report["aggregate"]["accuracy"]
        found |= {key: 1 - value for key, value in found.items()}
        return summary

    FakeRuns().in_place(monkeypatch)
    monkeypatch.setattr(trials, "run_any", tested_backwards)
    again = run_sweep(raw_in(tmp_path), source="sweep.yaml").outcome
    assert again["best"] == outcome["best"]


def test_run_again_nothing_is_trained(runs: FakeRuns, tmp_path: Path) -> None:
    raw = raw_in(tmp_path, grid={"dropout": [0.3, 0.6]}, seeds=[0, 1])
    first = run_sweep(raw, source="sweep.yaml").outcome
    again = run_sweep(raw, source="sweep.yaml").outcome
    assert len(runs.asked) == 4
    assert {**again, "provenance": None} == {**first, "provenance": None}


def test_more_values_and_seeds_keep_what_is_there_and_its_folders(
    runs: FakeRuns, tmp_path: Path
) -> None:
    small = {"dropout": [0.3, 0.8], "weight_decay": [0]}
    large = {"dropout": [0.3, 0.6, 0.8], "weight_decay": [0, 0.01]}
    first = run_sweep(raw_in(tmp_path, grid=small, seeds=[0]), source="sweep.yaml").outcome
    folders = {trial["values"]["dropout"]: trial["folder"] for trial in first["trials"]}
    assert list(folders.values()) == ["trials/000", "trials/001"]
    whole = run_sweep(raw_in(tmp_path, grid=large, seeds=[1, 0]), source="sweep.yaml").outcome
    assert len(runs.asked) == len(set(runs.asked)) == 12
    held = {(t["values"]["dropout"], t["values"]["weight_decay"], t["seed"]): t["folder"]
            for t in whole["trials"]}  # fmt: skip
    assert (held[0.3, 0, 0], held[0.8, 0, 0]) == ("trials/000", "trials/001")
    assert sorted(held.values()) == [f"trials/{number:03d}" for number in range(12)]


def test_a_failed_trial_is_told_everywhere_and_the_others_go_on(
    runs: FakeRuns, tmp_path: Path
) -> None:
    runs.fails = lambda dropout, decay, seed: (dropout, decay, seed) == (0.6, 0.01, 1)
    runs.diverges = lambda dropout, decay, seed: (dropout, decay) == (0.8, 0)
    sweep = run_sweep(raw_in(tmp_path), source="sweep.yaml")
    outcome = sweep.outcome
    assert sweep.failed == 1
    assert outcome["counts"] == {"done": 14, "failed": 1, "diverged": 3}
    assert outcome["analysis"]["cells"] == [0, 1, 2, 5]
    assert outcome["best"] not in (3, 4)  # cells that lack a seed stand back
    for text in (text_of(outcome, page=""), markdown_of(outcome), sweep_page(outcome)):
        assert "1 of 18 trials ended with an error" in text
        assert "3 of 18 trials diverged" in text
        assert "2, 1 failed" in text
        assert "0, 3 diverged" in text
    assert "the accelerator is on fire" in sweep.page.read_text()


def test_the_scores_decide_whether_the_seeds_explain_the_cells(
    finished, runs: FakeRuns, tmp_path: Path
) -> None:
    real = finished[0].outcome
    assert real["analysis"]["effects"][0]["p_value"] < 0.001
    assert any("differ by more than the 3 seeds explain" in found for found in real["findings"])
    same = {"dropout": [0.6], "weight_decay": [0, 0.001, 0.01]}
    luck = run_sweep(raw_in(tmp_path, grid=same), source="sweep.yaml").outcome
    assert luck["analysis"]["effects"][0]["p_value"] > 0.05
    assert any("do not differ by more than" in found for found in luck["findings"])


def test_a_best_value_at_the_edge_is_pointed_out_where_it_matters(
    runs: FakeRuns, tmp_path: Path
) -> None:
    grid = {"dropout": [0.2, 0.3, 0.4]}
    outcome = run_sweep(raw_in(tmp_path, grid=grid), source="sweep.yaml").outcome
    edges = [found for found in outcome["findings"] if "tried" in found]
    assert edges == ["the best dropout, 0.4, is the highest tried"]


def test_a_loss_is_better_when_it_is_less() -> None:
    raw = raw_in(Path("out"))
    assert score_of(config_from(raw, source="")) == Score(
        metric="eval_accuracy", higher_is_better=True
    )
    del raw["training"]["metric_for_best_model"]
    assert score_of(config_from(raw, source="")) == Score(
        metric="eval_loss", higher_is_better=False
    )
    raw["training"]["metric_for_best_model"] = "f1_weighted"
    assert score_of(config_from(raw, source="")) == Score(
        metric="eval_f1_weighted", higher_is_better=True
    )


def test_one_seed_is_told_to_be_one(runs: FakeRuns, tmp_path: Path) -> None:
    outcome = run_sweep(raw_in(tmp_path, seeds=[4]), source="sweep.yaml").outcome
    assert "one seed: no spread over seeds to hold a difference against" in outcome["findings"]
    heads, rows = table_of(outcome)
    assert {row[heads.index("p")] for row in rows} == {"", "–"}


def test_table_csv_and_markdown_hold_the_same_figures(finished) -> None:
    sweep, _ = finished
    with (sweep.folder / "study" / "trials.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["seed"] for row in rows] == ["0", "1", "2"] * 6
    heads, table = table_of(sweep.outcome)
    for index, cell in enumerate(table):
        scores = [float(row["eval_accuracy"]) for row in rows[3 * index : 3 * index + 3]]
        shown = cell[heads.index("validation accuracy")]
        assert shown == f"{np.mean(scores):.4f} ± {np.std(scores, ddof=1):.4f}"
        assert shown in markdown_of(sweep.outcome)
    assert (sweep.folder / "study" / "sweep.md").read_text() == markdown_of(sweep.outcome)


def test_the_page_has_every_cell_the_curves_and_nothing_from_elsewhere(finished) -> None:
    sweep, _ = finished
    page = sweep.page.read_text()
    for cell in sweep.outcome["cells"]:
        assert f"Cross-entropy and accuracy by epoch with {cell['label']}" in page
    assert page.count("<svg") == 1 + 1 + 2 + 6  # heat map, all trials, factors, curves
    assert "<script" not in page
    assert "http" not in page.replace("http://www.w3.org", "")
    held = json.loads((sweep.folder / "study" / "sweep.json").read_text())
    assert sweep_page(held) == page  # made from the file alone
    assert (sweep.folder / "study" / "result.svg").read_text().startswith("<?xml")


@pytest.mark.parametrize(
    "grid",
    [
        {"dropout": [0.5]},
        {"dropout": [0.3, {"points": {0: 0.8, 3: 0.3}}]},
        {"dropout": [0.3, 0.6], "weight_decay": [0, 0.1], "training.learning_rate": [1e-3, 1e-4]},
    ],
)
def test_a_page_is_made_of_one_two_or_three_factors(runs: FakeRuns, tmp_path: Path, grid) -> None:
    raw = raw_in(tmp_path, seeds=[0, 1])
    raw["study"]["grid"] = grid
    assert run_sweep(raw, source="sweep.yaml").page.is_file()


# ---- what is refused ----


def test_a_config_without_a_study_is_refused_with_an_example(tmp_path: Path) -> None:
    raw = raw_in(tmp_path)
    del raw["study"]
    with pytest.raises(ConfigError, match=r"sweep\.yaml: no study section; a sweep needs study"):
        run_sweep(raw, source="sweep.yaml")


def test_a_seed_twice_and_several_processes_are_refused(
    runs: FakeRuns, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match=r"study.seeds=\[1, 1\]: a seed is there twice"):
        run_sweep(raw_in(tmp_path, seeds=[1, 1]), source="sweep.yaml")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ConfigError, match="a sweep is one process"):
        run_sweep(raw_in(tmp_path), source="sweep.yaml")
    assert runs.asked == []


def test_two_sweeps_do_not_share_a_folder(runs: FakeRuns, tmp_path: Path) -> None:
    (tmp_path / "study").mkdir()
    with (
        sole_use(tmp_path / "study", what="another sweep"),
        pytest.raises(LobBacktestError, match="another sweep is at work here already"),
    ):
        run_sweep(raw_in(tmp_path), source="sweep.yaml")


# ---- the command ----


def run(*words: str) -> int:
    parser = argparse.ArgumentParser()
    command.add_parser(parser.add_subparsers())
    return run_command(parser, ["sweep", *words])


def test_the_command_prints_the_table_and_takes_overrides(
    runs: FakeRuns, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "sweep.yaml"
    config.write_text(json.dumps(raw_in(tmp_path / "out")))
    table = tmp_path / "table.md"
    smaller = "study.grid.dropout=[0.3, 0.6]"
    assert run(str(config), "study.seeds=[0, 1]", smaller, "--markdown", str(table)) == 0
    assert len(runs.asked) == 8
    printed = capsys.readouterr().out
    assert "Best on validation: dropout 0.6" in printed
    assert "report.html" in printed
    assert table.read_text().startswith("Does it help?\n\n| dropout |")
    assert run(str(config), "study.seeds=[0, 1]", smaller, "--json") == 0
    assert json.loads(capsys.readouterr().out)["planned"] == 8


def test_the_command_ends_with_2_where_a_trial_failed(
    runs: FakeRuns, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "sweep.yaml"
    raw = raw_in(tmp_path / "out", grid={"dropout": [0.3, 0.6]}, seeds=[0, 1])
    config.write_text(json.dumps(raw))
    runs.fails = lambda dropout, decay, seed: seed == 1
    assert run(str(config)) == 2
    assert "2 of 4 trials ended with an error" in capsys.readouterr().out
