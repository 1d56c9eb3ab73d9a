"""The parts of report.json that say how sure its figures are, as plain values.

paired              model minus each baseline, figure by figure
lift_test           is the model's weighted F1 above the baseline's, labels overlapping
windows             the same fold by fold, corrected for how many folds there are
sharpe_statistics   probabilistic and deflated Sharpe ratio, minimum track record
overfitting         is the best candidate threshold the best by luck
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from lob_backtest.account import Account
from lob_backtest.book import FloatArray, IntArray
from lob_backtest.predictions import Predictions
from lob_backtest.uncertainty.comparisons import benjamini_hochberg
from lob_backtest.uncertainty.lift import (
    lift_test,
    mean_test,
    overlap_counts,
    score_differences,
)
from lob_backtest.uncertainty.overfitting import backtest_overfitting
from lob_backtest.uncertainty.sharpe_ratio import (
    Moments,
    annualised,
    expected_maximum_sharpe,
    min_track_record_length,
    null_variance,
    probabilistic_sharpe_ratio,
)

_MOST_BLOCKS, _FEWEST_BARS_A_BLOCK = 16, 2
_MOST_LOGITS = 200  # of up to 12,870: enough for a histogram


def lift_section(model: Predictions, baseline: Predictions, *, name: str) -> dict[str, Any]:
    """One-sided test that the model's weighted F1 is above the baseline's over all folds.

    Args:
        model, baseline: the same decisions and labels.
        name: of the baseline.
    """
    found = lift_test(model, baseline)
    return {
        "baseline": name,
        "score": "f1_weighted",
        "difference": found.difference,
        "statistic": found.statistic,
        "p_value": found.p_value,
        "lag": found.lag,
        "effective_labels": found.effective_labels,
        "method": found.method,
    }


def windows_section(model: Predictions, baseline: Predictions) -> list[dict[str, Any]]:
    """The lift test of each fold on its own; adjusted by Benjamini and Hochberg over the folds."""
    known = model.is_labelled
    differences, fold = score_differences(model, baseline), model.fold[known]
    counts = overlap_counts(model)
    folds = [int(number) for number in np.unique(fold)]
    p_values = [_p_value(differences[fold == number], counts[fold == number]) for number in folds]
    adjusted = benjamini_hochberg(np.array(p_values))
    return [
        {"fold": number, "p_value": p_value, "p_adjusted": float(corrected)}
        for number, p_value, corrected in zip(folds, p_values, adjusted, strict=True)
    ]


def sharpe_section(
    account: Account,
    *,
    periods_per_year: float,
    trials: int,
    trial_sharpes: FloatArray | None = None,
) -> dict[str, Any] | None:
    """Probabilistic and deflated Sharpe ratio of an account's bars; None where there is no ratio.

    ``sharpe`` and ``benchmark_sharpe`` are annualised, as everywhere in the report. ``psr`` is
    against 0, ``dsr`` and the minimum track record (None where the ratio is not above it) are
    against the benchmark: the best ratio to expect of ``trials`` worthless strategies.

    Args:
        account: of the judged model; its bars may depend on each other.
        periods_per_year: bars in a year.
        trials: how many models or settings were tried before this one was chosen.
        trial_sharpes: annualised ratios of the trials, where known; their variance says how far
            the trials differ. Without them it is that of one estimate where the truth is 0.
    """
    moments = Moments.of(account.net_returns)
    if moments is None:
        return None
    if trial_sharpes is None or trial_sharpes.size < 2:
        variance = null_variance(moments)
    else:
        variance = float(trial_sharpes.var(ddof=1)) / periods_per_year
    benchmark = expected_maximum_sharpe(trials, variance=variance)
    bars = min_track_record_length(moments, benchmark=benchmark)
    return {
        "psr": probabilistic_sharpe_ratio(moments),
        "dsr": probabilistic_sharpe_ratio(moments, benchmark=benchmark),
        "sharpe": annualised(moments.sharpe, periods_per_year=periods_per_year),
        "benchmark_sharpe": annualised(benchmark, periods_per_year=periods_per_year),
        "trials": trials,
        "min_track_record_bars": math.ceil(bars) if math.isfinite(bars) else None,
        "min_track_record_years": bars / periods_per_year if math.isfinite(bars) else None,
        "skewness": moments.skewness,
        "kurtosis": moments.kurtosis,
        "dependence": moments.dependence,
        "bars": moments.n,
    }


def overfitting_section(candidates: Mapping[str, FloatArray]) -> dict[str, Any] | None:
    """Probability that the best candidate is the best by luck; None where it cannot be told.

    Args:
        candidates: by name, ``(B,)`` net returns on the same bars; two at least that differ, on
            enough bars for 4 blocks.
    """
    if not candidates:
        return None
    returns = np.column_stack(list(candidates.values()))
    blocks = min(_MOST_BLOCKS, returns.shape[0] // _FEWEST_BARS_A_BLOCK // 2 * 2)
    if np.unique(returns, axis=1).shape[1] < 2 or blocks < 4:
        return None
    found = backtest_overfitting(returns, n_splits=blocks)
    return {
        "pbo": found.pbo,
        "n_splits": blocks,
        "strategies": returns.shape[1],
        "logits": _thinned(np.sort(found.logits)).tolist(),
        "slope": found.slope,
        "probability_of_loss": found.probability_of_loss,
    }


def _p_value(differences: FloatArray, counts: IntArray) -> float:
    """Of one fold; 1 where a single decision says nothing."""
    if differences.size < 2:
        return 1.0
    return mean_test(differences, overlap=counts, side="greater")[1]


def _thinned(ordered: FloatArray) -> FloatArray:
    """At most ``_MOST_LOGITS`` of them, evenly, the first and the last among them."""
    place = np.linspace(0, ordered.size - 1, min(ordered.size, _MOST_LOGITS))
    return np.asarray(ordered[np.round(place).astype(np.int64)])
