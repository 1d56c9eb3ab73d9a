"""The trainer of a run over texts, from the config: tokens, model, batches, rates and callbacks."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from transformers import PreTrainedTokenizerBase

from hfrun.config import TextRunConfig
from hfrun.data.text_batches import LengthGroupedSampler, TextCollator, Tokens, token_dataset
from hfrun.data.text_batches import tokenize as tokens_of
from hfrun.data.texts import TextSplits
from hfrun.errors import DataError, ModelError, TrainingError
from hfrun.evaluation.metrics import compute_metrics
from hfrun.evaluation.text_predictor import predict_tokens
from hfrun.fold_trainer import scheduled_values, training_arguments
from hfrun.models.llama_classifier import LlamaClassifier
from hfrun.models.llama_weights import build_classifier, load_tokenizer
from hfrun.training.stop_rules import stop_rules_from
from hfrun.training.trackers import set_up_trackers
from hfrun.training.trainer import MeasuredTrainer

_TEXTS_FOR_BIAS = 256
_LAYER = re.compile(r"model\.layers\.(\d+)\.")


@dataclass(frozen=True, kw_only=True, eq=False)
class TokenizedSplits:
    """The parts of a run's texts, and their tokens by the part's name."""

    splits: TextSplits
    tokens: dict[str, Tokens]
    tokenizer: PreTrainedTokenizerBase


def tokenize_splits(config: TextRunConfig, splits: TextSplits) -> TokenizedSplits:
    """Every part's texts in the config's template, by the model's tokenizer."""
    tokenizer = load_tokenizer(config.model)
    tokens = {
        name: tokens_of(
            part.texts,
            tokenizer,
            template=config.data.template,
            max_length=config.data.max_length,
        )
        for name, part in splits.parts().items()
    }
    return TokenizedSplits(splits=splits, tokens=tokens, tokenizer=tokenizer)


def text_classifier(config: TextRunConfig, data: TokenizedSplits) -> LlamaClassifier:
    """The model that the run begins with.

    Raises:
        ModelError: it cannot be built, or texts are longer than it was made for.
        DataError: texts without a token.
    """
    model = build_classifier(
        config.model,
        data.tokenizer,
        label_names=data.splits.label_names,
        template=config.data.template,
    )
    _check_lengths(data.tokens, most=model.config.max_position_embeddings)
    return model


def _check_lengths(tokens: dict[str, Tokens], *, most: int) -> None:
    """The model reads every text, in whatever batch the training would meet it."""
    for name, part in tokens.items():
        length = part.length
        empty, long = int((length == 0).sum()), int((length > most).sum())
        if empty:
            raise DataError(
                f"{_texts_have(empty, name)} no token; leave them out, or put words around each "
                "with data.template"
            )
        if long:
            raise ModelError(
                f"{_texts_have(long, name)} up to {length.max()} tokens and the model was made for "
                f"at most {most}; set data.max_length to that or less"
            )


def _texts_have(count: int, part: str) -> str:
    return f"{count} text{'s'[: count > 1]} of {part} {'have' if count > 1 else 'has'}"


def start_head_bias(model: LlamaClassifier, data: TokenizedSplits, *, seed: int) -> None:
    """Take from a head of label words what it says of train texts as a whole.

    The bias becomes log(share of the class in train) - log(mean probability of its words), over
    some train texts whose labels are not looked at one by one (Zhou et al., 2024): a language
    model's favourite words would otherwise be the first thing to be unlearnt.
    """
    labels, tokens = data.splits.train.labels, data.tokens["train"]
    chosen = np.random.default_rng(seed).permutation(len(labels))[:_TEXTS_FOR_BIAS]
    some = Tokens(
        ids=tuple(tokens.ids[number] for number in chosen),
        full_length=tokens.full_length[chosen],
    )
    found = predict_tokens(
        model, some, TextCollator.of(data.tokenizer), label="reading some train texts"
    )
    counts = np.bincount(labels[labels >= 0], minlength=model.config.num_labels) + 1.0
    bias = np.log(counts / counts.sum()) - np.log(found.mean(axis=0))
    with torch.no_grad():
        model.head.bias += torch.from_numpy(bias - bias.mean()).to(model.head.bias)


def text_trainer(
    config: TextRunConfig, data: TokenizedSplits, *, model: LlamaClassifier, folder: Path
) -> MeasuredTrainer:
    """The trainer of a run, writing into ``folder``.

    Raises:
        DataError: an optimizer step needs more texts than there are.
        TrainingError: options that transformers refuses, or that do not fit the labels.
    """
    arguments = training_arguments(config, folder)
    train = data.splits.train
    batch = arguments.train_batch_size * arguments.world_size
    if batch * arguments.gradient_accumulation_steps > len(train.labels):
        raise DataError(
            f"an optimizer step takes {batch * arguments.gradient_accumulation_steps} texts "
            f"(per_device_train_batch_size={arguments.per_device_train_batch_size}, "
            f"gradient_accumulation_steps={arguments.gradient_accumulation_steps}, "
            f"{arguments.world_size} processes) and train has {len(train.labels)}; use a smaller "
            "batch"
        )
    if config.training.loss.sample_weights != "none":
        raise TrainingError(
            f"training.loss.sample_weights={config.training.loss.sample_weights}: weighs order "
            "book decisions by their move; texts have none: leave it out"
        )
    sampler = None
    if config.training.length_grouped:
        sampler = LengthGroupedSampler(
            data.tokens["train"].length, batch=batch, seed=config.run.seed
        )
    trainer = MeasuredTrainer(
        model=model,
        args=arguments,
        train_dataset=token_dataset(data.tokens["train"], train.labels),
        eval_dataset=token_dataset(data.tokens["validation"], data.splits.validation.labels),
        data_collator=TextCollator.of(data.tokenizer),
        train_sampler=sampler,
        compute_metrics=compute_metrics,
        callbacks=scheduled_values(config),
        loss=config.training.loss.options,
        schedule=config.training.schedule,
        stop_rules=stop_rules_from(config.stop_rules),
        gap_samples=config.callbacks.gap_samples,
        train_labels=np.asarray(train.labels, dtype=np.int64),
        rate_factor=rate_factor(config, layers=model.config.num_hidden_layers),
    )
    set_up_trackers(trainer)
    return trainer


def rate_factor(config: TextRunConfig, *, layers: int) -> Callable[[str], float] | None:
    """Of a parameter's name, the share of the learning rate that it takes; None where all take 1.

    The top layer and the final norm take 1, the layer n below the top ``layer_decay ** n``, the
    embedding one factor more than the lowest layer (Howard and Ruder, 2018), and the head
    ``head_learning_rate`` by itself.

    Raises:
        TrainingError: the head's rate is to be a multiple of none.
    """
    decay, head_rate = config.training.layer_decay, config.training.head_learning_rate
    if decay == 1.0 and head_rate is None:
        return None
    rate = config.training.arguments.get("learning_rate", 5e-5)
    if head_rate is not None and not rate > 0:
        raise TrainingError(
            f"training.learning_rate={rate} with head_learning_rate={head_rate}: needs a learning "
            "rate above 0; to train the head alone, freeze the others (model.freeze)"
        )
    head = 1.0 if head_rate is None else head_rate / rate

    def factor(name: str) -> float:
        if name.startswith("head."):
            return head
        if name.startswith("model.embed_tokens."):
            return decay**layers
        found = _LAYER.match(name)
        return 1.0 if found is None else decay ** (layers - 1 - int(found.group(1)))

    return factor
