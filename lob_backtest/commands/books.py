"""Commands that make or describe a book: import, synthetic, inspect, label."""

import argparse
from typing import Any

import numpy as np
import pandas as pd

from lob_backtest.book import read_book, write_book
from lob_backtest.command_line import EXIT_DONE
from lob_backtest.commands.tables import show, table
from lob_backtest.config import load_judge_config
from lob_backtest.files import atomic_path
from lob_backtest.io import import_book, inspect_book
from lob_backtest.predictions import CLASS_NAMES
from lob_backtest.prepare import Prepared, prepare
from lob_backtest.splits import Fold, draw_folds
from lob_backtest.synthetic import synthetic_book


def import_files(arguments: argparse.Namespace) -> int:
    """Read files of one format, write the book, and tell what was left out."""
    book, report = import_book(arguments.format, arguments.files, levels=arguments.levels)
    write_book(book, arguments.output)
    text = f"{report.as_text()}\n\nwritten to {arguments.output}"
    show({**report.as_dict(), "book": str(arguments.output)}, text, as_json=arguments.json)
    return EXIT_DONE


def synthetic(arguments: argparse.Namespace) -> int:
    """Make a synthetic book from its seed."""
    recipe = {name: getattr(arguments, name)
              for name in ("days", "rows_per_day", "levels", "signal", "seed")}  # fmt: skip
    book = synthetic_book(**recipe)
    write_book(book, arguments.output)
    text = f"{book.n_rows:,} rows of {book.n_levels} levels written to {arguments.output}"
    show({**recipe, "rows": book.n_rows, "book": str(arguments.output)}, text,
         as_json=arguments.json)  # fmt: skip
    return EXIT_DONE


def inspect(arguments: argparse.Namespace) -> int:
    """Print what a book is like."""
    figures = inspect_book(read_book(arguments.book))
    show(figures, _lines(figures), as_json=arguments.json)
    return EXIT_DONE


def label(arguments: argparse.Namespace) -> int:
    """Print decisions, class shares and folds that a config makes of a book."""
    config = load_judge_config(arguments.config, arguments.overrides)
    book = read_book(arguments.book)
    prepared = prepare(book, data=config.data, walk_forward=config.walk_forward)
    known = int(np.isfinite(prepared.moves.move_ticks).sum())
    folds = [_fold(prepared, fold) for fold in prepared.folds]
    value = {
        "instrument": prepared.instrument,
        "decisions": prepared.decisions.n,
        "labelled": known,
        "folds": folds,
    }
    head = ["fold", "train", "validation", "test", "purged", "threshold ticks",
            *(f"{part} {name}" for part in ("train", "test") for name in CLASS_NAMES)]  # fmt: skip
    rows = [
        [str(fold["fold"]), *(f"{fold[key]:,}" for key in ("train", "validation", "test")),
         f"{fold['purged']:,}", f"{fold['threshold_ticks']:g}",
         *(f"{share:.1%}" for part in ("train", "test") for share in fold[f"{part}_shares"])]
        for fold in folds
    ]  # fmt: skip
    drawing = draw_folds(list(prepared.folds), prepared.decisions.decided_ns)
    text = (
        f"{prepared.instrument}: {prepared.decisions.n:,} decisions, {known:,} with a known label"
        f"\n\n{drawing}\n\n{table(head, rows)}"
    )
    if arguments.output is not None:
        with atomic_path(arguments.output) as partial:
            decisions_table(prepared).to_parquet(partial, index=False)
        text += f"\n\nwritten to {arguments.output}"
    show(value, text, as_json=arguments.json)
    return EXIT_DONE


def decisions_table(prepared: Prepared) -> pd.DataFrame:
    """Every decision of every fold and part, for models that are trained elsewhere.

    Columns ``instrument, fold, part`` (train, validation, test), ``row`` (of the book: the last one
    known), ``decided_ns, label_end_ns, train_end_ns, label``; ``train_end_ns`` as a predictions
    table of that part has it (for train, as for validation).
    """
    parts = []
    for fold in prepared.folds:
        labels = prepared.labels(fold)
        for part, chosen in (
            ("train", fold.train), ("validation", fold.validation), ("test", fold.test),
        ):  # fmt: skip
            known = prepared.train_end_ns(fold, "test" if part == "test" else "validation")
            parts.append(
                pd.DataFrame(
                    {
                        "instrument": prepared.instrument,
                        "fold": fold.fold,
                        "part": part,
                        "row": prepared.decisions.rows[chosen],
                        "decided_ns": prepared.decisions.decided_ns[chosen],
                        "label_end_ns": prepared.moves.label_end_ns[chosen],
                        "train_end_ns": known,
                        "label": labels[chosen],
                    }
                )
            )
    return pd.concat(parts, ignore_index=True)


def _fold(prepared: Prepared, fold: Fold) -> dict[str, Any]:
    labels = prepared.labels(fold)

    def shares(rows: Any) -> list[float]:
        known = labels[rows][labels[rows] >= 0]
        counts = np.bincount(known, minlength=len(CLASS_NAMES))
        return [float(count) / max(known.size, 1) for count in counts]

    return {
        "fold": fold.fold,
        "train": int(fold.train.size),
        "validation": int(fold.validation.size),
        "test": int(fold.test.size),
        "purged": fold.n_purged,
        "threshold_ticks": prepared.threshold(fold),
        "train_shares": shares(fold.train),
        "test_shares": shares(fold.test),
    }


def _lines(figures: dict[str, Any], indent: str = "") -> str:
    """Names and values, one a line; of a long list the first and the last."""
    width = max(len(name) for name in figures)
    lines = []
    for name, value in figures.items():
        title = f"{indent}{name.replace('_', ' '):<{width}}"
        if isinstance(value, dict):
            lines += [title.rstrip(), _lines(value, indent + "  ")]
        elif isinstance(value, list):
            ends = value if len(value) < 3 else [value[0], value[-1]]
            shown = "; ".join(", ".join(f"{k} {v}" for k, v in item.items()) for item in ends)
            lines.append(f"{title}  {len(value)}: {shown}")
        else:
            lines.append(f"{title}  {_plain(value)}")
    return "\n".join(lines)


def _plain(value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
