"""What a user's own process does with transformers, datasets and evaluate. Prints JSON.

Run with HF_ENDPOINT, HF_TOKEN and HF_HOME set: online|offline MODEL DATASET SPACE FOLDER.
``online`` pushes to the three repositories and loads from them; ``offline`` only loads.
"""

import json
import sys
from pathlib import Path
from typing import Any

import evaluate
import torch
from datasets import Dataset, DatasetDict, load_dataset
from huggingface_hub import HfApi
from transformers import (
    AutoModelForSequenceClassification,
    BertConfig,
    BertForSequenceClassification,
)

from hfrun.evaluation import metric_modules

SAMPLE = torch.arange(12).reshape(2, 6)


def logits(model: torch.nn.Module) -> list[list[float]]:
    model.eval()
    with torch.no_grad():
        return model(input_ids=SAMPLE).logits.tolist()


def rows(repo: str, folder: Path) -> dict[str, list[int]]:
    """Of both splits, as they come back."""
    loaded = load_dataset(repo, cache_dir=str(folder / "cache"))
    return {split: list(part["x"]) for split, part in loaded.items()}


def online(model_repo: str, data_repo: str, metric_repo: str, folder: Path) -> dict[str, Any]:
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=50,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        num_labels=3,
    )
    model = BertForSequenceClassification(config)
    model.push_to_hub(model_repo)
    loaded = logits(AutoModelForSequenceClassification.from_pretrained(model_repo))
    parts = {"train": Dataset.from_dict({"x": [0, 1, 2]}), "test": Dataset.from_dict({"x": [3]})}
    DatasetDict(parts).push_to_hub(data_repo)
    script = Path(metric_modules.__file__).with_name("ece.py")
    HfApi().upload_file(
        path_or_fileobj=script,
        path_in_repo=metric_repo.split("/")[1] + ".py",
        repo_id=metric_repo,
        repo_type="space",
    )
    metric = evaluate.load(metric_repo)
    # One prediction of 0.9 that is right: the gap of confidence and accuracy is 0.1.
    result = metric.compute(predictions=[[0.9, 0.1]], references=[0])
    pairs = zip(logits(model), loaded, strict=True)
    return {
        "logits": loaded,
        "largest_difference": max(abs(a - b) for x, y in pairs for a, b in zip(x, y, strict=True)),
        "rows": rows(data_repo, folder),
        "ece": next(iter(result.values())),
    }


def offline(model_repo: str, data_repo: str, folder: Path) -> dict[str, Any]:
    loaded = AutoModelForSequenceClassification.from_pretrained(model_repo)
    return {"logits": logits(loaded), "rows": rows(data_repo, folder)}


def main(mode: str, model_repo: str, data_repo: str, metric_repo: str, folder: str) -> None:
    if mode == "online":
        found = online(model_repo, data_repo, metric_repo, Path(folder))
    else:
        found = offline(model_repo, data_repo, Path(folder))
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
