"""No leak from book to baseline: whatever comes after an instant changes nothing before it.

A book is kept up to an instant and given another future: other prices, sizes, times, length and
sessions. All that was decided, known, fitted or predicted by then must be the same to the last bit.
"""

from dataclasses import dataclass

import numpy as np
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from lob_backtest.baselines import BaselineInputs, fit_predict
from lob_backtest.book import Book
from lob_backtest.costs import Costs
from lob_backtest.decisions import (
    Decisions,
    decide_every_events,
    decide_every_ns,
    decide_on_mid_change,
)
from lob_backtest.errors import LabelError, SplitError
from lob_backtest.execution import Execution
from lob_backtest.features import hand_features
from lob_backtest.labels import (
    Moves,
    classify,
    executable_moves,
    fit_threshold,
    mid_moves,
    smoothed_moves,
    triple_barrier_moves,
)
from lob_backtest.latency import DrawnLatency, FixedLatency, Latency
from lob_backtest.normalize import fit_normalizer
from lob_backtest.orders import Orders, orders_from_targets
from lob_backtest.signals import block_bounds, target_positions
from lob_backtest.splits import Fold, walk_forward_folds
from tests.lob_backtest.books import DAY, SECOND, books, random_book, with_other_future


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A book, the same book with another future, and what is shared: the first ``cut`` rows."""

    book: Book
    changed: Book
    cut: int

    @property
    def now_ns(self) -> int:
        """The last instant that both books share."""
        return int(self.book.time_ns[self.cut - 1])


@st.composite
def pairs(draw: st.DrawFn, *, min_rows: int = 60, max_rows: int = 250) -> Pair:
    book = draw(books(min_rows=min_rows, max_rows=max_rows, max_levels=2))
    seed = draw(st.integers(0, 2**32 - 1))
    n_rows, n_sessions = draw(st.integers(5, 200)), draw(st.integers(1, 3))
    other = random_book(np.random.default_rng(seed), n_rows, book.n_levels, n_sessions)
    # After the last row of an instant: a packet is known whole or not at all.
    cut = draw(st.sampled_from((np.flatnonzero(book.is_last_of_instant) + 1).tolist()))
    after_ns = draw(st.sampled_from([1, SECOND, 20 * SECOND, DAY]))
    changed = with_other_future(book, other, cut, after_ns=after_ns)
    return Pair(book=book, changed=changed, cut=cut)


KINDS = st.sampled_from(["clock", "events", "mid"])
HORIZONS = st.sampled_from(
    [{"horizon_ns": 3 * SECOND}, {"horizon_ns": SECOND // 2}, {"horizon_events": 7}]
)
LABEL_KINDS = ("mid", "smoothed", "one-sided", "triple-barrier", "executable")
LABELS = st.sampled_from(LABEL_KINDS)


def decide(book: Book, kind: str, window: int) -> Decisions:
    try:
        if kind == "clock":
            return decide_every_ns(book, step_ns=SECOND, window=window)
        if kind == "events":
            return decide_every_events(book, step_events=3, window=window)
        return decide_on_mid_change(book, window=window)
    except LabelError:
        reject()  # too short a book for this window


def label(book: Book, decisions: Decisions, kind: str, horizon: dict[str, int]) -> Moves:
    if kind == "mid":
        return mid_moves(book, decisions, **horizon)
    if kind == "triple-barrier":
        return triple_barrier_moves(
            book, decisions, **horizon, barrier_volatilities=1.0, volatility_decisions=4
        )
    if kind == "executable":
        return executable_moves(
            book, decisions, **horizon, costs=Costs.proportional(0.1), latency_ns=SECOND // 4,
            units=1.0,
        )  # fmt: skip
    return smoothed_moves(book, decisions, **horizon, two_sided=kind == "smoothed")


def fold_of(decisions: Decisions, moves: Moves, mode: str, unit: str, lengths) -> list[Fold]:
    train, validation, test = lengths[unit]
    return walk_forward_folds(
        decisions.decided_ns, moves.label_end_ns, decisions.session,
        mode=mode, unit=unit, train=train, validation=validation, test=test,
    )  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(pair=pairs(), kind=KINDS, window=st.integers(1, 12))
def test_the_future_changes_no_decision_and_no_feature_before_it(
    pair: Pair, kind: str, window: int
):
    one, other = (decide(book, kind, window) for book in (pair.book, pair.changed))
    kept, same = one.decided_ns <= pair.now_ns, other.decided_ns <= pair.now_ns
    for name in ("rows", "decided_ns", "session"):
        assert getattr(one, name)[kept].tolist() == getattr(other, name)[same].tolist()
    features = hand_features(pair.book, one).values[kept]
    again = hand_features(pair.changed, other).values[same]
    np.testing.assert_array_equal(features, again)


@settings(max_examples=100, deadline=None)
@given(pair=pairs(), kind=KINDS, labels=LABELS, horizon=HORIZONS)
def test_the_future_changes_no_label_that_was_known_before_it(
    pair: Pair, kind: str, labels: str, horizon: dict[str, int]
):
    one, other = (decide(book, kind, 1) for book in (pair.book, pair.changed))
    moves = label(pair.book, one, labels, horizon)
    again = label(pair.changed, other, labels, horizon)
    known = np.flatnonzero((moves.label_end_ns <= pair.now_ns) & np.isfinite(moves.move_ticks))
    assert moves.move_ticks[known].tolist() == again.move_ticks[known].tolist()
    assert moves.label_end_ns[known].tolist() == again.label_end_ns[known].tolist()


def test_a_label_that_was_not_known_yet_does_depend_on_the_future():
    # The property above would hold for labels that look nowhere.
    book = random_book(np.random.default_rng(0), 200)
    cut = int(np.flatnonzero(book.is_last_of_instant)[60]) + 1
    other = random_book(np.random.default_rng(1), 200)
    pair = Pair(book=book, changed=with_other_future(book, other, cut, after_ns=SECOND), cut=cut)
    for kind in LABEL_KINDS:
        made = [
            label(b, decide(b, "events", 1), kind, {"horizon_events": 7})
            for b in (pair.book, pair.changed)
        ]
        open_at_cut = (made[0].label_end_ns > pair.now_ns) & (
            decide(book, "events", 1).decided_ns <= pair.now_ns
        )
        of_both = [moves.move_ticks[np.flatnonzero(open_at_cut)] for moves in made]
        assert open_at_cut.any()
        assert of_both[0].tolist() != of_both[1].tolist()


@settings(max_examples=60, deadline=None)
@given(
    pair=pairs(),
    prices=st.sampled_from(["slow_mean", "mid", "absolute"]),
    sizes=st.sampled_from(["log", "raw"]),
)
def test_the_future_changes_no_normalization_and_no_model_input_before_it(
    pair: Pair, prices: str, sizes: str
):
    one, other = (
        fit_normalizer(
            book, start_row=0, stop_row=pair.cut, prices=prices, slow_mean_rows=20, sizes=sizes
        )
        for book in (pair.book, pair.changed)
    )
    assert one == other
    before = one.transform(pair.book)[: pair.cut]
    np.testing.assert_array_equal(before, other.transform(pair.changed)[: pair.cut])


WALKS = {
    "kind": KINDS,
    "labels": LABELS,
    "horizon": HORIZONS,
    "mode": st.sampled_from(["rolling", "expanding"]),
    "unit": st.sampled_from(["decisions", "seconds", "days"]),
    "lengths": st.fixed_dictionaries(
        {
            "decisions": st.tuples(st.integers(5, 30), st.integers(5, 12), st.integers(3, 12)),
            "seconds": st.tuples(st.floats(10, 60), st.floats(6, 30), st.floats(3, 30)),
            "days": st.just((1, 1, 1)),
        }
    ),
}


@settings(max_examples=150, deadline=None)
@given(pair=pairs(), **WALKS)
def test_the_future_changes_no_finished_fold_threshold_or_prediction(
    pair: Pair, kind, labels, horizon, mode, unit, lengths
):
    runs = []
    for book in (pair.book, pair.changed):
        decisions = decide(book, kind, 4)
        moves = label(book, decisions, labels, horizon)
        try:
            runs.append((book, decisions, moves, fold_of(decisions, moves, mode, unit, lengths)))
        except SplitError:
            reject()
    folds, again = runs[0][3], runs[1][3]
    # A test block is finished once the next one has begun.
    finished = sum(fold.test_start_ns <= pair.now_ns for fold in folds[1:])
    assert len(again) >= finished
    for one, other in zip(folds[:finished], again[:finished], strict=True):
        for name in ("train", "validation", "test"):
            assert getattr(one, name).tolist() == getattr(other, name).tolist()
        assert one.train_end_ns == other.train_end_ns
        assert outcome(*runs[0][:3], one) == outcome(*runs[1][:3], other)


def outcome(book: Book, decisions: Decisions, moves: Moves, fold: Fold) -> list[object]:
    """What is fitted on a fold's train part and predicted for its test part."""
    known = fold.train[np.isfinite(moves.move_ticks[fold.train])]
    if known.size == 0:
        return []
    threshold = fit_threshold(moves.move_ticks[known])
    found = classify(moves.move_ticks, threshold_ticks=threshold)
    if np.unique(found[known]).size < 2:
        return [threshold]
    inputs = BaselineInputs(
        features=hand_features(book, decisions), past_move_ticks=np.zeros(decisions.n)
    )
    asked = {"labels": found, "train": known, "wanted": fold.test, "threshold_ticks": threshold}
    return [threshold] + [
        fit_predict(name, inputs, **asked).tolist() for name in ("imbalance", "logistic")
    ]


LATENCIES = st.sampled_from(
    [
        FixedLatency(ns=0),
        FixedLatency(ns=SECOND // 3),
        DrawnLatency(median_ns=SECOND // 2, p99_ns=9 * SECOND, seed=5),
    ]
)


@settings(max_examples=150, deadline=None)
@given(
    pair=pairs(),
    kind=KINDS,
    latency=LATENCIES,
    how=st.sampled_from(["walk", "touch", "passive"]),
    sizing=st.sampled_from(["full", "confidence"]),
    is_flat=st.booleans(),
    fold_length=st.integers(3, 40),
)
def test_the_future_changes_no_order_that_was_executed_before_it(
    pair: Pair,
    kind: str,
    latency: Latency,
    how: str,
    sizing: str,
    is_flat: bool,
    fold_length: int,
):
    execution = Execution(kind=how, latency=latency, flat_at_session_end=is_flat)
    one, other = (
        executed(book, decide(book, kind, 1), execution, sizing=sizing, fold_length=fold_length)
        for book in (pair.book, pair.changed)
    )
    assert before(one, pair) == before(other, pair)


def executed(
    book: Book, decisions: Decisions, execution: Execution, *, sizing: str, fold_length: int
) -> Orders:
    """Orders of a model that leans to the larger side of the touch; none of them left out."""
    fold = np.arange(decisions.n) // fold_length
    bid, ask = book.bid_size[decisions.rows, 0], book.ask_size[decisions.rows, 0]
    share = 0.9 * np.stack([ask, bid]) / (bid + ask)
    starts, _ = block_bounds(fold, decisions.session * execution.flat_at_session_end)
    targets = target_positions(
        np.column_stack([share[0], np.full(decisions.n, 0.1), share[1]]),
        threshold=0.5,
        hold_decisions=2,
        position_limit=150.0,
        starts=starts,
        sizing=sizing,
        size_steps=4,
        unit_limit=1e6 / book.mid_ticks[decisions.rows],
    )
    return orders_from_targets(book, decisions.decided_ns, fold, targets, execution=execution)


def before(orders: Orders, pair: Pair) -> list[tuple[object, ...]]:
    """What was executed by the cut. When its session ends is in the calendar, so where either book
    ends its session there, what the close forces in that row is left out."""
    last = pair.cut - 1
    closes_there = any(last + 1 in book.session_starts for book in (pair.book, pair.changed))
    known = orders.row < (last if closes_there else pair.cut)
    names = ("fold", "row", "time_ns", "decided_ns", "size", "mid", "price", "is_maker",
             "above_touch", "beyond_book", "forced")  # fmt: skip
    return list(zip(*(getattr(orders, name)[known].tolist() for name in names), strict=True))


def test_orders_that_were_open_at_the_cut_do_depend_on_the_future():
    # The property above would hold for orders that are never sent.
    book = random_book(np.random.default_rng(0), 300)
    cut = int(np.flatnonzero(book.is_last_of_instant)[150]) + 1
    other = random_book(np.random.default_rng(1), 200)
    pair = Pair(book=book, changed=with_other_future(book, other, cut, after_ns=SECOND), cut=cut)
    for how in ("walk", "touch", "passive"):
        execution = Execution(kind=how, latency=DrawnLatency(median_ns=SECOND, p99_ns=9 * SECOND))
        one, changed = (
            executed(each, decide(each, "events", 1), execution, sizing="full", fold_length=30)
            for each in (pair.book, pair.changed)
        )
        shared = before(one, pair)
        assert shared == before(changed, pair)
        assert len(shared) > 4
        late = [orders.price[len(shared) : len(shared) + 20].tolist() for orders in (one, changed)]
        assert late[0] != late[1]


@settings(max_examples=150, deadline=None)
@given(
    book=books(min_rows=60, max_rows=250, max_levels=1),
    embargo_ns=st.sampled_from([0, SECOND]),
    **WALKS,
)
def test_no_training_label_is_known_after_the_test_block_begins(
    book: Book, embargo_ns, kind, labels, horizon, mode, unit, lengths
):
    decisions = decide(book, kind, 1)
    moves = label(book, decisions, labels, horizon)
    train, validation, test = lengths[unit]
    try:
        folds = walk_forward_folds(
            decisions.decided_ns, moves.label_end_ns, decisions.session, mode=mode, unit=unit,
            train=train, validation=validation, test=test, embargo_ns=embargo_ns,
        )  # fmt: skip
    except SplitError:
        reject()
    for fold in folds:
        learned = np.concatenate([fold.train, fold.validation])
        first_test_ns = decisions.decided_ns[fold.test[0]]
        assert moves.label_end_ns[learned].max() < first_test_ns - embargo_ns
        # So no row that a training label used is newer than what the first test decision knows.
        last_used = book.row_known_at(moves.label_end_ns[learned]).max()
        assert last_used <= decisions.rows[fold.test[0]]


@settings(max_examples=80, deadline=None)
@given(book=books(max_levels=1), kind=KINDS, window=st.integers(1, 12))
def test_no_window_crosses_a_session(book: Book, kind: str, window: int):
    decisions = decide(book, kind, window)
    windows = decisions.rows[:, None] - np.arange(window)
    assert windows.min() >= 0
    assert np.all(book.session[windows] == decisions.session[:, None])
