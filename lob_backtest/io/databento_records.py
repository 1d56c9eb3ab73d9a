"""Which of Databento's records are rows of a book, whatever file they came from.

One event of the venue (a sweep through three levels) is several records, and only the last of them,
which carries the flag LAST, shows the book as it was after the event. The others are dropped, as
are records after a gap in the feed.

    action side  price  flags  bid_px_00 ask_px_00 ask_sz_00
    T      B     31.55    0      31.42     31.55       6       a trade of 1 begins the event
    T      B     31.55  128      31.42     31.55       5       <- a row
    C      A     31.55  128      31.42     31.87     200       <- a row

Reference: https://databento.com/docs/standards-and-conventions/common-fields-enums-types (flags)
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from lob_backtest.book import BoolArray, IntArray
from lob_backtest.errors import FormatError
from lob_backtest.io.instruments import Chosen
from lob_backtest.io.ladders import Side, to_rows
from lob_backtest.io.stream import Counts, Rows
from lob_backtest.io.tables import Place

_LAST, _BAD_TS_RECV, _MAYBE_BAD_BOOK = 128, 8, 4
_MOST_LATE_NS = 1_000_000_000


@dataclass(frozen=True, kw_only=True, eq=False)
class Records:
    """Some records in file order.

    Attributes:
        place: where they stand.
        time_ns: ``(n,)`` UTC, of the clock that the file is read by.
        flags: ``(n,)`` bit fields.
        publisher: ``(n,)`` the venue's number.
        names, which: instruments, and ``(n,)`` the index of each record's.
        ask, bid: ``(n, L)`` prices and sizes.
    """

    place: Place
    time_ns: IntArray
    flags: IntArray
    publisher: IntArray
    names: npt.NDArray[np.str_]
    which: IntArray
    ask: Side
    bid: Side


@dataclass(kw_only=True)
class _Seen:
    publishers: set[int] = field(default_factory=set)
    has_last: bool = False
    latest_ns: int = np.iinfo(np.int64).min


def event_rows(
    batches: Iterator[Records], chosen: Chosen, counts: Counts, *, tick_size: float
) -> Iterator[Rows]:
    """A row for each event of one instrument.

    Raises:
        FormatError: several instruments and none chosen, none of the chosen one, several venues
            (each has a book of its own), no record that ends an event, or a value that is none.
    """
    seen = _Seen()
    for records in batches:
        counts.events += records.time_ns.size
        is_ours = chosen.rows(records.names, records.which, counts)
        kept = _ends_of_events(records, is_ours, seen, counts)
        _refuse_venues(chosen, records.publisher[is_ours], seen)
        if kept.any():
            place = records.place.chosen(kept)
            time_ns = _known_ns(records.time_ns[kept], seen, counts)
            yield to_rows(place, time_ns, records.ask.chosen(kept), records.bid.chosen(kept),
                          tick_size=tick_size)  # fmt: skip
    chosen.check()
    if not seen.has_last:
        raise FormatError(
            f"{chosen.path}: no record of {chosen.instrument} carries the flag F_LAST (128), so it "
            "is not known when the book is consistent; needs records as Databento gives them"
        )


def _ends_of_events(records: Records, is_ours: BoolArray, seen: _Seen, counts: Counts) -> BoolArray:
    is_last = is_ours & ((records.flags & _LAST) > 0)
    is_doubtful = (records.flags & _MAYBE_BAD_BOOK) > 0
    seen.has_last |= bool(is_last.any())
    dropped, noted = counts.rows_dropped, counts.events_noted
    dropped["inside an event (no F_LAST)"] += int((is_ours & ~is_last).sum())
    dropped["after a gap in the feed"] += int((is_last & is_doubtful).sum())
    kept: BoolArray = is_last & ~is_doubtful
    has_bad_clock = kept & ((records.flags & _BAD_TS_RECV) > 0)
    noted["with a doubtful receive time"] += int(has_bad_clock.sum())
    return kept


def _refuse_venues(chosen: Chosen, publisher: IntArray, seen: _Seen) -> None:
    seen.publishers.update(np.unique(publisher).tolist())
    if len(seen.publishers) > 1:
        raise FormatError(
            f"{chosen.path}: records of several venues (publisher_id "
            f"{', '.join(map(str, sorted(seen.publishers)))}), each with a book of its own; "
            "needs a file of one venue"
        )


def _known_ns(time_ns: IntArray, seen: _Seen, counts: Counts) -> IntArray:
    """The times, each at least the one before: a record is known once those before it are.

    More than a second back is no lateness but another file's record: it is left as it is, for the
    import to refuse.
    """
    known = np.maximum(np.maximum.accumulate(time_ns), seen.latest_ns)
    is_late = (time_ns < known) & (known - time_ns <= _MOST_LATE_NS)
    counts.events_noted["dated before the one before, by less than 1 s"] += int(is_late.sum())
    seen.latest_ns = int(known[-1])
    return np.where(is_late, known, time_ns)
