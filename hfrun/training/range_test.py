"""Learning-rate range test: one optimizer step at each of many rates, from tiny to far too large.

    step      0      1      2    ...                 rate_k = start (end / start)^(k / (K - 1))
    rate      1e-7   ...                 1e-2
    loss   L_0    L_1    L_2     L_3                 L_(k+1) is the first loss that rate_k moved

It is run on a copy (``hfrun.training.probe``): the trainer's own batches, accumulation, precision,
clipping, dropout and parameter groups, whose rates keep their proportions.

References: Smith (2017), Cyclical Learning Rates for Training Neural Networks, section 3.3.
"""

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from hfrun.errors import TrainingError
from hfrun.training.probe import Probe, probing
from hfrun.training.range_curve import (
    FloatArray,
    RunningMean,
    Suggestion,
    smoothed_losses,
    suggested,
)
from hfrun.training.trainer import MeasuredTrainer
from lob_backtest.progress import progress


@dataclass(frozen=True, kw_only=True)
class RangeOptions:
    """Which rates are tried, and when it ends early.

    In the smoothed loss a neighbour so many ``decades`` of the rate away has the weight 1/e,
    however many steps there are. The test ends once the moving average of the loss, without the
    luck of the batch, is above its best by the share ``divergence`` of the untouched loss.
    """

    start: float = 1e-7
    end: float = 1e-2
    steps: int = 200
    decades: float = 0.3
    divergence: float = 0.25

    def __post_init__(self) -> None:
        if not 0 < self.start < self.end < math.inf:
            raise TrainingError(
                f"start={self.start:g}, end={self.end:g}: need 0 < start < end, two learning rates"
            )
        if self.steps < 10:
            raise TrainingError(f"steps={self.steps}: needs at least 10, one for each rate")
        if not 0 <= self.decades < math.inf:
            raise TrainingError(
                f"decades={self.decades:g}: needs at least 0, which smooths nothing"
            )
        if not self.divergence > 0:
            raise TrainingError(f"divergence={self.divergence:g}: needs a share above 0")

    @property
    def rates(self) -> FloatArray:
        """``(K,)`` from start to end, evenly in their logarithm."""
        return np.geomspace(self.start, self.end, self.steps)

    @property
    def smoothing(self) -> float:
        """Weight of a step's neighbour in the smoothed loss.

        >>> round(RangeOptions(start=1e-7, end=1e-2, steps=101, decades=0.5).smoothing, 4)
        0.9048
        """
        between = math.log10(self.end / self.start) / (self.steps - 1)
        return math.exp(-between / self.decades) if self.decades else 0.0


@dataclass(frozen=True, kw_only=True, eq=False)
class RangeTest:
    """What was measured, and what it suggests.

    Attributes:
        options: what was asked for.
        rates: ``(K,)`` rates with which a step was taken.
        losses: ``(K,)`` training loss after each, on the next batch.
        untouched: ``(K,)`` loss of the untouched weights on the same batches.
        paired: ``(K,)`` losses less the luck of the batch.
        smoothed: ``(K,)`` of these.
        grad_norms: ``(K,)`` of each step's gradient, before clipping.
        batch: samples of a full optimizer step.
        ended: why, if before the last rate.
        suggestion: the rates.
    """

    options: RangeOptions
    rates: FloatArray
    losses: FloatArray
    untouched: FloatArray
    paired: FloatArray
    smoothed: FloatArray
    grad_norms: FloatArray
    batch: int
    ended: str | None
    suggestion: Suggestion

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON; a norm that is not finite is null."""
        names = ("rates", "losses", "untouched", "paired", "smoothed")
        return {
            **asdict(self.suggestion),
            "ended": self.ended,
            "batch": self.batch,
            "options": asdict(self.options),
            **{name: getattr(self, name).tolist() for name in names},
            "grad_norms": [norm if math.isfinite(norm) else None for norm in self.grad_norms],
        }


def range_test(trainer: MeasuredTrainer, options: RangeOptions | None = None) -> RangeTest:
    """Run the test on a copy of the trainer; nothing of the trainer or the process changes.

    Raises:
        TrainingError: several processes, or a loss that is not finite at the first rate.
        DataError: the training data does not fill a batch.
    """
    options = options or RangeOptions()
    with probing(trainer) as probe:
        swept = _sweep(probe, options)
    if not swept.losses.size:
        raise TrainingError(
            f"range test: {swept.ended}; start below {options.start:g}, or look at the data"
        )
    rates, level = options.rates[: swept.losses.size], float(swept.untouched.mean())
    paired = swept.losses - swept.untouched + level
    # one loss of a divergence would lift the curve far before it
    curve = np.minimum(paired, (1 + options.divergence) * level)
    return RangeTest(
        options=options,
        rates=rates,
        losses=swept.losses,
        untouched=swept.untouched,
        paired=paired,
        smoothed=smoothed_losses(curve, options.smoothing),
        grad_norms=swept.grad_norms,
        batch=trainer.args.train_batch_size * trainer.args.gradient_accumulation_steps,
        ended=swept.ended,
        suggestion=suggested(rates, curve, untouched=level, smoothing=options.smoothing),
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Sweep:
    """After each step: ``(K,)`` each, up to the last finite loss."""

    losses: FloatArray
    untouched: FloatArray
    grad_norms: FloatArray
    ended: str | None


def _sweep(probe: Probe, options: RangeOptions) -> _Sweep:
    """One step a rate; the loss that a rate brought about is that of the step after it."""
    losses: list[float] = []
    untouched: list[float] = []
    norms: list[float] = []
    watch = _Divergence(options)
    probe.keep_untouched()
    steps = probe.batches()
    for rate in progress(options.rates, label="range test", unit="rates"):
        step = next(steps)
        untouched.append(probe.untouched_loss(*step))
        probe.set_rate(float(rate))
        record = probe.step(*step)
        losses.append(record.loss)
        norms.append(record.norm)
        if watch.ends(record.loss, untouched[-1]):
            break
    else:
        step = next(steps)
        untouched.append(probe.untouched_loss(*step))
        losses.append(probe.loss(*step))
        watch.ends(losses[-1], untouched[-1])
    finite = len(losses) if math.isfinite(losses[-1]) else len(losses) - 1
    return _Sweep(
        losses=np.array(losses[1:finite]),
        untouched=np.array(untouched[1:finite]),
        grad_norms=np.array(norms[: max(finite - 1, 0)]),
        ended=watch.reason,
    )


class _Divergence:
    """Judges each loss as it comes; ``reason`` is None as long as there is none to end."""

    def __init__(self, options: RangeOptions) -> None:
        self.reason: str | None = None
        self._options = options
        self._moved = RunningMean(options.smoothing)  # by the steps
        self._least = math.inf
        self._seen = 0
        self._sum = 0.0  # of untouched losses

    def ends(self, loss: float, untouched: float) -> bool:
        """Whether the sweep is to end with this loss, which the rate before it brought about."""
        rate = self._options.rates[self._seen - 1]
        when = f"after the step at rate {rate:.3g}" if self._seen else "before any step"
        self._seen += 1
        if not math.isfinite(loss):
            self.reason = f"the loss is {loss} {when}"
            return True
        self._sum += untouched
        moved, level = self._moved.add(loss - untouched), self._sum / self._seen
        self._least = min(self._least, moved)
        if moved - self._least > self._options.divergence * level:
            share = f"{self._options.divergence:.0%} of the untouched loss"
            self.reason = f"the smoothed loss is above its best by {share} {when}"
        return self.reason is not None
