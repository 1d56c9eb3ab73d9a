"""Which parameters weight decay pulls to zero: weights of layers, never biases or norms."""

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
