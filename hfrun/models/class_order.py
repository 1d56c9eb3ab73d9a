"""Which logit means which class: read from ``id2label``, and put into the project's order.

Labels are 0 down, 1 flat, 2 up everywhere. A model that came from elsewhere may number its classes
otherwise (the published DeepLOB says up, stationary, down): trained on our labels as it is, its
weights would be pulled to the wrong classes and its predictions read from the wrong columns.
"""

import torch
from torch import nn
from transformers import PretrainedConfig, PreTrainedModel

from hfrun.errors import ModelError
from hfrun.models.book_config import DOWN_FLAT_UP

_CLASSES = tuple(DOWN_FLAT_UP.values())
_SYNONYMS = {"stationary": "flat"}


def class_columns(config: PretrainedConfig) -> list[int]:
    """The model's logit columns for down, flat (or stationary) and up, read from ``id2label``.

    Raises:
        ModelError: the classes are others than these three.

    >>> class_columns(PretrainedConfig(id2label={0: "up", 1: "stationary", 2: "down"}))
    [2, 1, 0]
    """
    names = {int(column): str(name).lower() for column, name in config.id2label.items()}
    place = {_SYNONYMS.get(name, name): column for column, name in names.items()}
    if len(names) != len(_CLASSES) or place.keys() != set(_CLASSES):
        raise ModelError(
            f"the model's id2label is {config.id2label}; needs exactly the classes "
            f"{', '.join(_CLASSES)}, each once; correct id2label in its config.json, or choose "
            "another model"
        )
    return [place[name] for name in _CLASSES]


def put_in_order(model: PreTrainedModel) -> None:
    """Permute the rows of the model's ``head`` to down, flat, up, and name them so, in place.

    The rows of its ``skip`` path, which adds to the same logits, go with them.

    Each logit stays what it was, to the bit; only its column changes.

    Raises:
        ModelError: other classes, or a head that is not one linear layer.
    """
    columns = class_columns(model.config)
    if columns != sorted(columns):
        head = getattr(model, "head", None)
        if not isinstance(head, nn.Linear) or head.out_features != len(columns):
            raise ModelError(
                f"{type(model).__name__} gives {model.config.id2label} and has no linear layer "
                f"`head` that could be put in the order {', '.join(_CLASSES)}; save the model "
                "with its classes in this order"
            )
        with torch.no_grad():
            for layer in (head, getattr(model, "skip", None)):
                # the weights (3, H) and the bias (3,)
                for parameter in () if layer is None else layer.parameters():
                    parameter.copy_(parameter[columns].clone())
    model.config.id2label = dict(DOWN_FLAT_UP)
    model.config.label2id = {name: column for column, name in DOWN_FLAT_UP.items()}
