"""The predictions table: the seam between any model, from any framework, and the judge.

One row is one decision: what the model said at ``decided_ns``, what came true at ``label_end_ns``,
and up to when (``train_end_ns``) anything that was fitted or chosen for it had looked.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from lob_backtest.book import BoolArray, FloatArray, IntArray, blocks
from lob_backtest.errors import FormatError, PredictionsError
from lob_backtest.files import atomic_path

DOWN, FLAT, UP, UNKNOWN = 0, 1, 2, -1
CLASS_NAMES = ("down", "flat", "up")
COLUMNS = (
    "instrument",
    "fold",
    "decided_ns",
    "label_end_ns",
    "train_end_ns",
    "label",
    "p_down",
    "p_flat",
    "p_up",
)
_REPEATING = ("instrument", "fold", "train_end_ns", "label")
_ROWS_A_GROUP = 2**14  # what a writer encodes at once
_SUM_TOLERANCE = 1e-4
_SCHEMA = pa.schema(
    [
        ("instrument", pa.string()),
        *((name, pa.int64()) for name in COLUMNS[1:6]),
        *((name, pa.float64()) for name in COLUMNS[6:]),
    ]
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Predictions:
    """Class probabilities of one model for one instrument; construction checks the contract.

    Attributes:
        instrument: the book's instrument; of a pool, all of them.
        fold: ``(D,)`` int64, never decreasing.
        decided_ns: ``(D,)`` int64, strictly increasing inside a fold; in a pool decisions of
            different instruments may share an instant.
        label_end_ns: ``(D,)`` int64, last instant whose data the label used, >= decided_ns.
        train_end_ns: ``(D,)`` int64, last instant whose data training or choosing used; strictly
            before decided_ns.
        label: ``(D,)`` int64: 0 down, 1 flat, 2 up, -1 unknown.
        probability: ``(D, 3)`` float64 in the order down, flat, up; rows sum to 1 within 1e-4.
        is_pool: whether several instruments are in it, see ``pool``; a table on disk never is.

    Raises:
        PredictionsError: any of the above does not hold.
    """

    instrument: str
    fold: IntArray
    decided_ns: IntArray
    label_end_ns: IntArray
    train_end_ns: IntArray
    label: IntArray
    probability: FloatArray
    is_pool: bool = False

    def __post_init__(self) -> None:
        _check(self)

    @property
    def n(self) -> int:
        return int(self.decided_ns.shape[0])

    @property
    def folds(self) -> list[int]:
        """Fold numbers in order."""
        return [int(fold) for fold in np.unique(self.fold)]

    @property
    def is_labelled(self) -> BoolArray:
        """``(D,)`` whether the label is known."""
        return np.not_equal(self.label, UNKNOWN)

    def select(self, mask: BoolArray) -> "Predictions":
        """The decisions for which ``mask`` is true."""
        return Predictions(
            instrument=self.instrument,
            fold=self.fold[mask],
            decided_ns=self.decided_ns[mask],
            label_end_ns=self.label_end_ns[mask],
            train_end_ns=self.train_end_ns[mask],
            label=self.label[mask],
            probability=self.probability[mask],
            is_pool=self.is_pool,
        )


def concatenate(parts: list[Predictions]) -> Predictions:
    """Join the folds of one instrument, in the order given."""
    instruments = {part.instrument for part in parts}
    if len(instruments) != 1:
        raise PredictionsError(
            f"got predictions of {len(parts)} parts for the instruments {sorted(instruments)}; "
            "needs exactly one instrument"
        )
    return Predictions(
        instrument=parts[0].instrument,
        fold=np.concatenate([part.fold for part in parts]),
        decided_ns=np.concatenate([part.decided_ns for part in parts]),
        label_end_ns=np.concatenate([part.label_end_ns for part in parts]),
        train_end_ns=np.concatenate([part.train_end_ns for part in parts]),
        label=np.concatenate([part.label for part in parts]),
        probability=np.concatenate([part.probability for part in parts]),
    )


def pool(tables: Sequence[Predictions]) -> Predictions:
    """The decisions of several instruments in one table, by fold and time: how they are measured
    together. Of one instrument, its own table.

    Raises:
        PredictionsError: an instrument twice.
    """
    names = [table.instrument for table in tables]
    if len(set(names)) != len(names):
        raise PredictionsError(f"got the instruments {names}; needs each of them once")
    if len(tables) == 1:
        return tables[0]
    fold = np.concatenate([table.fold for table in tables])
    decided_ns = np.concatenate([table.decided_ns for table in tables])
    order = np.lexsort((decided_ns, fold))
    return Predictions(
        instrument=" + ".join(names),
        fold=fold[order],
        decided_ns=decided_ns[order],
        label_end_ns=np.concatenate([table.label_end_ns for table in tables])[order],
        train_end_ns=np.concatenate([table.train_end_ns for table in tables])[order],
        label=np.concatenate([table.label for table in tables])[order],
        probability=np.concatenate([table.probability for table in tables])[order],
        is_pool=True,
    )


def write_predictions(predictions: Predictions, path: Path | str) -> None:
    """Write the predictions table as Parquet, whole or not at all."""
    write_instruments([predictions], path)


def write_instruments(tables: Sequence[Predictions], path: Path | str) -> None:
    """Write the tables of several instruments into one file, whole or not at all."""
    with (
        atomic_path(path) as partial,
        pq.ParquetWriter(
            partial, _SCHEMA, compression="zstd", write_page_checksum=True,
            use_dictionary=list(_REPEATING),
        ) as writer,
    ):  # fmt: skip
        for each in tables:
            for rows in blocks(each.n, _ROWS_A_GROUP):
                writer.write_table(_arrow_table(each, rows))
    pa.default_memory_pool().release_unused()  # what encoding took


def _arrow_table(table: Predictions, rows: slice) -> pa.Table:
    columns = {
        "instrument": pa.repeat(pa.scalar(table.instrument), len(table.label[rows])),
        "fold": table.fold[rows],
        "decided_ns": table.decided_ns[rows],
        "label_end_ns": table.label_end_ns[rows],
        "train_end_ns": table.train_end_ns[rows],
        "label": table.label[rows],
        "p_down": table.probability[rows, DOWN],
        "p_flat": table.probability[rows, FLAT],
        "p_up": table.probability[rows, UP],
    }
    return pa.table(columns, schema=_SCHEMA)


def read_predictions(path: Path | str) -> Predictions:
    """Read a predictions table of one instrument.

    Raises:
        FormatError: no such file, no Parquet, or columns missing.
        PredictionsError: the table breaks its contract.
    """
    return predictions_from(_read_frame(path), source=str(path))


def read_instruments(path: Path | str) -> list[Predictions]:
    """Read a predictions table that may hold several instruments: one each, in order of name.

    Raises:
        FormatError, PredictionsError: as for ``read_predictions``.
    """
    frame = _read_frame(path)
    _check_columns(frame, str(path))
    names = frame["instrument"]
    is_name = names.map(lambda name: isinstance(name, str)).to_numpy(dtype=np.bool_)
    if not is_name.all():
        row = int(np.argmin(is_name))
        raise PredictionsError(
            f"{path}: {int((~is_name).sum())} of {len(frame)} rows have no instrument, first row "
            f"{row} ({names.iloc[row]!r}); needs its name in each"
        )
    if frame.empty:
        return [predictions_from(frame, source=str(path))]  # which says so
    parts = frame.groupby(names.astype(object), sort=True)
    return [predictions_from(part, source=f"{path}, {name}") for name, part in parts]


def _read_frame(path: Path | str) -> pd.DataFrame:
    path = Path(path)
    if not path.is_file():
        raise FormatError(f"{path}: no such file; a predictions table (Parquet) is needed")
    if path.stat().st_size == 0:
        raise FormatError(f"{path}: the file is empty; write the predictions table again")
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            n_rows = file.metadata.num_rows
            frame = file.read(use_threads=False).to_pandas(ignore_metadata=True)
    except (pa.ArrowException, OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise FormatError(
            f"{path}: not a Parquet file, or a damaged one ({reason}); write the table again"
        ) from error
    if len(frame) != n_rows:
        raise FormatError(
            f"{path}: {len(frame)} rows where the file says that it has {n_rows}; it is damaged: "
            "write the table again"
        )
    # The index of a data frame is written beside its columns; it is none of the table's.
    index = [name for name in frame.columns if name.startswith("__index_level_")]
    columns: pd.DataFrame = frame.drop(columns=index)
    return columns


def predictions_from(frame: pd.DataFrame, *, source: str = "predictions") -> Predictions:
    """Check a data frame with the contract's columns (extra ones are refused) and take it over."""
    _check_columns(frame, source)
    if frame.empty:
        raise PredictionsError(f"{source}: the table is empty; needs at least one decision")
    instruments = frame["instrument"].unique().tolist()
    if len(instruments) != 1 or not isinstance(instruments[0], str):
        raise PredictionsError(f"{source}: got the instruments {instruments}; needs one a table")
    return Predictions(
        instrument=instruments[0],
        fold=_integers(frame, "fold", source),
        decided_ns=_integers(frame, "decided_ns", source),
        label_end_ns=_integers(frame, "label_end_ns", source),
        train_end_ns=_integers(frame, "train_end_ns", source),
        label=_integers(frame, "label", source),
        probability=np.column_stack(
            [_floats(frame, name, source) for name in ("p_down", "p_flat", "p_up")]
        ),
    )


def _check_columns(frame: pd.DataFrame, source: str) -> None:
    if sorted(frame.columns) != sorted(COLUMNS):
        missing = sorted(set(COLUMNS) - set(frame.columns))
        extra = sorted(set(frame.columns) - set(COLUMNS))
        twice = sorted(frame.columns[frame.columns.duplicated()].unique())
        raise FormatError(
            f"{source}: missing columns {missing}, unknown columns {extra}, columns given twice "
            f"{twice}; needs {', '.join(COLUMNS)}, each once"
        )


def _integers(frame: pd.DataFrame, name: str, source: str) -> IntArray:
    values = frame[name].to_numpy()
    if values.dtype.kind not in "iu":
        raise FormatError(f"{source}: column {name} is {values.dtype}; needs int64, none missing")
    if values.size and values.max() > np.iinfo(np.int64).max:  # unsigned; it would turn negative
        raise FormatError(f"{source}: column {name} has {values.max()}; needs int64")
    return values.astype(np.int64)


def _floats(frame: pd.DataFrame, name: str, source: str) -> FloatArray:
    values = frame[name].to_numpy()
    if values.dtype.kind != "f":
        raise FormatError(f"{source}: column {name} is {values.dtype}; needs floating point")
    return values.astype(np.float64)


def _check(table: Predictions) -> None:
    n = table.decided_ns.shape[0]
    if n == 0:
        raise PredictionsError("the table is empty; needs at least one decision")
    if table.probability.shape != (n, 3):
        raise PredictionsError(f"probability has shape {table.probability.shape}; needs {(n, 3)}")
    for name in ("fold", "label_end_ns", "train_end_ns", "label"):
        if getattr(table, name).shape != (n,):
            raise PredictionsError(f"{name} has shape {getattr(table, name).shape}; needs {(n,)}")
    n_bad: dict[str, int] = {}
    first: dict[str, int] = {}
    for rows in blocks(n):  # so that the checks take no memory to speak of
        for bad, what in (*_row_rules(table, rows), *_order_rules(table, rows)):
            n_bad[what] = n_bad.get(what, 0) + int(bad.sum())
            if bad.any():
                first.setdefault(what, rows.start + int(np.argmax(bad)))
    for what, count in n_bad.items():
        if count:
            row = first[what]
            raise PredictionsError(
                f"{table.instrument}: {what} in {count} of {n} rows, first in row {row} "
                f"(fold {table.fold[row]}, decided_ns={table.decided_ns[row]})"
            )


def _row_rules(table: Predictions, rows: slice) -> list[tuple[BoolArray, str]]:
    """The rows that break a rule, and what it is."""
    probability, decided_ns = table.probability[rows], table.decided_ns[rows]
    return [
        (np.any(~np.isfinite(probability), axis=1), "a probability that is NaN or infinite"),
        (np.any(probability < 0, axis=1), "a negative probability"),
        (np.any(probability > 1 + _SUM_TOLERANCE, axis=1), "a probability above 1"),
        (np.abs(np.clip(probability, 0, 2).sum(axis=1) - 1) > _SUM_TOLERANCE,
         "probabilities that do not sum to 1 within 1e-4"),
        (~np.isin(table.label[rows], (UNKNOWN, DOWN, FLAT, UP)), "a label other than -1, 0, 1, 2"),
        (table.train_end_ns[rows] >= decided_ns,
         "train_end_ns >= decided_ns (the model had seen the future)"),
        (table.label_end_ns[rows] < decided_ns, "label_end_ns < decided_ns"),
    ]  # fmt: skip


def _order_rules(table: Predictions, rows: slice) -> list[tuple[BoolArray, str]]:
    """Comparisons, not differences: those of far numbers would wrap around."""
    with_before = slice(max(rows.start - 1, 0), rows.stop)
    fold, decided_ns = table.fold[with_before], table.decided_ns[with_before]
    is_back = decided_ns[1:] < decided_ns[:-1]
    if not table.is_pool:
        is_back |= decided_ns[1:] == decided_ns[:-1]
    of_none = np.zeros(rows.stop - rows.start - is_back.size, dtype=np.bool_)  # the very first row
    return [
        (np.append(of_none, fold[1:] < fold[:-1]), "a fold number that goes back"),
        (np.append(of_none, (fold[1:] == fold[:-1]) & is_back),
         "unsorted or duplicated decisions in a fold"),
    ]  # fmt: skip
