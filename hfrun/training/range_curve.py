"""What a range test's losses say: the smoothed curve, and the rates that it suggests.

    loss │‾‾‾‾‾‾‾─.                      ╱
         │         ╲                    ╱      steepest   where the loss falls fastest
         │          ╲ steepest         ╱       lowest     where it is least; beyond, it grows
         │           ╲                ╱        tenth      lowest / 10, for a constant rate
         │      tenth ╲____third__.__╱         third      lowest / 3, for the peak of a schedule
         └───────────────────────lowest─── log rate

A training loss is mostly luck of the batch: between two batches it moves more than a whole range
test moves it. So every loss is compared with the loss that the untouched weights have on the same
batch, with the same values dropped: what is left is what the steps did.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

# A fall has to be this many of its standard errors to be called one, and to be called clear.
_FALL, _CLEAR_FALL = 2.0, 3.0


class RunningMean:
    """Exponential moving average of values as they come, corrected for its beginning.

        m_n = sum_i b^(n-i) x_i / sum_i b^(n-i)

    >>> mean = RunningMean(0.5)
    >>> [round(mean.add(x), 4) for x in (1.0, 1.0, 4.0)]
    [1.0, 1.0, 2.7143]

    References: Kingma and Ba (2015), Adam, section 3, for the correction.
    """

    def __init__(self, smoothing: float) -> None:
        self.smoothing = smoothing
        self._sum = self._weight = 0.0

    def add(self, value: float) -> float:
        """Take a value in and give the mean so far."""
        self._sum = self.smoothing * self._sum + value
        self._weight = self.smoothing * self._weight + 1.0
        return self._sum / self._weight


def smoothed_losses(losses: FloatArray, smoothing: float) -> FloatArray:
    """The moving average from both sides: a one-sided one lags, and would move every rate up.

        s_n = sum_i b^|n-i| x_i / sum_i b^|n-i|

    Args:
        losses: ``(K,)`` finite.
        smoothing: b, from 0 (none) to below 1.

    >>> smoothed_losses(np.array([0.0, 0.0, 3.0]), 0.5).round(3).tolist()
    [0.429, 0.75, 1.714]
    """
    averaged: FloatArray = _weights(len(losses), smoothing) @ losses
    return averaged


def _weights(count: int, smoothing: float) -> FloatArray:
    """``(K, K)``, rows sum to 1."""
    places = np.arange(count)
    weights = float(smoothing) ** np.abs(places[:, None] - places)
    normal: FloatArray = weights / weights.sum(axis=1, keepdims=True)
    return normal


@dataclass(frozen=True, kw_only=True)
class Suggestion:
    """What the curve suggests; None where it does not say.

    Attributes:
        steepest: rate at which the smoothed loss falls fastest over the logarithm of the rate.
        lowest: rate at which it is least.
        tenth: a tenth of that.
        third: a third of that: what is suggested as the peak of a schedule that warms up and
            decays, which spends little time there (docs/lr_find.md has what it was worth).
        fall: from the loss of the untouched weights to the least.
        noise: standard error of that fall.
        notes: what a reader has to know of the curve.
    """

    steepest: float | None
    lowest: float | None
    tenth: float | None
    third: float | None
    fall: float
    noise: float
    notes: tuple[str, ...]


def suggested(
    rates: FloatArray, losses: FloatArray, *, untouched: float, smoothing: float
) -> Suggestion:
    """The two rates, if the loss fell by more than its noise.

    Args:
        rates: ``(K,)`` increasing, evenly in their logarithm.
        losses: ``(K,)`` finite, each measured after the step with its rate.
        untouched: loss before any step.
        smoothing: of ``smoothed_losses``.
    """
    curve = smoothed_losses(losses, smoothing)
    lowest = int(np.argmin(curve))
    fall = float(untouched - curve[lowest])
    noise = _standard_error(losses, curve, lowest, smoothing)
    if lowest == 0 or not fall > _FALL * noise:
        higher = ", or a higher end" if lowest == len(losses) - 1 else ""
        note = (
            f"no suggestion: the loss falls by {fall:.2g} at most, with a standard error of "
            f"{noise:.2g}; take more steps or larger batches{higher}"
        )
        return Suggestion(
            steepest=None,
            lowest=None,
            tenth=None,
            third=None,
            fall=fall,
            noise=noise,
            notes=(note,),
        )
    # smoothed once more: between neighbours the curve's slope is mostly noise
    slope = smoothed_losses(np.gradient(curve, np.log10(rates)), smoothing)
    steepest, least = float(rates[int(np.argmin(slope[: lowest + 1]))]), float(rates[lowest])
    notes = []
    if not fall > _CLEAR_FALL * noise:
        notes.append(
            "the fall is hardly clearer than its noise: take more steps or larger batches, and "
            "see whether the suggestion stays"
        )
    if lowest == len(losses) - 1:
        notes.append("the loss still falls at the end: the lowest may lie higher, so raise the end")
    return Suggestion(
        steepest=steepest, lowest=least, tenth=least / 10, third=least / 3, fall=fall,
        noise=noise, notes=tuple(notes),
    )  # fmt: skip


def _standard_error(losses: FloatArray, curve: FloatArray, place: int, smoothing: float) -> float:
    """Of the smoothed loss at a place, where the losses scatter more at some rates than at others.

        sqrt(sum_i (w_i r_i / (1 - w_ii))^2)

    r are the losses less the curve, which each loss pulled to itself by its own weight w_ii.

    References: MacKinnon and White (1985), Some Heteroskedasticity-Consistent Covariance Matrix
    Estimators with Improved Finite Sample Properties, estimator HC3.
    """
    weights = _weights(len(losses), smoothing)
    own = np.minimum(np.diag(weights), 0.99)
    residuals = (losses - curve) / (1.0 - own)
    return math.sqrt(float(((weights[place] * residuals) ** 2).sum()))
