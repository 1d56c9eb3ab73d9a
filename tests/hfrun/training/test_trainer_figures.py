"""What the trainer reports: norms, losses, gap, files; and what it takes and gives back."""

import json
import math

import numpy as np
import pytest
import torch
from transformers import AutoModelForSequenceClassification, TrainerCallback
from transformers.trainer_utils import EvalPrediction

from hfrun.training.step_records import read_step_records


def test_logged_norm_percentiles_equal_those_of_the_recorded_steps(
    make_trainer, tmp_path, events
) -> None:
    trainer = make_trainer(arguments={"logging_steps": 4, "max_grad_norm": 0.3})
    trainer.train()
    records = read_step_records(tmp_path / "run" / "grad_norm.jsonl")
    assert [record.step for record in records] == list(range(1, 11))
    windows = {4: records[0:4], 8: records[4:8]}
    logged = events(trainer, "loss")
    assert [event["step"] for event in logged] == list(windows)
    for event in logged:
        norms = np.array([record.norm for record in windows[event["step"]]])
        assert event["grad_norm"] == pytest.approx(norms.mean())
        assert event["grad_norm_p50"] == pytest.approx(np.percentile(norms, 50))
        assert event["grad_norm_p95"] == pytest.approx(np.percentile(norms, 95))
        assert event["grad_norm_max"] == norms.max()
        assert event["grad_norm_clipped_share"] == (norms > 0.3).mean()
        assert event["loss"] == pytest.approx(
            np.mean([record.loss for record in windows[event["step"]]])
        )
    norms = np.array([record.norm for record in records])
    (end,) = events(trainer, "train_runtime")
    assert end["run_grad_norm_p50"] == pytest.approx(np.percentile(norms, 50))
    assert end["run_grad_norm_p95"] == pytest.approx(np.percentile(norms, 95))
    assert 0 < end["run_grad_norm_clipped_share"] == (norms > 0.3).mean()
    assert trainer.run_summary()["gradient"]["grad_norm_p95"] == end["run_grad_norm_p95"]


def test_recorded_norms_are_those_of_the_gradients_before_and_after_clipping(
    make_trainer, tmp_path, gradients
) -> None:
    runs = {}
    for name, clip in (("free", 0.0), ("clipped", 0.1)):
        kept = gradients()
        arguments = {"max_grad_norm": clip, "max_steps": 1}
        make_trainer(out=name, arguments=arguments, callbacks=[kept]).train()
        (record,) = read_step_records(tmp_path / name / "grad_norm.jsonl")
        runs[name] = (record, kept.seen[0].norm().item())
    free, norm = runs["free"]
    clipped, norm_left = runs["clipped"]
    assert free.norm == free.clipped_norm == pytest.approx(norm, rel=1e-5)
    assert clipped.norm == pytest.approx(norm, rel=1e-5)
    assert (
        clipped.clipped_norm == pytest.approx(norm_left, rel=1e-5) == pytest.approx(0.1, rel=1e-4)
    )


def test_logged_loss_is_upstreams_where_both_are_defined(make_trainer, events) -> None:
    seen: list[float] = []

    trainer = make_trainer(arguments={"logging_steps": 3})
    complete = trainer.log
    trainer.log = lambda logs, *a: (seen.append(logs.get("loss")), complete(logs, *a))
    trainer.train()
    upstream = [loss for loss in seen if loss is not None]
    assert [event["loss"] for event in events(trainer, "loss")] == pytest.approx(upstream, rel=1e-5)


def test_gap_is_train_minus_evaluation_accuracy_in_evaluation_mode(
    make_trainer, problem, plain_model, events
) -> None:
    trainer = make_trainer(plain_model(dropout=0.9), arguments={"num_train_epochs": 3})
    trainer.train()
    last = events(trainer, "eval_loss")[-1]
    train = problem(40)
    trainer.model.eval()
    with torch.no_grad():
        guesses = trainer.model(torch.from_numpy(train.features)).logits.argmax(dim=1).numpy()
    assert last["train_accuracy"] == pytest.approx((guesses == train.labels).mean())
    assert last["train_eval_gap"] == pytest.approx(last["train_accuracy"] - last["eval_accuracy"])
    assert last["train_loss"] == pytest.approx(
        np.mean([event["loss"] for event in events(trainer, "loss")[-5:]])
    )


def test_part_of_train_is_fixed_by_the_seed(make_trainer) -> None:
    def chosen(seed: int) -> torch.Tensor:
        trainer = make_trainer(gap_samples=7, arguments={"seed": seed})
        return trainer._gap_dataset()[:]["features"]

    assert len(chosen(1)) == 7
    assert torch.equal(chosen(1), chosen(1))
    assert not torch.equal(chosen(1), chosen(2))


def test_metrics_file_holds_every_log_event_as_strict_json(make_trainer, tmp_path) -> None:
    trainer = make_trainer()
    trainer.train()
    text = (tmp_path / "run" / "metrics.jsonl").read_text()
    written = [json.loads(line, parse_constant=pytest.fail) for line in text.splitlines()]
    assert len(written) == 10 + 2 + 1
    assert written == [json.loads(json.dumps(event)) for event in trainer.state.log_history]


def test_loss_that_is_not_finite_is_logged_as_such_and_later_ones_as_they_are(
    make_trainer, tmp_path, plain_model, events
) -> None:
    class Poison(TrainerCallback):
        """Makes the second step's loss NaN, and mends the weights before the third."""

        def on_step_begin(self, args, state, control, *, model, **kwargs) -> None:
            if state.global_step == 1:
                self.kept = model.head.bias.detach().clone()
                model.head.bias.data[0] = float("nan")
            if state.global_step == 2:
                model.load_state_dict(plain_model().state_dict())

    trainer = make_trainer(
        arguments={"max_steps": 4, "eval_strategy": "no", "optim": "sgd"}, callbacks=[Poison()]
    )
    trainer.train()
    losses = [event["loss"] for event in events(trainer, "loss")]
    assert [math.isnan(loss) for loss in losses] == [False, True, False, False]
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    assert json.loads(lines[1])["loss"] == "nan"
    assert json.loads(lines[1])["grad_norm_non_finite"] == 1


def test_saved_and_reloaded_model_predicts_the_same(
    make_trainer, problem, tmp_path, tiny_deeplob
) -> None:
    trainer = make_trainer(tiny_deeplob(), channels_last=True)
    trainer.train()
    predicted = trainer.predict(problem(20, seed=9).dataset()).predictions
    trainer.save_model(str(tmp_path / "model"))
    loaded = AutoModelForSequenceClassification.from_pretrained(tmp_path / "model").eval()
    with torch.no_grad():
        logits = loaded(torch.from_numpy(problem(20, seed=9).features)).logits.numpy()
    np.testing.assert_allclose(logits, predicted, rtol=0, atol=1e-6)


def test_bfloat16_autocast_trains_on_a_cpu_with_finite_float32_weights(
    make_trainer, tiny_deeplob, events
) -> None:
    trainer = make_trainer(tiny_deeplob(), arguments={"bf16": True})
    trainer.train()
    assert {weight.dtype for weight in trainer.model.parameters()} == {torch.float32}
    assert all(math.isfinite(event["loss"]) for event in events(trainer, "loss"))


def test_evaluation_outside_training_measures_no_gap(make_trainer) -> None:
    metrics = make_trainer().evaluate()
    assert "eval_f1_weighted" in metrics
    assert not {"train_accuracy", "train_eval_gap", "grad_norm"} & metrics.keys()


def test_prediction_ignores_sample_weights(make_trainer, problem) -> None:
    data = problem(20, seed=9)
    trainer = make_trainer()
    plain = trainer.predict(data.dataset())
    weighted = trainer.predict(data.dataset(sample_weight=np.zeros(20, dtype=np.float32)))
    assert isinstance(trainer.compute_metrics(EvalPrediction(plain[0], plain[1])), dict)
    np.testing.assert_array_equal(plain.predictions, weighted.predictions)
