"""Repositories get other names: old ones lead to them, and no crash loses or doubles any."""

import hashlib
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import HfApi, hf_hub_download, snapshot_download
from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError

from hfrun.hub.accounts.tokens import Accounts
from hfrun.hub.maintenance.check import check
from hfrun.hub.names import RepoId
from hfrun.hub.refusals import AlreadyExistsError, RepoNotFoundError
from hfrun.hub.store.hub_store import HubStore, open_root
from tests.hfrun.hub.conftest import HubUnderTest
from tests.hfrun.hub.every_route import CONTENT, SECRET, SINGULAR, Sent, every_request, make
from tests.hfrun.hub.mover import create, leads_to, model, place_of


@pytest.fixture
def store(tmp_path: Path) -> HubStore:
    return HubStore(open_root(tmp_path / "hub", create=True))


@pytest.fixture
def moved(hub: HubUnderTest) -> Iterator[str]:
    """A model of alice that has left alice/old-name."""
    make(hub.root, "alice/old-name", "models")
    hub.api().move_repo("alice/old-name", "alice/new-name")
    yield "alice/new-name"
    hub.api().delete_repo("alice/new-name", missing_ok=True)


def test_clients_read_and_push_by_the_old_name(
    hub: HubUnderTest, moved: str, tmp_path: Path
) -> None:
    api, old = hub.api(), "alice/old-name"
    assert api.model_info(old).id == moved
    assert api.file_exists(old, "secret.txt")
    asked: dict[str, Any] = {"endpoint": hub.endpoint, "token": False, "cache_dir": tmp_path / "c"}
    assert Path(hf_hub_download(old, "secret.txt", **asked)).read_bytes() == SECRET
    assert Path(hf_hub_download(old, "w.bin", **asked)).read_bytes() == CONTENT
    assert {p.name for p in Path(snapshot_download(old, **asked)).iterdir()} == {
        ".gitattributes",
        "README.md",
        "secret.txt",
        "w.bin",
    }
    folder = tmp_path / "push"
    folder.mkdir()
    (folder / "large.bin").write_bytes(b"L" * 100_000)
    (folder / "README.md").write_text("---\nlicense: mit\n---\n")
    commit = api.upload_folder(repo_id=old, folder_path=folder)
    assert commit.commit_url == f"{hub.endpoint}/{moved}/commit/{commit.oid}"
    api.create_branch(old, branch="b")
    api.create_tag(old, tag="v2")
    api.delete_file("secret.txt", old)
    card = api.model_info(moved).card_data
    assert card is not None
    assert card.license == "mit"
    assert "secret.txt" not in api.list_repo_files(moved)
    refs = api.list_repo_refs(moved)
    assert ([b.name for b in refs.branches], [t.name for t in refs.tags]) == (
        ["b", "main"],
        ["v1", "v2"],
    )
    api.update_repo_settings(old, private=True)
    assert api.model_info(old).private
    assert hub.request("GET", f"/api/models/{old}", token=hub.bob).status == 404
    api.delete_repo(moved)
    assert not api.repo_exists(old)


def is_about_it(ask: Sent) -> bool:
    """Whether the holder of a token is answered about the repository itself."""
    if "/objects/{sha256}" in ask.route:
        return False  # the signed address is the permission
    form = ask.method == "POST" and not ask.route.startswith("/api/")
    if form and not ask.route.endswith(("/ask-access", "/batch", "/verify")):
        return False  # a form of a page, which takes no token
    return "/xet-" not in ask.route  # the same words for every repository


def test_every_address_below_the_old_name_leads_to_the_same_one_below_the_new(
    hub: HubUnderTest, moved: str
) -> None:
    led = set()
    requests = every_request(hub.root, namespace="alice", name="old-name", kind="models")
    for ask in requests:
        if not ("{namespace}" in ask.route and "{name}" in ask.route and is_about_it(ask)):
            continue
        answer = ask.to(hub, hub.alice)
        assert answer.status == 307, (ask, answer.status)
        assert answer.headers["Location"] == ask.target.replace("alice/old-name", moved), ask
        led.add(ask.route)
    assert len(led) > 40
    quoted = hub.request("GET", "/api/models/ALICE/Old-Name/tree/a%2Fb?recursive=1&x=%0d%0a")
    assert quoted.headers["Location"] == f"/api/models/{moved}/tree/a%2Fb?recursive=1&x=%0d%0a"


@pytest.mark.parametrize("kind", SINGULAR)
def test_each_kind_moves_within_itself(hub: HubUnderTest, kind: str) -> None:
    make(hub.root, "alice/kind-old", kind)
    hub.api().move_repo("alice/kind-old", "desk/kind-new", repo_type=SINGULAR[kind])
    for other in SINGULAR:
        found = hub.request("GET", f"/api/{other}/alice/kind-old", token=hub.alice)
        assert found.status == (307 if other == kind else 404)
    prefix = "" if kind == "models" else f"/{kind}"
    answer = hub.request("GET", f"{prefix}/alice/kind-old/resolve/main/secret.txt")
    assert answer.headers["Location"] == f"{prefix}/desk/kind-new/resolve/main/secret.txt"
    hub.api().delete_repo("desk/kind-new", repo_type=SINGULAR[kind])


def test_a_taken_name_is_refused_in_the_words_that_clients_know(hub: HubUnderTest) -> None:
    for name in ("taken", "mover"):
        make(hub.root, f"alice/{name}", "models")
    with pytest.raises(
        HfHubHTTPError, match="A model repository called alice/TAKEN already exists"
    ) as refused:
        hub.api().move_repo("alice/mover", "alice/TAKEN")
    assert refused.value.response.status_code == 409
    assert hub.api().model_info("alice/mover").id == "alice/mover"
    for name in ("taken", "mover"):
        hub.api().delete_repo(f"alice/{name}")


def test_nobody_takes_a_foreign_name_or_gives_away_a_foreign_repository(
    hub: HubUnderTest,
) -> None:
    for repo in ("alice/mine", "bob/his", "desk/ours"):
        make(hub.root, repo, "models")
    cases = [
        (hub.alice, "alice/mine", "bob/new", 403),
        (hub.alice, "bob/his", "alice/new", 403),
        (hub.bob, "desk/ours", "bob/new", 403),  # bob is no member of the desk
        (hub.bob, "alice/mine", "alice/new", 403),
        (hub.alice_reads, "alice/mine", "alice/new", 403),
        (None, "alice/mine", "alice/new", 401),
        (hub.alice, "alice/missing", "alice/new", 404),
        (hub.alice, "alice/mine", "alice/a--b", 400),
        (hub.alice, "alice/mine", "new", 400),
        (hub.alice, "alice/mine", "nobody-here/new", 403),
        (hub.alice, "alice/../desk/ours", "alice/new", 400),
    ]
    for token, source, target, status in cases:
        body = {"fromRepo": source, "toRepo": target, "type": "model"}
        answer = hub.request("POST", "/api/repos/move", body=body, token=token)
        assert answer.status == status, (source, target, answer.body)
    for repo in ("alice/mine", "desk/ours"):
        assert hub.api().model_info(repo).id == repo
    hub.api().move_repo("desk/ours", "alice/was-ours")  # alice is, and a member may write
    assert hub.api(hub.bob).model_info("desk/ours").id == "alice/was-ours"
    for token, repo in ((hub.alice, "mine"), (hub.alice, "was-ours"), (hub.bob, "his")):
        hub.api(token).delete_repo(f"{'bob' if token == hub.bob else 'alice'}/{repo}")


def test_an_upload_address_that_was_given_before_the_move_still_takes_the_file(
    hub: HubUnderTest,
) -> None:
    make(hub.root, "alice/uploads-old", "models")
    content = b"sent while the repository moved"
    sha256 = hashlib.sha256(content).hexdigest()
    objects = [{"oid": sha256, "size": len(content)}]
    asked = {"operation": "upload", "objects": objects}
    target = "/alice/uploads-old.git/info/lfs/objects/batch"
    answer = hub.request("POST", target, body=asked, token=hub.alice).json()
    address = answer["objects"][0]["actions"]["upload"]["href"].removeprefix(hub.endpoint)
    hub.api().move_repo("alice/uploads-old", "alice/uploads-new")
    assert hub.request("PUT", address, body=content).status == 200
    assert HubStore(hub.root).open(model("uploads-new")).has_upload(sha256)
    assert not (hub.root / "repositories" / "models" / "alice" / "uploads-old").exists()
    hub.api().delete_repo("alice/uploads-new")


def test_a_new_repository_on_the_old_name_ends_the_redirect_for_good(
    hub: HubUnderTest, moved: str
) -> None:
    api = hub.api()
    assert api.create_repo("alice/old-name", exist_ok=True).repo_id == "alice/old-name"
    assert api.model_info("alice/old-name").id == "alice/old-name"
    api.delete_repo("alice/old-name")
    with pytest.raises(RepositoryNotFoundError):
        api.model_info("alice/old-name")
    assert api.model_info(moved).id == moved


def test_a_private_repository_on_the_old_name_is_noticed_by_its_members_alone(
    hub: HubUnderTest, moved: str
) -> None:
    api, outsider = hub.api(), hub.api(hub.bob)
    api.create_repo("alice/old-name", private=True)
    assert api.model_info("alice/old-name").id == "alice/old-name"
    assert outsider.model_info("alice/old-name").id == moved
    api.move_repo("alice/old-name", "alice/elsewhere-now")
    assert api.model_info("alice/old-name").id == "alice/elsewhere-now"
    assert outsider.model_info("alice/old-name").id == moved
    api.delete_repo("alice/elsewhere-now")
    assert outsider.model_info("alice/old-name").id == moved


def test_names_of_a_chain_lead_to_its_end_and_end_with_the_repository(store: HubStore) -> None:
    create(store, "a")
    for source, target in (("a", "b"), ("b", "c"), ("c", "D")):
        store.move(model(source), model(target))
    assert [leads_to(store, name) for name in "abc"] == [["alice/D"]] * 3
    create(store, "b")  # in the middle: the others still lead to the end
    assert [leads_to(store, name) for name in "ac"] == [["alice/D"]] * 2
    store.move(model("d"), model("a"))
    assert leads_to(store, "c") == leads_to(store, "d") == ["alice/a"]
    assert str(store.open(model("a")).settings.repo_id) == "alice/a"
    store.delete(model("a"))
    assert leads_to(store, "a") == leads_to(store, "c") == leads_to(store, "d") == []
    assert [p for p in (store.root / "moved").rglob("*") if p.is_file()] == []
    create(store, "a")
    assert leads_to(store, "c") == []  # the new one has never been called c
    assert check(store.root).findings == ()


def test_another_case_of_the_same_name_is_only_shown_differently(store: HubStore) -> None:
    create(store, "model")
    moved = store.move(model("MODEL"), model("Model"))
    assert str(moved.settings.repo_id) == "alice/Model"
    assert str(store.open(model("model")).settings.repo_id) == "alice/Model"
    assert not (store.root / "moved").exists()


def test_two_processes_that_move_the_same_repositories_share_them_out(store: HubStore) -> None:
    n = 6
    for name in [*(f"a{i}" for i in range(n)), "x"]:
        create(store, name)
    command = [sys.executable, "-m", "tests.hfrun.hub.mover", str(store.root)]
    workers = [
        subprocess.Popen([*command, worker, str(n)], stdout=subprocess.PIPE, text=True)
        for worker in ("p", "q")
    ]
    said = [json.loads(worker.communicate(timeout=120)[0]) for worker in workers]
    assert sorted(said[0]["won"] + said[1]["won"]) == list(range(n))
    for worker, found in zip(("p", "q"), said, strict=True):
        for i in found["won"]:
            assert leads_to(store, f"a{i}") == [f"alice/a{i}-{worker}"]
            assert place_of(store, f"a{i}-p", f"a{i}-q") == f"a{i}-{worker}"
    moved = said[0]["moved"] + said[1]["moved"]
    assert place_of(store, "x", "y") == ("y" if moved % 2 else "x")
    assert check(store.root).findings == ()


def test_a_write_that_waited_for_a_move_reaches_no_other_repository(store: HubStore) -> None:
    waiting = create(store, "contested")
    store.move(model("contested"), model("settled"))
    other = create(store, "contested", private=True)
    before = other.head("main")
    with pytest.raises(RepoNotFoundError):
        waiting.add_commit(
            branch="main", changes=[], title="late", message="", author="bob", parent=None
        )
    assert other.head("main") == before


def test_an_upload_that_ends_after_its_repository_has_gone_makes_no_ghost_of_it(
    store: HubStore,
) -> None:
    gone = create(store, "ghost")
    store.delete(model("ghost"))
    with pytest.raises(RepoNotFoundError):
        gone.remember_upload("0" * 64)
    assert create(store, "ghost").settings.created_at


def test_of_many_moves_to_one_name_exactly_one_is_made(store: HubStore) -> None:
    for i in range(6):
        create(store, f"m{i}")
    outcomes: list[str] = []

    def attempt(i: int) -> None:
        try:
            HubStore(store.root).move(model(f"m{i}"), model("goal"))
        except AlreadyExistsError:
            outcomes.append("refused")
        else:
            outcomes.append("moved")

    threads = [threading.Thread(target=attempt, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["moved", *["refused"] * 5]
    assert len(list(store.repositories("models"))) == 6


def test_readers_of_a_repository_that_moves_find_it_at_every_moment(hub: HubUnderTest) -> None:
    make(hub.root, "alice/swing", "models")
    store, stop, bad = HubStore(hub.root), threading.Event(), []
    api = HfApi(endpoint=hub.endpoint, token=hub.alice)

    def read() -> None:
        while not stop.is_set():
            for target in ("/api/models/alice/swing", "/alice/swing/resolve/main/secret.txt"):
                answer = hub.request("GET", target, token=hub.alice)
                if answer.status not in (200, 307):
                    bad.append((answer.status, answer.body))

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    names = [model("swing"), model("swung")]
    for _ in range(12):
        store.move(*names)
        names.reverse()
    stop.set()
    for reader in readers:
        reader.join()
    assert bad == []
    assert api.model_info("alice/swung").id == "alice/swing"
    api.delete_repo("alice/swing")


def test_names_of_repositories_are_ids_of_users_of_this_hub(hub: HubUnderTest) -> None:
    """The namespace of a move's target is written as its account is."""
    make(hub.root, "alice/casing", "models")
    hub.api().move_repo("alice/casing", "DESK/Casing")
    assert hub.api().model_info("desk/casing").id == "desk/Casing"
    assert Accounts(hub.root).shown_name("DESK") == "desk"
    assert (
        HubStore(hub.root).open(RepoId(kind="models", namespace="desk", name="casing")).settings.key
    )
    hub.api().delete_repo("desk/Casing")
