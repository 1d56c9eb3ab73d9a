"""Order files of a few lines for the tests."""

from collections.abc import Sequence
from pathlib import Path

HEADER = "id,timestamp,exchange_timestamp,price,volume,action,direction"
# milliseconds, order, action, direction, price, volume
Event = tuple[int, int, str, str, float, float]


def write_orders(path: Path, events: Sequence[Event], *, header: str = HEADER) -> Path:
    lines = [
        f"{order},{ms},{ms - 80},{price},{volume},{action},{direction}"
        for ms, order, action, direction, price, volume in events
    ]
    path.write_text("\n".join([header, *lines]) + "\n")
    return path


# Two bids and two asks, then a quiet life: see the drawing in test_bitstamp.
QUIET: list[Event] = [
    (1000, 1, "created", "bid", 100, 1.0),
    (1000, 2, "created", "bid", 99, 2.0),
    (1000, 3, "created", "ask", 102, 1.5),
    (1001, 4, "created", "ask", 103, 1.0),
    (1002, 5, "created", "bid", 100, 0.5),
    (1003, 6, "created", "ask", 105, 1.0),
    (1004, 7, "created", "bid", 102, 1.0),
    (1005, 3, "changed", "ask", 102, 0.5),
    (1006, 7, "deleted", "bid", 102, 0.5),
    (1007, 3, "deleted", "ask", 102, 0.0),
    (1008, 2, "deleted", "bid", 99, 2.0),
    (1009, 1, "changed", "bid", 100, 0.25),
]
