"""Small runs of texts and of books for the tests of the audit."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from hfrun.data.audit import AuditReport, Finding, audit_books, audit_texts
from hfrun.data.texts import TextPart, TextSplits
from lob_backtest.book import Book, BookMeta
from lob_backtest.config import DataConfig, DecisionsConfig, LabelConfig
from lob_backtest.prepare import Prepared, prepare_holdout
from lob_backtest.synthetic import synthetic_book

NAMES = ("bad", "good")

# Of different words, so that no two are alike.
TRAIN = (
    "a gripping story about two brothers who sail north",
    "the jokes fall flat and nobody laughs for an hour",
    "every scene glows with warmth , wit and real feeling",
    "dull , overlong and far too pleased with its own cleverness",
    "she carries this small picture on her shoulders alone",
    "an empty exercise in style that soon grows tiresome",
)
VALIDATION = (
    "quietly moving from its first frame until its last",
    "loud effects cannot hide how little happens here",
)
TEST = (
    "the director finds comedy in places where others see grief",
    "a lazy sequel that forgets what made people care before",
)


def part(texts: Iterable[str], labels: Iterable[int] | None = None) -> TextPart:
    """Texts with labels 0, 1, 0, 1, ... where none are given."""
    texts = tuple(texts)
    given = [i % 2 for i in range(len(texts))] if labels is None else list(labels)
    return TextPart(
        texts=texts,
        labels=np.array(given, dtype=np.int64),
        raw_labels=tuple("?" if label < 0 else str(label) for label in given),
    )


def splits(
    train: TextPart | None = None,
    validation: TextPart | None = None,
    test: TextPart | None = None,
    *,
    names: tuple[str, ...] = NAMES,
) -> TextSplits:
    """Clean parts, where none are given."""
    return TextSplits(
        train=part(TRAIN) if train is None else train,
        validation=part(VALIDATION) if validation is None else validation,
        test=part(TEST) if test is None else test,
        label_names=names,
    )


def audited(
    of: TextSplits, *, accept: Mapping[str, int] | None = None, **given: Any
) -> AuditReport:
    return audit_texts(
        of,
        token_counts=given.get("token_counts"),
        max_length=given.get("max_length", 64),
        accept=accept or {},
    )


def worth_a_look(report: AuditReport) -> list[Finding]:
    """All findings but that classes of such small parts are rare."""
    return [found for found in report.findings if found.name != "few_texts_of_class"]


def counts(report: AuditReport) -> list[tuple[str, str, int, tuple[str, ...]]]:
    """Severity, name, cases and parts of every finding but rare classes."""
    return [(f.severity, f.name, f.count, f.parts) for f in worth_a_look(report)]


WINDOW = 20
DATA = DataConfig(
    book="-",
    decisions=DecisionsConfig(every_events=5),
    label=LabelConfig(horizon_events=10),
    window=WINDOW,
)


def small_book(*, days: int = 3, seed: int = 0) -> Book:
    return synthetic_book(days=days, rows_per_day=1500, levels=2, signal=0.0, seed=seed)


def prepared_of(book: Book) -> Prepared:
    """Its hold-out split; of three days the second is cut by train's end."""
    return prepare_holdout(book, data=DATA, train=0.5, validation=0.2, test=0.3)


def changed(book: Book, **fields: Any) -> Book:
    """The book with other columns or other metadata (``meta_``)."""
    meta = {name[5:]: fields.pop(name) for name in list(fields) if name.startswith("meta_")}
    return replace(book, meta=BookMeta(**{**vars(book.meta), **meta}), **fields)


def audited_book(book: Book, prepared: Prepared | None = None) -> AuditReport:
    return audit_books(
        book, prepared_of(book) if prepared is None else prepared, window=WINDOW, accept={}
    )


def found(report: AuditReport, name: str) -> list[Finding]:
    return [finding for finding in report.findings if finding.name == name]
