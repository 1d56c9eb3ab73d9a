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

import torch
from torch import Tensor, nn

from hfrun.models.book_model import BookModel
from hfrun.models.configuration_deeplob import MINIMUM_WINDOW, DeepLobConfig
from hfrun.models.deeplob_shared import window_sites
from hfrun.models.norms import BatchNorm2d
from hfrun.models.recurrence import last_hidden


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
        BatchNorm2d(out_channels),
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


class DeepLobForSequenceClassification(BookModel):
    """DeepLOB with a linear head on the LSTM's last step.

    >>> model = DeepLobForSequenceClassification(DeepLobConfig(levels=5))
    >>> model.num_parameters()
    138787
    """

    config_class = DeepLobConfig
    base_model_prefix = "deeplob"
    shares_windows = True

    config: DeepLobConfig

    def __init__(self, config: DeepLobConfig) -> None:
        super().__init__(config)
        channels, leaky = config.conv_channels, nn.LeakyReLU(config.leaky_slope)
        self.price_size = book_block(1, channels, (1, 2), 2, leaky)
        self.sides = book_block(channels, channels, (1, 2), 2, nn.Tanh())
        self.levels = book_block(channels, channels, (1, config.levels), 1, leaky)
        self.inception = Inception(channels, config.inception_channels, leaky)
        self.lstm = nn.LSTM(3 * config.inception_channels, config.lstm_hidden, batch_first=True)
        self.dropout = nn.Dropout(config.dropout)
        self._finish(config.lstm_hidden, minimum_rows=MINIMUM_WINDOW)

    def book_rows(self, features: Tensor) -> Tensor:
        """``(B, S, 4 L)`` rows to ``(B, C, S - 18, 1)``, valid over time whatever the windows."""
        hidden: Tensor = self.levels(self.sides(self.price_size(features.unsqueeze(1))))
        return hidden

    def summarize(self, features: Tensor) -> Tensor:
        """The LSTM's last step ``(B, H)``, for windows of their own: the definition."""
        encoded = self.inception(self.book_rows(features)).squeeze(3).transpose(1, 2)
        steps, _ = self.lstm(encoded)  # (B, T - 18, H)
        last: Tensor = self.dropout(steps[:, -1])
        return last

    def summarize_at(self, features: Tensor, ends: Tensor) -> Tensor:
        """The LSTM's last step ``(W, H)``, for windows inside stretches."""
        sites = window_sites(self, features, ends, window=self.config.window)
        if not self.training and not torch.is_grad_enabled():
            return last_hidden(self.lstm, sites.encoded, sites.of_window)
        steps, _ = self.lstm(sites.sequences())
        last: Tensor = self.dropout(steps[:, -1])
        return last
