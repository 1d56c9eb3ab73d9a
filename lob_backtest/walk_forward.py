"""Score a model fold by fold against baselines, trade it after costs, and judge it.

    predictions ─► measures ─► intervals ─┐
        └─► thresholds ─► orders ─► accounts ─┴─► gates ─► report

The outcome is the object of report.json, plain JSON types throughout. Every figure can be traced to
the decisions and the book; nothing in it depends on the clock or the machine.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from lob_backtest.book import Book, FloatArray, IntArray
from lob_backtest.config import BacktestConfig, GatesConfig, JudgeConfig
from lob_backtest.contenders import (
    MODEL,
    ModelPredictions,
    align_all,
    check_book,
    check_complete,
    predict_baselines,
)
from lob_backtest.errors import PredictionsError
from lob_backtest.gates import check_rules, classification_baseline, judge, verdict
from lob_backtest.metrics import (
    CLASSIFICATION_KEYS,
    TRADING_KEYS,
    classification_metrics,
    confusion_matrix,
    portfolio_metrics,
    reliability_bins,
)
from lob_backtest.predictions import Predictions
from lob_backtest.prepare import Prepared, prepare
from lob_backtest.resampling import (
    LEVEL,
    Intervals,
    classification_intervals,
    trading_intervals,
)
from lob_backtest.sections import (
    annualisation_section,
    backtest_section,
    data_section,
    sensitivity_section,
    series_section,
)
from lob_backtest.strict_yaml import as_dict
from lob_backtest.trading import Traded, closings_per_bar, trade
from lob_backtest.training_figures import TrainingFigures

__all__ = [
    "ModelPredictions",
    "baseline_predictions",
    "classification_over_folds",
    "predict_baselines",
    "score",
]

FORMAT = "lob_backtest.report/1"
_MEANS_OF_FOLDS = ("majority_accuracy", "f1_weighted", "f1_macro", "mcc")
_KEYS = (*CLASSIFICATION_KEYS, *TRADING_KEYS)


def baseline_predictions(
    book: Book, config: JudgeConfig, *, seed: int = 0
) -> dict[str, ModelPredictions]:
    """Predictions of every baseline on the folds of a config."""
    prepared = prepare(book, data=config.data, walk_forward=config.walk_forward)
    return predict_baselines(book, prepared, seed=seed)


def score(
    book: Book,
    model: ModelPredictions,
    baselines: Mapping[str, ModelPredictions],
    *,
    backtest: BacktestConfig | None,
    gates: GatesConfig,
    training: TrainingFigures | None = None,
    seed: int = 0,
    n_resamples: int = 1000,
    prepared: Prepared | None = None,
    provenance: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The report of a model on its test blocks: figures, intervals, gates and verdict.

    Args:
        book: the book that the decisions were made on.
        model: what is judged.
        baselines: by name, on the same decisions (they may have more) and labels.
        backtest: how predictions are traded; None leaves all money out.
        gates: limits.
        training: what the training run knows.
        seed: of the intervals.
        n_resamples: of the bootstrap.
        prepared: where the decisions came from, for the folds' spans and label thresholds; the
            model must have predicted every test decision of it and no other.
        provenance: taken into the report as it is; must be JSON-able.

    Raises:
        PredictionsError: the model, a baseline and the book do not belong together.
        SignalError: a threshold is to be chosen without validation predictions.
        GateError: an unknown gate or baseline in ``gates``.
    """
    check_rules(gates, baselines=list(baselines))
    check_book(model.test, book)
    if prepared is not None:
        check_complete(model.test, prepared)
    models = {MODEL: model, **align_all(model, baselines)}
    traded = trade(book, models, backtest) if backtest is not None else None
    strategies = list(models) if traded is None else list(traded.accounts)
    rng = np.random.default_rng(seed)
    of_decisions = classification_intervals(
        {name: each.test for name, each in models.items()}, n_resamples=n_resamples, rng=rng
    )
    of_bars = _trading_intervals(traded, n_resamples=n_resamples, rng=rng)
    folds = [_fold(fold, models, strategies, traded, prepared) for fold in model.test.folds]
    figures = {name: _figures(name, models, traded, fold=None) for name in strategies}
    aggregate = _aggregate(figures, of_decisions, of_bars)
    outcome = judge(folds=folds, aggregate=aggregate, rules=gates, training=training)
    labels, probability = _labelled(model.test, None)
    report = {
        "format": FORMAT,
        "verdict": verdict(outcome),
        "gates": [gate.as_dict() for gate in outcome],
        "baseline": classification_baseline(aggregate, gates.baseline),
        "data": data_section(book, model.test),
        "label": None if prepared is None else as_dict(prepared.data),
        "folds": folds,
        "aggregate": aggregate,
        "confusion": confusion_matrix(labels, probability).tolist(),
        "reliability": reliability_bins(labels, probability),
        "backtest": backtest_section(book, backtest, traded),
        "annualisation": annualisation_section(book, traded),
        "equity": series_section(traded),
        "cost_sensitivity": sensitivity_section(traded, backtest),
        "intervals": _how_intervals(of_decisions, of_bars, n_resamples=n_resamples, seed=seed),
        "rules": as_dict(gates),
        "training": None if training is None else training.as_dict(),
        "provenance": None if provenance is None else dict(provenance),
    }
    plain: dict[str, Any] = _plain(report)
    return plain


def classification_over_folds(table: Predictions) -> dict[str, float]:
    """The classification figures over all folds.

    Accuracy, ECE and Brier score are over all decisions. F1, MCC and majority accuracy are means of
    the folds', by their decisions: in one table of all folds a constant guess that changes from
    fold to fold would look like skill.
    """
    figures = classification_metrics(*_labelled(table, None))
    of_folds = [_labelled(table, fold) for fold in table.folds]
    n = [labels.size for labels, _ in of_folds]
    each = [classification_metrics(labels, probability) for labels, probability in of_folds]
    for key in _MEANS_OF_FOLDS:
        figures[key] = float(np.average([fold[key] for fold in each], weights=n))
    return figures


def _figures(
    name: str,
    models: Mapping[str, ModelPredictions],
    traded: Traded | None,
    *,
    fold: int | None,
) -> dict[str, float | None]:
    """Every figure of a strategy in one fold or in all; None where it has none."""
    figures: dict[str, float | None] = dict.fromkeys(_KEYS)
    if name in models:
        table = models[name].test
        figures |= (
            classification_over_folds(table)
            if fold is None
            else classification_metrics(*_labelled(table, fold))
        )
    if traded is not None:
        account = traded.accounts[name]
        account = account if fold is None else account.of_fold(fold)
        figures |= portfolio_metrics(account, periods_per_year=traded.periods_per_year)
    return figures


def _labelled(table: Predictions, fold: int | None) -> tuple[IntArray, FloatArray]:
    chosen = table.is_labelled if fold is None else table.is_labelled & (table.fold == fold)
    if not chosen.any():
        raise PredictionsError(
            f"{'no decision' if fold is None else f'no decision of fold {fold}'} has a known "
            "label; needs at least one; lengthen the test block or shorten the label horizon"
        )
    return table.label[chosen], table.probability[chosen]


def _fold(
    fold: int,
    models: Mapping[str, ModelPredictions],
    names: list[str],
    traded: Traded | None,
    prepared: Prepared | None,
) -> dict[str, Any]:
    table = models[MODEL].test
    here = table.fold == fold
    decided_ns = table.decided_ns[here]
    each = {name: _strategy_in_fold(name, fold, models, traded) for name in names}
    return {
        "fold": fold,
        "start_ns": int(decided_ns[0]),
        "end_ns": int(decided_ns[-1]),
        "n": int(table.is_labelled[here].sum()),
        "n_unlabelled": int((~table.is_labelled[here]).sum()),
        "train_end_ns": int(table.train_end_ns[here].max()),
        **_spans(fold, prepared),
        **{key: value for key, value in each[MODEL].items() if key != "n"},
        "baselines": {name: figures for name, figures in each.items() if name != MODEL},
    }


def _strategy_in_fold(
    name: str, fold: int, models: Mapping[str, ModelPredictions], traded: Traded | None
) -> dict[str, Any]:
    counts, n = None, None
    if name in models:
        labels, probability = _labelled(models[name].test, fold)
        counts, n = confusion_matrix(labels, probability).tolist(), labels.size
    threshold = None if traded is None else traded.thresholds.get(name, {}).get(fold)
    figures = _figures(name, models, traded, fold=fold)
    return {"n": n, **figures, "confusion": counts, "confidence_threshold": threshold}


def _spans(fold: int, prepared: Prepared | None) -> dict[str, Any]:
    """Where the fold's parts lie, and what was cut from them; nothing where that is not known."""
    if prepared is None:
        return {}
    plan = next((item for item in prepared.folds if item.fold == fold), None)
    if plan is None:
        return {}
    decided_ns = prepared.decisions.decided_ns
    return {
        "n_train": int(plan.train.size),
        "n_validation": int(plan.validation.size),
        "n_purged": int(plan.n_purged),
        "train_start_ns": int(decided_ns[plan.train[0]]),
        "validation_start_ns": int(decided_ns[plan.validation[0]]),
        "label_threshold_ticks": prepared.threshold(plan),
    }


def _aggregate(
    figures: Mapping[str, Mapping[str, float | None]],
    of_decisions: Intervals,
    of_bars: Intervals | None,
) -> dict[str, Any]:
    def strategy(name: str) -> dict[str, Any]:
        found = {**of_decisions.of.get(name, {}), **(of_bars.of[name] if of_bars else {})}
        shaped = {}
        for key, value in figures[name].items():
            low, high = found.get(key, (None, None))
            known = value is not None and math.isfinite(value)
            shaped[key] = {
                "value": value if known else None,
                "low": low if known else None,
                "high": high if known else None,
            }
        return shaped

    others = {name: strategy(name) for name in figures if name != MODEL}
    return {**strategy(MODEL), "baselines": others}


def _how_intervals(
    of_decisions: Intervals, of_bars: Intervals | None, *, n_resamples: int, seed: int
) -> dict[str, Any]:
    return {
        "level": LEVEL,
        "method": "stationary bootstrap",
        "n_resamples": n_resamples,
        "mean_block_decisions": of_decisions.mean_block,
        "mean_block_bars": None if of_bars is None else of_bars.mean_block,
        "seed": seed,
    }


def _trading_intervals(
    traded: Traded | None, *, n_resamples: int, rng: np.random.Generator
) -> Intervals | None:
    if traded is None:
        return None
    closings = {
        name: closings_per_bar(traded.orders[name], account)
        for name, account in traded.accounts.items()
    }
    return trading_intervals(
        traded.accounts,
        closings,
        periods_per_year=traded.periods_per_year,
        n_resamples=n_resamples,
        rng=rng,
    )


def _plain(value: Any) -> Any:
    """Plain JSON types: no tuples, no numpy, and None for what is not a finite number."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
