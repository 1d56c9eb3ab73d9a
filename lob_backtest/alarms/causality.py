"""Another future: what was said before an instant must not depend on what came after it.

    book          | a b c d e | f g h i      what is answered up to e
    other future  | a b c d e | x y z        must be the same, to the last bit

The one proof among the alarms rather than a statistic, and it needs whoever answers at hand:
features, a model's predictions on a book, anything that maps a book to values at decisions.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from lob_backtest.alarms.alarm import Alarm
from lob_backtest.book import Book, FloatArray, IntArray
from lob_backtest.book.checks import LARGEST_SIZE
from lob_backtest.config import DataConfig
from lob_backtest.features import hand_features
from lob_backtest.questions import decisions_of

# From a book to the instants of its decisions (D,) and the values answered there (D, ...).
Answers = Callable[[Book], tuple[IntArray, FloatArray]]
_MOST_TICKS = 20


@dataclass(frozen=True, kw_only=True)
class LookAhead:
    """How many answers changed with the future.

    Attributes:
        compared: answers at or before the cuts.
        changed: of those, answers that another future changed, made or unmade.
        first_ns: decision of the first of them; None where none changed.
    """

    compared: int
    changed: int
    first_ns: int | None


def another_future(book: Book, row: int, *, rng: np.random.Generator) -> Book:
    """The book up to and including a row; after it the prices walk elsewhere, sizes are others.

    The times stay: when rows come is the clock, not the market.
    """
    n = book.n_rows - row - 1
    drift = np.cumsum(rng.integers(-1, 2, n))
    # Prices stay positive where they were.
    floor = 1 - int(book.bid_ticks.min()) if book.bid_ticks.min() > 0 else -_MOST_TICKS
    moved = np.maximum(np.clip(drift, -_MOST_TICKS, _MOST_TICKS), min(floor, 0))
    shift = np.concatenate([np.zeros(row + 1, dtype=np.int64), moved])[:, None]
    scale = np.concatenate([np.ones(row + 1), rng.uniform(0.5, 2.0, n)])[:, None]
    return Book(
        meta=book.meta,
        time_ns=book.time_ns,
        ask_ticks=book.ask_ticks + shift,
        ask_size=np.minimum(book.ask_size * scale, LARGEST_SIZE),
        bid_ticks=book.bid_ticks + shift,
        bid_size=np.minimum(book.bid_size / scale, LARGEST_SIZE),
    )


def look_ahead(
    answers: Answers, book: Book, *, cuts: Sequence[int], rng: np.random.Generator
) -> LookAhead:
    """Ask again with another future after each of the rows ``cuts``, and compare what was before.

    Args:
        answers: what is put to the test; deterministic.
        book: the real one.
        cuts: rows after which the future is replaced.
        rng: of the other futures.
    """
    decided_ns, values = answers(book)
    compared, changed, first_ns = 0, 0, None
    for row in cuts:
        # Rows that share the cut's instant would be part of it.
        last = int(book.row_known_at(book.time_ns[[row]])[0])
        others_ns, others = answers(another_future(book, last, rng=rng))
        known = decided_ns <= book.time_ns[last]
        other_known = others_ns <= book.time_ns[last]
        compared += int(known.sum())
        own_ns = decided_ns[known]
        if not np.array_equal(own_ns, others_ns[other_known]):
            differs_ns = np.setxor1d(own_ns, others_ns[other_known])
        else:
            same = values[known] == others[other_known]
            same |= np.isnan(values[known]) & np.isnan(others[other_known])
            differs_ns = own_ns[~same.reshape(same.shape[0], -1).all(axis=1)]
        changed += differs_ns.size
        if differs_ns.size:
            first_ns = int(differs_ns[0]) if first_ns is None else min(first_ns, int(differs_ns[0]))
    return LookAhead(compared=compared, changed=changed, first_ns=first_ns)


def other_future(
    answers: Answers, book: Book, *, name: str, rng: np.random.Generator, n_cuts: int = 3
) -> Alarm:
    """Raised where anything answered before a cut changes with what comes after it."""
    cuts = np.sort(rng.integers(book.n_rows // 4, book.n_rows - 1, n_cuts)).tolist()
    found = look_ahead(answers, book, cuts=cuts, rng=rng)
    where = "" if found.first_ns is None else f", first at decided_ns={found.first_ns}"
    return Alarm(
        name=name,
        raised=found.changed > 0,
        value=float(found.changed),
        limit=0.0,
        reason=f"{found.changed:,} of {found.compared:,} answers changed with what came after "
        f"them{where}",
    )


def feature_answers(data: DataConfig) -> Answers:
    """The hand-made features at the decisions of a config: what the simple baselines see."""

    def answers(book: Book) -> tuple[IntArray, FloatArray]:
        decisions = decisions_of(book, data.decisions, window=data.window)
        return decisions.decided_ns, hand_features(book, decisions).values

    return answers
