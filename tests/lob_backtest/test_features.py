"""Hand-made features: by hand, against a plain loop over the definitions, and standardised."""

import dataclasses
import json
import re
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lob_backtest.book import Book, FloatArray
from lob_backtest.decisions import Decisions, decide_every_events
from lob_backtest.errors import FormatError, LabelError
from lob_backtest.features import (
    HandFeatures,
    HandScaler,
    fit_hand_scaler,
    hand_feature_names,
    hand_features,
    order_flow_events,
    write_hand_features,
)
from tests.lob_backtest.books import META, book_from_mids, books, random_book, seconds


def every_row(book: Book) -> Decisions:
    return decide_every_events(book, step_events=1, window=1)


def with_sizes(book: Book, change: Callable[[FloatArray], FloatArray]) -> Book:
    return dataclasses.replace(book, ask_size=change(book.ask_size), bid_size=change(book.bid_size))


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
    assert features.names == hand_feature_names(10)
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


@settings(max_examples=30, deadline=None)
@given(book=books(max_rows=140, max_levels=2), step=st.integers(1, 9), rows=st.integers(1, 60))
def test_features_come_out_alike_however_long_the_stretches_are(book: Book, step: int, rows: int):
    # Fractional sizes, whose sums round; the longest look is 500 rows, so also with shorter ones.
    book = with_sizes(book, lambda size: size / 7)
    decisions = decide_every_events(book, step_events=step, window=1)
    whole = hand_features(book, decisions).values
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lob_backtest.features._STRETCH_ROWS", rows)
        np.testing.assert_array_equal(hand_features(book, decisions).values, whole)


def test_features_of_short_stretches_look_back_as_far_as_those_of_one(
    monkeypatch: pytest.MonkeyPatch,
):
    book = random_book(np.random.default_rng(6), n_rows=4_000, n_levels=2, n_sessions=3)
    book = with_sizes(book, lambda size: size / 7)
    decisions = every_row(book)
    whole = hand_features(book, decisions).values
    monkeypatch.setattr("lob_backtest.features._STRETCH_ROWS", 130)
    np.testing.assert_array_equal(hand_features(book, decisions).values, whole)


def test_features_depend_on_no_earlier_session():
    book = random_book(np.random.default_rng(7), n_rows=900, n_levels=2, n_sessions=2)
    book = with_sizes(book, lambda size: size / 7)
    start = int(book.session_starts[1])
    alone = book.rows(start, book.n_rows)
    decisions = every_row(book)
    own = decisions.session == 1
    np.testing.assert_array_equal(
        hand_features(book, decisions).values[own], hand_features(alone, every_row(alone)).values
    )


def test_a_huge_order_leaves_no_rounding_behind():
    # A running total would lose whole lots after 2**53, for good.
    sizes = [2.0**53, *[5.25 + i % 2 for i in range(300)]]
    book = one_level_book([(102, 5, 100, size) for size in sizes])
    features = hand_features(book, every_row(book))
    for n in (10, 100):
        flow = features.column(f"order_flow_1_over_{n}")
        expected = [sizes[i] - sizes[i - n] for i in range(n + 1, 301)]
        assert flow[n + 1 :].tolist() == expected


def test_the_file_of_features_holds_them_in_float32(tmp_path: Path):
    book = random_book(np.random.default_rng(8), n_rows=700, n_levels=3, n_sessions=2)
    decisions = decide_every_events(book, step_events=3, window=20)
    path = write_hand_features(book, decisions, tmp_path / "hand.npy")
    values = np.load(path, mmap_mode="r")
    features = hand_features(book, decisions)
    assert values.dtype == np.float32
    np.testing.assert_array_equal(values, features.values.astype(np.float32))
    assert HandFeatures(values=values, names=features.names).column("spread").dtype == np.float32
    assert [file.name for file in tmp_path.iterdir()] == ["hand.npy"]


def test_making_features_holds_little_beside_the_result(tmp_path: Path):
    book = random_book(np.random.default_rng(9), n_rows=200_000, n_levels=1, mean_gap_s=0.01)
    decisions = every_row(book)
    book.session_starts  # noqa: B018 (kept by the book from here on)
    values_bytes = decisions.n * len(hand_feature_names(1)) * 8
    tracemalloc.start()
    try:
        write_hand_features(book, decisions, tmp_path / "hand.npy")
        written = tracemalloc.get_traced_memory()[1]
        tracemalloc.reset_peak()
        hand_features(book, decisions)
        made = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # A stretch of 65,536 rows has some columns in float64 at a time, the result 19 of 200,000.
    assert written < 12 * 65_536 * 8
    assert made - values_bytes < 12 * 65_536 * 8


def test_a_feature_whose_squares_are_below_any_float_has_scale_one():
    tiny = np.array([[1e-300], [3e-300], [2e-300]])
    assert fit_hand_scaler(tiny, np.arange(3), names=("tiny",)).scale == (1.0,)


def test_a_scaler_standardises_by_train_alone_and_cuts_off():
    values = np.array([[1.0, 7.0], [3.0, 7.0], [5.0, 7.0], [1e9, 8.0], [-1e9, 6.0]])
    scaler = fit_hand_scaler(values, np.arange(3), names=("a", "constant"))
    assert scaler.mean == (3.0, 7.0)
    assert scaler.scale == (pytest.approx(np.sqrt(8 / 3)), 1.0)
    scaled = scaler.transform(values)
    assert scaled.dtype == np.float32
    one = np.sqrt(1.5)
    expected = [[-one, 0], [0, 0], [one, 0], [5, 1], [-5, -1]]
    np.testing.assert_allclose(scaled, expected, rtol=1e-6)
    changed = values.copy()
    changed[3:] = 0
    assert fit_hand_scaler(changed, np.arange(3), names=("a", "constant")) == scaler


def test_a_scaler_matches_the_standard_scaler_of_scikit_learn():
    from sklearn.preprocessing import StandardScaler

    book = random_book(np.random.default_rng(10), n_rows=2_000, n_levels=3)
    features = hand_features(book, every_row(book))
    train = np.arange(100, 1_200)
    scaler = fit_hand_scaler(features.values, train, names=features.names)
    reference = StandardScaler().fit(features.values[train])  # scikit-learn 1.9
    np.testing.assert_allclose(scaler.mean, reference.mean_, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(scaler.scale, reference.scale_, rtol=1e-12)
    expected = np.clip(reference.transform(features.values), -5, 5)
    np.testing.assert_allclose(scaler.transform(features.values), expected, atol=1e-6)


def test_a_row_is_scaled_alike_alone_and_among_others():
    rng = np.random.default_rng(11)
    values = rng.normal(size=(20_000, 3)) * [1, 100, 1e-3]
    scaler = fit_hand_scaler(values, np.arange(500), names=("a", "b", "c"))
    whole = scaler.transform(values)
    np.testing.assert_array_equal(scaler.transform(values[9_000:9_003]), whole[9_000:9_003])


def test_json_gives_back_an_equal_scaler():
    values = np.random.default_rng(12).normal(size=(50, 2))
    scaler = fit_hand_scaler(values, np.arange(50), names=("a", "b"))
    assert HandScaler.from_dict(json.loads(json.dumps(scaler.to_dict()))) == scaler


def test_what_is_no_scaler_or_does_not_fit_it_is_refused():
    good = {"names": ["a"], "mean": [0.0], "scale": [1.0]}
    for change, match in [
        ({"scale": [0.0]}, "scales above 0"),
        ({"mean": [float("nan")]}, "all finite"),
        ({"mean": [0.0, 1.0]}, "got 1 names, 2 means and 1 scales"),
        ({"mean": ["x"]}, "figures must be numbers"),
        ({"typo": 1}, r"keys names, mean and scale; got \['mean', 'names', 'scale', 'typo'\]"),
        ({"names": [], "mean": [], "scale": []}, "got 0 names, .* at least one"),
    ]:
        with pytest.raises(FormatError, match=match):
            HandScaler.from_dict(good | change)
    scaler = HandScaler.from_dict(good)
    with pytest.raises(LabelError, match=r"shape \(3, 2\); the scaler was fitted on 1"):
        scaler.transform(np.zeros((3, 2)))
    with pytest.raises(LabelError, match="1 names and 0 train decisions"):
        fit_hand_scaler(np.zeros((3, 1)), np.arange(0), names=("a",))


def test_the_example_of_the_docs_runs_and_gives_what_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    text = (Path(__file__).parents[2] / "docs" / "inputs.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    monkeypatch.chdir(tmp_path)
    found: dict[str, Any] = {}
    exec(compile(example, "docs/inputs.md", "exec"), found)
    assert f"# {found['layer'].weights.shape}, {found['layer'].bias.shape}" in example
    assert (tmp_path / "runs/inputs/hand.npy").is_file()


def test_the_docs_name_every_feature():
    text = (Path(__file__).parents[2] / "docs" / "inputs.md").read_text(encoding="utf-8")
    generic = {re.sub(r"^move_\d+$", "move_n", name) for name in hand_feature_names(1)}
    generic = {re.sub(r"_over_\d+$", "_over_n", name) for name in generic}
    generic = {re.sub(r"_1(?=$|_over)", "_l", name) for name in generic}
    table = text[text.index("## Hand-made features") : text.index("`HandScaler`")]
    assert set(re.findall(r"`(\w+)`", table.partition("|---|")[2])) == generic


def test_features_that_are_not_finite_or_do_not_match_their_names_are_refused():
    values = np.array([[1.0, np.inf], [2.0, 3.0]])
    with pytest.raises(LabelError, match=r"features \['b'\] hold NaN or infinity"):
        HandFeatures(values=values, names=("a", "b"))
    with pytest.raises(LabelError, match=r"shape \(2, 2\); need \(D, 1\)"):
        HandFeatures(values=values, names=("a",))
    with pytest.raises(LabelError, match="names repeat"):
        HandFeatures(values=values, names=("a", "a"))
