"""The command that fits the baselines on combinatorial splits and shows how far figures scatter."""

import argparse
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lob_backtest.baselines import BaselineInputs, fit_predict
from lob_backtest.book import Book, IntArray
from lob_backtest.command_line import EXIT_DONE
from lob_backtest.commands.asked import baseline_names, book_of
from lob_backtest.commands.tables import figure, show, table
from lob_backtest.config import WalkForwardConfig, load_judge_config
from lob_backtest.errors import SplitError
from lob_backtest.features import hand_features
from lob_backtest.metrics import N_CLASSES, confusion_matrix, f1_weighted, mcc
from lob_backtest.predictions import UNKNOWN
from lob_backtest.prepare import PreparedPaths, prepare_combinatorial
from lob_backtest.progress import progress
from lob_backtest.questions import past_move_ticks
from lob_backtest.report.words import MEASURES
from lob_backtest.splits import draw_folds

_KEYS = ("f1_weighted", "mcc", "accuracy")
_MOST_DRAWN = 20
_CAUTION = (
    "Most of what a split trains on lies after what it tests: this says how far the figures of a\n"
    "method scatter, not what could have been traded. The paths share decisions and training,\n"
    "so their deviation is no standard error. Judge on a walk: mode rolling or expanding."
)


def paths(arguments: argparse.Namespace) -> int:
    """Print each baseline's figures over the backtest paths: mean, least, most and deviation."""
    config = load_judge_config(arguments.config, arguments.overrides)
    names = baseline_names(arguments.baselines)
    book = book_of(arguments, config)
    prepared = prepare_combinatorial(
        book, data=config.data, walk_forward=config.walk_forward, backtest=config.backtest
    )
    counts = baseline_confusions(book, prepared, names=names)
    figures = {name: over_paths(of_splits, prepared.splits.paths)
               for name, of_splits in counts.items()}  # fmt: skip
    value = {**_plan(prepared, config.walk_forward), "baselines": figures}
    show(value, _text(prepared, config.walk_forward, figures), as_json=arguments.json)
    return EXIT_DONE


def baseline_confusions(
    book: Book, prepared: PreparedPaths, *, names: Sequence[str], seed: int = 0
) -> dict[str, IntArray]:
    """Fit every baseline on each split's train part and count what it says of each test group.

    Returns:
        By name ``(S, N, 3, 3)`` counts of split and group, rows the true class, columns the
        predicted one; zero where the split does not test the group, or knows no label there.
    """
    inputs = BaselineInputs(
        features=hand_features(book, prepared.decisions),
        past_move_ticks=past_move_ticks(book, prepared.decisions, prepared.data.label),
    )
    splits = prepared.splits
    shape = (len(splits.folds), splits.paths.shape[1], N_CLASSES, N_CLASSES)
    counts = {name: np.zeros(shape, dtype=np.int64) for name in names}
    jobs = [(fold, name) for fold in splits.folds for name in names]
    for fold, name in progress(jobs, label="baselines", unit="fit"):
        labels = prepared.labels(fold)
        wanted = fold.test[labels[fold.test] != UNKNOWN]
        if wanted.size == 0:
            continue
        probability = fit_predict(
            name,
            inputs,
            labels=labels,
            train=fold.train,
            wanted=wanted,
            threshold_ticks=prepared.threshold(fold),
            seed=seed,
        )
        group = splits.group[wanted]
        for tested in np.unique(group):
            here = group == tested
            counts[name][fold.fold, tested] = confusion_matrix(
                labels[wanted[here]], probability[here]
            )
    return counts


def over_paths(counts: IntArray, paths: IntArray) -> dict[str, dict[str, Any]]:
    """How a figure is spread over the paths: each path's, and their mean, least, most, deviation.

    A path's accuracy is over all its decisions. Its F1 and MCC are means of its groups', by their
    decisions: its groups come from different splits, and in one table of all of them a constant
    guess that changes from split to split would look like skill.

    Args:
        counts: ``(S, N, 3, 3)`` confusions by split and group.
        paths: ``(phi, N)`` the split that each path takes a group from.

    Returns:
        By figure ``mean, min, max, std, paths``; ``std`` with phi - 1, None for a single path.

    Raises:
        SplitError: no decision has a known label.
    """
    groups = np.arange(paths.shape[1])
    each = [_path_figures(counts[path, groups]) for path in paths]
    spread = {}
    for key in _KEYS:
        values = np.array([figures[key] for figures in each])
        spread[key] = {
            "mean": float(values.mean()),
            "min": float(values.min()),
            "max": float(values.max()),
            "std": float(values.std(ddof=1)) if values.size > 1 else None,
            "paths": values.tolist(),
        }
    return spread


def _path_figures(counts: IntArray) -> dict[str, float]:
    """Figures of one path from its groups' ``(N, 3, 3)`` confusions."""
    n = counts.sum(axis=(1, 2))
    if not n.any():
        raise SplitError(
            "no test decision has a known label; needs at least one; shorten the label horizon"
        )
    judged, weights = counts[n > 0], n[n > 0]
    return {
        "f1_weighted": float(np.average([f1_weighted(each) for each in judged], weights=weights)),
        "mcc": float(np.average([mcc(each) for each in judged], weights=weights)),
        "accuracy": float(np.trace(judged.sum(axis=0)) / weights.sum()),
    }


def _plan(prepared: PreparedPaths, config: WalkForwardConfig) -> dict[str, Any]:
    return {
        "instrument": prepared.instrument,
        "decisions": prepared.decisions.n,
        "groups": config.groups,
        "test_groups": config.test_groups,
        "embargo_ms": config.embargo_ms,
        "splits": [
            {
                "split": fold.fold,
                "tested": list(fold.test_groups),
                "train": int(fold.train.size),
                "test": int(fold.test.size),
                "purged": fold.n_purged,
                "embargoed": fold.n_embargoed,
                "threshold_ticks": prepared.threshold(fold),
            }
            for fold in prepared.splits.folds
        ],
        "paths": prepared.splits.paths.tolist(),
    }


def _text(
    prepared: PreparedPaths, config: WalkForwardConfig, figures: Mapping[str, Mapping[str, Any]]
) -> str:
    splits = prepared.splits
    head = (
        f"{prepared.instrument}: {prepared.decisions.n:,} decisions in {config.groups} groups, "
        f"{config.test_groups} of them tested at a time: {len(splits.folds)} splits, "
        f"{splits.n_paths} backtest paths"
    )
    drawing = draw_folds(splits.folds[:_MOST_DRAWN], prepared.decisions.decided_ns)
    if len(splits.folds) > _MOST_DRAWN:
        drawing += f"\n     and {len(splits.folds) - _MOST_DRAWN} more splits"
    tables = [_table(key, splits.n_paths, figures) for key in _KEYS]
    return "\n\n".join([head, drawing, *tables, _CAUTION])


def _table(key: str, n_paths: int, figures: Mapping[str, Mapping[str, Any]]) -> str:
    measure = MEASURES[key]
    rows = [
        [name, *(figure(of[key][what], measure.form) for what in ("mean", "min", "max")),
         figure(of[key]["std"], measure.form.lstrip("+"))]
        for name, of in figures.items()
    ]  # fmt: skip
    return table([f"{measure.title} over {n_paths} paths", "mean", "min", "max", "std"], rows)
