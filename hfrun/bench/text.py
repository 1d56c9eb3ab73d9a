"""Speed of fine-tuning a LLaMA on SST-5: an epoch of our Trainer against a plain loop.

    plain   transformers' LlamaModel in float32, random batches of 80 padded to the longest,
            the last real token's state, a linear head, AdamW
    ours    what hfrun does by default: no padding computed, texts of about one length together,
            bfloat16 where it is fast, through the Trainer with its measurements

Both train a new model of 42 million weights (8 layers, 512 wide, 32,000 pieces), in turns in one
process, each on the same part of the train texts; ``epoch_ratio`` is the time of all parts of the
one over that of the other. Bench is run by hand (``scripts/bench text``): no test asserts on time.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from transformers import LlamaConfig, LlamaModel, PreTrainedTokenizerFast, set_seed

from hfrun.config import TextRunConfig, config_from
from hfrun.data.text_batches import TextCollator, Tokens
from hfrun.data.texts import read_splits
from hfrun.errors import DataError
from hfrun.text_trainer import TokenizedSplits, text_classifier, text_trainer, tokenize_splits
from lob_backtest.bench import machine
from lob_backtest.command_line import EXIT_DONE, run_command
from lob_backtest.files import write_json
from lob_backtest.progress import announce

WANTED = 5.0
BATCH = 80
SIZES = {
    "vocab_size": 32_000,
    "hidden_size": 512,
    "intermediate_size": 1376,
    "num_hidden_layers": 8,
    "num_attention_heads": 8,
    "max_position_embeddings": 1024,
}
# A vocabulary learnt from so few texts would hold every word whole; of this size it cuts them into
# about as many pieces as a LLaMA's own of 32,000 does.
_LEARNT_PIECES = 6_000
_LEARNING_RATE = 1e-5


def epoch_speed(config: TextRunConfig, data: TokenizedSplits, *, parts: int) -> dict[str, Any]:
    """Seconds of both sides for each part of the train texts, in turns.

    Args:
        config: of our side.
        data: tokens of all texts.
        parts: how many the train texts are cut into at random; a part is a whole small epoch.
    """
    set_seed(0)
    plain_model, head = LlamaModel(LlamaConfig(**SIZES)), nn.Linear(SIZES["hidden_size"], 5)
    ours_model = text_classifier(config, data)
    optimizer = torch.optim.AdamW(
        [*plain_model.parameters(), *head.parameters()], lr=_LEARNING_RATE
    )
    order = np.random.default_rng(0).permutation(len(data.splits.train))
    rounds = []
    for number, chosen in enumerate(np.array_split(order, parts), start=1):
        part = _only(data, np.sort(chosen))
        seconds = {
            "plain": _plain_epoch(plain_model, head, optimizer, part, seed=number),
            "ours": _our_epoch(config, ours_model, part),
        }
        announce(
            f"part {number} of {parts}: " + ", ".join(f"{k} {v:.1f} s" for k, v in seconds.items())
        )
        rounds.append({"texts": len(chosen), **seconds})
    ratios = [each["plain"] / each["ours"] for each in rounds]
    total = {side: sum(each[side] for each in rounds) for side in ("plain", "ours")}
    return {
        "parameters": sum(weight.numel() for weight in plain_model.parameters()),
        "texts": len(order),
        "tokens_a_text": float(data.tokens["train"].length.mean()),
        "plain_texts_per_second": len(order) / total["plain"],
        "our_texts_per_second": len(order) / total["ours"],
        "epoch_ratio": total["plain"] / total["ours"],
        "epoch_ratio_range": [min(ratios), max(ratios)],
        "epoch_ratio_median": statistics.median(ratios),
        "parts": rounds,
    }


def _plain_epoch(
    model: LlamaModel, head: nn.Linear, optimizer: torch.optim.Optimizer, part: TokenizedSplits,
    *, seed: int,
) -> float:  # fmt: skip
    """One epoch as it is usually written down."""
    tokens, labels = part.tokens["train"], part.splits.train.labels
    order = np.random.default_rng(seed).permutation(len(labels))
    collate = TextCollator()
    model.train()
    started = time.perf_counter()
    for start in range(0, len(order), BATCH):
        chosen = order[start : start + BATCH]
        batch = collate([{"input_ids": tokens.ids[i], "labels": int(labels[i])} for i in chosen])
        mask = batch["attention_mask"]
        hidden = model(input_ids=batch["input_ids"], attention_mask=mask).last_hidden_state
        last = hidden[torch.arange(len(chosen)), mask.sum(1) - 1]
        loss = nn.functional.cross_entropy(head(last), batch["labels"])
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return time.perf_counter() - started


def _our_epoch(config: TextRunConfig, model: nn.Module, part: TokenizedSplits) -> float:
    """One epoch of the Trainer, from the call of ``train`` to its return."""
    with tempfile.TemporaryDirectory() as folder:
        trainer = text_trainer(config, part, model=model, folder=Path(folder))
        started = time.perf_counter()
        trainer.train()
        return time.perf_counter() - started


def bench_config(files: Sequence[Path], tokenizer: Path) -> TextRunConfig:
    """Our side: the defaults, without an evaluation, which the plain loop has not either."""
    train, validation, test = map(str, files)
    config = config_from(
        {
            "run": {"name": "bench", "output_dir": "unused"},
            "data": {"train": train, "validation": validation, "test": test, "max_length": 256},
            "model": {"tokenizer": str(tokenizer), "config": SIZES},
            "training": {
                "num_train_epochs": 1,
                "per_device_train_batch_size": BATCH,
                "learning_rate": _LEARNING_RATE,
                "logging_steps": 10,
                "eval_strategy": "no",
                "save_strategy": "no",
                "load_best_model_at_end": False,
            },
        },
        source="scripts/bench text",
    )
    assert isinstance(config, TextRunConfig)
    return config


def learn_tokenizer(texts: Sequence[str], folder: Path) -> Path:
    """A byte-level BPE tokenizer from the texts themselves, as no public one is at hand."""
    from tokenizers import ByteLevelBPETokenizer

    learnt = ByteLevelBPETokenizer()
    learnt.train_from_iterator(
        texts, vocab_size=_LEARNT_PIECES, special_tokens=["<s>", "</s>"], show_progress=False
    )
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=learnt._tokenizer, bos_token="<s>", eos_token="</s>", pad_token="</s>"
    )
    wrapped.save_pretrained(folder)
    return folder


def _only(data: TokenizedSplits, chosen: np.ndarray) -> TokenizedSplits:
    """The same with some of the train texts."""
    tokens = data.tokens["train"]
    splits = replace(data.splits, train=data.splits.train.take(chosen))
    of_part = Tokens(
        ids=tuple(tokens.ids[i] for i in chosen), full_length=tokens.full_length[chosen]
    )
    return TokenizedSplits(
        splits=splits, tokens={**data.tokens, "train": of_part}, tokenizer=data.tokenizer
    )


def sst5_files(folder: Path | None) -> list[Path]:
    """SST-5's three files in ``folder``, else where SST5 or LOB_DATA_DIR say.

    Raises:
        DataError: they are not there.
    """
    named = [folder, os.environ.get("SST5"), os.environ.get("LOB_DATA_DIR")]
    places = [Path(place) for place in named if place]
    places += [place / "data" / "text" / "sst5" for place in places]
    for place in places:
        files = [place / f"sst-{part}.txt" for part in ("train", "dev", "test")]
        if all(path.is_file() for path in files):
            return files
    raise DataError(
        "SST-5 is not there: give the folder of sst-train.txt, sst-dev.txt and sst-test.txt as "
        "--texts, or export SST5"
    )


def main(argv: Sequence[str] | None = None) -> int:
    """The command line of ``scripts/bench text``."""
    parser = argparse.ArgumentParser(prog="scripts/bench text", description=__doc__)
    parser.add_argument("--json", type=Path, required=True, metavar="FILE")
    parser.add_argument("--texts", type=Path, metavar="DIR", help="folder of SST-5's files")
    parser.add_argument(
        "--parts", type=int, default=8, metavar="N", help="turns that an epoch is cut into"
    )
    parser.add_argument(
        "--only", type=int, metavar="N", help="as many train texts, for a quicker look"
    )
    parser.set_defaults(run=_run)
    return run_command(parser, argv)


def _run(arguments: argparse.Namespace) -> int:
    files = sst5_files(arguments.texts)
    with tempfile.TemporaryDirectory() as folder:
        config = bench_config(files, Path(folder))
        splits = read_splits(config.data)
        learn_tokenizer(splits.train.texts, Path(folder))
        data = tokenize_splits(config, splits)
        if arguments.only is not None:
            data = _only(data, np.arange(min(arguments.only, len(splits.train))))
        found = epoch_speed(config, data, parts=arguments.parts)
    about = {**machine(), "torch": torch.__version__, "threads": torch.get_num_threads()}
    write_json(arguments.json, {"machine": about, **found})
    print(f"epoch_ratio {found['epoch_ratio']:.2f} (wanted: at least {WANTED:g})")
    return EXIT_DONE


if __name__ == "__main__":
    sys.exit(main())
