"""Decisions, labels and folds that a model and its baselines share."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lob_backtest.config import CostsConfig, DecisionsConfig, LabelConfig, WalkForwardConfig
from lob_backtest.errors import ConfigError, CostError, SplitError
from lob_backtest.labels import classify, fit_threshold
from lob_backtest.predictions import UNKNOWN
from lob_backtest.prepare import prepare, prepare_combinatorial, prepare_holdout
from lob_backtest.questions import decisions_of, moves_of, past_move_ticks
from tests.lob_backtest.books import SECOND, book_from_mids, random_book, spliced
from tests.lob_backtest.judged import BACKTEST, DATA, WALK_FORWARD, walk


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


COMBINATORIAL = WalkForwardConfig(mode="combinatorial", groups=5, test_groups=2, embargo_ms=2000)


def test_train_dev_is_learned_from_nowhere_and_has_known_labels_only():
    walk_forward = replace(WALK_FORWARD, train=80, train_dev=20)
    prepared = prepare(walk().book, data=DATA, walk_forward=walk_forward)
    plain = prepare(walk().book, data=DATA, walk_forward=replace(WALK_FORWARD, train=80))
    assert len(prepared.folds) > 1
    taken_off = 0
    for fold in prepared.folds:
        labels = prepared.labels(fold)
        assert labels[fold.train_dev].min() >= 0
        assert fold.train.max() < fold.train_dev.min() <= fold.train_dev.max() < fold.validation[0]
        moves = prepared.moves.move_ticks[fold.train]
        assert prepared.threshold(fold) == fit_threshold(moves, flat_share=1 / 3)
        taken_off += fold.n_unknown
    assert taken_off > 0
    assert all(fold.train_dev.size == 0 for fold in plain.folds)


def test_train_dev_predictions_carry_what_train_had_seen():
    walk_forward = replace(WALK_FORWARD, train=80, train_dev=20)
    prepared = prepare(walk().book, data=DATA, walk_forward=walk_forward)
    fold = prepared.folds[0]
    third = np.full((fold.train_dev.size, 3), 1 / 3)
    table = prepared.predictions(fold, "train_dev", third)
    seen_ns = prepared.moves.label_end_ns[fold.train].max()
    assert (
        set(table.train_end_ns.tolist())
        == {seen_ns}
        == {prepared.train_end_ns(fold, part) for part in ("train_dev", "validation")}
    )
    assert table.decided_ns.tolist() == prepared.decisions.decided_ns[fold.train_dev].tolist()
    assert table.label.tolist() == prepared.labels(fold)[fold.train_dev].tolist()
    assert seen_ns < table.decided_ns[0]
    assert table.label_end_ns.max() < prepared.decisions.decided_ns[fold.validation[0]]
    assert fold.train_end_ns > table.label_end_ns.max()


def test_a_train_dev_block_without_a_known_label_is_refused():
    # Two days of 100 rows, labels over 40: of the first day the last 40 have none. They are all of
    # train-dev, and no purge takes them: they could have looked no further than that day.
    rng = np.random.default_rng(0)
    at = [second + 86_400 * day for day in (0, 1) for second in range(100)]
    book = book_from_mids(100 + np.cumsum(rng.integers(-1, 2, 200)), at_seconds=at)
    data = replace(
        DATA,
        decisions=DecisionsConfig(every_events=1),
        label=LabelConfig(horizon_events=40),
        window=1,
    )
    walk_forward = WalkForwardConfig(train=60, train_dev=40, validation=60, test=40)
    with pytest.raises(SplitError, match="fold 0: got no train-dev decision whose label is known"):
        prepare(book, data=data, walk_forward=walk_forward)


def test_a_kind_that_says_itself_what_is_flat_has_the_threshold_0():
    for kind in ("triple_barrier", "executable"):
        label = LabelConfig(kind=kind, horizon_events=20, volatility_decisions=5)
        free = replace(BACKTEST, costs="none")
        prepared = prepare(
            walk().book, data=replace(DATA, label=label), walk_forward=WALK_FORWARD, backtest=free
        )
        assert {prepared.threshold(fold) for fold in prepared.folds} == {0.0}
        moves = prepared.moves.move_ticks
        for fold in prepared.folds:
            labels = prepared.labels(fold)
            known = np.isfinite(moves)
            assert (labels[known] == np.sign(moves[known]).astype(int) + 1).all()
            assert (labels[~known] == UNKNOWN).all()


def test_nothing_is_judged_on_combinatorial_splits():
    with pytest.raises(ConfigError, match="mode=combinatorial: its splits train on what"):
        prepare(walk().book, data=DATA, walk_forward=COMBINATORIAL)


def test_combinatorial_splits_are_labelled_by_their_own_train_part():
    prepared = prepare_combinatorial(walk().book, data=DATA, walk_forward=COMBINATORIAL)
    assert (len(prepared.splits.folds), prepared.splits.n_paths) == (10, 4)
    unknown_in_test = 0
    for fold in prepared.splits.folds:
        labels = prepared.labels(fold)
        assert labels[fold.train].min() >= 0
        moves = prepared.moves.move_ticks[fold.train]
        assert prepared.threshold(fold) == fit_threshold(moves, flat_share=1 / 3)
        assert np.unique(np.concatenate([fold.train, fold.test])).size == (
            prepared.decisions.n - fold.n_purged - fold.n_embargoed - fold.n_unknown
        )
        unknown_in_test += int((labels[fold.test] < 0).sum())
    assert unknown_in_test > 0


def test_the_embargo_of_combinatorial_splits_comes_from_the_config():
    prepared = prepare_combinatorial(walk().book, data=DATA, walk_forward=COMBINATORIAL)
    decided_ns, label_end_ns = prepared.decisions.decided_ns, prepared.moves.label_end_ns
    for fold in prepared.splits.folds:
        for group in fold.test_groups:
            tested = np.flatnonzero(prepared.splits.group == group)
            after = fold.train[fold.train > tested[-1]]
            assert (decided_ns[after] - label_end_ns[tested].max() > 2 * SECOND).all()


def test_one_class_only_is_refused_for_a_split_too():
    with pytest.raises(SplitError, match=r"split 0: got one class only among its \d+ train labels"):
        prepare_combinatorial(
            book_from_mids([100.0] * 400), data=DATA, walk_forward=COMBINATORIAL
        )  # fmt: skip


def test_costs_of_another_currency_are_refused_before_any_training():
    book = walk().book
    foreign = replace(BACKTEST, costs=CostsConfig(preset="taiwan_stock"))
    ways = [
        lambda: prepare(book, data=DATA, walk_forward=WALK_FORWARD, backtest=foreign),
        lambda: prepare_holdout(
            book, data=DATA, train=0.6, validation=0.2, test=0.2, backtest=foreign
        ),
        lambda: prepare_combinatorial(
            book, data=DATA, walk_forward=WalkForwardConfig(mode="combinatorial"), backtest=foreign
        ),
    ]
    for ask in ways:
        with pytest.raises(CostError, match="charges in TWD, but the book of TEST is in USD"):
            ask()
