"""A LLaMA classifier to train: from weights or new, with what stays frozen and how it starts."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerBase
from transformers.utils import logging

from hfrun.errors import ModelError
from hfrun.models.configuration_llama_classifier import LlamaClassifierConfig, wrong_keys
from hfrun.models.label_words import end_mark, label_tokens
from hfrun.models.llama_classifier import LlamaClassifier
from hfrun.text_config import FreezeConfig, LoraConfig, TextModelConfig
from lob_backtest.strict_yaml import unknown_keys

_UNREADABLE = (OSError, ValueError, TypeError, KeyError, RuntimeError, ImportError, SafetensorError)


def source_of(text: str) -> str:
    """A folder or hub id with its environment variables filled in.

    Raises:
        ModelError: a variable that is not set, a file, or a path to nothing: no hub is asked for
            what can be no id.
    """
    filled = os.path.expandvars(text)
    if "$" in filled:
        raise ModelError(
            f"{text}: the environment variable in it is not set; export it, or name the folder"
        )
    folder = Path(filled)
    if folder.is_file():
        raise ModelError(
            f"{filled}: is a file; name the folder that it is in, and of a GGUF file its name as "
            "model.gguf_file"
        )
    is_path = not filled or filled.startswith((".", "/")) or len(folder.parts) > 2
    if not folder.is_dir() and (is_path or (len(folder.parts) == 2 and folder.parent.is_dir())):
        raise ModelError(
            f"{filled or repr(text)}: there is no such folder; a path is taken from the folder in "
            "which the command is run"
        )
    return filled


def load_tokenizer(model: TextModelConfig) -> PreTrainedTokenizerBase:
    """The tokenizer of ``model.tokenizer``, else of ``model.pretrained``.

    Raises:
        ModelError: none is there.
    """
    source = source_of(model.tokenizer or model.pretrained or "")
    is_gguf = model.gguf_file is not None and model.tokenizer is None
    try:
        options = {"gguf_file": model.gguf_file} if is_gguf else {}
        return AutoTokenizer.from_pretrained(source, **options)
    except _UNREADABLE as error:
        files = [path.name for path in Path(source).glob("*")]
        is_bare = Path(source).is_dir() and not any("token" in name for name in files)
        why = "it has no tokenizer.json" if is_bare and not is_gguf else _first_line(error)
        raise ModelError(
            f"{source}: no tokenizer that can be loaded ({why}); name a folder or hub id as "
            "model.tokenizer"
        ) from error


def build_classifier(
    model: TextModelConfig,
    tokenizer: PreTrainedTokenizerBase,
    *,
    label_names: Sequence[str],
    template: str,
) -> LlamaClassifier:
    """The classifier that a run trains, in float32.

    Args:
        model: the run's section: weights or sizes, dropout, what is frozen, adapters.
        tokenizer: from ``load_tokenizer``.
        label_names: C of them, in the order of the logits.
        template: the words around a text; kept in the config for whoever predicts.

    Raises:
        ModelError: weights that cannot be loaded whole, sizes that no model can have, more
            layers to freeze than there are, label words that do not fit.
    """
    labels = {
        "id2label": dict(enumerate(label_names)),
        "label2id": {name: number for number, name in enumerate(label_names)},
    }
    chosen = {**labels, **model.config}
    wrong = wrong_keys(model.config, has_weights=model.pretrained is not None)
    if wrong:
        raise ModelError("; ".join(wrong))
    is_new = model.pretrained is None
    classifier = _new(chosen, tokenizer) if is_new else _pretrained(model, chosen)
    if len(tokenizer) > classifier.config.vocab_size:
        raise ModelError(
            f"the tokenizer has {len(tokenizer)} pieces and the model "
            f"{classifier.config.vocab_size}; give the model its own tokenizer"
        )
    classifier.config.template = template
    if model.label_words is not None:
        start_from_label_words(classifier, model, tokenizer, template=template)
    _freeze(classifier, model.freeze)
    if model.lora is not None:
        add_lora(classifier, model.lora, frozen_layers=model.freeze.layers)
    return classifier


def _new(chosen: Mapping[str, Any], tokenizer: PreTrainedTokenizerBase) -> LlamaClassifier:
    marks = {
        name: getattr(tokenizer, name) for name in ("bos_token_id", "eos_token_id", "pad_token_id")
    }
    try:
        sizes = {"vocab_size": len(tokenizer), **chosen}
        return LlamaClassifier(LlamaClassifierConfig(**marks, **sizes))
    except (ModelError, ValueError, TypeError, RuntimeError, ZeroDivisionError) as error:
        raise ModelError(f"model.config={dict(chosen)}: {_first_line(error)}") from error


def _pretrained(model: TextModelConfig, chosen: Mapping[str, Any]) -> LlamaClassifier:
    """A classifier's own weights, or a language model's under a new head."""
    source = source_of(model.pretrained or "")
    gguf = {} if model.gguf_file is None else {"gguf_file": model.gguf_file}
    try:
        found = AutoConfig.from_pretrained(source, **gguf)
        if found.model_type not in ("llama", LlamaClassifierConfig.model_type):
            raise ModelError(f"it is a {found.model_type}; needs a LLaMA")
        known = found.to_dict()
        was_classifier = found.model_type == LlamaClassifierConfig.model_type
        if was_classifier:
            _check_goes_on(found, chosen["id2label"], has_words=model.label_words is not None)
        for name in ("model_type", "architectures", "id2label", "label2id", "dtype"):
            known.pop(name, None)
        config = LlamaClassifierConfig(**{**known, **chosen})
        # float32 whatever the file holds: bfloat16 weights would swallow small steps.
        with _without_warnings():  # that the head is new is what a classifier is made for
            classifier, loaded = LlamaClassifier.from_pretrained(
                source, config=config, dtype=torch.float32, output_loading_info=True, **gguf
            )
    except (*_UNREADABLE, ModelError) as error:
        raise ModelError(f"model.pretrained={source}: {unloaded(error)}") from error
    new = set() if was_classifier else {"head.weight", "head.bias"}
    wrong = {*loaded["missing_keys"], *loaded["unexpected_keys"], *loaded["mismatched_keys"]} - new
    if wrong:
        raise ModelError(
            f"model.pretrained={source}: its weights do not fit its config ({len(wrong)}, such as "
            f"{sorted(map(str, wrong))[0]}); choose a whole model"
        )
    broken = [name for name, weight in classifier.named_parameters()
              if not torch.isfinite(weight).all()]  # fmt: skip
    if broken:
        raise ModelError(
            f"model.pretrained={source}: {len(broken)} of its weights hold values that are not "
            f"finite, such as {broken[0]}; it was damaged, or its training diverged: choose another"
        )
    return classifier


@contextmanager
def _without_warnings() -> Iterator[None]:
    """transformers' own words on what is missing; we look at it ourselves."""
    before = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(before)


def _check_goes_on(
    found: LlamaClassifierConfig, wanted: Mapping[int, str], *, has_words: bool
) -> None:
    """A classifier's head is kept, with its meaning: the same labels, in the same order."""
    if has_words:
        raise ModelError(
            "it is a classifier, whose head is trained: leave model.label_words out, or start "
            "from a language model"
        )
    if {int(number): name for number, name in found.id2label.items()} != dict(wanted):
        raise ModelError(
            f"its labels are {list(found.id2label.values())} and the data's are "
            f"{list(wanted.values())}; name them alike in data.labels, or start from a language "
            "model"
        )


def start_from_label_words(
    classifier: LlamaClassifier,
    model: TextModelConfig,
    tokenizer: PreTrainedTokenizerBase,
    *,
    template: str,
) -> None:
    """Give the head the language model's own rows for the label words.

    A new head's logits are then those of the next token after the template, of each label's words
    (their mean where they are several tokens) less the mean over labels, which no probability sees:
    training goes on from the zero-shot answer (Gao et al., 2021, whose head is the language
    model's) instead of from noise.
    """
    given, n_labels = model.label_words or (), classifier.config.num_labels
    if len(given) != n_labels:
        raise ModelError(
            f"model.label_words has {len(given)}; needs {n_labels}, one for each label"
        )
    words = label_tokens(given, tokenizer, template=template)
    _check_asked(classifier, tokenizer, is_joined=bool(words.borrowed))
    rows = _output_rows(classifier, model)
    with torch.no_grad():
        weight = torch.stack([rows[list(each)].mean(0) for each in words.tokens])
        classifier.head.weight.copy_(weight - weight.mean(0))
        classifier.head.bias.zero_()


def _check_asked(
    classifier: LlamaClassifier, tokenizer: PreTrainedTokenizerBase, *, is_joined: bool
) -> None:
    """The head sees the state from which the language model would say the words."""
    mark = end_mark(tokenizer)
    wrong = None
    if classifier.config.pooling != "last":
        wrong = f"model.config.pooling={classifier.config.pooling} does not; leave one of them out"
    elif mark is not None:
        ending = tokenizer.convert_ids_to_tokens(mark)
        wrong = f"the tokenizer ends every text with {ending!r}; leave model.label_words out"
    elif is_joined:
        wrong = "the last token of data.template belongs to the words; end it without a space"
    if wrong is not None:
        raise ModelError(f"model.label_words asks what comes after a text's last token: {wrong}")


def _output_rows(classifier: LlamaClassifier, model: TextModelConfig) -> torch.Tensor:
    """``(V, H)`` of the language model's head; its embedding where the two are tied."""
    if model.pretrained is None:
        raise ModelError(
            "model.label_words needs model.pretrained: a language model that knows them"
        )
    if classifier.config.tie_word_embeddings:
        return classifier.model.embed_tokens.weight
    gguf = {} if model.gguf_file is None else {"gguf_file": model.gguf_file}
    source = source_of(model.pretrained)
    language_model = AutoModelForCausalLM.from_pretrained(source, dtype=torch.float32, **gguf)
    return language_model.get_output_embeddings().weight


def _freeze(classifier: LlamaClassifier, freeze: FreezeConfig) -> None:
    layers = classifier.model.layers
    if freeze.layers > len(layers):
        raise ModelError(f"model.freeze.layers={freeze.layers}; the model has {len(layers)}")
    frozen: list[nn.Module] = [*layers[: freeze.layers]]
    if freeze.embedding:
        frozen.append(classifier.model.embed_tokens)
    for module in frozen:
        module.requires_grad_(False)


def add_lora(classifier: LlamaClassifier, lora: LoraConfig, *, frozen_layers: int = 0) -> None:
    """Put adapters beside the linear layers; they and the head are trained, nothing else.

    Args:
        classifier: to put them into.
        lora: their size, and beside which.
        frozen_layers: the lowest layers, which get none.

    Raises:
        ModelError: peft is not installed, there are no such layers, or all are frozen.
    """
    free = range(frozen_layers, len(classifier.model.layers))
    if not free:
        raise ModelError(f"model.freeze.layers={frozen_layers} leaves model.lora no layer")
    try:
        import peft
    except ImportError as error:
        raise ModelError("model.lora needs peft: pip install 'hfrun[peft]'") from error
    linear = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    targets = linear if lora.targets == "all" else list(lora.targets)
    unknown = unknown_keys(dict.fromkeys(targets), linear, "model.lora.targets")
    if unknown:
        raise ModelError("; ".join(unknown))
    options = peft.LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=targets,
        layers_to_transform=list(free),
        layers_pattern="layers",
    )
    peft.inject_adapter_in_model(options, classifier)
    for name, parameter in classifier.named_parameters():
        parameter.requires_grad = "lora_" in name or name.startswith("head.")


def merge_lora(classifier: LlamaClassifier) -> None:
    """Add the adapters to the weights that they stand beside, and take them away."""
    try:
        from peft.tuners.lora import LoraLayer
    except ImportError:  # then there are none
        return
    for module in list(classifier.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, LoraLayer):
                child.merge()
                setattr(module, name, child.get_base_layer())


def unloaded(error: BaseException) -> str:
    """Why weights could not be loaded, and what to do, where the library's words say neither."""
    said = _first_line(error)
    if isinstance(error, SafetensorError):
        return f"its weights are cut off or damaged ({said}); fetch them again"
    if "ignore_mismatched_sizes" in said:  # and then sends the reader to a table that is not shown
        return "its weights have other sizes than its config says; choose a whole model"
    return said


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
