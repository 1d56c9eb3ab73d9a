"""A linear path from hand-made features to the logits, beside the network.

    logits = head(network(window)) + W hand_features

Started from a logistic regression of these features, with a head that is still silent, a network
gives the baseline's probabilities before its first step, and has only to learn what they lack.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from hfrun.errors import ModelError


class SkipPath(nn.Linear):
    """``(B, K)`` standardised hand-made features to ``(B, C)``, added to the logits.

    No bias: the head has one. Always in float32: the head start is worth little once it is
    rounded to the 8 bits that autocast to bfloat16 leaves.
    """

    def __init__(self, hand_features: int, classes: int) -> None:
        super().__init__(hand_features, classes, bias=False)

    def forward(self, hand_features: Tensor) -> Tensor:  # type: ignore[override]
        """Logits to add, float32."""
        with torch.autocast(hand_features.device.type, enabled=False):
            return functional.linear(hand_features.float(), self.weight.float())


def skip_path(hand_features: int, classes: int) -> SkipPath | None:
    """The path of a model with so many hand-made features, None without any."""
    return SkipPath(hand_features, classes) if hand_features else None


def reads_hand_features(model: nn.Module) -> bool:
    """Whether the model has a skip path, and so needs hand-made features beside its windows."""
    return isinstance(getattr(model, "skip", None), SkipPath)


def start_from_logistic(model: nn.Module, weights: Tensor, bias: Tensor) -> None:
    """Let a model with ``skip`` and ``head`` begin as a logistic regression, in place.

    The head's weights become 0 and its bias the regression's. They learn from the first step on,
    the layers below from the second, once the head lets a gradient through.

    Args:
        model: with a skip path of K features.
        weights: ``(C, K)`` of the regression on the same standardised features.
        bias: ``(C,)``.

    Raises:
        ModelError: no skip path, or weights of another shape.
    """
    skip, head = getattr(model, "skip", None), getattr(model, "head", None)
    if not isinstance(skip, SkipPath) or not isinstance(head, nn.Linear):
        raise ModelError(
            f"{type(model).__name__} has no skip path to start from a regression; train it with "
            "model.config.skip: true"
        )
    if weights.shape != skip.weight.shape or bias.shape != head.bias.shape:
        raise ModelError(
            f"a regression with weights {tuple(weights.shape)} and bias {tuple(bias.shape)}; the "
            f"skip path needs {tuple(skip.weight.shape)} and {tuple(head.bias.shape)}"
        )
    with torch.no_grad():
        skip.weight.copy_(weights)
        head.weight.zero_()
        head.bias.copy_(bias)


def check_hand_features(hand_features: Tensor | None, *, number: int) -> None:
    """Refuse a missing input of the skip path, one of another width, and one without a path.

    Raises:
        ModelError: the shape is not ``(B, K)``, or there is no skip path.
    """
    got = None if hand_features is None else tuple(hand_features.shape)
    if number == 0 and got is not None:
        raise ModelError(
            f"hand_features of shape {got}, and the model has no skip path that would read them; "
            "leave them out, or train one with model.config.skip: true"
        )
    if number > 0 and (got is None or len(got) != 2 or got[1] != number):
        raise ModelError(
            f"hand_features of shape {got}, needed (B, {number}): the skip path reads the "
            f"{number} features that it was trained on"
        )
