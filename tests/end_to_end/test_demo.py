"""The demo on the real half hour of orders, with less training than a user's run."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from lob_backtest.book import read_book
from lob_backtest.errors import FormatError
from lob_backtest.io import sample_path
from lob_backtest.predictions import read_predictions

LESS = [
    "data.decisions.every_ms=1000", "data.window=20", "training.num_train_epochs=1",
    "training.per_device_train_batch_size=64", "walk_forward.test=400",
    "model.config={conv_channels: 8, inception_channels: 8, lstm_hidden: 8, dropout: 0.1}",
]  # fmt: skip


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The demo's folder and what it printed."""
    try:
        sample_path()
    except FormatError as error:
        pytest.skip(str(error))
    folder = tmp_path_factory.mktemp("demo") / "run"
    command = [sys.executable, "-m", "hfrun.demo", "--folder", str(folder), *LESS]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder, done.stdout


def test_the_demo_ends_in_a_verdict_with_reasons_and_advice(demo: tuple[Path, str]) -> None:
    _, printed = demo
    assert re.search(r"^Verdict: (PASS|FAIL)$", printed, re.MULTILINE)
    assert "weighted F1" in printed
    assert "after costs" in printed
    assert re.search(r"^Report: file:///.*report\.html$", printed, re.MULTILINE)


def test_the_demo_leaves_report_predictions_and_model(demo: tuple[Path, str]) -> None:
    folder, _ = demo
    report = json.loads((folder / "report/report.json").read_text(encoding="utf-8"))
    assert report["data"]["instrument"] == "BTC/USD"
    assert len(report["folds"]) >= 2
    assert read_predictions(folder / "predictions.parquet").n > 500
    assert (folder / "model/model.safetensors").is_file()


def test_the_model_comes_back_from_the_hub_with_equal_logits(demo: tuple[Path, str]) -> None:
    _, printed = demo
    assert "Loaded back: largest difference of logits 0\n" in printed


def test_the_page_needs_nothing_from_outside(demo: tuple[Path, str]) -> None:
    page = (demo[0] / "report/report.html").read_text(encoding="utf-8")
    assert re.findall(r"""(?:src|href)\s*=\s*["']?(?!#|data:)[^"'>\s]+""", page) == []
    assert re.findall(r"@import|url\((?!#)", page) == []


def test_the_book_is_the_cleaned_half_hour(demo: tuple[Path, str]) -> None:
    book = read_book(demo[0] / "book.parquet")
    assert (book.n_levels, book.meta.tick_size) == (10, 1.0)
    assert book.n_rows > 50_000
    assert (book.spread_ticks == 1).mean() > 0.9
