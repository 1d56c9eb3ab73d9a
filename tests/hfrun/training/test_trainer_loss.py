"""What the trainer optimizes: loss, gradients, rates and weight decay."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional
from transformers import TrainerCallback

from hfrun.errors import TrainingError
from hfrun.training.schedules import ScheduleOptions
from hfrun.training.weighting import LossOptions


def plain_cross_entropy(model, problem) -> float:
    model.eval()
    with torch.no_grad():
        logits = model(torch.from_numpy(problem.features)).logits
    return float(functional.cross_entropy(logits, torch.from_numpy(problem.labels)))


@pytest.mark.parametrize("samples", [40, 36])  # 36: the last step has 4 samples, 3 + 1
def test_batch_of_8_equals_accumulated_micro_batches_in_loss_and_gradients(
    make_trainer, problem, samples: int, plain_model, events, gradients
) -> None:
    # without batch norm: a norm sees each micro-batch by itself, so with it this cannot hold
    runs = []
    for batch, accumulation in ((8, 1), (4, 2), (3, 3)) if samples == 36 else ((8, 1), (4, 2)):
        size = batch * accumulation
        kept = gradients()
        trainer = make_trainer(
            train=problem(samples).dataset(),
            out=f"{batch}x{accumulation}",
            arguments={
                "per_device_train_batch_size": batch,
                "gradient_accumulation_steps": accumulation,
                "num_train_epochs": 1,
                "train_sampling_strategy": "sequential",
                "max_grad_norm": 0.0,
            },
            callbacks=[kept],
        )
        trainer.train()
        if size == 8:
            runs.append(([event["loss"] for event in events(trainer, "loss")], kept.seen))
        else:  # 9 a step: compare its first step with the definition
            first = problem(samples)
            want = plain_model()
            logits = want(torch.from_numpy(first.features[:9])).logits
            loss = functional.cross_entropy(logits, torch.from_numpy(first.labels[:9]))
            assert events(trainer, "loss")[0]["loss"] == pytest.approx(loss.item(), rel=1e-5)
    (whole_loss, whole), (parts_loss, parts) = runs
    assert len(whole) == math.ceil(samples / 8)
    assert parts_loss == pytest.approx(whole_loss, rel=1e-5)
    for together, accumulated in zip(whole, parts, strict=True):
        torch.testing.assert_close(accumulated, together, rtol=1e-4, atol=1e-6)


def test_rate_at_every_step_is_the_closed_form_with_accumulation(make_trainer, events) -> None:
    rates: list[float] = []

    class Rates(TrainerCallback):
        def on_pre_optimizer_step(self, args, state, control, *, optimizer, **kwargs) -> None:
            rates.append(optimizer.param_groups[0]["lr"])

    trainer = make_trainer(
        schedule=ScheduleOptions(start_factor=0.01, floor=0.1),
        arguments={
            "per_device_train_batch_size": 4,
            "gradient_accumulation_steps": 2,
            "num_train_epochs": 4,
            "warmup_steps": 0.25,
            "learning_rate": 0.5,
        },
        callbacks=[Rates()],
    )
    trainer.train()
    # by hand: 5 steps an epoch, 20 in all, 5 of them warm-up
    warmup = [0.5 * (0.01 + 0.99 * step / 5) for step in range(5)]
    cosine = [0.5 * (0.1 + 0.9 * (1 + math.cos(math.pi * step / 15)) / 2) for step in range(15)]
    assert rates == pytest.approx(warmup + cosine, rel=1e-12)
    assert [event["learning_rate"] for event in events(trainer, "loss")] == pytest.approx(rates)


def test_evaluation_loss_is_plain_cross_entropy_whatever_training_optimizes(
    make_trainer, problem, events
) -> None:
    # 20 evaluation samples in batches of 8: the last one is ragged
    options = LossOptions(
        label_smoothing=0.3, class_weights=(5.0, 1.0, 0.1), sample_weights=True,
        allow_combined_weighting=True,
    )  # fmt: skip
    weighted = problem(40).dataset(sample_weight=np.linspace(0, 2, 40).astype(np.float32))
    trainer = make_trainer(loss=options, train=weighted, arguments={"num_train_epochs": 1})
    trainer.train()
    expected = plain_cross_entropy(trainer.model, problem(20, seed=9))
    assert events(trainer, "eval_loss")[-1]["eval_loss"] == pytest.approx(expected, rel=1e-5)
    on_train = plain_cross_entropy(trainer.model, problem(40))
    measured = events(trainer, "eval_loss")[-1]["train_cross_entropy"]
    assert measured == pytest.approx(on_train, rel=1e-5)


def test_training_loss_is_smoothed_and_weighted_as_asked(
    make_trainer, problem, plain_model, events
) -> None:
    weights = np.linspace(0, 2, 40).astype(np.float32)
    trainer = make_trainer(
        loss=LossOptions(label_smoothing=0.3, sample_weights=True),
        train=problem(40).dataset(sample_weight=weights),
        arguments={"num_train_epochs": 1, "train_sampling_strategy": "sequential"},
    )
    first, model = problem(40), plain_model()
    log_p = torch.log_softmax(model(torch.from_numpy(first.features[:8])).logits, dim=1)
    own = -log_p[torch.arange(8), torch.from_numpy(first.labels[:8])]
    losses = torch.from_numpy(weights[:8]) * (0.7 * own + 0.1 * -log_p.sum(dim=1))
    trainer.train()
    assert events(trainer, "loss")[0]["loss"] == pytest.approx(losses.mean().item(), rel=1e-5)


def test_balanced_sampler_and_balanced_weights_need_the_labels(make_trainer, problem) -> None:
    with pytest.raises(TrainingError, match="needs train_labels, one a training sample, got none"):
        make_trainer(loss=LossOptions(class_weights="balanced"))
    with pytest.raises(TrainingError, match="got 7"):
        make_trainer(
            loss=LossOptions(class_weights="balanced"), train_labels=np.zeros(7, dtype=np.int64)
        )
    with pytest.raises(TrainingError, match=r"class_weights \[1.0, 2.0\]; needs 3 numbers"):
        make_trainer(loss=LossOptions(class_weights=(1.0, 2.0)))
    trainer = make_trainer(loss=LossOptions(balanced_sampler=True), train_labels=problem(40).labels)
    trainer.train()
    assert trainer.state.global_step == 10


def test_sample_weights_without_their_column_and_foreign_losses_are_refused(make_trainer) -> None:
    with pytest.raises(TrainingError, match="no sample_weight column"):
        make_trainer(loss=LossOptions(sample_weights=True)).train()
    with pytest.raises(TrainingError, match="compute_loss_func"):
        make_trainer(compute_loss_func=lambda *a, **k: None)
    with pytest.raises(TrainingError, match=r"label_smoothing_factor=0.1 would be overruled"):
        make_trainer(arguments={"label_smoothing_factor": 0.1})


def test_weight_decay_leaves_out_biases_and_every_batch_norm(make_trainer, tiny_deeplob) -> None:
    trainer = make_trainer(tiny_deeplob(), arguments={"weight_decay": 0.1})
    decayed, free = trainer.create_optimizer().param_groups
    names = {id(weight): name for name, weight in trainer.model.named_parameters()}
    blocks = [f"{block}.{unit}.0.weight" for block in ("price_size", "sides", "levels")
              for unit in range(3)]  # fmt: skip
    assert [names[id(weight)] for weight in decayed["params"]] == [
        *blocks,
        "inception.short.0.0.weight",
        "inception.short.1.0.weight",
        "inception.long.0.0.weight",
        "inception.long.1.0.weight",
        "inception.pooled.0.weight",
        "lstm.weight_ih_l0",
        "lstm.weight_hh_l0",
        "head.weight",
    ]
    assert (decayed["weight_decay"], free["weight_decay"]) == (0.1, 0.0)
    # 14 units with a bias and a norm's weight and bias, the LSTM's two biases and the head's
    assert len(free["params"]) == 14 * 3 + 2 + 1
