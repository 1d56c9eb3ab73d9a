"""``hfrun lr-find CONFIG``: a learning-rate range test of the config's model on its data."""

import argparse
from pathlib import Path
from typing import Any

from lob_backtest.command_line import EXIT_DONE

_TEXT = "try learning rates from tiny to far too large on a copy of the model, and suggest one"
_DIGITS = 2  # significant ones of a suggested rate; more would be luck


def add_parser(commands: Any) -> None:
    """Register ``lr-find``."""
    parser = commands.add_parser("lr-find", help=_TEXT, description=_TEXT)
    parser.add_argument("config", type=Path, metavar="CONFIG", help="a YAML of configs/")
    parser.add_argument("overrides", nargs="*", metavar="section.key=value")
    parser.add_argument(
        "-o", "--output", type=Path, metavar="DIR",
        help="where lr_find.json, .csv, .svg and .png go (default: run.output_dir and -lr-find)",
    )  # fmt: skip
    parser.add_argument("--start", type=float, metavar="RATE", help="lowest rate (default: 1e-7)")
    parser.add_argument("--end", type=float, metavar="RATE", help="highest rate (default: 1e-2)")
    parser.add_argument(
        "--steps", type=int, metavar="N", help="rates, one optimizer step each (default: 200)"
    )
    parser.add_argument("--json", action="store_true", help="print lr_find.json")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Test, write and print; exit code 0 whether or not there is a suggestion."""
    from hfrun.commands.output import check_output
    from hfrun.config import load_config
    from hfrun.models.model_folder import let_bars_pass
    from hfrun.trainers import opened_trainer
    from hfrun.training.range_report import JSON_FILE, SVG_FILE, range_text, write_range_test
    from hfrun.training.range_test import RangeOptions, range_test

    given = {name: getattr(arguments, name) for name in ("start", "end", "steps")}
    options = RangeOptions(**{name: value for name, value in given.items() if value is not None})
    config = load_config(arguments.config, arguments.overrides)
    folder = arguments.output or Path(f"{config.run.output_dir.rstrip('/')}-lr-find")
    check_output(folder)
    let_bars_pass()
    with opened_trainer(config) as trainer:
        test = range_test(trainer, options)
    pasted = overrides_for(config, test.suggestion.third)
    write_range_test(test, folder, overrides=pasted)
    if arguments.json:
        print((folder / JSON_FILE).read_text(encoding="utf-8"), end="")
    else:
        print(range_text(test, overrides=pasted))
        print(f"\nPlot: {(folder / SVG_FILE).resolve().as_uri()}")
    return EXIT_DONE


def overrides_for(config: Any, rate: float | None) -> list[str]:
    """What sets the suggested rate in a config, with the proportion of its head's rate kept."""
    if rate is None:
        return []
    pasted = [f"training.learning_rate={_short(rate)}"]
    head = getattr(config.training, "head_learning_rate", None)
    if head is not None:
        from transformers import TrainingArguments

        default = TrainingArguments.learning_rate
        base = config.training.arguments.get("learning_rate", default)
        pasted.append(f"training.head_learning_rate={_short(rate * head / base)}")
    return pasted


def _short(rate: float) -> str:
    """As YAML reads it: a number without a point would be text there.

    >>> _short(3.351602650938841e-05), _short(0.001)
    ('3.4e-05', '1.0e-03')
    """
    return f"{rate:.{_DIGITS - 1}e}"
