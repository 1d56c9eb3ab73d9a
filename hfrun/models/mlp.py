"""A multi-layer perceptron over the last rows of a window, concatenated.

    (B, T, 4 L)      features
    (B, 4 n L)       the last n rows, oldest first
    (B, W)  x depth  linear, norm, GELU, dropout
    (B, 3)           head: logits

It has no idea of time or of levels: what the order of the rows is worth beyond this is what a
network with convolutions or a recurrence has to show.

References: Hendrycks and Gimpel (2016), Gaussian Error Linear Units.
"""

from itertools import pairwise

from torch import Tensor, nn

from hfrun.models.book_model import BookModel
from hfrun.models.configuration_mlp import MlpConfig
from hfrun.models.norms import norm_layer


class MlpForSequenceClassification(BookModel):
    """Hidden layers of one width and a linear head.

    >>> model = MlpForSequenceClassification(MlpConfig(levels=1, frames=2, depth=1, width=5))
    >>> model.num_parameters()  # 8 x 5 + 5, batch norm 5 + 5, head 5 x 3 + 3
    73
    """

    config_class = MlpConfig
    base_model_prefix = "mlp"

    config: MlpConfig

    def __init__(self, config: MlpConfig) -> None:
        super().__init__(config)
        widths = [4 * config.levels * config.frames, *[config.width] * config.depth]
        self.layers = nn.Sequential(
            *(
                nn.Sequential(
                    nn.Linear(wide, width),
                    norm_layer(config.norm, width),
                    nn.GELU(),
                    nn.Dropout(config.dropout),
                )
                for wide, width in pairwise(widths)
            )
        )
        self._finish(config.width, minimum_rows=config.frames)

    def summarize(self, features: Tensor) -> Tensor:
        """The last hidden layer ``(B, W)``."""
        hidden: Tensor = self.layers(features[:, -self.config.frames :].flatten(1))
        return hidden
