"""Combinatorial purged cross-validation: every choice of k of N groups is a test once.

             1  2  3  4  5  6   group           N = 6, k = 2: 15 splits, 5 paths
    split 0  x  x  *  *  *  *   * train         path 0 takes 1 and 2 from split 0, 3 from split 1,
          1  x  *  x  *  *  *   x test          4 from split 2, 5 from split 3 and 6 from split 4
          2  x  *  *  x  *  *
          ...                   phi(N, k) = C(N, k) k / N paths, each over every decision once

Where a walk gives one history, this gives phi of them, so that a figure comes with how far it
scatters. But most of what a split trains on lies *after* what it tests: it says how a method does
on average over a period, never whether it could have been traded. That is judged on a walk.

References: Lopez de Prado (2018), Advances in Financial Machine Learning, ch. 7.4 (purge, embargo)
and ch. 12.4 (combinatorial purged cross-validation).
"""

from dataclasses import dataclass
from itertools import combinations
from math import comb

import numpy as np

from lob_backtest.book import BoolArray, IntArray
from lob_backtest.errors import SplitError
from lob_backtest.splits.fold import check_decisions

# 2 GiB of indices: beyond it N and k were surely not meant.
_MOST_INDICES = 2**28


@dataclass(frozen=True, kw_only=True, eq=False)
class CombinatorialFold:
    """One split: what is learned from, and the groups that judge.

    Attributes:
        fold: number of the split, 0, 1, ... in lexicographic order of ``test_groups``.
        test_groups: the k groups of test, increasing.
        train, test: int64 indices into the decisions, increasing, never empty.
        n_purged: decisions taken off train because their label overlaps one of test.
        n_embargoed: decisions taken off train because they follow a label of test too soon.
        n_unknown: decisions taken off train since, because their label is not known
            (``lob_backtest.prepare``).
    """

    fold: int
    test_groups: tuple[int, ...]
    train: IntArray
    test: IntArray
    n_purged: int
    n_embargoed: int
    n_unknown: int = 0

    @property
    def parts(self) -> dict[str, IntArray]:
        """The blocks by name; unlike a walk's they alternate in time."""
        return {"train": self.train, "test": self.test}


@dataclass(frozen=True, kw_only=True, eq=False)
class CombinatorialSplits:
    """All splits of N groups, and the paths that their test groups make up.

    Attributes:
        folds: the C(N, k) splits.
        group: ``(D,)`` int64, group 0 ... N - 1 of each decision.
        paths: ``(phi, N)`` int64; path p takes its predictions of group g from split
            ``paths[p, g]``. Each split's prediction of each of its test groups is used once.
    """

    folds: tuple[CombinatorialFold, ...]
    group: IntArray
    paths: IntArray

    @property
    def n_paths(self) -> int:
        return int(self.paths.shape[0])

    def split_of(self, path: int) -> IntArray:
        """``(D,)`` the split from which a path takes each decision's prediction."""
        splits: IntArray = self.paths[path][self.group]
        return splits


def combinatorial_folds(
    decided_ns: IntArray,
    label_end_ns: IntArray,
    session: IntArray,
    *,
    groups: int,
    test_groups: int,
    embargo_ns: int = 0,
) -> CombinatorialSplits:
    """Every choice of ``test_groups`` of ``groups`` as test, purged on both sides.

    The groups are runs of decisions, as equal in number as they can be; an edge may fall inside a
    session. Purge: a train decision goes if its interval ``[decided_ns, label_end_ns]`` and that of
    any test decision have an instant in common. Embargo: it also goes if it is decided no more than
    ``embargo_ns`` after the label of an earlier test decision; a model's look-back window there
    shows what the test labels were made of, so give at least its length.

    There is no validation block: a model that chooses sets its own aside inside train.

    Args:
        decided_ns: ``(D,)`` strictly increasing instants.
        label_end_ns: ``(D,)`` last instant each label used.
        session: ``(D,)`` session number of each decision; only its order is looked at.
        groups: N, at least 2.
        test_groups: k, from 1 to N - 1.
        embargo_ns: nanoseconds after a test label in which nothing is trained on.

    Raises:
        SplitError: fewer decisions than groups, a train part that the purge empties, more splits
            than fit into the memory, or arguments that make no sense.
    """
    check_decisions(decided_ns, label_end_ns, session)
    n = int(decided_ns.size)
    _check_groups(groups, test_groups, embargo_ns, n=n)
    sizes = [part.size for part in np.array_split(np.arange(n), groups)]
    group = np.repeat(np.arange(groups, dtype=np.int64), sizes)
    folds = tuple(
        _fold(number, chosen, group, decided_ns, label_end_ns, embargo_ns)
        for number, chosen in enumerate(combinations(range(groups), test_groups))
    )
    return CombinatorialSplits(folds=folds, group=group, paths=_paths(folds, groups))


def _fold(
    number: int,
    test_groups: tuple[int, ...],
    group: IntArray,
    decided_ns: IntArray,
    label_end_ns: IntArray,
    embargo_ns: int,
) -> CombinatorialFold:
    is_test = np.isin(group, test_groups)
    overlaps, follows = _too_near(is_test, decided_ns, label_end_ns, embargo_ns)
    train = np.flatnonzero(~(is_test | overlaps | follows)).astype(np.int64)
    n_purged, n_embargoed = int(overlaps.sum()), int((follows & ~overlaps).sum())
    if train.size == 0:
        raise SplitError(
            f"split {number}, test groups {', '.join(map(str, test_groups))}: of "
            f"{int((~is_test).sum())} decisions outside the test groups {n_purged} have labels "
            f"that overlap test labels and {n_embargoed} are embargoed (embargo_ns={embargo_ns}); "
            "needs at least one to train on; take fewer groups, or shorten the label horizon or "
            "the embargo"
        )
    return CombinatorialFold(
        fold=number,
        test_groups=test_groups,
        train=train,
        test=np.flatnonzero(is_test).astype(np.int64),
        n_purged=n_purged,
        n_embargoed=n_embargoed,
    )


def _too_near(
    is_test: BoolArray, decided_ns: IntArray, label_end_ns: IntArray, embargo_ns: int
) -> tuple[BoolArray, BoolArray]:
    """``(D,)`` decisions outside test whose label overlaps a test label, and that are embargoed.

    Two intervals overlap unless one ends before the other begins. Of the test decisions after a
    decision the next one begins first; of those before it, the one that ends last has to be sought.
    """
    latest = np.iinfo(np.int64).max
    begins_ns = np.where(is_test, decided_ns, latest)
    next_test_ns = np.minimum.accumulate(begins_ns[::-1])[::-1]
    # An embargo beyond all decisions is as good as the longest there can be, and overflows nothing.
    embargo_ns = min(embargo_ns, int(decided_ns[-1] - decided_ns[0]) + 1)
    never_ns = decided_ns[0] - 1 - embargo_ns  # where nothing of test has ended yet
    last_end_ns = np.maximum.accumulate(np.where(is_test, label_end_ns, never_ns))
    overlaps = ~is_test & ((label_end_ns >= next_test_ns) | (decided_ns <= last_end_ns))
    follows = ~is_test & (decided_ns - embargo_ns <= last_end_ns)
    return overlaps, follows


def _paths(folds: tuple[CombinatorialFold, ...], groups: int) -> IntArray:
    """Path p takes each group from the p-th split that tests it (de Prado's fig. 12.2)."""
    of_group = [[fold.fold for fold in folds if g in fold.test_groups] for g in range(groups)]
    return np.array(of_group, dtype=np.int64).T


def _check_groups(groups: int, test_groups: int, embargo_ns: int, *, n: int) -> None:
    asked = f"groups={groups} and test_groups={test_groups}"
    whole = all(isinstance(value, int | np.integer) for value in (groups, test_groups, embargo_ns))
    if not whole or not 1 <= test_groups < groups or embargo_ns < 0:
        raise SplitError(
            f"{asked}, embargo_ns={embargo_ns}: needs at least one test group and one more group "
            "to train on, and an embargo of at least 0, in whole numbers"
        )
    if n < groups:
        raise SplitError(
            f"{asked} need at least {groups} decisions, got {n}; take fewer groups or load more "
            "days"
        )
    splits = comb(int(groups), int(test_groups))
    if splits * n > _MOST_INDICES:
        raise SplitError(
            f"{asked} make {splits:,} splits of {n:,} decisions; needs at most "
            f"{_MOST_INDICES // n:,} splits; take fewer groups, or fewer of them for test"
        )
