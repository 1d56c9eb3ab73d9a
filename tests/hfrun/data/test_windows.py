"""Windows formed on access: what they hold, what they cost, and what they may not see."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from hfrun.data.windows import WindowTransform, window_dataset, write_rows
from hfrun.errors import DataError
from lob_backtest.normalize import fit_normalizer
from tests.lob_backtest.books import random_book


@pytest.fixture
def rows_path(tmp_path: Path) -> Path:
    path = tmp_path / "rows.npy"
    np.save(path, np.arange(40, dtype=np.float32).reshape(10, 4))
    return path


def test_a_window_ends_at_its_decision_and_holds_the_rows_before_it(rows_path: Path) -> None:
    dataset = window_dataset(rows_path, rows=np.array([2, 4]), labels=np.array([0, 2]), window=3)
    batch = dataset[[0, 1]]
    assert batch["features"].dtype == torch.float32
    assert batch["features"].tolist() == [
        [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]],
        [[8, 9, 10, 11], [12, 13, 14, 15], [16, 17, 18, 19]],
    ]
    assert batch["labels"].tolist() == [0, 2]


def test_windows_are_not_materialised(rows_path: Path) -> None:
    dataset = window_dataset(rows_path, rows=np.arange(4, 10), labels=None, window=5)
    assert dataset.column_names == ["row"]
    assert dataset.data.nbytes == 6 * 8  # one int64 a decision, whatever the window


def test_a_transform_travels_to_a_worker_without_the_rows(rows_path: Path) -> None:
    transform = WindowTransform(rows_path, window=2)
    assert transform.rows.shape == (10, 4)
    copy = pickle.loads(pickle.dumps(transform))
    assert "rows" not in vars(copy)
    assert torch.equal(copy({"row": [5]})["features"], transform({"row": [5]})["features"])


def test_a_decision_without_enough_rows_before_it_is_refused(rows_path: Path) -> None:
    with pytest.raises(DataError, match="row 1 has 2 rows to look back on; window=3 needs 3"):
        window_dataset(rows_path, rows=np.array([1, 5]), labels=None, window=3)


def test_unknown_labels_are_refused(rows_path: Path) -> None:
    with pytest.raises(DataError, match="unknown labels"):
        window_dataset(rows_path, rows=np.array([5]), labels=np.array([-1]), window=3)


def test_the_rows_file_equals_the_normalizer_whatever_the_chunk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    book = random_book(np.random.default_rng(0), n_rows=50, n_levels=2, n_sessions=2)
    normalizer = fit_normalizer(
        book, start_row=0, stop_row=30, prices="slow_mean", slow_mean_rows=5, sizes="log"
    )
    monkeypatch.setattr("hfrun.data.windows._CHUNK_ROWS", 7)
    path = write_rows(book, normalizer, tmp_path / "rows.npy")
    assert np.array_equal(np.load(path), normalizer.transform(book))
