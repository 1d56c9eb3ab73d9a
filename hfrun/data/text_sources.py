"""Splits of a ``datasets`` folder or hub id, as labelled rows."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from hfrun.data.text_rows import LabelledRows, place_of
from hfrun.data.text_tables import rows_of_columns
from hfrun.errors import DataError

if TYPE_CHECKING:
    import datasets

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

    try:
        found = _saved(Path(source)) or datasets.load_dataset(source, subset)
    except (OSError, ValueError, RuntimeError, datasets.exceptions.DatasetsError) as error:
        raise DataError(
            f"{source}: no file, and no dataset that can be loaded: {_first_line(error)}; give a "
            "file, a folder that save_to_disk wrote or that holds csv, jsonl or Parquet files, or "
            "a hub id; without the public hub set HF_ENDPOINT to a hub that has it"
        ) from None
    if isinstance(found, datasets.Dataset):
        return {"train": found}
    return {str(name): split for name, split in found.items()}


def _saved(folder: Path) -> "datasets.Dataset | datasets.DatasetDict | None":
    import datasets

    if (folder / "dataset_dict.json").is_file() or (folder / "state.json").is_file():
        return datasets.load_from_disk(str(folder))
    return None


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
    plain = split.with_format(None)
    return rows_of_columns(
        list(plain[text_column]), list(plain[label_column]), names=names, where=where
    )


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


def _first_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {(str(error).strip() or 'no reason given').splitlines()[0]}"
