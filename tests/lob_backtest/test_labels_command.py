"""`lob-backtest label`: class shares, thresholds, overlap and what could pay, of any config."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from lob_backtest.book import read_book, write_book
from lob_backtest.cli import main
from lob_backtest.config import load_judge_config
from lob_backtest.labels import effective_labels, fit_threshold
from lob_backtest.prepare import prepare, prepare_combinatorial
from tests.lob_backtest.books import random_book

CONFIG = {
    "data": {
        "book": "unused",
        "decisions": {"every_events": 4},
        "label": {"horizon_events": 12},
        "window": 5,
    },
    "walk_forward": {"train": 120, "train_dev": 30, "validation": 50, "test": 50},
    "backtest": {"costs": {"fee_bps": 0.1}, "latency_ns": 1_000_000},
}
KINDS = {
    "triple_barrier": "data.label={kind: triple_barrier, horizon_events: 12, "
    "volatility_decisions: 10}",
    "executable": "data.label={kind: executable, horizon_events: 12}",
}


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("labels")
    write_book(random_book(np.random.default_rng(0), 2_400, 1, 2), folder / "book.parquet")
    (folder / "run.yaml").write_text(yaml.safe_dump(CONFIG))
    return folder


def told(place: Path, capsys, *more: str) -> dict:
    arguments = ["label", str(place / "book.parquet"), "--config", str(place / "run.yaml")]
    assert main([*arguments, "--json", *more]) == 0
    answer: dict = json.loads(capsys.readouterr().out)
    return answer


def test_shares_and_thresholds_are_those_of_the_folds(place, capsys):
    config = load_judge_config(place / "run.yaml")
    prepared = prepare(
        read_book(place / "book.parquet"), data=config.data, walk_forward=config.walk_forward
    )
    answer = told(place, capsys)
    assert len(answer["folds"]) == len(prepared.folds) > 1
    for fold, shown in zip(prepared.folds, answer["folds"], strict=True):
        move = prepared.moves.move_ticks
        assert shown["threshold_ticks"] == fit_threshold(move[fold.train])
        for part, rows in fold.parts.items():
            known = move[rows][np.isfinite(move[rows])]
            shares = [
                np.mean(known < -shown["threshold_ticks"]),
                np.mean(np.abs(known) <= shown["threshold_ticks"]),
                np.mean(known > shown["threshold_ticks"]),
            ]
            assert shown[f"{part}_shares"] == pytest.approx(shares)
            assert shown[part] == rows.size


def test_overlap_is_of_the_labels_of_all_test_blocks(place, capsys):
    config = load_judge_config(place / "run.yaml")
    prepared = prepare(
        read_book(place / "book.parquet"), data=config.data, walk_forward=config.walk_forward
    )
    tested = np.concatenate([fold.test for fold in prepared.folds])
    known = tested[np.isfinite(prepared.moves.move_ticks[tested])]
    statistics = told(place, capsys)["label_statistics"]
    assert statistics["n"] == known.size
    assert statistics["unknown"] == tested.size - known.size > 0
    assert statistics["effective_labels"] == pytest.approx(
        effective_labels(prepared.decisions.decided_ns[known], prepared.moves.label_end_ns[known])
    )
    assert 0 < statistics["below_round_trip_share"] < 1


@pytest.mark.parametrize("kind", KINDS)
def test_kinds_that_say_flat_themselves_have_no_threshold(place, capsys, kind):
    answer = told(place, capsys, KINDS[kind])
    assert answer["kind"] == kind
    assert {fold["threshold_ticks"] for fold in answer["folds"]} == {0.0}
    assert min(answer["folds"][0]["train_shares"]) > 0.05


def test_the_text_says_it_in_words(place, capsys):
    arguments = ["label", str(place / "book.parquet"), "--config", str(place / "run.yaml")]
    assert main(arguments) == 0
    text = capsys.readouterr().out
    statistics = told(place, capsys)["label_statistics"]
    assert f"worth about {statistics['effective_labels']:,.0f} independent ones" in text
    assert f": {statistics['below_round_trip_share']:.1%}\n" in text
    assert "train-dev" in text
    assert "warning" not in text
    assert main([*arguments, "backtest.costs.fee_bps=20"]) == 0
    text = capsys.readouterr().out
    assert "warning: 100.0% of the up and down labels moved by less than the cheapest" in text


def test_without_a_backtest_the_round_trip_is_left_out(place, tmp_path, capsys):
    config = {key: value for key, value in CONFIG.items() if key != "backtest"}
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(config))
    arguments = ["label", str(place / "book.parquet"), "--config", str(tmp_path / "run.yaml")]
    assert main(arguments) == 0
    assert "round trip" not in capsys.readouterr().out
    assert main([*arguments, KINDS["executable"]]) == 2
    assert "add backtest: {costs: ..., latency_ns: ...}" in capsys.readouterr().err


@pytest.mark.parametrize("mode", ["rolling", "combinatorial"])
def test_the_decisions_table_holds_every_part_of_every_fold(place, tmp_path, capsys, mode):
    out = tmp_path / "decisions.parquet"
    told(place, capsys, f"walk_forward.mode={mode}", "-o", str(out))
    config = load_judge_config(place / "run.yaml", [f"walk_forward.mode={mode}"])
    arguments = {"data": config.data, "walk_forward": config.walk_forward}
    book = read_book(place / "book.parquet")
    if mode == "rolling":
        prepared = prepare(book, **arguments)
        folds = prepared.folds
    else:
        prepared = prepare_combinatorial(book, **arguments)
        folds = prepared.splits.folds
    table = pd.read_parquet(out)
    written = {(fold.fold, part): rows for fold in folds for part, rows in fold.parts.items()}
    assert {key: len(rows) for key, rows in table.groupby(["fold", "part"])} == {
        key: len(rows) for key, rows in written.items()
    }
    for (fold, part), rows in table.groupby(["fold", "part"]):
        chosen = written[fold, part]
        assert rows["decided_ns"].tolist() == prepared.decisions.decided_ns[chosen].tolist()
        assert rows["label"].tolist() == prepared.labels(folds[fold])[chosen].tolist()
    if mode == "rolling":
        later = table[table["part"] != "train"]
        assert (later["train_end_ns"] < later["decided_ns"]).all()
