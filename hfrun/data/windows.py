"""Windows over the rows of a book, formed on access and never materialised.

    rows file   (N, 4 L) float32, memory-mapped        | r0 r1 r2 r3 r4 r5 r6 ...
    dataset     one entry a decision: its last row      | row=4   ->   features = rows[1:5]  (T=4)

Neighbouring windows share all but a few rows, so a table of windows would be T times the book.
"""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import numpy.typing as npt
import torch

from hfrun.errors import DataError
from lob_backtest.book import Book
from lob_backtest.files import atomic_path
from lob_backtest.normalize import Normalizer

_CHUNK_ROWS = 65_536


def write_rows(book: Book, normalizer: Normalizer, path: Path) -> Path:
    """Write the normalised rows ``(N, 4 L)`` float32 as an ``.npy`` file, chunk by chunk."""
    shape = (book.n_rows, 4 * book.n_levels)
    with atomic_path(path) as partial:
        rows = np.lib.format.open_memmap(partial, mode="w+", dtype=np.float32, shape=shape)
        for start in range(0, book.n_rows, _CHUNK_ROWS):
            stop = min(start + _CHUNK_ROWS, book.n_rows)
            rows[start:stop] = normalizer.transform(book, start, stop)
        rows.flush()
        del rows
    return path


class WindowTransform:
    """Turns a batch of decisions into windows; the rows file is opened once in each process."""

    def __init__(self, rows_path: Path, *, window: int) -> None:
        self.rows_path = rows_path
        self.window = window

    @cached_property
    def rows(self) -> npt.NDArray[np.float32]:
        return np.load(self.rows_path, mmap_mode="r")

    def __getstate__(self) -> dict[str, Any]:
        return {"rows_path": self.rows_path, "window": self.window}

    def __call__(self, batch: Mapping[str, list[Any]]) -> dict[str, Any]:
        last = np.asarray(batch["row"], dtype=np.int64)
        index = last[:, None] + np.arange(1 - self.window, 1)
        formed: dict[str, Any] = {"features": torch.from_numpy(self.rows[index])}
        for name in batch:
            if name != "row":
                formed[name] = torch.as_tensor(batch[name])
        return formed


def window_dataset(
    rows_path: Path,
    *,
    rows: npt.NDArray[np.int64],
    labels: npt.NDArray[np.int64] | None,
    window: int,
    sample_weight: npt.NDArray[np.float64] | None = None,
) -> datasets.Dataset:
    """A ``datasets.Dataset`` whose items are windows ending at the given book rows.

    Args:
        rows_path: file that ``write_rows`` made.
        rows: ``(D,)`` last row of each window; each needs ``window - 1`` rows before it.
        labels: ``(D,)`` class of each decision, none unknown; None when only predicting.
        window: T, rows a window.
        sample_weight: ``(D,)`` raw weights, for training only.

    Returns:
        Items ``features`` ``(T, 4 L)`` float32, and ``labels`` and ``sample_weight`` if given.
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
    dataset = datasets.Dataset.from_dict(columns)
    dataset.set_transform(WindowTransform(rows_path, window=window))
    return dataset
