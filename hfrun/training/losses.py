"""The loss of each sample, so that weights and accumulation stay exact whatever the batches."""

import torch
from torch import Tensor
from torch.nn import functional


def sample_losses(
    logits: Tensor,
    labels: Tensor,
    *,
    label_smoothing: float = 0.0,
    class_weights: Tensor | None = None,
    sample_weight: Tensor | None = None,
) -> Tensor:
    """Weighted cross-entropy of each sample, in float32.

        w_n = sample_weight_n * class_weights[label_n]
        l_n = w_n * ((1 - e) * -log p_n[label_n] + e / C * sum_c -log p_n[c])

    The batch's loss is the sum over n divided by the number of samples, not by the sum of the
    weights: both kinds of weights have mean 1 over the training set, and dividing by a batch's
    own sum would make the loss depend on which samples happen to share a batch.

    Args:
        logits: ``(B, C)``.
        labels: ``(B,)`` int64 classes.
        label_smoothing: e.
        class_weights: ``(C,)``, or None for 1.
        sample_weight: ``(B,)``, or None for 1.

    Returns:
        ``(B,)`` float32.

    References: Szegedy et al. (2016), Rethinking the Inception Architecture, section 7.
    """
    losses = functional.cross_entropy(
        logits.float(), labels, reduction="none", label_smoothing=label_smoothing
    )
    if class_weights is not None:
        losses = losses * class_weights.to(losses)[labels]
    if sample_weight is not None:
        losses = losses * sample_weight.to(losses)
    return losses


def mean_over(losses: Tensor, samples: Tensor | int | None) -> Tensor:
    """Sum of the losses over the number of samples of all micro-batches, or over this one's."""
    return losses.mean() if samples is None else losses.sum() / torch.as_tensor(samples)
