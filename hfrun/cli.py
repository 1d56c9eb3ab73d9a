"""The `hfrun` command. Exit codes: 0 done, 3 gates failed, 2 bad input, 130 interrupted."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hfrun.commands import (
    audit,
    calibrate,
    diagnose,
    history,
    import_weights,
    lr_find,
    replay,
    study,
    sweep,
    throughput,
    zero_shot,
)
from hfrun.errors import GatesNotPassedError
from hfrun.hub.commands import add_parser as add_hub_parser
from hfrun.hub.environment import prepare_client
from lob_backtest.command_line import EXIT_BAD_INPUT, EXIT_DONE, EXIT_GATES_FAILED, run_command
from lob_backtest.errors import ConfigError

_NO_ROOM = ("No space left on device", "File too large", "PytorchStreamWriter failed",
            "inline_container.cc", "Disk quota exceeded")  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and give its exit code."""
    prepare_client()
    try:
        return run_command(_parser(), argv)
    except Exception as error:
        # torch and safetensors tell of a full disk in errors of their own
        if not any(sign in str(error) for sign in _NO_ROOM):
            raise
        print(
            "error: a checkpoint or model could not be written whole; free space on the disk, and "
            "run the same command again: it goes on from the last whole checkpoint",
            file=sys.stderr,
        )
        return EXIT_BAD_INPUT


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="hfrun",
        description="Fine-tune classifiers on order books and on texts, and judge them honestly.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_run(commands, "train", _train, "train one config and judge it on its held-out block")
    _add_run(commands, "walk-forward", _walk_forward, "fit, predict, score and judge every fold")
    _add_predict(commands)
    for command in (audit, lr_find, throughput, sweep, study, diagnose, history, replay,
                    zero_shot, calibrate, import_weights):  # fmt: skip
        command.add_parser(commands)
    _add_push(commands)
    add_hub_parser(commands)
    return parser


def _add_run(commands: Any, name: str, run: Any, help_text: str) -> None:
    parser = commands.add_parser(name, help=help_text)
    parser.add_argument("config", type=Path, metavar="CONFIG", help="a YAML of configs/")
    parser.add_argument("overrides", nargs="*", metavar="section.key=value")
    parser.add_argument("--json", action="store_true", help="print the summary as JSON")
    parser.set_defaults(run=run)


def _add_predict(commands: Any) -> None:
    parser = commands.add_parser("predict", help="a predictions table from a trained run")
    parser.add_argument("source", type=Path, metavar="RUN", help="a run folder")
    parser.add_argument("--book", type=Path, help="a book table")
    parser.add_argument("--texts", type=Path, help="labelled texts, as the run's own files are")
    parser.add_argument(
        "--plain", action="store_true", help="--texts has one text a line, without labels"
    )
    parser.add_argument("-o", "--output", type=Path, required=True, help="predictions (Parquet)")
    parser.set_defaults(run=_predict)


def _add_push(commands: Any) -> None:
    parser = commands.add_parser("push", help="send a run's model, card and report to a hub")
    parser.add_argument("source", type=Path, metavar="RUN", help="a run folder")
    parser.add_argument(
        "--repo", metavar="NAMESPACE/NAME", help="default: hub.repo of the run's config"
    )
    parser.add_argument(
        "--endpoint", help="address of the hub (default: hub.endpoint of the config, HF_ENDPOINT)"
    )
    parser.add_argument(
        "--private",
        action=argparse.BooleanOptionalAction,
        help="of a new repository (default: hub.private of the config)",
    )
    parser.add_argument(
        "--require-gates",
        action=argparse.BooleanOptionalAction,
        help="push only a model whose verdict is pass (default: hub.require_gates of the config)",
    )
    parser.add_argument("--json", action="store_true", help="print where it is as JSON")
    parser.set_defaults(run=_push)


def _train(arguments: argparse.Namespace) -> int:
    from hfrun.commands.output import check_output
    from hfrun.runs import run_any

    config = _load(arguments)
    check_output(Path(config.run.output_dir), named="run.output_dir")
    summary = run_any(config)
    _print(summary, as_json=arguments.json)
    return EXIT_DONE  # the gates are shown, but a training was asked for, not a judgement


def _walk_forward(arguments: argparse.Namespace) -> int:
    from hfrun.config import HfrunConfig
    from hfrun.walk_forward import run_walk_forward

    config = _load(arguments)
    if not isinstance(config, HfrunConfig):
        raise ConfigError(
            f"{arguments.config}: data has texts, which have no order in time to walk through; "
            "use hfrun train, or data.book for an order book"
        )
    summary = run_walk_forward(config)
    _print(summary, as_json=arguments.json)
    failed = summary is not None and summary.verdict != "pass"
    return EXIT_GATES_FAILED if failed else EXIT_DONE


def _load(arguments: argparse.Namespace) -> Any:
    from hfrun.config import load_config

    return load_config(arguments.config, arguments.overrides)


def _print(summary: Any, *, as_json: bool) -> None:
    if summary is not None:  # only the main process of several has one
        print(json.dumps(summary.as_dict(), indent=2) if as_json else summary.text())


def _predict(arguments: argparse.Namespace) -> int:
    from hfrun.evaluation.predict import predict_book
    from hfrun.evaluation.text_predictor import predict_texts

    if (arguments.book is None) == (arguments.texts is None):
        both = ", not both" if arguments.book is not None else ""
        raise ConfigError(f"predict needs --book or --texts{both}")
    if arguments.texts is not None:
        n = predict_texts(
            arguments.source, arguments.texts, arguments.output, is_plain=arguments.plain
        )
        print(f"{n} texts in {arguments.output}")
        return EXIT_DONE
    n = predict_book(arguments.source, arguments.book, arguments.output)
    print(f"{n} decisions in {arguments.output}")
    return EXIT_DONE


def _push(arguments: argparse.Namespace) -> int:
    from hfrun.publishing import publish_run

    try:
        published = publish_run(
            arguments.source,
            repo=arguments.repo,
            endpoint=arguments.endpoint,
            private=arguments.private,
            require_gates=arguments.require_gates,
        )
    except GatesNotPassedError as refusal:
        print(f"error: {refusal}", file=sys.stderr)
        return EXIT_GATES_FAILED
    if arguments.json:
        print(json.dumps(vars(published)))
    else:
        where = f"{published.repo} at {published.endpoint}"
        print(f"{where}, commit {published.commit}, tag {published.tag}")
    return EXIT_DONE


if __name__ == "__main__":
    sys.exit(main())
