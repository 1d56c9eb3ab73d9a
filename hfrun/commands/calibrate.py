"""``hfrun calibrate RUN``: how far a run's probabilities can be believed, and a temperature."""

import argparse
import json
from pathlib import Path
from typing import Any

from lob_backtest.command_line import EXIT_DONE


def add_parser(commands: Any) -> None:
    """Register ``calibrate``."""
    parser = commands.add_parser(
        "calibrate", help="fit a temperature on validation and judge the calibration on test"
    )
    parser.add_argument("source", type=Path, metavar="RUN", help="the folder of a finished run")
    parser.add_argument(
        "-o", "--output", type=Path, metavar="DIR",
        help="where calibration.json and the diagram go (default: the run folder)",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Judge, write and print; exit code 0 whatever was found."""
    from hfrun.commands.output import check_output
    from hfrun.evaluation.calibration import write_calibration
    from hfrun.evaluation.calibration_run import calibrate_run
    from hfrun.evaluation.calibration_words import calibration_text

    folder = arguments.output or arguments.source
    if arguments.output is not None:
        check_output(folder)
    calibration = calibrate_run(arguments.source)
    write_calibration(calibration, folder)
    if arguments.json:
        print(json.dumps(calibration.as_dict(), indent=2))
    else:
        print(calibration_text(calibration))
        print(f"\nDiagram: {(folder / 'reliability.svg').resolve().as_uri()}")
    return EXIT_DONE
