"""Throughput finder: the largest batch a device that still trains noticeably more samples a second.

    8 ──► 16 ──► 32 ──► 64    doubled until samples a second grow by less than 10 %, memory ends,
    310   540    810    850   or the train part is too small

Each doubling is measured on the same samples, as two batches and as one, taking turns: neither
long texts nor a machine that slows down meanwhile favour one of them. It is run on a copy (see
``hfrun.training.probe``): forward, backward, clipping and an optimizer step at a rate of 0.

References: Godbole et al. (2023), Deep Learning Tuning Playbook: the batch size is for speed, and
every other hyperparameter is to be tuned anew after it.
"""

import itertools
import math
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import torch

from hfrun.errors import TrainingError
from hfrun.training.device_memory import PeakMemory, free_bytes, held_bytes, is_out_of_memory
from hfrun.training.probe import Batches, Probe, probing
from hfrun.training.trainer import MeasuredTrainer
from lob_backtest.progress import announce

NOTE = (
    "A step of more samples is another training: retune the learning rate and the regularization, "
    "and the number of steps."
)
_SECONDS = 0.1  # of each repetition, at least: below, the clock's own noise counts
_MOST_STEPS = 64


@dataclass(frozen=True, kw_only=True)
class ThroughputOptions:
    """Where doubling begins and ends; a doubling pays if it gives ``growth`` times the speed.

    ``start`` is the trainer's own batch unless given: a smaller one that is as fast gains nothing.
    Each of an even number of ``repetitions`` lets the other size go first.
    """

    start: int | None = None
    most: int = 4096
    repetitions: int = 8
    growth: float = 1.1

    def __post_init__(self) -> None:
        if not 1 <= (1 if self.start is None else self.start) <= self.most:
            raise TrainingError(
                f"start={self.start}, max_batch={self.most}: need 1 <= start <= max_batch"
            )
        if self.repetitions < 2 or self.repetitions % 2:
            raise TrainingError(f"repetitions={self.repetitions}: needs an even number from 2 on")
        if not self.growth > 1:
            raise TrainingError(f"growth={self.growth}: needs a multiple above 1")


@dataclass(frozen=True, kw_only=True)
class ThroughputRow:
    """One batch size; ``ratio`` is its speed over that of half of it, None for the first."""

    batch: int
    samples_per_second: float
    ratio: float | None
    peak_bytes: int | None


@dataclass(frozen=True, kw_only=True)
class Throughput:
    """What was measured, the largest batch that paid, and why no larger one was tried.

    Attributes:
        rows: by batch size.
        batch: the suggestion, samples a device.
        accumulation: gradient accumulation that keeps the config's samples a step; None if the
            suggested batch does not divide them.
        ended: why doubling ended.
        device: "cpu", "cuda" ...
    """

    rows: tuple[ThroughputRow, ...]
    batch: int
    accumulation: int | None
    ended: str
    device: str

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {**asdict(self), "rows": [asdict(row) for row in self.rows], "note": NOTE}


def throughput(trainer: MeasuredTrainer, options: ThroughputOptions | None = None) -> Throughput:
    """Measure on a copy of the trainer; nothing of the trainer or the process changes.

    Raises:
        TrainingError: several processes, or the first batch is too large for memory or data.
    """
    options = options or ThroughputOptions()
    data: Any = trainer.train_dataset
    args, samples = trainer.args, len(data)
    start = args.train_batch_size if options.start is None else options.start
    if start > min(samples, options.most):
        raise TrainingError(
            f"the first batch has {start} samples, the train part {samples}, and batches above "
            f"{options.most} were not asked for; start lower"
        )
    before = held_bytes(args.device) if args.device.type == "cuda" else 0
    with probing(trainer) as probe:
        probe.set_rate(0.0)  # as fast as any other, and no weights that grow beyond bounds
        rows, ended = _doubled(probe, options, start=start, samples=samples, before=before or 0)
    batch = _paying(rows, options.growth)
    a_step = args.train_batch_size * args.gradient_accumulation_steps
    return Throughput(
        rows=rows,
        batch=batch,
        accumulation=None if a_step % batch else a_step // batch,
        ended=ended,
        device=args.device.type,
    )


def _paying(rows: tuple[ThroughputRow, ...], growth: float) -> int:
    """The last batch of the doublings from the first on that each paid."""
    paid = itertools.takewhile(lambda row: (row.ratio or 0.0) >= growth, rows[1:])
    return max([rows[0].batch, *(row.batch for row in paid)])


def _doubled(
    probe: Probe, options: ThroughputOptions, *, start: int, samples: int, before: int
) -> tuple[tuple[ThroughputRow, ...], str]:
    """A row for each size that could be measured, and why there is no next one."""
    bench = _Bench(probe, repetitions=options.repetitions, before=before)
    lacking = bench.reason_it_lacks_memory(lambda: bench.alone(start))
    if lacking is not None:
        raise TrainingError(f"batches of {start} {lacking}; start lower")
    ratios: dict[int, float | None] = {start: None}
    while True:
        half = max(ratios)
        size = 2 * half
        ended = bench.reason_against(size, most=options.most, samples=samples)
        if ended is None:
            lacking = bench.reason_it_lacks_memory(lambda size=size: bench.beside_half(size))
            ended = None if lacking is None else f"batches of {size} {lacking}"
        if ended is not None:
            break
        ratios[size] = ratio = bench.ratios[size]
        announce(f"batch {size}: {bench.speed(size):.4g} samples/s, x {ratio:.2f}")
        if ratio < options.growth:
            ended = f"batches of {size} are only {ratio:.2f} times as fast as half"
            break
    return tuple(
        ThroughputRow(
            batch=size,
            samples_per_second=bench.speed(size),
            ratio=ratio,
            peak_bytes=bench.peaks[size],
        )
        for size, ratio in ratios.items()
    ), ended


class _Bench:
    """Times steps of batch sizes, and remembers the most memory that each held."""

    def __init__(self, probe: Probe, *, repetitions: int, before: int) -> None:
        self.ratios: dict[int, float] = {}
        self.peaks: dict[int, int | None] = {}
        self._speeds: dict[int, list[float]] = {}
        self._probe = probe
        self._device = probe.trainer.args.device
        self._repetitions = repetitions
        self._before = before
        self._seconds: dict[int, float] = {}
        self._idle: int | None = None

    def speed(self, size: int) -> float:
        """Median samples a second."""
        return statistics.median(self._speeds[size])

    def reason_against(self, size: int, *, most: int, samples: int) -> str | None:
        """Why a size is not even tried."""
        if size > most:
            return f"batches above {most} were not asked for"
        if size > samples:
            return f"the train part has {samples} samples"
        half, free = self.peaks[size // 2], free_bytes(self._device)
        if self._device.type != "cpu" or half is None or free is None or self._idle is None:
            return None  # a GPU says so itself
        more = self._idle + 2 * (half - self._idle) - (held_bytes(self._device) or 0)
        if more > free:
            return (
                f"batches of {size} would take about {more / 2**30:.1f} GiB more, and "
                f"{max(free, 0) / 2**30:.1f} GiB are free"
            )
        return None

    def try_once(self, size: int) -> None:
        """The first steps of a size, which kernels and buffers are made in; its memory and time."""
        (step, again) = self._formed(self._probe.indices(batch=size), size, count=2)
        memory = PeakMemory(self._device)
        self._timed([step])
        peak = memory.peak()
        self.peaks[size] = None if peak is None else peak - self._before
        if self._idle is None:
            self._idle = held_bytes(self._device)
        self._seconds[size] = self._timed([again])

    def beside_half(self, size: int) -> None:
        """Time a size and half of it in turns, on the same samples; keep the median ratio."""
        self.try_once(size)
        half = size // 2
        count = min(math.ceil(_SECONDS / max(self._seconds[size], 1e-6)), _MOST_STEPS)
        indices = self._probe.indices(batch=size)
        ratios = []
        for number in range(self._repetitions):
            chosen = list(itertools.islice(indices, count * size))
            speeds = {}
            for batch in (half, size) if number % 2 else (size, half):
                steps = self._probe.formed(chosen, batch=batch)
                speeds[batch] = len(chosen) / self._timed(steps)
                self._speeds.setdefault(batch, []).append(speeds[batch])
            ratios.append(speeds[size] / speeds[half])
        self.ratios[size] = statistics.median(ratios)

    def alone(self, size: int) -> None:
        """Time a size that has no other beside it."""
        self.try_once(size)
        indices = self._probe.indices(batch=size)
        for _ in range(self._repetitions):
            steps = self._formed(indices, size, count=1)
            self._speeds.setdefault(size, []).append(size / self._timed(steps))

    def reason_it_lacks_memory(self, measure: Callable[[], None]) -> str | None:
        """Measure, and say so if memory ended; what was measured before is kept."""
        try:
            measure()
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            first_line = (str(error) or type(error).__name__).splitlines()[0]
            return f"do not fit into memory ({first_line})"
        return None

    def _formed(self, indices: Iterator[int], size: int, *, count: int) -> list[Batches]:
        return self._probe.formed(list(itertools.islice(indices, count * size)), batch=size)

    def _timed(self, steps: list[Batches]) -> float:
        """Seconds of forward, backward and optimizer steps."""
        self._wait()
        started = time.perf_counter()
        for step in steps:
            self._probe.step(*step)
        self._wait()
        return time.perf_counter() - started

    def _wait(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
