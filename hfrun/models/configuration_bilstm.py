"""The config of the bidirectional LSTM."""

from typing import Any

from hfrun.models.book_config import BookConfig
from hfrun.models.norms import NORMS


class BiLstmConfig(BookConfig):
    """Sizes of a stack of LSTMs over the rows of a window.

    Args:
        levels: L, levels of the book on each side.
        window: T, rows of the window.
        frames: n, rows concatenated around each step, as many after it as before; odd.
        depth: LSTM layers.
        width: of the input projection and of each direction of each LSTM.
        norm: after the projection and each LSTM: layer, batch or none.
        dropout: probability after the projection and each LSTM.
        bidirectional: also read the window from its newest row to its oldest.
        kwargs: what every book model has, see ``BookConfig``: skip, hand_features, id2label.
    """

    model_type = "bilstm"
    kind = "bidirectional LSTM"

    def __init__(
        self,
        levels: int = 10,
        window: int = 100,
        frames: int = 1,
        depth: int = 2,
        width: int = 64,
        norm: str = "layer",
        dropout: float = 0.3,
        bidirectional: bool = True,
        **kwargs: Any,
    ) -> None:
        self.frames = frames
        self.depth = depth
        self.width = width
        self.norm = norm
        self.bidirectional = bidirectional
        wrong = []
        if isinstance(frames, int) and frames % 2 == 0:
            wrong.append(f"frames={frames} (odd: as many rows after each as before it)")
        if not isinstance(bidirectional, bool):
            wrong.append(f"bidirectional={bidirectional!r} (true or false)")
        super().__init__(
            levels=levels,
            window=window,
            dropout=dropout,
            sizes={"frames": (frames, 1), "depth": (depth, 1), "width": (width, 1)},
            choices={"norm": (norm, NORMS)},
            wrong=wrong,
            **kwargs,
        )
