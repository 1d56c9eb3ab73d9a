"""Weights against class imbalance: by class, by sample, by sampling; never two of them unasked.

They multiply: a class drawn ten times as often, weighted three times and its samples ten times
counts three hundred times. So a combination is refused unless one key asks for it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import Sampler

from hfrun.errors import TrainingError

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class LossOptions:
    """How training weighs its samples. Evaluation is plain cross-entropy whatever is set here.

    Args:
        label_smoothing: share of the target spread evenly over all classes.
        class_weights: one weight a class; "balanced" for weights inverse to the classes' counts.
        sample_weights: multiply each sample's loss by its ``sample_weight``.
        balanced_sampler: draw each class equally often, with replacement.
        allow_combined_weighting: accept more than one of the last three; they multiply.

    Raises:
        TrainingError: two weightings that were not asked for together, or an impossible value.
    """

    label_smoothing: float = 0.0
    class_weights: Literal["balanced"] | Sequence[float] | None = None
    sample_weights: bool = False
    balanced_sampler: bool = False
    allow_combined_weighting: bool = False

    def __post_init__(self) -> None:
        if not 0.0 <= self.label_smoothing < 1.0:
            raise TrainingError(f"label_smoothing={self.label_smoothing}; needs 0 <= value < 1")
        if isinstance(self.class_weights, str) and self.class_weights != "balanced":
            raise TrainingError(
                f"class_weights={self.class_weights!r}; needs 'balanced', a number a class or None"
            )
        if len(self.weightings) > 1 and not self.allow_combined_weighting:
            raise TrainingError(
                f"{' and '.join(self.weightings)} are combined, and their effects multiply; keep "
                "one, or set allow_combined_weighting to accept the product"
            )

    @property
    def weightings(self) -> list[str]:
        """The weightings that are on."""
        switches = {
            "balanced_sampler": self.balanced_sampler,
            "class_weights": self.class_weights is not None,
            "sample_weights": self.sample_weights,
        }
        return [name for name, is_on in switches.items() if is_on]


def balanced_class_weights(labels: IntArray, *, num_labels: int) -> FloatArray:
    """``N / (C n_c)``: inverse to each class's count, with mean 1 over the samples.

    Args:
        labels: ``(N,)`` classes of the training samples.
        num_labels: C.

    Raises:
        TrainingError: a class without samples, whose weight would be infinite.

    >>> balanced_class_weights(np.array([0, 0, 0, 1]), num_labels=2)
    array([0.66666667, 2.        ])

    References: King and Zeng (2001), Logistic Regression in Rare Events Data.
    """
    counts = _class_counts(labels, num_labels)
    return len(labels) / (num_labels * counts)


def clipped_sample_weights(raw: FloatArray, *, low: float = 0.1, high: float = 10.0) -> FloatArray:
    """Raw weights clipped to ``[low, high]``, then scaled to mean 1.

    Clipping comes first: a single weight of 539 would otherwise press all others to nothing.

    Args:
        raw: ``(N,)`` weights of the training samples, finite and not negative.
        low, high: bounds in the unit of the raw weights.

    Raises:
        TrainingError: a weight that is negative, NaN or infinite, or bounds out of order.
    """
    if not 0 < low <= high:
        raise TrainingError(f"sample weights clipped to {low}..{high}; needs 0 < low <= high")
    wrong = ~(np.isfinite(raw) & (raw >= 0))
    if len(raw) == 0 or wrong.any():
        found = f"{wrong.sum()} of {len(raw)} are negative or not finite" if len(raw) else "none"
        raise TrainingError(f"sample weights: got {found}; needs one finite weight >= 0 a sample")
    clipped = np.clip(raw, low, high)
    normalised: FloatArray = clipped / clipped.mean()
    return normalised


class BalancedSampler(Sampler[int]):
    """Draws N samples an epoch with replacement, each class with the same probability.

    The draw depends on the seed and the epoch alone, so that a resumed run and every process of
    a parallel one see the same order. The Trainer calls ``set_epoch``.

    Args:
        labels: ``(N,)`` classes of the training samples.
        num_labels: C; each needs a sample.
        seed: of the whole run.
    """

    def __init__(self, labels: IntArray, *, num_labels: int, seed: int) -> None:
        share = 1.0 / _class_counts(labels, num_labels)[labels]
        self.probabilities = torch.from_numpy(share / share.sum())
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.probabilities)

    def __iter__(self) -> Iterator[int]:
        seed = np.random.SeedSequence([self.seed, self.epoch]).generate_state(1)[0]
        generator = torch.Generator().manual_seed(int(seed))
        drawn = torch.multinomial(
            self.probabilities, len(self), replacement=True, generator=generator
        )
        yield from drawn.tolist()


def _class_counts(labels: IntArray, num_labels: int) -> IntArray:
    counts = np.bincount(labels, minlength=num_labels)
    if len(counts) > num_labels or (counts == 0).any():
        found = ", ".join(f"{label}: {count}" for label, count in enumerate(counts))
        raise TrainingError(
            f"training samples by class are {found}; balancing needs at least one of each of the "
            f"{num_labels} classes"
        )
    return counts
