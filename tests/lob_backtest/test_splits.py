"""Folds: by hand, and the properties that make a walk-forward honest."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from lob_backtest.book import IntArray
from lob_backtest.errors import SplitError
from lob_backtest.splits import (
    Fold,
    draw_folds,
    fold_blocks,
    holdout_fold,
    walk_forward_folds,
)
from tests.lob_backtest.books import SECOND
from tests.lob_backtest.timetables import regular as decisions
from tests.lob_backtest.timetables import timetables


def walk(
    made: dict[str, IntArray], train: float, validation: float, test: float, **options: Any
) -> list[Fold]:
    lengths = {"train": train, "validation": validation, "test": test}
    return walk_forward_folds(
        **made, **{"mode": "rolling", "unit": "decisions"} | lengths | options
    )


def blocks(fold: Fold) -> tuple[list[int], list[int], list[int]]:
    return fold.train.tolist(), fold.validation.tolist(), fold.test.tolist()


def test_rolling_folds_step_by_test():
    folds = walk(decisions(12), 4, 2, 3)
    assert [blocks(fold) for fold in folds] == [
        ([0, 1, 2, 3], [4, 5], [6, 7, 8]),
        ([3, 4, 5, 6], [7, 8], [9, 10, 11]),
    ]
    assert [fold.fold for fold in folds] == [0, 1]
    assert [(f.test_start_ns, f.test_end_ns) for f in folds] == [
        (6 * SECOND, 8 * SECOND),
        (9 * SECOND, 11 * SECOND),
    ]


def test_expanding_folds_keep_the_beginning_of_train():
    made = decisions(12)
    folds = walk_forward_folds(
        **made, mode="expanding", unit="decisions", train=4, validation=2, test=3
    )
    assert [blocks(fold)[0] for fold in folds] == [[0, 1, 2, 3], [0, 1, 2, 3, 4, 5, 6]]
    assert [blocks(fold)[1:] for fold in folds] == [([4, 5], [6, 7, 8]), ([7, 8], [9, 10, 11])]


def test_the_purge_takes_labels_known_too_late_off_the_earlier_blocks():
    # A label is known 2 decisions later: the last 2 of train and of validation are purged,
    # and every test decision stays.
    (fold,) = walk(decisions(13, horizon=2), 5, 4, 4)
    assert blocks(fold) == ([0, 1, 2], [5, 6], [9, 10, 11, 12])
    assert (fold.n_purged, fold.train_end_ns) == (4, 8 * SECOND)


def test_the_purge_looks_at_each_label_end_and_not_at_a_number_of_rows():
    made = decisions(13, horizon=1)
    made["label_end_ns"][1] = 50 * SECOND
    made["label_end_ns"][2] = 7 * SECOND
    (fold,) = walk(made, 5, 4, 4)
    assert blocks(fold) == ([0, 3], [5, 6, 7], [9, 10, 11, 12])
    assert fold.n_purged == 4


def test_the_embargo_is_kept_before_test_only():
    (fold,) = walk(decisions(13, horizon=1), 5, 4, 4, embargo_ns=2 * SECOND)
    assert blocks(fold) == ([0, 1, 2, 3], [5], [9, 10, 11, 12])
    assert fold.test_start_ns - fold.train_end_ns == 3 * SECOND
    assert fold.n_purged == 4


def test_an_embargo_as_long_as_validation_leaves_none_of_it():
    with pytest.raises(SplitError, match=r"fold 0: of 5 train and 4 validation.* 5 and 0 are left"):
        walk(decisions(13), 5, 4, 4, embargo_ns=4 * SECOND)


def test_train_dev_stands_between_train_and_validation():
    folds = walk(decisions(14), 4, 2, 3, train_dev=2)
    assert [(*blocks(fold), fold.train_dev.tolist()) for fold in folds] == [
        ([0, 1, 2, 3], [6, 7], [8, 9, 10], [4, 5]),
        ([3, 4, 5, 6], [9, 10], [11, 12, 13], [7, 8]),
    ]
    expanding = walk(decisions(14), 4, 2, 3, train_dev=2, mode="expanding")
    assert [blocks(fold)[0] for fold in expanding] == [[0, 1, 2, 3], [0, 1, 2, 3, 4, 5, 6]]
    assert [fold.train_dev.tolist() for fold in expanding] == [[4, 5], [7, 8]]


def test_without_train_dev_the_block_is_empty_and_nothing_else_changes():
    made = decisions(30, horizon=1)
    for plain, asked in zip(walk(made, 8, 4, 6), walk(made, 8, 4, 6, train_dev=0), strict=True):
        assert blocks(plain) == blocks(asked)
        assert plain.train_dev.tolist() == asked.train_dev.tolist() == []
        assert list(plain.parts) == ["train", "validation", "test"]


def test_train_is_purged_towards_train_dev_and_train_dev_towards_validation():
    # Labels are known 2 decisions later: each block but the last loses its last 2.
    (fold,) = walk(decisions(17, horizon=2), 5, 4, 4, train_dev=4)
    assert blocks(fold) == ([0, 1, 2], [9, 10], [13, 14, 15, 16])
    assert fold.train_dev.tolist() == [5, 6]
    assert fold.n_purged == 6
    # Train-dev is not counted in what was learned or chosen from, nor could it be the last of it.
    assert fold.train_end_ns == 12 * SECOND


def test_train_dev_is_counted_in_days_and_seconds_too():
    (fold,) = walk(decisions(16, day=4), 1, 1, 1, unit="days", train_dev=1)
    assert fold.train_dev.tolist() == [4, 5, 6, 7]
    made = decisions(50, day=25)
    fold = walk(made, 10, 5, 7, unit="seconds", train_dev=3)[0]
    assert (fold.train.tolist(), fold.train_dev.tolist()) == (list(range(10)), [10, 11, 12])
    assert fold.validation.tolist() == list(range(13, 18))


def test_a_train_dev_block_that_the_purge_empties_is_an_error():
    with pytest.raises(
        SplitError,
        match="fold 0: of 5 train, 2 train-dev and 4 validation decisions, 3, 0 and 2 are left",
    ):
        walk(decisions(15, horizon=2), 5, 4, 4, train_dev=2)
    with pytest.raises(SplitError, match="train=4, train_dev=3, validation=2 and test=3 need 12 d"):
        walk(decisions(10), 4, 2, 3, train_dev=3)
    with pytest.raises(SplitError, match=r"train_dev=-1, .*needs lengths above 0"):
        walk(decisions(11), 4, 2, 3, train_dev=-1)


def test_a_test_block_ends_with_its_session_and_a_short_remainder_is_dropped():
    # Days of 7: after the first day, blocks of 4 are 7-10 and 11-13 (3 is more than half), then
    # 14-17 and 18-20; with blocks of 5 the remainder of 2 is dropped.
    folds = walk(decisions(21, day=7), 5, 2, 4)
    assert [blocks(fold)[2] for fold in folds] == [
        [7, 8, 9, 10], [11, 12, 13], [14, 15, 16, 17], [18, 19, 20],
    ]  # fmt: skip
    assert [fold.n_dropped for fold in folds] == [0, 0, 0, 0]
    folds = walk(decisions(21, day=7), 5, 2, 5)
    assert [blocks(fold)[2] for fold in folds] == [[7, 8, 9, 10, 11], [14, 15, 16, 17, 18]]
    assert [fold.n_dropped for fold in folds] == [0, 4]
    # What was dropped from testing is still learned from.
    assert blocks(folds[1])[:2] == ([7, 8, 9, 10, 11], [12, 13])


def test_days_count_whole_sessions():
    folds = walk(decisions(24, day=4), 2, 1, 2, unit="days")
    assert [blocks(fold) for fold in folds] == [
        (list(range(8)), list(range(8, 12)), list(range(12, 20))),
        (list(range(8, 16)), list(range(16, 20)), list(range(20, 24))),
    ]


def test_days_without_decisions_do_not_count():
    made = decisions(12, day=4)
    made["session"] = made["session"] * 3
    (fold,) = walk(made, 1, 1, 1, unit="days")
    assert blocks(fold) == ([0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11])


def test_seconds_count_trading_time_only():
    # Two days of 20 decisions, one a second: the night between them takes no time.
    folds = walk(decisions(40, day=20), 10, 5, 7, unit="seconds")
    assert [blocks(fold) for fold in folds] == [
        (list(range(10)), list(range(10, 15)), list(range(15, 20))),
        (list(range(5, 15)), list(range(15, 20)), list(range(20, 27))),
        (list(range(12, 22)), list(range(22, 27)), list(range(27, 34))),
        (list(range(19, 29)), list(range(29, 34)), list(range(34, 40))),
    ]


def test_seconds_follow_the_clock_through_uneven_decisions():
    at = np.array([0, 1, 2, 10, 11, 20, 21, 22, 23, 29])
    made = {"decided_ns": at * SECOND, "label_end_ns": at * SECOND, "session": np.zeros(10, int)}
    folds = walk(made, 10, 10, 5, unit="seconds")
    assert [blocks(fold) for fold in folds] == [
        ([0, 1, 2], [3, 4], [5, 6, 7, 8]),
        ([3, 4], [5, 6, 7, 8], [9]),
    ]


def test_a_holdout_takes_fractions_and_purges_the_same_way():
    fold = holdout_fold(**decisions(20, horizon=1), train=0.5, validation=0.2, test=0.3)
    assert blocks(fold) == (list(range(9)), [10, 11, 12], list(range(14, 20)))
    assert fold.n_purged == 2
    partial = holdout_fold(**decisions(20), train=0.25, validation=0.25, test=0.25)
    assert blocks(partial) == (list(range(5)), list(range(5, 10)), list(range(10, 15)))


def test_a_holdout_may_have_a_train_dev_part():
    fold = holdout_fold(
        **decisions(20, horizon=1), train=0.4, train_dev=0.1, validation=0.2, test=0.3
    )
    assert blocks(fold) == (list(range(7)), [10, 11, 12], list(range(14, 20)))
    assert (fold.train_dev.tolist(), fold.n_purged) == ([8], 3)
    with pytest.raises(SplitError, match=r"train_dev=0\.5, .*add up to at most 1"):
        holdout_fold(**decisions(20), train=0.4, train_dev=0.5, validation=0.2, test=0.3)


def test_too_few_decisions_name_the_windows():
    with pytest.raises(
        SplitError,
        match="train=60, validation=10 and test=20 need 90 decisions, got 10; shorten the windows "
        "or load more days",
    ):
        walk(decisions(10), 60, 10, 20)
    with pytest.raises(SplitError, match="need 4 days, got 3; shorten"):
        walk(decisions(12, day=4), 2, 1, 1, unit="days")
    with pytest.raises(SplitError, match=r"need 90 seconds, got 20\b"):
        walk(decisions(21), 60, 10, 20, unit="seconds")
    with pytest.raises(SplitError, match=r"no session has half a test block \(6 decisions\) left"):
        walk(decisions(60, day=5), 10, 5, 12)


def test_a_block_that_the_purge_empties_is_an_error():
    with pytest.raises(SplitError, match=r"fold 0: of 3 train and 6 validation.*0 and 3 are left"):
        walk(decisions(12, horizon=3), 3, 6, 3)
    with pytest.raises(SplitError, match="2 and 0 are left whose labels were known before"):
        holdout_fold(**decisions(20, horizon=8), train=0.5, validation=0.2, test=0.3)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"train": 0}, "needs lengths above 0"),
        ({"test": float("nan")}, "needs lengths above 0"),
        ({"train": 4.5}, "needs whole numbers of decisions"),
        ({"embargo_ns": -1}, "embargo >= 0"),
        ({"mode": "sliding"}, "mode is rolling or expanding"),
        ({"unit": "weeks"}, "unit is decisions, seconds or days"),
    ],
)
def test_lengths_that_make_no_sense_are_refused(change: dict[str, Any], match: str):
    options = {"mode": "rolling", "unit": "decisions", "train": 4, "validation": 2, "test": 3}
    with pytest.raises(SplitError, match=match):
        walk_forward_folds(**decisions(12), **options | change)


def test_fractions_that_make_no_sense_are_refused():
    for train, validation, test in [(0.5, 0.3, 0.3), (0.5, 0.0, 0.5), (-0.1, 0.5, 0.5)]:
        with pytest.raises(SplitError, match="fractions above 0 that add up to at most 1"):
            holdout_fold(**decisions(20), train=train, validation=validation, test=test)
    with pytest.raises(SplitError, match=r"test=0\.01 of 20 decisions is none"):
        holdout_fold(**decisions(20), train=0.5, validation=0.3, test=0.01)


@pytest.mark.parametrize(
    ("break_it", "match"),
    [
        (lambda made: made["decided_ns"].__setitem__(3, 0), "must be in time order"),
        (lambda made: made["session"].__setitem__(0, 1), "must be in time order"),
        (lambda made: made["label_end_ns"].__setitem__(3, 0), "decision 3: label_end_ns is before"),
        (lambda made: made.update(session=made["session"][1:]), "need one"),
    ],
)
def test_unordered_decisions_are_refused(break_it: Callable[[dict[str, IntArray]], None], match):
    made = decisions(12)
    break_it(made)
    with pytest.raises(SplitError, match=match):
        walk(made, 4, 2, 3)


def test_the_drawing_shows_every_block():
    folds = walk(decisions(24, horizon=1), 8, 4, 6)
    assert draw_folds(folds, decisions(24)["decided_ns"], width=24).splitlines() == [
        "  0 |*******.vvv.xxxxxx      |",
        "  1 |      *******.vvv.xxxxxx|",
        "     * train   v validation   x test   . purged: label_end >= first decision of the next "
        "block",
    ]
    coarse = draw_folds(folds, decisions(24)["decided_ns"], width=6).splitlines()
    assert coarse[:2] == ["  0 |*..xx |", "  1 | **..x|"]


def test_the_drawing_marks_train_dev_and_says_what_the_dots_are():
    made = decisions(18, horizon=1)
    drawn = draw_folds(walk(made, 6, 4, 4, train_dev=4), made["decided_ns"], width=18)
    assert drawn.splitlines() == [
        "  0 |*****.ddd.vvv.xxxx|",
        "     * train   d train-dev   v validation   x test   . purged: label_end >= first "
        "decision of the next block",
    ]


def test_blocks_tell_where_each_part_lies_and_how_many_decisions_it_holds():
    made = decisions(18, horizon=1)
    (fold,) = walk(made, 6, 4, 4, train_dev=4)
    assert fold_blocks(fold, made["decided_ns"]) == [
        {"part": "train", "start_ns": 0, "end_ns": 4 * SECOND, "n": 5},
        {"part": "train_dev", "start_ns": 6 * SECOND, "end_ns": 8 * SECOND, "n": 3},
        {"part": "validation", "start_ns": 10 * SECOND, "end_ns": 12 * SECOND, "n": 3},
        {"part": "test", "start_ns": 14 * SECOND, "end_ns": 17 * SECOND, "n": 4},
    ]
    (plain,) = walk(made, 8, 4, 6)
    named = [(block["part"], block["n"]) for block in fold_blocks(plain, made["decided_ns"])]
    assert named == [("train", 7), ("validation", 3), ("test", 6)]


WALKS = {
    "made": timetables(),
    "mode": st.sampled_from(["rolling", "expanding"]),
    "unit": st.sampled_from(["decisions", "seconds", "days"]),
    "lengths": st.tuples(st.integers(1, 60), st.integers(1, 20), st.integers(1, 20)),
    "embargo_ns": st.sampled_from([0, 1, 3 * SECOND, 30 * SECOND]),
}


def walk_or_reject(made, mode, unit, lengths, embargo_ns) -> list[Fold]:
    train, validation, test = (max(1, n // 15) if unit == "days" else n for n in lengths)
    try:
        return walk_forward_folds(
            **made, mode=mode, unit=unit, train=train, validation=validation, test=test,
            embargo_ns=embargo_ns,
        )  # fmt: skip
    except SplitError:
        reject()


@settings(max_examples=120, deadline=None)
@given(**WALKS)
def test_no_training_label_is_known_after_the_test_block_begins(
    made, mode, unit, lengths, embargo_ns
):
    for fold in walk_or_reject(made, mode, unit, lengths, embargo_ns):
        learned = np.concatenate([fold.train, fold.validation])
        test_start_ns = made["decided_ns"][fold.test].min()
        assert made["label_end_ns"][learned].max() < test_start_ns - embargo_ns
        assert made["label_end_ns"][fold.train].max() < made["decided_ns"][fold.validation].min()
        assert fold.train_end_ns == made["label_end_ns"][learned].max()
        assert fold.test_start_ns == test_start_ns
        assert fold.test_end_ns == made["decided_ns"][fold.test].max()


@settings(max_examples=80, deadline=None)
@given(**WALKS)
def test_every_decision_whose_label_was_known_in_time_is_kept(
    made, mode, unit, lengths, embargo_ns
):
    label_end_ns, decided_ns = made["label_end_ns"], made["decided_ns"]
    for fold in walk_or_reject(made, mode, "decisions", lengths, embargo_ns):
        stop, middle = fold.test[0], fold.test[0] - lengths[1]
        first = 0 if mode == "expanding" else middle - lengths[0]
        in_time = label_end_ns < decided_ns[stop] - embargo_ns
        before_choice = label_end_ns < decided_ns[middle]
        train = [i for i in range(first, middle) if in_time[i] and before_choice[i]]
        validation = [i for i in range(middle, stop) if in_time[i]]
        assert (fold.train.tolist(), fold.validation.tolist()) == (train, validation)
        assert fold.n_purged == stop - first - len(train) - len(validation)


@settings(max_examples=80, deadline=None)
@given(**WALKS)
def test_test_blocks_do_not_overlap_and_miss_only_what_is_counted(
    made, mode, unit, lengths, embargo_ns
):
    folds = walk_or_reject(made, mode, unit, lengths, embargo_ns)
    for fold in folds:
        parts = (fold.train, fold.validation, fold.test)
        assert all(part.size and np.all(np.diff(part) > 0) for part in parts)
        assert fold.train[-1] < fold.validation[0] <= fold.validation[-1] < fold.test[0]
        if unit != "days":
            assert np.ptp(made["session"][fold.test]) == 0
    tested = np.concatenate([fold.test for fold in folds])
    assert np.all(np.diff(tested) > 0)
    dropped = sum(fold.n_dropped for fold in folds)
    assert made["session"].size - tested[0] - tested.size <= dropped
    if unit == "decisions":
        assert made["session"].size - lengths[0] - lengths[1] - tested.size == dropped


@settings(max_examples=100, deadline=None)
@given(**WALKS, cut=st.floats(0.3, 1))
def test_later_decisions_change_no_earlier_fold(made, mode, unit, lengths, embargo_ns, cut: float):
    folds = walk_or_reject(made, mode, unit, lengths, embargo_ns)
    # Whole sessions are kept, so that no test block is cut anew at the end.
    last_session = made["session"][int(cut * (made["session"].size - 1))]
    kept = made["session"] <= last_session
    fewer = {name: values[kept] for name, values in made.items()}
    if unit == "days":
        folds = [fold for fold in folds if made["session"][fold.test[-1]] <= last_session]
    earlier = [fold for fold in folds if kept[fold.test[-1]]]
    again = walk_or_reject(fewer, mode, unit, lengths, embargo_ns)
    for one, other in zip(earlier, again, strict=False):
        assert blocks(one) == blocks(other)
        assert one.train_end_ns == other.train_end_ns
    assert len(again) >= len(earlier)
