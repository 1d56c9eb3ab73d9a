"""The config of the multi-layer perceptron."""

from typing import Any

from hfrun.models.book_config import BookConfig
from hfrun.models.norms import NORMS


class MlpConfig(BookConfig):
    """Sizes of a multi-layer perceptron over the last rows of a window.

    Args:
        levels: L, levels of the book on each side.
        window: T, rows of the window; the model looks at the last ``frames`` of them.
        frames: n, how many rows are concatenated to one input of 4 n L numbers.
        depth: hidden layers.
        width: of each hidden layer.
        norm: after each hidden layer: batch, layer or none.
        dropout: probability after each hidden layer.
        kwargs: what every book model has, see ``BookConfig``: skip, hand_features, id2label.
    """

    model_type = "mlp"
    kind = "multi-layer perceptron"

    def __init__(
        self,
        levels: int = 10,
        window: int = 100,
        frames: int = 10,
        depth: int = 2,
        width: int = 256,
        norm: str = "batch",
        dropout: float = 0.3,
        **kwargs: Any,
    ) -> None:
        self.frames = frames
        self.depth = depth
        self.width = width
        self.norm = norm
        super().__init__(
            levels=levels,
            window=window,
            dropout=dropout,
            sizes={"frames": (frames, 1), "depth": (depth, 1), "width": (width, 1)},
            choices={"norm": (norm, NORMS)},
            wrong=frames_beyond(frames, window),
            **kwargs,
        )


def frames_beyond(frames: object, window: object) -> list[str]:
    """What is wrong with more frames than the window has rows."""
    if isinstance(frames, int) and isinstance(window, int) and frames > window >= 1:
        return [f"frames={frames} of a window of {window} rows (at most {window})"]
    return []
