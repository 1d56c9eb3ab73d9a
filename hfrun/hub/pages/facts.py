"""What the card and the report of a commit say of it, found once for each tree."""

import threading
from dataclasses import dataclass

from cachetools import LRUCache

from hfrun.hub.commit import Commit
from hfrun.hub.description import card_of
from hfrun.hub.metadata import tags
from hfrun.hub.pages.verdict import RunVerdict, run_verdict
from hfrun.hub.repository import Repository

_MAX_TAGS = 50

# By the id of the tree, which is the hash of all it holds: an entry never goes stale.
_known: LRUCache[tuple[str, bool], "Facts"] = LRUCache(10_000)
_known_lock = threading.Lock()


@dataclass(frozen=True, kw_only=True)
class Facts:
    """Tags of a card, and what the gates and figures of a report are, where there is one."""

    tags: tuple[str, ...]
    verdict: RunVerdict | None


def facts(repository: Repository, commit: Commit, *, with_report: bool) -> Facts:
    """What a commit says of itself.

    Args:
        with_report: whether the report counts too; a gated one is not for everybody.
    """
    key = (commit.tree, with_report)
    with _known_lock:
        found = _known.get(key)
    if found is None:
        found = Facts(
            tags=tuple(tags(card_of(repository, commit))[:_MAX_TAGS]),
            verdict=run_verdict(repository, repository.tree(commit)) if with_report else None,
        )
        with _known_lock:
            _known[key] = found
    return found
