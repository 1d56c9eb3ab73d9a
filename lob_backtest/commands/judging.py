"""Commands that predict by baselines, score and judge."""

import argparse
import shlex
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import yaml

from lob_backtest.baselines import BASELINES
from lob_backtest.book import Book, read_book
from lob_backtest.command_line import EXIT_DONE, EXIT_GATES_FAILED
from lob_backtest.commands.tables import figure, show, table
from lob_backtest.config import GatesConfig, JudgeConfig, load_judge_config
from lob_backtest.contenders import (
    MODEL,
    ModelPredictions,
    check_book,
    check_complete,
    predict_baselines,
)
from lob_backtest.errors import ConfigError
from lob_backtest.files import sha256_of
from lob_backtest.gates import check_rules, judge, verdict
from lob_backtest.open_book import book_fingerprint, open_book
from lob_backtest.predictions import read_predictions, write_predictions
from lob_backtest.prepare import prepare
from lob_backtest.report import read_report, write_report
from lob_backtest.report.words import CLASSIFICATION, TRADING
from lob_backtest.strict_yaml import as_dict, build, finish
from lob_backtest.trading import check_threshold
from lob_backtest.training_figures import read_training, training_from
from lob_backtest.walk_forward import classification_over_folds, score

_VERSIONS_OF = ("hfrun", "numpy", "pandas", "pyarrow", "scikit-learn", "vectorbt")


def baseline(arguments: argparse.Namespace) -> int:
    """Write the predictions tables of the baselines on a config's folds."""
    config = load_judge_config(arguments.config, arguments.overrides)
    names = _names(arguments.baselines)
    book = _book(arguments, config)
    prepared = prepare(book, data=config.data, walk_forward=config.walk_forward)
    predicted = predict_baselines(book, prepared, names=names)
    figures = {}
    for name, model in predicted.items():
        folder = arguments.output / name
        write_predictions(model.test, folder / "predictions.parquet")
        if model.validation is not None:
            write_predictions(model.validation, folder / "validation_predictions.parquet")
        figures[name] = classification_over_folds(model.test)
    head = ["over all folds", *(measure.title for measure in CLASSIFICATION)]
    rows = [
        [name, *(format(own[measure.key], measure.form) for measure in CLASSIFICATION)]
        for name, own in figures.items()
    ]
    text = f"{table(head, rows)}\n\nwritten to {arguments.output}"
    show({"folder": str(arguments.output), "baselines": figures}, text, as_json=arguments.json)
    return EXIT_DONE


def score_predictions(arguments: argparse.Namespace) -> int:
    """Trade, measure and judge a predictions table; write report.json and report.html."""
    config = load_judge_config(arguments.config, arguments.overrides)
    names = _names(arguments.baselines)
    check_rules(config.gates, baselines=names)
    training = None if arguments.training is None else read_training(arguments.training)
    model = ModelPredictions(
        test=read_predictions(arguments.predictions),
        validation=None if arguments.validation is None else read_predictions(arguments.validation),
    )
    check_threshold(config.backtest, str(arguments.predictions), model)
    book = _book(arguments, config)
    prepared = prepare(book, data=config.data, walk_forward=config.walk_forward)
    check_book(model.test, book)  # before the baselines are fitted
    check_complete(model.test, prepared)
    report = score(
        book,
        model,
        predict_baselines(book, prepared, names=names, seed=arguments.seed),
        backtest=config.backtest,
        gates=config.gates,
        training=training,
        seed=arguments.seed,
        prepared=prepared,
        provenance=_provenance(arguments, config, book),
    )
    page = write_report(report, arguments.output, plots=arguments.plots)
    shown = {
        "report": str(page),
        "verdict": report["verdict"],
        "gates": report["gates"],
        "aggregate": report["aggregate"],
    }
    text = f"{_figures_table(report)}\n\n{_gates_text(report)}\n\nReport: {page}"
    show(shown, text, as_json=arguments.json)
    return _exit_code(report["verdict"])


def gate(arguments: argparse.Namespace) -> int:
    """Judge a written report again, by its own limits or by others."""
    report = read_report(arguments.report)
    rules = _rules(report, arguments.overrides)
    training = report.get("training")
    gates = judge(
        folds=report["folds"],
        aggregate=report["aggregate"],
        rules=rules,
        training=None if training is None else training_from(training),
    )
    outcome: dict[str, Any] = {
        "verdict": verdict(gates),
        "gates": [each.as_dict() for each in gates],
    }
    show(outcome, _gates_text(outcome), as_json=arguments.json)
    return _exit_code(outcome["verdict"])


def _exit_code(outcome: str) -> int:
    return EXIT_DONE if outcome == "pass" else EXIT_GATES_FAILED


def _names(text: str | None) -> list[str]:
    if text is None:
        return list(BASELINES)
    names = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in BASELINES]
    if unknown or not names:
        raise ConfigError(
            f"--baselines {text}: {', '.join(unknown) or 'nothing'} is none of the baselines "
            f"{', '.join(BASELINES)}; name some of them, with commas between"
        )
    return list(dict.fromkeys(names))


def _book(arguments: argparse.Namespace, config: JudgeConfig) -> Book:
    return open_book(config.data.book) if arguments.book is None else read_book(arguments.book)


def _rules(report: dict[str, Any], overrides: list[str]) -> GatesConfig:
    """The report's own limits with ``gates.key=value`` put over them."""
    raw = dict(report.get("rules") or {})
    for text in overrides:
        name, equals, value = text.partition("=")
        section, _, key = name.partition(".")
        if not equals or section != "gates" or not key:
            raise ConfigError(f"{text!r}: needs gates.key=value, e.g. gates.off=[grad_norm]")
        try:
            raw[key] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise ConfigError(f"{text!r}: the value is not valid YAML") from error
    errors: list[str] = []
    return finish(build(GatesConfig, raw, "gates", errors), errors, "gate")


def _provenance(arguments: argparse.Namespace, config: JudgeConfig, book: Book) -> dict[str, Any]:
    tables = {"predictions": arguments.predictions, "validation": arguments.validation,
              "training": arguments.training}  # fmt: skip
    source = config.data.book if arguments.book is None else str(arguments.book)
    return {
        "command": f"lob-backtest {shlex.join(arguments.argv)}",
        "seed": arguments.seed,
        "data": [book_fingerprint(source, book)],
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


def _gates_text(report: dict[str, Any]) -> str:
    marks = {True: "pass", False: "FAIL", None: "  - "}
    lines = [
        f"  {marks[each['passed']]}  {each['name']}{'' if each['required'] else ' (optional)'}: "
        f"{each['reason']}"
        for each in report["gates"]
    ]
    return "\n".join([f"Verdict: {report['verdict'].upper()}", *lines])
