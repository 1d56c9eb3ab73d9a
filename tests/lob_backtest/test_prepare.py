"""Decisions, labels and folds that a model and its baselines share."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lob_backtest.config import DecisionsConfig, LabelConfig, WalkForwardConfig
from lob_backtest.errors import SplitError
from lob_backtest.labels import classify, fit_threshold
from lob_backtest.prepare import prepare, prepare_holdout
from lob_backtest.questions import decisions_of, moves_of, past_move_ticks
from tests.lob_backtest.books import SECOND, book_from_mids, random_book, spliced
from tests.lob_backtest.judged import DATA, WALK_FORWARD, walk


def test_unknown_labels_are_left_out_of_train_and_validation_and_stay_in_test():
    prepared = walk().prepared
    in_test = 0
    for fold in prepared.folds:
        labels = prepared.labels(fold)
        assert labels[fold.train].min() >= 0
        assert labels[fold.validation].min() >= 0
        assert np.diff(fold.test).max() == 1
        in_test += int((labels[fold.test] < 0).sum())
    assert in_test > 0


def test_a_fold_is_labelled_by_the_threshold_of_its_train_part_alone():
    prepared = walk().prepared
    for fold in prepared.folds:
        moves = prepared.moves.move_ticks[fold.train]
        threshold = fit_threshold(moves, flat_share=1 / 3)
        assert prepared.threshold(fold) == threshold
        expected = classify(prepared.moves.move_ticks, threshold_ticks=threshold)
        assert prepared.labels(fold).tolist() == expected.tolist()


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("mid_move", [3.0, -3.0]),  # 14 - 11; 13 - 16
        ("smoothed", [4.5, -0.5]),  # (13 + 14)/2 - (7 + 11)/2; (16 + 13)/2 - (14 + 16)/2
        ("smoothed_forward", [2.5, -1.5]),  # (13 + 14)/2 - 11; (16 + 13)/2 - 16
    ],
)
def test_each_kind_of_label_measures_its_own_move(kind, expected):
    mids = [10, 7, 11, 13, 14, 16, 16, 13]
    book = book_from_mids(mids)
    label = LabelConfig(kind=kind, horizon_events=2)
    decisions = decisions_of(book, DecisionsConfig(every_events=1), window=1)
    moves = moves_of(book, decisions, label).move_ticks
    assert moves[[2, 5]].tolist() == expected


def test_a_given_threshold_holds_in_every_fold():
    label = replace(DATA.label, threshold_ticks=1.5)
    prepared = prepare(
        walk().book, data=replace(DATA, label=label), walk_forward=WALK_FORWARD
    )  # fmt: skip
    assert {prepared.threshold(fold) for fold in prepared.folds} == {1.5}


def test_predictions_carry_what_was_known_before_their_part():
    prepared = walk().prepared
    fold = prepared.folds[0]
    third = np.full((fold.test.size, 3), 1 / 3)
    test = prepared.predictions(fold, "test", third)
    assert set(test.train_end_ns.tolist()) == {fold.train_end_ns}
    validation = prepared.predictions(fold, "validation", third[: fold.validation.size])
    expected = prepared.moves.label_end_ns[fold.train].max()
    assert set(validation.train_end_ns.tolist()) == {expected}
    assert expected < validation.decided_ns[0]
    assert validation.label_end_ns.max() < test.decided_ns[0]


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(300, 1400))
def test_changing_the_future_changes_no_earlier_fold(seed, first_changed):
    rng = np.random.default_rng(seed)
    book, other = random_book(rng, 1500, 1, 2), random_book(rng, 1500, 1, 2)
    changed_ns = book.time_ns[first_changed]
    before = prepare(book, data=DATA, walk_forward=WALK_FORWARD)
    after = prepare(
        spliced(book, other, first_changed), data=DATA, walk_forward=WALK_FORWARD
    )  # fmt: skip
    for fold, same in zip(before.folds, after.folds, strict=True):
        if fold.train_end_ns >= changed_ns:
            break
        assert fold.train.tolist() == same.train.tolist()
        assert before.threshold(fold) == after.threshold(same)
        known = before.moves.label_end_ns < changed_ns
        assert (before.labels(fold)[known] == after.labels(same)[known]).all()


def test_one_class_only_is_refused_with_counts_and_remedy():
    book = book_from_mids([100.0] * 400)
    with pytest.raises(
        SplitError,
        match=r"fold 0: got one class only among its 9\d train labels \(0 down, 9\d flat",
    ):
        prepare(book, data=DATA, walk_forward=replace(WALK_FORWARD, validation=20, test=20))


def test_too_few_decisions_say_how_many_are_needed():
    with pytest.raises(SplitError, match="need 1010 decisions, got"):
        prepare(
            walk().book,
            data=DATA,
            walk_forward=WalkForwardConfig(train=1000, validation=5, test=5),
        )


def test_a_holdout_is_one_fold_in_time_order():
    prepared = prepare_holdout(walk().book, data=DATA, train=0.6, validation=0.2, test=0.2)
    (fold,) = prepared.folds
    assert fold.train.max() < fold.validation.min() <= fold.validation.max() < fold.test.min()
    assert fold.test.max() == prepared.decisions.n - 1


def test_past_moves_end_at_the_decision_and_are_0_where_the_session_is_younger():
    book = book_from_mids(
        [100, 101, 103, 106, 110, 200, 201], at_seconds=[0, 1, 2, 3, 4, 86400, 86401]
    )
    decisions = decisions_of(book, DecisionsConfig(every_events=1), window=1)
    events = past_move_ticks(book, decisions, LabelConfig(horizon_events=2))
    assert events.tolist() == [0, 0, 3, 5, 7, 0, 0]
    clock = past_move_ticks(book, decisions, LabelConfig(horizon_ms=1000))
    assert clock.tolist() == [0, 1, 2, 3, 4, 0, 1]


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (DecisionsConfig(every_ms=2000), [0, 2, 4]),
        (DecisionsConfig(every_events=3), [2]),
        (DecisionsConfig(on="mid_change"), [3]),
    ],
)
def test_each_way_to_decide_is_reached_from_the_config(config, expected):
    book = book_from_mids([100, 100, 100, 101, 101])
    decisions = decisions_of(book, config, window=1)
    assert ((decisions.decided_ns - book.time_ns[0]) // SECOND).tolist() == expected
