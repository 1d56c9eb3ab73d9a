"""The normalization after a layer, by the word for it in a model's config."""

from torch import Tensor, nn
from torch.nn import functional

NORMS = ("batch", "layer", "none")


class BatchNorm(nn.BatchNorm1d):
    """Batch norm of ``(n, C)`` that can train on a batch of one.

    One value has no spread to divide by, and PyTorch refuses it. The last batch of an epoch may
    hold one: it is normalized by the running statistics, as in evaluation, and leaves them alone.
    """

    def forward(self, hidden: Tensor) -> Tensor:
        """``(n, C)`` to ``(n, C)``."""
        return (
            _by_what_is_known(self, hidden) if _is_alone(self, hidden) else super().forward(hidden)
        )


class BatchNorm2d(nn.BatchNorm2d):
    """The same of ``(B, C, H, W)``."""

    def forward(self, hidden: Tensor) -> Tensor:
        """``(B, C, H, W)`` to the same."""
        return (
            _by_what_is_known(self, hidden) if _is_alone(self, hidden) else super().forward(hidden)
        )


def _is_alone(norm: nn.Module, hidden: Tensor) -> bool:
    """Whether there is one value for each channel to learn from."""
    return norm.training and hidden.numel() == hidden.shape[1]


def _by_what_is_known(norm: nn.BatchNorm1d | nn.BatchNorm2d, hidden: Tensor) -> Tensor:
    return functional.batch_norm(
        hidden, norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=norm.eps
    )


def norm_layer(norm: str, width: int) -> nn.Module:
    """Over the batch for each feature, over the features of each sample, or nothing at all."""
    if norm == "batch":
        return BatchNorm(width)
    return nn.LayerNorm(width) if norm == "layer" else nn.Identity()
