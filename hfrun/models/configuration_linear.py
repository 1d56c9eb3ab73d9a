"""The config of the linear model."""

from typing import Any

from hfrun.models.book_config import BookConfig
from hfrun.models.configuration_mlp import frames_beyond


class LinearConfig(BookConfig):
    """Sizes of a linear classifier of the last rows of a window.

    Args:
        levels: L, levels of the book on each side.
        window: T, rows of the window; the model looks at the last ``frames`` of them.
        frames: n, how many rows are concatenated to one input of 4 n L numbers.
        dropout: probability of the inputs; for a linear model an adaptive ridge penalty.
        kwargs: what every book model has, see ``BookConfig``: skip, hand_features, id2label.

    References: Wager, Wang and Liang (2013), Dropout Training as Adaptive Regularization.
    """

    model_type = "linear"
    kind = "linear model"

    def __init__(
        self,
        levels: int = 10,
        window: int = 100,
        frames: int = 10,
        dropout: float = 0.0,
        **kwargs: Any,
    ) -> None:
        self.frames = frames
        super().__init__(
            levels=levels,
            window=window,
            dropout=dropout,
            sizes={"frames": (frames, 1)},
            wrong=frames_beyond(frames, window),
            **kwargs,
        )
