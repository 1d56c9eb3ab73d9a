"""Findings about the labels of a part, and how they differ from train's; for texts and books.

Significance alone says little of many labels, size alone little of few: a shift is told where both
are there. A shift is a warning from a total variation of 0.05 on (five labels in a hundred would
have to change), below it a note.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hfrun.data.audit.distributions import homogeneity_p, total_variation
from hfrun.data.audit.findings import Finding
from lob_backtest.book import IntArray

LEAST_SURE = 0.01  # chance of a shift this large without one
LARGE_VARIATION = 0.05


@dataclass(frozen=True, kw_only=True)
class Shift:
    """How far a part's classes are from train's.

    Attributes:
        variation: share of the labels that would have to change.
        p: chance of that much without a shift.
        largest: the class that changed most, with its shares in train and here.
    """

    variation: float
    p: float
    largest: tuple[str, float, float]

    @property
    def is_sure(self) -> bool:
        return self.p < LEAST_SURE

    @property
    def is_large(self) -> bool:
        return self.variation >= LARGE_VARIATION

    def words(self) -> str:
        """``total variation 0.055, p 2e-05; negative 25.96 % -> 28.64 %``."""
        name, before, here = self.largest
        return (
            f"total variation {self.variation:.3f}, p {self.p:.1g}; "
            f"{name} {before:.2%} in train, {here:.2%} here"
        )


def class_counts(labels: IntArray, n_labels: int) -> IntArray:
    """``(C,)`` of each class, without the unknown."""
    return np.bincount(labels[labels >= 0], minlength=n_labels).astype(np.int64)


def shift_of(
    train: IntArray, other: IntArray, names: Sequence[str], *, weight: float = 1.0
) -> Shift | None:
    """How far the counts of a part are from train's; None where one of them has none.

    Args:
        train, other: ``(C,)`` counts.
        names: of the classes.
        weight: independent labels that one is worth.
    """
    if not train.sum() or not other.sum():
        return None
    before, here = train / train.sum(), other / other.sum()
    most = int(np.argmax(np.abs(here - before)))
    return Shift(
        variation=total_variation(train, other),
        p=homogeneity_p(train, other, weight=weight),
        largest=(names[most], float(before[most]), float(here[most])),
    )


def constant_class(counts: IntArray) -> int | None:
    """The one class of all labels of a part; None where there are several, or no labels."""
    there = np.flatnonzero(counts)
    return int(there[0]) if there.size == 1 else None


def text_class_findings(
    counts: Mapping[str, IntArray], names: Sequence[str], *, few: int = 10
) -> list[Finding]:
    """Findings about the labels of texts.

    Args:
        counts: ``(C,)`` of train, validation and test, in this order.
        names: of the classes.
        few: texts of a class in train that are too few to learn it from.
    """
    findings = [
        finding
        for part, found in counts.items()
        for finding in (_constant(part, found, names), _shifted(part, found, counts, names))
        if finding is not None
    ]
    return findings + _missing(counts, names) + _rare(counts["train"], names, few=few)


def _constant(part: str, counts: IntArray, names: Sequence[str]) -> Finding | None:
    only = constant_class(counts)
    if only is None:
        return None
    n = int(counts.sum())
    every = f"all {n:,} labels of {part} are" if n > 1 else f"the only label of {part} is"
    return Finding(
        name="constant_label",
        severity="error",
        count=1,
        message=f"{every} {names[only]!r} (class {only}): "
        "placeholders, as benchmarks publish them for hidden labels, or one class alone; nothing "
        "can be learned or judged by them",
        parts=(part,),
    )


def _shifted(
    part: str, counts: IntArray, every: Mapping[str, IntArray], names: Sequence[str]
) -> Finding | None:
    shift = None if part == "train" else shift_of(every["train"], counts, names)
    if shift is None or not shift.is_sure:
        return None
    return Finding(
        name="label_shift",
        severity="warning" if shift.is_large else "info",
        count=1,
        message=f"the classes of {part} are distributed otherwise than train's: {shift.words()}",
        examples=tuple(_shares(every["train"], counts, names)),
        parts=("train", part),
    )


def _shares(train: IntArray, other: IntArray, names: Sequence[str]) -> list[str]:
    """Each class with its shares."""
    return [
        f"{name}: {before:.2%} -> {here:.2%}"
        for name, before, here in zip(
            names, train / train.sum(), other / other.sum(), strict=True
        )
    ]  # fmt: skip


def _missing(counts: Mapping[str, IntArray], names: Sequence[str]) -> list[Finding]:
    """Classes that train or a part that is judged does not have."""
    train, findings = counts["train"], []
    for part, found in counts.items():
        absent = np.flatnonzero((found > 0) & (train == 0))
        if absent.size:
            listed = ", ".join(repr(names[label]) for label in absent.tolist())
            findings.append(
                Finding(
                    name="class_missing_from_train",
                    severity="error",
                    count=absent.size,
                    message=f"{part} has {found[absent].sum():,} labels of {listed}, and train "
                    "none: it cannot be learned",
                    parts=("train", part),
                )
            )
        unseen = np.flatnonzero((found == 0) & (train > 0))
        if unseen.size and found.sum() and constant_class(found) is None:
            listed = ", ".join(repr(names[label]) for label in unseen.tolist())
            findings.append(
                Finding(
                    name="class_missing_from_part",
                    severity="warning",
                    count=unseen.size,
                    message=f"{part} has no label of {listed}, and train has "
                    f"{train[unseen].sum():,}: nothing is shown about it",
                    parts=("train", part),
                )
            )
    return findings


def _rare(train: IntArray, names: Sequence[str], *, few: int) -> list[Finding]:
    rare = np.flatnonzero(train < few) if train.sum() else np.empty(0, dtype=np.int64)
    if not rare.size:
        return []
    listed = ", ".join(f"{names[label]!r} ({train[label]})" for label in rare.tolist())
    return [
        Finding(
            name="few_texts_of_class",
            severity="warning",
            count=rare.size,
            message=f"classes with fewer than {few} texts in train: {listed}",
            parts=("train",),
        )
    ]
