"""Gated repositories: seen by everybody who may see them, read only by whom they let in."""

import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from hfrun.hub.refusals import (
    AccessRequestNotFoundError,
    BadRequestError,
    GatedRepoError,
)
from hfrun.hub.store.disk import write_durably
from hfrun.hub.store.repository import Repository, utc_now

MODES = ("auto", "manual")
STATUSES = ("pending", "accepted", "rejected")
_REASON_CHARACTERS = 200  # the client's own limit


@dataclass(frozen=True, kw_only=True)
class AccessRequest:
    """One user's wish to read the files of a repository.

    Attributes:
        status: "pending", "accepted" or "rejected".
        reason: why it was rejected, in the words of who did.
    """

    id: str
    user: str
    status: str
    asked_at: str
    reason: str | None = None


class Gate:
    """Who is let in: ``gate.json`` in the repository's folder, which moves and goes with it.

    Decisions outlive the setting: a gate that is opened and closed again knows them still. Users
    are compared in lower case.
    """

    def __init__(self, repository: Repository) -> None:
        self.repository = repository
        self._file = repository.folder / "gate.json"

    @property
    def is_closed(self) -> bool:
        """Whether reading the files needs to be asked for."""
        return bool(self.repository.settings.gated)

    def allows(self, user: str | None) -> bool:
        """Whether a user who is no member may read the files; None for an anonymous caller."""
        if not self.is_closed:
            return True
        request = None if user is None else self.request_of(user)
        return request is not None and request.status == "accepted"

    def check(self, user: str | None) -> None:
        """Like ``allows``, or GatedRepoError, which says what this user can do."""
        if not self.allows(user):
            raise GatedRepoError(self._what_to_do(user))

    def require_closed(self) -> None:
        """BadRequestError where the repository is not gated, so that there is nothing to decide."""
        if not self.is_closed:
            raise BadRequestError(
                f"got {self.repository.settings.repo_id}, which is not gated: all who see it "
                "may read it"
            )

    def request_of(self, user: str) -> AccessRequest | None:
        """The request of a user, if they asked or were let in."""
        return self._read().get(user.lower())

    def requests(self, status: str) -> list[AccessRequest]:
        """All requests of a status, oldest first."""
        found = [request for request in self._read().values() if request.status == status]
        return sorted(found, key=lambda request: (request.asked_at, request.id))

    def ask(self, user: str) -> AccessRequest:
        """Ask to be let in: at once where the gate is "auto", else a writer decides.

        Asking again changes nothing, except that an "auto" gate lets in who was still waiting.

        Raises:
            BadRequestError: the repository is not gated.
            GatedRepoError: the request was rejected.
        """

        def asked(known: AccessRequest | None, mode: str) -> AccessRequest:
            request = known or _new(user)
            if request.status == "rejected":
                raise GatedRepoError(self._what_to_do(user))
            return replace(request, status="accepted") if mode == "auto" else request

        return self._change(user, asked)

    def decide(
        self, status: str, *, user: str | None, request_id: str | None = None, reason: object = None
    ) -> AccessRequest:
        """Give the request of a user, or of that id where the user is None, another status.

        Raises:
            BadRequestError: the repository is not gated, or no such status or reason.
            AccessRequestNotFoundError: no such request, or it has this status already.
        """
        if status not in STATUSES:
            raise BadRequestError(f"got status {status[:40]!r}; needed is one of {STATUSES}")
        if not (reason is None or isinstance(reason, str)):
            raise BadRequestError("got a reason that is not a text")
        if user is None:
            named = [request.user for request in self._read().values() if request.id == request_id]
            user = named[0] if named else ""

        def decided(known: AccessRequest | None, mode: str) -> AccessRequest:
            if known is None:
                raise AccessRequestNotFoundError("no such access request in this repository")
            if known.status == status:
                raise AccessRequestNotFoundError(f"this access request is already {status}")
            why = reason[:_REASON_CHARACTERS] if reason and status == "rejected" else None
            return replace(known, status=status, reason=why)

        return self._change(user, decided)

    def grant(self, user: str) -> AccessRequest:
        """Let a user in who need not have asked; BadRequestError if they are in."""

        def granted(known: AccessRequest | None, mode: str) -> AccessRequest:
            if known is not None and known.status == "accepted":
                raise BadRequestError(f"{user} has access to this repository already")
            return replace(known or _new(user), status="accepted", reason=None)

        return self._change(user, granted)

    def _what_to_do(self, user: str | None) -> str:
        repo_id = self.repository.settings.repo_id
        what = f"Access to {repo_id.kind[:-1]} {repo_id} is restricted"
        request = None if user is None else self.request_of(user)
        if user is None:
            return f"{what} to users it has let in. Log in with a token first, then ask for access"
        if request is None:
            return f"{what} and {user} has not been let in. POST /{repo_id.address}/ask-access asks"
        if request.status == "pending":
            return f"{what}: the request of {user} awaits the decision of its authors"
        because = f" ({request.reason})" if request.reason else ""
        return f"{what}: its authors have rejected the request of {user}{because}"

    def _change(
        self, user: str, change: Callable[[AccessRequest | None, str], AccessRequest]
    ) -> AccessRequest:
        """Replace one user's request, alone: two decisions at once must not undo each other."""
        with self.repository.exclusive():
            self.require_closed()
            requests = dict(self._read())
            mode = self.repository.settings.gated
            changed = change(requests.get(user.lower()), mode)
            if requests.get(user.lower()) != changed:
                requests[user.lower()] = changed
                rows = {name: asdict(request) for name, request in requests.items()}
                write_durably(self._file, json.dumps(rows, indent=2).encode() + b"\n")
            return changed

    def _read(self) -> Mapping[str, AccessRequest]:
        try:
            rows: dict[str, Any] = json.loads(self._file.read_bytes())
        except (FileNotFoundError, NotADirectoryError):
            return {}
        return {name: AccessRequest(**row) for name, row in rows.items()}


def _new(user: str) -> AccessRequest:
    return AccessRequest(id=uuid.uuid4().hex, user=user, status="pending", asked_at=utc_now())
