"""Normalization: the slow mean, the columns' order, and statistics of the training rows alone."""

import itertools
import json
import tracemalloc
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lob_backtest.book import Book
from lob_backtest.errors import BookError, ConfigError, FormatError
from lob_backtest.features import order_flow_events
from lob_backtest.normalize import MOST_DEVIATIONS, Normalizer, fit_normalizer, slow_mean_ticks
from tests.lob_backtest.books import book_from_mids, books, random_book, spliced

PRICES = st.sampled_from(["slow_mean", "mid", "absolute"])
INPUTS = st.sampled_from(["levels", "order_flow"])
SIZES = st.sampled_from(["log", "raw"])


def fitted(book: Book, start: int = 0, stop: int | None = None, **options: Any) -> Normalizer:
    chosen = {"prices": "slow_mean", "slow_mean_rows": 50, "sizes": "log"} | options
    return fit_normalizer(
        book, start_row=start, stop_row=book.n_rows if stop is None else stop, **chosen
    )


def unscaled(n_levels: int, **options: Any) -> Normalizer:
    """A normalizer that changes no figure: what is left is the reference and the order."""
    chosen = {"prices": "absolute", "slow_mean_rows": 3, "sizes": "raw"} | options
    return Normalizer(mean=(0.0,) * 4 * n_levels, scale=(1.0,) * 4 * n_levels, **chosen)


def test_the_slow_mean_by_hand_restarts_with_each_session():
    # Span 3: a new mid weighs one half.
    book = book_from_mids([100, 102, 104, 200, 204], at_seconds=[0, 1, 2, 86_400, 86_401])
    mean = slow_mean_ticks(book, 0, 5, span_rows=3)
    assert mean.tolist() == [100, 101, 102.5, 200, 202]
    assert slow_mean_ticks(book, 2, 4, span_rows=3).tolist() == [102.5, 200]
    assert slow_mean_ticks(book, 2, 2, span_rows=3).tolist() == []


def test_the_slow_mean_equals_that_of_pandas_over_whole_sessions():
    book = random_book(np.random.default_rng(6), n_rows=900, n_sessions=3)
    whole = [
        pd.Series(book.mid_ticks[first:last]).ewm(span=40, adjust=False).mean()
        for first, last in itertools.pairwise(book.session_starts)
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lob_backtest.normalize._PART_ROWS", 64)
        mean = slow_mean_ticks(book, 0, 900, span_rows=40)
    np.testing.assert_array_equal(mean, np.concatenate(whole))


@settings(max_examples=60, deadline=None)
@given(
    book=books(), inputs=INPUTS, prices=PRICES, sizes=SIZES, part=st.integers(1, 60),
    data=st.data(),
)  # fmt: skip
def test_rows_and_statistics_come_out_alike_however_long_the_parts_are(
    book: Book, inputs: str, prices: str, sizes: str, part: int, data: st.DataObject
):
    start = data.draw(st.integers(0, book.n_rows - 1))
    stop = data.draw(st.integers(start + 1, book.n_rows))
    options = {"inputs": inputs, "prices": prices, "sizes": sizes}
    whole = fitted(book, start, stop, **options)
    rows = whole.transform(book, start, stop)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lob_backtest.normalize._PART_ROWS", part)
        parted = fitted(book, start, stop, **options)
        parts = list(whole.parts(book, start, stop))
    np.testing.assert_allclose(parted.mean, whole.mean, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(parted.scale, whole.scale, rtol=1e-9)
    assert max(len(one) for _, one in parts) <= part
    firsts = np.cumsum([start, *(len(one) for _, one in parts)])
    assert [first for first, _ in parts] == firsts[:-1].tolist()
    np.testing.assert_array_equal(np.concatenate([one for _, one in parts]), rows)


def test_statistics_far_from_zero_keep_their_digits(monkeypatch: pytest.MonkeyPatch):
    # Sums of squares of 1e12 would leave nothing of a deviation of about 1; means of 1e12 have 4
    # digits behind the point.
    rng = np.random.default_rng(7)
    book = book_from_mids((10**12 + rng.integers(-2, 3, 2_000)).tolist())
    monkeypatch.setattr("lob_backtest.normalize._PART_ROWS", 77)
    normalizer = fitted(book, prices="absolute")
    expected = (book.ask_ticks[:, 0] - 10**12).std()
    np.testing.assert_allclose(normalizer.scale[0], expected, rtol=1e-5)


@pytest.mark.parametrize("prices", ["slow_mean", "absolute"])
@pytest.mark.parametrize("inputs", ["levels", "order_flow"])
def test_fitting_and_transforming_hold_a_few_parts_beside_the_rows(inputs: str, prices: str):
    book = random_book(np.random.default_rng(8), n_rows=150_000, n_levels=2, mean_gap_s=0.01)
    assert book.session_starts.tolist() == [0, 150_000]
    rows_bytes = book.n_rows * 8 * 4
    tracemalloc.start()
    try:
        normalizer = fitted(book, inputs=inputs, prices=prices)
        fitting = tracemalloc.get_traced_memory()[1]
        tracemalloc.reset_peak()
        normalizer.transform(book)
        transforming = tracemalloc.get_traced_memory()[1] - rows_bytes
    finally:
        tracemalloc.stop()
    # A column of 150,000 rows alone has 1.2 MB. Held are columns of 16,384 rows with 0.13 MB each,
    # and two parts of float32 rows with 0.52 MB each.
    assert fitting < 1.2e6
    assert transforming < 2.4e6


def test_rows_by_hand_in_each_way_of_taking_prices():
    # One row after another: ask, ask size, bid, bid size. The second slow mean is 101.
    book = book_from_mids([100, 102], ask_size=[3, 7], bid_size=[1, 0.5])
    absolute, mid, slow = (
        unscaled(1, prices=prices).transform(book).tolist()
        for prices in ("absolute", "mid", "slow_mean")
    )
    assert absolute == [[101, 3, 99, 1], [103, 7, 101, 0.5]]
    assert mid == [[1, 3, -1, 1], [1, 7, -1, 0.5]]
    assert slow == [[1, 3, -1, 1], [2, 7, 0, 0.5]]
    logged = unscaled(1, sizes="log").transform(book)
    np.testing.assert_allclose(logged[:, [1, 3]], np.log([[4, 2], [8, 1.5]]), rtol=1e-7)


def test_order_flow_by_hand_in_each_way_of_showing_sizes():
    # Each row against the one before it: ask change, ask flow, bid change, bid flow.
    mids = [100, 100, 101, 103, 103, 200]
    times = [0, 1, 2, 3, 4, 86_400]
    ask_size, bid_size = [5, 2, 7, 7, 9, 4], [1, 4, 3, 3, 3, 6]
    book = book_from_mids(mids, ask_size=ask_size, bid_size=bid_size, at_seconds=times)
    rows = unscaled(1, inputs="order_flow").transform(book)
    assert rows.tolist() == [
        [0, 0, 0, 0],
        [0, -3, 0, 3],  # 3 offered less, 3 bid more
        [1, -2, 1, 3],  # the offer of 2 went, a better bid of 3 came
        [2, -7, 2, 3],
        [0, 2, 0, 0],
        [0, 0, 0, 0],  # a new session
    ]
    falling = book_from_mids([100, 99], ask_size=[5, 2], bid_size=[1, 4])
    assert unscaled(1, inputs="order_flow").transform(falling)[1].tolist() == [-1, 2, -1, -1]
    logged = unscaled(1, inputs="order_flow", sizes="log").transform(book)
    np.testing.assert_allclose(logged[1:4, 1], -np.log([4, 3, 8]), rtol=1e-7)
    np.testing.assert_array_equal(logged[:, [0, 2]], rows[:, [0, 2]])


@settings(max_examples=60, deadline=None)
@given(book=books(max_levels=3))
def test_bid_flow_less_ask_flow_is_the_order_flow_of_the_features(book: Book):
    wide = Normalizer(
        prices="mid", slow_mean_rows=1, sizes="raw", inputs="order_flow",
        mean=(0.0,) * 4 * book.n_levels, scale=(2.0**10,) * 4 * book.n_levels,
    )  # fmt: skip
    flows = wide.transform(book).astype(np.float64) * 2**10  # sizes below 100: exact, never cut
    for level in range(book.n_levels):
        ask, bid = flows[:, 4 * level + 1], flows[:, 4 * level + 3]
        np.testing.assert_array_equal(bid - ask, order_flow_events(book, level))


@settings(max_examples=40, deadline=None)
@given(book=books(), sizes=SIZES, data=st.data())
def test_an_order_flow_row_depends_on_the_row_before_it_alone(
    book: Book, sizes: str, data: st.DataObject
):
    row = data.draw(st.integers(1, book.n_rows - 1))
    normalizer = fitted(book, inputs="order_flow", sizes=sizes)
    pair = book.rows(row - 1, row + 1)
    np.testing.assert_array_equal(normalizer.transform(pair)[1], normalizer.transform(book)[row])


def test_an_order_flow_looks_at_neither_prices_nor_the_slow_mean():
    book = random_book(np.random.default_rng(5), n_sessions=2)
    one = fitted(book, inputs="order_flow", prices="mid", slow_mean_rows=1)
    other = fitted(book, inputs="order_flow", prices="absolute", slow_mean_rows=99)
    assert (one.mean, one.scale) == (other.mean, other.scale)
    np.testing.assert_array_equal(one.transform(book), other.transform(book))


def test_order_flows_are_cut_off_where_levels_are_not():
    still = [100] * 50
    book = book_from_mids([*still, 200], ask_size=[1, 2] * 25 + [3], bid_size=[1] * 51)
    flow = fitted(book, 0, 50, inputs="order_flow").transform(book)[-1]
    levels = fitted(book, 0, 50, prices="absolute").transform(book)[-1]
    # Prices never moved in train: their scale is 1. The offer of 2 went: one deviation or so.
    assert flow[[0, 2]].tolist() == [MOST_DEVIATIONS] * 2
    assert 1 < -flow[1] < 2
    assert levels[[0, 2]].tolist() == [100, 100]


def test_the_columns_are_those_of_the_book_table():
    book = random_book(np.random.default_rng(0), n_levels=4)
    rows = unscaled(4).transform(book)
    assert rows.dtype == np.float32
    np.testing.assert_array_equal(rows, book.features().astype(np.float32))


@pytest.mark.parametrize("prices", ["slow_mean", "mid", "absolute"])
@pytest.mark.parametrize("sizes", ["log", "raw"])
@pytest.mark.parametrize("inputs", ["levels", "order_flow"])
def test_the_training_rows_get_mean_zero_and_deviation_one(inputs: str, prices: str, sizes: str):
    book = random_book(np.random.default_rng(1), n_rows=2_000, n_levels=3, n_sessions=2)
    normalizer = fitted(book, 300, 1_500, inputs=inputs, prices=prices, sizes=sizes)
    rows = normalizer.transform(book, 300, 1_500).astype(np.float64)
    np.testing.assert_allclose(rows.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(rows.std(axis=0), 1, atol=1e-5)
    other = normalizer.transform(book, 1_500).astype(np.float64)
    assert np.abs(other.std(axis=0) - 1).max() > 1e-3


def test_a_constant_column_has_scale_one():
    book = book_from_mids([100, 101, 102, 103], ask_size=[0.1] * 4, bid_size=[0.3, 0.1, 0.2, 0.7])
    normalizer = fitted(book, prices="mid")
    assert normalizer.scale[:3] == (1.0, 1.0, 1.0)
    assert normalizer.scale[3] == pytest.approx(np.log1p([0.3, 0.1, 0.2, 0.7]).std())
    np.testing.assert_allclose(normalizer.transform(book)[:, :3], 0, atol=1e-7)


@pytest.mark.parametrize("inputs", ["levels", "order_flow"])
def test_a_column_whose_squares_are_below_any_float_has_scale_one(inputs: str):
    book = random_book(np.random.default_rng(0), n_rows=50, n_levels=1)
    tiny = replace(book, ask_size=1e-300 * book.ask_size)
    normalizer = fit_normalizer(
        tiny, start_row=0, stop_row=50, prices="mid", slow_mean_rows=5, sizes="raw", inputs=inputs
    )
    assert normalizer.scale[1] == 1.0
    assert np.isfinite(normalizer.transform(tiny)).all()


@settings(max_examples=60, deadline=None)
@given(
    book=books(), inputs=INPUTS, prices=PRICES, sizes=SIZES, span=st.integers(1, 80), data=st.data()
)
def test_a_part_of_the_rows_equals_the_same_rows_of_the_whole(
    book: Book, inputs: str, prices: str, sizes: str, span: int, data: st.DataObject
):
    start = data.draw(st.integers(0, book.n_rows))
    stop = data.draw(st.integers(start, book.n_rows))
    normalizer = fitted(book, inputs=inputs, prices=prices, sizes=sizes, slow_mean_rows=span)
    whole = normalizer.transform(book)
    assert whole.shape == (book.n_rows, 4 * book.n_levels)
    assert np.all(np.isfinite(whole))
    np.testing.assert_array_equal(normalizer.transform(book, start, stop), whole[start:stop])


@settings(max_examples=60, deadline=None)
@given(
    book=books(),
    inputs=INPUTS,
    prices=PRICES,
    sizes=SIZES,
    seed=st.integers(0, 2**32 - 1),
    data=st.data(),
)
def test_no_row_and_no_statistic_depends_on_a_later_row(
    book: Book, inputs: str, prices: str, sizes: str, seed: int, data: st.DataObject
):
    stop = data.draw(st.integers(1, book.n_rows - 1))
    other = random_book(np.random.default_rng(seed), book.n_rows, book.n_levels)
    changed = spliced(book, other, stop)
    one = fitted(book, 0, stop, inputs=inputs, prices=prices, sizes=sizes)
    same = fitted(changed, 0, stop, inputs=inputs, prices=prices, sizes=sizes)
    assert one == same
    np.testing.assert_array_equal(one.transform(book)[:stop], one.transform(changed)[:stop])


def test_a_row_depends_on_no_earlier_session():
    book = random_book(np.random.default_rng(2), n_rows=200, n_sessions=2)
    alone = book.rows(100, 200)
    normalizer = fitted(book)
    np.testing.assert_array_equal(normalizer.transform(book, 100), normalizer.transform(alone))


@pytest.mark.parametrize("inputs", ["levels", "order_flow"])
def test_json_gives_back_an_equal_normalizer(inputs: str):
    normalizer = fitted(random_book(np.random.default_rng(3), n_levels=3), inputs=inputs)
    assert normalizer.inputs == inputs
    assert Normalizer.from_dict(json.loads(json.dumps(normalizer.to_dict()))) == normalizer


def test_a_normalizer_saved_without_inputs_is_of_levels():
    normalizer = fitted(random_book(np.random.default_rng(3)))
    older = normalizer.to_dict()
    del older["inputs"]
    assert Normalizer.from_dict(older) == normalizer


def test_what_is_no_normalizer_is_refused():
    good = unscaled(1).to_dict()
    with pytest.raises(FormatError, match=r"has the keys .*; got \['mean', 'prices'"):
        Normalizer.from_dict({name: good[name] for name in ("mean", "prices")} | {"typo": 1})
    for change, match in [
        ({"mean": [0.0] * 3}, "got 3 means and 4 scales"),
        ({"mean": [float("nan")] * 4}, "needs 4 finite figures a level"),
        ({"mean": ["a"] * 4}, "figures must be numbers"),
        ({"scale": [1.0, 0.0, 1.0, 1.0]}, r"got the scale 0\.0; needs scales above 0"),
    ]:
        with pytest.raises(FormatError, match=match):
            Normalizer.from_dict(good | change)


def test_a_book_of_another_depth_is_refused():
    book = random_book(np.random.default_rng(4), n_levels=2)
    with pytest.raises(BookError, match="got 2 levels, but the normalization was fitted on 3"):
        unscaled(3).transform(book)


def test_choices_and_rows_that_cannot_be_are_refused():
    book = book_from_mids([100, 101, 102])
    with pytest.raises(ConfigError, match="prices='median' and sizes='log': prices is slow_mean"):
        fitted(book, prices="median")
    with pytest.raises(ConfigError, match="inputs='trades': inputs is levels or order_flow"):
        fitted(book, inputs="trades")
    with pytest.raises(ConfigError, match="sizes is log or raw"):
        fitted(book, sizes="sqrt")
    with pytest.raises(ConfigError, match="slow_mean_rows=0: needs a span of at least 1"):
        fitted(book, slow_mean_rows=0)
    for start, stop in [(2, 2), (0, 4), (-1, 2)]:
        with pytest.raises(BookError, match=f"got the training rows {start} to {stop}"):
            fitted(book, start, stop)
