"""Speed of DeepLOB: prediction, a training step, and the time to a validation loss.

    plain   the published model as it is written down: a batch of windows of their own, float32
    ours    what hfrun does by default: windows that share their computation, stretches of
            neighbouring decisions, bfloat16 where it is fast

Both sides of a ratio run in one process, in turns, on the same decisions; a ratio is the median of
its rounds. Bench is run by hand (``scripts/bench deeplob``): no test asserts on time.
"""

import argparse
import copy
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from hfrun.bench.learning import Learning, time_to_loss
from hfrun.bench.memory import window_memory
from hfrun.bench.memory_cases import save_model
from hfrun.bench.stream import stream_speed
from hfrun.data.stretches import as_tensors, stretches
from hfrun.data.windows import BookCollator
from hfrun.evaluation.predict import predict_book, predict_probabilities
from hfrun.models import DeepLobConfig, DeepLobForSequenceClassification
from hfrun.training.precision import has_fast_bfloat16
from lob_backtest.bench import machine
from lob_backtest.command_line import EXIT_DONE, run_command
from lob_backtest.files import write_json
from lob_backtest.progress import announce

LEVELS, WINDOW = 10, 100
WANTED = {
    "inference_ratio": 40.0,
    "training_ratio": 3.0,
    "time_to_loss_ratio": 10.0,
    "stream_ratio": 6.0,
    "window_memory_ratio": 1.5,  # at most
}
_PLAIN_BATCH = 256  # windows at a time in prediction
_PLAIN_WINDOWS = 8 * _PLAIN_BATCH  # of a round
_OUR_ROWS = 40_000  # of a round: every row a decision
_BATCH, _STRETCH, _STRIDE = 64, 4, 10  # of a training step: decisions, of a stretch, rows apart
_STEPS = 6  # of a round
_ROUNDS = 7
_CURVE = (1, 2, 4, 8, 16)


def inference_speed(device: str, *, rounds: int = _ROUNDS) -> dict[str, Any]:
    """Windows a second: every row of a book by our default path, against windows in batches."""
    model = _model().eval().to(device)
    values = _rows(_OUR_ROWS)
    last = np.arange(WINDOW - 1, _OUR_ROWS)

    def plain() -> Tensor:
        parts = []
        with torch.inference_mode():
            for chosen in np.split(last[:_PLAIN_WINDOWS], _PLAIN_WINDOWS // _PLAIN_BATCH):
                windows = _windows(values, chosen).to(device)
                parts.append(torch.softmax(model(features=windows).logits, dim=-1).cpu())
        return torch.cat(parts)

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.npy"
        np.save(path, values)
        collator = BookCollator(path, window=WINDOW, shares_windows=True)
        ours_model = copy.deepcopy(model)

        def ours() -> Tensor:
            found = predict_probabilities(ours_model, collator, rows=last, label="predicting")
            return torch.from_numpy(found)

        difference = (ours()[:_PLAIN_WINDOWS] - plain()).abs().max().item()
        seconds = _in_turns(plain, ours, rounds=rounds, device=device)
    speeds = [(_PLAIN_WINDOWS / p, len(last) / o) for p, o in seconds]
    return {
        "inference_ratio": statistics.median(our / plain for plain, our in speeds),
        "plain_windows_per_second": statistics.median(plain for plain, _ in speeds),
        "our_windows_per_second": statistics.median(our for _, our in speeds),
        "largest_difference": difference,
    }


def training_speed(device: str, *, rounds: int = _ROUNDS) -> dict[str, Any]:
    """Windows a second of a training step, on the same stretches of neighbouring decisions."""
    values = _rows(20_000)
    rng = np.random.default_rng(0)
    first = rng.integers(WINDOW, len(values) - _STRETCH * _STRIDE, _BATCH // _STRETCH)
    last = (first[:, None] + _STRIDE * np.arange(_STRETCH)).reshape(-1)
    labels = torch.from_numpy(rng.integers(0, 3, _BATCH)).to(device)
    features, ends = as_tensors(stretches(last, window=WINDOW, stretch=_STRETCH), values)
    is_rounded = has_fast_bfloat16()
    sides = {
        "plain": _Step(_model(), device, {"features": _windows(values, last)}, labels),
        "ours": _Step(
            _model().to(memory_format=torch.channels_last),
            device,
            {"features": features, "ends": ends},
            labels,
            is_rounded=is_rounded,
        ),
    }
    seconds = _in_turns(sides["plain"], sides["ours"], rounds=rounds, device=device)
    windows = _BATCH * _STEPS
    return {
        "training_ratio": statistics.median(plain / our for plain, our in seconds),
        "plain_windows_per_second": statistics.median(windows / plain for plain, _ in seconds),
        "our_windows_per_second": statistics.median(windows / our for _, our in seconds),
        "stretches_a_batch": len(features),
        "decisions_a_stretch": _STRETCH,
        "rows_between_decisions": _STRIDE,
        "bfloat16": is_rounded,
    }


def book_speed(book: Path) -> dict[str, Any]:
    """Seconds of ``hfrun predict`` over every event of a book, from its file to the table."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder)
        save_model(book, run, window=WINDOW, sizes={})  # published sizes, random weights
        began = time.perf_counter()
        decisions = predict_book(run, book, run / "predictions.parquet")
        seconds = time.perf_counter() - began
    return {"book": book.name, "decisions": decisions, "seconds": seconds}


class _Step:
    """Training steps on one batch: forward, backward, clipping and the optimizer."""

    def __init__(
        self,
        model: DeepLobForSequenceClassification,
        device: str,
        given: dict[str, Tensor],
        labels: Tensor,
        *,
        is_rounded: bool = False,
    ) -> None:
        self.model = model.train().to(device)
        self.given = {name: values.to(device) for name, values in given.items()}
        self.labels = labels
        self.optimizer = torch.optim.AdamW(self.model.parameters(), 1e-4)
        self.precision = torch.autocast(device, torch.bfloat16) if is_rounded else nullcontext()

    def __call__(self) -> None:
        for _ in range(_STEPS):
            with self.precision:
                logits = self.model(**self.given).logits
            nn.functional.cross_entropy(logits.float(), self.labels).backward()
            nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            self.optimizer.step()
            self.optimizer.zero_grad()


def _in_turns(
    one: Callable[[], Any], other: Callable[[], Any], *, rounds: int, device: str
) -> list[tuple[float, float]]:
    """Seconds of both, each round one after the other; both have run once before."""
    _timed(one, device), _timed(other, device)
    return [(_timed(one, device), _timed(other, device)) for _ in range(rounds)]


def _timed(work: Callable[[], Any], device: str) -> float:
    began = time.perf_counter()
    work()
    if device != "cpu":
        torch.accelerator.synchronize()
    return time.perf_counter() - began


def _model() -> DeepLobForSequenceClassification:
    torch.manual_seed(0)
    return DeepLobForSequenceClassification(DeepLobConfig(levels=LEVELS, window=WINDOW))


def _rows(n: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((n, 4 * LEVELS), dtype=np.float32)


def _windows(values: np.ndarray, last: np.ndarray) -> Tensor:
    return torch.from_numpy(values[last[:, None] + np.arange(1 - WINDOW, 1)])


def main(argv: Sequence[str] | None = None) -> int:
    """The command line of ``scripts/bench deeplob``."""
    parser = argparse.ArgumentParser(prog="scripts/bench deeplob", description=__doc__)
    parser.add_argument("--json", type=Path, required=True, metavar="FILE")
    parser.add_argument("--seeds", type=int, default=3, metavar="N", help="of the time to a loss")
    parser.add_argument("--target", type=float, default=Learning.target, metavar="LOSS")
    parser.add_argument(
        "--stretches", type=int, nargs="*", default=[], metavar="N",
        help=f"also the time to the loss by length of stretch, e.g. {' '.join(map(str, _CURVE))}",
    )  # fmt: skip
    parser.add_argument("--memory-rows", type=int, default=1_000_000, metavar="N")
    parser.add_argument(
        "--book", type=Path, metavar="BOOK", help="also predict every event of this book table"
    )
    parser.set_defaults(run=_run)
    return run_command(parser, argv)


def _run(arguments: argparse.Namespace) -> int:
    found: dict[str, Any] = {
        "machine": {**machine(), "torch": torch.__version__, "threads": torch.get_num_threads()}
    }
    learning = Learning(target=arguments.target, seeds=arguments.seeds)
    parts: list[tuple[str, Callable[[], dict[str, Any]]]] = [
        ("inference", lambda: inference_speed("cpu")),
        ("training", lambda: training_speed("cpu")),
        ("stream", stream_speed),
        ("memory", lambda: window_memory(arguments.memory_rows, levels=LEVELS, window=WINDOW)),
        ("time_to_loss", lambda: time_to_loss(learning, stretches=arguments.stretches)),
    ]
    if arguments.book is not None:
        parts.append(("book", lambda: book_speed(arguments.book)))
    if torch.accelerator.is_available():
        device = str(torch.accelerator.current_accelerator())
        parts += [
            (f"inference_{device}", lambda: inference_speed(device)),
            (f"training_{device}", lambda: training_speed(device)),
        ]
    for name, measure in parts:
        announce(f"measuring {name}")
        found[name] = measure()
        write_json(arguments.json, found)  # what is measured is kept if the rest is interrupted
    for part in (found[name] for name, _ in parts[:5]):
        found |= {name: part[name] for name in WANTED if name in part}
    write_json(arguments.json, found)
    for name, limit in WANTED.items():
        relation = "at most" if name == "window_memory_ratio" else "at least"
        shown = "not reached" if found[name] is None else f"{found[name]:.2f}"
        print(f"{name} {shown} (wanted: {relation} {limit:g})")
    return EXIT_DONE


if __name__ == "__main__":
    sys.exit(main())
