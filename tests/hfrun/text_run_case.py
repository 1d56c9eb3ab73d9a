"""A run over texts that takes a second: made-up reviews, a tokenizer of words, a tiny LLaMA."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from hfrun.cli import main as hfrun
from hfrun.config import TextRunConfig, load_config

FEELINGS = {"bad": ["dull", "awful", "poor"], "good": ["fine", "superb", "joyful"]}
THINGS = [f"{kind}{number}" for kind in ("film", "actor", "scene") for number in range(12)]
FILLERS = ["the", "a", "was", "with", "and", "It", "very"]
SIZES = {"train": 96, "validation": 40, "test": 48}


def write_reviews(path: Path, *, n: int, seed: int) -> None:
    """``LABEL ||| text`` lines, no two alike, whose feeling is said in words."""
    rng = np.random.default_rng(seed)
    lines: dict[str, None] = {}
    while len(lines) < n:
        label = int(rng.integers(2))
        word = rng.choice(list(FEELINGS.values())[label])
        things = rng.choice(THINGS, size=int(rng.integers(3, 12)), replace=False)
        lines[f"{label} ||| the {' and '.join(things)} was {word}"] = None
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_language_model(folder: Path) -> None:
    """A random causal LLaMA with its tokenizer, as a hub would have it."""
    felt = [word for words in FEELINGS.values() for word in words]
    words = ["<s>", "</s>", "<unk>", *felt, *FEELINGS, *THINGS, *FILLERS]
    tokenizer = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        model_input_names=["input_ids", "attention_mask"],
    ).save_pretrained(folder)
    torch.manual_seed(0)
    LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(words),
            hidden_size=16,
            intermediate_size=24,
            num_hidden_layers=2,
            num_attention_heads=2,
            max_position_embeddings=64,
            tie_word_embeddings=True,
            initializer_range=0.2,
            bos_token_id=0,
            eos_token_id=1,
        )
    ).save_pretrained(folder)


@dataclass(frozen=True, kw_only=True)
class TextHome:
    """Texts, a language model and a config in one folder."""

    home: Path

    @classmethod
    def make(cls, home: Path, **sections: Any) -> "TextHome":
        """Write all of it; ``sections`` are laid over the config's."""
        made = cls(home=home)
        for seed, (part, n) in enumerate(SIZES.items()):
            write_reviews(home / f"{part}.txt", n=n, seed=seed)
        write_language_model(made.language_model)
        config: dict[str, Any] = {
            "run": {"name": "reviews", "output_dir": str(made.folder)},
            "data": {
                **{part: str(home / f"{part}.txt") for part in SIZES},
                "labels": ["bad", "good"],
                "max_length": 40,
                "audit": {"accept": {"near_duplicates_across_splits": 500}},
            },
            "model": {
                "pretrained": str(made.language_model),
                "config": {"classifier_dropout": 0.0},
            },
            "training": {
                "num_train_epochs": 2,
                "per_device_train_batch_size": 8,
                "learning_rate": 0.01,
                "logging_steps": 2,
                "bf16": False,
            },
            "callbacks": {"gap_samples": 16},
        }
        for name, values in sections.items():
            config[name] = {**config.get(name, {}), **values}
        made.config.write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
        return made

    @property
    def folder(self) -> Path:
        return self.home / "run"

    @property
    def config(self) -> Path:
        return self.home / "config.yaml"

    @property
    def language_model(self) -> Path:
        return self.home / "language_model"

    def load(self, *overrides: str) -> TextRunConfig:
        """The config as the command reads it."""
        config = load_config(self.config, overrides)
        assert isinstance(config, TextRunConfig)
        return config

    def train(self, *overrides: str) -> int:
        """Exit code of ``hfrun train``."""
        return hfrun(["train", str(self.config), *overrides])
