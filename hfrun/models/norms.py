"""The normalization after a layer, by the word for it in a model's config."""

from torch import Tensor, nn
from torch.nn import functional

NORMS = ("batch", "layer", "none")


class BatchNorm(nn.BatchNorm1d):
    """Batch norm of ``(n, C)`` that can train on a batch of one.

    One sample has no spread to divide by, and PyTorch refuses it. The last batch of an epoch may
    hold one: it is normalized by the running statistics, as in evaluation, and leaves them alone.
    """

    def forward(self, hidden: Tensor) -> Tensor:
        """``(n, C)`` to ``(n, C)``."""
        if self.training and len(hidden) == 1:
            return functional.batch_norm(
                hidden, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
            )
        return super().forward(hidden)


def norm_layer(norm: str, width: int) -> nn.Module:
    """Over the batch for each feature, over the features of each sample, or nothing at all."""
    if norm == "batch":
        return BatchNorm(width)
    return nn.LayerNorm(width) if norm == "layer" else nn.Identity()
