"""The label command: what a config's decisions, labels and folds are like on a book."""

import argparse
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from lob_backtest.book import Book, IntArray, read_book
from lob_backtest.command_line import EXIT_DONE
from lob_backtest.commands.tables import figure, show, table
from lob_backtest.config import JudgeConfig, load_judge_config
from lob_backtest.files import atomic_path
from lob_backtest.labels import class_shares
from lob_backtest.predictions import CLASS_NAMES
from lob_backtest.prepare import Prepared, PreparedPaths, prepare, prepare_combinatorial
from lob_backtest.questions import statistics_of
from lob_backtest.splits import CombinatorialFold, Fold, draw_folds

_PARTS = ("train", "train_dev", "validation", "test")


def label(arguments: argparse.Namespace) -> int:
    """Print decisions, folds, class shares, label overlap and what of it could pay its costs."""
    config = load_judge_config(arguments.config, arguments.overrides)
    book = read_book(arguments.book)
    prepared = _prepared(book, config)
    known = int(np.isfinite(prepared.moves.move_ticks).sum())
    value = {
        "instrument": prepared.instrument,
        "kind": config.data.label.kind,
        "decisions": prepared.decisions.n,
        "labelled": known,
        "folds": [_fold(prepared, fold) for fold in _folds(prepared)],
        "label_statistics": _statistics(book, prepared, config),
    }
    text = _as_text(prepared, value)
    if arguments.output is not None:
        with atomic_path(arguments.output) as partial:
            decisions_table(prepared).to_parquet(partial, index=False)
        text += f"\n\nwritten to {arguments.output}"
    show(value, text, as_json=arguments.json)
    return EXIT_DONE


def decisions_table(prepared: Prepared | PreparedPaths) -> pd.DataFrame:
    """Every decision of every fold and part, for models that are trained elsewhere.

    Columns ``instrument, fold, part`` (train, train_dev, validation, test), ``row`` (of the book:
    the last one known), ``decided_ns, label_end_ns, train_end_ns, label``; ``train_end_ns`` as a
    predictions table of that part has it (for train, as for validation). In combinatorial splits it
    is the last instant that train used, wherever test lies.
    """
    parts = []
    for fold in _folds(prepared):
        labels = prepared.labels(fold)
        for part, chosen in fold.parts.items():
            parts.append(
                pd.DataFrame(
                    {
                        "instrument": prepared.instrument,
                        "fold": fold.fold,
                        "part": part,
                        "row": prepared.decisions.rows[chosen],
                        "decided_ns": prepared.decisions.decided_ns[chosen],
                        "label_end_ns": prepared.moves.label_end_ns[chosen],
                        "train_end_ns": _train_end_ns(prepared, fold, part),
                        "label": labels[chosen],
                    }
                )
            )
    return pd.concat(parts, ignore_index=True)


def _prepared(book: Book, config: JudgeConfig) -> Prepared | PreparedPaths:
    make = prepare_combinatorial if config.walk_forward.mode == "combinatorial" else prepare
    return make(
        book, data=config.data, walk_forward=config.walk_forward, backtest=config.backtest
    )  # fmt: skip


def _folds(prepared: Prepared | PreparedPaths) -> Sequence[Fold | CombinatorialFold]:
    return prepared.folds if isinstance(prepared, Prepared) else prepared.splits.folds


def _train_end_ns(
    prepared: Prepared | PreparedPaths, fold: Fold | CombinatorialFold, part: str
) -> int:
    if isinstance(prepared, Prepared) and isinstance(fold, Fold):
        return prepared.train_end_ns(fold, "test" if part == "test" else "validation")
    return int(prepared.moves.label_end_ns[fold.train].max())


def _fold(prepared: Prepared | PreparedPaths, fold: Fold | CombinatorialFold) -> dict[str, Any]:
    labels = prepared.labels(fold)
    # A combinatorial split has no train-dev and no validation; a walk may have no train-dev.
    sizes = {part: int(fold.parts[part].size) if part in fold.parts else 0 for part in _PARTS}
    shares = {part: list(class_shares(labels[rows]).values()) for part, rows in fold.parts.items()}
    return {
        "fold": fold.fold,
        **sizes,
        "purged": fold.n_purged,
        "threshold_ticks": prepared.threshold(fold),
        **{f"{part}_shares": shares.get(part) for part in _PARTS},
    }


def _statistics(
    book: Book, prepared: Prepared | PreparedPaths, config: JudgeConfig
) -> dict[str, Any]:
    """Of all decisions that some fold tests, each with the label of the first fold that does."""
    labels, chosen = _tested(prepared)
    return statistics_of(
        book,
        prepared.decisions.select(chosen),
        labels,
        prepared.moves.label_end_ns[chosen],
        config.data.label,
        config.backtest,
    )


def _tested(prepared: Prepared | PreparedPaths) -> tuple[IntArray, IntArray]:
    folds = _folds(prepared)
    labels = np.concatenate([prepared.labels(fold)[fold.test] for fold in folds])
    chosen, first = np.unique(np.concatenate([fold.test for fold in folds]), return_index=True)
    return labels[first], chosen


def _as_text(prepared: Prepared | PreparedPaths, value: dict[str, Any]) -> str:
    folds = value["folds"]
    shown = [part for part in _PARTS if any(fold[part] for fold in folds)]
    head = ["fold", *(part.replace("_", "-") for part in shown), "purged", "threshold ticks"]
    rows = [
        [str(fold["fold"]), *(f"{fold[part]:,}" for part in shown), f"{fold['purged']:,}",
         f"{fold['threshold_ticks']:g}"]
        for fold in folds
    ]  # fmt: skip
    shares = [
        [str(fold["fold"]), part.replace("_", "-"), *(f"{each:.1%}" for each in shares)]
        for fold in folds
        for part in shown
        if (shares := fold[f"{part}_shares"]) is not None
    ]
    return "\n\n".join(
        [
            f"{prepared.instrument}: {value['decisions']:,} decisions, {value['labelled']:,} with "
            f"a known label ({value['kind']})",
            draw_folds(_folds(prepared), prepared.decisions.decided_ns),
            table(head, rows),
            table(["fold", "part", *CLASS_NAMES], shares),
            _in_words(value["label_statistics"]),
        ]
    )


def _in_words(statistics: dict[str, Any]) -> str:
    n, overlap = statistics["n"], statistics["mean_overlap"]
    lines = [
        f"labels of the test blocks: {n:,}, of which {overlap:,.1f} overlap at a time: worth about "
        f"{statistics['effective_labels']:,.0f} independent ones"
    ]
    if statistics["round_trip_ticks"] is not None:
        below = figure(statistics["below_round_trip_share"], ".1%")
        lines.append(
            f"up and down labels that moved by less than the cheapest round trip (median "
            f"{statistics['round_trip_ticks']:.3g} ticks): {below}"
        )
    return "\n".join([*lines, *(f"warning: {warning}" for warning in statistics["warnings"])])
