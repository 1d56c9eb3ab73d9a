"""The config of DeepLOB: the sizes of the network."""

from typing import Any

from hfrun.models.book_config import BookConfig

# Three blocks of valid convolutions over time take (4 - 1) * 2 rows each; one row must be left.
MINIMUM_WINDOW = 19


class DeepLobConfig(BookConfig):
    """Sizes of a DeepLOB; the defaults are the published ones (143,907 parameters).

    Args:
        levels: L, levels of the book on each side; a row of the input is 4 L wide.
        window: T, rows of the window the model is meant for. Any T of at least 19 is accepted
            in a forward pass: no parameter depends on it.
        conv_channels: channels of the three convolution blocks.
        inception_channels: channels of each of the three inception branches.
        lstm_hidden: width of the LSTM.
        dropout: probability before the head. The paper has none, and so has the default.
        leaky_slope: slope of LeakyReLU below zero.
        kwargs: what every book model has, see ``BookConfig``: skip, hand_features, id2label.
    """

    model_type = "deeplob"
    kind = "DeepLOB"

    def __init__(
        self,
        levels: int = 10,
        window: int = 100,
        conv_channels: int = 32,
        inception_channels: int = 64,
        lstm_hidden: int = 64,
        dropout: float = 0.0,
        leaky_slope: float = 0.01,
        **kwargs: Any,
    ) -> None:
        self.conv_channels = conv_channels
        self.inception_channels = inception_channels
        self.lstm_hidden = lstm_hidden
        self.leaky_slope = leaky_slope
        super().__init__(
            levels=levels,
            window=window,
            dropout=dropout,
            minimum_window=MINIMUM_WINDOW,
            sizes={
                "conv_channels": (conv_channels, 1),
                "inception_channels": (inception_channels, 1),
                "lstm_hidden": (lstm_hidden, 1),
            },
            **kwargs,
        )
