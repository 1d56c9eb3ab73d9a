"""A run over texts, from files to a judged model that stock transformers predicts with."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForSequenceClassification, pipeline

from hfrun.evaluation.text_predictions import read_text_predictions
from hfrun.training.trainer import MeasuredTrainer
from tests.hfrun.text_run_case import SIZES, TextHome

WRITTEN = {
    "audit.json", "calibration.json", "config.yaml", "figures.json", "grad_norm.jsonl",
    "metrics.jsonl", "model", "predictions.parquet", "report", "run.json",
    "validation_predictions.parquet",
}  # fmt: skip


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> TextHome:
    made = TextHome.make(tmp_path_factory.mktemp("texts of somebody"))
    assert made.train() == 0
    return made


def test_a_run_learns_what_the_words_say_and_leaves_a_whole_folder(finished: TextHome) -> None:
    assert {path.name for path in finished.folder.iterdir()} >= WRITTEN
    report = json.loads((finished.folder / "report/report.json").read_text())
    fold = report["folds"][0]
    assert fold["n"] == SIZES["test"]
    assert fold["accuracy"] > 0.9 > fold["majority_accuracy"]
    assert {"majority", "tfidf_logistic"} <= set(fold["baselines"])
    run = json.loads((finished.folder / "run.json").read_text())
    assert run["verdict"] == report["verdict"]
    assert {entry["part"] for entry in run["data"]} == set(SIZES)
    assert run["audit"]["accepted"] == {"near_duplicates_across_splits": 500}


def test_stock_transformers_gives_the_probabilities_that_were_judged(finished: TextHome) -> None:
    table = read_text_predictions(finished.folder / "predictions.parquet")
    model = str(finished.folder / "model")
    ask = pipeline("text-classification", model=model, tokenizer=model, top_k=None)
    for text, wanted in zip(table.texts[:5], table.probabilities, strict=False):
        said = {each["label"]: each["score"] for each in ask([text])[0]}
        got = [said[name] for name in table.label_names]
        np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-5)


def test_a_finished_run_is_judged_anew_and_not_trained(
    finished: TextHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (finished.folder / "predictions.parquet").read_bytes()
    monkeypatch.setattr(MeasuredTrainer, "train", None)
    assert finished.train() == 0
    assert (finished.folder / "predictions.parquet").read_bytes() == before


class Killed(BaseException):
    """Ends a training as a signal would: no one catches it."""


def weights(home: TextHome, folder: Path | None = None) -> dict[str, torch.Tensor]:
    return load_file((folder or home.folder) / "model/model.safetensors")


def test_a_killed_run_goes_on_to_the_same_weights(
    finished: TextHome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole_step, folder = MeasuredTrainer.training_step, tmp_path / "killed"
    every = ("training.eval_strategy=steps", "training.save_strategy=steps",
             "training.eval_steps=5", "training.save_steps=5")  # fmt: skip

    def ended(self: MeasuredTrainer, *args: object, **kwargs: object) -> torch.Tensor:
        if self.state.global_step == 17:  # in the second of two epochs of 12 steps
            raise Killed
        return whole_step(self, *args, **kwargs)

    dropout = "model.config={classifier_dropout: 0.3, hidden_dropout: 0.1}"
    assert finished.train(*every, dropout, f"run.output_dir={tmp_path / 'whole'}") == 0
    monkeypatch.setattr(MeasuredTrainer, "training_step", ended)
    with pytest.raises(Killed):
        finished.train(*every, dropout, f"run.output_dir={folder}")
    monkeypatch.setattr(MeasuredTrainer, "training_step", whole_step)
    assert finished.train(*every, dropout, f"run.output_dir={folder}") == 0
    want = weights(finished, tmp_path / "whole")
    for name, got in weights(finished, folder).items():
        assert torch.equal(got, want[name]), name


@pytest.mark.parametrize("pooling", ["last", "mean"])
def test_batch_8_equals_4_accumulated_twice(
    finished: TextHome, tmp_path: Path, pooling: str
) -> None:
    found = []
    for batch, times in ((8, 1), (4, 2)):
        folder = tmp_path / f"{batch}x{times}"
        # one order for both: the sampler's batches are those of one device
        assert finished.train(
            f"run.output_dir={folder}", f"training.per_device_train_batch_size={batch}",
            f"training.gradient_accumulation_steps={times}", "training.max_steps=6",
            "training.length_grouped=false", f"model.config.pooling={pooling}",
            "training.weight_decay=0.1", "training.loss.label_smoothing=0.1",
        ) == 0  # fmt: skip
        losses = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        found.append((weights(finished, folder), [x["loss"] for x in losses if "loss" in x]))
    (whole, whole_loss), (parts, parts_loss) = found
    assert len(whole_loss) == 3
    assert parts_loss == pytest.approx(whole_loss, rel=1e-5)
    for name, want in whole.items():
        torch.testing.assert_close(parts[name], want, rtol=1e-4, atol=1e-5)


def test_adapters_are_trained_alone_and_merged_into_an_ordinary_model(
    finished: TextHome, tmp_path: Path
) -> None:
    pytest.importorskip("peft")
    folder = tmp_path / "lora"
    assert finished.train(
        f"run.output_dir={folder}", "model.lora={rank: 2, alpha: 8}", "training.learning_rate=0.03"
    ) == 0  # fmt: skip
    before, after = (
        load_file(finished.language_model / "model.safetensors"),
        weights(finished, folder),
    )
    assert not any("lora" in name for name in after)
    assert torch.equal(before["model.embed_tokens.weight"], after["model.embed_tokens.weight"])
    moved = (
        after["model.layers.0.self_attn.q_proj.weight"]
        - before["model.layers.0.self_attn.q_proj.weight"]
    )
    assert 1 <= torch.linalg.matrix_rank(moved, atol=1e-6) <= 2
    table = read_text_predictions(folder / "predictions.parquet")
    loaded = AutoModelForSequenceClassification.from_pretrained(folder / "model")
    assert loaded.config.id2label == {0: "bad", 1: "good"}
    assert (table.probabilities.argmax(1) == table.labels).mean() > 0.8


def test_frozen_layers_and_embedding_stay_and_the_others_move(
    finished: TextHome, tmp_path: Path
) -> None:
    folder = tmp_path / "frozen"
    freeze = "model.freeze={embedding: true, layers: 1}"
    assert finished.train(f"run.output_dir={folder}", freeze) == 0
    before, after = (
        load_file(finished.language_model / "model.safetensors"),
        weights(finished, folder),
    )
    same = {name for name in before if torch.equal(before[name], after[name])}
    assert same == {
        name for name in before if name.startswith(("model.embed_tokens.", "model.layers.0."))
    }


REFUSED = {
    "model.freeze.layers=9": "model.freeze.layers=9; the model has 2",
    "model.label_words=[bad]": "model.label_words has 1; needs 2, one for each label",
    "model.label_words=[bad, bad]": "have the same tokens",
    "model.config.hidden_size=64": "model.config.hidden_size: comes from the weights",
    "model.config.poling=mean": "model.config.poling: unknown key; did you mean pooling?",
    "model.config.classifier_dropout=1.5": "classifier_dropout=1.5; needs 0 <= dropout < 1",
    "model.pretrained=./nowhere": "./nowhere: there is no such folder",
    "model.pretrained=${NOT_SET_ANYWHERE}": "the environment variable in it is not set",
    "training.per_device_train_batch_size=97": "an optimizer step takes 97 texts",
    "training.stretch=4": "training.stretch: unknown key",
    "training.loss.sample_weights=move": "texts have none: leave it out",
    "walk_forward.train=10": "walk_forward: is for order books",
    "data.template=It was": "template='It was' needs {text} in it once",
    "data.max_length=0": "max_length=0 needs to be at least 1",
    "data.audit.accept={near_duplicate: 3}": "did you mean near_duplicates",
    "training.metric_for_best_model=eval_acc": "no evaluation reports it",
}


@pytest.mark.parametrize("override", REFUSED)
def test_what_would_fail_a_run_is_refused_before_its_folder_is_made(
    finished: TextHome, tmp_path: Path, capsys: pytest.CaptureFixture[str], override: str
) -> None:
    folder = tmp_path / "refused"
    assert finished.train(f"run.output_dir={folder}", override) == 2
    error = capsys.readouterr().err
    assert REFUSED[override] in error
    assert "Traceback" not in error
    assert not folder.exists()


def test_a_copied_test_text_in_train_stops_the_training_unless_it_is_accepted(
    finished: TextHome, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train = tmp_path / "train.txt"
    copied = (finished.home / "test.txt").read_text().splitlines()[0]
    train.write_text((finished.home / "train.txt").read_text() + copied + "\n")
    given = (f"data.train={train}", f"run.output_dir={tmp_path / 'run'}", "training.max_steps=2")
    assert finished.train(*given) == 2
    assert "data.audit.accept.duplicates_across_splits=1" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
    assert finished.train(*given, "data.audit.accept.duplicates_across_splits=1") == 0


def test_a_template_longer_than_the_model_may_read_is_refused(
    finished: TextHome, capsys: pytest.CaptureFixture[str]
) -> None:
    assert finished.train("data.template='{text} It was'", "data.max_length=2") == 2
    assert "have 2 tokens and data.max_length is 2" in capsys.readouterr().err


def test_other_texts_do_not_go_on_in_a_runs_folder(
    finished: TextHome, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "train.txt"
    lines = Path(finished.home / "train.txt").read_text().splitlines()
    other.write_text("\n".join(lines[:-1]) + "\n")
    assert finished.train(f"data.train={other}") == 2
    assert "holds the run 'reviews' of another config" in capsys.readouterr().err
