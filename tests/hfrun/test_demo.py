"""The demo's manners: its token ends with it, and one runs at a time in a folder."""

import os
from pathlib import Path

import pytest

from hfrun import demo
from hfrun.errors import HubError
from hfrun.hub.accounts.tokens import Accounts
from hfrun.hub.client import check_hub
from lob_backtest.files import sole_use


@pytest.fixture(autouse=True)
def _environment_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HF_ENDPOINT", "HF_HOME", "HF_TOKEN"):
        monkeypatch.setenv(name, os.environ.get(name, ""))


def test_the_demos_token_works_within_it_and_never_afterwards(tmp_path: Path) -> None:
    with demo._demo_hub(tmp_path) as hub:
        assert check_hub(hub.endpoint, os.environ["HF_TOKEN"])["name"] == "demo"
        assert os.environ["HF_ENDPOINT"] == hub.endpoint
    assert Accounts(tmp_path / "hub").tokens() == []


def test_a_demo_that_fails_leaves_no_token_either(tmp_path: Path) -> None:
    with pytest.raises(HubError, match="the push failed"), demo._demo_hub(tmp_path):
        raise HubError("the push failed")
    assert Accounts(tmp_path / "hub").tokens() == []


def test_a_second_demo_in_the_folder_is_refused_in_one_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ran: list[Path] = []
    monkeypatch.setattr(demo, "_demo", lambda folder, overrides: ran.append(folder))
    (tmp_path / ".demo.lock").touch()
    with sole_use(tmp_path / ".demo.lock", what="a test"):
        assert demo.main(["--folder", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == error.count("error: ") == 1
    assert "another demo is at work here already" in error
    assert ran == []
    assert demo.main(["--folder", str(tmp_path)]) == 0
    assert ran == [tmp_path]
