"""The predictions table of a classifier of texts: what any model says of each text, and the truth.

    text   label   p_negative   p_positive
    ...      1        0.2          0.8

One row is one text; a column ``p_NAME`` for each class, in the order of the logits. Calibration,
judge and baselines read nothing else, so a model from any framework can be judged.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lob_backtest.book import BoolArray, FloatArray, IntArray
from lob_backtest.errors import FormatError, PredictionsError
from lob_backtest.files import atomic_path
from lob_backtest.metrics.checks import SUM_TOLERANCE

UNKNOWN = -1
_CLASS = "p_"


@dataclass(frozen=True, kw_only=True, eq=False)
class TextPredictions:
    """Class probabilities of one model for N texts; construction checks the contract.

    Attributes:
        texts: the N texts as they were read.
        labels: ``(N,)`` int64 index into ``label_names``, -1 unknown.
        probabilities: ``(N, C)`` float64; rows sum to 1 within 1e-4.
        label_names: the C >= 2 classes in the order of the columns, each once.

    Raises:
        PredictionsError: any of the above does not hold.
    """

    texts: tuple[str, ...]
    labels: IntArray
    probabilities: FloatArray
    label_names: tuple[str, ...]

    def __post_init__(self) -> None:
        _check_shapes(self)
        _check_rows(self)

    @property
    def n(self) -> int:
        return len(self.texts)

    @property
    def is_labelled(self) -> BoolArray:
        """``(N,)`` whether the label is known."""
        return np.not_equal(self.labels, UNKNOWN)

    def select(self, mask: BoolArray) -> "TextPredictions":
        """The texts for which ``mask`` is true."""
        return TextPredictions(
            texts=tuple(self.texts[i] for i in np.flatnonzero(mask)),
            labels=self.labels[mask],
            probabilities=self.probabilities[mask],
            label_names=self.label_names,
        )


def write_text_predictions(table: TextPredictions, path: Path | str) -> None:
    """Write the table as Parquet, whole or not at all."""
    columns = {"text": pa.array(table.texts, pa.string()), "label": pa.array(table.labels)}
    for i, name in enumerate(table.label_names):
        columns[_CLASS + name] = pa.array(np.ascontiguousarray(table.probabilities[:, i]))
    with atomic_path(path) as partial:
        pq.write_table(pa.table(columns), partial, compression="zstd", write_page_checksum=True)


def read_text_predictions(path: Path | str) -> TextPredictions:
    """Read a table that ``write_text_predictions`` or any other tool wrote.

    Raises:
        FormatError: no such file, no Parquet, a damaged one, or other columns than those above.
        PredictionsError: the table breaks its contract.
    """
    table = _read_table(path)
    names = table.column_names
    classes = [name for name in names if name.startswith(_CLASS)]
    if sorted(names) != sorted(["text", "label", *dict.fromkeys(classes)]):
        raise FormatError(
            f"{path}: got the columns {', '.join(names) or 'none'}; needs text, label and one "
            "p_NAME for each class, each once"
        )
    return TextPredictions(
        texts=tuple(_texts(table, path)),
        labels=_numbers(table, "label", "iu", path).astype(np.int64),
        probabilities=np.column_stack(
            [_numbers(table, name, "f", path).astype(np.float64) for name in classes]
            or [np.empty((table.num_rows, 0))]
        ),
        label_names=tuple(name.removeprefix(_CLASS) for name in classes),
    )


def _read_table(path: Path | str) -> pa.Table:
    path = Path(path)
    if not path.is_file():
        raise FormatError(f"{path}: no such file; a predictions table of texts (Parquet) is needed")
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            return file.read(use_threads=False)
    except (pa.ArrowException, OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise FormatError(
            f"{path}: not a Parquet file, or a damaged one ({reason}); write the table again"
        ) from error


def _texts(table: pa.Table, path: Path | str) -> list[str]:
    column = table.column("text")
    if column.type not in (pa.string(), pa.large_string()) or column.null_count:
        raise FormatError(
            f"{path}: column text is {column.type} with {column.null_count} missing; needs "
            "strings, none missing"
        )
    texts: list[str] = column.to_pylist()
    return texts


def _numbers(table: pa.Table, name: str, kinds: str, path: Path | str) -> FloatArray | IntArray:
    column = table.column(name)
    values: FloatArray | IntArray = column.to_numpy()
    if column.null_count or values.dtype.kind not in kinds:
        needed = "floating point" if kinds == "f" else "int64"
        raise FormatError(
            f"{path}: column {name} is {column.type} with {column.null_count} missing; needs "
            f"{needed}, none missing"
        )
    return values


def _check_shapes(table: TextPredictions) -> None:
    n, n_classes = len(table.texts), len(table.label_names)
    if n == 0:
        raise PredictionsError("the table is empty; needs at least one text")
    if n_classes < 2 or len(set(table.label_names)) != n_classes:
        raise PredictionsError(
            f"got the classes {list(table.label_names)}; needs at least two, each once"
        )
    if table.labels.shape != (n,) or table.labels.dtype.kind != "i":
        raise PredictionsError(
            f"labels are {table.labels.dtype} of shape {table.labels.shape}; needs int64 of {(n,)}"
        )
    if table.probabilities.shape != (n, n_classes):
        raise PredictionsError(
            f"probabilities have shape {table.probabilities.shape}; needs {(n, n_classes)}"
        )


def _check_rows(table: TextPredictions) -> None:
    labels, probabilities, n_classes = table.labels, table.probabilities, len(table.label_names)
    rules = [
        (~np.isfinite(probabilities).all(axis=1), "a probability that is NaN or infinite"),
        ((probabilities < 0).any(axis=1), "a negative probability"),
        (np.abs(np.clip(probabilities, 0, 2).sum(axis=1) - 1) > SUM_TOLERANCE,
         "probabilities that do not sum to 1 within 1e-4"),
        ((labels < UNKNOWN) | (labels >= n_classes),
         f"a label other than -1 (unknown) and 0 to {n_classes - 1}"),
    ]  # fmt: skip
    for bad, what in rules:
        if bad.any():
            row = int(np.argmax(bad))
            raise PredictionsError(
                f"{what} in {int(bad.sum())} of {table.n} rows, first in row {row} "
                f"(label {labels[row]}, probabilities {probabilities[row].tolist()}, "
                f"text {table.texts[row][:60]!r})"
            )
