"""The index: which repositories a caller sees, narrowed down and put in order."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hfrun.hub.accounts.access import Caller
from hfrun.hub.names import KINDS
from hfrun.hub.pages.addresses import Addresses
from hfrun.hub.pages.facts import Facts, facts
from hfrun.hub.pages.place import may_read
from hfrun.hub.pages.words import measure
from hfrun.hub.refusals import RefusalError
from hfrun.hub.store.repository import DEFAULT_BRANCH, Repository, Settings

SORTS = ("updated", "name", "gates")
ORDERS = ("best", "ascending", "descending")
_GATES_ORDER = {"PASS": 2.0, "FAIL": 1.0}


@dataclass(frozen=True, kw_only=True)
class Query:
    """What is asked of the index; each field has a value that asks for nothing.

    Attributes:
        text: words that id or tags hold, each of them.
        kind: models, datasets or spaces; "" for all.
        sort: one of ``SORTS``, or the key of a figure.
        order: "best" puts first what one looks for first: the newest, a passed gate, the better
            figure, the beginning of the alphabet.
    """

    text: str = ""
    kind: str = ""
    namespace: str = ""
    tag: str = ""
    sort: str = "updated"
    order: str = "best"


@dataclass(frozen=True, kw_only=True)
class Row:
    """One repository in the index."""

    settings: Settings
    updated: str
    facts: Facts

    @property
    def to(self) -> Addresses:
        """Where its pages are."""
        return Addresses(repo_id=self.settings.repo_id)

    def value(self, key: str) -> float | None:
        """A figure of its report; None where there is none."""
        verdict = self.facts.verdict
        found = verdict.metrics.get(key) if verdict is not None else None
        return None if found is None else found.value


def catalogue(caller: Caller, query: Query) -> list[Row]:
    """The repositories that a caller sees and asks for, in order.

    What lacks the figure that is sorted by comes last in any order.
    """
    rows = [row for row in _seen(caller, query) if _matches(row, query)]
    # By name first: sorting is stable, so equals keep the alphabet.
    rows.sort(key=lambda row: str(row.settings.repo_id).lower())
    if query.sort == "name":
        return rows[::-1] if query.order == "descending" else rows
    if query.sort == "updated":
        rows.sort(key=lambda row: row.updated, reverse=query.order != "ascending")
        return rows
    values = {id(row): _sort_value(row, query.sort) for row in rows}
    having = [row for row in rows if values[id(row)] is not None]
    without = [row for row in rows if values[id(row)] is None]
    falling = query.order == "descending" or (
        query.order == "best" and not measure(query.sort).less_is_better
    )
    having.sort(key=lambda row: values[id(row)] or 0.0, reverse=falling)
    return having + without


def figures_of(rows: Sequence[Row]) -> list[str]:
    """Keys of all figures that some row has, those of most rows first."""
    counts: dict[str, int] = {}
    for row in rows:
        for key in row.facts.verdict.metrics if row.facts.verdict is not None else ():
            counts[key] = counts.get(key, 0) + 1
    return sorted(counts, key=lambda key: (-counts[key], measure(key).title))


def _seen(caller: Caller, query: Query) -> Iterator[Row]:
    for kind in [query.kind] if query.kind else KINDS:
        for repository in caller.hub.store.repositories(kind):
            if caller.may_see(repository) and _is_of(repository, query.namespace):
                try:
                    yield _row(caller, repository)
                except (RefusalError, FileNotFoundError):  # deleted or moved meanwhile
                    continue


def _row(caller: Caller, repository: Repository) -> Row:
    commit = repository.commit(repository.head(DEFAULT_BRANCH))
    return Row(
        settings=repository.settings,
        updated=commit.date,
        facts=facts(repository, commit, with_report=may_read(caller, repository)),
    )


def _is_of(repository: Repository, namespace: str) -> bool:
    return namespace.lower() in ("", repository.settings.repo_id.namespace.lower())


def _matches(row: Row, query: Query) -> bool:
    if query.tag and query.tag not in row.facts.tags:
        return False
    described = "\n".join([str(row.settings.repo_id), *row.facts.tags]).lower()
    return all(word in described for word in query.text.lower().split())


def _sort_value(row: Row, key: str) -> float | None:
    if key == "gates":
        verdict = row.facts.verdict
        return _GATES_ORDER.get(verdict.verdict or "") if verdict is not None else None
    return row.value(key)
