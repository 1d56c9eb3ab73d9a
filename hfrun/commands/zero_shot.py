"""``hfrun zero-shot``: what a language model says of the labels before anything is trained."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lob_backtest.command_line import EXIT_DONE

if TYPE_CHECKING:  # argparse keeps the type for itself, and it has no parameter at run time
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

_TEXT = "score each label's words after the template by a causal language model's likelihood"
_SCORINGS = ("sum", "per_token", "per_byte", "content_free", "train_prior")


def add_parser(commands: "Commands") -> None:
    """Register ``zero-shot``."""
    parser = commands.add_parser("zero-shot", help=_TEXT, description=_TEXT)
    parser.add_argument("config", type=Path, metavar="CONFIG", help="a YAML over texts")
    parser.add_argument("overrides", nargs="*", metavar="section.key=value")
    parser.add_argument("--part", choices=("test", "validation", "train"), default="test")
    parser.add_argument(
        "--texts", type=_at_least(1), metavar="N", help="only so many, drawn with run.seed"
    )
    parser.add_argument(
        "--prior-texts", type=_at_least(0), default=256, metavar="N",
        help="train texts, without their labels, for the scoring train_prior (default: 256)",
    )  # fmt: skip
    parser.add_argument(
        "--scoring", choices=_SCORINGS, default="content_free",
        help="whose predictions -o writes (default: content_free)",
    )  # fmt: skip
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("-o", "--output", type=Path, metavar="DIR", help="write what was found")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    from hfrun.commands.output import check_output
    from hfrun.config import TextRunConfig, load_config
    from lob_backtest.errors import ConfigError

    if arguments.scoring == "train_prior" and arguments.prior_texts == 0:
        raise ConfigError("--scoring train_prior needs --prior-texts of at least 1")
    if arguments.output is not None:
        check_output(arguments.output)
    config = load_config(arguments.config, arguments.overrides)
    if not isinstance(config, TextRunConfig):
        raise ConfigError(
            f"{arguments.config}: is a run over an order book; zero-shot reads texts, with "
            "data.train, data.validation and data.test"
        )
    report = _asked(config, arguments)
    if arguments.json:
        print(json.dumps(report, indent=2, allow_nan=False))
    else:
        from hfrun.evaluation.zero_shot_report import zero_shot_text

        print(zero_shot_text(report))
    return EXIT_DONE


def _asked(config: Any, arguments: argparse.Namespace) -> dict[str, Any]:
    """Ask, write where asked to, and give the report."""
    import numpy as np

    from hfrun.data.texts import read_splits
    from hfrun.evaluation.zero_shot_model import load_language_model
    from hfrun.evaluation.zero_shot_report import (
        ask,
        words_of_labels,
        write_zero_shot,
        zero_shot_report,
    )
    from hfrun.models.label_words import label_tokens
    from hfrun.models.llama_weights import load_tokenizer

    splits = read_splits(config.data)
    tokenizer = load_tokenizer(config.model)
    words = words_of_labels(splits.label_names, config.model.label_words)
    label_tokens(words, tokenizer, template=config.data.template)  # refused before weights are read
    rng = np.random.default_rng(config.run.seed)
    part = splits.parts()[arguments.part]
    chosen = _drawn(len(part), arguments.texts, rng)
    # Never a text that is asked about: its prediction would depend on the others.
    others = np.arange(len(splits.train))
    if arguments.part == "train":
        others = np.setdiff1d(others, chosen)
    others = others[_drawn(len(others), arguments.prior_texts, rng)]
    asked = ask(
        load_language_model(config.model, dtype=arguments.dtype),
        tokenizer,
        part.take(chosen),
        label_names=splits.label_names,
        label_words=words,
        template=config.data.template,
        max_length=config.data.max_length,
        prior_texts=[splits.train.texts[i] for i in others],
    )
    report = {
        "model": config.model.pretrained,
        "dtype": arguments.dtype,
        **zero_shot_report(asked, part=arguments.part, seed=config.run.seed),
    }
    if arguments.output is not None:
        write_zero_shot(asked, report, arguments.output, scoring=arguments.scoring)
    return report


def _drawn(n: int, most: int | None, rng: Any) -> Any:
    """Increasing numbers below ``n``: all, or ``most`` of them at random."""
    import numpy as np

    if most is None or most >= n:
        return np.arange(n)
    return np.sort(rng.choice(n, most, replace=False))


def _at_least(least: int) -> Any:
    def number(text: str) -> int:
        value = int(text)
        if value < least:
            raise argparse.ArgumentTypeError(f"{value} needs to be at least {least}")
        return value

    return number
