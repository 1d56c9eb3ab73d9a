"""The card of a classifier of texts: its figures, its limits, and code that runs as it stands."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from huggingface_hub import ModelCard
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from hfrun.hub.card.card_metadata import front_matter
from hfrun.hub.card.model_card import model_card
from hfrun.models.configuration_llama_classifier import LlamaClassifierConfig
from hfrun.models.llama_classifier import LlamaClassifier
from tests.hfrun.evaluation.text_cases import NAMES, judged

RUN: dict[str, Any] = {
    "name": "tiny",
    "seed": 0,
    "data": [
        {"path": "data/sst-train.txt", "part": "train", "rows": 900, "sha256": "a" * 64},
        {"path": "data/sst-test.txt", "part": "test", "rows": 600, "sha256": "b" * 64},
    ],
    "config": {"data": {"template": "{text}", "max_length": 64}},
}
MODEL_CONFIG = {"model_type": "llama_classifier", "vocab_size": 9,
                "id2label": {str(i): name for i, name in enumerate(NAMES)}}  # fmt: skip


def card(**changes: Any) -> str:
    given = {"repo_id": "alice/tiny", "run": RUN, "report": judged(), "model_config": MODEL_CONFIG}
    return model_card(**{**given, **changes})


def test_every_figure_stands_on_the_card_with_its_interval() -> None:
    report = judged()
    text = card(report=report)
    assert "## Figures on the test texts" in text
    for key, name in (("accuracy", "accuracy"), ("nll", "negative log-likelihood")):
        own = report["aggregate"][key]
        assert f"| {name} | {own['value']:.4g} | {own['low']:.4g} to {own['high']:.4g} |" in text, (
            key
        )
    lead = report["paired"]["tfidf_logistic"]["f1_weighted"]
    assert f"| tfidf_logistic | {lead['difference']:.4g} | {lead['low']:.4g} to" in text
    for row in report["per_class"]:
        assert f"| {row['label']} | {row['n']} | {row['said']} | {row['recall']:.4g} |" in text
    assert "| test | sst-test.txt | 600 |" in text


def test_a_card_of_texts_speaks_neither_of_books_nor_of_trading() -> None:
    text = card().lower()
    for word in (
        "order book",
        "walk-forward",
        "instrument",
        "latenc",
        "market impact",
        "decisions",
    ):
        assert word not in text, word


def test_the_metadata_names_task_figures_and_test_data() -> None:
    content = ModelCard(card()).data.to_dict()
    assert content["pipeline_tag"] == "text-classification"
    found = front_matter(repo_id="a/b", run=RUN, report=judged(), model_config=MODEL_CONFIG)
    result = found["model-index"][0]["results"][0]
    assert result["dataset"] == {"type": "sst-test-txt", "name": "sst-test.txt"}
    assert "Accuracy, test" in [metric["name"] for metric in result["metrics"]]


def test_calibration_and_a_failed_verdict_are_told() -> None:
    calibration = {"temperature": 1.52, "claim": "improved", "reason": "ECE 0.1 -> 0.02"}
    text = card(report=judged(skill=0.0, calibration=calibration))
    assert "A temperature of 1.52 was fitted on validation" in text
    assert "On test: improved. ECE 0.1 -&gt; 0.02" in text
    assert "It failed required gates: do not put it to use as it is." in text


def test_a_model_without_a_report_says_that_nothing_is_shown() -> None:
    text = card(report=None)
    assert "There is no report: nothing is shown about how often it is right." in text
    assert "text-classification" in text


def test_markup_in_names_stays_text() -> None:
    report = judged()
    report["per_class"][0]["label"] = "<b>|x"
    assert "| &lt;b&gt;\\|x |" in card(report=report)


@pytest.mark.parametrize(
    "template", ["{text}", '{text} {"It"} was `\n```', "a {text} in {{x}} 100%\\"]
)
def test_the_code_of_the_card_runs_and_gives_what_the_model_gives(
    tmp_path: Path, template: str
) -> None:
    words = ["<pad>", "<unk>", "The", "first", "second", "text", ".", "It", "was"]
    tokens = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, unk_token="<unk>"))
    tokens.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=tokens, pad_token="<pad>", unk_token="<unk>"
    )
    torch.manual_seed(0)
    model = LlamaClassifier(
        LlamaClassifierConfig(
            vocab_size=len(words), hidden_size=16, intermediate_size=16, num_hidden_layers=1,
            num_attention_heads=2, max_position_embeddings=64, pad_token_id=0,
            id2label=dict(enumerate(NAMES)), label2id={n: i for i, n in enumerate(NAMES)},
        )
    ).eval()  # fmt: skip
    torch.nn.init.normal_(model.head.weight)
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    run = {**RUN, "config": {"data": {"template": template, "max_length": 64}}}
    text = card(run=run)
    code = re.search(r"```python\n(.*?)\n```", text, re.DOTALL)[1]  # type: ignore[index]
    code = code.replace('"alice/tiny"', repr(str(tmp_path)))
    *lines, last = code.splitlines()
    scope: dict[str, Any] = {}
    exec("\n".join([*lines, f"found = {last}"]), scope)
    for words_of, scores in zip(scope["texts"], scope["found"], strict=True):
        before, _, after = template.partition("{text}")
        ids = tokenizer(f"{before}{words_of}{after}", return_tensors="pt")
        with torch.no_grad():
            logits = model(ids["input_ids"], ids["attention_mask"]).logits[0].double()
        wanted = dict(zip(NAMES, torch.softmax(logits, dim=0).tolist(), strict=True))
        given = {each["label"]: each["score"] for each in scores}
        assert given == pytest.approx(wanted, abs=1e-6)
    assert np.ptp([each["score"] for each in scope["found"][0]]) > 1e-3
