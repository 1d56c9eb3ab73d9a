"""``hfrun hub ...``: serve a folder, list what is in it, and look after it and its accounts."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hfrun.hub.accounts.account_commands import add_account_commands, add_command, print_rows
from hfrun.hub.maintenance.commands import add_commands as add_maintenance_commands
from hfrun.hub.names import KINDS
from hfrun.hub.options import USUAL, ServerOptions
from hfrun.hub.serve import DEFAULT_HOST, DEFAULT_PORT, serve
from hfrun.hub.store.hub_store import HubStore, open_root
from hfrun.hub.store.repository import DEFAULT_BRANCH, Repository

_MB, _GB = 1_000_000, 1_000_000_000

if TYPE_CHECKING:  # argparse keeps the type for itself, and it has no parameter at run time
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]


def add_parser(subparsers: "Commands") -> None:
    """Register ``hub`` and its subcommands; each sets ``args.run``."""
    add_commands(subparsers.add_parser("hub", help="a local hub for Hugging Face clients"))


def add_commands(parser: argparse.ArgumentParser) -> None:
    """Put the hub's subcommands on a parser."""
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_serve_options(add_command(commands, "serve", _serve, "serve a folder until interrupted"))
    command = add_command(commands, "ls", _list, "list the repositories")
    command.add_argument("--json", action="store_true", help="print JSON")
    add_maintenance_commands(commands)
    add_account_commands(commands)


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
        "--patience",
        type=_amount,
        default=USUAL.patience_seconds,
        metavar="SECONDS",
        help="how long a client may stand still; default: %(default)g",
    )
    command.add_argument(
        "--allowed-host",
        action="append",
        metavar="NAME",
        help="answer to this name too, and to no other beside this machine's own; may be repeated "
        "(default: on this machine its own names alone, elsewhere any)",
    )
    command.add_argument(
        "--access-log", type=Path, metavar="FILE", help="write a line for every request to it"
    )


def _amount(text: str) -> float:
    value = float(text)
    if not 0 < value < 1e9:  # also NaN
        raise argparse.ArgumentTypeError(f"got {text}; needed is a number above 0")
    return value


def _serve(args: argparse.Namespace) -> int:
    options = ServerOptions(
        anonymous_read=args.anonymous_read,
        regular_max_bytes=round(args.regular_max_mb * _MB),
        max_upload_bytes=round(args.max_upload_gb * _GB),
        patience_seconds=args.patience,
        known_hosts=None if args.allowed_host is None else tuple(args.allowed_host),
        access_log=args.access_log,
    )
    serve(args.root, args.host, args.port, options)
    return 0


def _list(args: argparse.Namespace) -> int:
    store = HubStore(open_root(args.root, create=False))
    rows = [_row(repository) for kind in KINDS for repository in store.repositories(kind)]
    columns = ("kind", "id", "private", "gated", "commit", "last_modified", "files", "bytes")
    print_rows(rows, columns, as_json=args.json)
    return 0


def _row(repository: Repository) -> dict[str, Any]:
    commit = repository.commit(repository.head(DEFAULT_BRANCH))
    tree = repository.tree(commit)
    return {
        "kind": repository.settings.repo_id.kind,
        "id": str(repository.settings.repo_id),
        "private": repository.settings.private,
        "gated": repository.settings.gated or False,
        "commit": commit.id,
        "last_modified": commit.date,
        "files": len(tree),
        "bytes": sum(entry.size for entry in tree.values()),
    }
