"""Tokens, organisations, the commands that make them, and the server process."""

import argparse
import hashlib
import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from hfrun.errors import HubError
from hfrun.hub.accounts.tokens import Accounts, create_token
from hfrun.hub.commands import add_parser
from hfrun.hub.names import RepoId
from hfrun.hub.options import ServerOptions
from hfrun.hub.serve import running_hub, serve
from hfrun.hub.store.hub_store import HubStore


def run(*arguments: str) -> int:
    """Run ``hfrun hub ...`` as the top-level command does."""
    parser = argparse.ArgumentParser()
    add_parser(parser.add_subparsers(required=True))
    args = parser.parse_args(["hub", *arguments])
    return int(args.run(args))


def test_of_a_token_only_its_hash_is_kept_and_only_the_owner_may_read_it(tmp_path: Path) -> None:
    root = tmp_path / "hub"
    token = create_token(root, "alice")
    assert len(token) == 46  # hf_ and 32 random bytes in base64
    assert token != create_token(root, "alice")
    stored = b"".join(path.read_bytes() for path in root.rglob("*") if path.is_file())
    assert token.encode() not in stored
    assert hashlib.sha256(token.encode()).hexdigest().encode() in stored
    assert (root / "accounts.json").stat().st_mode & 0o077 == 0
    known = Accounts(root).who(token)
    assert known is not None
    assert (known.user, known.role) == ("alice", "write")
    assert Accounts(root).who(token + "x") is None


def test_a_revoked_token_is_unknown_at_once_to_a_server_that_runs(tmp_path: Path) -> None:
    root = tmp_path / "hub"
    token = create_token(root, "alice")

    def status(endpoint: str) -> int:
        connection = http.client.HTTPConnection(endpoint.removeprefix("http://"), timeout=30)
        connection.request("GET", "/api/whoami-v2", headers={"Authorization": f"Bearer {token}"})
        answer = connection.getresponse().status
        connection.close()
        return answer

    with running_hub(root) as hub:
        assert status(hub.endpoint) == 200
        Accounts(root).revoke(Accounts(root).tokens()[0].id)
        assert status(hub.endpoint) == 401
    with pytest.raises(HubError, match="token list shows them"):
        Accounts(root).revoke("000000000000")


def test_organisations_have_users_as_members_and_names_of_their_own(tmp_path: Path) -> None:
    root = tmp_path / "hub"
    create_token(root, "Alice")
    create_token(root, "bob")
    accounts = Accounts(root)
    accounts.create_organisation("desk", members=["alice"])
    accounts.create_organisation("desk", members=["bob"])
    assert accounts.organisations_of("ALICE") == accounts.organisations_of("bob") == ["desk"]
    with pytest.raises(HubError, match=r"\['carol'\] are not"):
        accounts.create_organisation("other", members=["bob", "carol"])
    with pytest.raises(HubError, match="is a user; choose another name"):
        accounts.create_organisation("alice", members=["bob"])
    with pytest.raises(HubError, match="tokens are for users"):
        create_token(root, "DESK")
    for name in ("api", "datasets", "a/b", "", "-a"):
        with pytest.raises(HubError, match="got account"):
            create_token(root, name)


def test_the_commands_make_list_and_revoke(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = str(tmp_path / "hub")
    assert run("token", "create", "alice", "--root", root, "--role", "read") == 0
    token = capsys.readouterr().out
    assert token.count("\n") == 1
    known = Accounts(Path(root)).who(token.strip())
    assert known is not None
    assert known.role == "read"
    assert run("org", "create", "desk", "--root", root, "--member", "alice") == 0
    assert run("token", "list", "--root", root, "--json") == 0
    rows = json.loads(capsys.readouterr().out)
    assert rows == [
        {
            "id": known.id,
            "user": "alice",
            "role": "read",
            "created_at": known.created_at,
            "label": "",
            "expires_at": "",
            "last_used": datetime.now(UTC).date().isoformat(),
        }
    ]
    assert run("token", "list", "--root", root) == 0
    header = "id user role label created_at expires_at last_used"
    assert capsys.readouterr().out.splitlines()[0].split() == header.split()
    assert run("token", "revoke", known.id, "--root", root) == 0
    assert Accounts(Path(root)).tokens() == []
    with pytest.raises(HubError, match="holds no hub"):
        run("ls", "--root", str(tmp_path / "missing"))


def test_a_token_that_is_over_is_unknown_everywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "hub"
    arguments = ("--root", str(root), "--expires", "1.5", "--label", "night run")
    assert run("token", "create", "alice", *arguments) == 0
    token = capsys.readouterr().out.strip()
    accounts = Accounts(root)
    (listed,) = accounts.tokens()
    made, over = (datetime.fromisoformat(t) for t in (listed.created_at, listed.expires_at))
    assert abs(over - made - timedelta(days=1.5)) < timedelta(seconds=10)
    assert listed.label == "night run"
    known = accounts.who(token)
    assert known == accounts.with_id(listed.id) == listed
    monkeypatch.setattr("hfrun.hub.accounts.tokens.utc_now", lambda: listed.expires_at)
    assert accounts.who(token) is accounts.with_id(listed.id) is None
    assert accounts.tokens() == [listed]  # shown until it is revoked
    with pytest.raises(HubError, match="which others can reach, and a hub without tokens"):
        serve(root, "0.0.0.0", 0)


@pytest.mark.parametrize("days", [0, -1, float("nan"), float("inf"), 1e9])
def test_a_token_cannot_be_made_for_no_time_or_for_ages(tmp_path: Path, days: float) -> None:
    with pytest.raises(HubError, match="needed is a number above 0"):
        create_token(tmp_path / "hub", "alice", expires_days=days)


@pytest.mark.parametrize("label", ["a\nb", "x" * 101, "\ud800", "\x1b[31m"])
def test_a_label_is_one_short_line(tmp_path: Path, label: str) -> None:
    with pytest.raises(HubError, match="needed is one line of up to 100 characters"):
        create_token(tmp_path / "hub", "alice", label=label)


def test_the_day_of_a_tokens_last_use_costs_one_touch_a_day(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "hub"
    token = create_token(root, "alice")
    accounts = Accounts(root)
    (listed,) = accounts.tokens()
    assert accounts.last_used(listed.id) == ""
    for _ in range(3):
        assert accounts.who(token) is not None
    used = root / "used" / listed.id
    os.utime(used, (0, 0))
    assert accounts.last_used(listed.id) == "1970-01-01"
    assert accounts.who(token) is not None
    assert accounts.last_used(listed.id) == "1970-01-01"  # this process has noted today's use
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    monkeypatch.setattr("hfrun.hub.accounts.tokens.utc_now", lambda: tomorrow)
    assert accounts.who(token) is not None
    assert accounts.last_used(listed.id) == datetime.now(UTC).date().isoformat()
    shutil.rmtree(root / "used")
    (root / "used").write_text("in the way")  # as on a full disk: reading goes on
    assert Accounts(root).who(token) == listed


def test_organisations_are_listed_and_lose_members_but_never_the_last(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = str(tmp_path / "hub")
    for user in ("Alice", "bob"):
        create_token(Path(root), user)
    members = ("--member", "alice", "--member", "BOB")
    assert run("org", "create", "desk", "--root", root, *members) == 0
    assert run("org", "list", "--root", root) == 0
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [
        ["name", "members"],
        ["desk", "Alice,", "bob"],
    ]
    assert run("org", "remove-member", "DESK", "Bob", "--root", root) == 0
    assert run("org", "list", "--root", root, "--json") == 0
    assert json.loads(capsys.readouterr().out) == [{"name": "desk", "members": ["Alice"]}]
    assert Accounts(Path(root)).organisations_of("bob") == []
    for organisation, user, message in (
        ("desk", "alice", "the last member of desk; add another first"),
        ("desk", "bob", "who is no member of desk"),
        ("other", "alice", "'other', which is not one of this hub"),
    ):
        with pytest.raises(HubError, match=message):
            run("org", "remove-member", organisation, user, "--root", root)


def commands_of(parser: argparse.ArgumentParser) -> set[Any]:
    """What all the commands below a parser run."""
    found = {parser.get_default("run")} - {None}
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                found |= commands_of(below)
    return found


def test_the_users_guides_name_every_command_and_none_that_does_not_exist() -> None:
    parser = argparse.ArgumentParser()
    add_parser(parser.add_subparsers(required=True))
    runs = set()
    for guide in (Path(__file__).parents[3] / "docs").glob("hub*.md"):
        text = guide.read_text()
        for line in re.findall(r"^    hfrun (hub .*)$", text, flags=re.MULTILINE):
            # What may be left out, what is said beside it, and where the output goes.
            given = re.sub(r"\[.*\]| {3,}[a-z].*| > .*", "", line)
            if "..." not in given:  # a pattern, not a command
                runs.add(parser.parse_args(given.split()).run)
    assert runs == commands_of(parser)


def test_ls_shows_every_repository_with_its_size(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "hub"
    create_token(root, "alice")
    repo_id = RepoId(kind="datasets", namespace="alice", name="d")
    made = HubStore(root).create(repo_id, private=True, author="alice", sdk=None)
    assert run("ls", "--root", str(root), "--json") == 0
    commit = made.commit(made.head("main"))
    assert json.loads(capsys.readouterr().out) == [
        {
            "kind": "datasets",
            "id": "alice/d",
            "private": True,
            "gated": False,
            "commit": commit.id,
            "last_modified": commit.date,
            "files": 1,
            "bytes": made.tree(commit)[".gitattributes"].size,
        }
    ]
    assert run("ls", "--root", str(root)) == 0
    assert "alice/d" in capsys.readouterr().out


@pytest.mark.parametrize("host", ["0.0.0.0", "0", "::", "::ffff:0.0.0.0", "192.0.2.1", "fe80::1"])
def test_a_hub_without_tokens_is_not_opened_to_the_network(tmp_path: Path, host: str) -> None:
    with pytest.raises(HubError, match=f"host {host}, which others can reach, and a hub without"):
        serve(tmp_path / "hub", host, 0)


def test_what_a_name_means_decides_whether_others_reach_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 0))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    with pytest.raises(HubError, match="host localhost, which others can reach"):
        serve(tmp_path / "hub", "localhost", 0)


@pytest.mark.parametrize("host", ["", "a..b", "no such name"])
def test_a_host_that_is_none_is_one_clear_error(tmp_path: Path, host: str) -> None:
    with pytest.raises(HubError, match=f"got host '{host}' and port 0, not an address"):
        serve(tmp_path / "hub", host, 0)


def test_a_hub_listens_on_ipv6_too(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET6) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError:
            pytest.skip("this machine has no IPv6")
    command = [sys.executable, "-m", "hfrun.hub", "serve", "--root", str(tmp_path / "hub")]
    with subprocess.Popen(
        [*command, "--host", "::1", "--port", "0"], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        try:
            found = re.fullmatch(r"hub ready at http://\[::1\]:(\d+) serving .*\n", line)
            assert found is not None
            connection = http.client.HTTPConnection("::1", int(found[1]), timeout=30)
            connection.request("GET", "/api/models")
            assert connection.getresponse().read() == b"[]"
            connection.close()
        finally:
            process.terminate()


def test_the_options_of_serve_reach_the_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    served: list[tuple[Any, ...]] = []
    monkeypatch.setattr("hfrun.hub.commands.serve", lambda *given: served.append(given))
    root = tmp_path / "hub"
    assert run("serve", "--root", str(root)) == 0
    options = ("--no-anonymous", "--max-upload-gb", "0.5", "--regular-max-mb", "2", "--port", "0")
    assert run("serve", "--root", str(root), *options, "--access-log", "a.log") == 0
    assert served == [
        (root, "127.0.0.1", 8765, ServerOptions()),
        (
            root,
            "127.0.0.1",
            0,
            ServerOptions(
                anonymous_read=False,
                regular_max_bytes=2_000_000,
                max_upload_bytes=500_000_000,
                access_log=Path("a.log"),
            ),
        ),
    ]
    for bad in ("0", "-1", "nan"):
        with pytest.raises(SystemExit):
            run("serve", "--root", str(root), "--max-upload-gb", bad)


def test_a_taken_port_is_one_clear_error(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        message = rf"127.0.0.1 port {port}, which cannot be listened on \(.*in use"
        with pytest.raises(HubError, match=message):
            serve(tmp_path / "hub", port=port)
        with pytest.raises(HubError, match=message), running_hub(tmp_path / "hub", port=port):
            pass


def test_a_missing_extra_is_one_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(HubError, match=r"no package uvicorn.*pip install 'hfrun\[hub\]'"):
        serve(tmp_path / "hub")


def test_the_server_ends_with_the_block_even_after_an_error(tmp_path: Path) -> None:
    endpoints = []

    def fail_inside() -> None:
        with running_hub(tmp_path / "hub") as hub:
            endpoints.append(hub.endpoint)
            raise KeyError("stop")

    with pytest.raises(KeyError):
        fail_inside()
    host, port = endpoints[0].removeprefix("http://").split(":")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, int(port)), timeout=5)


def test_user_errors_are_one_line_and_exit_code_2(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    command = [sys.executable, "-m", "hfrun.hub", "ls", "--root", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert "holds no hub" in done.stderr


def test_the_hubs_commands_need_neither_torch_nor_transformers() -> None:
    code = (
        "import sys, hfrun.hub.commands, hfrun.hub.client, hfrun.hub.card.model_card; "
        "print({'torch', 'transformers', 'huggingface_hub', 'starlette', 'uvicorn'} "
        "& set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
