"""Probabilities of texts by a trained classifier: longest first, so that batches hardly pad."""

import numpy as np
import torch
from transformers import PreTrainedModel

from hfrun.data.text_batches import TextCollator, Tokens
from lob_backtest.book import FloatArray
from lob_backtest.progress import progress

_TOKENS_A_BATCH = 4096


def predict_tokens(
    model: PreTrainedModel, tokens: Tokens, collator: TextCollator, *, label: str
) -> FloatArray:
    """Probabilities ``(N, C)`` float64 in the order of the texts.

    Args:
        model: its logits are in the order of its ``id2label``.
        tokens: of N texts.
        collator: pads the batches, which the model does not look at.
        label: of the progress bar.
    """
    order = np.argsort(-tokens.length, kind="stable")
    probabilities = np.empty((len(order), model.config.num_labels))
    was_training = model.training
    model.eval()
    with torch.inference_mode():
        for chosen in progress(batches_of(order, tokens), label=label, unit="batches"):
            batch = collator([{"input_ids": tokens.ids[number]} for number in chosen])
            on_device = {name: values.to(model.device) for name, values in batch.items()}
            logits = model(**on_device).logits.double()
            probabilities[chosen] = torch.softmax(logits, dim=-1).cpu().numpy()
    model.train(was_training)
    return probabilities


def batches_of(order: np.ndarray, tokens: Tokens) -> list[np.ndarray]:
    """Cut ``order``, the longest text first, into batches of at most some thousand tokens."""
    batches, start = [], 0
    while start < len(order):
        size = max(1, _TOKENS_A_BATCH // int(tokens.length[order[start]]))
        batches.append(order[start : start + size])
        start += size
    return batches
