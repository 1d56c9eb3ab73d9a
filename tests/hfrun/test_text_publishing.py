"""A classifier of texts on a hub: what comes back predicts what was judged, by stock classes."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from transformers import AutoConfig

from hfrun.cli import main as hfrun
from hfrun.evaluation.text_predictions import read_text_predictions
from hfrun.run_folder import read_run
from hfrun.staging import stage
from tests.hfrun.conftest import UserHub
from tests.hfrun.text_run_case import TextHome

TEMPLATE = "{text} It was"

# A user's own process: the hub by HF_ENDPOINT, the model by its id, the template from its config.
ASK = """
import json, sys
import hfrun.models
from transformers import AutoConfig, pipeline
repo, texts = sys.argv[1], json.loads(sys.argv[2])
template = AutoConfig.from_pretrained(repo).template
ask = pipeline("text-classification", model=repo, top_k=None)
said = [ask([template.replace("{text}", text)])[0] for text in texts]
print(json.dumps([{each["label"]: each["score"] for each in one} for one in said]))
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> TextHome:
    pytest.importorskip("peft")
    made = TextHome.make(tmp_path_factory.mktemp("texts of somebody"))
    words = (f"data.template='{TEMPLATE}'", "model.label_words=[awful, fine]")
    assert made.train(*words, "model.lora={rank: 2}", "training.head_learning_rate=0.02") == 0
    return made


def test_the_template_is_in_the_models_config(finished: TextHome) -> None:
    assert AutoConfig.from_pretrained(finished.folder / "model").template == TEMPLATE


def test_no_staged_file_of_a_text_run_holds_a_path_of_this_machine(
    finished: TextHome, tmp_path: Path
) -> None:
    staged = tmp_path / "staged"
    stage(finished.folder, staged, repo="alice/reviews", run=read_run(finished.folder))
    for path in (path for path in staged.rglob("*") if path.is_file()):
        assert str(finished.home).encode() not in path.read_bytes(), path.name


def test_a_text_model_comes_back_from_a_hub_with_the_probabilities_that_were_judged(
    finished: TextHome, user_hub: UserHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", user_hub.alice)
    repo = "alice/reviews"
    pushed = ["push", str(finished.folder), "--repo", repo, "--endpoint", user_hub.endpoint]
    assert hfrun(pushed) == 0
    table = read_text_predictions(finished.folder / "predictions.parquet")
    monkeypatch.setenv("HF_ENDPOINT", user_hub.endpoint)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    typed = [sys.executable, "-c", ASK, repo, json.dumps(table.texts[:6])]
    done = subprocess.run(typed, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    said = json.loads(done.stdout.splitlines()[-1])
    got = [[each[name] for name in table.label_names] for each in said]
    np.testing.assert_allclose(got, table.probabilities[:6], rtol=0, atol=1e-5)
