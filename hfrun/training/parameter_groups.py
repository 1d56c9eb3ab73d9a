"""Which parameters weight decay pulls to zero, and which take a rate of their own."""

from collections.abc import Callable, Iterable
from typing import Any

from torch import nn


def decayed_parameter_names(model: nn.Module) -> list[str]:
    """Names of the parameters that weight decay applies to, in the model's order.

    Left out are biases (those of an LSTM too) and every parameter of a normalization layer,
    recognised by its type: inside a Sequential its name is only a number.
    """
    names = []
    for prefix, module in model.named_modules():
        if is_norm(module):
            continue
        for name, _ in module.named_parameters(recurse=False):
            if not name.startswith("bias") and not name.endswith("_bias"):
                names.append(f"{prefix}.{name}" if prefix else name)
    return names


def is_norm(module: nn.Module) -> bool:
    """Whether a layer normalizes: it or a class it derives from is called ...Norm or ...Norm2d."""
    names = (base.__name__.lower() for base in type(module).__mro__)
    return any(name.rstrip("123d").endswith("norm") for name in names)


def grouped_by_rate(
    model: nn.Module,
    *,
    decayed: Iterable[str],
    weight_decay: float,
    learning_rate: float,
    rate_factor: Callable[[str], float],
) -> list[dict[str, Any]]:
    """The optimizer's groups: parameters that are trained, by peak rate and by decay.

    Args:
        model: its parameters with ``requires_grad`` are taken.
        decayed: names of those that decay.
        weight_decay: theirs; that of the others is 0.
        learning_rate: peak rate of a factor of 1; the group with it comes first, as logs show
            the first group's rate.
        rate_factor: of a parameter's name.
    """
    with_decay = set(decayed)
    groups: dict[tuple[float, bool], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            groups.setdefault((rate_factor(name), name in with_decay), []).append(parameter)
    order = sorted(groups, key=lambda key: (key[0] != 1.0, -key[0], not key[1]))
    return [
        {
            "params": groups[factor, decays],
            "weight_decay": weight_decay if decays else 0.0,
            "lr": learning_rate * factor,
        }
        for factor, decays in order
    ]
