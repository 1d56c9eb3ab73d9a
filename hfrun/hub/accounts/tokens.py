"""Users, organisations and tokens of a hub; of a token only its hash is kept."""

import hashlib
import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from hfrun.errors import HubError
from hfrun.hub.names import checked_account, is_utf8
from hfrun.hub.store.disk import exclusive, make_folder, write_durably
from hfrun.hub.store.hub_store import open_root
from hfrun.hub.store.repository import utc_now

ROLES = ("read", "write")
_ID_DIGITS = 12  # of the hash: enough to name a token, useless for guessing it


_MAX_DAYS = 36_500.0
_LABEL_CHARACTERS = 100


@dataclass(frozen=True, kw_only=True)
class Token:
    """One token as it is listed: ``id`` begins its hash, the token itself is not known.

    Attributes:
        label: what it is for, in the words of who made it.
        expires_at: from when it is unknown; "" for never.
    """

    id: str
    user: str
    role: str
    created_at: str
    label: str = ""
    expires_at: str = ""

    @property
    def is_over(self) -> bool:
        """Whether it has expired."""
        return bool(self.expires_at) and self.expires_at <= utc_now()  # both in the same form


@dataclass(frozen=True, kw_only=True)
class Organisation:
    """An organisation and its members, as their names are written."""

    name: str
    members: tuple[str, ...]


def create_token(
    root: Path,
    user: str,
    *,
    role: str = "write",
    label: str = "",
    expires_days: float | None = None,
) -> str:
    """Make a token for the hub of a folder, which may be new, and return it."""
    accounts = Accounts(open_root(root, create=True))
    return accounts.create_token(user, role=role, label=label, expires_days=expires_days)


class Accounts:
    """``accounts.json`` of a hub's root, read afresh when another process has changed it.

    Users come into being with their first token. Names are compared in lower case and shown as
    they were first written. Members of an organisation may write to its repositories.
    """

    def __init__(self, root: Path) -> None:
        self._file = root / "accounts.json"
        self._lock_file = root / "locks" / "accounts.lock"
        self._uses = root / "used"
        self._noted: set[tuple[str, str]] = set()
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

    def create_token(
        self, user: str, *, role: str, label: str = "", expires_days: float | None = None
    ) -> str:
        """Make a token and return it: the only time that it is seen.

        Args:
            label: a line that says what it is for.
            expires_days: for how long it is known; None for ever.
        """
        checked_account(user)
        if role not in ROLES:
            raise HubError(f"got role {role!r}; needed is one of {', '.join(ROLES)}")
        if len(label) > _LABEL_CHARACTERS or not (label.isprintable() and is_utf8(label)):
            raise HubError(
                f"got label {label[:120]!r}; needed is one line of up to "
                f"{_LABEL_CHARACTERS} characters"
            )
        expires_at = "" if expires_days is None else _in_days(expires_days)
        token = "hf_" + secrets.token_urlsafe(32)
        with self._changing() as accounts:
            if user.lower() in accounts["organisations"]:
                raise HubError(f"got user {user!r}, which is an organisation; tokens are for users")
            known = accounts["users"].setdefault(user.lower(), {"name": user})
            accounts["tokens"][_hash(token)] = {
                "user": known["name"],
                "role": role,
                "created_at": utc_now(),
                "label": label,
                "expires_at": expires_at,
            }
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
        (self._uses / token_id).unlink(missing_ok=True)

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

    def remove_member(self, organisation: str, user: str) -> None:
        """Take a user out of an organisation; the last one stays, so that somebody may write."""
        with self._changing() as accounts:
            known = accounts["organisations"].get(organisation.lower())
            if known is None:
                raise HubError(
                    f"got organisation {organisation!r}, which is not one of this hub; "
                    "hfrun hub org list shows them"
                )
            if user.lower() not in known["members"]:
                raise HubError(f"got {user!r}, who is no member of {known['name']}")
            if known["members"] == [user.lower()]:
                raise HubError(
                    f"got {user!r}, the last member of {known['name']}; add another first: "
                    f"hfrun hub org create {known['name']} --member USER"
                )
            known["members"].remove(user.lower())

    def organisations(self) -> list[Organisation]:
        """All organisations, by their names."""
        accounts = self._read()
        listed = [
            Organisation(
                name=row["name"],
                members=tuple(accounts["users"][member]["name"] for member in row["members"]),
            )
            for row in accounts["organisations"].values()
        ]
        return sorted(listed, key=lambda organisation: organisation.name.lower())

    def tokens(self) -> list[Token]:
        """All tokens, oldest first."""
        rows = self._read()["tokens"].items()
        listed = [Token(id=digest[:_ID_DIGITS], **row) for digest, row in rows]
        return sorted(listed, key=lambda token: (token.created_at, token.id))

    def who(self, token: str) -> Token | None:
        """Whose token this is; None for an unknown one, or one that is over."""
        digest = _hash(token)  # looked up by hash, so timing tells nothing about the token
        row = self._read()["tokens"].get(digest)
        known = None if row is None else Token(id=digest[:_ID_DIGITS], **row)
        if known is None or known.is_over:
            return None
        self._note_use(known)
        return known

    def with_id(self, token_id: str) -> Token | None:
        """The token of that listed id; None for an unknown one, or one that is over."""
        found = [token for token in self.tokens() if token.id == token_id]
        return found[0] if len(found) == 1 and not found[0].is_over else None

    def last_used(self, token_id: str) -> str:
        """The day, in UTC, on which a token was last used; "" for never."""
        try:
            used = (self._uses / token_id).stat().st_mtime
        except FileNotFoundError:
            return ""
        return datetime.fromtimestamp(used, UTC).date().isoformat()

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

    def user_name(self, user: str) -> str | None:
        """How a user's name is written; None if there is no such user."""
        row = self._read()["users"].get(user.lower())
        return None if row is None else str(row["name"])

    def _note_use(self, token: Token) -> None:
        """Keep the day of a token's last use: one small file, touched once a day and process."""
        use = token.id, utc_now()[:10]
        if use in self._noted:
            return
        try:
            make_folder(self._uses)
            (self._uses / token.id).touch(mode=0o600)
        except OSError:  # a full disk is no reason to refuse who only reads
            return
        self._noted = {known for known in self._noted if known[1] == use[1]} | {use}

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


def _in_days(days: float) -> str:
    if not 0 < days <= _MAX_DAYS:
        raise HubError(f"got an expiry in {days:g} days; needed is a number above 0")
    end = datetime.now(UTC) + timedelta(days=days)
    return end.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()
