"""``hfrun hub check | gc | export``: looking after a hub's folder, served or not.

Exit codes: 0 done, and of ``check``: sound; 1 something is damaged; 2 bad input.
"""

import argparse
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hfrun.errors import HubError
from lob_backtest.command_line import EXIT_DONE
from lob_backtest.commands.tables import show

if TYPE_CHECKING:  # argparse keeps the type for itself, and it has no parameter at run time
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

EXIT_DAMAGED = 1
_DEFAULT_GRACE_HOURS = 24.0


def add_commands(subparsers: "Commands") -> None:
    """Register ``check``, ``gc`` and ``export``; each sets ``args.run``."""
    text = "verify every object, tree, commit and ref of a hub's folder"
    command = _command(subparsers, "check", _check, text)
    command.add_argument("--quick", action="store_true", help="do not read the contents of files")
    command.add_argument(
        "--repair", action="store_true", help="mend what can be; what is wrong goes to quarantine/"
    )
    command.add_argument(
        "--rewind", action="store_true",
        help="with --repair: move refs back to commits whose contents are all stored, for a copy "
        "that was taken while others pushed",
    )  # fmt: skip

    text = "remove what no branch, tag or pull request needs any more"
    command = _command(subparsers, "gc", _gc, text)
    command.add_argument(
        "--grace", type=float, default=_DEFAULT_GRACE_HOURS, metavar="HOURS",
        help="keep what is younger; longer than any push takes (default: %(default)s)",
    )  # fmt: skip
    command.add_argument("--dry-run", action="store_true", help="only say what would go")

    text = "write repositories as bare git ones, with large files as git-lfs keeps them"
    command = _command(subparsers, "export", _export, text)
    command.add_argument(
        "repos", nargs="*", metavar="REPO", help="alice/m, datasets/alice/d or spaces/alice/s"
    )
    command.add_argument("--all", action="store_true", help="all repositories")
    command.add_argument(
        "-o", "--output", type=Path, required=True, metavar="OUT", help="an empty or a new folder"
    )


def _command(commands: "Commands", name: str, run: Any, text: str) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text)
    command.add_argument("--root", type=Path, required=True, metavar="DIR", help="the hub's folder")
    command.add_argument("--json", action="store_true", help="print JSON")
    command.set_defaults(run=run)
    return command


def _check(args: argparse.Namespace) -> int:
    from hfrun.hub.maintenance.check import check
    from hfrun.hub.maintenance.repair import repair

    if args.rewind and not args.repair:
        raise HubError("got --rewind without --repair; it says how far repair may move refs")
    if args.repair:
        report = repair(args.root, quick=args.quick, rewind=args.rewind)
    else:
        report = check(args.root, quick=args.quick)
    show(report.as_dict(), report.text(), as_json=args.json)
    return EXIT_DONE if report.is_sound else EXIT_DAMAGED


def _gc(args: argparse.Namespace) -> int:
    from hfrun.hub.maintenance.gc import collect

    if not (math.isfinite(args.grace) and args.grace >= 0):
        raise HubError(f"got --grace {args.grace}; needed is a number of hours, 0 or more")
    swept = collect(args.root, grace_seconds=args.grace * 3600, dry_run=args.dry_run)
    show(swept.as_dict(), swept.text(), as_json=args.json)
    return EXIT_DONE


def _export(args: argparse.Namespace) -> int:
    from hfrun.hub.maintenance.export import chosen, empty_folder, export
    from hfrun.hub.store.hub_store import HubStore, open_root

    if bool(args.repos) == args.all:
        raise HubError("export needs names of repositories, or --all, and not both")
    repositories = chosen(HubStore(open_root(args.root, create=False)), args.repos)
    out = empty_folder(args.output)
    done = [export(repository, out) for repository in repositories]
    rows = [{**vars(one), "folder": str(one.folder)} for one in done]
    lines = [
        f"{one.folder}: {one.commits} commits, {one.refs} refs, {one.large_files} large files"
        for one in done
    ]
    show(rows, "\n".join(lines) or "no repositories", as_json=args.json)
    return EXIT_DONE
