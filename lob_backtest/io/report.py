"""What a reader did to a file: every event, row and order it left out is counted here."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from lob_backtest.io.cleaning import CROSSED, Cleaning
from lob_backtest.io.stream import Source


@dataclass(frozen=True, kw_only=True)
class ImportReport:
    """Counts of one import.

    Attributes:
        source_format: the reader's name, e.g. ``"lobster"``.
        files: names of the files that were read, without their folders.
        events: lines of the event file.
        rows: rows of the book that came out.
        levels: price levels on each side.
        ghost_orders_dropped: resting orders taken out because the market traded through them.
        marketable_orders_kept_out: orders that crossed the touch when they arrived.
        rows_dropped: number of rows left out, by reason.
        rows_repeated: rows kept that have the prices and sizes of the row before.
        events_noted: events that were read but are worth knowing about, by kind.
        crossed_share_before: share of events after which the raw feed is crossed or locked.
        crossed_share_after: share of the rows made by the cleaning rules that are still crossed or
            locked, before those rows were dropped too.
    """

    source_format: str
    files: tuple[str, ...]
    events: int
    rows: int
    levels: int
    ghost_orders_dropped: int = 0
    marketable_orders_kept_out: int = 0
    rows_dropped: Mapping[str, int] = field(default_factory=dict)
    rows_repeated: int = 0
    events_noted: Mapping[str, int] = field(default_factory=dict)
    crossed_share_before: float = 0.0
    crossed_share_after: float = 0.0

    def as_dict(self) -> dict[str, object]:
        """A JSON-able dictionary with the attributes' names."""
        return {
            "source_format": self.source_format,
            "files": list(self.files),
            "events": self.events,
            "rows": self.rows,
            "levels": self.levels,
            "ghost_orders_dropped": self.ghost_orders_dropped,
            "marketable_orders_kept_out": self.marketable_orders_kept_out,
            "rows_dropped": dict(self.rows_dropped),
            "rows_repeated": self.rows_repeated,
            "events_noted": dict(self.events_noted),
            "crossed_share_before": self.crossed_share_before,
            "crossed_share_after": self.crossed_share_after,
        }

    def as_text(self) -> str:
        """One line a count, for people."""
        lines = [
            ("read", f"{', '.join(self.files)} as {self.source_format}"),
            ("events", f"{self.events:,}"),
            ("book rows", f"{self.rows:,} of {self.levels} levels"),
            ("ghost orders dropped", f"{self.ghost_orders_dropped:,}"),
            ("marketable orders kept out", f"{self.marketable_orders_kept_out:,}"),
            *((f"rows dropped, {why}", f"{n:,}") for why, n in self.rows_dropped.items()),
            ("rows that repeat the one before", f"{self.rows_repeated:,}"),
            *((f"events, {kind}", f"{n:,}") for kind, n in self.events_noted.items()),
            ("crossed before cleaning", f"{self.crossed_share_before:.2%} of events"),
            ("crossed after cleaning", f"{self.crossed_share_after:.2%} of rows"),
        ]
        width = max(len(name) for name, _ in lines)
        return "\n".join(f"{name:<{width}}  {value}" for name, value in lines)


def report_of(sources: Sequence[Source], cleanings: Sequence[Cleaning]) -> ImportReport:
    """The counts of sources that were read and cleaned, added up."""
    dropped: Counter[str] = Counter()
    noted: Counter[str] = Counter()
    for source, cleaning in zip(sources, cleanings, strict=True):
        dropped.update(source.counts.rows_dropped)
        dropped.update(cleaning.n_dropped)
        noted.update(source.counts.events_noted)
    counts = [source.counts for source in sources]
    events = sum(count.events for count in counts)
    rows = sum(cleaning.n_kept for cleaning in cleanings)
    raw_crossed, looked_at, still_crossed = 0, 0, 0
    for count, cleaning in zip(counts, cleanings, strict=True):
        if count.crossed_events is None:  # of snapshots, a crossed row is a crossed event
            raw_crossed += cleaning.n_crossed
            looked_at += cleaning.n_read
        else:
            raw_crossed += count.crossed_events
            looked_at += count.crossed_among
            still_crossed += cleaning.n_dropped[CROSSED]
    return ImportReport(
        source_format=sources[0].source_format,
        files=tuple(name for source in sources for name in source.files),
        events=events,
        rows=rows,
        levels=sources[0].n_levels,
        ghost_orders_dropped=sum(count.ghost_orders_dropped for count in counts),
        marketable_orders_kept_out=sum(count.marketable_orders_kept_out for count in counts),
        rows_dropped=dict(dropped),
        rows_repeated=sum(cleaning.n_repeated for cleaning in cleanings),
        events_noted=dict(noted),
        crossed_share_before=raw_crossed / max(looked_at, 1),
        crossed_share_after=still_crossed / (rows + still_crossed),
    )
