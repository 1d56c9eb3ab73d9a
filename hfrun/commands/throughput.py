"""``hfrun throughput CONFIG``: the largest batch that still trains noticeably faster."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lob_backtest.command_line import EXIT_DONE

if TYPE_CHECKING:
    from hfrun.training.throughput import Throughput

_TEXT = "double the batch on a copy of the model until it is no faster or memory ends"


def add_parser(commands: Any) -> None:
    """Register ``throughput``."""
    parser = commands.add_parser("throughput", help=_TEXT, description=_TEXT)
    parser.add_argument("config", type=Path, metavar="CONFIG", help="a YAML of configs/")
    parser.add_argument("overrides", nargs="*", metavar="section.key=value")
    parser.add_argument(
        "--start", type=int, metavar="N", help="first batch a device (default: the config's)"
    )
    parser.add_argument(
        "--max-batch", type=int, default=4096, metavar="N", help="largest one (default: 4096)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Measure and print; exit code 0."""
    from hfrun.config import load_config
    from hfrun.models.model_folder import let_bars_pass
    from hfrun.trainers import opened_trainer
    from hfrun.training.throughput import ThroughputOptions, throughput

    options = ThroughputOptions(start=arguments.start, most=arguments.max_batch)
    config = load_config(arguments.config, arguments.overrides)
    let_bars_pass()
    with opened_trainer(config) as trainer:
        found = throughput(trainer, options)
    if arguments.json:
        print(json.dumps({**found.as_dict(), "overrides": overrides_for(found)}, indent=2))
    else:
        print(throughput_text(found))
    return EXIT_DONE


def overrides_for(found: "Throughput") -> list[str]:
    """What sets the suggested batch in a config, with as many samples a step where that goes."""
    pasted = [f"training.per_device_train_batch_size={found.batch}"]
    if found.accumulation is not None:
        pasted.append(f"training.gradient_accumulation_steps={found.accumulation}")
    return pasted


def throughput_text(found: "Throughput") -> str:
    """The table, why it ends where it ends, and the suggestion."""
    from hfrun.training.throughput import NOTE

    held = "peak of the GPU" if found.device == "cuda" else "peak of the process"
    lines = [f"   batch   samples/s   to half of it   {held}"]
    for row in found.rows:
        ratio = "-" if row.ratio is None else f"x {row.ratio:.2f}"
        peak = "-" if row.peak_bytes is None else f"{row.peak_bytes / 2**20:,.0f} MiB"
        mark = "   <- suggested" if row.batch == found.batch else ""
        speed = f"{row.samples_per_second:,.4g}" if row.samples_per_second < 1e4 else (
            f"{row.samples_per_second:,.0f}"
        )  # fmt: skip
        lines.append(f"  {row.batch:>6}  {speed:>10}  {ratio:>13}  {peak:>{len(held) + 1}}{mark}")
    lines += ["", f"ended: {found.ended}", "", f"  {' '.join(overrides_for(found))}"]
    if found.accumulation is not None:
        lines += ["", "With this accumulation a step has as many samples as the config's."]
    return "\n".join([*lines, "", NOTE])
