"""The addresses of a repository's pages."""

from dataclasses import dataclass
from urllib.parse import quote

from hfrun.hub.names import RepoId
from hfrun.hub.pages.words import address_segment
from hfrun.hub.store.repository import DEFAULT_BRANCH


@dataclass(frozen=True, kw_only=True)
class Addresses:
    """Where the pages of one repository are; revisions are one segment, paths keep slashes.

    >>> Addresses(repo_id=RepoId(kind="datasets", namespace="a", name="d")).tree("run/1", "x y")
    '/datasets/a/d/tree/run%2F1/x%20y'
    """

    repo_id: RepoId

    @property
    def root(self) -> str:
        """The card of the default branch."""
        return f"/{self.repo_id.address}"

    def card(self, revision: str) -> str:
        """The card at a revision."""
        if revision == DEFAULT_BRANCH:
            return self.root
        return f"{self.root}?revision={address_segment(revision)}"

    def tree(self, revision: str, path: str = "") -> str:
        """A folder."""
        return self._at("tree", revision, path)

    def blob(self, revision: str, path: str) -> str:
        """A file's page."""
        return self._at("blob", revision, path)

    def resolve(self, revision: str, path: str) -> str:
        """A file's bytes."""
        return self._at("resolve", revision, path)

    def commits(self, revision: str) -> str:
        """The history that ends at a revision."""
        return self._at("commits", revision)

    def commit(self, commit_id: str) -> str:
        """What one commit changed."""
        return self._at("commit", commit_id)

    def report(self, revision: str, file: str = "") -> str:
        """The walk-forward report, in its frame; with a file the report alone."""
        return self._at("report", revision, file)

    def discussions(self) -> str:
        """All pull requests and discussions."""
        return f"{self.root}/discussions"

    def discussion(self, number: int) -> str:
        """One of them."""
        return f"{self.root}/discussions/{number}"

    def access(self) -> str:
        """Who asks to read the files of a gated repository."""
        return f"{self.root}/access"

    def _at(self, page: str, revision: str, path: str = "") -> str:
        address = f"{self.root}/{page}/{address_segment(revision)}"
        return f"{address}/{quote(path, safe='/')}" if path else address
