"""A line for every request: who asked for what, and what it was answered. No secrets.

A line is one JSON object. The query is left out: it may hold a signature or what somebody
searched for; so are all headers. Of a caller the user's name is kept, never the token.
"""

import json
import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hfrun.hub.store.disk import make_folder

_MAX_PATH = 2000  # characters


class AccessLog:
    """Appends a line to a file when an answer has ended.

    Each line is one write to a file that is opened for it: servers may share the file, and whoever
    turns it over needs to tell nobody.
    """

    def __init__(self, app: ASGIApp, file: Path | None) -> None:
        self.app = app
        self._file = file

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and note what came of it."""
        if scope["type"] != "http" or self._file is None:
            await self.app(scope, receive, send)
            return
        begun = time.monotonic()
        seen = {"status": 0, "received": 0, "sent": 0}

        async def counted_receive() -> Message:
            message = await receive()
            seen["received"] += len(message.get("body", b""))
            return message

        async def counted_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                seen["status"] = message["status"]
            await send(message)
            seen["sent"] += len(message.get("body", b""))

        try:
            await self.app(scope, counted_receive, counted_send)
        finally:
            milliseconds = round(1000 * (time.monotonic() - begun), 1)
            self._write({**_asked(scope), **seen, "milliseconds": milliseconds})

    def _write(self, row: dict[str, Any]) -> None:
        assert self._file is not None  # looked at before
        line = json.dumps(row).encode() + b"\n"
        try:
            descriptor = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        except OSError:  # neither its folder's loss nor a full disk may keep anybody from reading
            return
        try:
            os.write(descriptor, line)
        except OSError:
            pass
        finally:
            os.close(descriptor)


def prepared_log(file: Path | None) -> Path | None:
    """The file, with its folder made; a folder that cannot be is the user's error now, not later.

    Raises:
        OSError: it cannot be written there.
    """
    if file is not None:
        make_folder(file.absolute().parent)
        os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600))
    return file


def _asked(scope: Scope) -> dict[str, Any]:
    """Of a request: when, its id, from where, by whom, method and path without the query."""
    client = scope.get("client")
    path = scope.get("raw_path", b"").decode("latin-1").partition("?")[0]
    state = scope.get("state", {})
    return {
        "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "request": state.get("request_id"),
        "client": client[0] if client else None,
        "user": state.get("user"),
        "method": scope["method"],
        "path": path[:_MAX_PATH],
    }
