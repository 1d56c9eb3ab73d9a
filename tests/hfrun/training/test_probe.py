"""A probe trains as its trainer would, and leaves it as it was."""

import random

import numpy as np
import pytest
import torch
from torch.utils.data import Sampler

from hfrun.errors import DataError, TrainingError
from hfrun.training.probe import independent_order, probing
from hfrun.training.schedules import ScheduleOptions
from hfrun.training.trainer import MeasuredTrainer
from hfrun.training.values import DropoutSchedule, ValueSchedule, WeightDecaySchedule, constant
from tests.hfrun.training.untouched import everything

CONSTANT = ScheduleOptions(name="constant", start_factor=1.0)


class Shuffled(Sampler[int]):
    """Draws from a generator of its own, and remembers its epoch."""

    def __init__(self, samples: int) -> None:
        self.samples = samples
        self.generator = torch.Generator().manual_seed(5)
        self.epoch = 3

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return self.samples

    def __iter__(self):
        yield from torch.randperm(self.samples, generator=self.generator).tolist()


def _stir() -> None:
    """Random states that no seed gives."""
    random.seed(11)
    np.random.seed(12)
    torch.manual_seed(13)
    random.random(), np.random.rand(3), torch.rand(3)


@pytest.mark.parametrize("model", ["plain", "deeplob"])
@pytest.mark.parametrize("was_trained", [False, True], ids=["fresh", "trained"])
def test_steps_on_a_probe_leave_every_bit_of_trainer_and_process_alone(
    make_trainer, plain_model, tiny_deeplob, model, was_trained
) -> None:
    made = plain_model(0.3) if model == "plain" else tiny_deeplob(0.3)
    trainer = make_trainer(
        made,
        train_sampler=Shuffled(40),
        callbacks=[DropoutSchedule(constant(0.5))],
        arguments={"gradient_accumulation_steps": 2, "bf16": True},
    )
    if was_trained:
        trainer.train()
    trainer.model.eval()
    _stir()
    before = everything(trainer)
    with probing(trainer) as probe:
        probe.keep_untouched()
        steps = probe.batches()
        for _ in range(7):  # beyond an epoch
            step = next(steps)
            probe.untouched_loss(*step)
            probe.set_rate(0.1)
            probe.step(*step)
        probe.formed([1, 2, 3, 4, 5], batch=2)
    assert everything(trainer) == before


def test_an_error_inside_leaves_everything_alone_too(make_trainer) -> None:
    trainer = make_trainer(train_sampler=Shuffled(40))
    _stir()
    before = everything(trainer)

    def run_out() -> None:
        with probing(trainer) as probe:
            probe.step(*next(probe.batches()))
            raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="memory"):
        run_out()
    assert everything(trainer) == before


@pytest.mark.parametrize("arguments", [
    {},
    {"gradient_accumulation_steps": 2},
    {"bf16": True, "max_grad_norm": 0.05},
    {"max_grad_norm": 0.0, "optim": "sgd"},
    {"activation_checkpointing": False, "weight_decay": 0.5, "per_device_train_batch_size": 7},
])  # fmt: skip
def test_steps_of_a_probe_equal_those_of_a_training_at_that_rate(
    make_trainer, plain_model, arguments
) -> None:
    def made(out: str) -> MeasuredTrainer:
        return make_trainer(
            plain_model(0.4),
            out=out,
            schedule=CONSTANT,
            arguments={"max_steps": 12, "eval_strategy": "no", **arguments},
        )

    trained, probed = made("trained"), made("probed")
    torch.manual_seed(trained.args.seed)
    trained.train()
    with probing(probed) as probe:
        probe.set_rate(probed.args.learning_rate)
        steps = probe.batches()
        records = [probe.step(*next(steps)) for _ in range(12)]
        weights = {name: value.clone() for name, value in probe.trainer.model.state_dict().items()}
    assert records == trained.records.steps
    after = trained.model.state_dict()
    assert all(torch.equal(weights[name], after[name]) for name in after)


def test_a_training_after_a_probe_equals_one_without(make_trainer, plain_model, events) -> None:
    logged = []
    for out, is_probed in (("without", False), ("with", True)):
        trainer = make_trainer(plain_model(0.3), out=out)
        if is_probed:
            with probing(trainer) as probe:
                probe.step(*next(probe.batches()))
        trainer.train()
        logged.append((
            [(e["loss"], e["grad_norm"]) for e in events(trainer, "loss")],
            [e["eval_loss"] for e in events(trainer, "eval_loss")],
            [weight.tolist() for weight in trainer.model.parameters()],
        ))  # fmt: skip
    assert len(logged[0][0]) == 10
    assert logged[0] == logged[1]


def test_untouched_loss_is_the_loss_of_a_step_with_nothing_learnt(
    make_trainer, plain_model
) -> None:
    trainer = make_trainer(plain_model(0.5), arguments={"gradient_accumulation_steps": 2})
    with probing(trainer) as probe:
        probe.keep_untouched()
        probe.set_rate(0.0)
        steps = probe.batches()
        pairs = []
        for _ in range(4):
            step = next(steps)
            pairs.append((probe.untouched_loss(*step), probe.step(*step).loss))
    untouched, losses = zip(*pairs, strict=True)
    assert untouched == pytest.approx(losses, abs=1e-7)  # the same values were dropped
    assert len(set(losses)) == 4


def test_every_group_keeps_its_proportion_to_the_rate(make_trainer) -> None:
    trainer = make_trainer(rate_factor=lambda name: 10.0 if name.startswith("head") else 1.0)
    with probing(trainer) as probe:
        probe.set_rate(3e-4)
        groups = probe.trainer.optimizer.param_groups
        assert sorted({round(group["lr"], 12) for group in groups}) == [3e-4, 3e-3]


def test_an_optimizer_that_was_handed_over_is_copied_with_its_groups(
    make_trainer, plain_model
) -> None:
    model = plain_model()
    optimizer = torch.optim.SGD(
        [{"params": [*model.hidden.parameters()], "lr": 0.005},
         {"params": [*model.head.parameters()], "lr": 0.02, "momentum": 0.9}],
        lr=0.01,
    )  # fmt: skip
    trainer = make_trainer(model, optimizers=(optimizer, None))
    before = everything(trainer)
    with probing(trainer) as probe:
        probe.set_rate(1.0)
        groups = probe.trainer.optimizer.param_groups
        assert [group["lr"] for group in groups] == [0.5, 2.0]
        first = next(iter(probe.trainer.model.parameters())).clone()
        probe.step(*next(probe.batches()))
        assert not torch.equal(first, next(iter(probe.trainer.model.parameters())))
    assert everything(trainer) == before


def test_dropout_and_weight_decay_are_those_of_the_beginning_of_the_run(
    make_trainer, plain_model
) -> None:
    trainer = make_trainer(
        plain_model(0.5),
        callbacks=[
            DropoutSchedule(ValueSchedule(points={0: 0.1, 1: 0.3})),
            WeightDecaySchedule(constant(0.07)),
        ],
    )
    with probing(trainer) as probe:
        assert probe.trainer.model.dropout.p == 0.1
        decays = [group["weight_decay"] for group in probe.trainer.optimizer.param_groups]
    assert (decays, trainer.model.dropout.p) == ([0.07, 0.0], 0.5)


def test_no_schedule_moves_rates_or_momenta_of_a_probe(make_trainer) -> None:
    trainer = make_trainer(schedule=ScheduleOptions(name="one_cycle"))
    with probing(trainer) as probe:
        probe.set_rate(0.5)
        steps = probe.batches()
        for _ in range(3):
            probe.step(*next(steps))
            groups = probe.trainer.optimizer.param_groups
            assert {(group["lr"], group["betas"]) for group in groups} == {(0.5, (0.9, 0.999))}


def test_the_same_samples_are_formed_into_batches_of_any_size(make_trainer, problem) -> None:
    chosen = [3, 1, 4, 15, 9, 2, 6, 5]
    labels = problem(40).labels[chosen].tolist()
    with probing(make_trainer()) as probe:
        for size in (8, 4, 2):
            steps = probe.formed(chosen, batch=size)
            given = [label for (batch,), _ in steps for label in batch["labels"].tolist()]
            assert (given, [int(n) for _, n in steps]) == (labels, [size] * (8 // size))


def test_a_sampler_that_groups_batches_groups_them_in_the_size_that_is_asked(make_trainer) -> None:
    class Grouped(Shuffled):
        batch = 8

        def __init__(self) -> None:
            super().__init__(40)
            self.batch = 8

        def __iter__(self):
            yield from [self.batch] * 40

    with probing(make_trainer(train_sampler=Grouped())) as probe:
        assert next(probe.indices(batch=16)) == 16
        assert next(probe.indices(batch=2)) == 2
        assert probe.trainer.train_sampler.batch == 8


def test_a_copied_order_draws_the_same_and_leaves_generators_within_generators_alone() -> None:
    class Around(Shuffled):
        def __init__(self) -> None:
            super().__init__(6)
            self.inner = Shuffled(6)
            self.rng = np.random.default_rng(3)

        def __iter__(self):
            yield from [*self.inner, *self.rng.permutation(6).tolist(), *super().__iter__()]

    original = Around()
    assert list(independent_order(original)) == list(independent_order(original)) == list(original)
    assert independent_order(None) is None


def test_what_cannot_be_probed_is_said(make_trainer, monkeypatch, problem) -> None:
    with (
        pytest.raises(TrainingError, match=r"learning_rate=0.0: needs a rate above 0"),
        probing(make_trainer(arguments={"learning_rate": 0.0})),
    ):
        pass
    few = make_trainer(train=problem(4).dataset(), arguments={"dataloader_drop_last": True})
    with probing(few) as probe, pytest.raises(DataError, match=r"takes 8 samples .* part has 4"):
        next(probe.batches())
    trainer = make_trainer()
    monkeypatch.setattr(type(trainer.args), "world_size", 2)
    with (
        pytest.raises(TrainingError, match=r"2 processes.*needs one whole process"),
        probing(trainer),
    ):
        pass
