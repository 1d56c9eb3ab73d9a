"""Moves and deletions that are cut off at any moment leave a sound hub."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hfrun.hub.maintenance.check import check
from hfrun.hub.refusals import RepoNotFoundError
from hfrun.hub.store.hub_store import HubStore, open_root
from tests.hfrun.hub.mover import create, leads_to, model, place_of


class CrashError(BaseException):
    """Stands for the end of the process: nothing catches it."""


def crash_after(monkeypatch: pytest.MonkeyPatch, steps: int) -> Callable[[], int]:
    """Crash at the flush to the disk of this number; gives how many there were."""
    flush, done = os.fsync, 0

    def counted(descriptor: int) -> None:
        nonlocal done
        done += 1
        if done > steps:
            raise CrashError()
        flush(descriptor)

    monkeypatch.setattr(os, "fsync", counted)
    return lambda: done


def until_whole(
    monkeypatch: pytest.MonkeyPatch, prepare: Callable[[], HubStore], act: Callable[[HubStore], Any]
) -> list[HubStore]:
    """Do the same with a crash after 0, 1, 2, ... flushes, until it comes to its end."""
    crashed: list[HubStore] = []
    for steps in range(100):
        store = prepare()
        with monkeypatch.context() as patch:
            crash_after(patch, steps)
            try:
                act(store)
            except CrashError:
                crashed.append(HubStore(store.root))
                continue
        return crashed
    raise AssertionError("it never came to its end")


@pytest.mark.parametrize("private", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_crash_at_any_moment_of_a_move_leaves_the_repository_whole_under_one_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, private: bool
) -> None:
    count = iter(range(1000))

    def prepare() -> HubStore:
        store = HubStore(open_root(tmp_path / f"hub{next(count)}", create=True))
        create(store, "first", private=private)
        store.move(model("first"), model("old"))
        create(store, "new")  # its name leads elsewhere, until the move takes it
        store.move(model("new"), model("other"))
        return store

    crashed = until_whole(
        monkeypatch, prepare, lambda store: store.move(model("old"), model("new"))
    )
    places = []
    for store in crashed:
        place = place_of(store, "old", "new")
        places.append(place)
        assert leads_to(store, "first") == [f"alice/{place}"]
        if place == "new":
            assert leads_to(store, "old") == ["alice/new"]
        assert [f for f in check(store.root).findings if f.severity == "damage"] == []
        if place == "old":
            store.move(model("old"), model("new"))
        assert leads_to(store, "first") == leads_to(store, "old") == ["alice/new"]
        create(store, "old")
        assert leads_to(store, "first") == ["alice/new"]
        store.move(model("new"), model("last"))
        assert leads_to(store, "first") == ["alice/last"]
        if not private:
            assert leads_to(store, "new") == ["alice/last"]
        store.delete(model("last"))
        assert leads_to(store, "first") == leads_to(store, "last") == []
    assert len(places) > 8
    assert sorted(places, reverse=True) == places  # old up to the renaming, new from then on
    assert {"old", "new"} == set(places)


def test_a_crash_while_a_repository_is_deleted_leaves_no_name_that_leads_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = iter(range(1000))

    def prepare() -> HubStore:
        store = HubStore(open_root(tmp_path / f"hub{next(count)}", create=True))
        create(store, "first")
        store.move(model("first"), model("gone"))
        return store

    crashed = until_whole(monkeypatch, prepare, lambda store: store.delete(model("gone")))
    for store in crashed:
        try:
            store.open(model("gone"))
        except RepoNotFoundError:
            assert leads_to(store, "first") == []
        else:
            assert leads_to(store, "first") == ["alice/gone"]
            store.delete(model("gone"))
        create(store, "gone")
        assert leads_to(store, "first") == []
        assert [f for f in check(store.root).findings if f.severity == "damage"] == []
    assert len(crashed) > 2
