"""DeepLOB as a Hugging Face model: convolutions over the book, inception over time, an LSTM.

    (B, T, 4 L)  features: ask price, ask size, bid price, bid size of level 1, of level 2, ...
    (B, 1, T, 4 L)
    price_size   (1,2)/2, (4,1), (4,1)   LeakyReLU    pairs each price with its size
    sides        (1,2)/2, (4,1), (4,1)   Tanh         pairs the ask with the bid of a level
    levels       (1,L),   (4,1), (4,1)   LeakyReLU    joins the levels
    (B, C, T - 18, 1)
    inception    1x1 -> 3x1 | 1x1 -> 5x1 | maxpool 3x1 -> 1x1, padded to the same length
    (B, T - 18, 3 C')
    lstm         last step, (B, H)
    head         (B, 3) logits

A unit is a convolution, an activation and a batch norm, in this order. The model returns logits:
the softmax of the paper's notebook, fed into a cross-entropy, would be a double softmax.

References: Zhang, Zohren and Roberts (2019), DeepLOB: Deep Convolutional Neural Networks for Limit
Order Books, IEEE Transactions on Signal Processing 67(11).
"""

from typing import ClassVar

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput

from hfrun.errors import ModelError
from hfrun.models.configuration_deeplob import MINIMUM_WINDOW, DeepLobConfig


def conv_unit(
    in_channels: int,
    out_channels: int,
    kernel: tuple[int, int],
    activation: nn.Module,
    *,
    stride: tuple[int, int] = (1, 1),
    padding: str = "valid",
) -> nn.Sequential:
    """Convolution, activation, batch norm: the order of the published weights."""
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel, stride=stride, padding=padding),
        activation,
        nn.BatchNorm2d(out_channels),
    )


def book_block(
    in_channels: int, channels: int, across: tuple[int, int], stride: int, activation: nn.Module
) -> nn.Sequential:
    """One convolution across the row, then two over time; six rows shorter: (B, C, T - 6, W)."""
    return nn.Sequential(
        conv_unit(in_channels, channels, across, activation, stride=(1, stride)),
        conv_unit(channels, channels, (4, 1), activation),
        conv_unit(channels, channels, (4, 1), activation),
    )


class Inception(nn.Module):
    """Three views of time at equal length: kernels of 3 and of 5 rows, and a maximum over 3."""

    def __init__(self, in_channels: int, channels: int, activation: nn.Module) -> None:
        super().__init__()
        self.short = nn.Sequential(
            conv_unit(in_channels, channels, (1, 1), activation),
            conv_unit(channels, channels, (3, 1), activation, padding="same"),
        )
        self.long = nn.Sequential(
            conv_unit(in_channels, channels, (1, 1), activation),
            conv_unit(channels, channels, (5, 1), activation, padding="same"),
        )
        self.pool = nn.MaxPool2d((3, 1), stride=(1, 1), padding=(1, 0))
        self.pooled = conv_unit(in_channels, channels, (1, 1), activation)

    def forward(self, hidden: Tensor) -> Tensor:
        """``(B, C, T', 1)`` to ``(B, 3 C', T', 1)``."""
        views = (self.short(hidden), self.long(hidden), self.pooled(self.pool(hidden)))
        return torch.cat(views, dim=1)


class DeepLobForSequenceClassification(PreTrainedModel):
    """DeepLOB with a linear head on the LSTM's last step.

    Weights start as PyTorch's own defaults (uniform within one over the root of the fan-in),
    as in the published model, not as transformers' normal with 0.02.

    >>> model = DeepLobForSequenceClassification(DeepLobConfig(levels=5))
    >>> model.num_parameters()
    138787
    """

    config_class = DeepLobConfig
    main_input_name = "features"
    base_model_prefix = "deeplob"
    # The Trainer would otherwise hand the loss the number of items in the accumulated batch.
    accepts_loss_kwargs = False
    _no_split_modules: ClassVar[list[str]] = []

    def __init__(self, config: DeepLobConfig) -> None:
        super().__init__(config)
        channels, leaky = config.conv_channels, nn.LeakyReLU(config.leaky_slope)
        self.price_size = book_block(1, channels, (1, 2), 2, leaky)
        self.sides = book_block(channels, channels, (1, 2), 2, nn.Tanh())
        self.levels = book_block(channels, channels, (1, config.levels), 1, leaky)
        self.inception = Inception(channels, config.inception_channels, leaky)
        self.lstm = nn.LSTM(3 * config.inception_channels, config.lstm_hidden, batch_first=True)
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(config.lstm_hidden, config.num_labels)
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        """PyTorch's defaults; called by transformers for modules without loaded weights."""
        if isinstance(module, (nn.Conv2d, nn.Linear, nn.LSTM)):
            module.reset_parameters()
        else:
            super()._init_weights(module)

    def encode(self, features: Tensor) -> Tensor:
        """``(B, T, 4 L)`` features to ``(B, T - 18, 3 C')``, the LSTM's input."""
        hidden = features.unsqueeze(1)  # (B, 1, T, 4 L)
        hidden = self.levels(self.sides(self.price_size(hidden)))  # (B, C, T - 18, 1)
        return self.inception(hidden).squeeze(3).transpose(1, 2)

    def forward(self, features: Tensor, labels: Tensor | None = None) -> SequenceClassifierOutput:
        """Logits of each window and, where labels are given, their plain cross-entropy.

        Args:
            features: ``(B, T, 4 L)`` float, rows in the column order of the book table; the
                last row is the newest. T of at least 19.
            labels: ``(B,)`` int64 classes, as in ``config.id2label``.

        Raises:
            ModelError: the features do not have this shape.
        """
        self._check(features)
        steps, _ = self.lstm(self.encode(features))
        logits = self.head(self.dropout(steps[:, -1]))
        loss = None
        if labels is not None:
            loss = nn.functional.cross_entropy(logits.float(), labels)
        return SequenceClassifierOutput(loss=loss, logits=logits)

    def _check(self, features: Tensor) -> None:
        width = 4 * self.config.levels
        if features.ndim != 3 or features.shape[2] != width or features.shape[1] < MINIMUM_WINDOW:
            raise ModelError(
                f"features of shape {tuple(features.shape)}, needed (B, T, {width}) with T >= "
                f"{MINIMUM_WINDOW}: the model was made for {self.config.levels} levels; give it a "
                "book of as many levels, or train one for yours"
            )
