"""Upload addresses that carry their own permission: signed by the hub, and soon invalid.

Clients send no Authorization header with the bytes of a large file, so the address must prove
that the batch request before it was allowed.
"""

import hashlib
import hmac
import secrets
import time
from pathlib import Path
from urllib.parse import urlencode

from hfrun.hub.disk import exclusive, write_durably
from hfrun.hub.names import RepoId
from hfrun.hub.refusals import ForbiddenError

LIFETIME_SECONDS = 3 * 3600  # one upload must have begun by then


class UploadSigner:
    """Signs and checks upload addresses with a secret that stays in the hub's root."""

    def __init__(self, root: Path) -> None:
        self._secret = _secret_of(root)

    def query(self, repo_id: RepoId, sha256: str, size: int) -> str:
        """The query string that permits uploading exactly this object to this repository."""
        expires = int(time.time()) + LIFETIME_SECONDS
        signature = self._signature(repo_id, sha256, size, expires)
        return urlencode({"size": size, "expires": expires, "signature": signature})

    def check(self, repo_id: RepoId, sha256: str, query: dict[str, str]) -> int:
        """Return the announced size; ForbiddenError for a changed or an expired address."""
        try:
            size, expires = int(query["size"]), int(query["expires"])
            signature = query["signature"].encode()
        except (KeyError, ValueError):
            raise ForbiddenError("got an unsigned upload address; ask for a new one") from None
        wanted = self._signature(repo_id, sha256, size, expires).encode()
        if not hmac.compare_digest(signature, wanted):
            raise ForbiddenError("got an upload address with a wrong signature; ask for a new one")
        if expires < time.time():
            raise ForbiddenError("got an upload address that has expired; ask for a new one")
        return size

    def _signature(self, repo_id: RepoId, sha256: str, size: int, expires: int) -> str:
        text = f"upload\n{repo_id.address.lower()}\n{sha256}\n{size}\n{expires}"
        return hmac.new(self._secret, text.encode(), hashlib.sha256).hexdigest()


def _secret_of(root: Path) -> bytes:
    """The hub's secret, made on first use; all its server processes share it."""
    file = root / "secret"
    with exclusive(root / "locks" / "secret.lock"):
        if not file.exists():
            write_durably(file, secrets.token_hex(32).encode(), mode=0o600)
        return file.read_bytes()
