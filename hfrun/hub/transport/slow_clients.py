"""Clients that would hold a connection open for ever: they get so much time and no more.

::

    head  of a request        whole within ``patience`` seconds, at most 64 KiB
    requests in advance       at most 16 while an answer is under way
    body                      goes on, as long as the server is ready for more of it
    answer                    is taken, as long as there is more of it to send

Goes on means: 4 KiB a second, looked at every ``patience`` seconds. A client behind a slow line is
faster than that; one that sends a byte a minute to keep a hundred connections busy is not.
"""

import asyncio

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

HEAD_MAX_BYTES = 1 << 16
MOST_IN_ADVANCE = 16  # each takes some kilobytes, of some twenty bytes on the line
LEAST_BYTES_A_SECOND = 1 << 12


class PatientProtocol(HttpToolsProtocol):
    """uvicorn's own protocol, with an end to its patience."""

    patience = 30.0  # seconds; ``patient`` makes a class with another

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._in_head, self._head_bytes = True, 0
        self._requests = 0
        # Of the last look: the request whose body was awaited and the bytes that had come by then;
        # the bytes that the client had still to take.
        self._awaited_before: tuple[int, int] | None = None
        self._unsent_before: int | None = None
        self._received = 0
        self._head_timer: asyncio.TimerHandle | None = None
        self._await_head()
        self._watch = self.loop.call_later(self.patience, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop all clocks."""
        self._watch.cancel()
        self._head_done()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count what comes, and refuse a head without end."""
        self._received += len(data)
        if self._in_head:
            self._head_bytes += len(data)
            self._await_head()
        super().data_received(data)
        if self._in_head and self._head_bytes > HEAD_MAX_BYTES:
            self._refuse(431, f"The head of a request may have {HEAD_MAX_BYTES} bytes")

    def on_message_begin(self) -> None:
        """Another request; whoever sends them without waiting for answers is cut off.

        Raises:
            ValueError: too many in advance; uvicorn answers 400 and closes the connection.
        """
        if len(self.pipeline) >= MOST_IN_ADVANCE:
            raise ValueError(f"got more than {MOST_IN_ADVANCE} requests in advance")
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a field of the head; those that follow a body have no end, and nobody reads them.

        Raises:
            ValueError: a second Host, of which a proxy may have believed the other.
        """
        if not self._in_head:
            return
        if name.lower() == b"host" and any(known == b"host" for known, _ in self.headers):
            raise ValueError("got two Host fields")
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head is whole; what comes next is the body."""
        self._in_head = False
        self._requests += 1
        self._head_done()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The body is whole; what comes next is another head."""
        self._in_head, self._head_bytes = True, 0
        super().on_message_complete()

    def _await_head(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(self.patience, self._head_too_slow)

    def _head_done(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_too_slow(self) -> None:
        self._refuse(408, f"The head of a request took more than {self.patience:g} seconds")

    def resume_writing(self) -> None:
        """The client has taken most of what was there for it."""
        self._unsent_before = None
        super().resume_writing()

    def _look(self) -> None:
        """Whether body and answer went on since the last look."""
        awaits_body = not self._in_head and not self.flow.read_paused
        awaited = (self._requests, self._received) if awaits_body else None
        unsent = self.transport.get_write_buffer_size() if self.flow.write_paused else None
        if self._stands(awaited) or self._is_stuck(unsent):
            self.transport.abort()
            return
        self._awaited_before, self._unsent_before = awaited, unsent
        self._watch = self.loop.call_later(self.patience, self._look)

    def _stands(self, awaited: tuple[int, int] | None) -> bool:
        """Whether the body of the same request has hardly grown."""
        if awaited is None or self._awaited_before is None:
            return False
        request, received = self._awaited_before
        return awaited[0] == request and awaited[1] - received < self._least

    def _is_stuck(self, unsent: int | None) -> bool:
        """Whether the client has taken hardly any of the answer."""
        if unsent is None or self._unsent_before is None:
            return False
        return self._unsent_before - unsent < self._least

    @property
    def _least(self) -> float:
        return LEAST_BYTES_A_SECOND * self.patience

    def _refuse(self, status: int, message: str) -> None:
        if self.transport.is_closing():
            return
        body = message.encode()
        head = (
            f"content-type: text/plain\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(STATUS_LINE[status] + head.encode() + body)
        self.transport.close()


def patient(seconds: float) -> type[PatientProtocol]:
    """The protocol with this patience."""
    return type("PatientProtocol", (PatientProtocol,), {"patience": seconds})
