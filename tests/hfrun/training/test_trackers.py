"""Trackers get every figure under one name, where the run is, and never a run that cannot be."""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from transformers import TrainerCallback

from hfrun.config import load_config
from hfrun.errors import TrainingError
from hfrun.fold_trainer import training_arguments
from hfrun.trainable import check_options
from hfrun.training.trackers import (
    set_up_trackers,
    tensorboard_folder,
    tracked_figures,
    trackers_from,
)
from hfrun.training.trainer import MeasuredTrainer

ROOT = Path(__file__).resolve().parents[3]
Make = Callable[..., MeasuredTrainer]
NORMS = ("grad_norm", "grad_norm_p50", "grad_norm_p95", "grad_norm_max", "grad_norm_after_clip",
         "grad_norm_clipped_share")  # fmt: skip


def curves(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """(step, value) of every scalar in a folder's TensorBoard files, as TensorBoard shows them."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    held = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    held.Reload()
    return {
        tag: [(event.step, event.value) for event in held.Scalars(tag)]
        for tag in held.Tags()["scalars"]
    }


def logged(trainer: MeasuredTrainer, name: str, *, beside: str) -> list[tuple[int, float]]:
    """What metrics.jsonl has under a name in the events that have ``beside`` too."""
    events = [event for event in trainer.state.log_history if beside in event and name in event]
    return [(event["step"], pytest.approx(event[name], rel=1e-5)) for event in events]


@pytest.fixture
def tracked(make_trainer: Make) -> Make:
    """A trainer of ten steps and two evaluations, with its trackers set up as a run's are."""

    def make(*names: str, **kwargs: Any) -> MeasuredTrainer:
        arguments = {"report_to": list(names), "logging_steps": 5, **kwargs.pop("arguments", {})}
        trainer = make_trainer(arguments=arguments, gap_samples=16, **kwargs)
        set_up_trackers(trainer)
        return trainer

    return make


@pytest.fixture
def tensorboard() -> None:
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")


@pytest.mark.usefixtures("tensorboard")
def test_tensorboard_has_every_gradient_and_gap_figure_of_the_metrics_file(
    tracked: Make, tmp_path: Path
) -> None:
    trainer = tracked("tensorboard")
    trainer.train()
    found = curves(tmp_path / "run" / "tensorboard")
    for name in NORMS:  # of the steps since the last log event, and of those of the epoch
        assert found[f"train/{name}"] == logged(trainer, name, beside="loss")
        assert found[f"eval/{name}"] == logged(trainer, name, beside="eval_loss")
    for name in ("train_eval_gap", "train_accuracy", "train_loss"):
        assert found[f"train/{name}"] == logged(trainer, name, beside="eval_loss")
        assert len(found[f"train/{name}"]) == 2
    assert found["eval/loss"] == logged(trainer, "eval_loss", beside="eval_loss")
    assert [step for step, _ in found["train/run_grad_norm_p95"]] == [10]


@pytest.mark.slow
@pytest.mark.usefixtures("tensorboard")
def test_a_resumed_runs_curves_are_those_of_an_uninterrupted_one(
    tracked: Make, tmp_path: Path
) -> None:
    class Kill(TrainerCallback):
        def on_log(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if state.global_step == 8:
                raise KeyboardInterrupt

    saved = {"save_strategy": "steps", "save_steps": 6, "logging_steps": 1}
    whole = tracked("tensorboard", out="whole", arguments=saved)
    whole.train()
    killed = tracked("tensorboard", out="killed", arguments=saved)
    killed.add_callback(Kill())
    with pytest.raises(KeyboardInterrupt):
        killed.train()
    tracked("tensorboard", out="killed", arguments=saved).train(resume_from_checkpoint=True)
    of_time = ("runtime", "per_second")
    one, other = (
        {tag: points for tag, points in curves(tmp_path / out / "tensorboard").items()
         if not tag.endswith(of_time)}
        for out in ("whole", "killed")
    )  # fmt: skip
    assert one == other
    assert [step for step, _ in one["train/loss"]] == list(range(1, 11))


@pytest.mark.usefixtures("tensorboard")
def test_without_report_to_tensorboard_is_told_and_with_none_nobody(
    tracked: Make, tmp_path: Path
) -> None:
    smoke = ROOT / "configs" / "smoke.yaml"
    assert training_arguments(load_config(smoke), tmp_path).report_to == ["tensorboard"]
    silent = load_config(smoke, ["training.report_to=none"])
    assert training_arguments(silent, tmp_path).report_to == []
    told = [type(callback).__name__ for callback in tracked().callback_handler.callbacks]
    assert "RunTensorBoard" not in told


def test_nothing_is_reported_by_default_where_tensorboard_is_not_installed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert trackers_from(None) == []


def test_a_trackers_run_is_named_by_its_folder(tmp_path: Path) -> None:
    config = load_config(ROOT / "configs" / "smoke.yaml")
    folder = tmp_path / "run" / "folds" / "001"
    assert training_arguments(config, folder).run_name == str(folder)
    named = load_config(ROOT / "configs" / "smoke.yaml", ["training.run_name=mine"])
    assert training_arguments(named, folder).run_name == "mine"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("tensorbord", "training.report_to: got 'tensorbord'; did you mean tensorboard?"),
        ("[mlfow, none]", "training.report_to: got 'mlfow'; did you mean mlflow?"),
        ("xyz", "training.report_to: got 'xyz'; needs none, all, or some of azure_ml"),
        ("[mlflow]", "training.report_to: mlflow is not installed; pip install mlflow"),
    ],
)
def test_unknown_and_missing_trackers_are_refused_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str, message: str
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    folder = tmp_path / "run"
    config = load_config(
        ROOT / "configs" / "smoke.yaml",
        [f"training.report_to={given}", f"run.output_dir={folder}"],
    )
    with pytest.raises(TrainingError) as caught:
        check_options(config)
    assert message in str(caught.value)
    assert not folder.exists()


def test_each_training_has_its_own_folder_below_the_one_that_is_set(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TENSORBOARD_LOGGING_DIR", str(tmp_path))
    assert tensorboard_folder(Path("runs/a/folds/001")) == tmp_path / "runs/a/folds/001"
    assert tensorboard_folder(Path("/data/runs/a")) == tmp_path / "data/runs/a"


def test_what_trackers_print_is_kept_out_of_standard_output(
    tracked: Make, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Talking(TrainerCallback):
        def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            print("view the run at http://localhost")

        def on_log(self, args: Any, state: Any, control: Any, logs: Any, **kwargs: Any) -> None:
            print(sorted(logs))

    monkeypatch.setattr("hfrun.training.trackers.INTEGRATION_TO_CALLBACK", {"talking": Talking})
    trainer = tracked()
    trainer.add_callback(Talking())
    set_up_trackers(trainer)
    trainer.train()
    said = capsys.readouterr()
    assert said.out == ""
    assert "view the run at" in said.err
    assert "eval_grad_norm_p95" in said.err


def test_a_tracker_that_cannot_begin_ends_the_run_before_its_first_step(
    tracked: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Refusing(TrainerCallback):
        def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            raise ConnectionError("no server at localhost:5000")

    monkeypatch.setattr("hfrun.training.trackers.INTEGRATION_TO_CALLBACK", {"mlflow": Refusing})
    trainer = tracked()
    trainer.add_callback(Refusing())
    set_up_trackers(trainer)
    with pytest.raises(TrainingError, match="report_to: mlflow cannot begin: no server at"):
        trainer.train()
    assert trainer.state.global_step == 0


def test_a_tracker_that_fails_later_is_left_out_and_the_training_goes_on(
    tracked: Make, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Leaving(TrainerCallback):
        told = 0

        def on_log(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            self.told += 1
            raise ConnectionError("the server went away")

    leaving = Leaving()
    monkeypatch.setattr("hfrun.training.trackers.INTEGRATION_TO_CALLBACK", {"mlflow": Leaving})
    trainer = tracked(arguments={"num_train_epochs": 1, "logging_steps": 1})
    trainer.add_callback(leaving)
    set_up_trackers(trainer)
    trainer.train()
    assert (trainer.state.global_step, leaving.told) == (5, 1)
    assert capsys.readouterr().err.count("mlflow failed and is told no more: the server went") == 1


def test_events_keep_their_figures_and_lose_only_names_that_two_would_share() -> None:
    step = {"loss": 1.0, "grad_norm": 2.0, "step": 3}
    assert tracked_figures(step) == step
    evaluated = {"eval_loss": 1.0, "grad_norm": 2.0, "grad_norm_non_finite": 1, "train_loss": 3.0}
    assert tracked_figures(evaluated) == {
        "eval_loss": 1.0, "eval_grad_norm": 2.0, "eval_grad_norm_non_finite": 1, "train_loss": 3.0,
    }  # fmt: skip
    ended = {"train_runtime": 9.0, "train_loss": 3.0, "run_grad_norm": 2.0}
    assert tracked_figures(ended) == {
        "train_runtime": 9.0, "run_train_loss": 3.0, "run_grad_norm": 2.0,
    }  # fmt: skip


def test_mlflow_has_the_gradient_and_gap_figures(
    tracked: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mlflow = pytest.importorskip("mlflow", reason="mlflow is not installed")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")  # 3.x asks before it uses plain files
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "mlruns").as_uri())
    trainer = tracked("mlflow", arguments={"run_name": "tiny"})
    trainer.train()
    (run,) = mlflow.search_runs(search_all_experiments=True, output_format="list")
    assert (run.info.run_name, run.info.status) == ("tiny", "FINISHED")
    client = mlflow.MlflowClient()
    for name, beside in [("grad_norm_p95", "loss"), ("train_eval_gap", "eval_loss")]:
        points = [(p.step, p.value) for p in client.get_metric_history(run.info.run_id, name)]
        assert points == logged(trainer, name, beside=beside)
    history = client.get_metric_history(run.info.run_id, "eval_grad_norm_clipped_share")
    assert [point.step for point in history] == [5, 10]


def test_trackio_has_the_gradient_and_gap_figures(
    tracked: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))
    pytest.importorskip("trackio", reason="trackio is not installed")
    from trackio.sqlite_storage import SQLiteStorage

    trainer = tracked("trackio", arguments={"run_name": "tiny", "project": "tests"})
    trainer.train()
    logs = SQLiteStorage.get_logs("tests", "tiny")
    for name, tag, beside in [
        ("grad_norm_p95", "train/grad_norm_p95", "loss"),
        ("grad_norm_p95", "eval/grad_norm_p95", "eval_loss"),
        ("train_eval_gap", "train/train_eval_gap", "eval_loss"),
    ]:
        found = [(entry["train/global_step"], entry[tag]) for entry in logs if tag in entry]
        assert found == logged(trainer, name, beside=beside)
