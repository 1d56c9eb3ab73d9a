"""Where the links and images of a card may lead: into its own repository, or plainly outside."""

import posixpath
import re
from dataclasses import dataclass
from urllib.parse import quote, unquote

from hfrun.hub.names import checked_path
from hfrun.hub.refusals import BadPathError

ID_PREFIX = "card-"
MAX_LINK_CHARACTERS = 2_000

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
# http:path would be read as a path of this hub; only an address with a host is outside.
_OUTSIDE = re.compile(r"https?://[^/?#@\\]|mailto:[^/]", re.IGNORECASE)
_REMOVED_BY_BROWSERS = re.compile(r"[\t\n\r]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_KEPT = "/:?#[]@!$&'()*+,;=%~-._"


@dataclass(frozen=True, kw_only=True)
class CardPlace:
    """The repository and revision whose README is shown.

    Attributes:
        address: of the repository below the endpoint, e.g. ``datasets/alice/ticks``.
        revision: as it stands in the address of the page, unquoted.
    """

    address: str
    revision: str

    def link(self, target: str) -> str | None:
        """The address that a link leads to; None where it is to be dropped.

        ::

            #usage            #card-usage
            docs/a.md         /{address}/blob/{revision}/docs/a.md
            data/             /{address}/tree/{revision}/data
            /alice/other      as it is: another page of this hub
            https:, mailto:   as they are
            ../../x, //host   dropped, as is every other scheme
        """
        target = _cleaned(target)
        if not target or target.startswith("//"):
            return None
        if _SCHEME.match(target):
            return quote(target, safe=_KEPT) if _OUTSIDE.match(target) else None
        if target.startswith("/"):
            return quote(target, safe=_KEPT)
        path, hash_sign, fragment = target.partition("#")
        anchor = f"#{ID_PREFIX}{quote(unquote(fragment))}" if hash_sign and fragment else ""
        if not path:
            return anchor or None
        return self._inside(path, anchor)

    def image(self, source: str) -> str | None:
        """The path, in the repository, of an image; None for anything that is not in there."""
        source = _cleaned(source)
        if _SCHEME.match(source) or source.startswith("/"):
            return None
        return _path(source)

    def image_address(self, path: str) -> str:
        """The address that serves a file of the repository."""
        return f"{self.image_prefix}{quote(path)}"

    def holds(self, address: str) -> bool:
        """Whether this is ``image_address`` of a path, and not one that climbs out of it."""
        inside = unquote(address.removeprefix(self.image_prefix))
        return _path(inside) is not None and self.image_address(inside) == address

    @property
    def image_prefix(self) -> str:
        """What the address of every image of the card begins with."""
        return f"/{self.address}/resolve/{quote(self.revision, safe='')}/"

    def _inside(self, target: str, anchor: str) -> str | None:
        revision = quote(self.revision, safe="")
        bare = target.partition("?")[0]
        if posixpath.normpath(unquote(bare)) == ".":
            return f"/{self.address}/tree/{revision}"
        path = _path(target)
        if path is None:
            return None
        if bare.endswith("/"):
            return f"/{self.address}/tree/{revision}/{quote(path)}"
        return f"/{self.address}/blob/{revision}/{quote(path)}{anchor}"


def _cleaned(target: str) -> str:
    """The address as a browser would read it; empty for what no honest link contains."""
    target = _REMOVED_BY_BROWSERS.sub("", target.strip())
    # To a browser a backslash is a slash: /\host is another host.
    if len(target) > MAX_LINK_CHARACTERS or "\\" in target or _CONTROL.search(target):
        return ""
    return target


def _path(target: str) -> str | None:
    """A relative address as a path of the repository; None where it climbs out of it."""
    plain = unquote(re.split(r"[?#]", target, maxsplit=1)[0])
    try:
        return checked_path(posixpath.normpath(plain))
    except BadPathError:
        return None
