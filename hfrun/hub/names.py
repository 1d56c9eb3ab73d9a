"""Names that reach the disk or a header: each is checked here before anything uses it."""

import re
from dataclasses import dataclass
from urllib.parse import quote

from hfrun.hub.refusals import BadPathError, BadRequestError

KINDS = ("models", "datasets", "spaces")

# First segments of the hub's own addresses: an account of that name could not be reached.
RESERVED = frozenset(
    {*KINDS, "api", "kernels", "buckets", "settings", "login", "logout", "resolve", "static"}
)

_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?")
_MAX_ID = 96  # the limit of huggingface_hub's own validator
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_WITHOUT_WIDTH = re.compile("[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]")
_SHA1 = re.compile(r"[0-9a-f]{40}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True)
class RepoId:
    """One repository: its kind (plural, as in the addresses) and ``namespace/name``."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"

    @property
    def place(self) -> tuple[str, str, str]:
        """Kind, namespace and name as they name folders: names differ in more than their case."""
        return self.kind, self.namespace.lower(), self.name.lower()

    @property
    def address(self) -> str:
        """Path below the endpoint: models have no prefix, the others their kind."""
        return str(self) if self.kind == "models" else f"{self.kind}/{self}"


def checked_name(name: object, *, what: str) -> str:
    """Return a user, organisation or repository name that the clients' own check accepts."""
    if (
        not isinstance(name, str)
        or not _NAME.fullmatch(name)
        or len(name) > _MAX_ID
        or "--" in name
        or ".." in name
        or name.lower().endswith(".git")
    ):
        raise BadRequestError(
            f"got {what} {str(name)[:100]!r}; needed are 1 to {_MAX_ID} letters, digits, '-', '_' "
            "or '.', not starting or ending with '-' or '.', without '--', '..' or a final '.git'"
        )
    return name


def checked_account(name: object) -> str:
    """Return the name of a user or organisation: a name that no address of the hub uses."""
    account = checked_name(name, what="account")
    if account.lower() in RESERVED:
        raise BadRequestError(
            f"got account {account!r}, which the hub keeps for itself; choose another"
        )
    return account


def checked_repo_id(kind: object, namespace: object, name: object) -> RepoId:
    """Return a RepoId whose three parts were checked."""
    if kind not in KINDS:
        raise BadRequestError(f"got repository type {str(kind)[:40]!r}; needed is one of {KINDS}")
    repo_id = RepoId(
        kind=str(kind),
        namespace=checked_account(namespace),
        name=checked_name(name, what="repository name"),
    )
    if len(str(repo_id)) > _MAX_ID:
        raise BadRequestError(f"got the id {repo_id}; needed are at most {_MAX_ID} characters")
    return repo_id


def is_ref_name(name: object) -> bool:
    """Whether git would take this as a branch or tag (git-check-ref-format) and a disk too."""
    if not isinstance(name, str) or not is_utf8(name) or not name or _CONTROL.search(name):
        return False
    if len(quote(name, safe="")) > 200 or name == "@" or name.startswith("-"):
        return False
    if any(part in name for part in ("..", "@{", " ", "~", "^", ":", "?", "*", "[", "\\")):
        return False
    segments = name.split("/")
    return all(s and not s.startswith(".") and not s.endswith((".", ".lock")) for s in segments)


def is_utf8(text: str) -> bool:
    """Whether the text can be written at all: JSON can carry half of a surrogate pair."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def checked_path(path: object) -> str:
    """Return a file's path in a repository: relative, canonical, harmless in any checkout."""
    if not isinstance(path, str) or not path or not is_utf8(path):
        raise BadPathError(f"got path {path!r}; needed is a relative path in UTF-8")
    segments = path.split("/")
    if (
        len(path) > 1024
        or _CONTROL.search(path)
        or "\\" in path
        or any(segment in ("", ".", "..") for segment in segments)
        or any(_is_dot_git(segment) for segment in segments)
        or any(len(segment.encode()) > 255 for segment in segments)
    ):
        raise BadPathError(
            f"got path {path[:200]!r}; needed is a relative path without empty parts, '.', '..', "
            "'.git', backslashes or control characters"
        )
    return path


def _is_dot_git(segment: str) -> bool:
    """Whether some file system takes this name for ``.git``, whose hooks git runs.

    NTFS knows a short name and ignores what follows a colon, and final dots and blanks; HFS+
    ignores letters without width (git, path.c, is_ntfs_dotgit, and utf8.c, is_hfs_dotgit).
    """
    plain = _WITHOUT_WIDTH.sub("", segment).lower().partition(":")[0].rstrip(". ")
    return plain in (".git", "git~1")


def is_sha1(text: object) -> bool:
    """Whether this is a full commit id or git blob id."""
    return isinstance(text, str) and _SHA1.fullmatch(text) is not None


def is_sha256(text: object) -> bool:
    """Whether this is the name of an object."""
    return isinstance(text, str) and _SHA256.fullmatch(text) is not None
