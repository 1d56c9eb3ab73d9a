"""A tokenizer and language models of a few thousand weights, made anew in each session."""

from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import nn
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    MambaConfig,
    MambaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)
from transformers.modeling_outputs import CausalLMOutput

TEMPLATE = "Review: {text} It was"
WORDS = ["bad", "mediocre", "loud and long"]  # one token, six, three
TEXTS = (
    "An utter joy .",
    "Dull , long and loud ; I wanted my evening back and the money too .",
    "It works",
    "A film of no surprises , well played by all who are in it .",
    "No .",
    "Loud and long , and yet a joy for all of us who wanted that .",
    "caf\u00e9 \u4f60\u597d",
)
_SENTENCES = [*TEXTS, "Review: It was bad It was good It was good It was bad Review: good bad"]


def tiny_tokenizer(*, marks: str = "") -> PreTrainedTokenizerFast:
    """Byte-level pairs, " bad" and " good" one token each; ``marks`` of ``b``eginning and ``e``nd.

    " mediocre" is never joined whole.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=340,
        special_tokens=["<s>", "</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_SENTENCES, trainer)
    if marks:
        from tokenizers.processors import TemplateProcessing

        single = f"{'<s> ' if 'b' in marks else ''}$A{' </s>' if 'e' in marks else ''}"
        tokenizer.post_processor = TemplateProcessing(
            single=single, special_tokens=[("<s>", 0), ("</s>", 1)]
        )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        eos_token="</s>",
        model_input_names=["input_ids"],
    )


def tiny_model(kind: str = "llama", *, seed: int = 0) -> PreTrainedModel:
    """A random language model of a kind, with weights large enough that words differ much."""
    torch.manual_seed(seed)
    size = {"vocab_size": 360, "hidden_size": 32, "num_hidden_layers": 2, "initializer_range": 0.2}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "intermediate_size": 48}
    if kind == "gpt2":
        config = GPT2Config(
            vocab_size=360, n_embd=32, n_layer=2, n_head=4, n_positions=128, initializer_range=0.2,
            bos_token_id=0, eos_token_id=1,
        )  # fmt: skip
        return GPT2LMHeadModel(config).eval()
    if kind == "mistral":
        return MistralForCausalLM(MistralConfig(**size, **heads, sliding_window=8)).eval()
    if kind == "mamba":
        return MambaForCausalLM(MambaConfig(**size, state_size=4)).eval()
    config = LlamaConfig(**size, **heads, max_position_embeddings=128, attention_dropout=0.3)
    return LlamaForCausalLM(config).eval()


class TableConfig(PreTrainedConfig):
    model_type = "table_of_pairs"

    def __init__(self, vocab_size: int = 3, **kwargs: Any) -> None:
        self.vocab_size = vocab_size
        super().__init__(**kwargs)


class TableModel(PreTrainedModel):
    """The next token depends on the last one alone, by a table of logits that a reader can check.

    It knows neither caches nor positions nor which logits are wanted.
    """

    config_class = TableConfig

    def __init__(self, table: torch.Tensor) -> None:
        super().__init__(TableConfig(vocab_size=len(table)))
        self.table = nn.Parameter(table)

    def get_input_embeddings(self) -> nn.Module:
        return nn.Embedding.from_pretrained(self.table.detach())

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> CausalLMOutput:
        return CausalLMOutput(logits=self.table[input_ids])
