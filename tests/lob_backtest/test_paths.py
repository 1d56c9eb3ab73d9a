"""The paths command: what a path is made of, by hand and by another way, and what is printed."""

import json
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import yaml
from sklearn.metrics import f1_score, matthews_corrcoef

from lob_backtest.baselines import BaselineInputs, fit_predict
from lob_backtest.book import read_book
from lob_backtest.cli import main
from lob_backtest.commands.paths import baseline_confusions, over_paths
from lob_backtest.config import load_judge_config
from lob_backtest.errors import SplitError
from lob_backtest.features import hand_features
from lob_backtest.prepare import PreparedPaths, prepare_combinatorial
from lob_backtest.questions import past_move_ticks
from tests.lob_backtest.test_cli import refused

CONFIG = {
    "data": {"decisions": {"every_events": 4}, "label": {"horizon_events": 12}, "window": 5},
    "walk_forward": {"mode": "combinatorial", "groups": 4, "test_groups": 2, "embargo_ms": 1000},
}
NAMES = ["majority", "last_move"]


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("paths")
    book = str(folder / "book.parquet")
    recipe = ["--days", "2", "--rows-per-day", "700", "--levels", "2"]
    assert main(["synthetic", "-o", book, *recipe]) == 0
    config = {**CONFIG, "data": {**CONFIG["data"], "book": book}}
    (folder / "run.yaml").write_text(yaml.safe_dump(config))
    return folder


@pytest.fixture(scope="module")
def prepared(place) -> PreparedPaths:
    config = load_judge_config(place / "run.yaml")
    book = read_book(place / "book.parquet")
    return prepare_combinatorial(book, data=config.data, walk_forward=config.walk_forward)


def test_a_path_is_made_of_one_split_a_group():
    # Two groups, two splits; split 1 tests group 0 and split 0 tests group 1.
    counts = np.zeros((2, 2, 3, 3), dtype=np.int64)
    counts[1, 0] = np.diag([2, 0, 2])  # four decisions, all right
    counts[0, 1] = [[0, 2, 0], [0, 0, 0], [0, 0, 0]]  # two, both wrong
    counts[0, 0] = counts[1, 1] = np.full((3, 3), 99)  # of no path
    figures = over_paths(counts, np.array([[1, 0]]))
    assert figures["accuracy"] == {
        "mean": 4 / 6, "min": 4 / 6, "max": 4 / 6, "std": None, "paths": [4 / 6],
    }  # fmt: skip
    assert figures["f1_weighted"]["mean"] == pytest.approx(1.0 * 4 / 6)
    assert figures["mcc"]["mean"] == pytest.approx(1.0 * 4 / 6)


def test_a_guess_that_changes_from_split_to_split_is_no_skill():
    # Each group has one class, and the split that tests it always says that class elsewhere too:
    # in one table of all groups these constant guesses would be perfect.
    counts = np.zeros((2, 2, 3, 3), dtype=np.int64)
    counts[0, 0, 0, 0] = counts[1, 1, 2, 2] = 5
    figures = over_paths(counts, np.array([[0, 1]]))
    assert figures["mcc"]["mean"] == 0.0


def test_groups_without_a_known_label_are_left_out():
    counts = np.zeros((1, 2, 3, 3), dtype=np.int64)
    counts[0, 0] = np.diag([1, 1, 1])
    assert over_paths(counts, np.array([[0, 0]]))["accuracy"]["mean"] == 1.0
    with pytest.raises(SplitError, match="no test decision has a known label; needs at least one"):
        over_paths(np.zeros((1, 2, 3, 3), dtype=np.int64), np.array([[0, 0]]))


def test_path_figures_equal_those_of_assembled_predictions(place, prepared):
    book = read_book(place / "book.parquet")
    inputs = BaselineInputs(
        features=hand_features(book, prepared.decisions),
        past_move_ticks=past_move_ticks(book, prepared.decisions, prepared.data.label),
    )
    said = {}
    for fold in prepared.splits.folds:
        probability = fit_predict(
            "last_move",
            inputs,
            labels=prepared.labels(fold),
            train=fold.train,
            wanted=np.arange(prepared.decisions.n),
            threshold_ticks=prepared.threshold(fold),
        )
        said[fold.fold] = probability.argmax(axis=1)
    counts = baseline_confusions(book, prepared, names=["last_move"])["last_move"]
    figures = over_paths(counts, prepared.splits.paths)
    for path in range(prepared.splits.n_paths):
        right, n, f1, mcc = 0, 0, 0.0, 0.0
        for group, split in enumerate(prepared.splits.paths[path]):
            labels = prepared.labels(prepared.splits.folds[split])
            here = (prepared.splits.group == group) & (labels >= 0)
            truth, guess = labels[here], said[split][here]
            right += int((truth == guess).sum())
            n += truth.size
            f1 += f1_score(truth, guess, average="weighted", zero_division=0) * truth.size
            mcc += matthews_corrcoef(truth, guess) * truth.size
        assert figures["accuracy"]["paths"][path] == pytest.approx(right / n)
        assert figures["f1_weighted"]["paths"][path] == pytest.approx(f1 / n)
        assert figures["mcc"]["paths"][path] == pytest.approx(mcc / n)


def test_every_known_test_label_is_counted_once_and_no_other(prepared, place):
    book = read_book(place / "book.parquet")
    counts = baseline_confusions(book, prepared, names=["majority"])["majority"]
    for fold in prepared.splits.folds:
        labels = prepared.labels(fold)
        for group in range(4):
            here = labels[(prepared.splits.group == group) & (labels >= 0)]
            expected = np.bincount(here, minlength=3) if group in fold.test_groups else np.zeros(3)
            assert counts[fold.fold, group].sum(axis=1).tolist() == expected.tolist()
            # The most frequent class of train is said of everything.
            train = np.bincount(labels[fold.train], minlength=3)
            assert counts[fold.fold, group].sum(axis=0)[np.argmax(train)] == expected.sum()


def test_the_command_tells_what_python_gives(place, prepared, capsys):
    arguments = ["paths", "--config", str(place / "run.yaml"), "--baselines", ",".join(NAMES)]
    assert main([*arguments, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    book = read_book(place / "book.parquet")
    counts = baseline_confusions(book, prepared, names=NAMES)
    assert told["baselines"] == {
        name: over_paths(counts[name], prepared.splits.paths) for name in NAMES
    }
    assert (told["groups"], told["test_groups"], told["embargo_ms"]) == (4, 2, 1000.0)
    assert [tuple(split["tested"]) for split in told["splits"]] == list(combinations(range(4), 2))
    assert told["paths"] == prepared.splits.paths.tolist()
    for name in NAMES:
        of = told["baselines"][name]["f1_weighted"]
        assert of["min"] <= of["mean"] <= of["max"]
        assert of["std"] == pytest.approx(np.std(of["paths"], ddof=1))


def test_the_command_draws_the_splits_and_says_what_they_are_not(place, capsys):
    arguments = ["paths", "--config", str(place / "run.yaml"), "--baselines", "majority"]
    assert main(arguments) == 0
    captured = capsys.readouterr()
    assert "6 splits, 3 backtest paths" in captured.out
    assert "* train   x test   . purged: label overlaps a test label" in captured.out
    assert "F1 weighted over 3 paths" in captured.out
    assert "not what could have been traded" in captured.out
    assert "baselines: 6/6 fit" in captured.err
    more = ["walk_forward.groups=8", "walk_forward.test_groups=2"]
    assert main([*arguments, *more]) == 0
    assert "and 8 more splits" in capsys.readouterr().out


def test_a_walks_config_serves_too(place, tmp_path, capsys):
    walk = ["walk_forward.mode=rolling", "walk_forward.train=9", "walk_forward.validation=9",
            "walk_forward.test=9"]  # fmt: skip
    arguments = ["--config", str(place / "run.yaml"), "--baselines", "majority", "--json", *walk]
    assert main(["paths", *arguments]) == 0
    assert len(json.loads(capsys.readouterr().out)["splits"]) == 6


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["walk_forward.groups=400"], "need at least 400 decisions, got"),
        (["--baselines", "majorty"], "majorty is none of the baselines majority, last_move"),
        (["walk_forward.embargo_ms=1e12"], "are embargoed (embargo_ns=1000000000000000000)"),
        (["--book", "none.parquet"], "none.parquet: no such file"),
    ],
)
def test_bad_input_is_one_message(place, capsys, change, message):
    arguments = ["paths", "--config", str(place / "run.yaml"), *change]
    assert message in refused(arguments, capsys)


def test_nothing_is_judged_on_combinatorial_splits(place, tmp_path, capsys):
    walk = ["walk_forward.mode=rolling", "walk_forward.train=120", "walk_forward.validation=50",
            "walk_forward.test=50"]  # fmt: skip
    config = ["--config", str(place / "run.yaml")]
    made = ["baseline", *config, "-o", str(tmp_path), "--baselines", "majority", *walk]
    assert main(made) == 0
    capsys.readouterr()
    predictions = str(tmp_path / "majority" / "predictions.parquet")
    trading = ["backtest.costs=none", "backtest.latency_ns=0", "backtest.signal.threshold=0.5"]
    out = tmp_path / "out"
    for command in (["baseline"], ["score", predictions, *trading]):
        message = refused([*command, *config, "-o", str(out)], capsys)
        assert "walk_forward.mode=combinatorial: its splits train on what lies after" in message
    assert not out.exists()
