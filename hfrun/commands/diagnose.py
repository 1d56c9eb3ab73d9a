"""``hfrun diagnose RUN``: what a run's figures say of it, and what to try next."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lob_backtest.command_line import EXIT_DONE

if TYPE_CHECKING:
    from hfrun.record import RunRecord

_TEXT = "say what a run's figures show, with the numbers, and the next experiment"


def add_parser(commands: Any) -> None:
    """Register ``diagnose``."""
    parser = commands.add_parser("diagnose", help=_TEXT, description=_TEXT)
    parser.add_argument("folder", type=Path, metavar="RUN", help="a run's folder")
    parser.add_argument(
        "--parent", type=Path, metavar="RUN",
        help="the run it was changed from (default: run.parent of its config)",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print the findings as a JSON list")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the findings; the run's folder is left as it is."""
    from hfrun.diagnosis import diagnose, text_of
    from hfrun.record import read_record
    from lob_backtest.commands.tables import show

    record = read_record(arguments.folder)
    findings = diagnose(record, _parent(record, arguments.parent))
    show([finding.as_dict() for finding in findings], text_of(findings), as_json=arguments.json)
    return EXIT_DONE


def _parent(record: "RunRecord", asked: Path | None) -> "RunRecord | None":
    """The run that was asked for, or the one that the config names, where it still lies there."""
    from hfrun.record import read_record
    from lob_backtest.progress import announce

    if asked is not None:
        return read_record(asked)
    named = record.flat_config.get("run.parent")
    if not named:
        return None
    if not (Path(named) / "run.json").is_file():
        announce(f"run.parent={named}: no run there; rules that compare with it are left out")
        return None
    return read_record(Path(named))
