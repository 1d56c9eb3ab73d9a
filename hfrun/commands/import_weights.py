"""``hfrun import FORMAT FILE -o DIR``: published weights to a folder that transformers loads."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lob_backtest.command_line import EXIT_DONE

if TYPE_CHECKING:  # argparse keeps the type for itself, and it has no parameter at run time
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]


def add_parser(commands: "Commands") -> None:
    """Register ``import`` and its formats; each sets ``run``."""
    text = "published weights to a model folder"
    formats = commands.add_parser("import", help=text, description=text).add_subparsers(
        required=True, metavar="FORMAT"
    )
    _format(formats, "deeplob-published", _deeplob, "the DeepLOB authors' weights (safetensors)")
    command = _format(formats, "llama2c", _llama2c, "a llama2.c checkpoint (.bin)")
    command.add_argument(
        "--tokenizer", type=Path, required=True, metavar="FILE", help="its tokN.bin"
    )
    command.add_argument(
        "--rope-theta",
        type=float,
        default=10_000.0,
        metavar="BASE",
        help="base of the rotary angles; default: %(default)g, llama2.c's own",
    )
    _format(formats, "gguf", _gguf, "a LLaMA in a GGUF file, rounded weights made float32")


def _format(formats: "Commands", name: str, run: Any, text: str) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = formats.add_parser(name, help=text, description=text)
    command.add_argument("file", type=Path, metavar="FILE")
    command.add_argument("-o", "--output", type=Path, required=True, metavar="DIR")
    command.add_argument("--json", action="store_true", help="print what was imported as JSON")
    command.set_defaults(run=run)
    return command


def _deeplob(arguments: argparse.Namespace) -> int:
    from hfrun.models.published import import_deeplob_published

    folder = import_deeplob_published(arguments.file, arguments.output)
    if arguments.json:
        print(json.dumps({"folder": str(folder)}, indent=2))
    else:
        print(f"AutoModelForSequenceClassification.from_pretrained({str(folder)!r}) loads it")
    return EXIT_DONE


def _llama2c(arguments: argparse.Namespace) -> int:
    from hfrun.models.llama2c import import_llama2c

    imported = import_llama2c(
        arguments.file, arguments.tokenizer, arguments.output, rope_theta=arguments.rope_theta
    )
    _show(imported, as_json=arguments.json)
    return EXIT_DONE


def _gguf(arguments: argparse.Namespace) -> int:
    from hfrun.models.gguf_import import import_gguf

    _show(import_gguf(arguments.file, arguments.output), as_json=arguments.json)
    return EXIT_DONE


def _show(imported: Any, *, as_json: bool) -> None:
    """Figures, the model's own words, and how to load it."""
    figures = imported.as_dict()
    if as_json:
        print(json.dumps(figures, indent=2))
        return
    for name in ("stored", "parameters", "layers", "hidden_size", "vocab_size", "max_tokens"):
        value = figures[name]
        print(f"{name:<12} {value:,}" if isinstance(value, int) else f"{name:<12} {value}")
    print(f"{'it writes':<12} {imported.text!r}")
    print(f"AutoModelForCausalLM.from_pretrained({figures['folder']!r}) loads it")
