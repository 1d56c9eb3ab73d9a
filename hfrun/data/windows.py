"""Windows over the rows of a book, formed batch by batch and never materialised.

    rows file   (N, 4 L) float32, memory-mapped        | r0 r1 r2 r3 r4 r5 r6 ...
    dataset     one entry a decision: its last row      | row=4
    collator    a batch of them as model input          | features = rows[1:5]  (T=4)

Neighbouring windows share all but a few rows, so a table of windows would be T times the book. A
model that shares their computation is given stretches and where the windows end in them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import numpy.typing as npt
import torch

from hfrun.data.stretches import as_tensors, joined, stretches
from hfrun.errors import DataError
from lob_backtest.book import Book
from lob_backtest.files import atomic_path, empty_npy
from lob_backtest.normalize import Normalizer


@dataclass(frozen=True)
class InputFiles:
    """The files of one fold's model input, in the fold's folder while it is fitted."""

    folder: Path
    with_hand_features: bool = False

    @property
    def rows(self) -> Path:
        """The normalised rows ``(N, 4 L)``."""
        return self.folder / "rows.npy"

    @property
    def hand_features(self) -> Path | None:
        """The standardised hand-made features ``(D, K)``, for a model with a skip path."""
        return self.folder / "hand_features.npy" if self.with_hand_features else None

    def remove(self) -> None:
        """Delete them; what is open in a process stays readable there."""
        for path in (self.rows, self.hand_features):
            if path is not None:
                path.unlink(missing_ok=True)


def write_rows(book: Book, normalizer: Normalizer, path: Path) -> Path:
    """Write the normalised rows ``(N, 4 L)`` float32 as an ``.npy`` file, part by part."""
    shape = (book.n_rows, 4 * book.n_levels)
    with atomic_path(path) as partial:
        rows = empty_npy(partial, dtype=np.float32, shape=shape)
        for first, part in normalizer.parts(book, 0, book.n_rows):
            rows[first : first + len(part)] = part
        rows.flush()
        del rows
    return path


def decision_dataset(
    *,
    rows: npt.NDArray[np.int64],
    labels: npt.NDArray[np.int64] | None,
    window: int,
    sample_weight: npt.NDArray[np.float64] | None = None,
    decisions: npt.NDArray[np.int64] | None = None,
) -> datasets.Dataset:
    """A ``datasets.Dataset`` of decisions, from which ``BookCollator`` forms batches.

    Args:
        rows: ``(D,)`` last row of each window; each needs ``window - 1`` rows before it.
        labels: ``(D,)`` class of each decision, none unknown; None when only predicting.
        window: T, rows a window.
        sample_weight: ``(D,)`` raw weights, for training only.
        decisions: ``(D,)`` which row of the hand-made features belongs to each.
    """
    if len(rows) == 0:
        raise DataError("got no decisions for a dataset; needs at least one")
    if rows.min() < window - 1:
        raise DataError(
            f"the decision at row {rows.min()} has {rows.min() + 1} rows to look back on; "
            f"window={window} needs {window}"
        )
    columns: dict[str, Any] = {"row": rows}
    if labels is not None:
        if (labels < 0).any():
            raise DataError("unknown labels (-1) cannot be trained or evaluated on; leave them out")
        columns["labels"] = labels
    if sample_weight is not None:
        columns["sample_weight"] = sample_weight.astype(np.float32)
    if decisions is not None:
        columns["decision"] = decisions
    return datasets.Dataset.from_dict(columns)


class BookCollator:
    """Forms the model input of a batch of decisions; files are opened once in each process.

    Args:
        rows_path: file that ``write_rows`` made.
        window: T.
        stretch: decisions of a stretch in training; 1 for windows of their own.
        shares_windows: whether the model takes windows inside stretches.
        hand_path: file of the standardised hand-made features ``(D, K)``, if the model has any.
    """

    def __init__(
        self,
        rows_path: Path,
        *,
        window: int,
        stretch: int = 1,
        shares_windows: bool = False,
        hand_path: Path | None = None,
    ) -> None:
        self.rows_path = rows_path
        self.window = window
        self.stretch = stretch
        self.shares_windows = shares_windows
        self.hand_path = hand_path

    @cached_property
    def rows(self) -> npt.NDArray[np.float32]:
        """``(N, 4 L)`` all rows of the book."""
        return np.load(self.rows_path, mmap_mode="r")

    @cached_property
    def hand_features(self) -> npt.NDArray[np.float32] | None:
        """``(D, K)`` of all decisions."""
        return None if self.hand_path is None else np.load(self.hand_path, mmap_mode="r")

    def __getstate__(self) -> dict[str, Any]:
        opened = ("rows", "hand_features")
        return {name: value for name, value in vars(self).items() if name not in opened}

    def training(self, examples: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
        """Windows of their own, or stretches of ``stretch`` decisions."""
        last = _column(examples, "row")
        if self.shares_windows and self.stretch > 1:
            layout = stretches(last, window=self.window, stretch=self.stretch)
            features, ends = as_tensors(layout, self.rows)
            return {**self._others(examples), "features": features, "ends": ends}
        return {**self._others(examples), "features": self._windows(last)}

    def evaluation(self, examples: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
        """Windows of their own, or all in one stretch."""
        return {**self._others(examples), **self._at(_column(examples, "row"))}

    def model_input(
        self, last: npt.NDArray[np.int64], decisions: npt.NDArray[np.int64]
    ) -> dict[str, torch.Tensor]:
        """What a model predicts from, without a dataset.

        Args:
            last: ``(W,)`` last row of each window.
            decisions: ``(W,)`` which row of the hand-made features belongs to each.
        """
        return {**self._hand(decisions), **self._at(last)}

    def _at(self, last: npt.NDArray[np.int64]) -> dict[str, torch.Tensor]:
        if not self.shares_windows:
            return {"features": self._windows(last)}
        features, ends = as_tensors(joined(last, window=self.window), self.rows)
        return {"features": features, "ends": ends}

    def _windows(self, last: npt.NDArray[np.int64]) -> torch.Tensor:
        return torch.from_numpy(self.rows[last[:, None] + np.arange(1 - self.window, 1)])

    def _others(self, examples: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
        """What is one a decision. It comes first: the Trainer counts a batch by its first item."""
        formed = {
            name: torch.from_numpy(_column(examples, name))
            for name in ("labels", "sample_weight")
            if name in examples[0]
        }
        return formed | self._hand(_column(examples, "decision") if self.hand_path else None)

    def _hand(self, decisions: npt.NDArray[np.int64] | None) -> dict[str, torch.Tensor]:
        if self.hand_features is None or decisions is None:
            return {}
        return {"hand_features": torch.from_numpy(self.hand_features[decisions])}


def _column(examples: Sequence[Mapping[str, Any]], name: str) -> npt.NDArray[Any]:
    column = np.array([example[name] for example in examples])
    return column.astype(np.float32) if column.dtype.kind == "f" else column
