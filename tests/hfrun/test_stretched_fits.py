"""Fits whose decisions share their rows: every figure and every weight is that of the decisions."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from transformers import TrainingArguments

from hfrun.config import HfrunConfig
from hfrun.data.hand_features import fit_and_write
from hfrun.data.windows import BookCollator, decision_dataset, write_rows
from hfrun.errors import ModelError, TrainingError
from hfrun.fitting import FoldFiles, fold_normalizer
from hfrun.fold_trainer import build_model, training_arguments
from hfrun.trainable import check_trainable
from hfrun.training.losses import sample_losses
from hfrun.training.weighting import BalancedSampler
from lob_backtest.book import Book
from lob_backtest.prepare import Prepared
from tests.hfrun.fold_case import (
    LEVELS,
    SIZES,
    WINDOW,
    assert_same_results,
    fit,
    fit_killed_at,
    prepared_for,
    small_book,
    smoke_config,
    validation_figures,
)
from tests.lob_backtest.books import random_book

SKIP = f"model.config={json.dumps(SIZES | {'dropout': 0.2, 'skip': True})}"
# Evaluations and checkpoints in the middle of an epoch of three steps.
MID_EPOCH = ("training.eval_strategy=steps", "training.eval_steps=2",
             "training.save_strategy=steps", "training.save_steps=2")  # fmt: skip
MLP = ("model.type=mlp", "model.config={frames: 3, width: 8, norm: batch, skip: true}")
BILSTM = ("model.type=bilstm", "model.config={frames: 3, width: 4, depth: 1, norm: batch}")
SLOW = pytest.mark.slow


@pytest.fixture(scope="module")
def book() -> Book:
    return small_book()


@pytest.fixture(scope="module")
def three_days() -> Book:
    return random_book(np.random.default_rng(5), n_rows=700, n_levels=LEVELS, n_sessions=3)


# ---- interrupted in the middle of an epoch ----


@pytest.mark.parametrize(
    "overrides",
    [
        ("training.stretch=4", "training.bf16=true", SKIP),
        ("training.stretch=4", "training.bf16=false", "data.normalize.inputs=order_flow"),
        pytest.param(("training.stretch=4", "training.bf16=false", SKIP), marks=SLOW),
        pytest.param(("training.stretch=1", "training.bf16=true"), marks=SLOW),
        pytest.param(("training.stretch=4", "training.loss.balanced_sampler=true"), marks=SLOW),
        pytest.param(("training.dataloader_num_workers=2", SKIP), marks=SLOW),
        pytest.param(MLP, marks=SLOW),
        pytest.param(BILSTM, marks=SLOW),
    ],
)
def test_a_fit_taken_up_in_the_middle_of_an_epoch_equals_the_uninterrupted_one(
    book: Book, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, overrides: tuple[str, ...]
) -> None:
    config = smoke_config(*MID_EPOCH, *overrides)
    whole = fit(config, book, tmp_path / "whole")
    fit_killed_at(5, config, book, tmp_path / "killed", monkeypatch)
    left = {path.name for path in (tmp_path / "killed").iterdir()}
    logs = {"metrics.jsonl", "grad_norm.jsonl", "tensorboard"}
    assert left == {"checkpoint-2", "checkpoint-4", *logs}
    assert_same_results(whole, fit(config, book, tmp_path / "killed"))


# ---- what is evaluated is what is predicted ----

CLOCK = ("data.decisions={every_ms: 400}", "data.label={kind: mid_move, horizon_ms: 5000}")


@pytest.mark.parametrize(
    "overrides",
    [
        ("training.dataloader_drop_last=true",),  # a batch larger than the validation part
        ("training.dataloader_drop_last=true", "training.per_device_eval_batch_size=7", SKIP),
        (*CLOCK, "training.per_device_eval_batch_size=13"),
        ("data.decisions={on: mid_change}", "training.per_device_eval_batch_size=1"),
        pytest.param((*CLOCK, "training.stretch=1", SKIP), marks=SLOW),
        pytest.param(("training.dataloader_num_workers=2", SKIP), marks=SLOW),
        pytest.param(("training.bf16=true", "data.decisions={every_events: 1}"), marks=SLOW),
        pytest.param((*MLP, *CLOCK, "training.per_device_eval_batch_size=7"), marks=SLOW),
        pytest.param((*BILSTM, "training.dataloader_drop_last=true"), marks=SLOW),
    ],
)
def test_the_noted_evaluation_is_of_every_validation_decision(
    three_days: Book, tmp_path: Path, overrides: tuple[str, ...]
) -> None:
    config = smoke_config("training.num_train_epochs=1", *overrides)
    if overrides[0] == CLOCK[0]:
        rows = prepared_for(config, three_days).decisions.rows
        assert (np.diff(rows) == 0).any()  # two decisions that know the same row
    files = fit(config, three_days, tmp_path / "fold")
    accuracy, loss = validation_figures(files)
    figures = files.read_figures()
    assert accuracy == pytest.approx(figures["eval_accuracy"], abs=1e-12)
    assert loss == pytest.approx(figures["eval_loss"], abs=1e-6)


# ---- each decision keeps what is its own ----


def collated(
    config: HfrunConfig, book: Book, prepared: Prepared, folder: Path, *, stretch: int
) -> tuple[BookCollator, object]:
    """A collator and the train dataset of a fold with hand-made features and weights."""
    fold = prepared.folds[0]
    rows = write_rows(book, fold_normalizer(config, book, prepared, fold), folder / "rows.npy")
    fit_and_write(book, prepared.decisions, fold.train, folder / "hand.npy")
    dataset = decision_dataset(
        rows=prepared.decisions.rows[fold.train],
        labels=np.random.default_rng(2).integers(0, 3, fold.train.size),
        window=WINDOW,
        sample_weight=np.linspace(0.5, 1.5, fold.train.size),
        decisions=fold.train,
    )
    collator = BookCollator(
        rows, window=WINDOW, stretch=stretch, shares_windows=stretch > 1,
        hand_path=folder / "hand.npy",
    )  # fmt: skip
    return collator, dataset


@pytest.mark.parametrize("decisions", [(), CLOCK], ids=["events", "clock"])
def test_in_any_order_and_company_a_decision_has_its_own_logits_and_weighted_loss(
    three_days: Book, tmp_path: Path, decisions: tuple[str, ...]
) -> None:
    config = smoke_config(SKIP, *decisions)
    prepared = prepared_for(config, three_days)
    shared, dataset = collated(config, three_days, prepared, tmp_path, stretch=4)
    own, _ = collated(config, three_days, prepared, tmp_path, stretch=1)
    torch.manual_seed(0)
    model = build_model(config, levels=LEVELS).eval()
    torch.nn.init.normal_(model.head.weight, std=3.0)
    class_weights = torch.tensor([1.0, 2.0, 4.0])
    sampler = BalancedSampler(np.array(dataset["labels"]), num_labels=3, seed=3)
    drawn = list(sampler)[:40]
    assert len(set(drawn)) < 40  # some twice
    found = []
    for collator in (shared, own):
        batch = collator.training([dataset[index] for index in drawn])
        labels, weights = batch.pop("labels"), batch.pop("sample_weight")
        with torch.no_grad():
            logits = model(**batch).logits
        losses = sample_losses(logits, labels, class_weights=class_weights, sample_weight=weights)
        found.append((batch, logits, losses))
    (stretched, *of_stretches), (windows, *of_windows) = found
    assert stretched["features"].shape[0] < windows["features"].shape[0] == 40
    assert len(np.unique(of_windows[0], axis=0)) > 20  # not one answer for all
    for together, alone in zip(of_stretches, of_windows, strict=True):
        torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    "model",
    [
        ("model.type=linear", "model.config={frames: 5, skip: true}"),
        ("model.type=mlp", "model.config={frames: 3, width: 8, norm: layer, dropout: 0.0}"),
        pytest.param(
            ("model.type=bilstm", "model.config={frames: 3, width: 4, norm: none, dropout: 0.0}"),
            marks=SLOW,
        ),
    ],
)
def test_four_small_batches_make_the_step_of_one_large(
    book: Book, tmp_path: Path, model: tuple[str, ...]
) -> None:
    """Of models without a batch norm, which sees a batch and not a step."""
    fitted = [
        fit(
            smoke_config(
                *model,
                "training.bf16=false",
                f"training.per_device_train_batch_size={batch}",
                f"training.gradient_accumulation_steps={20 // batch}",
                "training.loss.class_weights=balanced",
            ),
            book,
            tmp_path / str(batch),
        )
        for batch in (20, 5)
    ]
    weights = [load_file(files.model / "model.safetensors") for files in fitted]
    for name, of_one in weights[0].items():
        np.testing.assert_allclose(weights[1][name], of_one, rtol=0, atol=2e-5, err_msg=name)
    norms = [files.read_grad_norms() for files in fitted]
    np.testing.assert_allclose(norms[1], norms[0], rtol=1e-4)


def test_a_last_batch_of_one_decision_is_trained_on_with_the_shortest_window(
    book: Book, tmp_path: Path
) -> None:
    config = smoke_config("data.window=19", "training.num_train_epochs=1", "training.stretch=1")
    train = prepared_for(config, book).folds[0].train.size
    alone = smoke_config(
        "data.window=19", "training.num_train_epochs=1",
        f"training.per_device_train_batch_size={train - 1}",
    )  # fmt: skip
    norms = fit(alone, book, tmp_path / "fold").read_grad_norms()
    assert norms.size == 2
    assert np.isfinite(norms).all()


# ---- weights to start from ----


def pretrained(source: Path, *overrides: str) -> HfrunConfig:
    chosen = overrides if any("model.config" in text for text in overrides) else (
        "model.config={}", *overrides
    )  # fmt: skip
    return smoke_config(f"model.pretrained={source}", *chosen)


@pytest.mark.parametrize("has_path", [True, False])
def test_a_skip_path_that_pretrained_weights_lack_or_have_is_refused(
    tmp_path: Path, has_path: bool
) -> None:
    config = smoke_config(f"model.config={json.dumps(SIZES | {'skip': has_path})}")
    build_model(config, levels=LEVELS).save_pretrained(tmp_path)
    other = str(not has_path).lower()
    which = "with" if has_path else "without"
    with pytest.raises(ModelError, match=f"a model {which} a skip path and model.config.skip says"):
        build_model(pretrained(tmp_path, f"model.config={{skip: {other}}}"), levels=LEVELS)
    for overrides in ((), (f"model.config={{skip: {str(has_path).lower()}}}",)):
        model = build_model(pretrained(tmp_path, *overrides), levels=LEVELS)
        assert (model.skip is not None, model.config.skip) == (has_path, has_path)


def test_weights_trained_on_other_inputs_are_refused(book: Book, tmp_path: Path) -> None:
    flow = ("data.normalize.inputs=order_flow", "training.num_train_epochs=1")
    source = fit(smoke_config(*flow), book, tmp_path / "flow").model
    config = pretrained(source)
    with pytest.raises(ModelError, match=r"inputs: order_flow, .*data\.normalize\.inputs says lev"):
        check_trainable(config, prepared_for(config, book), levels=LEVELS)
    raw = pretrained(source, flow[0], "data.normalize.sizes=raw")
    with pytest.raises(ModelError, match=r"sizes: log, and data\.normalize\.sizes says raw"):
        check_trainable(raw, prepared_for(raw, book), levels=LEVELS)
    # prices are not looked at by an order flow: what is refused next is the overlap in time
    same = pretrained(source, flow[0], "data.normalize.prices=mid")
    with pytest.raises(ModelError, match="its training looked at data up to"):
        check_trainable(same, prepared_for(same, book), levels=LEVELS)


def test_one_process_keeps_to_one_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = TrainingArguments._setup_devices

    def two_gpus(arguments: TrainingArguments) -> torch.device:
        device = found.__get__(arguments)
        arguments._n_gpu = 2
        return device

    monkeypatch.setattr(TrainingArguments, "_setup_devices", property(two_gpus))
    arguments = training_arguments(smoke_config(), tmp_path)
    assert arguments.n_gpu == 1
    assert arguments.train_batch_size == 20


def test_a_fit_that_fails_leaves_no_input_files(book: Book, tmp_path: Path) -> None:
    """Rows and hand-made features are as large as the book; nothing else removes them."""
    config = smoke_config(SKIP, "training.num_train_epochs=1", "training.eval_delay=7")
    files = FoldFiles(tmp_path / "fold")
    with pytest.raises(TrainingError, match="before its first evaluation"):
        fit(config, book, files.folder)
    assert not list(files.folder.glob("*.npy"))
