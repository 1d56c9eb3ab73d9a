"""The model card: every figure from the records, nothing invented, nothing foreign as markup."""

import copy
from typing import Any

import pytest
from huggingface_hub import ModelCard

from hfrun.hub.card.card_metadata import front_matter
from hfrun.hub.card.markdown import escaped, number, yaml_block
from hfrun.hub.card.model_card import model_card
from hfrun.hub.descriptions.metadata import card_metadata

RUN: dict[str, Any] = {
    "name": "btc-10",
    "command": "hfrun walk-forward configs/btc.yaml",
    "git": {"commit": "abc123", "dirty": True},
    "versions": {"torch": "2.13.0", "transformers": "5.23.0"},
    "seed": 7,
    "created_at": "2024-05-01T00:00:00+00:00",
    "data": [
        {"path": "/home/me/book.parquet", "sha256": "f" * 64, "rows": 1000, "instrument": "BTC/USD"}
    ],
    "config": {"run": {"name": "btc-10"}, "hub": {"license": "apache-2.0"}, "latency_ns": 0},
    "training": {"train_eval_gap": 0.03125, "folds": [{"loss": 1.0}]},
}
MODEL_CONFIG = {"model_type": "deeplob", "window": 100, "levels": 10,
                "id2label": {"0": "down", "1": "flat", "2": "up"}}  # fmt: skip


def figure(value: float | None, low: float | None = None, high: float | None = None) -> dict:
    return {"value": value, "low": low, "high": high}


REPORT: dict[str, Any] = {
    "verdict": "fail",
    "gates": [
        {"name": "f1_lift", "passed": True, "value": 0.04, "limit": 0.02, "required": True,
         "reason": "0.44 against 0.40"},
        {"name": "backtest", "passed": False, "value": -0.5, "limit": 0.0, "required": True,
         "reason": "costs | eat <b>it</b>"},
        {"name": "calibration", "passed": None, "value": None, "limit": 0.08, "required": False,
         "reason": "not judged"},
    ],
    "aggregate": {
        "accuracy": figure(0.51, 0.49, 0.53),
        "f1_weighted": figure(0.444444, 0.43, 0.46),
        "mcc": figure(None),
        "net_return": figure(-0.001234),
        "baselines": {"majority": {"accuracy": figure(0.4), "f1_weighted": figure(0.2)}},
    },
    "folds": [
        {"fold": 0, "n": 500, "accuracy": 0.5, "f1_weighted": 0.41, "mcc": None, "trades": 12},
        {"fold": 1, "n": 400, "accuracy": 0.52, "f1_weighted": 0.46, "mcc": 0.1, "trades": 0},
    ],
}  # fmt: skip


def card(**changes: Any) -> str:
    given = {"repo_id": "alice/btc-10", "run": RUN, "report": REPORT, "model_config": MODEL_CONFIG}
    return model_card(**{**given, **changes})


def test_the_front_matter_is_what_the_clients_card_class_reads() -> None:
    data = ModelCard(card()).data
    assert (data.library_name, data.pipeline_tag) == ("transformers", "tabular-classification")
    assert (data.license, data.tags) == ("apache-2.0", ["hfrun", "deeplob", "limit-order-book"])
    assert data.model_name == "btc-10"
    results = [(r.metric_type, r.metric_value, r.dataset_type) for r in data.eval_results]
    assert results == [("accuracy", 0.51, "btc-usd"), ("f1", 0.444444, "btc-usd")]
    assert data.eval_results[0].dataset_name == "BTC/USD"
    assert card_metadata(card())["metrics"] == ["accuracy", "f1"]


def test_gates_are_listed_with_outcome_value_limit_and_reason() -> None:
    text = card()
    assert "## Verdict: fail\n" in text
    assert "## Verdict: pass\n" in card(report={"verdict": "pass"})
    assert "| f1_lift | passed | 0.04 | 0.02 | yes | 0.44 against 0.40 |" in text
    assert "| calibration | not judged | – | 0.08 | no | not judged |" in text
    assert (
        r"| backtest | **failed** | -0.5 | 0 | yes | costs \| eat &lt;b&gt;it&lt;/b&gt; |" in text
    )


def test_figures_carry_their_intervals_and_unknown_ones_are_left_out() -> None:
    text = card()
    assert "| accuracy | 0.51 | 0.49 to 0.53 |" in text
    assert "| return after costs | -0.001234 | – |" in text
    aggregate = text.partition("## Figures")[2].partition("## ")[0]
    assert "Matthews" not in aggregate


def test_baselines_and_folds_are_tables_of_the_same_figures() -> None:
    text = card()
    assert "| this model | 0.51 | 0.4444 | -0.001234 |\n| majority | 0.4 | 0.2 | – |" in text
    assert "| 0 | 500 | 0.5 | 0.41 | – | 12 |\n| 1 | 400 | 0.52 | 0.46 | 0.1 | 0 |" in text


def test_the_card_tells_how_to_load_the_model_and_links_nowhere() -> None:
    text = card()
    assert "import hfrun.models" in text
    assert 'AutoModelForSequenceClassification.from_pretrained("alice/btc-10")' in text
    assert "shape (B, 100, 40)" in text
    assert "http" not in text.lower().replace("hfrun", "")
    assert "](" not in text


def test_data_and_training_are_recorded_without_the_path_of_the_machine() -> None:
    text = card()
    assert f"| BTC/USD | book.parquet | 1000 | `{'f' * 64}` |" in text
    assert "/home/me" not in text
    assert "- source: commit abc123, with uncommitted changes" in text
    assert "- versions: torch 2.13.0, transformers 5.23.0" in text
    assert "- train_eval_gap: 0.03125" in text
    assert "latency_ns: 0" in text


def test_what_the_model_does_not_show_depends_on_the_records() -> None:
    assert "It failed required gates" in card()
    assert "other than BTC/USD" in card()
    passed = copy.deepcopy(REPORT) | {"verdict": "pass"}
    assert "It failed required gates" not in card(report=passed)
    assert "There is no walk-forward report" in card(report=None)


@pytest.mark.parametrize("key", [*RUN, None])
def test_a_missing_record_is_left_out_and_never_invented(key: str | None) -> None:
    run = {} if key is None else {k: v for k, v in RUN.items() if k != key}
    text = card(run=run)
    assert ModelCard(text).data.library_name == "transformers"
    for word in ("None", "null", "nan"):
        assert word not in text
    if key in (None, "data"):
        assert "## Data" not in text
        assert "model-index" not in text  # figures without data would have to name some


@pytest.mark.parametrize(
    "report",
    [{}, {"aggregate": None, "folds": None, "gates": None}, {"folds": [], "gates": []},
     {"aggregate": {"accuracy": 0.5}, "folds": ["x"], "gates": [{}], "verdict": "pass"},
     {"aggregate": {"accuracy": figure(float("nan"))}, "folds": [{"accuracy": None}]}],
)  # fmt: skip
def test_reports_with_gaps_make_cards_with_gaps(report: dict[str, Any]) -> None:
    text = card(report=report)
    assert "model-index" not in text
    assert "## Fold by fold" not in text
    assert "## How to load it" in text


def test_nothing_from_the_records_becomes_markup_or_ends_the_front_matter() -> None:
    hostile = "x\n---\n# forged [link](javascript:x) <script>alert(1)</script> ```"
    run = copy.deepcopy(RUN) | {"name": hostile, "command": hostile}
    run["data"][0]["instrument"] = hostile
    run["config"] = {"hub": {"license": hostile}, "note": hostile + "\n````\n# forged"}
    report = copy.deepcopy(REPORT)
    report["gates"][0]["reason"] = report["gates"][0]["name"] = hostile
    text = card(run=run, report=report, model_config={**MODEL_CONFIG, "model_type": hostile})
    metadata = card_metadata(text)
    assert metadata["license"] == hostile
    assert metadata["model-index"][0]["results"][0]["dataset"]["name"] == hostile
    body = text.split("\n---\n\n# ", 1)[1]
    fence = "`" * 5  # one longer than the longest inside
    outside, inside, _ = body.replace(f"{fence}yaml", fence).split(fence)
    assert "forged" in inside
    assert "<script>" not in outside
    assert "[link]" not in outside.replace(r"\[link\]", "")
    assert "\n# forged" not in outside


def test_a_text_model_is_tagged_as_one() -> None:
    tags = front_matter(
        repo_id="a/b", run={}, report=None, model_config={"model_type": "llama", "vocab_size": 9}
    )
    assert tags == {
        "library_name": "transformers",
        "pipeline_tag": "text-classification",
        "tags": ["hfrun", "llama"],
    }


def test_the_small_pieces_of_markdown() -> None:
    assert escaped("a|b <i>\n[x](y)") == r"a\|b &lt;i&gt; \[x\](y)"
    values = [0.123456, 1200, 3.0, None, True, float("nan"), "1"]
    assert [number(v) for v in values] == ["0.1235", "1200", "3", "–", "–", "–", "–"]
    assert yaml_block({"a": "```"}) == "````yaml\na: '```'\n````"


def test_figures_of_several_models_say_which_one_is_here() -> None:
    one = copy.deepcopy(REPORT) | {"folds": REPORT["folds"][:1]}
    two = copy.deepcopy(REPORT) | {"folds": REPORT["folds"][:1] * 2}
    assert "Of 2 models, each trained for its own fold" in card(report=two)
    assert "each trained for its own fold" not in card(report=one)


def test_a_baseline_of_the_hub_is_named_by_its_commit() -> None:
    name = "hub:alice/in|use@v1"
    figures = {"accuracy": figure(0.45)}
    report = copy.deepcopy(REPORT)
    report["aggregate"]["baselines"][name] = figures
    incumbent = {"name": name, "repo": "alice/in|use", "revision": "v1", "commit": "c" * 40}
    text = card(report=report, run={**RUN, "incumbent": incumbent})
    assert r"| hub:alice/in\|use@v1 | 0.45 |" in text
    said = (
        rf"hub:alice/in\|use@v1 is the model that was in use, commit `{'c' * 40}` of alice/in\|use"
    )
    assert said in text
    assert "was in use" not in card(run={**RUN, "incumbent": incumbent})  # it was not compared with
