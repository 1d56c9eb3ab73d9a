"""Progress of long work: a bar on a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Iterable, Iterator, Sized
from typing import TypeVar

from tqdm import tqdm

Item = TypeVar("Item")
_SECONDS_BETWEEN_LINES = 10.0


def progress(
    items: Iterable[Item], *, label: str, total: int | None = None, unit: str = "it"
) -> Iterator[Item]:
    """Yield ``items``, showing how far the work is on standard error.

    On a terminal this is a tqdm bar. In a file or a pipe it is one line at most every ten seconds
    and one at the end, so that logs stay readable.
    """
    if sys.stderr.isatty():
        yield from tqdm(items, desc=label, total=total, unit=unit, leave=False)
        return
    if total is None and isinstance(items, Sized):
        total = len(items)
    of_total = f"/{total}" if total is not None else ""
    started = last = time.monotonic()
    done = 0
    for item in items:
        yield item
        done += 1
        now = time.monotonic()
        if now - last >= _SECONDS_BETWEEN_LINES:
            last = now
            announce(f"{label}: {done}{of_total} {unit} after {now - started:.0f} s")
    announce(f"{label}: {done}{of_total} {unit} in {time.monotonic() - started:.1f} s")


def announce(text: str) -> None:
    """Print one line on standard error, which leaves standard output to results."""
    print(text, file=sys.stderr, flush=True)
