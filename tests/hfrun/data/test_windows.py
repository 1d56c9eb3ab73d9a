"""Batches of windows: what they hold, what they cost, and what they may not see."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from hfrun.data.windows import BookCollator, InputFiles, decision_dataset, write_rows
from hfrun.errors import DataError
from lob_backtest.normalize import fit_normalizer
from tests.lob_backtest.books import random_book


@pytest.fixture
def rows_path(tmp_path: Path) -> Path:
    path = tmp_path / "rows.npy"
    np.save(path, np.arange(40, dtype=np.float32).reshape(10, 4))
    return path


def test_a_window_ends_at_its_decision_and_holds_the_rows_before_it(rows_path: Path) -> None:
    dataset = decision_dataset(rows=np.array([2, 4]), labels=np.array([0, 2]), window=3)
    batch = BookCollator(rows_path, window=3).training([dataset[0], dataset[1]])
    assert batch["features"].dtype == torch.float32
    assert batch["features"].tolist() == [
        [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]],
        [[8, 9, 10, 11], [12, 13, 14, 15], [16, 17, 18, 19]],
    ]
    assert batch["labels"].tolist() == [0, 2]


def test_a_stretch_holds_the_windows_of_its_decisions(
    rows_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hfrun.data.stretches._LENGTH_STEP", 1)
    monkeypatch.setattr("hfrun.data.stretches._JOINED_STEP", 1)
    examples = [{"row": row, "labels": row % 3} for row in (8, 9, 5)]
    collator = BookCollator(rows_path, window=4, stretch=2, shares_windows=True)
    batch = collator.training(examples)
    first_column = batch["features"][:, :, 0] / 4
    # the second stretch holds one window and begins a row earlier, to be as long as the first
    assert first_column.tolist() == [[5, 6, 7, 8, 9], [1, 2, 3, 4, 5]]
    assert batch["ends"].tolist() == [3, 4, 9]
    assert batch["labels"].tolist() == [2, 0, 2]
    assert next(iter(batch)) == "labels"  # by which the Trainer counts a batch


def test_a_stretch_at_the_start_of_a_book_repeats_its_first_row(rows_path: Path) -> None:
    collator = BookCollator(rows_path, window=4, stretch=2, shares_windows=True)
    batch = collator.training([{"row": row, "labels": 0} for row in (3, 4)])
    assert (batch["features"][0, :, 0] / 4).tolist() == [*[0] * 15, 0, 1, 2, 3, 4]  # none later
    assert batch["ends"].tolist() == [18, 19]


def test_evaluation_joins_windows_that_are_apart(
    rows_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hfrun.data.stretches._LENGTH_STEP", 1)
    monkeypatch.setattr("hfrun.data.stretches._JOINED_STEP", 1)
    examples = [{"row": row, "labels": 0} for row in (2, 3, 9)]
    batch = BookCollator(rows_path, window=3, shares_windows=True).evaluation(examples)
    assert (batch["features"][0, :, 0] / 4).tolist() == [0, 1, 2, 3, 7, 8, 9]
    assert batch["ends"].tolist() == [2, 3, 6]


def test_a_model_of_single_windows_is_given_windows(rows_path: Path) -> None:
    collator = BookCollator(rows_path, window=3, stretch=4)
    examples = [{"row": row, "labels": 0} for row in (2, 3)]
    for batch in (collator.training(examples), collator.evaluation(examples)):
        assert batch["features"].shape == (2, 3, 4)
        assert "ends" not in batch


def test_hand_features_are_those_of_the_decision(rows_path: Path, tmp_path: Path) -> None:
    hand_path = tmp_path / "hand.npy"
    np.save(hand_path, np.arange(12, dtype=np.float32).reshape(6, 2))
    collator = BookCollator(rows_path, window=3, hand_path=hand_path)
    dataset = decision_dataset(
        rows=np.array([4, 7]), labels=np.array([0, 1]), window=3, decisions=np.array([5, 2])
    )
    batch = collator.training([dataset[0], dataset[1]])
    assert batch["hand_features"].tolist() == [[10, 11], [4, 5]]
    given = collator.model_input(np.array([4, 7]), np.array([5, 2]))
    assert torch.equal(given["hand_features"], batch["hand_features"])


def test_windows_are_not_materialised() -> None:
    dataset = decision_dataset(rows=np.arange(4, 10), labels=None, window=5)
    assert dataset.column_names == ["row"]
    assert dataset.data.nbytes == 6 * 8  # one int64 a decision, whatever the window


def test_a_collator_travels_to_a_worker_without_the_rows(rows_path: Path) -> None:
    collator = BookCollator(rows_path, window=2)
    assert collator.rows.shape == (10, 4)
    copy = pickle.loads(pickle.dumps(collator))
    assert "rows" not in vars(copy)
    example = [{"row": 5}]
    assert torch.equal(copy.training(example)["features"], collator.training(example)["features"])


def test_a_decision_without_enough_rows_before_it_is_refused() -> None:
    with pytest.raises(DataError, match="row 1 has 2 rows to look back on; window=3 needs 3"):
        decision_dataset(rows=np.array([1, 5]), labels=None, window=3)


def test_unknown_labels_are_refused() -> None:
    with pytest.raises(DataError, match="unknown labels"):
        decision_dataset(rows=np.array([5]), labels=np.array([-1]), window=3)


def test_the_rows_file_equals_the_normalizer(tmp_path: Path) -> None:
    book = random_book(np.random.default_rng(0), n_rows=50, n_levels=2, n_sessions=2)
    normalizer = fit_normalizer(
        book, start_row=0, stop_row=30, prices="slow_mean", slow_mean_rows=5, sizes="log"
    )
    path = write_rows(book, normalizer, tmp_path / "rows.npy")
    assert np.array_equal(np.load(path), normalizer.transform(book))


def test_input_files_are_removed_whole(tmp_path: Path) -> None:
    inputs = InputFiles(tmp_path, with_hand_features=True)
    for path in (inputs.rows, inputs.hand_features):
        assert path is not None
        path.write_bytes(b"")
    inputs.remove()
    assert list(tmp_path.iterdir()) == []
    assert InputFiles(tmp_path).hand_features is None
