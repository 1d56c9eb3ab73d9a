"""Labels of five real days of BAC quotes: no night is crossed, and touches are real ones."""

from pathlib import Path

import numpy as np
import pytest

from lob_backtest.book import Book, read_book
from lob_backtest.cli import main
from lob_backtest.costs import Costs
from lob_backtest.decisions import Decisions, decide_every_ns
from lob_backtest.labels import (
    Moves,
    executable_moves,
    mid_moves,
    past_volatility_ticks,
    smoothed_moves,
    triple_barrier_moves,
)
from tests.lob_backtest.books import SECOND

MINUTE = 60 * SECOND


@pytest.fixture(scope="module")
def five_days(lob_data_dir: Path, tmp_path_factory) -> tuple[Book, Decisions]:
    files = sorted(str(path) for path in (lob_data_dir / "data/lean").glob("bac_*_quote.zip"))
    path = tmp_path_factory.mktemp("bac") / "bac.parquet"
    assert main(["import", "lean", *files, "-o", str(path)]) == 0
    book = read_book(path)
    return book, decide_every_ns(book, step_ns=5 * SECOND, window=1)


def barriers(book: Book, decisions: Decisions) -> Moves:
    return triple_barrier_moves(
        book, decisions, horizon_ns=MINUTE, barrier_volatilities=1.5, volatility_decisions=100
    )


def test_no_label_of_five_days_crosses_a_night(five_days):
    book, decisions = five_days
    assert book.session_starts.size == 6
    opens_ns = np.append(book.time_ns[book.session_starts[1:-1]], np.iinfo(np.int64).max)
    trading = {"costs": Costs.proportional(0.3), "latency_ns": SECOND, "units": 100.0}
    for moves in (
        mid_moves(book, decisions, horizon_ns=MINUTE),
        smoothed_moves(book, decisions, horizon_ns=MINUTE),
        barriers(book, decisions),
        executable_moves(book, decisions, horizon_ns=MINUTE, **trading),
    ):
        assert (moves.label_end_ns < opens_ns[decisions.session]).all()
        assert (moves.label_end_ns >= decisions.decided_ns).all()
        known = np.isfinite(moves.move_ticks)
        assert set(decisions.session[known].tolist()) == {0, 1, 2, 3, 4}


def test_the_touches_of_five_days_are_those_that_a_scan_finds(five_days):
    book, decisions = five_days
    moves = barriers(book, decisions)
    past = mid_moves(book, decisions, horizon_ns=MINUTE)
    width = 1.5 * past_volatility_ticks(decisions, past, volatility_decisions=100)
    settled = book.is_last_of_instant
    seen = {-1.0: 0, 0.0: 0, 1.0: 0}
    for i in np.flatnonzero(np.isfinite(moves.move_ticks))[::37]:
        end_ns = decisions.decided_ns[i] + MINUTE
        stop = min(
            np.searchsorted(book.time_ns, end_ns, side="right"),
            book.session_starts[decisions.session[i] + 1],
        )
        rows = np.arange(decisions.rows[i] + 1, stop)
        away = book.mid_ticks[rows] - book.mid_ticks[decisions.rows[i]]
        hits = np.flatnonzero((np.abs(away) >= width[i]) & settled[rows])
        assert moves.move_ticks[i] == (away[hits[0]] if hits.size else 0)
        if hits.size:
            assert moves.label_end_ns[i] == book.time_ns[rows[hits[0]]]
        seen[float(np.sign(moves.move_ticks[i]))] += 1
    assert min(seen.values()) > 30
