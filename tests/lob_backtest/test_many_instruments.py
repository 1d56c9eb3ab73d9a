"""Several instruments through the commands: judged together, each as it would be alone."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from lob_backtest.book import write_book
from lob_backtest.cli import main
from lob_backtest.synthetic import synthetic_book

CONFIG = """
data: {book: unused.parquet, decisions: {every_ms: 60000}, window: 5,
       label: {kind: mid_move, horizon_ms: 120000}}
walk_forward: {mode: expanding, unit: days, train: 1, validation: 1, test: 1}
backtest: {costs: {fee_bps: 0.1}, latency_ns: 1000000, signal: {min_trades: 1}}
gates: {off: [train_eval_gap, grad_norm]}
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("many")
    for seed, name in enumerate(("AAA", "BBB")):
        book = synthetic_book(days=5, rows_per_day=2500, levels=2, signal=1.0, seed=seed)
        named = replace(book, meta=replace(book.meta, instrument=name))
        write_book(named, folder / f"{name}.parquet")
    (folder / "config.yaml").write_text(CONFIG, encoding="utf-8")
    assert main(["baseline", *books(folder, "AAA", "BBB"), *config(folder), "-o",
                 str(folder / "both"), "--baselines", "logistic,majority"]) == 0  # fmt: skip
    for name in ("AAA", "BBB"):
        assert main(["baseline", *books(folder, name), *config(folder), "-o", str(folder / name),
                     "--baselines", "logistic,majority"]) == 0  # fmt: skip
    return folder


def books(folder: Path, *names: str) -> list[str]:
    return [part for name in names for part in ("--book", str(folder / f"{name}.parquet"))]


def config(folder: Path) -> list[str]:
    return ["--config", str(folder / "config.yaml")]


def scored(folder: Path, which: str, *names: str) -> dict:
    tables = folder / which / "logistic"
    code = main(
        ["score", str(tables / "predictions.parquet"), "--validation",
         str(tables / "validation_predictions.parquet"), *books(folder, *names), *config(folder),
         "-o", str(folder / f"report-{which}"), "--baselines", "majority,imbalance", "--check"]
    )  # fmt: skip
    assert code in (0, 3)
    found: dict = json.loads((folder / f"report-{which}" / "report.json").read_text())
    return found


def test_each_instrument_in_a_common_report_is_as_it_is_alone(place: Path) -> None:
    both = scored(place, "both", "AAA", "BBB")
    alone = {name: scored(place, name, name) for name in ("AAA", "BBB")}
    assert list(both["instruments"]) == ["AAA", "BBB"]
    for name, report in alone.items():
        assert report["instruments"] is None
        own = both["instruments"][name]
        assert own["n"] == sum(fold["n"] for fold in report["folds"])
        for key, figure in report["aggregate"].items():
            if key != "baselines":
                assert own[key] == pytest.approx(figure["value"], nan_ok=True), key
        assert own["label_statistics"] == report["label_statistics"]


def test_together_they_are_one_portfolio(place: Path) -> None:
    both = scored(place, "both", "AAA", "BBB")
    alone = [scored(place, name, name) for name in ("AAA", "BBB")]
    capital = [report["equity"]["capital"] for report in alone]
    assert both["equity"]["capital"] == pytest.approx(sum(capital))
    for key in ("gross_return", "net_return", "turnover"):
        expected = sum(
            report["aggregate"][key]["value"] * own / sum(capital)
            for report, own in zip(alone, capital, strict=True)
        )
        assert both["aggregate"][key]["value"] == pytest.approx(expected), key
    for key in ("trades", "costs_paid"):
        expected = sum(report["aggregate"][key]["value"] for report in alone)
        assert both["aggregate"][key]["value"] == pytest.approx(expected), key
    assert [fold["n"] for fold in both["folds"]] == [
        sum(folds) for folds in zip(*([f["n"] for f in r["folds"]] for r in alone), strict=True)
    ]
    assert {alarm["instrument"] for alarm in both["alarms"]} == {"AAA", "BBB"}
    page = (place / "report-both" / "report.html").read_text(encoding="utf-8")
    assert "AAA + BBB" in page or "2 instruments" in page


def test_instruments_without_a_book_or_a_table_are_refused(place: Path, capsys) -> None:  # type: ignore[no-untyped-def]
    tables = place / "both" / "logistic"
    arguments = ["score", str(tables / "predictions.parquet"), "--validation",
                 str(tables / "validation_predictions.parquet"), *books(place, "AAA"),
                 *config(place), "-o", str(place / "none")]  # fmt: skip
    assert main(arguments) == 2
    assert "predictions of AAA, BBB and books of AAA; needs the same" in capsys.readouterr().err
    one = place / "AAA" / "logistic" / "predictions.parquet"
    assert main([*arguments[:1], str(one), *arguments[2:]]) == 2
    assert "validation predictions of BBB" in capsys.readouterr().err
    assert not (place / "none").exists()
