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


class Secret:
    """The secret that stays in a hub's root, made on first use; all its servers share it."""

    def __init__(self, root: Path) -> None:
        file = root / "secret"
        with exclusive(root / "locks" / "secret.lock"):
            if not file.exists():
                write_durably(file, secrets.token_hex(32).encode(), mode=0o600)
            self._key = file.read_bytes()

    def sign(self, *parts: object) -> str:
        """HMAC-SHA256, in hex, of parts without line ends; the first says what it is for."""
        text = "\n".join(str(part) for part in parts)
        return hmac.new(self._key, text.encode("utf-8", "replace"), hashlib.sha256).hexdigest()

    def is_signed(self, signature: str, *parts: object) -> bool:
        """Whether ``sign`` gave this for these parts; the time it takes tells nothing."""
        given = signature.encode("utf-8", "replace")
        return hmac.compare_digest(given, self.sign(*parts).encode())


class UploadSigner:
    """Signs and checks upload addresses."""

    def __init__(self, secret: Secret) -> None:
        self._secret = secret

    def query(self, repo_id: RepoId, sha256: str, size: int) -> str:
        """The query string that permits uploading exactly this object to this repository."""
        expires = int(time.time()) + LIFETIME_SECONDS
        signature = self._secret.sign(*self._parts(repo_id, sha256, size, expires))
        return urlencode({"size": size, "expires": expires, "signature": signature})

    def check(self, repo_id: RepoId, sha256: str, query: dict[str, str]) -> int:
        """Return the announced size; ForbiddenError for a changed or an expired address."""
        try:
            size, expires = int(query["size"]), int(query["expires"])
            signature = query["signature"]
        except (KeyError, ValueError):
            raise ForbiddenError("got an unsigned upload address; ask for a new one") from None
        if not self._secret.is_signed(signature, *self._parts(repo_id, sha256, size, expires)):
            raise ForbiddenError("got an upload address with a wrong signature; ask for a new one")
        if expires < time.time():
            raise ForbiddenError("got an upload address that has expired; ask for a new one")
        return size

    @staticmethod
    def _parts(repo_id: RepoId, sha256: str, size: int, expires: int) -> tuple[object, ...]:
        return "upload", repo_id.address.lower(), sha256, size, expires
