"""What a model needs beside its weights: how a raw book becomes its input, and what it was taught.

Saved as `preprocessing.json` in the model folder, so that a model from the hub can be fed a book.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hfrun.errors import ModelError
from lob_backtest.config import DecisionsConfig, LabelConfig
from lob_backtest.errors import LobBacktestError
from lob_backtest.features import HandScaler
from lob_backtest.files import write_json
from lob_backtest.normalize import Normalizer
from lob_backtest.strict_yaml import as_dict, build

FILE_NAME = "preprocessing.json"


@dataclass(frozen=True, kw_only=True, eq=False)
class Preprocessing:
    """Attributes:
    window: T, rows the model sees.
    levels: L, price levels a side.
    normalizer: fitted on the train part of the model's fold.
    decisions, label: when it decides and what it predicts.
    threshold_ticks: the move, fitted on train, above which a label is up or down.
    train_end_ns: the last instant that training or choosing looked at.
    hand_scaler: of the hand-made features, fitted as the normalizer; None for a model without.
    """

    window: int
    levels: int
    normalizer: Normalizer
    decisions: DecisionsConfig
    label: LabelConfig
    threshold_ticks: float
    train_end_ns: int
    hand_scaler: HandScaler | None = None

    def save(self, folder: Path) -> None:
        """Write it beside the weights."""
        plain = {
            "window": self.window,
            "levels": self.levels,
            "normalizer": self.normalizer.to_dict(),
            "decisions": as_dict(self.decisions),
            "label": as_dict(self.label),
            "threshold_ticks": self.threshold_ticks,
            "train_end_ns": self.train_end_ns,
            "hand_scaler": None if self.hand_scaler is None else self.hand_scaler.to_dict(),
        }
        write_json(folder / FILE_NAME, plain)


def load_preprocessing(folder: Path) -> Preprocessing:
    """Read what ``Preprocessing.save`` wrote.

    Raises:
        ModelError: the folder has no such file, or one that cannot be read.
    """
    path = folder / FILE_NAME
    if not path.is_file():
        raise ModelError(
            f"{path}: no such file; a model folder of a finished run is needed (RUN/model)"
        )
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
        scaler = plain.get("hand_scaler")  # older files have none
        found = Preprocessing(
            window=plain["window"],
            levels=plain["levels"],
            normalizer=Normalizer.from_dict(plain["normalizer"]),
            decisions=_section(DecisionsConfig, plain["decisions"]),
            label=_section(LabelConfig, plain["label"]),
            threshold_ticks=plain["threshold_ticks"],
            train_end_ns=plain["train_end_ns"],
            hand_scaler=None if scaler is None else HandScaler.from_dict(scaler),
        )
        _check(found)
    except (LobBacktestError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"{path}: not a preprocessing file of this version ({error})") from error
    return found


def _check(found: Preprocessing) -> None:
    """What a file that was edited or damaged may hold instead."""
    whole = ("window", "levels", "train_end_ns")
    wrong = [
        f"{name}={getattr(found, name)!r}"
        for name in whole
        if type(getattr(found, name)) is not int
    ]
    if not isinstance(found.threshold_ticks, int | float):
        wrong.append(f"threshold_ticks={found.threshold_ticks!r}")
    if wrong:
        raise ValueError(f"{', '.join(wrong)}: no numbers of their kind")
    if found.levels != found.normalizer.n_levels:
        raise ValueError(
            f"levels={found.levels} and a normalizer of {found.normalizer.n_levels} levels"
        )


def _section(cls: Any, plain: dict[str, Any]) -> Any:
    errors: list[str] = []
    section = build(cls, plain, cls.__name__, errors)
    if errors:
        raise ValueError("; ".join(errors))
    return section
