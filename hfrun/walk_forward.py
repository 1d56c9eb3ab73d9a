"""Fit, predict, score and judge: every fold of a walk-forward, or the one split of a training.

    book ─► prepare ─► for each fold: fit_fold ─► predictions ─► score (lob_backtest) ─► report

A fold whose files are complete is not fitted again, so an interrupted run goes on where it
stopped. The baselines see the same decisions, labels and folds as the model.
"""

import filecmp
import json
import shutil
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import yaml
from accelerate import PartialState

from hfrun.closing import close_run
from hfrun.config import HfrunConfig, effective_yaml
from hfrun.data.audit import audit_books, require_clean, write_audit
from hfrun.evaluation.calibration_run import calibrate_finished
from hfrun.fitting import TEST_FILE, VALIDATION_FILE, FoldFiles, fit_fold, training_figures
from hfrun.incumbent import (
    IN_USE,
    Incumbent,
    check_incumbent,
    check_names,
    fetch_incumbent,
    incumbent_predictions,
    is_of_hub,
)
from hfrun.publishing import check_destination, destination, publish_judged
from hfrun.run_folder import claim_run_folder, read_run, with_scoring, write_scoring
from hfrun.staging import model_files
from hfrun.summary import Summary
from hfrun.trainable import check_trainable
from lob_backtest.baselines import BASELINES
from lob_backtest.book import Book
from lob_backtest.contenders import ModelPredictions, predict_baselines
from lob_backtest.files import sole_use, write_json, write_text
from lob_backtest.gates import check_rules
from lob_backtest.open_book import book_fingerprint, open_book
from lob_backtest.predictions import (
    concatenate,
    read_predictions,
    write_predictions,
)
from lob_backtest.prepare import Prepared, prepare, prepare_holdout
from lob_backtest.progress import announce
from lob_backtest.report import write_report
from lob_backtest.walk_forward import score

# Told of each fold when it is fitted; what it raises ends the run.
AfterFold = Callable[[FoldFiles], None]


def run_walk_forward(config: HfrunConfig, *, after_fold: AfterFold | None = None) -> Summary | None:
    """Fit and predict every fold, then score and judge; None on all but the main process."""
    judge = config.judge  # an incomplete config ends here, before anything is written
    book = open_book(config.data.book, mapped=True)
    prepared = prepare(
        book, data=judge.data, walk_forward=judge.walk_forward, backtest=judge.backtest
    )
    return _run(config, book, prepared, kind="walk-forward", after_fold=after_fold)


def run_training(config: HfrunConfig) -> Summary | None:
    """Train on one split in time, and judge the chosen checkpoint once on the held-out block."""
    book = open_book(config.data.book, mapped=True)
    return _run(config, book, holdout_of(config, book), kind="train")


def holdout_of(config: HfrunConfig, book: Book) -> Prepared:
    """Decisions, labels and the one split in time of a training without walk-forward."""
    split = config.data.split
    return prepare_holdout(
        book,
        data=config.data,
        train=split.train,
        validation=split.validation,
        test=split.test,
        backtest=config.backtest,
    )


def _run(
    config: HfrunConfig,
    book: Book,
    prepared: Prepared,
    *,
    kind: str,
    after_fold: AfterFold | None = None,
) -> Summary | None:
    folder = Path(config.run.output_dir)
    state = PartialState()
    check_trainable(config, prepared, levels=book.n_levels)
    check_names(config.gates)
    of_hub = is_of_hub(config.gates.baseline)
    check_rules(config.gates, baselines=[*BASELINES, *([config.gates.baseline] if of_hub else [])])
    if config.hub.push:
        check_destination(destination(config.hub))
    audit = audit_books(book, prepared, window=config.data.window, accept=config.data.audit.accept)
    if state.is_main_process and not audit.stops:  # else the refusal says it
        announce(audit.brief())
    require_clean(audit)
    data = [book_fingerprint(config.data.book, book)]
    if state.is_main_process:
        claim_run_folder(folder, config, kind=kind, data=data)
    alone = sole_use(folder, what="another run") if state.is_main_process else nullcontext()
    with alone:
        incumbent = None
        if of_hub and state.is_main_process:  # what cannot be compared is refused before training
            incumbent = fetch_incumbent(config.gates.baseline, config.hub, folder=folder / IN_USE)
            check_incumbent(incumbent, book, prepared, config.backtest)
        state.wait_for_everyone()
        fitted = _fit(config, book, prepared, folder, kind=kind, after_fold=after_fold)
        # The others end here; a group whose members leave one by one may abort the last of them.
        state.wait_for_everyone()
        state.destroy_process_group()
        if not state.is_main_process:
            return None
        _gather(folder, fitted, kind=kind)
        write_audit(audit, folder)
        report = _judge(
            config, book, prepared, folder, fitted, audit=audit.as_dict(), incumbent=incumbent
        )
        findings = close_run(folder, config)
        published = publish_judged(folder, report) if config.hub.push else None
    return Summary(folder=folder, report=report, published=published, findings=findings)


def _fit(
    config: HfrunConfig,
    book: Book,
    prepared: Prepared,
    folder: Path,
    *,
    kind: str,
    after_fold: AfterFold | None,
) -> list[FoldFiles]:
    """Fit and predict each fold that is not complete yet."""
    fitted = []
    for number, fold in enumerate(prepared.folds, start=1):
        files = FoldFiles(folder if kind == "train" else folder / "folds" / f"{fold.fold:03d}")
        if not files.is_complete:
            announce(f"fold {number} of {len(prepared.folds)}: training in {files.folder}")
            fit_fold(config, book, prepared, fold, files)
        fitted.append(files)
        if after_fold is not None:
            after_fold(files)
    return fitted


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
    if not _is_in(folder / "model", fitted[-1].model):
        partial = folder / ".model.partial"
        shutil.rmtree(partial, ignore_errors=True)
        shutil.copytree(fitted[-1].model, partial)
        shutil.rmtree(folder / "model", ignore_errors=True)  # of folds that were fitted anew since
        partial.rename(folder / "model")


def _is_in(kept: Path, latest: Path) -> bool:
    """Whether a folder holds every file of another, byte by byte."""
    names = [str(path.relative_to(latest)) for path in latest.rglob("*") if path.is_file()]
    same, _, _ = filecmp.cmpfiles(kept, latest, names, shallow=False)
    return len(same) == len(names)


def _judge(
    config: HfrunConfig,
    book: Book,
    prepared: Prepared,
    folder: Path,
    fitted: list[FoldFiles],
    *,
    audit: dict[str, Any],
    incumbent: Incumbent | None,
) -> dict[str, Any]:
    """Score against the baselines, write the report, and note the verdict in run.json."""
    model = _read(folder)
    run = with_scoring(read_run(folder), config)
    for outcome in ("training", "verdict"):  # of an earlier judgement
        run.pop(outcome, None)
    figures = [files.read_figures() for files in fitted]
    training = training_figures(figures, fitted)
    baselines = _baselines(book, prepared, folder / "baselines", seed=config.run.seed)
    run["model_files"] = model_files(folder)
    run.pop("incumbent", None)
    if incumbent is not None:
        baselines[incumbent.name] = incumbent_predictions(
            incumbent, book, prepared, config.backtest
        )
        run["incumbent"] = incumbent.record()
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
        check=True,
    )
    write_report(report, folder / "report")
    calibrate_finished(folder)
    run["audit"] = audit
    run["training"] = {"folds": figures, **training.as_dict()}
    run["verdict"] = report["verdict"]
    write_scoring(folder, run, config)
    return report


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
