"""From a book and a config to decisions, labels and folds: the same for a model and a baseline.

    book ─► decisions ─► moves ─► folds ─► per fold: threshold of its train part ─► labels

Whoever is to be compared goes through here, so that all see identical decisions, labels and folds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from lob_backtest.book import Book, FloatArray, IntArray
from lob_backtest.config import BacktestConfig, DataConfig, LabelConfig, WalkForwardConfig
from lob_backtest.decisions import Decisions
from lob_backtest.errors import SplitError
from lob_backtest.labels import Moves, classify, fit_threshold
from lob_backtest.predictions import CLASS_NAMES, Predictions
from lob_backtest.questions import NS_PER_MS, decisions_of, moves_of
from lob_backtest.splits import Fold, holdout_fold, walk_forward_folds


@dataclass(frozen=True, kw_only=True, eq=False)
class Prepared:
    """Decisions, their moves, and folds whose train and validation labels are all known.

    Attributes:
        instrument: the book's.
        data: what was asked for.
        decisions: D decisions in time order.
        moves: their moves, NaN where the horizon leaves the session.
        folds: index arrays into the decisions. Decisions without a known label are left out of
            train and validation; they stay in test, where they are traded but not scored.
        thresholds_ticks: by fold number, the move beyond which a label is up or down; from the
            fold's train part alone, or the configured one.
    """

    instrument: str
    data: DataConfig
    decisions: Decisions
    moves: Moves
    folds: tuple[Fold, ...]
    thresholds_ticks: Mapping[int, float]

    def threshold(self, fold: Fold) -> float:
        """The fold's label threshold in ticks."""
        return self.thresholds_ticks[fold.fold]

    def labels(self, fold: Fold) -> IntArray:
        """``(D,)`` labels of all decisions, cut at the fold's threshold; -1 unknown."""
        return classify(self.moves.move_ticks, threshold_ticks=self.threshold(fold))

    def train_end_ns(self, fold: Fold, part: Literal["validation", "test"]) -> int:
        """Last instant whose data was used before the part: for test, validation is included."""
        if part == "test":
            return int(fold.train_end_ns)
        return int(self.moves.label_end_ns[fold.train].max())

    def predictions(
        self, fold: Fold, part: Literal["validation", "test"], probability: FloatArray
    ) -> Predictions:
        """The predictions table of one part of a fold, ``probability`` ``(n, 3)`` in its order."""
        rows = fold.test if part == "test" else fold.validation
        return Predictions(
            instrument=self.instrument,
            fold=np.full(rows.size, fold.fold, dtype=np.int64),
            decided_ns=self.decisions.decided_ns[rows],
            label_end_ns=self.moves.label_end_ns[rows],
            train_end_ns=np.full(rows.size, self.train_end_ns(fold, part), dtype=np.int64),
            label=self.labels(fold)[rows],
            probability=probability,
        )


def prepare(
    book: Book,
    *,
    data: DataConfig,
    walk_forward: WalkForwardConfig,
    backtest: BacktestConfig | None = None,
) -> Prepared:
    """Decisions, moves and walk-forward folds of a book.

    Args:
        backtest: the costs that ``executable`` labels are after; other kinds do not look at it.

    Raises:
        LabelError: no decision or no label can be formed.
        SplitError: too few decisions for the folds, or a fold with one class only.
    """
    decisions = decisions_of(book, data.decisions, window=data.window)
    moves = moves_of(book, decisions, data.label, backtest)
    assert walk_forward.mode != "combinatorial"
    assert walk_forward.train is not None
    assert walk_forward.validation is not None
    assert walk_forward.test is not None
    folds = walk_forward_folds(
        decisions.decided_ns,
        moves.label_end_ns,
        decisions.session,
        mode=walk_forward.mode,
        unit=walk_forward.unit,
        train=walk_forward.train,
        validation=walk_forward.validation,
        test=walk_forward.test,
        embargo_ns=round(walk_forward.embargo_ms * NS_PER_MS),
    )
    return _prepared(book, data, decisions, moves, folds)


def prepare_holdout(
    book: Book,
    *,
    data: DataConfig,
    train: float,
    validation: float,
    test: float,
    backtest: BacktestConfig | None = None,
) -> Prepared:
    """Decisions, moves and one split in time; the parts are shares of the decisions.

    Raises:
        LabelError: no decision or no label can be formed.
        SplitError: too few decisions for the parts, or a train part with one class only.
    """
    decisions = decisions_of(book, data.decisions, window=data.window)
    moves = moves_of(book, decisions, data.label, backtest)
    fold = holdout_fold(
        decisions.decided_ns,
        moves.label_end_ns,
        decisions.session,
        train=train,
        validation=validation,
        test=test,
    )
    return _prepared(book, data, decisions, moves, [fold])


def _prepared(
    book: Book, data: DataConfig, decisions: Decisions, moves: Moves, folds: Sequence[Fold]
) -> Prepared:
    known = np.isfinite(moves.move_ticks)
    kept = tuple(
        replace(
            fold,
            train=fold.train[known[fold.train]],
            validation=fold.validation[known[fold.validation]],
        )
        for fold in folds
    )
    thresholds = {fold.fold: _threshold(moves, fold, data.label) for fold in kept}
    return Prepared(
        instrument=book.meta.instrument,
        data=data,
        decisions=decisions,
        moves=moves,
        folds=kept,
        thresholds_ticks=thresholds,
    )


def _threshold(moves: Moves, fold: Fold, config: LabelConfig) -> float:
    """The fold's threshold, with its parts checked to be fit for training."""
    for name, part in (("train", fold.train), ("validation", fold.validation)):
        if part.size == 0:
            raise SplitError(
                f"fold {fold.fold}: got no {name} decision whose label is known; needs at least "
                "one; shorten the label horizon or lengthen the windows"
            )
    move = moves.move_ticks[fold.train]
    threshold = config.threshold_ticks
    if threshold is None:
        threshold = fit_threshold(move, flat_share=config.flat_share)
    labels = classify(move, threshold_ticks=threshold)
    counts = np.bincount(labels, minlength=3)
    if np.count_nonzero(counts) < 2:
        found = ", ".join(f"{n} {name}" for n, name in zip(counts, CLASS_NAMES, strict=True))
        raise SplitError(
            f"fold {fold.fold}: got one class only among its {fold.train.size} train labels "
            f"({found} beyond {threshold:g} ticks); needs at least two; lengthen "
            "walk_forward.train or data.label's horizon, or set data.label.threshold_ticks"
        )
    return float(threshold)
