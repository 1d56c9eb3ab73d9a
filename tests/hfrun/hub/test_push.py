"""Pushing from our own side and from a user's unmodified Trainer."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from huggingface_hub import HfApi
from huggingface_hub.errors import HTTPError as TransportError  # type: ignore[attr-defined]

from hfrun.errors import HubError
from hfrun.hub.client import Pushed, check_hub, push_folder
from tests.hfrun.hub.conftest import HubUnderTest

TRAIN_AND_RELOAD = Path(__file__).with_name("train_and_reload.py")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "model"
    (path / "report").mkdir(parents=True)
    (path / "model.safetensors").write_bytes(b"weights" * 1000)
    (path / "tokens.bin").write_bytes(b"more" * 1000)
    (path / "config.json").write_text("{}")
    (path / "report" / "report.json").write_text('{"verdict": "fail"}')
    return path


def push(hub: HubUnderTest, folder: Path, repo: str, token: str | None = None) -> str:
    pushed = push_folder(
        folder, repo=repo, endpoint=hub.endpoint, token=token or hub.alice, message="a push"
    )
    assert pushed.tag == ""  # none was asked for
    return pushed.commit


def test_a_pushed_folder_is_one_commit_of_a_new_repository(hub: HubUnderTest, folder: Path) -> None:
    commit = push(hub, folder, "desk/pushed-folder")
    info = hub.anonymous().model_info("desk/pushed-folder", files_metadata=True)
    assert info.sha == commit
    large = {s.rfilename: s.lfs is not None for s in info.siblings}
    assert large == {
        ".gitattributes": False,
        "config.json": False,
        "model.safetensors": True,
        "report/report.json": False,
        "tokens.bin": True,
    }
    history = hub.api().list_repo_commits("desk/pushed-folder")
    assert [c.title for c in history] == ["a push", "initial commit"]
    assert push(hub, folder, "desk/pushed-folder") == commit  # nothing new, nothing committed


def test_a_private_push_is_private(hub: HubUnderTest, folder: Path) -> None:
    push_folder(
        folder,
        repo="alice/pushed-private",
        endpoint=hub.endpoint,
        token=hub.alice,
        message="x",
        private=True,
    )
    assert hub.api().model_info("alice/pushed-private").private is True


def test_a_public_repository_takes_no_private_push(hub: HubUnderTest, folder: Path) -> None:
    commit = push(hub, folder, "alice/pushed-public")
    (folder / "secret.txt").write_text("secret")
    with pytest.raises(HubError, match=r"which is public at .* nothing was pushed"):
        push_folder(
            folder,
            repo="alice/pushed-public",
            endpoint=hub.endpoint,
            token=hub.alice,
            message="x",
            private=True,
        )
    assert hub.api().model_info("alice/pushed-public").sha == commit


def tagged(hub: HubUnderTest, folder: Path, repo: str, tag: str) -> Pushed:
    return push_folder(
        folder, repo=repo, endpoint=hub.endpoint, token=hub.alice, message="a push", tag=tag
    )


def test_a_tag_avoids_the_names_of_branches(hub: HubUnderTest, folder: Path) -> None:
    push(hub, folder, "alice/tag-and-branch")
    hub.api().create_branch("alice/tag-and-branch", branch="v1")
    assert tagged(hub, folder, "alice/tag-and-branch", "v1").tag == "v1-2"


def test_pushes_that_reach_for_one_tag_at_once_each_get_one(
    hub: HubUnderTest, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look at the tags and the making of one, another push makes it."""
    first = push(hub, folder, "alice/tag-race")
    create = HfApi.create_tag

    def too_late(api: HfApi, repo: str, *, tag: str, revision: str) -> None:
        if tag == "v1":
            create(hub.api(), repo, tag=tag, revision=first)
        create(api, repo, tag=tag, revision=revision)

    monkeypatch.setattr(HfApi, "create_tag", too_late)
    assert tagged(hub, folder, "alice/tag-race", "v1") == Pushed(commit=first, tag="v1")
    hub.api().delete_tag("alice/tag-race", tag="v1")
    (folder / "config.json").write_text('{"a": 1}')
    second = tagged(hub, folder, "alice/tag-race", "v1")
    assert second.tag == "v1-2"
    tags = {ref.name: ref.target_commit for ref in hub.api().list_repo_refs("alice/tag-race").tags}
    assert tags == {"v1": first, "v1-2": second.commit}


def test_a_push_that_ends_before_its_tag_says_so_and_the_next_one_adds_it(
    hub: HubUnderTest, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*arguments: object, **named: object) -> None:
        raise TransportError("connection refused")

    with monkeypatch.context() as patch:
        patch.setattr(HfApi, "create_tag", gone)
        with pytest.raises(HubError, match=r"has the files, as commit .* no tag v1 .*push again"):
            tagged(hub, folder, "alice/untagged", "v1")
    commit = hub.api().model_info("alice/untagged").sha
    assert tagged(hub, folder, "alice/untagged", "v1") == Pushed(commit=str(commit), tag="v1")


def test_a_hub_that_is_down_is_one_clear_error(folder: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(
        HubError, match=rf"got no answer from {endpoint} .*start it with hfrun hub serve"
    ):
        push_folder(folder, repo="alice/m", endpoint=endpoint, token="hf_x", message="x")


def test_a_bad_token_and_a_foreign_namespace_are_clear_errors_and_push_nothing(
    hub: HubUnderTest, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(HubError, match="refused the token; make a new one"):
        push(hub, folder, "alice/not-pushed", token="hf_wrong")
    with pytest.raises(HubError, match="neither its user nor a member"):
        push(hub, folder, "alice/not-pushed", token=hub.bob)
    with pytest.raises(HubError, match="writing needs a write token"):
        push(hub, folder, "alice/not-pushed", token=hub.alice_reads)
    with pytest.raises(HubError, match="not namespace/name"):
        push(hub, folder, "a/b/c")
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    with pytest.raises(HubError, match="got no token"):
        push_folder(folder, repo="alice/x", endpoint=hub.endpoint, token=None, message="x")
    assert not hub.api().repo_exists("alice/not-pushed")


def test_a_folder_without_files_and_a_broken_card_are_clear_errors(
    hub: HubUnderTest, folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(HubError, match="no folder with files"):
        push(hub, tmp_path / "missing", "alice/x")
    (folder / "README.md").write_text("---\na: [\n---\n")
    with pytest.raises(HubError, match=r"(?s)push of .* failed: Invalid metadata in README.md"):
        push(hub, folder, "alice/broken-card")


def test_a_server_that_is_no_hub_is_a_clear_error(hub: HubUnderTest) -> None:
    with pytest.raises(HubError, match="answered 404; is this the hub"):
        check_hub(f"{hub.endpoint}/elsewhere", hub.alice)
    with pytest.raises(HubError, match="got no"):
        check_hub("no address", hub.alice)


def test_the_unmodified_trainer_pushes_and_the_auto_class_loads_equal_logits(
    hub: HubUnderTest, tmp_path: Path
) -> None:
    environment = {
        **os.environ,
        "HF_ENDPOINT": hub.endpoint,
        "HF_TOKEN": hub.alice,
        "HF_HOME": str(tmp_path / "hf_home"),
        "HF_HUB_DISABLE_XET": "1",
        "OMP_NUM_THREADS": "1",
    }
    done = subprocess.run(
        [sys.executable, str(TRAIN_AND_RELOAD), str(tmp_path)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert (found["trained"], found["pushed"]) == (0.0, 0.0)
    assert found["moved"] > 0  # training changed the model, so the reload is of the trained one
    history = [c.title for c in hub.api().list_repo_commits("alice/trained")]
    assert history[0] == "End of training"
    assert history[-1] == "initial commit"
    siblings = hub.api().model_info("alice/trained", files_metadata=True).siblings
    weights = next(s for s in siblings if s.rfilename == "model.safetensors")
    assert weights.lfs is not None
    assert hub.api().model_info("alice/pushed").private is True
