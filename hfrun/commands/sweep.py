"""``hfrun sweep CONFIG``: every combination of study.grid with every seed, and their comparison."""

import argparse
import json
from pathlib import Path
from typing import Any

from lob_backtest.command_line import EXIT_BAD_INPUT, EXIT_DONE


def add_parser(commands: Any) -> None:
    """Register ``sweep``."""
    parser = commands.add_parser(
        "sweep", help="train every combination of study.grid with every seed, and compare them"
    )
    parser.add_argument("config", type=Path, metavar="CONFIG", help="a YAML with a study section")
    parser.add_argument("overrides", nargs="*", metavar="section.key=value")
    parser.add_argument("--json", action="store_true", help="print what study/sweep.json holds")
    parser.add_argument(
        "--markdown", type=Path, metavar="FILE", help="also write the table here, as Markdown"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run what is left of the sweep, and print its table; 2 where a trial ended with an error."""
    from hfrun.commands.output import check_output
    from hfrun.study.sweep import run_sweep
    from hfrun.study.sweep_tables import markdown_of, text_of
    from lob_backtest.files import write_text
    from lob_backtest.strict_yaml import load_yaml

    raw = load_yaml(arguments.config, arguments.overrides)
    folder = (raw.get("run") or {}).get("output_dir")
    if isinstance(folder, str):
        check_output(Path(folder), named="run.output_dir")
    sweep = run_sweep(raw, source=str(arguments.config))
    if arguments.markdown is not None:
        write_text(arguments.markdown, markdown_of(sweep.outcome))
    if arguments.json:
        print(json.dumps(sweep.outcome, indent=2))
    else:
        print(text_of(sweep.outcome, page=sweep.page.resolve().as_uri()))
    return EXIT_BAD_INPUT if sweep.failed else EXIT_DONE
