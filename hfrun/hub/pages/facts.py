"""What the files of a commit say of it, as far as the caller may read them."""

from dataclasses import dataclass

from hfrun.hub.descriptions.description import properties
from hfrun.hub.pages.verdict import RunVerdict, run_verdict
from hfrun.hub.store.commit import Commit
from hfrun.hub.store.repository import Repository

_MAX_TAGS = 50
_MAX_TAG_CHARACTERS = 100


@dataclass(frozen=True, kw_only=True)
class Facts:
    """The tags that clients filter by too, and what the gates and figures of a report are."""

    tags: tuple[str, ...]
    verdict: RunVerdict | None


def facts(repository: Repository, commit: Commit, *, with_report: bool) -> Facts:
    """What a commit says of itself; both parts are kept in memory where they are read.

    Args:
        with_report: whether the report counts too; a gated one is not for everybody.
    """
    tags = properties(repository, commit, ["tags"]).get("tags", [])
    return Facts(
        tags=tuple(tag for tag in tags if len(tag) <= _MAX_TAG_CHARACTERS)[:_MAX_TAGS],
        verdict=run_verdict(repository, repository.tree(commit)) if with_report else None,
    )
