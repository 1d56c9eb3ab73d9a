"""Whether the figures of a report are those that the plain judge computes from the same files."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.end_to_end.plain_judge import PlainJudge, read_rows
from tests.end_to_end.plain_plan import PlainBook, plan

REPORTED = (
    "accuracy", "brier", "f1_weighted", "gross_return", "net_return", "turnover", "costs_paid",
    "trades", "max_drawdown", "hit_rate",
)  # fmt: skip


def check_figures(place: Path, sound: Path | None = None) -> str:
    """The report's figures are those of the plain judge, from the same files.

    Args:
        place: the files, and the report in ``out``.
        sound: where the Parquet files are to be read from instead.
    """
    report = json.loads((place / "out" / "report.json").read_text(encoding="utf-8"))
    config = yaml.safe_load((place / "config.yaml").read_text(encoding="utf-8"))
    if report["backtest"] is None:
        return "accepted, not traded"
    value = {key: report["aggregate"][key]["value"] for key in REPORTED}
    net = value["net_return"] * report["backtest"]["capital"]
    gross = value["gross_return"] * report["backtest"]["capital"]
    assert net == pytest.approx(gross - value["costs_paid"], rel=1e-9, abs=1e-9 * abs(gross))
    if not is_plain(config):
        return "accepted, not recomputed"
    tables = place if sound is None else sound
    book, table = PlainBook.read(tables / "book.parquet"), read_rows(tables / "test.parquet")
    planned = plan(book, config)
    assert [(row["fold"], row["decided_ns"], row["label"], row["label_end_ns"]) for row in table
            ] == [(it.fold, it.decided, it.label, it.label_end) for it in planned.test]  # fmt: skip
    judge = PlainJudge(book, config, planned)
    thresholds = {fold["fold"]: fold["confidence_threshold"] for fold in report["folds"]}
    if config["backtest"]["signal"].get("threshold", "validation") == "validation":
        judge.check_choice(read_rows(tables / "validation.parquet"), table, thresholds)
    wanted = judge.figures(table, thresholds)
    for key in REPORTED:
        if wanted[key] is None:
            assert value[key] is None, key
        else:
            assert value[key] == pytest.approx(wanted[key], rel=1e-9, abs=1e-9), key
    return "accepted, recomputed"


def is_plain(config: dict[str, Any]) -> bool:
    """Whether the plain judge knows what this config asks for."""
    known = {
        ("data", "label"): {"kind", "horizon_events", "horizon_ms", "flat_share",
                            "threshold_ticks"},
        ("walk_forward",): {"mode", "unit", "train", "validation", "test", "embargo_ms"},
        ("backtest",): {"costs", "latency_ns", "execution", "position_limit", "capital",
                        "bar_seconds", "signal", "cost_multiples"},
        ("backtest", "signal"): {"threshold", "candidates", "min_trades", "hold_decisions"},
        ("backtest", "costs"): {"fee_bps", "fee_per_unit", "minimum_fee", "sell_tax_bps",
                                "sell_fee_per_unit"},
    }  # fmt: skip
    if not {"signal", "latency_ns", "costs"} <= set(config["backtest"]):
        return False
    for path, names in known.items():
        section: Any = config
        for key in path:
            section = section[key]
        if section != "none" and not set(section) <= names:
            return False
    words = {"mid_move", "none", "walk", "touch", "rolling", "expanding", "decisions",
             "validation", "book.parquet", "mid_change"}  # fmt: skip
    sections = [config["data"]["label"], config["data"]["decisions"], config["walk_forward"],
                config["backtest"], config["backtest"]["signal"]]  # fmt: skip
    texts = {value for section in sections for value in section.values() if isinstance(value, str)}
    costs = config["backtest"]["costs"]
    sections += [] if costs == "none" else [costs]
    none_given = any(value is None for section in sections for value in section.values())
    return texts <= words and not none_given and isinstance(config["backtest"]["latency_ns"], int)
