"""What all book models share: the check of their input, the head, the skip path and the loss.

logits = head(summary of the window) + skip(hand-made features)     the latter where asked for
"""

from contextlib import AbstractContextManager, nullcontext
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput

from hfrun.errors import ModelError
from hfrun.models.book_config import BookConfig
from hfrun.models.skip_path import SkipPath, check_hand_features, skip_path

# Layers that draw their weights as PyTorch does: uniform within one over the root of the fan-in.
_PYTORCH_DEFAULTS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.LSTM)


class BookModel(PreTrainedModel):
    """Base of the book models; a model says how it summarizes a window.

    Its ``__init__`` builds the layers of ``summarize`` and ends with ``_finish``. A model whose
    windows can share computation sets ``shares_windows`` and says how in ``summarize_at``.
    """

    shares_windows: ClassVar[bool] = False

    main_input_name = "features"
    # The Trainer would otherwise hand the loss the number of items in the accumulated batch.
    accepts_loss_kwargs = False
    _no_split_modules: ClassVar[list[str]] = []

    config: BookConfig
    head: nn.Linear
    skip: SkipPath | None

    def _finish(self, summary_width: int, *, minimum_rows: int) -> None:
        """Add the layers that make the logits, then let transformers draw the weights."""
        classes, hand_features = self.config.num_labels, self.config.hand_features
        self.minimum_rows = minimum_rows
        self.head = nn.Linear(summary_width, classes)
        self.skip = skip_path(hand_features, classes)
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        """PyTorch's defaults; called by transformers for modules without loaded weights."""
        if isinstance(module, _PYTORCH_DEFAULTS):
            module.reset_parameters()
        else:
            super()._init_weights(module)

    def _precision(self, device: str) -> AbstractContextManager[Any]:
        """Autocast is for training alone: what is predicted does not depend on how it learnt."""
        return nullcontext() if self.training else torch.autocast(device, enabled=False)

    def summarize(self, features: Tensor) -> Tensor:
        """``(B, T, 4 L)`` features to ``(B, H)``, what the head sees."""
        raise NotImplementedError

    def summarize_at(self, features: Tensor, ends: Tensor) -> Tensor:
        """``(B, S, 4 L)`` stretches to ``(W, H)``, for the windows that end at these rows."""
        raise ModelError(
            f"{type(self).__name__} reads one window at a time; give windows, without ends"
        )

    def forward(
        self,
        features: Tensor,
        labels: Tensor | None = None,
        ends: Tensor | None = None,
        hand_features: Tensor | None = None,
    ) -> SequenceClassifierOutput:
        """Logits of each window and, where labels are given, their plain cross-entropy.

        Args:
            features: ``(B, T, 4 L)`` float windows, rows in the column order of the book table;
                the last row is the newest. With ``ends`` stretches of S rows.
            labels: ``(W,)`` int64 classes, as in ``config.id2label``; W = B without ``ends``.
            ends: ``(W,)`` int64 last rows of windows of ``config.window`` rows, counted through
                all B S rows, for a model that ``shares_windows``.
            hand_features: ``(W, K)`` float, for a model with a skip path.

        Raises:
            ModelError: an input does not have this shape.
        """
        check_features(features, levels=self.config.levels, minimum_rows=self.minimum_rows)
        check_hand_features(hand_features, number=self.config.hand_features)
        with self._precision(features.device.type):
            summary = (
                self.summarize(features) if ends is None else self.summarize_at(features, ends)
            )
        with torch.autocast(features.device.type, enabled=False):
            logits = self.head(summary.to(self.head.weight.dtype))
        if self.skip is not None:
            added = self.skip(hand_features)
            if added.shape != logits.shape:  # one row would be added to every window
                raise ModelError(
                    f"hand_features of {len(added)} rows for {len(logits)} windows; needs one each"
                )
            logits = logits + added
        loss = None
        if labels is not None:
            loss = nn.functional.cross_entropy(logits.float(), labels)
        return SequenceClassifierOutput(loss=loss, logits=logits)


def check_features(features: Tensor, *, levels: int, minimum_rows: int) -> None:
    """Refuse windows of another width or fewer rows than the model needs.

    Raises:
        ModelError: the shape is not ``(B, T, 4 L)`` with enough rows T.
    """
    shape = tuple(features.shape)
    if len(shape) == 3 and shape[2] == 4 * levels and shape[1] >= minimum_rows:
        return
    needed = f"features of shape {shape}, needed (B, T, {4 * levels}) with T >= {minimum_rows}"
    if len(shape) == 3 and shape[2] == 4 * levels:
        raise ModelError(
            f"{needed}: the model looks at no fewer rows of a window; use a longer one, or a "
            "model that needs fewer"
        )
    raise ModelError(
        f"{needed}: the model was made for {levels} levels; give it a book of as many levels, or "
        "train one for yours"
    )
