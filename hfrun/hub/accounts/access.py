"""Who is asking, and what they may see and change."""

from dataclasses import dataclass
from pathlib import Path

from starlette.requests import Request

from hfrun.hub.accounts.gating import Gate
from hfrun.hub.accounts.sessions import COOKIE, Sessions
from hfrun.hub.accounts.signing import Secret, UploadSigner
from hfrun.hub.accounts.tokens import Accounts, Token
from hfrun.hub.options import ServerOptions
from hfrun.hub.refusals import (
    BadTokenError,
    ForbiddenError,
    MovedError,
    RepoNotFoundError,
    TokenNeededError,
)
from hfrun.hub.store.hub_store import HubStore, open_root
from hfrun.hub.store.objects import ObjectStore
from hfrun.hub.store.repository import Repository


@dataclass(frozen=True, kw_only=True)
class Hub:
    """What every route works on; one of it for each server process."""

    store: HubStore
    accounts: Accounts
    signer: UploadSigner
    sessions: Sessions
    options: ServerOptions

    @property
    def objects(self) -> ObjectStore:
        """The objects of all repositories."""
        return self.store.objects

    @classmethod
    def at(cls, root: Path, options: ServerOptions) -> "Hub":
        """Open the hub of a root folder, made ready if it is new."""
        open_root(root, create=True)
        secret = Secret(root)
        accounts = Accounts(root)
        if options.anonymous_read is not None:
            accounts.allow_anonymous_read(options.anonymous_read)
        return cls(
            store=HubStore(root),
            accounts=accounts,
            signer=UploadSigner(secret),
            sessions=Sessions(secret),
            options=options,
        )


@dataclass(frozen=True, kw_only=True)
class Caller:
    """The hub as one request may use it; ``token`` is None for an anonymous caller."""

    hub: Hub
    token: Token | None

    @classmethod
    def of(cls, request: Request) -> "Caller":
        """Read the request's bearer token; an unknown one is refused even for public things.

        A browser's session counts where something is only read: another site may make a browser
        send it along, and could then change things in its user's name. Forms carry a key of their
        own (``Sessions.is_form_key``).

        Raises:
            BadTokenError: a token that is unknown, revoked or over.
            TokenNeededError, RepoNotFoundError: none, on a hub that lets nobody in without one.
        """
        hub: Hub = request.app.state.hub
        scheme, _, value = request.headers.get("authorization", "").partition(" ")
        if not scheme:
            reads = request.method in ("GET", "HEAD")
            token = _session_token(hub, request) if reads else None
            if token is None and not hub.accounts.anonymous_read:
                raise _nobody_without_token(request)
        else:
            token = hub.accounts.who(value.strip()) if scheme.lower() == "bearer" else None
            if token is None:
                raise BadTokenError()
        request.state.user = None if token is None else token.user  # for the access log
        return cls(hub=hub, token=token)

    def repository(self, request: Request) -> Repository:
        """The repository that the address names, if this caller may see it.

        Raises:
            MovedError: it has left that name; the same caller may see it under its new one.
            RepoNotFoundError: it is missing or private to others; the answer is the same for both.
        """
        names = request.path_params
        named = names.get("kind", "models"), names["namespace"], names["name"]
        for _ in range(2):  # a repository may come back to a name between the looks at the two
            try:
                repository = self.hub.store.find(*named)
                if self.may_see(repository):
                    return repository
            except RepoNotFoundError:
                pass  # what is missing and what is hidden go the same way from here
            for moved in self.hub.store.successors(*named):
                if self.may_see(moved):
                    raise MovedError(_at(moved, request))
        raise RepoNotFoundError("Repository not found")

    def readable(self, request: Request) -> Repository:
        """Like ``repository``, if this caller may also read the content of its files.

        Raises:
            GatedRepoError: it is gated, and they have not been let in.
        """
        repository = self.repository(request)
        self.check_gate(repository)
        return repository

    def check_gate(self, repository: Repository) -> None:
        """GatedRepoError where a repository is gated and this caller has not been let in."""
        if repository.settings.gated and not self.is_member(repository):
            Gate(repository).check(None if self.token is None else self.token.user)

    def may_see(self, repository: Repository) -> bool:
        """Whether a repository is there for this caller at all."""
        return not repository.settings.private or self.is_member(repository)

    def contributor(self, request: Request) -> Repository:
        """Like ``readable``, for any write token: who may open pull requests and upload for them.

        Raises:
            TokenNeededError: an anonymous caller.
            ForbiddenError: a read-only token.
        """
        repository = self.readable(request)
        self.require_role()
        return repository

    def writable(self, request: Request) -> Repository:
        """Like ``repository``, if this caller may also change it."""
        repository = self.repository(request)
        self.require_write(repository.settings.repo_id.namespace)
        return repository

    def is_member(self, repository: Repository) -> bool:
        """Whether the namespace is this caller's own or one of an organisation of theirs."""
        return self._owns(repository.settings.repo_id.namespace)

    def require_write(self, namespace: str) -> Token:
        """Return the token, if it may change things of the namespace.

        Raises:
            TokenNeededError: an anonymous caller.
            ForbiddenError: a read-only token, or somebody else's namespace.
        """
        token = self.require_role()
        if not self._owns(namespace):
            raise ForbiddenError(
                f"You don't have the rights to write under the namespace {namespace!r}: "
                f"{token.user} is neither its user nor a member of that organisation"
            )
        return token

    def require_role(self) -> Token:
        """Return the token, if it may change anything at all."""
        token = self.require_token()
        if token.role != "write":
            raise ForbiddenError(
                "You have read access with this token, and writing needs a write token"
            )
        return token

    def require_token(self) -> Token:
        """Return the token, or TokenNeededError for an anonymous caller."""
        if self.token is None:
            raise TokenNeededError("Writing needs a token; make one with hfrun hub token create")
        return self.token

    def _owns(self, namespace: str) -> bool:
        if self.token is None:
            return False
        own = [self.token.user, *self.hub.accounts.organisations_of(self.token.user)]
        return namespace.lower() in {name.lower() for name in own}


def _at(repository: Repository, request: Request) -> str:
    """The address of this very request below the repository's present name, query and all."""
    path, query = request.scope["path"], request.scope["query_string"].decode("latin-1")
    names = request.path_params
    # Accounts are not called like what stands before them, so this is the first that fits.
    before, _, after = path.partition(f"/{names['namespace']}/{names['name']}")
    return f"{before}/{repository.settings.repo_id}{after}" + (f"?{query}" if query else "")


def _nobody_without_token(request: Request) -> Exception:
    """Said before anything is looked up. Clients name the repository in their own error then."""
    message = "This hub lets nobody in without a token; make one with hfrun hub token create"
    named = "name" in request.path_params
    return RepoNotFoundError(message) if named else TokenNeededError(message)


def _session_token(hub: Hub, request: Request) -> Token | None:
    token_id = hub.sessions.token_id(request.cookies.get(COOKIE, ""))
    return None if token_id is None else hub.accounts.with_id(token_id)
