"""``hfrun hub ...``: serve a folder, and look after its accounts."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hfrun.hub.names import KINDS
from hfrun.hub.options import USUAL, ServerOptions
from hfrun.hub.repository import DEFAULT_BRANCH, Repository
from hfrun.hub.serve import DEFAULT_HOST, DEFAULT_PORT, serve
from hfrun.hub.store import HubStore, open_root
from hfrun.hub.tokens import ROLES, Accounts, create_token

_MB, _GB = 1_000_000, 1_000_000_000

if TYPE_CHECKING:  # argparse keeps the type for itself, and it has no parameter at run time
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]


def add_parser(subparsers: "Commands") -> None:
    """Register ``hub`` and its subcommands; each sets ``args.run``."""
    add_commands(subparsers.add_parser("hub", help="a local hub for Hugging Face clients"))


def add_commands(parser: argparse.ArgumentParser) -> None:
    """Put the hub's subcommands on a parser."""
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    _add_serve_options(_command(commands, "serve", _serve, "serve a folder until interrupted"))

    command = _command(commands, "ls", _list, "list the repositories")
    command.add_argument("--json", action="store_true", help="print JSON")

    token = commands.add_parser("token", help="create, list and revoke tokens")
    tokens = token.add_subparsers(required=True, metavar="COMMAND")
    command = _command(tokens, "create", _create_token, "make a token and print it alone")
    command.add_argument("user", metavar="USER")
    command.add_argument("--role", choices=ROLES, default="write", help="default: %(default)s")
    command = _command(tokens, "list", _list_tokens, "list the tokens, without their secrets")
    command.add_argument("--json", action="store_true", help="print JSON")
    command = _command(tokens, "revoke", _revoke_token, "make a token useless")
    command.add_argument("id", metavar="ID", help="as token list shows it")

    organisation = commands.add_parser("org", help="create organisations")
    organisations = organisation.add_subparsers(required=True, metavar="COMMAND")
    command = _command(organisations, "create", _create_organisation, "create one or add members")
    command.add_argument("organisation", metavar="ORG")
    command.add_argument("--member", action="append", required=True, metavar="USER")


def _add_serve_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("--host", default=DEFAULT_HOST, help="default: %(default)s")
    command.add_argument("--port", type=int, default=DEFAULT_PORT, help="default: %(default)s")
    command.add_argument(
        "--anonymous",
        action=argparse.BooleanOptionalAction,
        dest="anonymous_read",
        help="whether public things can be read without a token; the folder remembers it",
    )
    command.add_argument(
        "--max-upload-gb",
        type=_amount,
        default=USUAL.max_upload_bytes / _GB,
        metavar="GB",
        help="largest file that may be uploaded; default: %(default)g",
    )
    command.add_argument(
        "--regular-max-mb",
        type=_amount,
        default=USUAL.regular_max_bytes / _MB,
        metavar="MB",
        help="largest file inside a commit, for clients that insist on Xet; default: %(default)g",
    )
    command.add_argument(
        "--access-log", type=Path, metavar="FILE", help="write a line for every request to it"
    )


def _amount(text: str) -> float:
    value = float(text)
    if not 0 < value < 1e9:  # also NaN
        raise argparse.ArgumentTypeError(f"got {text}; needed is a number above 0")
    return value


def _command(commands: "Commands", name: str, run: Any, text: str) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text)
    command.add_argument("--root", type=Path, required=True, metavar="DIR", help="the hub's folder")
    command.set_defaults(run=run)
    return command


def _serve(args: argparse.Namespace) -> int:
    options = ServerOptions(
        anonymous_read=args.anonymous_read,
        regular_max_bytes=round(args.regular_max_mb * _MB),
        max_upload_bytes=round(args.max_upload_gb * _GB),
        access_log=args.access_log,
    )
    serve(args.root, args.host, args.port, options)
    return 0


def _create_token(args: argparse.Namespace) -> int:
    print(create_token(args.root, args.user, role=args.role))
    return 0


def _list_tokens(args: argparse.Namespace) -> int:
    rows = [vars(token) for token in Accounts(open_root(args.root, create=False)).tokens()]
    _print_rows(rows, ("id", "user", "role", "created_at"), as_json=args.json)
    return 0


def _revoke_token(args: argparse.Namespace) -> int:
    Accounts(open_root(args.root, create=False)).revoke(args.id)
    return 0


def _create_organisation(args: argparse.Namespace) -> int:
    accounts = Accounts(open_root(args.root, create=False))
    accounts.create_organisation(args.organisation, members=args.member)
    return 0


def _list(args: argparse.Namespace) -> int:
    store = HubStore(open_root(args.root, create=False))
    rows = [_row(repository) for kind in KINDS for repository in store.repositories(kind)]
    columns = ("kind", "id", "private", "commit", "last_modified", "files", "bytes")
    _print_rows(rows, columns, as_json=args.json)
    return 0


def _row(repository: Repository) -> dict[str, Any]:
    commit = repository.commit(repository.head(DEFAULT_BRANCH))
    tree = repository.tree(commit)
    return {
        "kind": repository.settings.repo_id.kind,
        "id": str(repository.settings.repo_id),
        "private": repository.settings.private,
        "commit": commit.id,
        "last_modified": commit.date,
        "files": len(tree),
        "bytes": sum(entry.size for entry in tree.values()),
    }


def _print_rows(rows: list[dict[str, Any]], columns: tuple[str, ...], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(rows, indent=2))
        return
    table = [columns, *([str(row[column]) for column in columns] for row in rows)]
    widths = [max(len(line[i]) for line in table) for i in range(len(columns))]
    for line in table:
        print(
            "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
        )
