"""Fit, predict, score and judge: every fold of a walk-forward, or the one split of a training.

    book ─► prepare ─► for each fold: fit_fold ─► predictions ─► score (lob_backtest) ─► report

A fold whose files are complete is not fitted again, so an interrupted run goes on where it
stopped. The baselines see the same decisions, labels and folds as the model.
"""

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from accelerate import PartialState

from hfrun.config import HfrunConfig
from hfrun.fitting import FoldFiles, check_trainable, fit_fold
from hfrun.run_folder import claim_run_folder
from hfrun.summary import Summary
from lob_backtest.book import Book
from lob_backtest.files import write_json, write_text
from lob_backtest.open_book import book_fingerprint, open_book
from lob_backtest.predictions import (
    Predictions,
    concatenate,
    read_predictions,
    write_predictions,
)
from lob_backtest.prepare import Prepared, prepare, prepare_holdout
from lob_backtest.progress import announce
from lob_backtest.training_figures import TrainingFigures


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
    for name in ("predictions.parquet", "validation_predictions.parquet"):
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
    from lob_backtest.report import write_report
    from lob_backtest.walk_forward import ModelPredictions, score

    model = ModelPredictions(
        test=read_predictions(folder / "predictions.parquet"),
        validation=read_predictions(folder / "validation_predictions.parquet"),
    )
    run = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    figures = [files.read_figures() for files in fitted]
    training = training_figures(figures, fitted, model.test)
    announce("scoring against the baselines")
    report = score(
        book,
        model,
        _baselines(book, prepared, folder, seed=config.run.seed),
        backtest=config.backtest,
        gates=config.gates,
        training=training,
        seed=config.run.seed,
        prepared=prepared,
        provenance={**run, "config": json.loads(json.dumps(asdict(config)))},
    )
    write_report(report, folder / "report")
    run |= {
        "training": {"folds": figures, **training.as_dict()},
        "verdict": report["verdict"],
    }
    write_json(folder / "run.json", run)
    return Summary(folder=folder, report=report)


def _baselines(book: Book, prepared: Prepared, folder: Path, *, seed: int) -> Mapping[str, Any]:
    """The baselines' predictions; read back when a resumed run already made them."""
    from lob_backtest.walk_forward import (
        ModelPredictions,
        predict_baselines,
    )

    names = sorted(path.name for path in (folder / "baselines").glob("[!.]*"))
    if (folder / "baselines" / "complete.json").is_file():
        return {
            name: ModelPredictions(
                test=read_predictions(folder / "baselines" / name / "predictions.parquet"),
                validation=read_predictions(
                    folder / "baselines" / name / "validation_predictions.parquet"
                ),
            )
            for name in names
            if name != "complete.json"
        }
    made = predict_baselines(book, prepared, seed=seed)
    for name, predictions in made.items():
        place = folder / "baselines" / name
        write_predictions(predictions.test, place / "predictions.parquet")
        if predictions.validation is not None:
            write_predictions(predictions.validation, place / "validation_predictions.parquet")
    write_json(folder / "baselines" / "complete.json", sorted(made))
    return made


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
