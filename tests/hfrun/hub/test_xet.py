"""Clients that would use Xet storage: what still works for them, and what they are told."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hfrun.hub.environment import prepare_client, takes_plain_lfs
from tests.hfrun.hub.conftest import HubUnderTest

needs_xet = pytest.mark.skipif(
    importlib.util.find_spec("hf_xet") is None, reason="hf_xet is not installed"
)

# A user's own script. It prints what happened to each push, and reads back what it pushed.
SCRIPT = """
import json, sys
from huggingface_hub import CommitOperationAdd, HfApi, constants, hf_hub_download
from huggingface_hub.utils._runtime import is_xet_available

repo, folder, over = sys.argv[1:]
api = HfApi()
outcome = {"xet": is_xet_available()}
def attempt(name, push):
    try:
        push()
        outcome[name] = "pushed"
    except Exception as error:
        outcome[name] = f"{type(error).__name__}: {error}"
attempt("file", lambda: api.upload_file(
    path_or_fileobj=b"weights", path_in_repo="one.safetensors", repo_id=repo))
attempt("folder", lambda: api.upload_folder(repo_id=repo, folder_path=folder))
attempt("again", lambda: api.upload_folder(repo_id=repo, folder_path=folder))
attempt("over", lambda: api.upload_file(
    path_or_fileobj=bytes(int(over)), path_in_repo="over.bin", repo_id=repo))
outcome["read"] = open(hf_hub_download(repo, "deep/two.bin"), "rb").read().decode()
outcome["commits"] = len(api.list_repo_commits(repo))
print(json.dumps(outcome))
"""


@needs_xet
def test_a_client_with_xet_pushes_small_files_and_is_told_what_to_do_for_larger_ones(
    hub: HubUnderTest, repo: str, tmp_path: Path
) -> None:
    (tmp_path / "given" / "deep").mkdir(parents=True)
    (tmp_path / "given" / "deep" / "two.bin").write_bytes(b"more weights")
    (tmp_path / "given" / "notes.txt").write_text("text")
    free = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    settings = {"HF_ENDPOINT": hub.endpoint, "HF_TOKEN": hub.alice, "HF_HOME": str(tmp_path / "hf")}
    over = 100_000_001
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, repo, str(tmp_path / "given"), str(over)],
        env={**free, **settings},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    outcome = json.loads(done.stdout.splitlines()[-1])
    told = outcome.pop("over")
    assert outcome == {
        "xet": True,
        "file": "pushed",
        "folder": "pushed",
        "again": "pushed",
        "read": "more weights",
        "commits": 3,  # the first one, and one for each push that changed something
    }
    assert told.startswith("ConnectionError: ")
    assert "/this-hub-has-no-xet-storage/set-HF_HUB_DISABLE_XET=1-before-python-starts/" in told
    assert "files-above-100-MB" in told
    large = {i.path for i in hub.api().list_repo_tree(repo, recursive=True) if getattr(i, "lfs", 0)}
    assert large == {"one.safetensors", "deep/two.bin"}


def test_addresses_of_xet_tokens_give_nothing_away(hub: HubUnderTest, repo: str) -> None:
    agent = {"User-Agent": "unknown/None; hf_hub/2.4.0; python/3.11"}
    for use in ("read", "write"):
        answers = [
            hub.request("GET", f"/api/models/{name}/xet-{use}-token/main", headers=agent)
            for name in (repo, "alice/not-there")
        ]
        assert [answer.status for answer in answers] == [307, 307]
        assert answers[0].headers["Location"] == answers[1].headers["Location"]
        assert answers[0].headers["X-Xet-Access-Token"] is None
        words = hub.request("GET", answers[0].headers["Location"])
        assert words.status == 404
        assert "export HF_HUB_DISABLE_XET=1" in words.json()["error"]
        assert hub.request("GET", f"/api/models/{repo}/xet-{use}-token/main").status == 404


def test_our_own_commands_say_that_they_use_plain_lfs() -> None:
    from huggingface_hub.utils import build_hf_headers

    prepare_client()
    assert takes_plain_lfs(build_hf_headers(token=False)["user-agent"])
    for agent in ("", "unknown/None; hf_hub/2.4.0", "x/origin/plain-lfs", "my-datasets/1"):
        assert not takes_plain_lfs(agent)
