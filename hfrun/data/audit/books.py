"""The audit of an order book and its folds, before a model is trained on them.

What a ``Book`` refuses when it is made, a crossed or locked touch above all, is not looked for
again; nor is what ``lob-backtest inspect`` says about a book without a question.
"""

from collections.abc import Iterator, Mapping
from itertools import combinations

import numpy as np

from hfrun.data.audit.classes import class_counts, constant_class, shift_of
from hfrun.data.audit.findings import AuditReport, Finding, check_accepted
from hfrun.data.audit.inputs import column_findings, input_shift_findings
from hfrun.data.audit.sessions import part_session_findings, session_findings, silence_findings
from lob_backtest.book import Book, IntArray
from lob_backtest.labels import effective_labels
from lob_backtest.predictions import CLASS_NAMES
from lob_backtest.prepare import Prepared
from lob_backtest.splits import Fold

_MOST_EXAMPLES = 10
_SHARE_OF_WARNING = 0.2  # of test's decisions that have no label
_Counts = Mapping[tuple[int, str], IntArray]


def audit_books(
    book: Book, prepared: Prepared, *, window: int, accept: Mapping[str, int]
) -> AuditReport:
    """Look for parts that see each other's future, for days that are missing, and for shifts.

    Args:
        book: the book.
        prepared: its decisions, labels and folds.
        window: rows that the model sees at a decision.
        accept: by name, how many cases of an error a training may begin with.

    Raises:
        DataError: ``accept`` names no finding.
    """
    check_accepted(accept, "book")
    folds, decisions = prepared.folds, prepared.decisions
    every = np.unique(np.concatenate([rows for fold in folds for rows in fold.parts.values()]))
    train = {fold.fold: decisions.rows[fold.train] for fold in folds}
    findings = [
        *_span_findings(prepared),
        *_class_findings(prepared),
        *session_findings(book, np.unique(decisions.session[every])),
        *part_session_findings(book, folds, decisions.session),
        *silence_findings(book, decisions.rows[every], window=window),
        *column_findings(book, prepared.data.normalize, train),
        *input_shift_findings(book, decisions.rows, folds, window=window),
    ]
    return AuditReport(
        kind="book", sizes=_sizes(folds), findings=tuple(findings), accepted=dict(accept)
    )


def _sizes(folds: tuple[Fold, ...]) -> dict[str, int]:
    """Decisions of each part over all folds, each counted once."""
    names = dict.fromkeys(name for fold in folds for name in fold.parts)
    return {
        name: int(np.unique(np.concatenate([getattr(fold, name) for fold in folds])).size)
        for name in names
    }


def _span_findings(prepared: Prepared) -> list[Finding]:
    """Labels of an earlier part that end once a later one has begun: the leak that a purge ends."""
    found: dict[tuple[str, str], list[tuple[int, int, str]]] = {}
    for fold in prepared.folds:
        for (earlier, rows), (later, judged) in combinations(fold.parts.items(), 2):
            begins_ns = int(prepared.decisions.decided_ns[judged].min())
            late_ns = prepared.moves.label_end_ns[rows] - begins_ns
            n = int(np.count_nonzero(late_ns >= 0))
            if n:
                words = f"fold {fold.fold}: {n:,} labels, up to {late_ns.max() / 1e9:.6g} s late"
                found.setdefault((earlier, later), []).append((fold.fold, n, words))
    return [
        Finding(
            name="overlapping_spans",
            severity="error",
            count=sum(n for _, n, _ in cases),
            message=f"{sum(n for _, n, _ in cases):,} labels of {parts[0]} end after {parts[1]} "
            f"has begun (in {len(cases):,} of {len(prepared.folds):,} folds): they know its future",
            examples=tuple(words for _, _, words in cases[:_MOST_EXAMPLES]),
            parts=parts,
        )
        for parts, cases in found.items()
    ]


def _class_findings(prepared: Prepared) -> list[Finding]:
    counts: dict[tuple[int, str], IntArray] = {}
    weights: dict[tuple[int, str], float] = {}
    unknown: dict[str, list[tuple[int, int]]] = {}
    for fold in prepared.folds:
        labels = prepared.labels(fold)
        for part, rows in fold.parts.items():
            known = rows[labels[rows] >= 0]
            counts[fold.fold, part] = class_counts(labels[rows], len(CLASS_NAMES))
            weights[fold.fold, part] = _independent_share(prepared, known)
            unknown.setdefault(part, []).append((rows.size - known.size, rows.size))
    parts = dict.fromkeys(part for _, part in counts)
    return [
        finding
        for part in parts
        for found in (
            _constant(counts, part),
            _missing(counts, part),
            _shifted(counts, weights, part),
            _unknown(unknown[part], part),
        )
        for finding in found
    ]


def _independent_share(prepared: Prepared, rows: IntArray) -> float:
    """Independent labels that one label is worth: those that overlap share their future."""
    if not rows.size:
        return 1.0
    moves, decisions = prepared.moves, prepared.decisions
    return effective_labels(decisions.decided_ns[rows], moves.label_end_ns[rows]) / rows.size


def _constant(counts: _Counts, part: str) -> Iterator[Finding]:
    """Parts of one class; a quiet fold among others is no reason to train none of them."""
    found = _of(counts, part)
    classes = {fold: constant_class(count) for fold, count in found.items()}
    cases = [f"fold {fold}: all {CLASS_NAMES[label]}"
             for fold, label in classes.items() if label is not None]  # fmt: skip
    if cases:
        yield Finding(
            name="constant_label",
            severity="error" if len(cases) == len(found) else "warning",
            count=len(cases),
            message=f"{part} has one class alone in {len(cases):,} of {len(found):,} folds: "
            "nothing can be learned or judged by it",
            examples=tuple(cases[:_MOST_EXAMPLES]),
            parts=(part,),
        )


def _missing(counts: _Counts, part: str) -> Iterator[Finding]:
    """Classes that a part has and its train part has not."""
    train, found = _of(counts, "train"), _of(counts, part)
    cases = {
        fold: [f"fold {fold}: {n:,} labels {CLASS_NAMES[label]}"
               for label, n in enumerate(count.tolist()) if n and not train[fold][label]]
        for fold, count in found.items()
    }  # fmt: skip
    listed = [words for case in cases.values() for words in case]
    if listed:
        yield Finding(
            name="class_missing_from_train",
            severity="error" if all(cases.values()) else "warning",
            count=len(listed),
            message=f"{part} has classes that train has not, in {sum(map(bool, cases.values())):,} "
            f"of {len(found):,} folds: they cannot be learned",
            examples=tuple(listed[:_MOST_EXAMPLES]),
            parts=("train", part),
        )


def _shifted(
    counts: _Counts, weights: Mapping[tuple[int, str], float], part: str
) -> Iterator[Finding]:
    if part == "train":
        return
    shifts = []
    for fold, found in _of(counts, part).items():
        weight = min(weights[fold, part], weights[fold, "train"])
        shift = shift_of(counts[fold, "train"], found, CLASS_NAMES, weight=weight)
        if shift is not None and shift.is_sure:
            shifts.append((fold, shift))
    if shifts:
        shifts.sort(key=lambda item: -item[1].variation)
        yield Finding(
            name="label_shift",
            severity="warning" if shifts[0][1].is_large else "info",
            count=len(shifts),
            message=f"the classes of {part} are distributed otherwise than train's in "
            f"{len(shifts):,} of {len(_of(counts, part)):,} folds",
            examples=tuple(f"fold {fold}: {shift.words()}"
                           for fold, shift in shifts[:_MOST_EXAMPLES]),
            parts=("train", part),
        )  # fmt: skip


def _unknown(sizes: list[tuple[int, int]], part: str) -> Iterator[Finding]:
    """Decisions whose horizon leaves the session; the folds keep them in test alone."""
    n, of = (sum(column) for column in zip(*sizes, strict=True))
    if n:
        yield Finding(
            name="decisions_without_label",
            severity="warning" if n > _SHARE_OF_WARNING * of else "info",
            count=n,
            message=f"{n:,} of {of:,} decisions of {part} have no label, mostly because the "
            "horizon leaves the session: they are traded and not scored",
            parts=(part,),
        )


def _of(counts: _Counts, part: str) -> dict[int, IntArray]:
    """Counts of one part, by fold."""
    return {fold: found for (fold, name), found in counts.items() if name == part}
