"""What a model needs beside its weights: how a raw book becomes its input, and what it was taught.

Saved once, as `preprocessor_config.json` in the model folder: where transformers looks for a
feature extractor, so that a model from a hub can be fed a book. Model folders of before hold the
same keys, less ``market``, in `preprocessing.json`, which is still read.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hfrun.errors import ModelError
from lob_backtest.book import BookMeta, book_columns
from lob_backtest.config import DecisionsConfig, LabelConfig
from lob_backtest.errors import LobBacktestError
from lob_backtest.features import HandScaler
from lob_backtest.files import write_json
from lob_backtest.normalize import Normalizer
from lob_backtest.strict_yaml import as_dict, build

FILE_NAME = "preprocessor_config.json"
OLDER_NAME = "preprocessing.json"

# By this name AutoFeatureExtractor finds the class that reads the file.
EXTRACTOR = "LobFeatureExtractor"


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
    market: instrument, tick size and hours of the training book; None in older files.
    """

    window: int
    levels: int
    normalizer: Normalizer
    decisions: DecisionsConfig
    label: LabelConfig
    threshold_ticks: float
    train_end_ns: int
    hand_scaler: HandScaler | None = None
    market: BookMeta | None = None

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values; :meth:`from_dict` gives back an equal one."""
        return {
            "feature_extractor_type": EXTRACTOR,
            "columns": book_columns(self.levels),
            "window": self.window,
            "levels": self.levels,
            "normalizer": self.normalizer.to_dict(),
            "decisions": as_dict(self.decisions),
            "label": as_dict(self.label),
            "threshold_ticks": self.threshold_ticks,
            "train_end_ns": self.train_end_ns,
            "hand_scaler": None if self.hand_scaler is None else self.hand_scaler.to_dict(),
            "market": None if self.market is None else _without_source(self.market),
        }

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> "Preprocessing":
        """What :meth:`to_dict` wrote, now or in an older version.

        Raises:
            ModelError: a key is missing or holds what it cannot, or the columns stand in an order
                that the model input does not have.
        """
        try:
            scaler, market = plain.get("hand_scaler"), plain.get("market")
            found = cls(
                window=plain["window"],
                levels=plain["levels"],
                normalizer=Normalizer.from_dict(plain["normalizer"]),
                decisions=_section(DecisionsConfig, plain["decisions"]),
                label=_section(LabelConfig, plain["label"]),
                threshold_ticks=plain["threshold_ticks"],
                train_end_ns=plain["train_end_ns"],
                hand_scaler=None if scaler is None else HandScaler.from_dict(scaler),
                market=None if market is None else BookMeta(**market, source="training"),
            )
            _check(found, plain.get("columns"))
        except (LobBacktestError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ModelError(f"not a preprocessing file of this version ({error})") from error
        return found

    def save(self, folder: Path) -> None:
        """Write it beside the weights, in the place of what an older version left there."""
        write_json(folder / FILE_NAME, self.to_dict())
        (folder / OLDER_NAME).unlink(missing_ok=True)


def preprocessing_path(folder: Path) -> Path | None:
    """The file of a model folder that says how its model reads a book, if there is one."""
    paths = (folder / FILE_NAME, folder / OLDER_NAME)
    return next((path for path in paths if path.is_file()), None)


def load_preprocessing(folder: Path) -> Preprocessing:
    """Read what ``Preprocessing.save`` wrote.

    Raises:
        ModelError: the folder has no such file, or one that cannot be read.
    """
    path = preprocessing_path(folder)
    if path is None:
        raise ModelError(
            f"{folder / FILE_NAME}: no such file; a model folder of a finished run is needed "
            "(RUN/model)"
        )
    try:
        return Preprocessing.from_dict(json.loads(path.read_text(encoding="utf-8")))
    except ValueError as error:
        raise ModelError(f"{path}: not valid JSON ({error})") from error
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error


def _without_source(market: BookMeta) -> dict[str, Any]:
    """The source of a book is provenance, which run.json keeps; it may name somebody's folder."""
    return {name: value for name, value in asdict(market).items() if name != "source"}


def _check(found: Preprocessing, columns: object) -> None:
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
    if columns is not None and columns != book_columns(found.levels):
        raise ValueError(f"columns are not those of a book of {found.levels} levels, in order")


def _section(cls: Any, plain: dict[str, Any]) -> Any:
    errors: list[str] = []
    section = build(cls, plain, cls.__name__, errors)
    if errors:
        raise ValueError("; ".join(errors))
    return section
