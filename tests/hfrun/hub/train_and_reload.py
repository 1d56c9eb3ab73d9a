"""What a user's own process does: Trainer(push_to_hub=True), then load by id. Prints JSON.

Run with HF_ENDPOINT, HF_TOKEN and HF_HUB_DISABLE_XET set; the argument is a folder to work in.
"""

import json
import sys
from pathlib import Path

import torch
from transformers import (
    AutoModelForSequenceClassification,
    BertConfig,
    BertForSequenceClassification,
    Trainer,
    TrainingArguments,
)

SAMPLE = torch.arange(12).reshape(2, 6)


def logits(model: torch.nn.Module) -> torch.Tensor:
    model.eval()
    with torch.no_grad():
        return model(input_ids=SAMPLE).logits


def difference(model: torch.nn.Module, repo: str) -> float:
    """Largest difference of logits between a model and what the hub gives back."""
    loaded = AutoModelForSequenceClassification.from_pretrained(repo)
    return float((logits(model) - logits(loaded)).abs().max())


def main(folder: Path) -> None:
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
    arguments = TrainingArguments(
        output_dir=str(folder / "trained"),
        push_to_hub=True,
        hub_model_id="alice/trained",
        max_steps=2,
        save_steps=1,
        per_device_train_batch_size=2,
        use_cpu=True,
        disable_tqdm=True,
    )
    samples = [{"input_ids": row, "labels": torch.tensor(1)} for row in SAMPLE]
    before = logits(model)
    trainer = Trainer(model=model, args=arguments, train_dataset=samples)
    trainer.train()
    trainer.push_to_hub(commit_message="End of training")
    model.push_to_hub("alice/pushed", private=True)
    found = {
        "trained": difference(model, "alice/trained"),
        "pushed": difference(model, "alice/pushed"),
        "moved": float((logits(model) - before).abs().max()),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
