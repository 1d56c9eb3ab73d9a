"""The labelled texts of a run: train, validation and test."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hfrun.data.text_files import read_text_file
from hfrun.data.text_labels import UNKNOWN, IntArray, label_ids, label_names
from hfrun.data.text_rows import LabelledRows
from hfrun.data.text_sources import chosen_splits, digest_of, load_source, rows_of
from hfrun.data.text_split import random_split
from hfrun.errors import DataError
from hfrun.text_config import TextDataConfig, TextSplitConfig
from lob_backtest.errors import ConfigError
from lob_backtest.progress import announce

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

    def take(self, numbers: IntArray) -> "TextPart":
        """The texts of these numbers, ``(n,)`` from 0, in their order."""
        return TextPart(
            texts=tuple(self.texts[number] for number in numbers),
            labels=self.labels[numbers],
            raw_labels=tuple(self.raw_labels[number] for number in numbers),
        )


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


def with_known_labels(splits: TextSplits) -> TextSplits:
    """The same without texts whose label is unknown: nothing can be learnt or judged by them.

    Raises:
        DataError: a part in which no label is known.
    """
    parts = {}
    for name, part in splits.parts().items():
        known = np.flatnonzero(part.labels != UNKNOWN)
        if not known.size:
            raise DataError(
                f"{name}: none of its {len(part)} texts has a known label; name the classes in "
                "data.labels, or give labelled texts"
            )
        parts[name] = part.take(known)
    return replace(splits, **parts)


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
    splits = TextSplits(**parts, label_names=names, fingerprints=tuple(fingerprints))
    _check_train(splits.train, names)
    return splits


def read_part(file: Path, data: TextDataConfig, *, label_names: tuple[str, ...]) -> TextPart:
    """Another file of texts, read as a run's own are; labels that the run does not know are -1."""
    rows, _ = _read_file(str(file), replace(data, subset=None))
    labels = label_ids(rows, label_names)
    return TextPart(texts=rows.texts, labels=labels, raw_labels=rows.raw_labels)


def _check_train(train: TextPart, names: tuple[str, ...]) -> None:
    if len(train) and (train.labels == UNKNOWN).all():
        some = ", ".join(map(repr, sorted(set(train.raw_labels))[:5]))
        raise DataError(
            f"train: none of its {len(train)} labels is one of the classes {', '.join(names)}: "
            f"got {some}; give data.labels the names that the file has, in the order of the "
            "logits, or set data.label_column"
        )


_Found = tuple[dict[str, LabelledRows], list[dict[str, Any]]]


def _from_files(data: TextDataConfig) -> _Found:
    """A file or a dataset of one split for each part."""
    found, fingerprints = {}, []
    for part, path in _named(data).items():
        path = str(path)  # the config has seen that there is one
        place = _filled(path, f"data.{part}")
        if data.format == "dataset" or (data.format == "auto" and Path(place).is_dir()):
            rows = _only_split(place, path, part, data)
            digest = digest_of(rows)
        else:
            rows, digest = _read_file(place, data)
        found[part] = rows
        fingerprints.append(_fingerprint(path, digest, rows, part))
    return found, fingerprints


def _only_split(place: str, path: str, part: str, data: TextDataConfig) -> LabelledRows:
    splits = load_source(place, data.subset)
    if len(splits) > 1:
        raise DataError(
            f"{path}: got the splits {', '.join(splits)} for data.{part}; give the folder as "
            f"data.source, and the name of one split as data.{part}"
        )
    return _rows_of(next(iter(splits.values())), data, path)


def _from_source(data: TextDataConfig) -> _Found:
    """One file, or the splits of a dataset; parts that have none are drawn from train."""
    source = str(data.source)
    place = _filled(source, "data.source")
    is_dataset = data.format == "dataset" or (data.format == "auto" and not Path(place).is_file())
    rows_of_split, chosen = (
        _splits_of(place, source, data) if is_dataset else _one_file(place, source, data)
    )
    missing = [part for part in PARTS if part not in chosen]
    fingerprints = []
    for part, split in chosen.items():
        rows, digest = rows_of_split[split]
        parts = ", ".join(["train", *missing] if part == "train" else [part])
        of_split = {"split": split} if is_dataset else {}
        fingerprints.append({**_fingerprint(source, digest, rows, parts), **of_split})
    found = {part: rows_of_split[split][0] for part, split in chosen.items()}
    if missing:
        found |= _drawn(found["train"], missing, data.split)
        if is_dataset:
            announce(f"{source}: no split for {' and '.join(missing)}: drawn from train")
    return {part: found[part] for part in PARTS}, fingerprints


_Splits = tuple[dict[str, tuple[LabelledRows, str]], dict[str, str]]


def _one_file(place: str, source: str, data: TextDataConfig) -> _Splits:
    for part, name in _named(data).items():
        if name is not None:
            raise ConfigError(
                f"data.{part}: data.source is one file, {source}, which data.split splits; leave "
                f"data.{part} out, or give a file for each part and no source"
            )
    return {"all": _read_file(place, data)}, {"train": "all"}


def _splits_of(place: str, source: str, data: TextDataConfig) -> _Splits:
    loaded = load_source(place, data.subset)
    chosen = chosen_splits(loaded, _named(data), where=source)
    found = {
        name: _rows_of(loaded[name], data, f"{source}, split {name}") for name in chosen.values()
    }
    return {name: (rows, digest_of(rows)) for name, rows in found.items()}, chosen


def _drawn(
    rows: LabelledRows, missing: Sequence[str], split: TextSplitConfig
) -> dict[str, LabelledRows]:
    """Train and the parts that are missing, from what the source has for train.

    Where it has a part of its own, the rest is used whole, in proportion to the shares.
    """
    shares = {part: float(getattr(split, part)) for part in ("train", *missing)}
    if len(shares) < len(PARTS):
        shares = {part: share / sum(shares.values()) for part, share in shares.items()}
    drawn = random_split(rows.texts, rows.raw_labels, shares=shares, seed=split.seed)
    return {part: rows.take(numbers) for part, numbers in drawn.items()}


def _named(data: TextDataConfig) -> dict[str, str | None]:
    return {"train": data.train, "validation": data.validation, "test": data.test}


def _read_file(place: str, data: TextDataConfig) -> tuple[LabelledRows, str]:
    if data.subset is not None:
        raise ConfigError(
            f"data.subset: {data.subset} is for a dataset with subsets, and {place} is one file; "
            "leave it out"
        )
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
