"""Every figure of every strategy, fold by fold and over all folds: the numbers of report.json."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lob_backtest.book import FloatArray, IntArray
from lob_backtest.contenders import MODEL, Contest
from lob_backtest.errors import PredictionsError
from lob_backtest.metrics import (
    CLASSIFICATION_KEYS,
    TRADING_KEYS,
    classification_metrics,
    confusion_matrix,
    portfolio_metrics,
)
from lob_backtest.predictions import Predictions
from lob_backtest.resampling import Intervals
from lob_backtest.splits import fold_blocks
from lob_backtest.trading import Traded

_MEANS_OF_FOLDS = ("majority_accuracy", "f1_weighted", "f1_macro", "mcc")
_KEYS = (*CLASSIFICATION_KEYS, *TRADING_KEYS)

Figures = dict[str, float | None]


@dataclass(frozen=True, kw_only=True, eq=False)
class Outcome:
    """What everyone said and earned, of one instrument or of several together.

    Attributes:
        tables: test predictions by name, the model's first; of several instruments pooled.
        traded: None where nothing was traded for money.
    """

    tables: Mapping[str, Predictions]
    traded: Traded | None

    @property
    def names(self) -> list[str]:
        """The model, the baselines, and where money is concerned buy and hold and flat."""
        return list(self.tables) if self.traded is None else list(self.traded.accounts)

    def figures(self, name: str, *, fold: int | None = None) -> Figures:
        """Every figure of a strategy in one fold or in all; None where it has none."""
        figures: Figures = dict.fromkeys(_KEYS)
        if name in self.tables:
            table = self.tables[name]
            figures |= (
                classification_over_folds(table)
                if fold is None
                else classification_metrics(*labelled(table, fold))
            )
        if self.traded is not None:
            account = self.traded.accounts[name]
            account = account if fold is None else account.of_fold(fold)
            figures |= portfolio_metrics(account, periods_per_year=self.traded.periods_per_year)
        return figures


def classification_over_folds(table: Predictions) -> dict[str, float]:
    """The classification figures over all folds.

    Accuracy, ECE and Brier score are over all decisions. F1, MCC and majority accuracy are means of
    the folds', by their decisions: in one table of all folds a constant guess that changes from
    fold to fold would look like skill.
    """
    figures = classification_metrics(*labelled(table, None))
    of_folds = [labelled(table, fold) for fold in table.folds]
    n = [labels.size for labels, _ in of_folds]
    each = [classification_metrics(labels, probability) for labels, probability in of_folds]
    for key in _MEANS_OF_FOLDS:
        figures[key] = float(np.average([fold[key] for fold in each], weights=n))
    return figures


def labelled(table: Predictions, fold: int | None) -> tuple[IntArray, FloatArray]:
    """Labels and probabilities of the decisions whose label is known.

    Raises:
        PredictionsError: there are none.
    """
    chosen = table.is_labelled if fold is None else table.is_labelled & (table.fold == fold)
    if not chosen.any():
        raise PredictionsError(
            f"{'no decision' if fold is None else f'no decision of fold {fold}'} has a known "
            "label; needs at least one; lengthen the test block or shorten the label horizon"
        )
    return table.label[chosen], table.probability[chosen]


def fold_figures(fold: int, outcome: Outcome, contests: Sequence[Contest]) -> dict[str, Any]:
    """A fold's entry in the report: where it lies, its figures, and those of the baselines."""
    table = outcome.tables[MODEL]
    here = table.fold == fold
    decided_ns = table.decided_ns[here]
    each = {name: _in_fold(name, fold, outcome) for name in outcome.names}
    return {
        "fold": fold,
        "start_ns": int(decided_ns[0]),
        "end_ns": int(decided_ns[-1]),
        "n": int(table.is_labelled[here].sum()),
        "n_unlabelled": int((~table.is_labelled[here]).sum()),
        "train_end_ns": int(table.train_end_ns[here].max()),
        **_spans(fold, contests),
        **{key: value for key, value in each[MODEL].items() if key != "n"},
        "baselines": {name: figures for name, figures in each.items() if name != MODEL},
    }


def aggregate_figures(
    outcome: Outcome, of_decisions: Intervals, of_bars: Intervals | None
) -> dict[str, Any]:
    """Every figure over all folds as ``{value, low, high}``; the baselines' under their names."""

    def strategy(name: str) -> dict[str, Any]:
        found = {**of_decisions.of.get(name, {}), **(of_bars.of[name] if of_bars else {})}
        shaped = {}
        for key, value in outcome.figures(name).items():
            low, high = found.get(key, (None, None))
            known = value is not None and math.isfinite(value)
            shaped[key] = {
                "value": value if known else None,
                "low": low if known else None,
                "high": high if known else None,
            }
        return shaped

    others = {name: strategy(name) for name in outcome.names if name != MODEL}
    return {**strategy(MODEL), "baselines": others}


def _in_fold(name: str, fold: int, outcome: Outcome) -> dict[str, Any]:
    counts, n = None, None
    if name in outcome.tables:
        labels, probability = labelled(outcome.tables[name], fold)
        counts, n = confusion_matrix(labels, probability).tolist(), labels.size
    traded = outcome.traded
    threshold = None if traded is None else traded.thresholds.get(name, {}).get(fold)
    return {
        "n": n,
        **outcome.figures(name, fold=fold),
        "confusion": counts,
        "confidence_threshold": threshold,
    }


def _spans(fold: int, contests: Sequence[Contest]) -> dict[str, Any]:
    """Where the fold's parts lie, and what was cut from them; nothing where that is not known.

    Of several instruments, the first one's parts: their walks are alike.
    """
    prepared = contests[0].prepared
    plan = None
    if prepared is not None:
        plan = next((item for item in prepared.folds if item.fold == fold), None)
    if prepared is None or plan is None:
        return {}
    decided_ns = prepared.decisions.decided_ns
    return {
        "n_train": int(plan.train.size),
        "n_validation": int(plan.validation.size),
        "n_purged": int(plan.n_purged),
        "train_start_ns": int(decided_ns[plan.train[0]]),
        "validation_start_ns": int(decided_ns[plan.validation[0]]),
        "label_threshold_ticks": prepared.threshold(plan),
        "blocks": fold_blocks(plan, decided_ns),
    }
