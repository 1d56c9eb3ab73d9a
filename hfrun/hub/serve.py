"""The process that serves a hub: in the foreground, or around a block of code."""

import ipaddress
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hfrun.errors import HubError
from hfrun.hub.accounts.tokens import Accounts
from hfrun.hub.options import USUAL, ServerOptions
from hfrun.hub.store.hub_store import open_root

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8765
_READY = "hub ready at "
_STOP_SECONDS = 10.0
_MOST_CONNECTIONS = 1000  # further ones are answered 503; each takes a file descriptor or two


@dataclass(frozen=True, kw_only=True)
class RunningHub:
    """A hub that answers: where it is and what it serves."""

    endpoint: str
    root: Path


def serve(
    root: Path,
    host: str = DEFAULT_HOST,
    port: int = DEFAULT_PORT,
    options: ServerOptions = USUAL,
) -> None:
    """Serve a folder until interrupted; prints one line with the address once it listens.

    Args:
        root: folder of the hub, made ready when it is new or empty.
        host: address or name to listen on; others than loopback need a token to exist.
        port: 0 takes any free one.
        options: what this server allows.

    Raises:
        HubError: an extra is missing, the folder is no hub, the port is taken, or the hub would
            be open to the network without any token.
    """
    try:
        import uvicorn

        from hfrun.hub.server import create_app
        from hfrun.hub.transport.slow_clients import patient
    except ModuleNotFoundError as missing:
        raise HubError(
            f"got no package {missing.name}; serving a hub needs it: pip install 'hfrun[hub]'"
        ) from None
    open_root(root, create=True)
    family, address = _resolved(host, port)
    if not _is_loopback(address) and not _open_tokens(root):
        raise HubError(
            f"got host {host}, which others can reach, and a hub without tokens; make one first: "
            f"hfrun hub token create USER --root {root}"
        )
    if _is_loopback(address) and options.known_hosts is None:
        options = replace(options, known_hosts=())
    with _listening(family, address) as listener:
        config = uvicorn.Config(
            create_app(root, options),
            http=patient(options.patience_seconds),
            ws="none",
            limit_concurrency=_MOST_CONNECTIONS,
            log_level="warning",
            access_log=False,
        )
        shown = f"[{host}]" if ":" in host else host
        # The socket listens already: a client that connects now waits until the loop runs.
        print(f"{_READY}http://{shown}:{listener.getsockname()[1]} serving {root}", flush=True)
        uvicorn.Server(config).run(sockets=[listener])


@contextmanager
def running_hub(
    root: Path, *, port: int = 0, arguments: Sequence[str] = ()
) -> Iterator[RunningHub]:
    """Serve a folder from a process of its own while the block runs.

    Args:
        root: folder of the hub, made ready when it is new or empty.
        port: 0 takes any free one.
        arguments: further ones of ``hfrun hub serve``.

    Raises:
        HubError: the server could not start; the message is its own.
    """
    command = [sys.executable, "-m", "hfrun.hub", "serve", "--root", str(root), "--port", str(port)]
    command += arguments
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True
        )
        try:
            assert process.stdout is not None  # it was asked for
            line = process.stdout.readline()  # ends when the server is ready or gone
            if not line.startswith(_READY):
                process.wait()
                log.seek(0)
                raise HubError(log.read().strip() or f"the hub over {root} did not start")
            yield RunningHub(endpoint=line.removeprefix(_READY).split()[0], root=root)
        finally:
            _stop(process)


def _stop(process: subprocess.Popen[str]) -> None:
    """End the server; running requests may finish, but not for ever."""
    process.terminate()
    try:
        process.communicate(timeout=_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()


def _resolved(host: str, port: int) -> tuple[int, tuple[Any, ...]]:
    """Family and address of the socket to listen on: what the name means is decided once, here."""
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (OSError, OverflowError, UnicodeError) as error:
        raise HubError(f"got host {host!r} and port {port}, not an address: {error}") from None
    return family, address


def _listening(family: int, address: tuple[Any, ...]) -> socket.socket:
    try:
        listener = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise HubError(f"got {address[0]}, which this machine cannot use: {error}") from None
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(128)
    except (OSError, OverflowError) as error:
        listener.close()
        raise HubError(
            f"got {address[0]} port {address[1]}, which cannot be listened on ({error}); stop "
            "what uses it or choose another with --port"
        ) from None
    return listener


def _is_loopback(address: tuple[Any, ...]) -> bool:
    """Whether only this machine reaches an address; the name that it came from does not count."""
    return ipaddress.ip_address(address[0]).is_loopback


def _open_tokens(root: Path) -> bool:
    return any(not token.is_over for token in Accounts(root).tokens())
