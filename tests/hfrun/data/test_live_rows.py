"""Rows of a feed: what the normalization makes of a whole book, one row at a time."""

import dataclasses
from typing import Any

import numpy as np
import pytest

from hfrun.data.live_rows import BookRow, LiveRows, SessionClock
from hfrun.errors import DataError
from lob_backtest.book import Book, BookMeta
from lob_backtest.errors import BookError
from lob_backtest.normalize import fit_normalizer
from tests.lob_backtest.books import random_book

NS_PER_HOUR = 3_600_000_000_000


def rows_of(book: Book) -> list[BookRow]:
    return [
        BookRow(
            time_ns=int(book.time_ns[i]),
            ask_ticks=book.ask_ticks[i],
            ask_size=book.ask_size[i],
            bid_ticks=book.bid_ticks[i],
            bid_size=book.bid_size[i],
        )
        for i in range(book.n_rows)
    ]


def a_row(**changed: Any) -> BookRow:
    row = {
        "time_ns": 10,
        "ask_ticks": np.array([101, 103]),
        "ask_size": np.array([5.0, 2.0]),
        "bid_ticks": np.array([100, 99]),
        "bid_size": np.array([3.0, 0.0]),
    }
    return BookRow(**{**row, **changed})


CHOICES = [
    {"inputs": "levels", "prices": prices, "sizes": sizes}
    for prices in ("slow_mean", "mid", "absolute")
    for sizes in ("log", "raw")
] + [{"inputs": "order_flow", "prices": "mid", "sizes": sizes} for sizes in ("log", "raw")]


@pytest.mark.parametrize("choice", CHOICES)
@pytest.mark.parametrize("levels", [1, 3])
def test_rows_one_by_one_are_the_rows_of_the_whole_book(
    choice: dict[str, Any], levels: int
) -> None:
    # three sessions, shared instants, missing levels
    book = random_book(np.random.default_rng(1), 210, levels, 3)
    normalizer = fit_normalizer(book, start_row=0, stop_row=100, slow_mean_rows=30, **choice)
    live, clock = LiveRows(normalizer), SessionClock(book.meta.timezone)
    rows, begins = [], []
    for i, row in enumerate(rows_of(book)):
        if clock.begins_session(row.time_ns):
            begins.append(i)
            live.reset()
        rows.append(live.push(row))
    assert begins == book.session_starts[:-1].tolist() == [0, 70, 140]
    assert rows[0].dtype == np.float32
    np.testing.assert_allclose(np.stack(rows), normalizer.transform(book), rtol=1e-6, atol=1e-6)


def test_the_slow_mean_by_hand_starts_anew_after_a_reset() -> None:
    book = random_book(np.random.default_rng(0), 50, 2)
    fitted = fit_normalizer(
        book, start_row=0, stop_row=50, prices="slow_mean", slow_mean_rows=3, sizes="raw"
    )
    live = LiveRows(dataclasses.replace(fitted, mean=(0.0,) * 8, scale=(1.0,) * 8))
    up = a_row(ask_ticks=np.array([105, 107]), bid_ticks=np.array([104, 103]))
    # mids 100.5 and 104.5; span 3 gives the weight 1/2: the mean goes to 102.5
    assert live.push(a_row()).tolist() == [0.5, 5, -0.5, 3, 2.5, 2, -1.5, 0]
    assert live.push(up).tolist() == [2.5, 5, 1.5, 3, 4.5, 2, 0.5, 0]
    live.reset()
    assert live.push(up).tolist() == [0.5, 5, -0.5, 3, 2.5, 2, -1.5, 0]


def test_rows_of_other_levels_are_refused() -> None:
    book = random_book(np.random.default_rng(0), 50, 3)
    normalizer = fit_normalizer(
        book, start_row=0, stop_row=50, prices="mid", slow_mean_rows=3, sizes="log"
    )
    with pytest.raises(DataError, match="has 2 levels and the model was trained on 3"):
        LiveRows(normalizer).push(a_row())


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"ask_ticks": np.array([100, 103])}, r"best ask <= best bid \(ask 100 x 5.0, bid 100"),
        ({"ask_ticks": np.array([101, 101])}, "levels out of order"),
        ({"bid_ticks": np.array([100, 100])}, "levels out of order"),
        ({"ask_ticks": np.array([101.0, 103.0])}, "prices of float64 and int64, needed whole"),
        ({"ask_size": np.array([0.0, 2.0])}, "an ask size that is negative, not finite, or zero"),
        ({"bid_size": np.array([3.0, -1.0])}, "an bid size"),
        ({"bid_size": np.array([3.0, np.nan])}, "an bid size"),
        ({"ask_size": np.array([np.inf, 1.0])}, "an ask size"),
        ({"ask_size": np.array([5.0])}, r"shapes \[\(1,\), \(2,\)\]; needs one \(L,\)"),
        ({"time_ns": -1}, "time_ns=-1, needed nanoseconds"),
        ({"time_ns": 1.5e9}, "time_ns=1500000000.0, needed nanoseconds"),
        ({"time_ns": 2**62}, "up to 2116"),
    ],
)
def test_what_is_no_row_of_a_book_is_refused(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        a_row(**changed)


def session_starts(times_ns: list[int], timezone: str | None) -> list[int]:
    clock = SessionClock(timezone)
    return [i for i, time_ns in enumerate(times_ns) if clock.begins_session(time_ns)]


@pytest.mark.parametrize(
    "timezone", ["UTC", "America/New_York", "Asia/Kolkata", "Pacific/Apia", "America/Havana"]
)
def test_sessions_begin_where_those_of_a_book_do(timezone: str) -> None:
    # hourly and odd instants over the clock changes of March and November 2021; Havana's are at
    # midnight, and Apia and Kolkata are whole and half hours off on the other side of the world
    rng = np.random.default_rng(0)
    march, november = 1_615_334_400_000_000_000, 1_636_070_400_000_000_000
    hourly = np.arange(96) * NS_PER_HOUR
    odd = rng.integers(0, 96 * NS_PER_HOUR, 200)
    times = np.sort(np.concatenate([t + x for t in (march, november) for x in (hourly, odd)]))
    meta = BookMeta(
        instrument="X", tick_size=0.01, currency="USD", timezone=timezone,
        session_open="00:00", session_close="24:00", source="test",
    )  # fmt: skip
    n = times.size
    one = np.ones((n, 1))
    book = Book(
        meta=meta,
        time_ns=times,
        ask_ticks=np.full((n, 1), 2),
        ask_size=one,
        bid_ticks=np.full((n, 1), 1),
        bid_size=one,
    )
    starts = session_starts(times.tolist(), timezone)
    assert len(starts) >= 8
    assert starts == book.session_starts[:-1].tolist()


def test_a_market_that_never_closes_has_one_session() -> None:
    assert session_starts([0, 10**15, 10**18], None) == [0]


def test_a_reset_begins_a_session_and_lets_time_begin_anew() -> None:
    clock = SessionClock("UTC")
    assert [clock.begins_session(t) for t in (50, 50, 60)] == [True, False, False]
    with pytest.raises(DataError, match="a row at 59 ns came after one at 60 ns; push rows in the"):
        clock.begins_session(59)
    assert not clock.begins_session(60)
    clock.reset()
    assert [clock.begins_session(t) for t in (20, 61)] == [True, False]


def test_an_unknown_zone_is_refused_at_once() -> None:
    with pytest.raises(BookError, match="no known time zone"):
        SessionClock("America/Gotham")
