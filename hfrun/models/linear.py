"""A linear classifier of the last rows of a window: what a network has to beat on equal inputs.

    (B, T, 4 L)  features
    (B, 4 n L)   the last n rows, oldest first, dropout
    (B, 3)       head: logits

Trained to the end it is the multinomial logistic regression of these inputs. The baseline of the
report is one too, but of hand-made features.
"""

from torch import Tensor, nn

from hfrun.models.book_model import BookModel
from hfrun.models.configuration_linear import LinearConfig


class LinearForSequenceClassification(BookModel):
    """One linear layer.

    >>> LinearForSequenceClassification(LinearConfig(levels=1, frames=2)).num_parameters()
    27
    """

    config_class = LinearConfig
    base_model_prefix = "linear"

    config: LinearConfig

    def __init__(self, config: LinearConfig) -> None:
        super().__init__(config)
        self.dropout = nn.Dropout(config.dropout)
        self._finish(4 * config.levels * config.frames, minimum_rows=config.frames)

    def summarize(self, features: Tensor) -> Tensor:
        """The inputs themselves, ``(B, 4 n L)``."""
        inputs: Tensor = self.dropout(features[:, -self.config.frames :].flatten(1))
        return inputs
