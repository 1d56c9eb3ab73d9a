"""Which repositories a listing asks for, in what order, and where its next page begins."""

import base64
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hfrun.hub.descriptions.description import properties
from hfrun.hub.descriptions.metadata import texts
from hfrun.hub.refusals import BadRequestError, RevisionNotFoundError
from hfrun.hub.store.commit import Commit
from hfrun.hub.store.repository import DEFAULT_BRANCH, Repository

# A repository that is deleted while it is listed, or was damaged, is not in the list: that spoils
# nothing for the others.
_GONE = (RevisionNotFoundError, FileNotFoundError)

# What is sorted by. Likes, downloads and trends are not counted here: all are equal, and the
# newest repositories come first, an order that no push changes.
SORTS = {
    "lastModified": "lastModified",
    "createdAt": "createdAt",
    "likes": "createdAt",
    "downloads": "createdAt",
    "trendingScore": "createdAt",
}
_QUANTITY = re.compile(r"(\d{1,18}(?:\.\d{1,6})?)([KMBT]?)", re.IGNORECASE)
_UNITS = {"": 1.0, "K": 1e3, "M": 1e6, "B": 1e9, "T": 1e12}


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What a repository must be to be listed; every field has a value that asks for nothing.

    Attributes:
        search: texts that the id holds, in any case.
        tags: all of which it has.
        parameters: least and most numbers in a model's weights.
        linked: a space that names a model or a data set.
    """

    author: str = ""
    search: Sequence[str] = ()
    tags: frozenset[str] = frozenset()
    pipeline_tag: str = ""
    gated: bool | None = None
    parameters: tuple[float, float] | None = None
    models: frozenset[str] = frozenset()
    datasets: frozenset[str] = frozenset()
    linked: bool = False

    def takes_id(self, repository: Repository) -> bool:
        """Whether the id and the settings are asked for: what is known without a commit."""
        settings = repository.settings
        if self.author and settings.repo_id.namespace.lower() != self.author.lower():
            return False
        shown = str(settings.repo_id).lower()
        if not all(text.lower() in shown for text in self.search):
            return False
        return self.gated is None or self.gated == bool(settings.gated)

    def takes(self, repository: Repository, commit: Commit) -> bool:
        """Whether what the files say is asked for; nothing is read that nobody asks about."""

        def said(*names: str) -> dict[str, Any]:
            return properties(repository, commit, names)

        if self.tags and not self.tags <= set(said("tags")["tags"]):
            return False
        if self.pipeline_tag and said("pipeline_tag").get("pipeline_tag") != self.pipeline_tag:
            return False
        if self.parameters is not None:
            weights = said("safetensors").get("safetensors")
            least, most = self.parameters
            if weights is None or not least <= weights["total"] <= most:
                return False
        if not (self.models or self.datasets or self.linked):
            return True
        card = said("cardData")["cardData"]
        models, datasets = set(texts(card, "models")), set(texts(card, "datasets"))
        named = self.models <= models and self.datasets <= datasets
        return named and (not self.linked or bool(models | datasets))


@dataclass(frozen=True, kw_only=True)
class Found:
    """A repository that is listed, at the head of its default branch."""

    repository: Repository
    commit: Commit

    def key(self, sort: str) -> tuple[str, str]:
        """Its place in the order; the id tells apart what is of one time."""
        settings = self.repository.settings
        time = settings.created_at if SORTS[sort] == "createdAt" else self.commit.date
        return time, str(settings.repo_id).lower()


def found(repositories: Iterable[Repository], wanted: Wanted) -> Iterator[Found]:
    """Those of the repositories that are asked for."""
    for repository in repositories:
        if not wanted.takes_id(repository):
            continue
        try:
            commit = repository.commit(repository.head(DEFAULT_BRANCH))
            if wanted.takes(repository, commit):
                yield Found(repository=repository, commit=commit)
        except _GONE:
            continue


def described(rows: Iterable[Found], describe: Callable[[Found], dict[str, Any]]) -> list[Any]:
    """What is said of each row that is still there."""
    said = []
    for row in rows:
        try:
            said.append(describe(row))
        except _GONE:
            continue
    return said


def page(
    rows: Iterable[Found], *, sort: str, ascending: bool, limit: int, cursor: str | None
) -> tuple[list[Found], str | None]:
    """One page, and the cursor of the next if there is one.

    The cursor is the place of the page's last row, not a number of rows: while repositories are
    added or deleted, no other one comes twice or is left out. Where the order is that of the last
    change, one that changes meanwhile moves to the front, and is missed if it was still to come.

    Raises:
        BadRequestError: a cursor that this hub has not given.
    """
    place = None if cursor is None else _place(cursor)
    rows = sorted(rows, key=lambda row: row.key(sort), reverse=not ascending)
    if place is not None:
        rows = [r for r in rows if (r.key(sort) > place if ascending else r.key(sort) < place)]
    if len(rows) <= limit:
        return rows, None
    last = json.dumps(rows[limit - 1].key(sort)).encode()
    return rows[:limit], base64.urlsafe_b64encode(last).decode()


def parameters_between(text: str) -> tuple[float, float]:
    """Bounds of a number of parameters, e.g. ``min:6B,max:128B``.

    Raises:
        BadRequestError: anything else.

    >>> parameters_between("min:1.5K")
    (1500.0, inf)
    """
    bounds: Mapping[str, float] = {"min": 0.0, "max": float("inf")}
    for part in text.split(","):
        name, _, value = part.partition(":")
        match = _QUANTITY.fullmatch(value.strip())
        if name.strip() not in bounds or match is None:
            raise BadRequestError(
                f"got num_parameters {text[:100]!r}; needed is e.g. min:6B,max:128B"
            )
        quantity = float(match[1]) * _UNITS[match[2].upper()]
        bounds = {**bounds, name.strip(): quantity}
    return bounds["min"], bounds["max"]


def _place(cursor: str) -> tuple[str, str]:
    try:
        time, repo_id = json.loads(base64.urlsafe_b64decode(cursor.encode()))
    except (ValueError, TypeError, RecursionError):
        time, repo_id = None, None
    if not isinstance(time, str) or not isinstance(repo_id, str):
        raise BadRequestError("Invalid cursor: got one that this hub has not given")
    return time, repo_id
