"""A DeepLOB whose answers depend on the rows without any training."""

import torch
from torch import nn

from hfrun.models import DeepLobConfig, DeepLobForSequenceClassification


def lived_in_model(**sizes: object) -> DeepLobForSequenceClassification:
    """Random weights, with the batch norms' statistics of standard normal rows.

    So that every layer passes on what it is given: as it comes from the initialisation, the answer
    hardly depends on the rows.
    """
    torch.manual_seed(0)
    defaults = {"levels": 2, "window": 20, "conv_channels": 4, "inception_channels": 4}
    config = DeepLobConfig(**{**defaults, "lstm_hidden": 4, **sizes})  # type: ignore[arg-type]
    model = DeepLobForSequenceClassification(config).train()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, std=1.5)
            nn.init.normal_(module.bias)
            module.momentum = None  # the mean over all that it sees
    nn.init.normal_(model.head.weight, std=2.0)
    with torch.no_grad():
        model(torch.randn(64, 30, 4 * config.levels))
    return model.eval()
