"""Judge a classifier of texts on one test set: figures with intervals, baselines, gates, verdict.

The same limits as of order books, as far as they are of use: texts have no time, so there are no
windows to hold the model to and nothing to trade. What takes the place of leaving the best fold
out is that the lift over the best baseline must lie beyond its own interval.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from hfrun.evaluation.text_figures import (
    KEYS,
    MODEL,
    mcnemar,
    paired,
    text_figures,
    text_intervals,
    with_intervals,
)
from hfrun.evaluation.text_predictions import TextPredictions
from hfrun.evaluation.text_sections import (
    confidence_section,
    errors_section,
    lengths_section,
    per_class_section,
    reliability_section,
    shares_of,
)
from lob_backtest.book import IntArray
from lob_backtest.config import GatesConfig
from lob_backtest.errors import PredictionsError
from lob_backtest.files import plain_json
from lob_backtest.gates import check_rules, classification_baseline, judge, verdict
from lob_backtest.metrics import confusion_matrix
from lob_backtest.resampling.draw import LEVEL, Intervals
from lob_backtest.strict_yaml import as_dict
from lob_backtest.training_figures import TrainingFigures

FORMAT = "hfrun.text_report/1"
N_RESAMPLES = 2000


def judge_texts(
    test: TextPredictions,
    *,
    validation: TextPredictions | None = None,
    baselines: Mapping[str, TextPredictions],
    gates: GatesConfig,
    training: TrainingFigures | None,
    provenance: Mapping[str, Any] | None,
    seed: int,
    calibration: Mapping[str, Any] | None = None,
    audit: Mapping[str, Any] | None = None,
    n_resamples: int = N_RESAMPLES,
) -> dict[str, Any]:
    """The report of a classifier on its test texts, in plain JSON types.

    Args:
        test: the model's predictions; texts of unknown label are counted and left out.
        validation: what the checkpoint was chosen on; its figures stand beside the test's.
        baselines: by name, for the same texts; at least one for the lift to be judged.
        gates: limits; ``baseline`` is one of the baselines, or ``best``.
        training: what the training run knows; without it two of the gates fail.
        provenance, calibration, audit: taken into the report as they are; must be JSON-able.
        seed: of the intervals.
        n_resamples: of the bootstrap.

    Raises:
        PredictionsError: no label is known, or a baseline is of other texts, labels or classes.
        GateError: an unknown gate or baseline in ``gates``.
    """
    check_rules(gates, baselines=list(baselines))
    tables = _contenders(test, baselines)
    model = tables[MODEL]
    confusion = confusion_matrix(model.labels, model.probabilities)
    figures = {name: text_figures(table) for name, table in tables.items()}
    rng = np.random.default_rng(seed)
    intervals = text_intervals(tables, n_resamples=n_resamples, rng=rng)
    report = {
        "format": FORMAT,
        "kind": "text",
        "label_names": list(test.label_names),
        "data": _data(test, validation),
        "folds": [_fold(figures, confusion)],
        "aggregate": _aggregate(figures, intervals, model.n),
        "validation": _validation(validation),
        "paired": paired(intervals),
        "mcnemar": {name: mcnemar(model, tables[name]) for name in baselines},
        **_sections(model, confusion),
        "calibration": calibration,
        "audit": audit,
        "intervals": _how(n_resamples=n_resamples, seed=seed),
        "rules": as_dict(gates),
        "training": None if training is None else training.as_dict(),
        "provenance": provenance,
    }
    plain: dict[str, Any] = plain_json({**_judgement(report, gates, training), **report})
    return plain


def _sections(model: TextPredictions, confusion: IntArray) -> dict[str, Any]:
    """Where the model is right and where wrong."""
    return {
        "confusion": confusion.tolist(),
        "per_class": per_class_section(confusion, model.label_names),
        "reliability": reliability_section(model),
        "confidence": confidence_section(model),
        "lengths": lengths_section(model),
        "errors": errors_section(model),
    }


def _contenders(
    test: TextPredictions, baselines: Mapping[str, TextPredictions]
) -> dict[str, TextPredictions]:
    """Everyone by name, the model first, on the texts whose label is known."""
    known = test.is_labelled
    if not known.any():
        raise PredictionsError(
            f"none of {test.n} test texts has a known label; there is nothing to judge by: check "
            "data.labels and the test file"
        )
    for name, other in baselines.items():
        _check_alike(name, other, test)
    return {name: table.select(known) for name, table in {MODEL: test, **baselines}.items()}


def _check_alike(name: str, other: TextPredictions, test: TextPredictions) -> None:
    if name == MODEL:
        raise PredictionsError(f"a baseline is called {MODEL!r}; needs a name of its own")
    if other.label_names != test.label_names:
        raise PredictionsError(
            f"baseline {name} has the classes {list(other.label_names)}; needs the model's, in "
            f"their order: {list(test.label_names)}"
        )
    if other.texts != test.texts or not np.array_equal(other.labels, test.labels):
        raise PredictionsError(
            f"baseline {name} is of {other.n} texts that are not the model's {test.n} texts and "
            "labels in their order; predict the same test part with both"
        )


def _judgement(
    report: Mapping[str, Any], gates: GatesConfig, training: TrainingFigures | None
) -> dict[str, Any]:
    aggregate = report["aggregate"]
    judged = judge(
        folds=report["folds"],
        aggregate=aggregate,
        rules=gates,
        training=training,
        one_test=report["paired"],
    )
    return {
        "verdict": verdict(judged),
        "gates": [gate.as_dict() for gate in judged],
        "alarms": None,
        "baseline": classification_baseline(aggregate, gates.baseline),
    }


def _fold(figures: Mapping[str, Mapping[str, float]], confusion: IntArray) -> dict[str, Any]:
    """The one test set; without time, so that nobody takes it for a window."""
    return {
        "fold": 0,
        "start_ns": None,
        "end_ns": None,
        "n": int(confusion.sum()),
        **figures[MODEL],
        "confusion": confusion.tolist(),
        "baselines": {name: dict(own) for name, own in figures.items() if name != MODEL},
    }


def _aggregate(
    figures: Mapping[str, Mapping[str, float]], intervals: Intervals, n: int
) -> dict[str, Any]:
    own = {name: with_intervals(figures[name], intervals.of[name], n=n) for name in figures}
    return {**own.pop(MODEL), "baselines": own}


def _data(test: TextPredictions, validation: TextPredictions | None) -> dict[str, Any]:
    shares = {"test": test, **({} if validation is None else {"validation": validation})}
    return {
        "n_test": test.n,
        "n_unlabelled": int((~test.is_labelled).sum()),
        "n_validation": None if validation is None else validation.n,
        "label_shares": {
            part: shares_of(table.labels, len(test.label_names)).tolist()
            for part, table in shares.items()
        },
    }


def _validation(table: TextPredictions | None) -> dict[str, Any] | None:
    """Figures on which the checkpoint was chosen: above the test's by the luck of the choice."""
    if table is None or not table.is_labelled.any():
        return None
    known = table.select(table.is_labelled)
    return {"n": known.n, **{key: text_figures(known)[key] for key in KEYS}}


def _how(*, n_resamples: int, seed: int) -> dict[str, Any]:
    return {
        "level": LEVEL,
        "method": "studentized bootstrap over texts; accuracy: Wilson",
        "n_resamples": n_resamples,
        "seed": seed,
    }
