"""From labels as written to the numbers of classes."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from hfrun.data.text_rows import LabelledRows, whole_number
from hfrun.errors import DataError

IntArray = npt.NDArray[np.int64]
UNKNOWN = -1
_FEW = 20  # texts from which on nearly as many labels as texts are no classes


def label_names(train: LabelledRows, labels: Sequence[str] | None) -> tuple[str, ...]:
    """The classes, in the order of the logits.

    They are the ``labels`` that are given, else those of the column, else those that train has:
    whole numbers in their order, else names in that of Unicode. Other parts are not looked at: a
    class that only they have cannot be learnt.

    Raises:
        DataError: train has no label, or so many that they are no classes.
    """
    if labels is not None:
        return tuple(labels)
    if train.names is not None:
        return train.names
    found = {_key(raw) for raw in train.raw_labels if raw}
    if not found:
        raise DataError(
            f"got {len(train)} texts in train and none with a label; needs at least one of each "
            "class"
        )
    if len(train) >= _FEW and len(found) > len(train) / 2:
        some = ", ".join(map(repr, sorted(found)[:3]))
        raise DataError(
            f"got {len(found)} different labels among the {len(train)} texts of train ({some} "
            "...); needs classes that recur; set data.format and data.label_column to what the "
            "file has"
        )
    numbers = {name: whole_number(name) for name in found}
    if None in numbers.values():
        return tuple(sorted(found))
    return tuple(sorted(found, key=lambda name: numbers[name] or 0))


def label_ids(rows: LabelledRows, names: tuple[str, ...]) -> IntArray:
    """``(N,)`` number of each row's class, -1 where it is none of them.

    A label that is no name but a whole number counts into the names, and so do true and false
    into two of them; not where the names are numbers themselves (``1`` to ``5``).

    Args:
        rows: of any part; a column that numbers its classes may have other names for them, if
            they are as many.
        names: of the classes.

    Raises:
        DataError: a column numbers its classes, and they are others.
    """
    known = {_key(name): number for number, name in enumerate(names)}
    if rows.names is not None and not set(rows.names) & set(names):
        if len(rows.names) != len(names):
            raise DataError(
                f"got data.labels {list(names)}, but the column has the classes "
                f"{list(rows.names)}; needs as many, or the same names in another order"
            )
        known = {_key(name): number for number, name in enumerate(rows.names)}
    elif all(whole_number(name) is None for name in names):
        counted = {str(number): number for number in range(len(names))}
        truths = {"false": 0, "true": 1, "False": 0, "True": 1} if len(names) == 2 else {}
        known = {**truths, **counted, **known}
    of_label = {raw: known.get(_key(raw), UNKNOWN) for raw in set(rows.raw_labels)}
    return np.array([of_label[raw] for raw in rows.raw_labels], dtype=np.int64)


def _key(raw: str) -> str:
    """What is compared: 3, +3 and 3.0 are one label."""
    number = whole_number(raw)
    return raw if number is None else str(number)
