"""Trials: what is kept of one, what is run again, and that a failure is counted and told."""

import copy
import json
from pathlib import Path

import pytest

from hfrun.errors import HfrunError
from hfrun.study import trials
from hfrun.study.curves import has_diverged, read_curve
from hfrun.study.trials import Trial, TrialResult, run_trial
from tests.hfrun.study.fake_runs import FakeRuns, accuracy_of, raw_in

VALUES = {"dropout": 0.6, "weight_decay": 0.01}


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> FakeRuns:
    return FakeRuns().in_place(monkeypatch)


def trial_in(folder: Path, *, seed: int = 2, number: int = 0) -> Trial:
    return Trial(number=number, values=VALUES, seed=seed, folder=folder / "trials" / "000")


def test_a_trial_keeps_the_chosen_checkpoints_figures_and_the_test_with_its_interval(
    runs: FakeRuns, tmp_path: Path
) -> None:
    result = run_trial(raw_in(tmp_path), trial_in(tmp_path))
    assert (result.status, result.error, result.stopped_by) == ("done", None, None)
    accuracy = accuracy_of(0.6, 0.01, 2)
    assert result.validation["eval_accuracy"] == pytest.approx(accuracy)
    assert (result.validation["epoch"], result.validation["epochs_trained"]) == (4.0, 5.0)
    assert result.validation["eval_f1_weighted"] == pytest.approx(accuracy - 0.02)
    assert set(result.test) == {"accuracy"}  # of the report's figures those of predictions
    assert result.test["accuracy"]["low"] == pytest.approx(accuracy - 0.03)
    assert [point["epoch"] for point in result.curve] == [1, 2, 3, 4, 5]
    assert result.seconds == 90.0


def test_the_run_gets_the_values_the_seed_and_its_own_folder(
    runs: FakeRuns, tmp_path: Path
) -> None:
    run_trial(raw_in(tmp_path), trial_in(tmp_path, seed=5))
    assert runs.asked == [(0.6, 0.01, 5)]
    assert (tmp_path / "trials" / "000" / "metrics.jsonl").is_file()


def test_checkpoints_of_a_finished_trial_go(runs: FakeRuns, tmp_path: Path) -> None:
    run_trial(raw_in(tmp_path), trial_in(tmp_path))
    assert sorted(path.name for path in (tmp_path / "trials" / "000").iterdir()) == [
        "figures.json",
        "metrics.jsonl",
    ]


def test_a_finished_trial_is_read_back_and_not_run_again(runs: FakeRuns, tmp_path: Path) -> None:
    first = run_trial(raw_in(tmp_path), trial_in(tmp_path))
    again = run_trial(raw_in(tmp_path), trial_in(tmp_path, number=3))
    assert len(runs.asked) == 1
    assert again.as_dict() == {**first.as_dict(), "number": 3}


def test_other_gates_another_name_and_another_hub_leave_a_trial_what_it_is(
    runs: FakeRuns, tmp_path: Path
) -> None:
    raw = raw_in(tmp_path)
    run_trial(raw, trial_in(tmp_path))
    other = copy.deepcopy(raw)
    other["run"]["name"] = "renamed"
    other["gates"] = {"f1_lift": 0.2}
    other["hub"] = {"repo": "some/where"}
    other["study"]["seeds"] = [2, 9]
    run_trial(other, trial_in(tmp_path))
    assert len(runs.asked) == 1


def test_a_folder_of_another_trial_is_refused(runs: FakeRuns, tmp_path: Path) -> None:
    raw = raw_in(tmp_path)
    run_trial(raw, trial_in(tmp_path))
    raw["training"]["learning_rate"] = 5e-4
    with pytest.raises(HfrunError, match="holds a trial of another config"):
        run_trial(raw, trial_in(tmp_path))


def test_a_failure_is_counted_with_its_whole_error_and_tried_again(
    runs: FakeRuns, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs.fails = lambda *values: True
    trial = trial_in(tmp_path)
    result = run_trial(raw_in(tmp_path), trial)
    assert (result.status, result.error) == ("failed", "the accelerator is on fire")
    assert "RuntimeError: the accelerator is on fire" in trial.error_file.read_text()
    assert "trial 0 failed: the accelerator is on fire" in capsys.readouterr().err
    runs.fails = lambda *values: False
    for checkpoint in (trial.folder / "checkpoint-10",):
        checkpoint.rmdir()  # the fake makes it anew
    assert run_trial(raw_in(tmp_path), trial).status == "done"
    assert not trial.error_file.exists()


def test_a_loss_that_is_not_finite_is_divergence_whichever_error_it_ends_in(
    runs: FakeRuns, tmp_path: Path
) -> None:
    runs.diverges = lambda *values: True
    result = run_trial(raw_in(tmp_path), trial_in(tmp_path))
    assert result.status == "diverged"
    assert "before its first evaluation" in str(result.error)
    runs.diverges = lambda *values: False
    assert run_trial(raw_in(tmp_path), trial_in(tmp_path)).status == "diverged"  # it is an end


def test_an_interrupted_trial_is_taken_up(
    runs: FakeRuns, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(config: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(trials, "run_any", interrupted)
    trial = trial_in(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        run_trial(raw_in(tmp_path), trial)
    assert json.loads(trial.record.read_text())["result"] is None
    monkeypatch.setattr(trials, "run_any", runs)
    assert run_trial(raw_in(tmp_path), trial).status == "done"


def test_a_machine_that_cannot_write_ends_the_study(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(config: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(trials, "run_any", full)
    with pytest.raises(OSError, match="No space left"):
        run_trial(raw_in(tmp_path), trial_in(tmp_path))


def test_a_result_is_the_same_after_a_trip_through_json(runs: FakeRuns, tmp_path: Path) -> None:
    result = run_trial(raw_in(tmp_path), trial_in(tmp_path))
    back = TrialResult.from_dict(json.loads(json.dumps(result.as_dict())))
    assert back.as_dict() == result.as_dict()


@pytest.mark.parametrize(
    ("events", "diverged"),
    [
        ([{"loss": 1.0}, {"eval_loss": 1.1, "epoch": 1, "step": 2}], False),
        ([{"loss": "nan"}], True),
        ([{"loss": 1.0}, {"eval_loss": "inf", "epoch": 1, "step": 2}], True),
        ([{"loss": 1.0, "stop_rule": "non_finite"}], True),
        ([{"loss": 1.0, "stop_rule": "early_stopping"}], False),
        ([{"loss": 1.0, "grad_norm": "inf"}], False),  # clipped away, and the loss held
        ([], False),
    ],
)
def test_divergence_is_a_loss_that_is_not_finite(events, diverged: bool, tmp_path: Path) -> None:
    lines = "".join(f"{json.dumps(event)}\n" for event in events)
    (tmp_path / "metrics.jsonl").write_text(lines)
    assert has_diverged(tmp_path) is diverged


def test_a_curve_has_a_point_an_evaluation_with_what_callbacks_had_set(tmp_path: Path) -> None:
    events = [
        {"loss": 1.0, "step": 1, "dropout": 0.3},
        {"eval_loss": 1.5, "eval_runtime": 2.0, "eval_ece": 0.1, "epoch": 1.0, "step": 2},
        {"loss": 0.9, "step": 3, "dropout": 0.1},
        {"eval_loss": "nan", "epoch": 2.0, "step": 4},
    ]
    lines = "".join(f"{json.dumps(event)}\n" for event in events)
    (tmp_path / "metrics.jsonl").write_text(lines)
    assert read_curve(tmp_path) == (
        {"step": 2, "dropout": 0.3, "eval_loss": 1.5, "eval_ece": 0.1, "epoch": 1.0},
        {"step": 4, "dropout": 0.1, "eval_loss": None, "epoch": 2.0},
    )
    assert read_curve(tmp_path / "nothing") == ()
