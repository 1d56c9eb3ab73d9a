"""The one contract that every splitter keeps, whatever the decisions, labels and sessions.

A splitter is called with decisions and lengths that hypothesis draws. What it gives is checked
against every pair of a learned and a judging decision, by brute force.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from math import comb
from typing import Any

import numpy as np
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from lob_backtest.book import IntArray
from lob_backtest.errors import SplitError
from lob_backtest.splits import (
    CombinatorialFold,
    CombinatorialSplits,
    Fold,
    combinatorial_folds,
    fold_blocks,
    holdout_fold,
    walk_forward_folds,
)
from tests.lob_backtest.books import SECOND
from tests.lob_backtest.timetables import timetables

AnyFold = Fold | CombinatorialFold


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What hypothesis draws for any splitter; each takes what it needs."""

    shares: tuple[int, int, int, int]  # train, train-dev, validation, test, in twentieths
    groups: int
    test_groups: int
    embargo_ns: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Split:
    """What a splitter gave, in one shape for all of them."""

    folds: tuple[AnyFold, ...]
    times_tested: int  # of each decision that is tested at all
    paths: CombinatorialSplits | None = None


def walk(mode: str, unit: str) -> Callable[[dict[str, IntArray], Asked], Split]:
    def split(made: dict[str, IntArray], asked: Asked) -> Split:
        return Split(folds=tuple(walked(made, asked, mode, unit)), times_tested=1)

    return split


def walked(made: dict[str, IntArray], asked: Asked, mode: str, unit: str) -> list[Fold]:
    train, train_dev, validation, test = lengths(asked, unit)
    options: dict[str, Any] = {"mode": mode, "unit": unit}
    return walk_forward_folds(
        **made, **options, train=train, train_dev=train_dev, validation=validation, test=test,
        embargo_ns=asked.embargo_ns,
    )  # fmt: skip


def lengths(asked: Asked, unit: str) -> list[float]:
    """About the drawn shares of 60 decisions, 150 seconds or 4 days; train-dev may be none."""
    whole = {"decisions": 60, "seconds": 150, "days": 4}[unit]
    return [
        round(share * whole / 20) if share == 0 else max(1, round(share * whole / 20))
        for share in asked.shares
    ]


def holdout(made: dict[str, IntArray], asked: Asked) -> Split:
    train, train_dev, validation, test = (share / 20 for share in asked.shares)
    fold = holdout_fold(
        **made, train=train, train_dev=train_dev, validation=validation, test=test,
        embargo_ns=asked.embargo_ns,
    )  # fmt: skip
    return Split(folds=(fold,), times_tested=1)


def combinatorial(made: dict[str, IntArray], asked: Asked) -> Split:
    splits = combinatorial_folds(
        **made, groups=asked.groups, test_groups=asked.test_groups, embargo_ns=asked.embargo_ns
    )
    phi = comb(asked.groups, asked.test_groups) * asked.test_groups // asked.groups
    return Split(folds=splits.folds, times_tested=phi, paths=splits)


WALKS = [(mode, unit) for mode in ("rolling", "expanding")
         for unit in ("decisions", "seconds", "days")]  # fmt: skip
SPLITTERS = {
    **{f"{mode}-{unit}": walk(mode, unit) for mode, unit in WALKS},
    "holdout": holdout,
    "combinatorial": combinatorial,
}


@st.composite
def asks(draw: st.DrawFn) -> Asked:
    groups = draw(st.integers(2, 6))
    return Asked(
        shares=(
            draw(st.integers(2, 9)),
            draw(st.sampled_from([0, 0, 2, 4])),
            draw(st.integers(2, 4)),
            draw(st.integers(1, 3)),
        ),
        groups=groups,
        test_groups=draw(st.integers(1, groups - 1)),
        embargo_ns=draw(st.sampled_from([0, 0, 1, 3 * SECOND, 20 * SECOND])),
    )


def made_by(splitter: str, made: dict[str, IntArray], asked: Asked) -> Split:
    """What the splitter gives; where it refuses, it must do so with the figures."""
    try:
        return SPLITTERS[splitter](made, asked)
    except SplitError as error:
        message = str(error)
    assert re.search(r"\d.*(;|needs)", message)
    return reject()


# Enough decisions for most of what is asked, and labels that leave something to train on.
MADE = timetables(
    longest_labels=(1, 5 * SECOND, 15 * SECOND), min_sessions=4, max_sessions=8, min_size=8
)


@pytest.mark.parametrize("splitter", SPLITTERS)
@settings(max_examples=80, deadline=None)
@given(made=MADE, asked=asks())
def test_every_splitter_keeps_the_contract(splitter: str, made: dict[str, IntArray], asked: Asked):
    split = made_by(splitter, made, asked)
    for number, fold in enumerate(split.folds):
        assert fold.fold == number
        check_parts(fold, made)
        check_intervals(fold, made, asked.embargo_ns)
        if isinstance(fold, Fold):
            check_end_of_training(fold, made, asked.embargo_ns)
    check_coverage(split, made)
    again = made_by(splitter, made, asked)
    assert [parts(fold) for fold in again.folds] == [parts(fold) for fold in split.folds]


def check_parts(fold: AnyFold, made: dict[str, IntArray]) -> None:
    """Blocks are increasing, disjoint indices, none empty, and drawn as what they are."""
    for rows in fold.parts.values():
        assert rows.size
        assert rows.dtype == np.int64
        assert np.all(np.diff(rows) > 0)
    taken = np.concatenate(list(fold.parts.values()))
    assert np.unique(taken).size == taken.size
    assert taken.min() >= 0
    assert taken.max() < made["decided_ns"].size
    drawn = fold_blocks(fold, made["decided_ns"])
    for part, rows in fold.parts.items():
        assert sum(int(block["n"]) for block in drawn if block["part"] == part) == rows.size
    assert all(a["end_ns"] < b["start_ns"] for a, b in pairwise(drawn))


def check_intervals(fold: AnyFold, made: dict[str, IntArray], embargo_ns: int) -> None:
    """No label interval of a block overlaps one of a later block, and none is nearer than allowed.

    In a walk everything learned ends more than the embargo before the first test decision; in
    combinatorial splits what follows a test label begins more than the embargo after it.
    """
    names = list(fold.parts)
    for i, name in enumerate(names[:-1]):
        start, end = (
            made[key][fold.parts[name]][:, None] for key in ("decided_ns", "label_end_ns")
        )
        for other in names[i + 1 :]:
            opens, closes = (
                made[key][fold.parts[other]][None, :] for key in ("decided_ns", "label_end_ns")
            )
            assert not np.any((start <= closes) & (end >= opens))
        # The last part is test: opens and closes are its intervals.
        if isinstance(fold, Fold):
            assert end.max() < opens.min() - embargo_ns
        else:
            follows = start > opens
            assert np.all((start - closes)[follows] > embargo_ns)


def check_end_of_training(fold: Fold, made: dict[str, IntArray], embargo_ns: int) -> None:
    learned = np.concatenate([fold.train, fold.validation])
    assert fold.train_end_ns == made["label_end_ns"][learned].max()
    assert fold.train_end_ns < fold.test_start_ns - embargo_ns
    assert fold.train_end_ns > made["label_end_ns"][fold.train_dev].max(initial=-1)
    assert fold.test_start_ns == made["decided_ns"][fold.test].min()
    assert fold.test_end_ns == made["decided_ns"][fold.test].max()


def check_coverage(split: Split, made: dict[str, IntArray]) -> None:
    """Tested decisions are tested as often as promised; a path holds each decision once."""
    n = made["decided_ns"].size
    times = np.bincount(np.concatenate([fold.parts["test"] for fold in split.folds]), minlength=n)
    assert set(times.tolist()) <= {0, split.times_tested}
    if split.paths is None:
        tested = np.flatnonzero(times)
        dropped = sum(fold.n_dropped for fold in split.folds if isinstance(fold, Fold))
        between = n - tested[0] - tested.size
        # A holdout's shares may leave decisions at the end untouched.
        assert between <= dropped or len(split.folds) == 1
        return
    assert times.min() == split.times_tested == split.paths.n_paths
    used = set()
    for path in range(split.paths.n_paths):
        splits = split.paths.split_of(path)
        for decision, number in enumerate(splits.tolist()):
            assert decision in split.folds[number].parts["test"]
            used.add((decision, number))
    # No prediction is used twice, and none is left over.
    assert len(used) == n * split.times_tested


def parts(fold: AnyFold) -> dict[str, list[int]]:
    return {name: rows.tolist() for name, rows in fold.parts.items()}


@settings(max_examples=150, deadline=None)
@given(made=MADE, asked=asks())
def test_combinatorial_splits_leave_out_nothing_that_they_could_train_on(made, asked):
    split = made_by("combinatorial", made, asked)
    start, end = made["decided_ns"], made["label_end_ns"]
    for fold in split.folds:
        assert isinstance(fold, CombinatorialFold)
        others = np.setdiff1d(np.arange(start.size), fold.test)
        opens, closes = start[fold.test], end[fold.test]
        overlaps = [bool(np.any((start[i] <= closes) & (end[i] >= opens))) for i in others]
        embargoed = [
            bool(np.any((start[i] > opens) & (start[i] <= closes + asked.embargo_ns)))
            for i in others
        ]
        wanted = [i for i, a, b in zip(others, overlaps, embargoed, strict=True) if not (a or b)]
        assert fold.train.tolist() == wanted
        assert fold.n_purged == sum(overlaps)
        assert fold.n_purged + fold.n_embargoed == others.size - len(wanted)


@pytest.mark.parametrize(("mode", "unit"), WALKS)
@settings(max_examples=40, deadline=None)
@given(made=MADE, asked=asks(), kept=st.floats(0.6, 1))
def test_later_decisions_change_no_fold_but_the_last(mode, unit, made, asked, kept):
    n = max(1, round(kept * made["decided_ns"].size))  # it may end anywhere within a session
    fewer = {name: values[:n] for name, values in made.items()}
    try:
        before, after = walked(fewer, asked, mode, unit), walked(made, asked, mode, unit)
    except SplitError:
        reject()
    assert len(before) <= len(after)
    for one, other in zip(before[:-1], after, strict=False):
        assert parts(one) == parts(other)
        assert (one.train_end_ns, one.n_purged, one.n_dropped) == (
            other.train_end_ns, other.n_purged, other.n_dropped,
        )  # fmt: skip
    # The last one may only have grown: its test block was cut off where the data ended.
    last, same = parts(before[-1]), parts(after[len(before) - 1])
    if last["test"][0] == same["test"][0]:
        assert {**last, "test": []} == {**same, "test": []}
        assert same["test"][: len(last["test"])] == last["test"]
