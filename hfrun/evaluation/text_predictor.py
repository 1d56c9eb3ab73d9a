"""Probabilities of texts by a trained classifier: of a run's parts, and of any file of texts."""

from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

import hfrun.models  # noqa: F401  (registers our models with the Auto classes)
from hfrun.config import TextRunConfig, load_config
from hfrun.data.text_batches import TextCollator, Tokens, tokenize
from hfrun.data.texts import TextPart, read_part
from hfrun.errors import DataError, ModelError
from hfrun.evaluation.text_predictions import TextPredictions, write_text_predictions
from lob_backtest.book import FloatArray
from lob_backtest.progress import progress

_TOKENS_A_BATCH = 4096


def predict_tokens(
    model: PreTrainedModel, tokens: Tokens, collator: TextCollator, *, label: str
) -> FloatArray:
    """Probabilities ``(N, C)`` float64 in the order of the texts.

    They are read longest first, so that batches hardly pad.

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


def predict_texts(run: Path, file: Path, output: Path, *, is_plain: bool = False) -> int:
    """Write the predictions table of a run's model for the texts of a file.

    Args:
        run: folder of a finished run over texts; its template and length are used.
        file: labelled texts in any format that ``data`` takes.
        output: the table (Parquet).
        is_plain: the file has one text a line, without labels.

    Returns:
        The number of texts.

    Raises:
        DataError: the run is not over texts, or the file holds none.
        ModelError: the run has no model that can be loaded.
    """
    if not (run / "config.yaml").is_file():
        raise DataError(f"{run}: no config.yaml in it; the folder of a run is needed")
    config = load_config(run / "config.yaml")
    if not isinstance(config, TextRunConfig):
        raise DataError(f"{run}: is a run over an order book; give --book instead of --texts")
    if output.is_dir():
        raise DataError(f"{output}: is a folder; name the file to write, such as out.parquet")
    model, tokenizer = _saved(run / "model")
    names = tuple(model.config.id2label[number] for number in range(model.config.num_labels))
    part = _lines(file) if is_plain else read_part(file, config.data, label_names=names)
    if not len(part):
        raise DataError(f"{file}: no texts in it; give a file with at least one")
    tokens = tokenize(
        part.texts, tokenizer, template=config.data.template, max_length=config.data.max_length
    )
    collator = TextCollator.of(tokenizer)
    table = TextPredictions(
        texts=part.texts,
        labels=part.labels,
        probabilities=predict_tokens(model, tokens, collator, label="predicting"),
        label_names=names,
    )
    write_text_predictions(table, output)
    return len(part)


def _saved(folder: Path) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    try:
        model, loaded = AutoModelForSequenceClassification.from_pretrained(
            folder, output_loading_info=True, dtype=torch.float32
        )
        tokenizer = AutoTokenizer.from_pretrained(folder)
    except (OSError, ValueError, RuntimeError, TypeError, KeyError, SafetensorError) as error:
        raise ModelError(f"{folder}: no model that can be loaded ({error})") from error
    absent = sorted(loaded["missing_keys"])  # they would be drawn at random
    if absent:
        raise ModelError(f"{folder}: the weights lack {len(absent)}, such as {absent[0]}")
    return model, tokenizer


def _lines(file: Path) -> TextPart:
    """One text a line; empty lines are none."""
    if not file.is_file():
        raise DataError(f"{file}: no such file")
    try:
        content = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{file}: no UTF-8 text ({error}); convert it") from error
    texts = tuple(line.strip() for line in content.splitlines() if line.strip())
    unknown = np.full(len(texts), -1, dtype=np.int64)
    return TextPart(texts=texts, labels=unknown, raw_labels=("",) * len(texts))
