"""The tokenizer of a GGUF file through transformers, mended where that departs from the file."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, normalizers, pre_tokenizers
from transformers import AutoTokenizer, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from hfrun.errors import ModelError
from lob_backtest.progress import announce

_LIKE_GPT_2 = frozenset({None, "default", "gpt-2", "gpt2"})
_SPACE = "▁"


@dataclass(frozen=True, kw_only=True)
class TokenizerFacts:
    """What a file says of its tokenizer.

    ``kind`` is ``gpt2`` for bytes, ``llama`` for sentencepiece. ``words`` names how a text is
    split before bytes are merged; ``adds_space`` is whether sentencepiece puts a space before it.
    """

    kind: str
    words: str | None
    adds_space: bool
    n_tokens: int
    max_tokens: int


def read_gguf_tokenizer(file: Path, facts: TokenizerFacts) -> PreTrainedTokenizerBase:
    """A tokenizer that gives the ids that the model was trained on.

    Padding is the end of text where the file names none: the model's mask hides it.

    Raises:
        ModelError: transformers cannot read it.
    """
    try:
        loaded: Any = AutoTokenizer.from_pretrained(
            file.parent, gguf_file=file.name, local_files_only=True
        )
    except (OSError, ValueError, RuntimeError, KeyError, TypeError) as error:
        raise ModelError(f"{file}: its tokenizer cannot be read ({error})") from error
    backend: Tokenizer = loaded.backend_tokenizer
    if facts.kind == "llama" and facts.adds_space:
        _put_a_space_before_every_text(backend)
    if facts.kind == "gpt2":
        _split_as_learnt(backend, facts.words, name=file.name)
    tokenizer: Any = _of_the_file_alone(loaded, facts)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    chosen: PreTrainedTokenizerBase = tokenizer
    return chosen


def _put_a_space_before_every_text(backend: Tokenizer) -> None:
    """As sentencepiece does; transformers leaves it out where a text begins with one."""
    backend.normalizer = normalizers.Sequence(
        [normalizers.Prepend(_SPACE), normalizers.Replace(" ", _SPACE)]
    )
    backend.pre_tokenizer = None


def _split_as_learnt(backend: Tokenizer, words: str | None, *, name: str) -> None:
    """Merges were learnt within words: split otherwise, a text would get other ids."""
    if words == "smollm":  # not known to transformers: each digit is a word of its own
        backend.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(False)]
        )
    elif words not in _LIKE_GPT_2 and isinstance(backend.pre_tokenizer, pre_tokenizers.ByteLevel):
        announce(
            f"{name}: transformers does not know how '{words}' splits a text into words, and "
            "splits as GPT-2: some ids may be others than in training; better take the model's "
            "folder from a hub"
        )


def _of_the_file_alone(loaded: Any, facts: TokenizerFacts) -> PreTrainedTokenizerFast:
    """Without tokens that transformers' class adds, for which the model has no embedding."""
    told = json.loads(loaded.backend_tokenizer.to_str())
    told["added_tokens"] = [token for token in told["added_tokens"] if token["id"] < facts.n_tokens]
    roles = ("bos_token", "eos_token", "unk_token", "pad_token")
    ids = {role: getattr(loaded, f"{role}_id") for role in roles}
    named = {
        role: getattr(loaded, role)
        for role in roles
        if ids[role] is not None and ids[role] < facts.n_tokens
    }
    build: Any = PreTrainedTokenizerFast
    tokenizer: PreTrainedTokenizerFast = build(
        tokenizer_object=Tokenizer.from_str(json.dumps(told)),
        chat_template=loaded.chat_template,
        clean_up_tokenization_spaces=False,
        model_max_length=facts.max_tokens,
        **named,
    )
    return tokenizer
