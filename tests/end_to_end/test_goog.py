"""A real day of GOOG, from the LOBSTER file through the config to the report, on four folds."""

import json
from pathlib import Path

import pytest

from hfrun.cli import main as hfrun
from lob_backtest.cli import main as lob_backtest
from lob_backtest.predictions import read_predictions

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def run_folder(lob_data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped config with fewer decisions, shorter windows and one epoch."""
    folder = tmp_path_factory.mktemp("goog")
    source = lob_data_dir / "data/lobster/LOBSTER_SampleFile_GOOG_2012-06-21_10.zip"
    book = folder / "goog.parquet"
    assert lob_backtest(["import", "lobster", str(source), "-o", str(book)]) == 0
    command = [
        "walk-forward", str(ROOT / "configs/goog.yaml"), f"run.output_dir={folder / 'run'}",
        f"data.book={book}", "data.window=24", "data.decisions.every_events=60",
        "training.num_train_epochs=1", "walk_forward.train=800", "walk_forward.validation=300",
        "walk_forward.test=300", "callbacks.gap_samples=128",
    ]  # fmt: skip
    assert hfrun(command) in (0, 3)  # whether the gates pass is not what is tested here
    return folder / "run"


def test_the_day_has_at_least_four_folds_and_a_report(run_folder: Path) -> None:
    report = json.loads((run_folder / "report/report.json").read_text(encoding="utf-8"))
    assert len(report["folds"]) >= 4
    assert report["verdict"] in ("pass", "fail")
    assert set(report["aggregate"]["baselines"]) >= {
        "majority", "last_move", "imbalance", "logistic", "boosting", "buy_and_hold", "flat",
    }  # fmt: skip
    assert (run_folder / "report/report.html").stat().st_size > 10_000


def test_the_report_has_the_keys_of_the_contract(run_folder: Path) -> None:
    report = json.loads((run_folder / "report/report.json").read_text(encoding="utf-8"))
    figures = {
        "accuracy", "majority_accuracy", "f1_weighted", "f1_macro", "mcc", "ece", "brier",
        "gross_return", "net_return", "max_drawdown", "sharpe", "turnover", "trades",
        "costs_paid",
    }  # fmt: skip
    for fold in report["folds"]:
        assert fold.keys() >= figures | {"fold", "start_ns", "end_ns", "n", "baselines"}
        assert all(fold[key] is not None for key in ("n", "accuracy", "f1_weighted", "ece"))
        for name in ("majority", "logistic", "boosting"):
            assert fold["baselines"][name].keys() >= figures
    assert all(report["aggregate"][key].keys() == {"value", "low", "high"} for key in figures)
    assert [set(gate) for gate in report["gates"]] == [
        {"name", "passed", "value", "limit", "required", "reason"}
    ] * 7


def test_every_fold_is_predicted_after_its_training(run_folder: Path) -> None:
    table = read_predictions(run_folder / "predictions.parquet")
    assert table.folds == list(range(len(table.folds)))
    assert (table.train_end_ns < table.decided_ns).all()
    assert (table.decided_ns[1:] > table.decided_ns[:-1]).all()  # test blocks do not overlap


def test_the_latest_model_predicts_the_book_again(run_folder: Path, tmp_path: Path) -> None:
    book = run_folder.parent / "goog.parquet"
    output = tmp_path / "again.parquet"
    assert hfrun(["predict", str(run_folder), "--book", str(book), "-o", str(output)]) == 0
    again, first = read_predictions(output), read_predictions(run_folder / "predictions.parquet")
    last = first.select(first.fold == first.folds[-1])
    common = [i for i, ns in enumerate(again.decided_ns) if ns in set(last.decided_ns.tolist())]
    assert len(common) == last.n
    assert abs(again.probability[common] - last.probability).max() < 1e-6
    assert (again.label[common] == last.label).all()
