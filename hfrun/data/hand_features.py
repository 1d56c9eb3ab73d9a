"""Hand-made features of every decision as a file, for models with a skip path."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from lob_backtest.book import Book, IntArray
from lob_backtest.decisions import Decisions
from lob_backtest.features import (
    HandScaler,
    fit_hand_scaler,
    hand_feature_names,
    write_hand_features,
)
from lob_backtest.files import atomic_path, empty_npy

_PART = 16_384  # decisions at a time


def fit_and_write(book: Book, decisions: Decisions, train: IntArray, path: Path) -> HandScaler:
    """Write the features ``(D, K)`` float32, standardised by the train decisions alone.

    Returns:
        The scaler, with which later decisions are treated alike.
    """
    with _raw_values(book, decisions, path) as values:
        scaler = fit_hand_scaler(values, train, names=hand_feature_names(book.n_levels))
        _write_scaled(values, scaler, path)
    return scaler


def write_scaled(book: Book, decisions: Decisions, scaler: HandScaler, path: Path) -> Path:
    """Write the features ``(D, K)`` float32, standardised by a scaler that was fitted before."""
    with _raw_values(book, decisions, path) as values:
        _write_scaled(values, scaler, path)
    return path


@contextmanager
def _raw_values(book: Book, decisions: Decisions, path: Path) -> Iterator[np.ndarray]:
    """The features ``(D, K)`` as they are, mapped from a file beside ``path`` for the while."""
    raw = path.with_suffix(".raw.npy")
    try:
        write_hand_features(book, decisions, raw)
        yield np.load(raw, mmap_mode="r")
    finally:
        raw.unlink(missing_ok=True)


def _write_scaled(values: np.ndarray, scaler: HandScaler, path: Path) -> None:
    with atomic_path(path) as partial:
        scaled = empty_npy(partial, dtype=np.float32, shape=values.shape)
        for start in range(0, len(values), _PART):
            scaled[start : start + _PART] = scaler.transform(values[start : start + _PART])
        scaled.flush()
        del scaled
