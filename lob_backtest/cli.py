"""The `lob-backtest` command. Exit codes: 0 done, 3 gates failed, 2 bad input, 130 interrupted.

The commands themselves are in ``lob_backtest.commands`` and imported when one runs, so that
``--help`` answers at once.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from lob_backtest.command_line import run_command

Run = Callable[[argparse.Namespace], int]
_LARGEST_SEED = 2**32 - 1  # scikit-learn takes no larger one


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and give its exit code."""
    return run_command(_parser(), argv)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="lob-backtest",
        description="Order books, labels, walk-forward folds, and an honest judgement after costs.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_book_commands(commands)
    _add_baseline(commands)
    _add_paths(commands)
    _add_score(commands)
    _add_gate(commands)
    _add_compare(commands)
    _add_costs(commands)
    return parser


def _add_book_commands(commands: Any) -> None:
    command = _command(
        commands, "import", "books:import_files", "files of a format to a book table"
    )
    command.late_epilog = _formats
    command.add_argument("format", metavar="FORMAT", help="one of those named below")
    command.add_argument("files", nargs="*", type=Path, metavar="FILE", help="in any order")
    command.add_argument("-o", "--output", type=Path, required=True, metavar="BOOK")
    command.add_argument("--levels", type=int, help="price levels a side (default: as in the file)")
    command.add_argument("--instrument", metavar="NAME", help="what the book is of")
    command.add_argument("--tick-size", type=float, metavar="PRICE", help="the price step, as 0.01")
    command.add_argument("--currency", metavar="CODE", help="what prices are in, as USD")
    command.add_argument("--timezone", metavar="ZONE", help="of the session, as America/New_York")
    command.add_argument("--session", metavar="HH:MM-HH:MM", help="local; rows outside are dropped")
    command.add_argument(
        "--mapping", type=Path, metavar="FILE", help="YAML: what the columns mean (mapped)"
    )
    command.add_argument(
        "--memory-mb", type=int, default=512, help="working memory to use (default: %(default)s)"
    )

    command = _command(commands, "synthetic", "books:synthetic", "a seeded book of several days")
    command.add_argument("-o", "--output", type=Path, required=True, metavar="BOOK")
    command.add_argument("--days", type=int, default=5, help="default: %(default)s")
    command.add_argument("--rows-per-day", type=int, default=20_000, help="default: %(default)s")
    command.add_argument("--levels", type=int, default=10, help="default: %(default)s")
    command.add_argument(
        "--signal", type=float, default=1.0, help="0 plants none, 1 a strong one (default)"
    )
    command.add_argument("--seed", type=_seed, default=0, help="default: %(default)s")

    command = _command(commands, "inspect", "inspecting:inspect", "what a book is like, in figures")
    command.add_argument("book", type=Path, metavar="BOOK")
    command.add_argument("--plots", type=Path, metavar="DIR", help="draw it too, as svg and png")
    command.add_argument(
        "--gap-seconds", type=float, default=60.0, help="what counts as a gap (default: 60)"
    )

    command = _command(commands, "label", "labels:label", "decisions, class shares and folds")
    command.add_argument("book", type=Path, metavar="BOOK")
    command.add_argument(
        "-o", "--output", type=Path, metavar="FILE", help="decisions, folds and labels (Parquet)"
    )
    _add_config(command)


def _add_baseline(commands: Any) -> None:
    command = _command(commands, "baseline", "scoring:baseline", "predictions of the baselines")
    _add_books(command)
    command.add_argument("-o", "--output", type=Path, required=True, metavar="DIR")
    _add_names(command)
    _add_config(command)


def _add_paths(commands: Any) -> None:
    command = _command(
        commands, "paths", "paths:paths", "how the baselines scatter over combinatorial splits"
    )
    command.add_argument("--book", type=Path, help="default: the config's data.book")
    _add_names(command)
    _add_config(command)


def _add_score(commands: Any) -> None:
    command = _command(commands, "score", "scoring:score_predictions", "trade, measure and judge")
    command.add_argument("predictions", type=Path, metavar="PREDICTIONS", help="of test blocks")
    _add_books(command)
    command.add_argument("-o", "--output", type=Path, required=True, metavar="DIR")
    command.add_argument("--validation", type=Path, help="predictions of the validation blocks")
    command.add_argument("--training", type=Path, help="JSON with what the training run knows")
    command.add_argument("--seed", type=_seed, default=0, help="of the intervals and baselines")
    command.add_argument("--check", action="store_true", help="run the leak alarms")
    command.add_argument("--plots", action="store_true", help="write the plots as files too")
    _add_names(command)
    _add_config(command)


def _add_gate(commands: Any) -> None:
    command = _command(commands, "gate", "judging:gate", "judge a report, by other limits if given")
    command.add_argument("report", type=Path, metavar="REPORT", help="report.json or its folder")
    command.add_argument("overrides", nargs="*", metavar="gates.key=value")


def _add_compare(commands: Any) -> None:
    command = _command(
        commands, "compare", "comparing:compare", "reports side by side, with paired intervals"
    )
    command.add_argument("reports", nargs="+", type=Path, metavar="REPORT")
    command.add_argument(
        "-o", "--output", type=Path, metavar="DIR", help="write compare.html and compare.json too"
    )
    command.add_argument("--seed", type=_seed, default=0, help="of the intervals (default: 0)")


def _add_costs(commands: Any) -> None:
    command = _command(commands, "costs", "costs:costs", "what each preset of costs charges")
    command.add_argument("preset", nargs="?", metavar="PRESET", help="one of them, with sources")
    command.add_argument("--size", type=float, default=100.0, help="units (default: %(default)s)")
    command.add_argument("--price", type=float, default=100.0, help="default: %(default)s")


def _add_books(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--book", type=Path, action="append",
        help="default: the config's data.book; several instruments: once for each",
    )  # fmt: skip


def _add_names(command: argparse.ArgumentParser) -> None:
    command.add_argument("--baselines", metavar="NAMES", help="comma-separated; default: all")


def _add_config(command: argparse.ArgumentParser) -> None:
    command.add_argument("--config", type=Path, required=True, help="a run's YAML")
    command.add_argument("overrides", nargs="*", metavar="section.key=value")


def _seed(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and int(text) <= _LARGEST_SEED):
        raise argparse.ArgumentTypeError(
            f"got {text!r}; needs a whole number from 0 to {_LARGEST_SEED}"
        )
    return int(text)


def _formats() -> str:
    from lob_backtest.io import FORMATS  # brings pandas: only where somebody asks

    return f"formats: {', '.join(FORMATS)}; docs/data.md says how to get the files"


class _Parser(argparse.ArgumentParser):
    """A parser that can leave the end of its help until it is asked for."""

    late_epilog: Callable[[], str] | None = None

    def format_help(self) -> str:
        if self.late_epilog is not None:
            self.epilog = self.late_epilog()
        return super().format_help()


def _command(commands: Any, name: str, run: str, help_text: str) -> _Parser:
    command: _Parser = commands.add_parser(name, help=help_text, description=help_text)
    command.add_argument("--json", action="store_true", help="print JSON")
    command.set_defaults(run=_when_run(run))
    return command


def _when_run(place: str) -> Run:
    module, _, function = place.partition(":")

    def run(arguments: argparse.Namespace) -> int:
        code: int = getattr(import_module(f"lob_backtest.commands.{module}"), function)(arguments)
        return code

    return run


if __name__ == "__main__":
    sys.exit(main())
