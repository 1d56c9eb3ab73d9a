"""Fit, predict, score and judge: every fold of a walk-forward, or the one split of a training.

    book ─► prepare ─► for each fold: fit_fold ─► predictions ─► score (lob_backtest) ─► report

A fold whose files are complete is not fitted again, so an interrupted run goes on where it
stopped. The baselines see the same decisions, labels and folds as the model.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from accelerate import PartialState

from hfrun.config import HfrunConfig, effective_yaml
from hfrun.fitting import TEST_FILE, VALIDATION_FILE, FoldFiles, check_trainable, fit_fold
from hfrun.run_folder import claim_run_folder, read_run
from hfrun.summary import Summary
from lob_backtest.baselines import BASELINES
from lob_backtest.book import Book
from lob_backtest.contenders import ModelPredictions, predict_baselines
from lob_backtest.files import write_json, write_text
from lob_backtest.gates import check_rules
from lob_backtest.open_book import book_fingerprint, open_book
from lob_backtest.predictions import (
    Predictions,
    concatenate,
    read_predictions,
    write_predictions,
)
from lob_backtest.prepare import Prepared, prepare, prepare_holdout
from lob_backtest.progress import announce
from lob_backtest.report import write_report
from lob_backtest.training_figures import TrainingFigures
from lob_backtest.walk_forward import score


def run_walk_forward(config: HfrunConfig) -> Summary | None:
    """Fit and predict every fold, then score and judge; None on all but the main process."""
    judge = config.judge  # an incomplete config ends here, before anything is written
    book = open_book(config.data.book)
    prepared = prepare(book, data=judge.data, walk_forward=judge.walk_forward)
    return _run(config, book, prepared, kind="walk-forward")


def run_training(config: HfrunConfig) -> Summary | None:
    """Train on one split in time, and judge the chosen checkpoint once on the held-out block."""
    book = open_book(config.data.book)
    split = config.data.split
    prepared = prepare_holdout(
        book, data=config.data, train=split.train, validation=split.validation, test=split.test
    )
    return _run(config, book, prepared, kind="train")


def _run(config: HfrunConfig, book: Book, prepared: Prepared, *, kind: str) -> Summary | None:
    folder = Path(config.run.output_dir)
    state = PartialState()
    check_trainable(config, prepared)
    check_rules(config.gates, baselines=BASELINES)
    data = [book_fingerprint(config.data.book, book)]
    if state.is_main_process:
        claim_run_folder(folder, config, kind=kind, data=data)
    state.wait_for_everyone()
    fitted = []
    for number, fold in enumerate(prepared.folds, start=1):
        files = FoldFiles(folder if kind == "train" else folder / "folds" / f"{fold.fold:03d}")
        if not files.is_complete:
            announce(f"fold {number} of {len(prepared.folds)}: training in {files.folder}")
            fit_fold(config, book, prepared, fold, files)
        fitted.append(files)
    if not state.is_main_process:
        return None
    _gather(folder, fitted, kind=kind)
    return _judge(config, book, prepared, folder, fitted)


def _gather(folder: Path, fitted: list[FoldFiles], *, kind: str) -> None:
    """Put the folds' results together: one predictions table, one log, the latest model."""
    if kind == "train":
        return
    for name in (TEST_FILE, VALIDATION_FILE):
        parts = [read_predictions(files.folder / name) for files in fitted]
        write_predictions(concatenate(parts), folder / name)
    lines = [
        json.dumps({"fold": fold, **json.loads(line)})
        for fold, files in enumerate(fitted)
        for line in files.metrics.read_text(encoding="utf-8").splitlines()
    ]
    write_text(folder / "metrics.jsonl", "".join(f"{line}\n" for line in lines))
    if not (folder / "model").exists():
        partial = folder / ".model.partial"
        shutil.rmtree(partial, ignore_errors=True)
        shutil.copytree(fitted[-1].model, partial)
        partial.rename(folder / "model")


def _judge(
    config: HfrunConfig, book: Book, prepared: Prepared, folder: Path, fitted: list[FoldFiles]
) -> Summary:
    """Score against the baselines, write the report, and note the verdict in run.json."""
    model = _read(folder)
    run = read_run(folder)
    figures = [files.read_figures() for files in fitted]
    training = training_figures(figures, fitted, model.test)
    baselines = _baselines(book, prepared, folder / "baselines", seed=config.run.seed)
    announce("scoring against the baselines")
    report = score(
        book,
        model,
        baselines,
        backtest=config.backtest,
        gates=config.gates,
        training=training,
        seed=config.run.seed,
        prepared=prepared,
        provenance={**run, "config": yaml.safe_load(effective_yaml(config))},
    )
    write_report(report, folder / "report")
    run["training"] = {"folds": figures, **training.as_dict()}
    run["verdict"] = report["verdict"]
    write_json(folder / "run.json", run)
    return Summary(folder=folder, report=report)


def _baselines(
    book: Book, prepared: Prepared, folder: Path, *, seed: int
) -> dict[str, ModelPredictions]:
    """The baselines' predictions, made once and read back when a run is taken up again."""
    done = folder / "complete.json"
    if done.is_file():
        names: list[str] = json.loads(done.read_text(encoding="utf-8"))
        return {name: _read(folder / name) for name in names}
    made = predict_baselines(book, prepared, seed=seed)
    for name, predictions in made.items():
        write_predictions(predictions.test, folder / name / TEST_FILE)
        if predictions.validation is not None:
            write_predictions(predictions.validation, folder / name / VALIDATION_FILE)
    write_json(done, list(made))
    return made


def _read(folder: Path) -> ModelPredictions:
    return ModelPredictions(
        test=read_predictions(folder / TEST_FILE),
        validation=read_predictions(folder / VALIDATION_FILE),
    )


def training_figures(
    figures: list[dict[str, Any]], fitted: list[FoldFiles], test: Predictions
) -> TrainingFigures:
    """What the gates need of the trainings.

    The evaluation accuracy is that of the fold's test block, which nothing was chosen on; train
    accuracy is of the chosen checkpoint in evaluation mode. The norms are those of every optimizer
    step of every fold, before clipping.
    """
    norms = np.concatenate([files.read_grad_norms() for files in fitted])
    chosen = np.argmax(test.probability, axis=1)
    correct = [
        float(np.mean(chosen[here] == test.label[here]))
        for fold in test.folds
        for here in [(test.fold == fold) & test.is_labelled]
    ]
    return TrainingFigures(
        train_accuracy=tuple(entry["train_accuracy"] for entry in figures),
        eval_accuracy=tuple(correct),
        grad_norm_p50=float(np.percentile(norms, 50)),
        grad_norm_p95=float(np.percentile(norms, 95)),
    )
