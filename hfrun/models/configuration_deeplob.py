"""The config of DeepLOB: the sizes of the network and the meaning of its three outputs."""

from typing import Any

from transformers import PretrainedConfig

from hfrun.errors import ModelError

# Three blocks of valid convolutions over time take (4 - 1) * 2 rows each; one row must be left.
MINIMUM_WINDOW = 19

DOWN_FLAT_UP = {0: "down", 1: "flat", 2: "up"}


class DeepLobConfig(PretrainedConfig):
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
        id2label: what each logit means; ``{0: "down", 1: "flat", 2: "up"}`` unless given.
    """

    model_type = "deeplob"

    def __init__(
        self,
        levels: int = 10,
        window: int = 100,
        conv_channels: int = 32,
        inception_channels: int = 64,
        lstm_hidden: int = 64,
        dropout: float = 0.0,
        leaky_slope: float = 0.01,
        id2label: dict[int, str] | None = None,
        num_labels: int | None = None,
        **kwargs: Any,
    ) -> None:
        sizes = {
            "levels": (levels, 1),
            "window": (window, MINIMUM_WINDOW),
            "conv_channels": (conv_channels, 1),
            "inception_channels": (inception_channels, 1),
            "lstm_hidden": (lstm_hidden, 1),
        }
        wrong = [
            f"{key}={got!r} (a whole number of at least {need})"
            for key, (got, need) in sizes.items()
            if not isinstance(got, int) or got < need
        ]
        if not isinstance(dropout, int | float) or not 0.0 <= dropout < 1.0:
            wrong.append(f"dropout={dropout!r} (0 <= dropout < 1)")
        if id2label is not None and num_labels not in (None, len(id2label)):
            wrong.append(f"num_labels={num_labels} beside {len(id2label)} names in id2label")
        if wrong:
            raise ModelError(f"a DeepLOB cannot have {', '.join(wrong)}; correct the model config")
        if id2label is None and num_labels in (None, len(DOWN_FLAT_UP)):
            id2label = dict(DOWN_FLAT_UP)
        if id2label is not None:
            id2label = {int(key): label for key, label in id2label.items()}
            # label2id is derived, so that the two can never disagree
            kwargs["label2id"] = {label: key for key, label in id2label.items()}
            kwargs["id2label"] = id2label
        else:
            kwargs["num_labels"] = num_labels
        self.levels = levels
        self.window = window
        self.conv_channels = conv_channels
        self.inception_channels = inception_channels
        self.lstm_hidden = lstm_hidden
        self.dropout = dropout
        self.leaky_slope = leaky_slope
        super().__init__(**kwargs)
