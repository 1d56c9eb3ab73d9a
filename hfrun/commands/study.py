"""``hfrun study run|worker|show|adopt CONFIG``: one question, its trials, and what they say."""

import argparse
import json
from pathlib import Path
from typing import Any

from lob_backtest.command_line import EXIT_BAD_INPUT, EXIT_DONE


def add_parser(commands: Any) -> None:
    """Register ``study`` with its commands."""
    from hfrun.commands.study_adopt import add_adopt_parser

    study = commands.add_parser("study", help="tune by experiment: run trials, look, adopt")
    kinds = study.add_subparsers(dest="study_command", required=True, metavar="COMMAND")
    runner = _add(kinds, "run", _run, "run every trial of the study with its workers, and report")
    runner.add_argument("--workers", type=int, help="processes (default: study.workers)")
    _add(kinds, "worker", _worker, "pull trials and run them: one more process, on any machine")
    _add(kinds, "show", _show, "write the report of the trials there are, and print the answer")
    add_adopt_parser(kinds)


def _add(kinds: Any, name: str, run: Any, told: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = kinds.add_parser(name, help=told)
    parser.add_argument("config", type=Path, metavar="CONFIG", help="a YAML with a study section")
    parser.add_argument("overrides", nargs="*", metavar="section.key=value")
    if name != "worker":
        parser.add_argument("--json", action="store_true", help="print the analysis as JSON")
    parser.set_defaults(run=run)
    return parser


def _opened(arguments: argparse.Namespace) -> Any:
    from hfrun.commands.output import check_output
    from hfrun.study.opened import open_study
    from lob_backtest.strict_yaml import load_yaml

    raw = load_yaml(arguments.config, arguments.overrides)
    folder = (raw.get("run") or {}).get("output_dir")
    if isinstance(folder, str):
        check_output(Path(folder), named="run.output_dir")
    return open_study(raw, source=str(arguments.config))


def _run(arguments: argparse.Namespace) -> int:
    from hfrun.study.supervise import supervise
    from lob_backtest.errors import ConfigError
    from lob_backtest.progress import announce

    opened = _opened(arguments)
    workers = opened.study.workers if arguments.workers is None else arguments.workers
    if workers < 1:
        raise ConfigError(f"--workers {workers}: needs at least 1")
    for doubt in opened.space.doubts():
        announce(f"note: {doubt}")
    command = ["study", "worker", str(arguments.config), *arguments.overrides]
    try:
        supervise(opened, command, workers=workers)
    finally:
        analysis = _written(opened)
    return _told(opened, analysis, as_json=arguments.json)


def _worker(arguments: argparse.Namespace) -> int:
    from hfrun.study.worker import work
    from lob_backtest.progress import announce

    announce(f"ran {work(_opened(arguments))} trials")
    return EXIT_DONE


def _show(arguments: argparse.Namespace) -> int:
    opened = _opened(arguments)
    return _told(opened, _written(opened), as_json=arguments.json)


def _written(opened: Any) -> dict[str, Any]:
    from hfrun.study.study_files import write_study

    return write_study(opened)


def _told(opened: Any, analysis: dict[str, Any], *, as_json: bool) -> int:
    """Print what was found; 2 where a trial ended with an error of its own."""
    from hfrun.study.study_text import text_of

    page = (opened.folder / "study" / "report.html").resolve().as_uri()
    print(json.dumps(analysis, indent=2) if as_json else text_of(analysis, page=page))
    failed = [trial for trial in opened.data().trials if trial.status == "failed"]
    return EXIT_BAD_INPUT if failed else EXIT_DONE
