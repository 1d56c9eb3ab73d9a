"""Speed of one push of a DeepLobStream against the plain forward pass of one window.

    round   20 plain passes of one window each ─ 200 pushes ─ the same rows again, many at once

Both answer for the window that ends at a row, in one process, under the same number of threads (a
push uses one), in turns; what is slow on one side of a moment is slow on the other. The medians of
all calls are compared, and so are the answers.
"""

import argparse
import json
import platform
import sys
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from hfrun.errors import HfrunError
from hfrun.evaluation.stream import WindowStream
from hfrun.models import DeepLobConfig, DeepLobForSequenceClassification
from hfrun.models.deeplob_stream import DeepLobStream
from lob_backtest.command_line import EXIT_DONE, run_command
from lob_backtest.files import write_json
from lob_backtest.progress import announce

WANTED_RATIO = 6
WANTED_DIFFERENCE = 1e-5

_ROUNDS = 30
_PLAIN_A_ROUND, _PUSHES_A_ROUND = 20, 200

Floats = npt.NDArray[np.float32]


def stream_speed(*, levels: int = 10, window: int = 100, rounds: int = _ROUNDS) -> dict[str, Any]:
    """Milliseconds of one plain pass and of one push, and how many pushes fit into a pass.

    A DeepLOB of the published sizes with random weights; no figure depends on their values.

    Args:
        levels: L, levels a side.
        window: T, rows a window.
        rounds: turns of both sides.

    Returns:
        ``plain_ms``, ``push_ms`` and ``stream_ratio`` as medians; ``push_many_ms`` a row,
        ``push_p99_ms``, ``ready_s`` (making the first stream, compiled or loaded), ``threads``
        and the largest ``difference`` between the answers.

    Raises:
        HfrunError: the answers of the two sides differ.
    """
    model = _model(levels=levels, window=window)
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(window + _PUSHES_A_ROUND, 4 * levels)).astype(np.float32)
    begin = time.perf_counter()
    stream = DeepLobStream(model)
    stream.push_many(rows[:window])  # the first push loads or compiles the kernels
    ready_s = time.perf_counter() - begin
    difference = _difference(model, rows)
    if not difference <= WANTED_DIFFERENCE:
        raise HfrunError(
            f"a stream's answers differ from the plain ones by {difference:.1e}, more than "
            f"{WANTED_DIFFERENCE:.0e}: the speed of a wrong answer is no figure"
        )
    features = torch.from_numpy(rows[:window]).unsqueeze(0)
    plain, pushes, many = [], [], []
    for _ in range(rounds):
        with torch.inference_mode():
            plain += _timed(lambda: model(features=features), [()] * _PLAIN_A_ROUND)
        pushes += _timed(stream.push, [(row,) for row in rows[window:]])
        many += _timed(stream.push_many, [(rows[window:],)])
    plain_s, push_s = float(np.median(plain)), float(np.median(pushes))
    return {
        "stream_ratio": plain_s / push_s,
        "wanted_ratio": WANTED_RATIO,
        "plain_ms": 1e3 * plain_s,
        "push_ms": 1e3 * push_s,
        "push_p99_ms": 1e3 * float(np.quantile(pushes, 0.99)),
        "push_many_ms": 1e3 * float(np.median(many)) / _PUSHES_A_ROUND,
        "ready_s": ready_s,
        "difference": difference,
        "threads": torch.get_num_threads(),
        "levels": levels,
        "window": window,
    }


def _model(*, levels: int, window: int) -> DeepLobForSequenceClassification:
    torch.manual_seed(0)
    model = DeepLobForSequenceClassification(DeepLobConfig(levels=levels, window=window))
    model.train(False)
    return model


def _difference(model: DeepLobForSequenceClassification, rows: Floats) -> float:
    """The largest difference of a probability over all windows of the rows."""
    plain = WindowStream(model, width=rows.shape[1], window=model.config.window)
    stream = DeepLobStream(model)
    apart = [0.0]
    for row in rows:
        one, other = plain.push(row), stream.push(row)
        if one is not None and other is not None:
            apart.append(float(np.abs(one - other).max()))
    return max(apart)


def _timed(function: Callable[..., object], calls: Sequence[tuple[object, ...]]) -> list[float]:
    """Seconds of each call."""
    seconds = []
    for arguments in calls:
        begin = time.perf_counter()
        function(*arguments)
        seconds.append(time.perf_counter() - begin)
    return seconds


def main(argv: Sequence[str] | None = None) -> int:
    """The command line of the stream bench."""
    parser = argparse.ArgumentParser(
        prog="python -m hfrun.bench.stream",
        description="Measure a push of a DeepLobStream against the plain pass of one window.",
    )
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--levels", type=int, default=10, metavar="L")
    parser.add_argument("--window", type=int, default=100, metavar="T")
    parser.add_argument("--threads", type=int, metavar="N", help="torch's threads (default: its)")
    parser.set_defaults(run=_run)
    return run_command(parser, argv)


def _run(arguments: argparse.Namespace) -> int:
    if arguments.threads is not None:
        torch.set_num_threads(arguments.threads)
    found = stream_speed(levels=arguments.levels, window=arguments.window)
    found["machine"] = {
        "processor": platform.processor() or platform.machine(),
        **{name: version(name) for name in ("torch", "numba", "numpy")},
    }
    announce(json.dumps(found, indent=2))
    announce(f"stream_ratio {found['stream_ratio']:.1f} (wanted: at least {WANTED_RATIO})")
    if arguments.json is not None:
        write_json(arguments.json, found)
    return EXIT_DONE


if __name__ == "__main__":
    sys.exit(main())
