"""A stack of LSTMs over the rows of a window, read in both directions.

    (B, T, 4 L)         features
    (B, T, W)           project: each row with the rows around it, norm, dropout
    (B, T, 2 W) x depth LSTM forwards and backwards, norm, dropout
    (B, 4 W)            the newest row, and the mean over all
    (B, 3)              head: logits

Reading backwards looks into no future: the window ends at the decision, and nothing after it is in
it. Rows around a step are taken within the window; at its ends the first and the last row repeat.

The newest row alone would leave the last backward LSTM one row to read; the mean alone forgets
which row is the newest. What each reached is in docs/models.md.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from hfrun.models.book_model import BookModel
from hfrun.models.configuration_bilstm import BiLstmConfig
from hfrun.models.norms import norm_layer


class NormedRows(nn.Module):
    """A norm of the features at every row, with dropout: ``(B, T, C)`` to ``(B, T, C)``."""

    def __init__(self, norm: str, width: int, dropout: float) -> None:
        super().__init__()
        self.norm = norm_layer(norm, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, hidden: Tensor) -> Tensor:
        """Batch norm counts every row of every window as a sample."""
        normed: Tensor = self.dropout(self.norm(hidden.flatten(0, 1)))
        return normed.unflatten(0, hidden.shape[:2])


class FrameProjection(nn.Module):
    """Each row concatenated with the n - 1 around it, times one matrix.

    A convolution over time does both at once, without holding n copies of the window.
    """

    def __init__(self, row_width: int, frames: int, width: int) -> None:
        super().__init__()
        self.beside = frames // 2
        self.weigh = nn.Conv1d(row_width, width, frames)

    def forward(self, features: Tensor) -> Tensor:
        """``(B, T, 4 L)`` to ``(B, T, W)``."""
        over_time = features.transpose(1, 2)
        repeated = functional.pad(over_time, (self.beside, self.beside), mode="replicate")
        projected: Tensor = self.weigh(repeated)
        return projected.transpose(1, 2)


class LstmLayer(nn.Module):
    """One LSTM, forwards or both ways, with norm and dropout after it."""

    def __init__(self, in_width: int, config: BiLstmConfig) -> None:
        super().__init__()
        self.lstm = nn.LSTM(
            in_width, config.width, batch_first=True, bidirectional=config.bidirectional
        )
        self.after = NormedRows(config.norm, steps_width(config), config.dropout)

    def forward(self, hidden: Tensor) -> Tensor:
        """``(B, T, C)`` to ``(B, T, 2 W)``, or W wide when read forwards alone."""
        steps, _ = self.lstm(hidden)
        normed: Tensor = self.after(steps)
        return normed


class BiLstmForSequenceClassification(BookModel):
    """LSTMs over the projected rows, and a linear head on the newest and on their mean."""

    config_class = BiLstmConfig
    base_model_prefix = "bilstm"

    config: BiLstmConfig

    def __init__(self, config: BiLstmConfig) -> None:
        super().__init__(config)
        out = steps_width(config)
        self.project = FrameProjection(4 * config.levels, config.frames, config.width)
        self.after_projection = NormedRows(config.norm, config.width, config.dropout)
        self.layers = nn.Sequential(
            *(LstmLayer(out if layer else config.width, config) for layer in range(config.depth))
        )
        self._finish(2 * out, minimum_rows=1)

    def summarize(self, features: Tensor) -> Tensor:
        """The last layer at the newest row beside its mean over the rows, ``(B, 4 W)``."""
        steps: Tensor = self.layers(self.after_projection(self.project(features)))
        return torch.cat([steps[:, -1], steps.mean(dim=1)], dim=1)


def steps_width(config: BiLstmConfig) -> int:
    """Width of an LSTM's output at every row."""
    return 2 * config.width if config.bidirectional else config.width
