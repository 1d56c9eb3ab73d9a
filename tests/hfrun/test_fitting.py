"""Fitting a fold: what is chosen and predicted, and that an interrupted fold ends the same."""

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import set_seed

from hfrun.config import HfrunConfig
from hfrun.errors import ModelError, TrainingError
from hfrun.fold_trainer import build_model, is_greater_better, training_arguments
from hfrun.models import DeepLobConfig, DeepLobForSequenceClassification
from hfrun.models.published import PUBLISHED_LABELS
from hfrun.trainable import CHOOSABLE, EVALUATED, check_trainable
from lob_backtest.book import Book
from lob_backtest.errors import ConfigError
from lob_backtest.prepare import prepare
from tests.hfrun.fold_case import (
    LEVELS,
    SIZES,
    TABLES,
    WINDOW,
    assert_same_results,
    fit,
    fit_killed_at,
    prepared_for,
    small_book,
    smoke_config,
    validation_figures,
)

Configure = Callable[..., HfrunConfig]


@pytest.fixture
def configure() -> Configure:
    return smoke_config


@pytest.fixture(scope="module")
def book() -> Book:
    return small_book()


def saved_model(folder: Path, labels: dict[int, str]) -> DeepLobForSequenceClassification:
    set_seed(5)
    model = DeepLobForSequenceClassification(
        DeepLobConfig(levels=LEVELS, window=WINDOW, id2label=labels, **SIZES)
    )
    model.save_pretrained(folder)
    return model.eval()


# ---- what is chosen, and what is predicted with it ----


@pytest.mark.parametrize(
    "overrides",
    [
        ("training.num_train_epochs=1",),
        ("training.metric_for_best_model=eval_f1_weighted",),
        ("training.load_best_model_at_end=false", "training.save_strategy='no'"),
        # the best by this metric is the first epoch's; the weights are the last's
        ("training.load_best_model_at_end=false",
         "training.metric_for_best_model=eval_f1_weighted"),
        ("training.eval_strategy=steps", "training.save_strategy=steps",
         "training.eval_steps=2", "training.save_steps=2"),
        ("training.num_train_epochs=4", "model.pretrained=PUBLISHED"),
    ],
)  # fmt: skip
def test_accuracy_and_loss_of_the_validation_table_equal_those_of_the_noted_evaluation(
    configure: Configure, book: Book, tmp_path: Path, overrides: tuple[str, ...]
) -> None:
    saved_model(tmp_path / "published", dict(PUBLISHED_LABELS))
    given = [text.replace("PUBLISHED", str(tmp_path / "published")) for text in overrides]
    if any(text.startswith("model.pretrained") for text in given):
        given.append("model.config={dropout: 0.2}")
    files = fit(configure(*given), book, tmp_path / "fold")
    figures = files.read_figures()
    accuracy, loss = validation_figures(files)
    assert accuracy == pytest.approx(figures["eval_accuracy"], abs=1e-12)
    assert loss == pytest.approx(figures["eval_loss"], abs=1e-6)  # the model is float32
    assert not (files.folder / "rows.npy").exists()


@pytest.mark.parametrize(
    ("metric", "is_better"),
    [("eval_f1_weighted", np.greater), ("accuracy", np.greater), ("eval_loss", np.less)],
)
def test_the_checkpoint_with_the_best_metric_is_chosen(
    configure: Configure, book: Book, tmp_path: Path, metric: str, is_better: np.ufunc
) -> None:
    config = configure(
        f"training.metric_for_best_model={metric}",
        "training.num_train_epochs=6",
        "training.learning_rate=0.1",
        "training.stretch=1",
    )
    files = fit(config, book, tmp_path / "fold")
    name = metric if metric.startswith("eval_") else f"eval_{metric}"
    events = [json.loads(line) for line in files.metrics.read_text().splitlines()]
    values = {event["step"]: event[name] for event in events if name in event}
    assert len(set(values.values())) > 1
    best = files.read_figures()["best_metric"]
    assert best == values[files.read_figures()["step"]]
    assert not any(is_better(value, best) for value in values.values())


def test_every_metric_that_can_be_chosen_by_has_its_direction() -> None:
    smaller = [name for name in CHOOSABLE if not is_greater_better(name)]
    assert smaller == ["eval_loss", "eval_ece", "eval_brier"]
    lower = ("loss", "eval_ece", "brier", "eval_brier", "train_eval_gap", "train_cross_entropy")
    assert not any(is_greater_better(name) for name in lower)


@pytest.mark.parametrize(
    ("metric", "expected"), [("eval_f1_macro", True), ("mcc", True), ("loss", False)]
)
def test_direction_follows_from_the_metric_alone(
    configure: Configure, tmp_path: Path, metric: str, expected: bool
) -> None:
    config = configure(f"training.metric_for_best_model={metric}")
    assert training_arguments(config, tmp_path).greater_is_better is expected
    assert training_arguments(configure(), tmp_path).greater_is_better is False


def test_an_evaluation_carries_what_stop_rules_may_watch_and_checkpoints_be_chosen_by(
    configure: Configure, book: Book, tmp_path: Path
) -> None:
    files = fit(configure("training.num_train_epochs=1"), book, tmp_path / "fold")
    events = [json.loads(line) for line in files.metrics.read_text().splitlines()]
    (event,) = [event for event in events if "eval_loss" in event]
    timings = {"eval_runtime", "eval_samples_per_second", "eval_steps_per_second"}
    assert set(event) - timings - {"epoch", "step"} == set(EVALUATED) - {"grad_norm_non_finite"}


# ---- weights from elsewhere ----


def test_a_model_of_another_class_order_gives_the_same_logits_in_ours(
    configure: Configure, tmp_path: Path
) -> None:
    theirs = saved_model(tmp_path / "published", dict(PUBLISHED_LABELS))
    config = configure(f"model.pretrained={tmp_path / 'published'}", "model.config={}")
    ours = build_model(config, levels=LEVELS).eval()
    assert ours.config.id2label == {0: "down", 1: "flat", 2: "up"}
    assert ours.config.label2id == {"down": 0, "flat": 1, "up": 2}
    features = torch.randn(7, WINDOW, 4 * LEVELS)
    with torch.no_grad():
        up_stationary_down, down_flat_up = theirs(features).logits, ours(features).logits
    assert torch.equal(down_flat_up, up_stationary_down[:, [2, 1, 0]])
    assert not torch.equal(down_flat_up, up_stationary_down)


@pytest.mark.parametrize(
    ("labels", "levels", "message"),
    [
        ({0: "down", 1: "up"}, LEVELS, "needs exactly the classes down, flat, up"),
        ({0: "LABEL_0", 1: "LABEL_1", 2: "LABEL_2"}, LEVELS, "needs exactly the classes"),
        ({0: "down", 1: "flat", 2: "up", 3: "wild"}, LEVELS, "needs exactly the classes"),
        ({0: "down", 1: "flat", 2: "up"}, 2, "made for 1 levels and the book has 2"),
    ],
)
def test_weights_made_for_other_data_are_refused(
    configure: Configure, tmp_path: Path, labels: dict[int, str], levels: int, message: str
) -> None:
    saved_model(tmp_path / "other", labels)
    config = configure(f"model.pretrained={tmp_path / 'other'}", "model.config={}")
    with pytest.raises(ModelError, match=message):
        build_model(config, levels=levels)


@pytest.mark.parametrize("damage", ["missing", "cut", "resized"])
def test_weights_that_are_not_whole_are_refused(
    configure: Configure, tmp_path: Path, damage: str
) -> None:
    saved_model(tmp_path / "other", dict(PUBLISHED_LABELS))
    overrides = {"resized": "model.config={lstm_hidden: 8}"}.get(damage, "model.config={}")
    file = tmp_path / "other" / "model.safetensors"
    if damage == "missing":
        file.unlink()
    elif damage == "cut":
        file.write_bytes(file.read_bytes()[:1000])
    config = configure(f"model.pretrained={tmp_path / 'other'}", overrides)
    with pytest.raises(ModelError, match=r"model\.pretrained="):
        build_model(config, levels=LEVELS)


# ---- interrupted, and taken up again ----


@pytest.mark.parametrize("step", [1, 7])
def test_a_fold_interrupted_and_resumed_equals_the_uninterrupted_one(
    configure: Configure,
    book: Book,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    step: int,
) -> None:
    config = configure()
    whole = fit(config, book, tmp_path / "whole")
    fit_killed_at(step, config, book, tmp_path / "killed", monkeypatch)
    left = {path.name for path in (tmp_path / "killed").iterdir()}
    assert not left & {"rows.npy", "figures.json", *TABLES}
    assert bool([name for name in left if name.startswith("checkpoint-")]) == (step == 7)
    assert_same_results(whole, fit(config, book, tmp_path / "killed"))


def _empty(checkpoint: Path) -> None:
    shutil.rmtree(checkpoint)
    checkpoint.mkdir()


def _without_state(checkpoint: Path) -> None:
    (checkpoint / "trainer_state.json").unlink()


def _without_optimizer(checkpoint: Path) -> None:
    (checkpoint / "optimizer.pt").unlink()


def _half_weights(checkpoint: Path) -> None:
    file = checkpoint / "model.safetensors"
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def _half_optimizer(checkpoint: Path) -> None:
    file = checkpoint / "optimizer.pt"
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def _half_state(checkpoint: Path) -> None:
    file = checkpoint / "trainer_state.json"
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


@pytest.mark.parametrize(
    "damage",
    [_empty, _without_state, _without_optimizer, _half_weights, _half_optimizer, _half_state],
)
def test_a_checkpoint_cut_short_is_passed_over_for_the_one_before_it(
    configure: Configure,
    book: Book,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    damage: Callable[[Path], None],
) -> None:
    config = configure()
    whole = fit(config, book, tmp_path / "whole")
    folder = tmp_path / "killed"
    fit_killed_at(7, config, book, folder, monkeypatch)
    newest = max(folder.glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1]))
    assert len(list(folder.glob("checkpoint-*"))) == 2
    damage(newest)
    capsys.readouterr()
    resumed = fit(config, book, folder)
    assert f"removing {newest}" in capsys.readouterr().err
    assert_same_results(whole, resumed)


# ---- the dress rehearsal ----


def check(config: HfrunConfig, book: Book) -> None:
    check_trainable(config, prepared_for(config, book), levels=book.n_levels)


def test_a_config_that_works_is_let_through_and_leaves_nothing(
    configure: Configure, book: Book, tmp_path: Path
) -> None:
    check(configure(f"run.output_dir={tmp_path / 'run'}"), book)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["training.warmup_steps=9"], "fold 0: warmup_steps=9 of 9 optimizer steps"),
        (["training.num_train_epochs=0"], "0 optimizer steps"),
        (["training.eval_delay=4"], "eval_delay=4: the run ends after 3 epochs"),
        (["training.eval_strategy='no'", "training.load_best_model_at_end=false"],
         "eval_strategy=no"),
        (["training.eval_strategy=steps", "training.save_strategy=steps",
          "training.eval_steps=1", "training.save_steps=2"], "save_steps=2 and eval_steps=1"),
        (["training.metric_for_best_model=eval_f1"], "did you mean eval_f1_"),
        (["training.metric_for_best_model=train_eval_gap"], "no evaluation reports it"),
        (["training.metric_for_best_model=mcc", "training.greater_is_better=false"],
         "would choose the worst checkpoint"),
        (["training.greater_is_better=true"], "would choose the worst checkpoint"),
        (["training.activation_checkpointing=true"], "has none; leave it out"),
        (["training.optim=adamw_8bit"], "bitsandbytes"),
        (["training.loss.class_weights=[1, 2]"], "class_weights .*needs 3 numbers"),
        (["callbacks.weight_decay_schedule={points: {0: 0.1, 2: -0.1}}"], "weight decay of"),
        (["callbacks.dropout_schedule={points: {0: 0.1, 2: 1.5}}"], "dropout of"),
    ],
)  # fmt: skip
def test_what_would_end_a_fold_later_is_found_in_the_rehearsal(
    configure: Configure, book: Book, overrides: list[str], message: str
) -> None:
    with pytest.raises(TrainingError, match=message):
        check(configure(*overrides), book)


@pytest.mark.parametrize("window", [10, 18])
def test_a_window_too_short_for_the_model_is_found_in_the_rehearsal(
    configure: Configure, book: Book, tmp_path: Path, window: int
) -> None:
    with pytest.raises(ModelError, match=f"data.window={window}"):
        check(configure(f"data.window={window}"), book)
    saved_model(tmp_path / "other", dict(PUBLISHED_LABELS))
    pretrained = (f"model.pretrained={tmp_path / 'other'}", "model.config={}")
    with pytest.raises(ModelError, match="cannot read windows"):
        check(configure(f"data.window={window}", *pretrained), book)


def test_a_stop_rule_on_a_metric_that_no_evaluation_carries_is_refused(
    configure: Configure, book: Book
) -> None:
    rules = [
        {"rule": "above", "metric": "train_evl_gap", "limit": 0.1},
        {"rule": "non_finite"},
        {"rule": "below", "metric": "eval_f1_weihgted", "limit": 0.1},
    ]
    message = (
        r"stop_rules\[0\].metric: got 'train_evl_gap'.*did you mean train_eval_gap\?.*"
        r"stop_rules\[2\].metric: got 'eval_f1_weihgted'.*did you mean eval_f1_weighted\?"
    )
    with pytest.raises(ConfigError, match=message):
        check(dataclasses.replace(configure(), stop_rules=rules), book)


@pytest.mark.parametrize(
    "weighting", ["training.loss.class_weights=balanced", "training.loss.balanced_sampler=true"]
)
def test_balancing_a_fold_that_lacks_a_class_is_found_in_the_rehearsal(
    configure: Configure, book: Book, weighting: str
) -> None:
    config = configure(weighting)
    prepared = prepared_for(config, book)
    check_trainable(config, prepared, levels=LEVELS)
    rising = dataclasses.replace(prepared.moves, move_ticks=np.abs(prepared.moves.move_ticks))
    never_down = dataclasses.replace(prepared, moves=rising)
    with pytest.raises(TrainingError, match=r"fold 0: .*at least one of each of the 3 classes"):
        check_trainable(config, never_down, levels=LEVELS)


def test_a_fold_whose_folder_was_moved_before_it_was_resumed_ends_the_same(
    configure: Configure, book: Book, tmp_path: Path
) -> None:
    config = configure("training.learning_rate=0.5")  # the last of 9 steps is not the best
    whole = fit(config, book, tmp_path / "whole")
    assert whole.read_figures()["best_step"] < 9
    ended = fit(config, book, tmp_path / "ended")  # killed after its last checkpoint
    for name in ("figures.json", *TABLES):
        (ended.folder / name).unlink()
    ended.folder.rename(tmp_path / "moved")
    assert_same_results(whole, fit(config, book, tmp_path / "moved"))


def test_weights_that_have_seen_what_they_are_judged_on_are_refused(
    configure: Configure, book: Book, tmp_path: Path
) -> None:
    own = fit(configure("training.num_train_epochs=1"), book, tmp_path / "own")
    config = configure(f"model.pretrained={own.model}")
    prepared = prepare(book, data=config.data, walk_forward=config.judge.walk_forward)
    first, last = prepared.folds[0], prepared.folds[-1]
    with pytest.raises(ModelError, match=r"its training looked at data up to .* fold 0 is chosen"):
        check_trainable(config, prepared, levels=LEVELS)
    later = dataclasses.replace(prepared, folds=(last,))
    assert prepared.decisions.decided_ns[last.validation[0]] > first.train_end_ns
    check_trainable(config, later, levels=LEVELS)


def test_a_train_dev_block_is_judged_unseen_and_changes_nothing_else(tmp_path: Path) -> None:
    book = small_book()
    config = smoke_config("walk_forward.train_dev=30")
    files = fit(config, book, tmp_path / "with")
    figures, fold = files.read_figures(), prepared_for(config, book).folds[0]
    assert figures["train_dev_decisions"] == len(fold.train_dev) > 20
    assert set(fold.train_dev).isdisjoint({*fold.train, *fold.validation})
    right = figures["train_dev_accuracy"] * len(fold.train_dev)
    assert right == pytest.approx(round(right))
    assert 0.3 < figures["train_dev_cross_entropy"] < 3
    without = fit(smoke_config(), book, tmp_path / "without").read_figures()
    assert not [name for name in without if name.startswith("train_dev")]
