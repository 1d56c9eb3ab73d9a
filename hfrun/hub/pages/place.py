"""A repository at a revision, as one caller may see it: what all its pages begin with."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from hfrun.hub.accounts.access import Caller
from hfrun.hub.pages.addresses import Addresses
from hfrun.hub.pages.facts import Facts, facts
from hfrun.hub.pages.rendering import page
from hfrun.hub.refusals import GatedRepoError
from hfrun.hub.store.commit import Commit
from hfrun.hub.store.repository import DEFAULT_BRANCH, Repository
from hfrun.hub.store.tree import Tree
from hfrun.hub.transport.messages import segment

_MAX_LISTED_REFS = 200


@dataclass(frozen=True, kw_only=True)
class Place:
    """One repository, one of its revisions, and what the caller may do there.

    Attributes:
        revision: as it was asked for: a branch, a tag, ``refs/pr/1`` or a commit's id.
        may_read: whether the caller may read the files, not only see what there is.
    """

    caller: Caller
    repository: Repository
    revision: str
    commit: Commit
    tree: Tree
    may_read: bool

    @classmethod
    def of(cls, request: Request, *, caller: Caller | None = None) -> "Place":
        """The repository and the revision of an address.

        Raises:
            RefusalError: either is missing, or private to others.
        """
        caller = caller or Caller.of(request)
        repository = caller.repository(request)
        revision = _revision(request)
        commit = repository.commit(repository.resolve(revision))
        return cls(
            caller=caller,
            repository=repository,
            revision=revision,
            commit=commit,
            tree=repository.tree(commit),
            may_read=may_read(caller, repository),
        )

    @property
    def addresses(self) -> Addresses:
        """Where the pages of this repository are."""
        return Addresses(repo_id=self.repository.settings.repo_id)

    @property
    def is_owner(self) -> bool:
        """Whether the caller may decide about this repository."""
        token = self.caller.token
        return (
            token is not None and token.role == "write" and self.caller.is_member(self.repository)
        )

    @cached_property
    def facts(self) -> Facts:
        """What card and report say; of files that the caller may not read, nothing."""
        return facts(self.repository, self.commit, with_report=self.may_read)

    def page(
        self, request: Request, template: str, *, tab: str, view: str, path: str = "", **values: Any
    ) -> Response:
        """A page of this repository, under its header and its tabs.

        Args:
            tab: which tab is open.
            view: the method of ``Addresses`` that the choice of a revision leads to.
            path: within the revision, for ``view``.
        """
        return page(
            request,
            template,
            caller=self.caller,
            place=self,
            settings=self.repository.settings,
            to=self.addresses,
            tab=tab,
            refs=self._refs(view, path),
            has_report=REPORT_PAGE in self.tree,
            n_pull_requests=len(self.repository.refs("pr")),
            total_bytes=sum(entry.size for entry in self.tree.values()),
            **values,
        )

    def _refs(self, view: str, path: str) -> Mapping[str, list[tuple[str, str]]]:
        """Heading to the names and addresses of branches and tags."""
        to = getattr(self.addresses, view)
        listed = {}
        for heading, kind in (("Branches", "heads"), ("Tags", "tags")):
            names = list(self.repository.refs(kind))
            names.sort(key=lambda name: name != DEFAULT_BRANCH)
            rows = [(n, to(n, path) if path else to(n)) for n in names[:_MAX_LISTED_REFS]]
            if rows:
                listed[heading] = rows
        return listed


REPORT_PAGE = "report/report.html"


def _revision(request: Request) -> str:
    if "revision" in request.path_params:
        return segment(request, "revision")
    return request.query_params.get("revision") or DEFAULT_BRANCH


def may_read(caller: Caller, repository: Repository) -> bool:
    """Whether the caller may read the files of a repository that they see."""
    try:
        caller.check_gate(repository)
    except GatedRepoError:
        return False
    return True
