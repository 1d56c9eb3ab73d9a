"""Combinatorial purged splits: the published example, the purge by hand, and its drawing."""

from math import comb

import numpy as np
import pytest

from lob_backtest.errors import SplitError
from lob_backtest.splits import CombinatorialSplits, combinatorial_folds, draw_folds, fold_blocks
from tests.lob_backtest.books import DAY, SECOND
from tests.lob_backtest.timetables import regular


def split(n: int, groups: int, test_groups: int, **options: int) -> CombinatorialSplits:
    """Splits of n decisions a second apart; labels are known ``horizon`` decisions later."""
    made = regular(n, horizon=options.pop("horizon", 0))
    return combinatorial_folds(**made, groups=groups, test_groups=test_groups, **options)


def test_six_groups_of_which_two_are_tested_give_the_published_splits_and_paths():
    # Lopez de Prado (2018), ch. 12.4: "N = 6, k = 2": 15 splits S1 ... S15 and 5 paths, of which
    # the text spells out the first two by group and split.
    splits = split(60, 6, 2)
    assert len(splits.folds) == 15
    assert splits.paths.shape == (5, 6)
    assert (splits.paths[0] + 1).tolist() == [1, 1, 2, 3, 4, 5]
    assert (splits.paths[1] + 1).tolist() == [1 + 1, 6, 6, 7, 8, 9]
    # Fig. 12.1: the groups that each split tests.
    tested = [tuple(group + 1 for group in fold.test_groups) for fold in splits.folds]
    assert tested[:6] == [(1, 2), (1, 3), (1, 4), (1, 5), (1, 6), (2, 3)]
    assert tested[-1] == (5, 6)


@pytest.mark.parametrize(
    ("groups", "test_groups"), [(2, 1), (5, 1), (4, 2), (6, 2), (7, 3), (5, 4)]
)
def test_each_group_is_tested_in_phi_splits_and_each_test_is_in_one_path(groups, test_groups):
    splits = split(10 * groups, groups, test_groups)
    phi = comb(groups, test_groups) * test_groups // groups
    assert len(splits.folds) == comb(groups, test_groups)
    assert splits.n_paths == phi
    for group in range(groups):
        testing = [fold.fold for fold in splits.folds if group in fold.test_groups]
        assert sorted(splits.paths[:, group].tolist()) == testing
        assert len(testing) == phi


def test_a_path_takes_each_decision_from_a_split_that_tests_it():
    splits = split(23, 5, 2)
    for path in range(splits.n_paths):
        of_decision = splits.split_of(path)
        assert of_decision.shape == (23,)
        for decision, number in enumerate(of_decision.tolist()):
            assert decision in splits.folds[number].test


def test_groups_are_as_equal_as_they_can_be():
    assert np.bincount(split(23, 5, 2).group).tolist() == [5, 5, 5, 4, 4]
    assert np.all(np.diff(split(23, 5, 2).group) >= 0)


def test_train_is_purged_before_and_after_a_test_group():
    # Group 1 is decisions 4 to 7 and its last label is known at 9. Of train, 2 and 3 are known in
    # the test group, and 8 and 9 are decided before the test labels are known.
    fold = split(12, 3, 1, horizon=2).folds[1]
    assert fold.test.tolist() == [4, 5, 6, 7]
    assert fold.train.tolist() == [0, 1, 10, 11]
    assert (fold.n_purged, fold.n_embargoed) == (4, 0)


def test_the_embargo_follows_the_test_labels_and_does_not_precede_them():
    fold = split(15, 3, 1, horizon=1, embargo_ns=2 * SECOND).folds[1]
    assert fold.test.tolist() == [5, 6, 7, 8, 9]
    # 4 and 10 overlap; 11 and 12 are decided within two seconds of the last test label, at 10.
    assert fold.train.tolist() == [0, 1, 2, 3, 13, 14]
    assert (fold.n_purged, fold.n_embargoed) == (2, 2)


def test_a_long_test_label_purges_what_lies_groups_later():
    made = regular(20)
    made["label_end_ns"][5] = 17 * SECOND
    splits = combinatorial_folds(**made, groups=4, test_groups=1)
    assert splits.folds[1].train.tolist() == [0, 1, 2, 3, 4, 18, 19]
    # And as a train label it overlaps the tests of both groups that it reaches into.
    assert 5 not in splits.folds[2].train
    assert 5 not in splits.folds[3].train
    assert 5 in splits.folds[0].train


def test_an_embargo_longer_than_time_leaves_nothing_after_a_first_test_group():
    with pytest.raises(SplitError, match=r"split 0, test groups 0: of 8 .* 0 have .* 8 are emb"):
        split(12, 3, 1, embargo_ns=10**30)


def test_the_drawing_shows_that_train_surrounds_test():
    made = regular(18, horizon=1)
    splits = combinatorial_folds(**made, groups=3, test_groups=1)
    assert draw_folds(splits.folds, made["decided_ns"], width=18).splitlines() == [
        "  0 |xxxxxx.***********|",
        "  1 |*****.xxxxxx.*****|",
        "  2 |***********.xxxxxx|",
        "     * train   x test   . purged: label overlaps a test label, or follows one within the "
        "embargo",
    ]
    named = [
        (block["part"], block["n"]) for block in fold_blocks(splits.folds[1], made["decided_ns"])
    ]
    assert named == [("train", 5), ("test", 6), ("train", 5)]


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"groups": 6, "test_groups": 6}, "groups=6 and test_groups=6, .*one more group"),
        ({"groups": 6, "test_groups": 0}, "test_groups=0, .*at least one test group"),
        ({"groups": 4.0, "test_groups": 2}, "whole numbers"),
        ({"groups": 4, "test_groups": 2, "embargo_ns": -1}, "embargo_ns=-1: .*of at least 0"),
        ({"groups": 13, "test_groups": 2}, "need at least 13 decisions, got 12; take fewer"),
    ],
)
def test_groups_that_make_no_sense_are_refused(options, match):
    with pytest.raises(SplitError, match=match):
        combinatorial_folds(**regular(12), **options)


def test_more_splits_than_memory_holds_are_refused_before_they_are_made():
    with pytest.raises(SplitError, match=r"make 155,117,520 splits of 3,000 decisions; needs at"):
        split(3000, 30, 15)


def test_labels_that_reach_everywhere_leave_nothing_to_train_on():
    made = regular(12)
    made["label_end_ns"] = np.full(12, DAY)
    with pytest.raises(
        SplitError, match=r"split 0, test groups 0: of 8 decisions .* 8 have labels"
    ):
        combinatorial_folds(**made, groups=3, test_groups=1)
