"""Users, organisations and tokens of a hub; of a token only its hash is kept."""

import hashlib
import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hfrun.errors import HubError
from hfrun.hub.disk import exclusive, write_durably
from hfrun.hub.names import checked_account
from hfrun.hub.repository import utc_now
from hfrun.hub.store import open_root

ROLES = ("read", "write")
_ID_DIGITS = 12  # of the hash: enough to name a token, useless for guessing it


@dataclass(frozen=True, kw_only=True)
class Token:
    """One token as it is listed: ``id`` begins its hash, the token itself is not known."""

    id: str
    user: str
    role: str
    created_at: str


def create_token(root: Path, user: str, *, role: str = "write") -> str:
    """Make a token for the hub of a folder, which may be new, and return it."""
    return Accounts(open_root(root, create=True)).create_token(user, role=role)


class Accounts:
    """``accounts.json`` of a hub's root, read afresh when another process has changed it.

    Users come into being with their first token. Names are compared in lower case and shown as
    they were first written. Members of an organisation may write to its repositories.
    """

    def __init__(self, root: Path) -> None:
        self._file = root / "accounts.json"
        self._lock_file = root / "locks" / "accounts.lock"
        self._seen: tuple[tuple[int, int], dict[str, Any]] | None = None

    @property
    def anonymous_read(self) -> bool:
        """Whether callers without a token may read what is public; True where nobody decided."""
        return bool(self._read().get("anonymous_read", True))

    def allow_anonymous_read(self, allowed: bool) -> None:
        """Decide it for all servers of the folder, with their next request."""
        if allowed != self.anonymous_read:
            with self._changing() as accounts:
                accounts["anonymous_read"] = allowed

    def create_token(self, user: str, *, role: str) -> str:
        """Make a token and return it: the only time that it is seen."""
        checked_account(user)
        if role not in ROLES:
            raise HubError(f"got role {role!r}; needed is one of {', '.join(ROLES)}")
        token = "hf_" + secrets.token_urlsafe(32)
        with self._changing() as accounts:
            if user.lower() in accounts["organisations"]:
                raise HubError(f"got user {user!r}, which is an organisation; tokens are for users")
            known = accounts["users"].setdefault(user.lower(), {"name": user})
            row = {"user": known["name"], "role": role, "created_at": utc_now()}
            accounts["tokens"][_hash(token)] = row
        return token

    def revoke(self, token_id: str) -> None:
        """Forget the token whose listed id this is."""
        with self._changing() as accounts:
            matching = [h for h in accounts["tokens"] if h[:_ID_DIGITS] == token_id]
            if len(matching) != 1:
                raise HubError(
                    f"got token id {token_id!r}, which is not one of this hub; "
                    "hfrun hub token list shows them"
                )
            del accounts["tokens"][matching[0]]

    def create_organisation(self, name: str, *, members: list[str]) -> None:
        """Make an organisation, or add members to it; each must be a user already."""
        checked_account(name)
        with self._changing() as accounts:
            unknown = [m for m in members if m.lower() not in accounts["users"]]
            if unknown or not members:
                raise HubError(
                    f"got members {members}; needed are users of this hub, and {unknown} are not: "
                    "make each a token first with hfrun hub token create"
                )
            if name.lower() in accounts["users"]:
                raise HubError(f"got organisation {name!r}, which is a user; choose another name")
            known = accounts["organisations"].setdefault(
                name.lower(), {"name": name, "members": []}
            )
            known["members"] = sorted({*known["members"], *(m.lower() for m in members)})

    def tokens(self) -> list[Token]:
        """All tokens, oldest first."""
        rows = self._read()["tokens"].items()
        listed = [Token(id=digest[:_ID_DIGITS], **row) for digest, row in rows]
        return sorted(listed, key=lambda token: (token.created_at, token.id))

    def who(self, token: str) -> Token | None:
        """Whose token this is; None for an unknown one."""
        digest = _hash(token)  # looked up by hash, so timing tells nothing about the token
        row = self._read()["tokens"].get(digest)
        return None if row is None else Token(id=digest[:_ID_DIGITS], **row)

    def with_id(self, token_id: str) -> Token | None:
        """The token of that listed id; None for an unknown one."""
        found = [token for token in self.tokens() if token.id == token_id]
        return found[0] if len(found) == 1 else None

    def organisations_of(self, user: str) -> list[str]:
        """Names of the organisations that a user is a member of."""
        rows = self._read()["organisations"].values()
        return sorted(row["name"] for row in rows if user.lower() in row["members"])

    def shown_name(self, account: str) -> str | None:
        """How a user's or organisation's name is written; None if there is no such account."""
        accounts = self._read()
        row = accounts["users"].get(account.lower())
        row = row or accounts["organisations"].get(account.lower())
        return None if row is None else str(row["name"])

    def _read(self) -> dict[str, Any]:
        try:
            status = self._file.stat()
        except FileNotFoundError:
            return {"users": {}, "organisations": {}, "tokens": {}}
        stamp = (status.st_ino, status.st_mtime_ns)  # every change is a new file
        if self._seen is None or self._seen[0] != stamp:
            self._seen = (stamp, json.loads(self._file.read_bytes()))
        return self._seen[1]

    @contextmanager
    def _changing(self) -> Iterator[dict[str, Any]]:
        with exclusive(self._lock_file):
            accounts = json.loads(json.dumps(self._read()))
            yield accounts
            write_durably(self._file, json.dumps(accounts, indent=2).encode(), mode=0o600)


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()
