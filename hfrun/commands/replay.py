"""``hfrun replay RUNS --rules RULES``: when a rule would have stopped old runs, and the price."""

import argparse
from pathlib import Path
from typing import Any

from lob_backtest.command_line import EXIT_DONE


def add_parser(commands: Any) -> None:
    """Register ``replay``."""
    parser = commands.add_parser(
        "replay", help="judge recorded runs by stop rules, the diagnosis and the gates"
    )
    parser.add_argument(
        "runs", nargs="+", type=Path, metavar="RUNS",
        help="recorded runs (JSON lines: run, config, epochs), or run folders",
    )  # fmt: skip
    parser.add_argument(
        "--rules", type=Path, required=True, metavar="RULES",
        help="a YAML with stop_rules, such as configs/stop_rules/recorded.yaml",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print a list, one entry a training")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Replay every run and print what the rules would have done."""
    from hfrun.record import read_record, read_recorded
    from hfrun.replay.replay import replay
    from hfrun.replay.rules import read_rules
    from hfrun.replay.table import text_of
    from lob_backtest.commands.tables import show

    rules = read_rules(arguments.rules)
    records = [
        record
        for path in arguments.runs
        for record in ([read_record(path)] if path.is_dir() else read_recorded(path))
    ]
    replays = [one for record in records for one in replay(record, rules)]
    show([one.as_dict() for one in replays], text_of(replays), as_json=arguments.json)
    return EXIT_DONE
