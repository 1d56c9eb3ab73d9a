"""A scored report, and the same one with every key there and figures to look for."""

from typing import Any

import numpy as np

from lob_backtest.config import GatesConfig
from lob_backtest.contenders import MODEL
from lob_backtest.sections import (
    Part,
)
from lob_backtest.trading import Traded, trade
from lob_backtest.walk_forward import score
from tests.lob_backtest.judged import BACKTEST, Walk, walk


def traded_walk(made: Walk) -> tuple[Traded, Part]:
    """The money of a walk, and its one part with the model's trades."""
    traded = trade(made.book, {MODEL: made.model, "guesses": made.guesses}, BACKTEST)
    trades = traded.accounts[MODEL].trades
    return traded, Part(book=made.book, test=made.model.test, trades=trades)


def full_report(*, seed: int = 0, skill: float = 0.5, check: bool = False) -> dict[str, Any]:
    """A scored report; ``check`` runs the leak alarms too."""
    made = walk(seed=seed, skill=skill)
    return score(
        made.book,
        made.model,
        {"guesses": made.guesses},
        backtest=BACKTEST,
        gates=GatesConfig(off=["grad_norm"]),
        prepared=made.prepared,
        n_resamples=30,
        provenance={"name": "test", "command": "lob-backtest score", "seed": 0},
        check=check,
    )


def by_hand(report: dict[str, Any]) -> dict[str, Any]:
    """The same report, with figures that a test can look for on its page, and every key there."""
    rng = np.random.default_rng(0)

    def difference(value: float, width: float) -> dict[str, float]:
        return {"difference": value, "low": value - width, "high": value + width,
                "p_value": 0.013, "p_adjusted": 0.026}  # fmt: skip

    return {
        **report,
        "paired": {
            name: {
                "f1_weighted": difference(0.08, 0.03),
                "accuracy": difference(0.05, 0.04),
                "net_return": difference(0.002, 0.003),
            }
            for name in report["aggregate"]["baselines"]
        },
        "lift_test": {"baseline": "guesses", "statistic": 3.1, "p_value": 0.0009, "lag": 6,
                      "effective_labels": 61.3, "method": "Newey-West"},
        "sharpe_statistics": {
            "psr": 0.93, "dsr": 0.61, "sharpe": 10.2, "benchmark_sharpe": 8.4, "trials": 40,
            "min_track_record_bars": 1830, "min_track_record_years": 0.0186, "skewness": -0.4,
            "kurtosis": 6.1, "bars": 100,
        },
        "overfitting": {"pbo": 0.21, "n_splits": 8, "strategies": 3,
                        "logits": rng.normal(0.6, 0.8, 70).tolist()},
        "windows": [
            {"fold": fold["fold"], "p_value": 0.01, "p_adjusted": 0.02} for fold in report["folds"]
        ],
        "alarms": [
            {"name": "shuffled_labels", "raised": False, "value": 0.07, "limit": 0.02,
             "reason": "lift of weighted F1 +0.0800, with the labels shuffled +0.0100"},
            {"name": "canary", "raised": False, "value": 1.0, "limit": 0.9,
             "reason": "a model made to peek was caught"},
            {"name": "features_delayed", "raised": None, "value": None, "limit": None,
             "reason": "not tried: no features at hand"},
        ],
        "instruments": {
            "AAA": {"n": 400, "f1_weighted": 0.41, "net_return": 0.012, "trades": 31},
            "BBB": {"n": 380, "f1_weighted": 0.37, "net_return": -0.004, "trades": 28},
        },
        "training": {"train_accuracy": [0.5]},
        "label_statistics": {
            "n": 780, "unknown": 12, "shares": {"down": 0.31, "flat": 0.36, "up": 0.33},
            "effective_labels": 130.0, "mean_overlap": 6.0, "round_trip_ticks": 1.2,
            "below_round_trip_share": 0.4,
            "warnings": ["40.0% of the up and down labels moved by less than the round trip"],
        },
    }  # fmt: skip
