"""``hfrun hub token ...`` and ``hfrun hub org ...``: who may use a hub."""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hfrun.hub.accounts.tokens import ROLES, Accounts, create_token
from hfrun.hub.store.hub_store import open_root

if TYPE_CHECKING:  # argparse keeps the type for itself, and it has no parameter at run time
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

_TOKEN_COLUMNS = ("id", "user", "role", "label", "created_at", "expires_at", "last_used")


def add_account_commands(commands: "Commands") -> None:
    """Put ``token`` and ``org`` on the hub's commands."""
    _add_token_commands(commands.add_parser("token", help="create, list and revoke tokens"))
    _add_organisation_commands(commands.add_parser("org", help="organisations and their members"))


def add_command(
    commands: "Commands", name: str, run: Callable[[argparse.Namespace], int], text: str
) -> argparse.ArgumentParser:
    """Put one command that works on a hub's folder on others."""
    command: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text)
    command.add_argument("--root", type=Path, required=True, metavar="DIR", help="the hub's folder")
    command.set_defaults(run=run)
    return command


def print_rows(rows: list[dict[str, Any]], columns: tuple[str, ...], *, as_json: bool) -> None:
    """Print rows as a table of these columns, or as JSON."""
    if as_json:
        print(json.dumps(rows, indent=2))
        return
    table = [columns, *([str(row[column]) for column in columns] for row in rows)]
    widths = [max(len(line[i]) for line in table) for i in range(len(columns))]
    for line in table:
        print(
            "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
        )


def _add_token_commands(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    command = add_command(commands, "create", _create_token, "make a token and print it alone")
    command.add_argument("user", metavar="USER")
    command.add_argument("--role", choices=ROLES, default="write", help="default: %(default)s")
    command.add_argument("--label", default="", metavar="TEXT", help="what it is for")
    command.add_argument(
        "--expires", type=float, metavar="DAYS", help="for how long it is good; default: for ever"
    )
    command = add_command(commands, "list", _list_tokens, "list the tokens, without their secrets")
    command.add_argument("--json", action="store_true", help="print JSON")
    command = add_command(commands, "revoke", _revoke_token, "make a token useless")
    command.add_argument("id", metavar="ID", help="as token list shows it")


def _add_organisation_commands(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    command = add_command(commands, "create", _create_organisation, "create one or add members")
    command.add_argument("organisation", metavar="ORG")
    command.add_argument("--member", action="append", required=True, metavar="USER")
    command = add_command(commands, "list", _list_organisations, "list them and their members")
    command.add_argument("--json", action="store_true", help="print JSON")
    command = add_command(commands, "remove-member", _remove_member, "take a member out of one")
    command.add_argument("organisation", metavar="ORG")
    command.add_argument("user", metavar="USER")


def _create_token(args: argparse.Namespace) -> int:
    print(
        create_token(
            args.root, args.user, role=args.role, label=args.label, expires_days=args.expires
        )
    )
    return 0


def _list_tokens(args: argparse.Namespace) -> int:
    accounts = Accounts(open_root(args.root, create=False))
    rows = [
        {**vars(token), "last_used": accounts.last_used(token.id)} for token in accounts.tokens()
    ]
    print_rows(rows, _TOKEN_COLUMNS, as_json=args.json)
    return 0


def _revoke_token(args: argparse.Namespace) -> int:
    Accounts(open_root(args.root, create=False)).revoke(args.id)
    return 0


def _create_organisation(args: argparse.Namespace) -> int:
    accounts = Accounts(open_root(args.root, create=False))
    accounts.create_organisation(args.organisation, members=args.member)
    return 0


def _list_organisations(args: argparse.Namespace) -> int:
    listed = Accounts(open_root(args.root, create=False)).organisations()
    if args.json:
        print_rows([vars(organisation) for organisation in listed], (), as_json=True)
    else:
        rows = [{"name": o.name, "members": ", ".join(o.members)} for o in listed]
        print_rows(rows, ("name", "members"), as_json=False)
    return 0


def _remove_member(args: argparse.Namespace) -> int:
    Accounts(open_root(args.root, create=False)).remove_member(args.organisation, args.user)
    return 0
