"""Upload addresses that carry their own permission: signed by the hub, and soon invalid.

Clients send no Authorization header with the bytes of a large file, so the address must prove
that the batch request before it was allowed.
"""

import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlencode

from hfrun.hub.names import RepoId
from hfrun.hub.refusals import ForbiddenError
from hfrun.hub.store.disk import exclusive, write_durably

LIFETIME_SECONDS = 3 * 3600  # one upload must have begun by then
_VALUE = re.compile(r"[0-9a-z]{1,64}")


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
    """Signs and checks upload addresses: what they permit stands in their query, under a seal."""

    def __init__(self, secret: Secret) -> None:
        self._secret = secret

    def query(
        self, repo_id: RepoId, sha256: str, size: int, *, seconds: int = 0, **more: int | str
    ) -> str:
        """The query string that permits uploading exactly this object to this repository.

        Args:
            size: of what is sent to the address.
            seconds: that the address lives longer than others.
            more: what else it is for; letters, digits and numbers.
        """
        fields: dict[str, int | str] = {
            "size": size,
            **more,
            "expires": int(time.time()) + LIFETIME_SECONDS + seconds,
        }
        signature = self._secret.sign(*_parts(repo_id, sha256, fields))
        return urlencode({**fields, "signature": signature})

    def check(
        self, repo_id: RepoId, sha256: str, query: Mapping[str, str], *names: str
    ) -> dict[str, str]:
        """What an address permits: ``size`` and ``names``, and nothing besides.

        Raises:
            ForbiddenError: the address is changed, has expired, or is for something else.
        """
        fields = {name: value for name, value in query.items() if name != "signature"}
        wanted = {"size", "expires", *names}
        if fields.keys() != wanted or not all(map(_VALUE.fullmatch, fields.values())):
            raise ForbiddenError("got an unsigned upload address; ask for a new one")
        signature = query.get("signature", "")
        if not self._secret.is_signed(signature, *_parts(repo_id, sha256, fields)):
            raise ForbiddenError("got an upload address with a wrong signature; ask for a new one")
        if int(fields["expires"]) < time.time():
            raise ForbiddenError("got an upload address that has expired; ask for a new one")
        return fields


def _parts(repo_id: RepoId, sha256: str, fields: Mapping[str, int | str]) -> tuple[object, ...]:
    sealed = (f"{name}={value}" for name, value in sorted(fields.items()))
    return "upload", repo_id.address.lower(), sha256, *sealed
