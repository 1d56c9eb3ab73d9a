"""``hfrun diagnose RUN``: what a run's figures say of it, and what to try next."""

import argparse
from pathlib import Path
from typing import Any

from lob_backtest.command_line import EXIT_DONE

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
    from hfrun.closing import parent_of
    from hfrun.diagnosis import diagnose, text_of
    from hfrun.record import read_record
    from lob_backtest.commands.tables import show

    record = read_record(arguments.folder)
    asked = arguments.parent
    parent = (
        parent_of(record.flat_config.get("run.parent")) if asked is None else read_record(asked)
    )
    findings = diagnose(record, parent)
    show([finding.as_dict() for finding in findings], text_of(findings), as_json=arguments.json)
    return EXIT_DONE
