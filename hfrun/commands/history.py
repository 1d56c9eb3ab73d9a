"""``hfrun history [DIR]``: the tuning diary; ``hfrun history note RUN "text"``: a note in it."""

import argparse
from pathlib import Path
from typing import Any

from lob_backtest.command_line import EXIT_DONE
from lob_backtest.errors import ConfigError

_TEXT = "write the tuning diary: HISTORY.md and history.jsonl, one entry a run, from the logs"
_FOLDER = Path("runs")
_LANGUAGES = ("en", "zh-TW")


def add_parser(commands: Any) -> None:
    """Register ``history``."""
    parser = commands.add_parser(
        "history", help=_TEXT, description=_TEXT,
        epilog='hfrun history note RUN "text" adds a note to the entry of a run; RUN is its '
        "folder, and options stand last.",
    )  # fmt: skip
    parser.add_argument(
        "words", nargs="*", metavar="DIR",
        help="a folder of runs (default: runs); or: note RUN TEXT",
    )  # fmt: skip
    parser.add_argument(
        "--recorded", type=Path, action="append", default=[], metavar="RUNS.jsonl",
        help="also runs that were recorded elsewhere, one JSON object a line; they stay in the "
        "diary from then on",
    )  # fmt: skip
    parser.add_argument(
        "--language", choices=_LANGUAGES,
        help="of the page (default: that of the page that is there, else en)",
    )  # fmt: skip
    parser.add_argument(
        "--trials", action="store_true",
        help="an entry for every trial of a study too, which otherwise only counts them",
    )  # fmt: skip
    parser.add_argument(
        "-o", "--output", type=Path, metavar="DIR", help="write here (default: the folder of runs)"
    )
    parser.add_argument("--json", action="store_true", help="print the entries as JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Write the diary, or add a note to it."""
    words = arguments.words
    if words[:1] == ["note"]:
        return _note(words[1:], as_json=arguments.json)
    if len(words) > 1:
        raise ConfigError(
            f"got {' '.join(words)}; needs one folder, or: hfrun history note RUN TEXT"
        )
    return _write(arguments, Path(words[0]) if words else None)


def _write(arguments: argparse.Namespace, folder: Path | None) -> int:
    from hfrun.commands.output import check_output
    from hfrun.history import read_history, write_history
    from lob_backtest.commands.tables import show

    output: Path = arguments.output or folder or _FOLDER
    check_output(output, named="-o" if arguments.output else "DIR")
    only_recorded = folder is None and bool(arguments.recorded) and arguments.output is not None
    source = folder or _FOLDER
    if not only_recorded and not source.is_dir() and not (folder is None and arguments.recorded):
        raise ConfigError(f"{source}: no such folder; give the folder that holds runs")
    page = write_history(
        output,
        language=arguments.language,
        runs=[] if only_recorded or not source.is_dir() else [source],
        recorded=arguments.recorded,
        trials=arguments.trials,
    )
    entries = read_history(output)
    told = f"{len(entries)} run{'s' if len(entries) != 1 else ''} in {page}"
    show(entries, told, as_json=arguments.json)
    return EXIT_DONE


def _note(words: list[str], *, as_json: bool) -> int:
    from hfrun.history.diary import add_note
    from lob_backtest.commands.tables import show

    if len(words) < 2:
        raise ConfigError('got too few words; needs: hfrun history note RUN "text"')
    page = add_note(Path(words[0]), " ".join(words[1:]))
    note = Path(words[0]) / "note.md"
    told = f"noted in {note}" + (f" and {page}" if page else "")
    show({"note": str(note), "page": page and str(page)}, told, as_json=as_json)
    return EXIT_DONE
