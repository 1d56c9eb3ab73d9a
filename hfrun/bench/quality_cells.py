"""The cells on disk: a predictions table and a JSON record each, resumed when nothing changed.

    cells/goog/50-events/deeplob/seed-0-window-4.parquet   what was said, and what came true
                                               .json      its figures, and where they come from

The record is written last and says that the cell is whole. It holds the identity of its config and
book: a cell of another identity does not count, and is made anew. The commit and the versions that
made it are recorded but do not count: the page says which they are.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from hfrun.bench.quality_plan import Cell
from hfrun.config import HfrunConfig
from hfrun.errors import WalkForwardError
from hfrun.provenance import program_facts
from hfrun.run_folder import run_identity
from lob_backtest.bench import machine
from lob_backtest.figures import labelled
from lob_backtest.files import read_json, write_json
from lob_backtest.metrics import classification_metrics
from lob_backtest.predictions import Predictions, read_predictions, write_predictions
from lob_backtest.strict_yaml import as_dict

FORMAT = "hfrun.quality/1"  # of the records; others are made anew


@dataclass(frozen=True, kw_only=True, eq=False)
class Made:
    """A finished cell.

    Attributes:
        predictions: of its window.
        record: what its JSON holds: figures, window, training, seconds, what made it.
    """

    cell: Cell
    predictions: Predictions
    record: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class CellStore:
    """The folder of the cells."""

    folder: Path

    def write(self, made: Made, identity: str) -> None:
        """Keep a cell; a failure that was noted for it is forgotten."""
        path = self.folder / f"{made.cell.stem}.json"
        write_predictions(made.predictions, path.with_suffix(".parquet"))
        named = {"format": FORMAT, "identity": identity, "cell": asdict(made.cell)}
        write_json(path, {**named, **made.record})
        path.with_suffix(".failed").unlink(missing_ok=True)

    def note_failure(self, cell: Cell, identity: str, reason: str) -> None:
        """Remember why a cell could not be made; it is tried again in the next run."""
        path = self.folder / f"{cell.stem}.failed"
        write_json(path, {"format": FORMAT, "identity": identity, "reason": reason})

    def read(self, cell: Cell, identity: str) -> Made | None:
        """A finished cell of this identity, or None."""
        path = self.folder / f"{cell.stem}.json"
        record = self._record(path, identity)
        if record is None:
            return None
        predictions = read_predictions(path.with_suffix(".parquet"))
        return Made(cell=cell, predictions=predictions, record=record)

    def is_made(self, cell: Cell, identity: str) -> bool:
        """Whether ``read`` would find it."""
        return self._record(self.folder / f"{cell.stem}.json", identity) is not None

    def failure(self, cell: Cell, identity: str) -> str | None:
        """Why the cell could not be made when it was last tried."""
        record = self._record(self.folder / f"{cell.stem}.failed", identity)
        return None if record is None else str(record["reason"])

    def forget(self, cells: Iterable[Cell]) -> None:
        """Remove cells, so that they are made anew."""
        for cell in cells:
            for ending in ("json", "parquet", "failed"):
                (self.folder / f"{cell.stem}.{ending}").unlink(missing_ok=True)

    def _record(self, path: Path, identity: str) -> dict[str, Any] | None:
        if not path.is_file():
            return None
        record: dict[str, Any] = read_json(path, error=WalkForwardError)
        is_ours = record.get("format") == FORMAT and record.get("identity") == identity
        return record if is_ours else None


def model_identity(config: HfrunConfig, book: dict[str, Any]) -> str:
    """Hash of all that a deep cell depends on beside its window: the config and the book."""
    return run_identity(config, kind="quality", data=[book])


def baseline_identity(config: HfrunConfig, book: dict[str, Any], name: str) -> str:
    """Hash of all that a baseline depends on: decisions, labels, walk and book, and no model."""
    data, walk = as_dict(config.data), as_dict(config.judge.walk_forward)
    asked = {key: data[key] for key in ("decisions", "label", "window")}
    facts = ["quality-baseline", name, asked, walk, {**book, "path": None}]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def figures_of(predictions: Predictions) -> dict[str, float]:
    """The classification figures of one window's predictions, and how many they are of."""
    labels, probability = labelled(predictions, None)
    return {"n": labels.size, **classification_metrics(labels, probability)}


def making_facts() -> dict[str, Any]:
    """What makes the cells: when, which command, commit and versions, on which machine."""
    return {
        **program_facts(),
        "machine": {
            **machine(),
            "threads": torch.get_num_threads(),
            "accelerator": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        },
    }
