"""A terminal to test against: standard error on a pseudo-terminal of 80 columns."""

import fcntl
import os
import struct
import sys
import termios
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest


class Shown:
    """What the terminal was sent, as text, once the block is over."""

    text = ""


@contextmanager
def stderr_on_a_terminal() -> Iterator[Shown]:
    """Put ``sys.stderr`` on a terminal within the block."""
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    parts: list[bytes] = []

    def read() -> None:
        try:
            while part := os.read(ours, 65_536):
                parts.append(part)
        except OSError:  # the other end is closed
            return

    reader = threading.Thread(target=read)  # or the writer would wait once the buffer is full
    reader.start()
    shown = Shown()
    with pytest.MonkeyPatch.context() as patch:
        with os.fdopen(theirs, "w", encoding="utf-8") as stderr:
            patch.setattr(sys, "stderr", stderr)
            try:
                yield shown
            finally:
                patch.undo()
        reader.join()
    os.close(ours)
    shown.text = b"".join(parts).decode("utf-8", "replace")
