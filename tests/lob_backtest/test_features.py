"""Hand-made features: by hand, and against a plain loop over the definitions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lob_backtest.book import Book
from lob_backtest.decisions import Decisions, decide_every_events
from lob_backtest.errors import LabelError
from lob_backtest.features import HandFeatures, hand_features, order_flow_events
from tests.lob_backtest.books import META, book_from_mids, books, random_book, seconds


def every_row(book: Book) -> Decisions:
    return decide_every_events(book, step_events=1, window=1)


def one_level_book(rows: list[tuple[int, float, int, float]], at=None) -> Book:
    """Rows of ask, ask size, bid, bid size."""
    ask, ask_size, bid, bid_size = (np.array(column)[:, None] for column in zip(*rows, strict=True))
    return Book(
        meta=META,
        time_ns=seconds(range(len(rows)) if at is None else at),
        ask_ticks=ask,
        ask_size=ask_size.astype(np.float64),
        bid_ticks=bid,
        bid_size=bid_size.astype(np.float64),
    )


def test_touch_features_by_hand():
    # Three quarters of the touch is bid: the micro-price lies half way from the mid to the ask.
    book = one_level_book([(104, 1, 100, 3), (104, 3, 101, 1)])
    features = hand_features(book, every_row(book))
    assert features.column("spread").tolist() == [4, 3]
    assert features.column("imbalance_1").tolist() == [0.5, -0.5]
    assert features.column("micro_price").tolist() == [1, -0.75]
    assert features.column("ask_price_1").tolist() == [2, 1.5]
    assert features.column("bid_price_1").tolist() == [-2, -1.5]
    np.testing.assert_allclose(features.column("ask_size_1"), np.log([2, 4]), rtol=1e-15)


def test_order_flow_by_hand():
    # Each row against the one before, as Cont, Kukanov and Stoikov count:
    book = one_level_book(
        [
            (102, 5, 100, 5),
            (102, 5, 100, 8),  # 3 more bid                        8 - 5             =  3
            (102, 2, 100, 8),  # 3 less offered                    5 - 2             =  3
            (102, 2, 101, 4),  # a better bid of 4                 4                 =  4
            (103, 6, 101, 4),  # the ask of 2 is gone              2                 =  2
            (103, 6, 100, 8),  # the bid of 4 is gone             -4                 = -4
            (101, 1, 100, 8),  # a better offer of 1              -1                 = -1
            (101, 4, 100, 2),  # less bid, more offered           (2 - 8) + (1 - 4)  = -9
        ]
    )
    assert order_flow_events(book, 0).tolist() == [0, 3, 3, 4, 2, -4, -1, -9]
    summed = hand_features(book, every_row(book)).column("order_flow_1_over_10")
    assert summed.tolist() == [0, 3, 6, 10, 12, 8, 7, -2]


def test_a_new_session_brings_no_order_flow():
    book = one_level_book([(102, 5, 100, 5), (102, 5, 100, 7)] * 2, at=[0, 1, 86_400, 86_401])
    assert order_flow_events(book, 0).tolist() == [0, 2, 0, 2]


def test_order_flow_leaves_what_is_older_than_its_rows_out():
    book = one_level_book([(102, 5, 100, 5 + i) for i in range(30)])
    features = hand_features(book, every_row(book))
    assert features.column("order_flow_1_over_10").tolist() == [*range(10), *[10] * 20]
    assert features.column("order_flow_1_over_100").tolist() == list(range(30))


def test_past_moves_by_hand_end_at_the_start_of_their_session():
    book = book_from_mids([100, 101, 103, 200, 204], at_seconds=[0, 1, 2, 86_400, 86_401])
    features = hand_features(book, every_row(book))
    assert features.column("move_1").tolist() == [0, 1, 2, 0, 4]
    assert features.column("move_2").tolist() == [0, 1, 3, 0, 4]
    assert features.column("move_500").tolist() == [0, 1, 3, 0, 4]


def test_volatility_by_hand():
    # Root mean square of 1 and 2, of 1, 2 and 2; a new session starts anew.
    times = [0, 1, 2, 3, 86_400, 86_401]
    book = book_from_mids([100, 101, 103, 101, 300, 302], at_seconds=times)
    volatility = hand_features(book, every_row(book)).column("volatility")
    np.testing.assert_allclose(volatility, [0, 1, 2.5**0.5, 3**0.5, 0, 2], rtol=1e-15)


def test_a_level_that_is_missing_on_both_sides_is_balanced():
    book = random_book(np.random.default_rng(0), n_rows=500, n_levels=6)
    features = hand_features(book, every_row(book))
    rows = every_row(book).rows
    missing = (book.ask_size[rows, 5] == 0) & (book.bid_size[rows, 5] == 0)
    assert missing.any()
    assert np.all(features.column("imbalance_6")[missing] == 0)


def test_the_names_are_those_of_the_columns():
    book = random_book(np.random.default_rng(0), n_levels=10)
    features = hand_features(book, every_row(book))
    assert len(features.names) == features.values.shape[1] == 12 + 7 * 10
    assert features.names[:4] == ("spread", "micro_price", "move_1", "move_2")
    assert features.names[-2:] == ("order_flow_10_over_10", "order_flow_10_over_100")


def plain_feature(book: Book, row: int, name: str) -> float:
    """One feature of one row, from the definitions."""
    start = book.session_starts[book.session[row]]
    mid = book.mid_ticks
    if name.startswith("move_"):
        return float(mid[row] - mid[max(start, row - int(name[5:]))])
    if name == "volatility":
        steps = np.diff(mid[max(start, row - 100) : row + 1])
        return float(np.sqrt(np.mean(steps**2))) if steps.size else 0.0
    if name == "spread":
        return float(book.ask_ticks[row, 0] - book.bid_ticks[row, 0])
    a, q_a, b, q_b = book.features(row, row + 1)[0][:4]
    if name == "micro_price":
        return (a * q_b + b * q_a) / (q_a + q_b) - mid[row]
    *kind, number = name.split("_over_")[0].split("_")
    level = int(number) - 1
    a, q_a, b, q_b = book.features()[row][4 * level : 4 * level + 4]
    if kind == ["imbalance"]:
        return (q_b - q_a) / (q_b + q_a) if q_b + q_a else 0.0
    if kind == ["order", "flow"]:
        total = 0.0
        for i in range(max(start, row - int(name.split("_over_")[1])) + 1, row + 1):
            (a0, q_a0, b0, q_b0), (a1, q_a1, b1, q_b1) = (
                book.features()[j][4 * level : 4 * level + 4] for j in (i - 1, i)
            )
            total += q_b1 if b1 > b0 else q_b1 - q_b0 if b1 == b0 else -q_b0
            total += -q_a1 if a1 < a0 else q_a0 - q_a1 if a1 == a0 else q_a0
        return total
    return {
        "ask_price": a - mid[row],
        "bid_price": b - mid[row],
        "ask_size": np.log(1 + q_a),
        "bid_size": np.log(1 + q_b),
    }["_".join(kind)]


@settings(max_examples=25, deadline=None)
@given(book=books(max_rows=140, max_levels=2), data=st.data())
def test_features_equal_a_plain_loop_over_the_definitions(book: Book, data: st.DataObject):
    decisions = decide_every_events(book, step_events=7, window=1)
    features = hand_features(book, decisions)
    d = data.draw(st.integers(0, decisions.n - 1))
    expected = [plain_feature(book, int(decisions.rows[d]), name) for name in features.names]
    np.testing.assert_allclose(features.values[d], expected, rtol=1e-9, atol=1e-9)


def test_features_that_are_not_finite_or_do_not_match_their_names_are_refused():
    values = np.array([[1.0, np.inf], [2.0, 3.0]])
    with pytest.raises(LabelError, match=r"features \['b'\] hold NaN or infinity"):
        HandFeatures(values=values, names=("a", "b"))
    with pytest.raises(LabelError, match=r"shape \(2, 2\); need \(D, 1\)"):
        HandFeatures(values=values, names=("a",))
    with pytest.raises(LabelError, match="names repeat"):
        HandFeatures(values=values, names=("a", "a"))
