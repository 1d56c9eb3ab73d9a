"""A report with every key; what comes from other parts of the project is made by hand."""

from typing import Any

import numpy as np

from lob_backtest.config import GatesConfig
from lob_backtest.contenders import MODEL
from lob_backtest.sections import (
    Part,
    blocks_section,
    confidence_section,
    slices_section,
    trades_section,
)
from lob_backtest.trading import Traded, trade
from lob_backtest.walk_forward import score
from tests.lob_backtest.judged import BACKTEST, Walk, walk


def traded_walk(made: Walk) -> tuple[Traded, Part]:
    """The money of a walk, and its one part with the model's trades."""
    traded = trade(made.book, {MODEL: made.model, "guesses": made.guesses}, BACKTEST)
    trades = traded.accounts[MODEL].trades
    return traded, Part(book=made.book, test=made.model.test, trades=trades)


def full_report(*, seed: int = 0, skill: float = 0.5) -> dict[str, Any]:
    """Every key of the report; those that this project's other parts compute hold likely values."""
    made = walk(seed=seed, skill=skill)
    report = score(
        made.book,
        made.model,
        {"guesses": made.guesses},
        backtest=BACKTEST,
        gates=GatesConfig(off=["grad_norm"]),
        prepared=made.prepared,
        n_resamples=30,
        provenance={"name": "test", "command": "lob-backtest score", "seed": 0},
    )
    traded, part = traded_walk(made)
    own = {
        "slices": slices_section([part], capital=traded.capital),
        "confidence": confidence_section(made.model.test),
        "trades": trades_section({part.book.meta.instrument: part.trades}),
        "blocks": blocks_section([part], traded.accounts[MODEL]),
    }
    for fold in report["folds"]:
        fold.setdefault("blocks", _blocks(fold))
    return {**by_hand(report), **report, **own}


def _blocks(fold: dict[str, Any]) -> list[dict[str, Any]]:
    train, validation, known, start = (
        fold[key] for key in ("train_start_ns", "validation_start_ns", "train_end_ns", "start_ns")
    )
    spans = [("train", train, validation - 1), ("validation", validation, known),
             ("test", start, fold["end_ns"])]  # fmt: skip
    return [{"part": p, "start_ns": a, "end_ns": b, "n": 10} for p, a, b in spans]


def by_hand(report: dict[str, Any]) -> dict[str, Any]:
    """Likely values of the keys that come from elsewhere."""
    rng = np.random.default_rng(0)

    def difference(value: float, width: float) -> dict[str, float]:
        return {"difference": value, "low": value - width, "high": value + width,
                "p_value": 0.013, "p_adjusted": 0.026}  # fmt: skip

    return {
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
        "label_statistics": {
            "n": 780, "unknown": 12, "shares": {"down": 0.31, "flat": 0.36, "up": 0.33},
            "effective_labels": 130.0, "mean_overlap": 6.0, "round_trip_ticks": 1.2,
            "below_round_trip_share": 0.4,
            "warnings": ["40.0% of the up and down labels moved by less than the round trip"],
        },
    }  # fmt: skip
