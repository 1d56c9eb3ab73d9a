"""The labelled texts of a run: train, validation and test."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hfrun.data.text_files import read_text_file
from hfrun.data.text_labels import UNKNOWN, IntArray, label_ids, label_names
from hfrun.data.text_rows import LabelledRows
from hfrun.data.text_sources import chosen_splits, digest_of, load_source, rows_of
from hfrun.data.text_split import random_split
from hfrun.errors import DataError
from hfrun.text_config import TextDataConfig
from lob_backtest.errors import ConfigError

if TYPE_CHECKING:
    import datasets

PARTS = ("train", "validation", "test")


@dataclass(frozen=True, kw_only=True, eq=False)
class TextPart:
    """The texts of one part, in the order of their file.

    Attributes:
        texts: as read, N of them.
        labels: ``(N,)`` int64 index into the label names; -1 where the label is unknown.
        raw_labels: as written in the file; "" where none is.

    Raises:
        DataError: their numbers differ.
    """

    texts: tuple[str, ...]
    labels: IntArray
    raw_labels: tuple[str, ...]

    def __post_init__(self) -> None:
        if not len(self.texts) == len(self.labels) == len(self.raw_labels):
            raise DataError(
                f"got {len(self.texts)} texts, {len(self.labels)} labels and "
                f"{len(self.raw_labels)} raw labels; needs as many of each"
            )

    def __len__(self) -> int:
        return len(self.texts)


@dataclass(frozen=True, kw_only=True, eq=False)
class TextSplits:
    """The three parts of a run's texts.

    Attributes:
        label_names: the classes, in the order of the logits.
        fingerprints: one entry a file or split that was read: ``path, sha256, rows, part``.

    Raises:
        DataError: a label is not in range of the names.
    """

    train: TextPart
    validation: TextPart
    test: TextPart
    label_names: tuple[str, ...]
    fingerprints: tuple[dict[str, Any], ...] = ()

    def __post_init__(self) -> None:
        for name, part in self.parts().items():
            if len(part) and not UNKNOWN <= part.labels.min() <= part.labels.max() < self.n_labels:
                raise DataError(
                    f"{name}: got labels {part.labels.min()} to {part.labels.max()}; needs -1 to "
                    f"{self.n_labels - 1}"
                )

    @property
    def n_labels(self) -> int:
        """How many classes there are."""
        return len(self.label_names)

    def parts(self) -> dict[str, TextPart]:
        """Train, validation and test by name, in this order."""
        return {"train": self.train, "validation": self.validation, "test": self.test}


def read_splits(data: TextDataConfig) -> TextSplits:
    """Read what a run's config names, and number the labels.

    Raises:
        ConfigError: an environment variable in a path is not set, or keys that exclude each other.
        DataError: a file or dataset is not there, or is not what it is said to be.
    """
    found, fingerprints = _from_files(data) if data.source is None else _from_source(data)
    names = label_names(found["train"], data.labels)
    parts = {
        part: TextPart(texts=rows.texts, labels=label_ids(rows, names), raw_labels=rows.raw_labels)
        for part, rows in found.items()
    }
    return TextSplits(**parts, label_names=names, fingerprints=tuple(fingerprints))


_Found = tuple[dict[str, LabelledRows], list[dict[str, Any]]]


def _from_files(data: TextDataConfig) -> _Found:
    found, fingerprints = {}, []
    for part, path in _named(data).items():
        place = _filled(path or "", f"data.{part}")
        if data.format == "dataset" or Path(place).is_dir():
            splits = load_source(place, data.subset)
            if len(splits) > 1:
                raise DataError(
                    f"{path}: got the splits {', '.join(splits)} for data.{part}; give the folder "
                    f"as data.source, and the name of a split as data.{part}"
                )
            rows = _rows_of(next(iter(splits.values())), data, f"{path}")
            digest = digest_of(rows)
        else:
            rows, digest = _read_file(place, data)
        found[part] = rows
        fingerprints.append(_fingerprint(path, digest, rows, part))
    return found, fingerprints


def _from_source(data: TextDataConfig) -> _Found:
    source = str(data.source)
    place = _filled(source, "data.source")
    if data.format != "dataset" and Path(place).is_file():
        named = [part for part, name in _named(data).items() if name is not None]
        if named:
            raise ConfigError(
                f"data.{named[0]}: data.source is one file, {source}, which data.split splits; "
                "give a file for each part, or the source alone"
            )
        rows, digest = _read_file(place, data)
        splits, chosen = {"all": rows}, {"train": "all"}
        fingerprints = [_fingerprint(source, digest, rows, ", ".join(PARTS))]
    else:
        loaded = load_source(place, data.subset)
        chosen = chosen_splits(loaded, _named(data), where=source)
        splits = {
            name: _rows_of(loaded[name], data, f"{source}, split {name}")
            for name in chosen.values()
        }
        fingerprints = [
            {**_fingerprint(source, digest_of(splits[name]), splits[name], part), "split": name}
            for part, name in chosen.items()
        ]
    return _completed({part: splits[name] for part, name in chosen.items()}, data), fingerprints


def _completed(found: dict[str, LabelledRows], data: TextDataConfig) -> dict[str, LabelledRows]:
    """Draw the parts for which the source has no split from train, in proportion to the shares."""
    missing = [part for part in PARTS if part not in found]
    if not missing:
        return {part: found[part] for part in PARTS}
    shares = {part: float(getattr(data.split, part)) for part in ("train", *missing)}
    if len(missing) == 1:  # the whole split is used: the third share is no part of it
        shares = {part: share / sum(shares.values()) for part, share in shares.items()}
    source = found["train"]
    drawn = random_split(source.texts, source.raw_labels, shares=shares, seed=data.split.seed)
    found = {**found, **{part: source.take(rows) for part, rows in drawn.items()}}
    return {part: found[part] for part in PARTS}


def _named(data: TextDataConfig) -> dict[str, str | None]:
    return {"train": data.train, "validation": data.validation, "test": data.test}


def _read_file(place: str, data: TextDataConfig) -> tuple[LabelledRows, str]:
    return read_text_file(
        Path(place),
        kind=data.format,
        text_column=data.text_column,
        label_column=data.label_column,
    )


def _rows_of(split: "datasets.Dataset", data: TextDataConfig, where: str) -> LabelledRows:
    return rows_of(split, text_column=data.text_column, label_column=data.label_column, where=where)


def _fingerprint(path: str | None, digest: str, rows: LabelledRows, part: str) -> dict[str, Any]:
    return {"path": path, "sha256": digest, "rows": len(rows), "part": part}


def _filled(path: str, key: str) -> str:
    """The path with ``~`` and environment variables filled in; an unset one is an error."""
    filled = os.path.expandvars(path)
    if "$" in filled:
        raise ConfigError(f"{key}: {path}: the environment variable in it is not set")
    return str(Path(filled).expanduser()) if filled.startswith("~") else filled
