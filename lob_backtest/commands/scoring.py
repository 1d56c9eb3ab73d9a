"""Commands that predict by baselines and score: from books and predictions to a report."""

import argparse
import shlex
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from lob_backtest.book import Book
from lob_backtest.command_line import EXIT_DONE
from lob_backtest.commands.asked import BookSource, baseline_names, books_of
from lob_backtest.commands.judging import exit_code, judgement_text
from lob_backtest.commands.tables import figure, show, table
from lob_backtest.config import JudgeConfig, load_judge_config
from lob_backtest.contenders import MODEL, Contest, ModelPredictions, predict_baselines
from lob_backtest.errors import PredictionsError
from lob_backtest.files import sha256_of
from lob_backtest.gates import check_rules
from lob_backtest.open_book import book_fingerprint
from lob_backtest.predictions import Predictions, pool, read_instruments, write_instruments
from lob_backtest.prepare import Prepared, prepare
from lob_backtest.report import write_report
from lob_backtest.report.words import CLASSIFICATION, TRADING
from lob_backtest.strict_yaml import as_dict
from lob_backtest.trading import check_threshold
from lob_backtest.training_figures import read_training
from lob_backtest.walk_forward import classification_over_folds, score_many

_VERSIONS_OF = ("hfrun", "numpy", "pandas", "pyarrow", "scikit-learn", "vectorbt")


def baseline(arguments: argparse.Namespace) -> int:
    """Write the predictions tables of the baselines on a config's folds."""
    config = load_judge_config(arguments.config, arguments.overrides)
    names = baseline_names(arguments.baselines)
    predicted = [
        predict_baselines(book, _prepared(book, config), names=names)
        for _, book in books_of(arguments, config)
    ]
    figures = {}
    for name in names:
        folder = arguments.output / name
        tests = [of[name].test for of in predicted]
        chosen_by = [of[name].validation for of in predicted]
        write_instruments(tests, folder / "predictions.parquet")
        write_instruments(
            [each for each in chosen_by if each is not None],
            folder / "validation_predictions.parquet",
        )
        figures[name] = classification_over_folds(pool(tests))
    head = ["over all folds", *(measure.title for measure in CLASSIFICATION)]
    rows = [
        [name, *(format(own[measure.key], measure.form) for measure in CLASSIFICATION)]
        for name, own in figures.items()
    ]
    text = f"{table(head, rows)}\n\nwritten to {arguments.output}"
    show({"folder": str(arguments.output), "baselines": figures}, text, as_json=arguments.json)
    return EXIT_DONE


def score_predictions(arguments: argparse.Namespace) -> int:
    """Trade, measure and judge predictions; write report.json and report.html."""
    config = load_judge_config(arguments.config, arguments.overrides)
    names = baseline_names(arguments.baselines)
    check_rules(config.gates, baselines=names)
    training = None if arguments.training is None else read_training(arguments.training)
    models = _models(arguments, config)
    books = books_of(arguments, config)
    report = score_many(
        _contests(models, [book for _, book in books], config, names, seed=arguments.seed),
        backtest=config.backtest,
        gates=config.gates,
        training=training,
        seed=arguments.seed,
        provenance=_provenance(arguments, config, books),
        check=arguments.check,
    )
    page = write_report(report, arguments.output, plots=arguments.plots)
    shown = {
        "report": str(page),
        **{key: report[key] for key in ("verdict", "gates", "alarms", "aggregate")},
    }
    text = f"{_figures_table(report)}\n\n{judgement_text(report)}\n\nReport: {page}"
    show(shown, text, as_json=arguments.json)
    return exit_code(report["verdict"])


def _prepared(book: Book, config: JudgeConfig) -> Prepared:
    return prepare(
        book, data=config.data, walk_forward=config.walk_forward, backtest=config.backtest
    )


def _models(arguments: argparse.Namespace, config: JudgeConfig) -> dict[str, ModelPredictions]:
    """The predictions of each instrument, with those on its validation blocks where given."""
    chosen_by: dict[str, Predictions] = {}
    if arguments.validation is not None:
        chosen_by = {each.instrument: each for each in read_instruments(arguments.validation)}
    tests = read_instruments(arguments.predictions)
    unknown = sorted(set(chosen_by) - {test.instrument for test in tests})
    if unknown:
        raise PredictionsError(
            f"{arguments.validation}: validation predictions of {', '.join(unknown)}, but "
            f"{arguments.predictions} has {', '.join(test.instrument for test in tests)} only; "
            "needs the same instruments in both"
        )
    models = {
        test.instrument: ModelPredictions(test=test, validation=chosen_by.get(test.instrument))
        for test in tests
    }
    for model in models.values():
        check_threshold(config.backtest, str(arguments.predictions), model)
    return models


def _contests(
    models: dict[str, ModelPredictions],
    books: Sequence[Book],
    config: JudgeConfig,
    names: Sequence[str],
    *,
    seed: int,
) -> list[Contest]:
    """Each instrument's book, model and baselines; everything cheap is checked before the fits."""
    by_name = {book.meta.instrument: book for book in books}
    if set(by_name) != set(models):
        raise PredictionsError(
            f"got predictions of {', '.join(models)} and books of {', '.join(by_name)}; needs the "
            "same instruments: give --book BOOK once for each"
        )
    prepared = {name: _prepared(by_name[name], config) for name in models}
    for name, model in models.items():
        Contest(book=by_name[name], model=model, baselines={}, prepared=prepared[name]).contenders()
    return [
        Contest(
            book=by_name[name],
            model=model,
            baselines=predict_baselines(by_name[name], prepared[name], names=names, seed=seed),
            prepared=prepared[name],
        )
        for name, model in models.items()
    ]


def _provenance(
    arguments: argparse.Namespace, config: JudgeConfig, books: list[tuple[BookSource, Book]]
) -> dict[str, Any]:
    tables: dict[str, Path | None] = {
        "predictions": arguments.predictions,
        "validation": arguments.validation,
        "training": arguments.training,
    }
    return {
        "command": f"lob-backtest {shlex.join(arguments.argv)}",
        "seed": arguments.seed,
        "data": [book_fingerprint(source, book) for source, book in books],
        "inputs": [
            {"what": what, "path": str(path), "sha256": sha256_of(path)}
            for what, path in tables.items()
            if path is not None
        ],
        "versions": {name: _version(name) for name in _VERSIONS_OF},
        "config": as_dict(config),
    }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _figures_table(report: dict[str, Any]) -> str:
    aggregate = report["aggregate"]
    measures = [*CLASSIFICATION[:1], *CLASSIFICATION[2:5]]
    measures += [*TRADING[:5]] if report["backtest"] is not None else []
    strategies = {MODEL: aggregate, **aggregate["baselines"]}
    rows = [
        [name, *(figure(figures[m.key]["value"], m.form) for m in measures)]
        for name, figures in strategies.items()
    ]
    return table(["over all folds", *(measure.title for measure in measures)], rows)
