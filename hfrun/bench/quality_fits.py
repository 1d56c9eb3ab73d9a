"""Making cells: the books as they are imported, and fits through the code of a walk-forward.

file ─► book ─► config ─► prepare ─► fit_fold            ─► cell of a deep model
                               └───► predict_baselines   ─► cells of the baselines
"""

import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from transformers import AutoModelForSequenceClassification

from hfrun.bench.quality_cells import Made, baseline_identity, figures_of, model_identity
from hfrun.bench.quality_plan import BookPlan, Cell, Contender, Horizon
from hfrun.config import HfrunConfig, effective_yaml, load_config
from hfrun.errors import DataError
from hfrun.fitting import TEST_FILE, FoldFiles, fit_fold
from hfrun.trainable import check_trainable
from lob_backtest.alarms import evidence, foresight, late_by_horizon, late_by_one
from lob_backtest.book import Book
from lob_backtest.contenders import check_complete, predict_baselines
from lob_backtest.files import read_json, sha256_of, write_json
from lob_backtest.io import import_book
from lob_backtest.labels.overlap import effective_labels
from lob_backtest.open_book import book_fingerprint, open_book
from lob_backtest.predictions import CLASS_NAMES, Predictions, read_predictions
from lob_backtest.prepare import Prepared, prepare
from lob_backtest.progress import announce
from lob_backtest.splits import Fold
from lob_backtest.strict_yaml import parse_yaml


@dataclass(frozen=True, kw_only=True, eq=False)
class OpenedBook:
    """A book of the table, its config with any horizon, model and seed, and its walk.

    Attributes:
        plan: what was asked for.
        path: the imported book table.
        config_path: the book's YAML.
    """

    plan: BookPlan
    path: Path
    config_path: Path
    _prepared: dict[Horizon, Prepared] = field(default_factory=dict)

    @cached_property
    def book(self) -> Book:
        return open_book(str(self.path))

    @cached_property
    def fingerprint(self) -> dict[str, Any]:
        return book_fingerprint(str(self.path), self.book)

    def config(
        self, horizon: Horizon, contender: Contender | None = None, *, seed: int = 0
    ) -> HfrunConfig:
        """The effective config of a fit; without a contender, of the baselines."""
        overrides = [f"data.book={self.path}", f"run.seed={seed}", horizon.override]
        return load_config(
            self.config_path, [*overrides, *(contender.overrides if contender else ())]
        )

    def prepared(self, horizon: Horizon) -> Prepared:
        """Decisions, labels and windows: the same for every contender."""
        if horizon not in self._prepared:
            judge = self.config(horizon).judge
            self._prepared[horizon] = prepare(
                self.book, data=judge.data, walk_forward=judge.walk_forward
            )
        return self._prepared[horizon]

    def identity(self, horizon: Horizon, contender: Contender | str, *, seed: int) -> str:
        """Of a cell; the name of a baseline or a deep model."""
        if isinstance(contender, str):
            return baseline_identity(self.config(horizon), self.fingerprint, contender)
        return model_identity(self.config(horizon, contender, seed=seed), self.fingerprint)


def imported_book(plan: BookPlan, *, data: Path, books: Path) -> Path:
    """Path of the plan's book table, imported from the data folder where it is not there yet.

    Raises:
        DataError: the data folder has not got the files.
    """
    path = books / f"{plan.name}.parquet"
    files = sorted(file for pattern in plan.files for file in data.glob(pattern))
    sources = path.with_suffix(".sources.json")
    wanted = {"files": {file.name: sha256_of(file) for file in files},
              "options": asdict(plan.options), "format": plan.source_format}  # fmt: skip
    if path.is_file() and (not files or _same(sources, wanted)):
        return path
    if not files:
        raise DataError(
            f"{plan.name}: {data} has no {' or '.join(plan.files)}; needs the files that "
            "docs/data.md tells how to get (--data DIR, or LOB_DATA_DIR=DIR/..)"
        )
    announce(f"importing {plan.name}")
    books.mkdir(parents=True, exist_ok=True)
    import_book(plan.source_format, files, path, options=plan.options)
    write_json(sources, wanted)
    return path


def _same(path: Path, wanted: dict[str, Any]) -> bool:
    return path.is_file() and read_json(path, error=DataError) == wanted


def made_baselines(
    opened: OpenedBook, horizon: Horizon, cells: Sequence[Cell], facts: dict[str, Any]
) -> list[Made]:
    """The baselines' cells of a book and horizon, each fitted on its window's train part alone."""
    whole = opened.prepared(horizon)
    made = []
    for name in dict.fromkeys(cell.contender for cell in cells):
        for cell in (cell for cell in cells if cell.contender == name):
            fold = _fold(whole, cell)
            prepared = replace(whole, folds=(fold,))
            started = time.monotonic()
            test = predict_baselines(opened.book, prepared, names=[name], seed=cell.seed)[name].test
            seconds = time.monotonic() - started
            made.append(_made(cell, opened, prepared, test, seconds=seconds, facts=facts))
    return made


def made_model(
    opened: OpenedBook,
    horizon: Horizon,
    contender: Contender,
    cell: Cell,
    *,
    folder: Path,
    facts: dict[str, Any],
) -> Made:
    """A deep model's cell: fitted and predicted as a fold of ``hfrun walk-forward``.

    Args:
        folder: for the fit; one that was interrupted is taken up where its checkpoints are, and
            all of it goes once the cell is made.
    """
    config = opened.config(horizon, contender, seed=cell.seed)
    _refuse_other_question(opened.config(horizon), config, contender)
    whole = opened.prepared(horizon)
    prepared = replace(whole, folds=(_fold(whole, cell),))
    files = FoldFiles(folder)
    if not files.is_complete:
        check_trainable(config, prepared, levels=opened.book.n_levels)
        fit_fold(config, opened.book, prepared, prepared.folds[0], files)
    test = read_predictions(folder / TEST_FILE)
    training = _training(files)
    made = _made(cell, opened, prepared, test, seconds=training["seconds"], facts=facts)
    made.record["training"] = training
    made.record["config"] = parse_yaml(effective_yaml(config))
    shutil.rmtree(folder)
    return made


def _refuse_other_question(asked: HfrunConfig, config: HfrunConfig, contender: Contender) -> None:
    """A model may look at fewer rows, but not decide elsewhere, on other labels or blocks."""
    same = (
        config.data.decisions == asked.data.decisions
        and config.data.label == asked.data.label
        and config.walk_forward == asked.walk_forward
    )
    if not same or config.data.window > asked.data.window:
        raise DataError(
            f"{contender.name}: {' '.join(contender.overrides)} changes the decisions, labels or "
            f"blocks, or looks at more than {asked.data.window} rows; a contender needs the same "
            "question as the others: change it in the book's config, for all"
        )


def _fold(prepared: Prepared, cell: Cell) -> Fold:
    return next(fold for fold in prepared.folds if fold.fold == cell.fold)


def _made(
    cell: Cell,
    opened: OpenedBook,
    prepared: Prepared,
    test: Predictions,
    *,
    seconds: float,
    facts: dict[str, Any],
) -> Made:
    """A cell with its record; its table must be exactly the window's decisions and labels."""
    check_complete(test, prepared)
    record = {
        "figures": figures_of(test),
        "window": window_facts(prepared, prepared.folds[0]),
        "alarms": leak_alarms(opened.book, test),
        "seconds": round(seconds, 2),
        "book": opened.fingerprint | {"path": opened.path.name},
        "made": {**facts, "created_at": datetime.now(UTC).isoformat(timespec="seconds")},
    }
    return Made(cell=cell, predictions=test, record=record)


def leak_alarms(book: Book, test: Predictions) -> list[dict[str, Any]]:
    """The leak alarms that need no more than a window's predictions and the book."""
    seen = evidence(book, test)
    return [alarm(seen).as_dict() for alarm in (foresight, late_by_one, late_by_horizon)]


def window_facts(prepared: Prepared, fold: Fold) -> dict[str, Any]:
    """Where a window lies, what it is trained on, and what its labels are like."""
    decided_ns, end_ns = prepared.decisions.decided_ns, prepared.moves.label_end_ns
    labels = prepared.labels(fold)[fold.test]
    known = fold.test[labels >= 0]
    counts = np.bincount(labels[labels >= 0], minlength=len(CLASS_NAMES))
    return {
        "train": int(fold.train.size),
        "validation": int(fold.validation.size),
        "test": int(known.size),
        "purged": int(fold.n_purged),
        "train_start_ns": int(decided_ns[fold.train[0]]),
        "test_start_ns": int(fold.test_start_ns),
        "test_end_ns": int(fold.test_end_ns),
        "threshold_ticks": prepared.threshold(fold),
        "independent_labels": float(effective_labels(decided_ns[known], end_ns[known])),
        "class_shares": (counts / max(counts.sum(), 1)).tolist(),
    }


def _training(files: FoldFiles) -> dict[str, Any]:
    """What the training noted, with the size of the model and the gradient norms over all steps."""
    figures = files.read_figures()
    norms = files.read_grad_norms()
    finite = norms[np.isfinite(norms)]
    model = AutoModelForSequenceClassification.from_pretrained(files.model)
    percentiles = np.percentile(finite, [50, 95]).tolist() if finite.size else [None, None]
    return {
        **figures,
        "parameters": model.num_parameters(),
        "grad_norm_p50": percentiles[0],
        "grad_norm_p95": percentiles[1],
    }
