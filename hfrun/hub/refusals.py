"""What a hub refuses, with the status and the error code that Hugging Face clients look for.

RefusalError                   any of them; a HubError, so commands print it and exit with 2
├── MovedError                 307  a name that a repository has left; the answer tells the new one
├── BadRequestError            400  a body or a name that cannot be understood
├── ObjectMissingError         400  a commit of a large file whose bytes were never uploaded
├── BadTokenError              401  a token that this hub does not know
├── TokenNeededError           401  writing without a token
├── ForbiddenError             403  a read-only token, or a namespace of somebody else
├── GatedRepoError             403  files of a gated repository; 401 for anonymous callers
├── RepoNotFoundError          404  missing, or private to this caller; 401 for anonymous callers
├── RevisionNotFoundError      404  no such branch, tag or commit
├── EntryNotFoundError         404  no such file or folder at this revision
├── DiscussionNotFoundError    404  no such discussion, pull request or comment
├── AccessRequestNotFoundError 404  no such request to read a gated repository, or decided so
├── AlreadyExistsError         409  a repository, branch or tag of that name
├── ConflictError              409  what was asked does not go with what has happened meanwhile
├── StaleParentError           412  the branch has moved since the client looked
├── TooLargeError              413  more bytes than were announced or are allowed
└── BadPathError               422  a path that must not be stored
"""

from typing import ClassVar

from hfrun.errors import HubError


class RefusalError(HubError):
    """Base: ``status`` is the HTTP status, ``code`` the value of X-Error-Code."""

    status: ClassVar[int] = 400
    code: ClassVar[str | None] = None


class MovedError(RefusalError):
    """The repository has another name now; ``location`` is where this very request belongs."""

    status = 307

    def __init__(self, location: str) -> None:
        super().__init__(f"This repository has moved: ask at {location}")
        self.location = location


class BadRequestError(RefusalError):
    """A body or a name cannot be understood."""


class ObjectMissingError(RefusalError):
    """A commit names a large file whose bytes were never uploaded to this repository."""


class BadTokenError(RefusalError):
    """The token is unknown; clients match this text exactly."""

    status = 401

    def __init__(self) -> None:
        super().__init__("Invalid credentials in Authorization header")


class TokenNeededError(RefusalError):
    """The request changes something and carries no token."""

    status = 401


class ForbiddenError(RefusalError):
    """The token may not do this."""

    status = 403


class GatedRepoError(RefusalError):
    """The files of a gated repository are not for this caller, who may see that it is there."""

    status = 403
    code = "GatedRepo"


class RepoNotFoundError(RefusalError):
    """The repository is missing, or private to this caller: both look alike."""

    status = 404
    code = "RepoNotFound"


class RevisionNotFoundError(RefusalError):
    """No such branch, tag or commit in this repository."""

    status = 404
    code = "RevisionNotFound"

    def __init__(self, revision: str) -> None:
        super().__init__(f"Invalid rev id: {revision}")


class EntryNotFoundError(RefusalError):
    """No such file or folder; ``commit`` is the revision that was searched, if one was."""

    status = 404
    code = "EntryNotFound"

    def __init__(self, message: str, *, commit: str | None = None) -> None:
        super().__init__(message)
        self.commit = commit


class DiscussionNotFoundError(RefusalError):
    """No such discussion, pull request or comment in this repository."""

    status = 404


class AccessRequestNotFoundError(RefusalError):
    """No such request to read a gated repository, or it has been decided so already."""

    status = 404


class AlreadyExistsError(RefusalError):
    """A repository, branch or tag of that name is there; ``url`` is the repository's address."""

    status = 409

    def __init__(self, message: str, *, url: str | None = None) -> None:
        super().__init__(message)
        self.url = url


class ConflictError(RefusalError):
    """Files changed on both sides of a merge, or a pull request that is over."""

    status = 409


class StaleParentError(RefusalError):
    """The branch has moved since the client looked."""

    status = 412


class TooLargeError(RefusalError):
    """More bytes than were announced or are allowed."""

    status = 413


class BadPathError(RefusalError):
    """A path that must not be stored."""

    status = 422
