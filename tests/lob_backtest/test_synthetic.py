"""Synthetic books: the plant is where it is said to be, nowhere else, and can be switched off."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from lob_backtest import synthetic
from lob_backtest.book import Book, FloatArray, local_ns
from lob_backtest.errors import BookError
from lob_backtest.synthetic import Planted, synthetic_book, synthetic_book_with_planted

HORIZON = 40
DAY_NS = 86_400_000_000_000


@pytest.fixture(scope="module")
def planted() -> tuple[Book, Planted]:
    return synthetic_book_with_planted(days=5, rows_per_day=20_000, levels=4, signal=1.0, seed=3)


@pytest.fixture(scope="module")
def martingale() -> tuple[Book, Planted]:
    return synthetic_book_with_planted(days=5, rows_per_day=20_000, levels=4, signal=0.0, seed=3)


def forward_moves(book: Book, horizon: int) -> FloatArray:
    moves = np.full(book.n_rows, np.nan)
    moves[:-horizon] = book.mid_ticks[horizon:] - book.mid_ticks[:-horizon]
    moves[:-horizon][book.session[horizon:] != book.session[:-horizon]] = np.nan
    return moves


def direction_accuracy(forecast: FloatArray, move: FloatArray) -> float:
    """Accuracy of three classes that are equally likely in each of the two, by terciles."""
    known = ~np.isnan(forecast) & ~np.isnan(move)
    classes = [
        np.digitize(values[known], np.quantile(values[known], [1 / 3, 2 / 3]))
        for values in (forecast, move)
    ]
    return float((classes[0] == classes[1]).mean())


def visible_features(book: Book) -> FloatArray:
    """What a single row and the past price show: sizes, spread, imbalance, past moves."""
    imbalance = (book.bid_size - book.ask_size) / (book.bid_size + book.ask_size)
    past = [book.mid_ticks - np.roll(book.mid_ticks, k) for k in (1, 5, 10, 20, 50, 100)]
    columns = [np.log(book.ask_size), np.log(book.bid_size), imbalance, np.stack(past, axis=1),
               book.spread_ticks[:, None]]  # fmt: skip
    return np.concatenate(columns, axis=1)


def texture(book: Book) -> FloatArray:
    """How much more bid sizes than ask sizes change from row to row, over the last 40 rows."""

    def roughness(size: FloatArray) -> FloatArray:
        change = np.abs(np.diff(np.log(size[:, 1:3]), axis=0, prepend=np.nan)).sum(axis=1)
        return pd.Series(change).rolling(HORIZON).mean().to_numpy()

    return roughness(book.bid_size) - roughness(book.ask_size)


@pytest.mark.parametrize("signal", [0.0, 1.0])
def test_the_same_seed_gives_the_same_book_and_another_seed_another(signal: float) -> None:
    arguments = {"days": 2, "rows_per_day": 500, "levels": 3, "signal": signal}
    one, two = (synthetic_book(**arguments, seed=5) for _ in range(2))
    np.testing.assert_array_equal(one.features(), two.features())
    np.testing.assert_array_equal(one.time_ns, two.time_ns)
    assert one.meta == two.meta
    assert not np.array_equal(one.features(), synthetic_book(**arguments, seed=6).features())


@settings(max_examples=20)
@given(
    days=st.integers(1, 6),
    rows=st.integers(160, 400),
    levels=st.integers(2, 10),
    signal=st.floats(0, 1),
    seed=st.integers(0, 2**32),
)
def test_days_are_sessions_on_business_days(
    days: int, rows: int, levels: int, signal: float, seed: int
) -> None:
    book = synthetic_book(days=days, rows_per_day=rows, levels=levels, signal=signal, seed=seed)
    assert book.session_starts.tolist() == [day * rows for day in range(days + 1)]
    local = local_ns(book.time_ns, book.meta.timezone)
    of_day = (local % DAY_NS) / 3.6e12
    assert of_day.min() >= 9.5
    assert of_day.max() < 16
    weekday = pd.DatetimeIndex(local.astype("datetime64[ns]")).day_of_week
    assert set(weekday) <= {0, 1, 2, 3, 4}
    assert book.spread_ticks.max() <= 4
    np.testing.assert_array_equal(book.ask_size, np.rint(book.ask_size))


def test_the_book_looks_like_one(planted: tuple[Book, Planted]) -> None:
    book, _ = planted
    assert (book.spread_ticks == 1).mean() > 0.85
    assert 0.15 < (np.diff(book.mid_ticks) != 0).mean() < 0.35
    assert 0.01 < 1 - book.is_last_of_instant.mean() < 0.03
    waits = np.diff(book.time_ns[:20_000]) / 1e9
    assert waits.std() > 1.5 * waits.mean()  # clustered: a Poisson process has a ratio of 1
    assert book.ask_size[:, 3].mean() > 1.5 * book.ask_size[:, 0].mean()


def test_the_best_forecast_names_three_of_four_directions(planted: tuple[Book, Planted]) -> None:
    book, known = planted
    forecast, move = known.expected_move_ticks(HORIZON), forward_moves(book, HORIZON)
    np.testing.assert_array_equal(np.isnan(forecast), np.isnan(move))
    assert 0.70 < direction_accuracy(forecast, move) < 0.82
    seen = ~np.isnan(move)
    slope, intercept = np.polyfit(forecast[seen], move[seen], 1)
    assert slope == pytest.approx(1.0, abs=0.02)  # it is the expectation, not just its direction
    assert intercept == pytest.approx(0.0, abs=0.1)


def test_the_expected_move_beats_the_round_trip_and_past_moves_do_not(
    planted: tuple[Book, Planted],
) -> None:
    book, known = planted
    forecast, move = known.expected_move_ticks(HORIZON), forward_moves(book, HORIZON)
    round_trip = book.spread_ticks.mean() + 2 * 0.5e-4 * book.mid_ticks.mean()  # 0.5 bps a side
    past = np.roll(move, HORIZON)
    for signal, profitable in ((forecast, True), (past, False)):
        with np.errstate(invalid="ignore"):
            traded = (np.abs(signal) > 4) & ~np.isnan(move)
        net = (np.sign(signal[traded]) * move[traded]).mean() - round_trip
        assert (net > 3) if profitable else (net < 0)


def test_the_texture_over_time_shows_the_coming_move(planted: tuple[Book, Planted]) -> None:
    book, _ = planted
    assert direction_accuracy(texture(book), forward_moves(book, HORIZON)) > 0.62


def test_one_row_and_past_moves_do_not_show_the_state(planted: tuple[Book, Planted]) -> None:
    """Sizes have one distribution in every state, so a classifier of rows is near chance, 1/3."""
    book, known = planted
    rows = np.arange(200, book.n_rows, 7)
    features, state = visible_features(book)[rows], known.state[rows]
    half = rows.shape[0] // 2
    model = LogisticRegression(max_iter=500).fit(
        (features[:half] - features[:half].mean(0)) / features[:half].std(0), state[:half]
    )
    scaled = (features[half:] - features[:half].mean(0)) / features[:half].std(0)
    assert model.score(scaled, state[half:]) < 0.40
    for size in (book.bid_size[:, 1], book.ask_size[:, 2]):
        logs = [np.log(size[known.state == state]) for state in (-1, 0, 1)]
        assert np.ptp([values.mean() for values in logs]) < 0.06
        assert np.ptp([values.std() for values in logs]) < 0.06


def test_without_a_signal_the_mid_is_a_martingale(martingale: tuple[Book, Planted]) -> None:
    """No feature of the past, of the texture or of the hidden state has a share in later moves."""
    book, known = martingale
    assert not known.step_ticks.any()
    rows = np.arange(600, book.n_rows - 200, 50)  # moves of 40 rows that do not overlap
    move = forward_moves(book, HORIZON)[rows]
    causes = np.column_stack(
        [visible_features(book)[rows], texture(book)[rows], known.state[rows],
         known.state[rows - HORIZON], known.state[rows + 1 - HORIZON // 2]]
    )  # fmt: skip
    usable = ~np.isnan(move)
    n = int(usable.sum())
    correlation = np.array([np.corrcoef(cause[usable], move[usable])[0, 1] for cause in causes.T])
    assert np.abs(correlation).max() < 4 / np.sqrt(n)  # four standard errors
    assert abs(move[usable].mean()) < 4 * move[usable].std() / np.sqrt(n)
    variance_ratio = move[usable].var() / (HORIZON * np.diff(book.mid_ticks[:20_000]).var())
    assert variance_ratio == pytest.approx(1.0, abs=0.15)


def test_switching_the_signal_off_changes_prices_alone(
    planted: tuple[Book, Planted], martingale: tuple[Book, Planted]
) -> None:
    on, off = planted[0], martingale[0]
    np.testing.assert_array_equal(on.time_ns, off.time_ns)
    np.testing.assert_array_equal(on.ask_size, off.ask_size)
    np.testing.assert_array_equal(on.bid_size, off.bid_size)
    np.testing.assert_array_equal(planted[1].state, martingale[1].state)
    assert not np.array_equal(on.mid_ticks, off.mid_ticks)
    sources = "synthetic, signal=1, seed=3", "synthetic, signal=0, seed=3"
    assert (on.meta, off.meta) == tuple(replace(on.meta, source=source) for source in sources)


def test_expected_moves_are_sums_of_the_coming_steps() -> None:
    known = Planted(
        state=np.zeros(5, dtype=np.int64),
        step_ticks=np.array([0.0, 1.0, 0.5, 0.0, -2.0]),
        session=np.array([0, 0, 0, 1, 1]),
        delay_events=2,
    )
    np.testing.assert_array_equal(known.expected_move_ticks(1), [1.0, 0.5, np.nan, -2.0, np.nan])
    np.testing.assert_array_equal(known.expected_move_ticks(2), [1.5, *[np.nan] * 4])
    assert np.isnan(known.expected_move_ticks(9)).all()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"signal": 1.5}, "signal=1.5: needs 0"),
        ({"signal": -0.1}, "signal=-0.1: needs 0"),
        ({"days": 0}, "days=0, .* needs at least 1 day"),
        ({"rows_per_day": 100}, "rows_per_day=100 .* days of 4 delays"),
        ({"levels": 1}, "levels=1: needs at least 2 with a signal"),
    ],
)
def test_arguments_out_of_range_are_refused(changed: dict[str, float], message: str) -> None:
    arguments = {"days": 1, "rows_per_day": 500, "levels": 2, "signal": 1.0, "seed": 0}
    with pytest.raises(BookError, match=message):
        synthetic_book(**{**arguments, **changed})


def test_a_price_that_wanders_too_low_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(synthetic, "_LOWEST_BID_TICKS", 10_000)
    with pytest.raises(BookError, match=r"wandered down to 99\d\d ticks, needs 10000; take fewer"):
        synthetic_book(days=1, rows_per_day=500, levels=1, signal=0.0, seed=0)
