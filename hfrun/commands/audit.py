"""``hfrun audit CONFIG``: what a training would begin with, without training.

Exit code 0 where a training may begin, with warnings or without; 2 where errors stand against it
that the config does not accept.
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lob_backtest.command_line import EXIT_DONE

if TYPE_CHECKING:
    from hfrun.config import HfrunConfig, TextRunConfig
    from hfrun.data.audit import AuditReport

_TEXT = "look for leaks, placeholder labels and shifts in a config's data, as every training does"


def add_parser(commands: Any) -> None:
    """Register ``audit``."""
    parser = commands.add_parser("audit", help=_TEXT, description=_TEXT)
    parser.add_argument("config", type=Path, metavar="CONFIG", help="a YAML of configs/")
    parser.add_argument("overrides", nargs="*", metavar="section.key=value")
    parser.add_argument(
        "--folds", choices=("holdout", "walk-forward"),
        help="of a book: the split of hfrun train, or those of hfrun walk-forward (default: "
        "walk-forward where the config has that section)",
    )  # fmt: skip
    parser.add_argument(
        "-o", "--output", type=Path, metavar="DIR", help="also write audit.json and audit.txt here"
    )
    parser.add_argument("--json", action="store_true", help="print audit.json")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the findings; a DataError after them says what stands against a training."""
    from hfrun.commands.output import check_output
    from hfrun.config import TextRunConfig, load_config
    from hfrun.data.audit import require_clean, write_audit
    from hfrun.errors import DataError
    from lob_backtest.commands.tables import show

    if arguments.output is not None:
        check_output(arguments.output)
    config = load_config(arguments.config, arguments.overrides)
    if isinstance(config, TextRunConfig):
        if arguments.folds is not None:
            raise DataError(f"--folds {arguments.folds}: texts have no folds; leave it out")
        report = audit_config_texts(config)
    else:
        report = audit_config_book(config, folds=arguments.folds)
    if arguments.output is not None:
        write_audit(report, arguments.output)
    show(report.as_dict(), report.text(), as_json=arguments.json)
    require_clean(report)
    return EXIT_DONE


def audit_config_texts(config: "TextRunConfig") -> "AuditReport":
    """The audit that a run over texts begins with.

    Where the model's tokenizer is not at hand, only the truncation is not looked at: data can be
    audited before there are weights.
    """
    from hfrun.data.texts import read_splits
    from hfrun.errors import ModelError
    from hfrun.text_run import audit_of
    from hfrun.text_trainer import tokenize_splits
    from lob_backtest.errors import ConfigError
    from lob_backtest.progress import announce

    splits = read_splits(config.data)
    tokens = None
    try:
        tokens = tokenize_splits(config, splits).tokens
    except (ModelError, ConfigError) as error:
        announce(f"truncation is not looked at, for want of a tokenizer: {error}")
    return audit_of(config, splits, tokens)


def audit_config_book(config: "HfrunConfig", *, folds: str | None) -> "AuditReport":
    """The audit that a run over a book begins with.

    Args:
        config: of the run.
        folds: ``holdout``, ``walk-forward``, or None for what the config has.
    """
    from hfrun.data.audit import audit_books
    from hfrun.walk_forward import holdout_of
    from lob_backtest.open_book import open_book
    from lob_backtest.prepare import prepare

    is_walk = config.walk_forward is not None if folds is None else folds == "walk-forward"
    judge = config.judge if is_walk else None  # an incomplete config ends here
    book = open_book(config.data.book, mapped=True)
    if judge is None:
        prepared = holdout_of(config, book)
    else:
        prepared = prepare(
            book, data=judge.data, walk_forward=judge.walk_forward, backtest=judge.backtest
        )
    return audit_books(
        book, prepared, window=config.data.window, accept=config.data.audit.accept
    )  # fmt: skip
