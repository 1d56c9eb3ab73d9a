"""From a book and a config to decisions, labels and folds: the same for a model and a baseline.

    book ─► decisions ─► moves ─► folds ─► per fold: threshold of its train part ─► labels

Whoever is to be compared goes through here, so that all see identical decisions, labels and folds.
Folds of a walk can be judged (``Prepared``); combinatorial splits train on what lies after their
test and are for research alone (``PreparedPaths``).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from lob_backtest.book import Book, BoolArray, FloatArray, IntArray
from lob_backtest.config import BacktestConfig, DataConfig, LabelConfig, WalkForwardConfig
from lob_backtest.decisions import Decisions
from lob_backtest.errors import ConfigError, SplitError
from lob_backtest.labels import Moves, classify, fit_threshold
from lob_backtest.predictions import CLASS_NAMES, Predictions
from lob_backtest.questions import NS_PER_MS, decisions_of, moves_of
from lob_backtest.splits import (
    CombinatorialFold,
    CombinatorialSplits,
    Fold,
    combinatorial_folds,
    holdout_fold,
    walk_forward_folds,
)
from lob_backtest.venues import check_venue

Part = Literal["train_dev", "validation", "test"]

_TITLES = {"train_dev": "train-dev"}


@dataclass(frozen=True, kw_only=True, eq=False)
class _Labelled:
    """Decisions, their moves, and how each fold cuts the moves into classes.

    Attributes:
        instrument: the book's.
        data: what was asked for.
        decisions: D decisions in time order.
        moves: their moves, NaN where the horizon leaves the session.
        thresholds_ticks: by fold number, the move beyond which a label is up or down; from the
            fold's train part alone, the configured one, or 0 where the kind itself says what is
            flat.
    """

    instrument: str
    data: DataConfig
    decisions: Decisions
    moves: Moves
    thresholds_ticks: Mapping[int, float]

    def threshold(self, fold: Fold | CombinatorialFold) -> float:
        """The fold's label threshold in ticks."""
        return self.thresholds_ticks[fold.fold]

    def labels(self, fold: Fold | CombinatorialFold) -> IntArray:
        """``(D,)`` labels of all decisions, cut at the fold's threshold; -1 unknown."""
        return classify(self.moves.move_ticks, threshold_ticks=self.threshold(fold))


@dataclass(frozen=True, kw_only=True, eq=False)
class Prepared(_Labelled):
    """Decisions, labels, and folds of a walk whose labels to learn from are all known.

    Attributes:
        folds: index arrays into the decisions. Decisions without a known label are left out of
            train, train-dev and validation; they stay in test, where they are traded but not
            scored.
    """

    folds: tuple[Fold, ...]

    def train_end_ns(self, fold: Fold, part: Part) -> int:
        """Last instant whose data was used before the part.

        For test that is the last of train and validation. For train-dev and validation it is the
        last of train alone: nothing is learned from train-dev or chosen by it.
        """
        if part == "test":
            return int(fold.train_end_ns)
        return int(self.moves.label_end_ns[fold.train].max())

    def predictions(self, fold: Fold, part: Part, probability: FloatArray) -> Predictions:
        """The predictions table of one part of a fold, ``probability`` ``(n, 3)`` in its order."""
        rows: IntArray = getattr(fold, part)
        return Predictions(
            instrument=self.instrument,
            fold=np.full(rows.size, fold.fold, dtype=np.int64),
            decided_ns=self.decisions.decided_ns[rows],
            label_end_ns=self.moves.label_end_ns[rows],
            train_end_ns=np.full(rows.size, self.train_end_ns(fold, part), dtype=np.int64),
            label=self.labels(fold)[rows],
            probability=probability,
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class PreparedPaths(_Labelled):
    """Decisions, labels, and combinatorial splits whose train labels are all known.

    Attributes:
        splits: index arrays into the decisions, and the backtest paths. Decisions without a known
            label are left out of train; they stay in test, where they are not scored.
    """

    splits: CombinatorialSplits


def prepare(
    book: Book,
    *,
    data: DataConfig,
    walk_forward: WalkForwardConfig,
    backtest: BacktestConfig | None = None,
) -> Prepared:
    """Decisions, moves and walk-forward folds of a book.

    Args:
        backtest: the costs that ``executable`` labels are after. They must fit the book, whatever
            the kind of label: better said now than after a training.

    Raises:
        ConfigError: ``walk_forward.mode`` is combinatorial, which is no walk.
        CostError: costs of a venue that the book is not of.
        LabelError: no decision or no label can be formed.
        SplitError: too few decisions for the folds, or a fold with one class only.
    """
    if walk_forward.mode == "combinatorial":
        raise ConfigError(
            "walk_forward.mode=combinatorial: its splits train on what lies after the test, so "
            "nothing can be judged on them; use mode rolling or expanding to judge, or "
            "lob-backtest paths to study the splits"
        )
    # None is refused by the config
    assert walk_forward.train and walk_forward.validation and walk_forward.test  # noqa: PT018
    decisions, moves = _asked(book, data, backtest)
    folds = walk_forward_folds(
        decisions.decided_ns,
        moves.label_end_ns,
        decisions.session,
        mode=walk_forward.mode,
        unit=walk_forward.unit,
        train=walk_forward.train,
        train_dev=walk_forward.train_dev,
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
        CostError: costs of a venue that the book is not of.
        LabelError: no decision or no label can be formed.
        SplitError: too few decisions for the parts, or a train part with one class only.
    """
    decisions, moves = _asked(book, data, backtest)
    fold = holdout_fold(
        decisions.decided_ns,
        moves.label_end_ns,
        decisions.session,
        train=train,
        validation=validation,
        test=test,
    )
    return _prepared(book, data, decisions, moves, [fold])


def prepare_combinatorial(
    book: Book,
    *,
    data: DataConfig,
    walk_forward: WalkForwardConfig,
    backtest: BacktestConfig | None = None,
) -> PreparedPaths:
    """Decisions, moves and combinatorial purged splits of a book, for research on a method.

    Of ``walk_forward`` only ``groups``, ``test_groups`` and ``embargo_ms`` are looked at.

    Args:
        backtest: the costs that ``executable`` labels are after; they must fit the book.

    Raises:
        CostError: costs of a venue that the book is not of.
        LabelError: no decision or no label can be formed.
        SplitError: too few decisions for the groups, or a train part with one class only.
    """
    decisions, moves = _asked(book, data, backtest)
    splits = combinatorial_folds(
        decisions.decided_ns,
        moves.label_end_ns,
        decisions.session,
        groups=walk_forward.groups,
        test_groups=walk_forward.test_groups,
        embargo_ns=round(walk_forward.embargo_ms * NS_PER_MS),
    )
    is_known = np.isfinite(moves.move_ticks)
    folds = tuple(_with_known_train(fold, is_known) for fold in splits.folds)
    return PreparedPaths(
        instrument=book.meta.instrument,
        data=data,
        decisions=decisions,
        moves=moves,
        splits=replace(splits, folds=folds),
        thresholds_ticks={
            fold.fold: _threshold(moves, fold.train, data.label, f"split {fold.fold}")
            for fold in folds
        },
    )


def _asked(
    book: Book, data: DataConfig, backtest: BacktestConfig | None
) -> tuple[Decisions, Moves]:
    """Decisions and moves; costs that do not fit the book are refused before any training."""
    if backtest is not None:
        check_venue(backtest.costs, book.meta, flat_at_session_end=backtest.flat_at_session_end)
    decisions = decisions_of(book, data.decisions, window=data.window)
    return decisions, moves_of(book, decisions, data.label, backtest)


def _prepared(
    book: Book, data: DataConfig, decisions: Decisions, moves: Moves, folds: Sequence[Fold]
) -> Prepared:
    kept = tuple(_with_known_labels(fold, np.isfinite(moves.move_ticks)) for fold in folds)
    return Prepared(
        instrument=book.meta.instrument,
        data=data,
        decisions=decisions,
        moves=moves,
        folds=kept,
        thresholds_ticks={
            fold.fold: _threshold(moves, fold.train, data.label, f"fold {fold.fold}")
            for fold in kept
        },
    )


def _with_known_labels(fold: Fold, is_known: BoolArray) -> Fold:
    """The fold with known labels only, in all parts but test."""
    kept = {}
    for name in ("train", "train_dev", "validation"):
        rows: IntArray = getattr(fold, name)
        kept[name] = rows[is_known[rows]]
        if rows.size and not kept[name].size:
            raise _none_known(f"fold {fold.fold}", name)
    before = fold.train.size + fold.train_dev.size + fold.validation.size
    return replace(
        fold,
        train=kept["train"],
        train_dev=kept["train_dev"],
        validation=kept["validation"],
        n_unknown=before - sum(rows.size for rows in kept.values()),
    )


def _with_known_train(fold: CombinatorialFold, is_known: BoolArray) -> CombinatorialFold:
    train = fold.train[is_known[fold.train]]
    return replace(fold, train=train, n_unknown=fold.train.size - train.size)


def _threshold(moves: Moves, train: IntArray, config: LabelConfig, of: str) -> float:
    """The threshold of a fold or split, with its train part checked to be fit for training."""
    if train.size == 0:
        raise _none_known(of, "train")
    threshold = 0.0 if config.says_flat else config.threshold_ticks
    move = moves.move_ticks[train]
    if threshold is None:
        threshold = fit_threshold(move, flat_share=config.flat_share)
    labels = classify(move, threshold_ticks=threshold)
    counts = np.bincount(labels, minlength=len(CLASS_NAMES))
    if np.count_nonzero(counts) < 2:
        other = "take another kind" if config.says_flat else "set data.label.threshold_ticks"
        found = ", ".join(f"{n} {name}" for n, name in zip(counts, CLASS_NAMES, strict=True))
        raise SplitError(
            f"{of}: got one class only among its {train.size} train labels "
            f"({found} beyond {threshold:g} ticks); needs at least two; lengthen the train part or "
            f"data.label's horizon, or {other}"
        )
    return float(threshold)


def _none_known(of: str, part: str) -> SplitError:
    return SplitError(
        f"{of}: got no {_TITLES.get(part, part)} decision whose label is known; needs at least "
        "one; shorten the label horizon or lengthen the windows"
    )
