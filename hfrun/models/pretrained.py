"""Weights to start from: a folder's or a hub's model, checked and put in the project's order."""

from collections.abc import Mapping
from typing import Any

from safetensors import SafetensorError
from transformers import AutoModelForSequenceClassification, PreTrainedModel

from hfrun.errors import ModelError
from hfrun.models.class_order import put_in_order
from hfrun.models.model_folder import let_bars_pass
from hfrun.models.registry import BOOK_MODELS


def load_pretrained(
    source: str, *, model_type: str, levels: int, window: int, overrides: Mapping[str, Any]
) -> PreTrainedModel:
    """The model of a folder or a hub id, with its logits in the order down, flat, up.

    Args:
        source: folder, or ``namespace/name`` on the hub that HF_ENDPOINT names.
        model_type: what the run's config says that it is; a book model of another type is refused.
        levels: of the book; the model needs the same.
        window: rows of the windows it will see, noted in its config.
        overrides: keys of the model's config to change, such as dropout.

    Raises:
        ModelError: it cannot be loaded whole, or was made for other data or classes.
    """
    let_bars_pass()
    try:
        model, loaded = AutoModelForSequenceClassification.from_pretrained(
            source, output_loading_info=True, **overrides
        )
        _check_whole(loaded)
        found = model.config.model_type
        if found in BOOK_MODELS and found != model_type:
            raise ModelError(f"it is a {found} and model.type says {model_type}; set {found} there")
        if getattr(model.config, "levels", levels) != levels:
            raise ModelError(
                f"it was made for {model.config.levels} levels and the book has {levels}; import "
                "the book with as many levels, or choose another model"
            )
        put_in_order(model)
    except (ModelError, OSError, ValueError, RuntimeError, TypeError, SafetensorError) as error:
        raise ModelError(f"model.pretrained={source}: {error}") from error
    model.config.window = window
    chosen: PreTrainedModel = model
    return chosen


def _check_whole(loaded: Mapping[str, Any]) -> None:
    """Weights that are not in the file would silently stay random."""
    kinds = ("missing_keys", "unexpected_keys", "mismatched_keys")
    wrong = [
        f"{len(loaded[kind])} {kind.replace('_', ' ')} such as {sorted(map(str, loaded[kind]))[0]}"
        for kind in kinds
        if loaded.get(kind)
    ]
    if wrong:
        raise ModelError(
            f"its weights do not fit its config ({'; '.join(wrong)}); choose a whole model, and "
            "leave sizes out of model.config"
        )
