"""By which names a hub lets itself be called.

A hub that listens on this machine alone is still reached by any page that a browser on it shows:
the page's own name need only be made to mean 127.0.0.1 (DNS rebinding), and the browser takes the
hub for a part of that site. So such a hub answers only to names that nobody else can give away.
"""

import ipaddress

from starlette.types import ASGIApp, Receive, Scope, Send

from hfrun.hub.transport.messages import error


class KnownHosts:
    """Refuses requests for other hosts; ``names`` None answers to any.

    Loopback addresses are always known. A request without a Host comes from no browser.
    """

    def __init__(self, app: ASGIApp, names: tuple[str, ...] | None) -> None:
        self.app = app
        self._names = None if names is None else {"localhost", *(name.lower() for name in names)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 421."""
        if scope["type"] != "http" or self._names is None:
            await self.app(scope, receive, send)
            return
        host = dict(scope["headers"]).get(b"host", b"localhost").decode("latin-1")
        name = _without_port(host).lower()
        if name in self._names or _is_loopback(name):
            await self.app(scope, receive, send)
            return
        answer = error(
            421,
            f"got a request for the host {name[:100]!r}, which this hub does not know; "
            f"start it with --allowed-host {name[:100]} if that is its name",
        )
        await answer(scope, receive, send)


def _without_port(host: str) -> str:
    """The name or address of a Host header.

    >>> [_without_port(host) for host in ("a.b:80", "127.0.0.1", "[::1]:80")]
    ['a.b', '127.0.0.1', '::1']
    """
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def _is_loopback(name: str) -> bool:
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
