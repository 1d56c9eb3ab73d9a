"""Splits of a ``datasets`` folder or hub id, as labelled rows."""

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from hfrun.data.text_rows import LabelledRows, place_of
from hfrun.data.text_tables import rows_of_columns
from hfrun.errors import DataError

if TYPE_CHECKING:
    import datasets

_HUB_ID = re.compile(r"[\w.-]+(?:/[\w.-]+)?", re.ASCII)
_OF_FILES = (".txt", ".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".parquet", ".gz")
# Names that datasets commonly have for the parts, where the config names none.
USUAL = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev", "development"),
    "test": ("test", "testing"),
}


def load_source(source: str, subset: str | None = None) -> dict[str, "datasets.Dataset"]:
    """The splits of a folder that ``save_to_disk`` wrote, of a folder of data files, or of an id.

    A single dataset without splits is called train.

    Raises:
        DataError: there is none, or it cannot be fetched.
    """
    import datasets

    _check_place(source, subset)
    try:
        found = datasets.load_from_disk(source) if _is_saved(source) else _built(source, subset)
    except (OSError, ValueError, RuntimeError, datasets.exceptions.DatasetsError) as error:
        raise DataError(
            f"{source}: cannot be loaded as a dataset: {_in_one_line(error)}; {_what_to_do(source)}"
        ) from None
    if isinstance(found, datasets.Dataset):
        return {"train": found}
    return {str(name): split for name, split in found.items()}


def _check_place(source: str, subset: str | None) -> None:
    """Refuse what ``datasets`` would look for on a hub in vain, or silently not use."""
    if Path(source).is_file():
        raise DataError(f"{source}: is a file; data.format=dataset needs a folder or a hub id")
    is_folder = Path(source).is_dir()
    if not is_folder and (not _HUB_ID.fullmatch(source) or Path(source).suffix in _OF_FILES):
        raise DataError(
            f"{source}: there is no such file or folder; a path is taken from the folder in which "
            "the command is run"
        )
    if subset is not None and _is_saved(source):
        raise DataError(
            f"{source}: got data.subset={subset}, but save_to_disk wrote this folder with one "
            "subset; leave data.subset out"
        )


def _is_saved(source: str) -> bool:
    return any((Path(source) / name).is_file() for name in ("dataset_dict.json", "state.json"))


def _built(source: str, subset: str | None) -> "datasets.DatasetDict":
    import datasets

    builder = datasets.load_dataset_builder(source, subset)
    # pandas would read the texts None, null, nan and NA as missing.
    if hasattr(builder.config, "keep_default_na"):
        return datasets.load_dataset(source, subset, keep_default_na=False)
    return datasets.load_dataset(source, subset)


def _what_to_do(source: str) -> str:
    if Path(source).is_dir():
        return (
            "needs a folder that save_to_disk wrote, or that holds csv, jsonl or Parquet files; "
            "of several subsets data.subset names one"
        )
    return (
        "needs the id of a dataset on the hub that HF_ENDPOINT names (the public one where it is "
        "not set), a token in HF_TOKEN if it is private, and data.subset if it has several; "
        "without a network give a file or a folder"
    )


def _in_one_line(error: BaseException) -> str:
    cause = error.__cause__ or error  # a generation error says only that there was one
    return f"{type(cause).__name__}: {' '.join(str(cause).split()) or 'no reason given'}"


def rows_of(
    split: "datasets.Dataset", *, text_column: str, label_column: str, where: str
) -> LabelledRows:
    """The two columns of a split; a ClassLabel column keeps its names.

    Raises:
        DataError: a column is not there, or has no texts or labels.
    """
    import datasets

    columns = list(split.column_names)
    place_of(text_column, columns, key="text_column", where=where)
    place_of(label_column, columns, key="label_column", where=where)
    feature = split.features[label_column]
    names = tuple(feature.names) if isinstance(feature, datasets.ClassLabel) else None
    found = split.select_columns([text_column, label_column]).with_format(None)[:]
    return rows_of_columns(found[text_column], found[label_column], names=names, where=where)


def chosen_splits(
    found: Mapping[str, object], named: Mapping[str, str | None], *, where: str
) -> dict[str, str]:
    """Which split of a source is which part; parts that none is for are left out.

    A part takes the split that the config names, else one of the usual names that no other part
    has taken; a source of one split is train.

    Raises:
        DataError: a split that is named is not there, two parts are given one, or there is none
            for train.
    """
    chosen = {part: split for part, split in named.items() if split is not None}
    for part, split in chosen.items():
        if split not in found:
            raise DataError(
                f"{where}: has no split {split!r}, but {', '.join(map(repr, found))}; set "
                f"data.{part} to one of these"
            )
    if len(set(chosen.values())) < len(chosen):
        raise DataError(
            f"{where}: got one split for several parts: {chosen}; leave out data.validation or "
            "data.test, and it is drawn from train"
        )
    for part, names in USUAL.items():
        free = [name for name in names if name in found and name not in chosen.values()]
        if part not in chosen and free:
            chosen[part] = free[0]
    if "train" not in chosen and len(found) == 1 and not chosen:
        chosen["train"] = next(iter(found))
    if "train" not in chosen:
        raise DataError(
            f"{where}: has the splits {', '.join(map(repr, found))}, and none is called train; "
            "set data.train to the one to train on"
        )
    return chosen


def digest_of(rows: LabelledRows) -> str:
    """SHA-256 over the texts and labels of a split, whatever files it came in."""
    digest = hashlib.sha256()
    for pair in zip(rows.texts, rows.raw_labels, strict=True):
        for part in pair:
            data = part.encode("utf-8", "surrogatepass")
            digest.update(len(data).to_bytes(8, "little") + data)
    return digest.hexdigest()
