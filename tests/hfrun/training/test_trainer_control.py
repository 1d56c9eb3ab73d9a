"""What changes or ends a run, and that resuming one changes nothing."""

import json

import pytest
import torch
from torch.nn import functional
from transformers import Trainer, TrainerCallback

from hfrun.errors import TrainingError
from hfrun.training.schedules import ScheduleOptions
from hfrun.training.step_records import read_step_records
from hfrun.training.stop_rules import stop_rules_from
from hfrun.training.values import (
    DropoutSchedule,
    ValueSchedule,
    WeightDecaySchedule,
    constant,
)


def test_rule_that_fires_ends_the_run_and_is_named_in_log_file_and_summary(
    make_trainer, tmp_path, events
) -> None:
    rules = stop_rules_from([{"rule": "above", "metric": "eval_loss", "limit": 0.0,
                              "epochs": [2, 9]}])  # fmt: skip
    trainer = make_trainer(stop_rules=rules, arguments={"num_train_epochs": 5})
    trainer.train()
    assert trainer.state.epoch == 2
    (event,) = events(trainer, "stop_rule")
    evaluated = events(trainer, "eval_loss")[-1]["eval_loss"]
    assert (event["stop_rule"], event["stop_metric"], event["stop_epoch"]) == (
        "above", "eval_loss", 2,
    )  # fmt: skip
    assert (event["stop_value"], event["stop_limit"]) == (evaluated, 0.0)
    assert trainer.run_summary()["stopped_by"]["reason"] == event["stop_reason"]
    assert '"stop_rule": "above"' in (tmp_path / "run" / "metrics.jsonl").read_text()


def test_gap_and_mean_norm_reach_the_rules(make_trainer) -> None:
    for metric in ("train_eval_gap", "grad_norm", "train_loss", "eval_f1_weighted"):
        rules = stop_rules_from([{"rule": "above", "metric": metric, "limit": -2.0}])
        trainer = make_trainer(stop_rules=rules, out=metric)
        trainer.train()
        assert trainer.run_summary()["stopped_by"]["metric"] == metric
        assert trainer.state.global_step == 5


def test_non_finite_stops_within_the_step_and_leaves_the_weights_finite(make_trainer) -> None:
    class Overflow(TrainerCallback):
        def on_step_begin(self, args, state, control, *, model, **kwargs) -> None:
            if state.global_step == 2:  # an infinite loss with finite weights
                model.head.bias.data[:] = torch.tensor([3e38, -3e38, -3e38])

    trainer = make_trainer(
        stop_rules=stop_rules_from([{"rule": "non_finite"}]), callbacks=[Overflow()]
    )
    trainer.train()
    assert trainer.state.global_step == 3
    stopped = trainer.run_summary()["stopped_by"]
    assert (stopped["rule"], stopped["metric"], stopped["epoch"]) == ("non_finite", "loss", 1)
    assert all(torch.isfinite(weight).all() for weight in trainer.model.parameters())


def test_dropout_and_weight_decay_follow_their_schedules_and_are_logged(
    make_trainer, plain_model, events
) -> None:
    used: list[tuple[float, list[float]]] = []

    class Used(TrainerCallback):
        def on_pre_optimizer_step(self, args, state, control, *, model, optimizer, **kwargs):
            decays = [group["weight_decay"] for group in optimizer.param_groups]
            used.append((model.dropout.p, decays))

    trainer = make_trainer(
        plain_model(dropout=0.5),
        callbacks=[
            DropoutSchedule(ValueSchedule(points={0: 0.1, 1: 0.3})),
            WeightDecaySchedule(
                ValueSchedule(points={0: 0.0, 10: 0.1}, unit="step", between="linear")
            ),
            Used(),
        ],
    )
    trainer.train()
    assert [dropout for dropout, _ in used] == [0.1] * 5 + [0.3] * 5
    assert [decays[0] for _, decays in used] == pytest.approx([0.01 * step for step in range(10)])
    assert [decays[1] for _, decays in used] == [0.0] * 10
    logged = events(trainer, "loss")
    assert [event["dropout"] for event in logged] == [0.1] * 5 + [0.3] * 5
    assert logged[-1]["weight_decay"] == pytest.approx(0.09)


def test_a_dropout_schedule_that_would_change_nothing_is_refused(make_trainer) -> None:
    callbacks = [DropoutSchedule(constant(0.3), only="backbone")]
    with pytest.raises(TrainingError, match="no dropout layer whose name contains 'backbone'"):
        make_trainer(callbacks=callbacks).train()


@pytest.mark.parametrize("name", ["plain_model", "tiny_deeplob"])
def test_resumed_run_is_bit_identical_to_an_uninterrupted_one(
    make_trainer, name, request, tmp_path
) -> None:
    model = request.getfixturevalue(name)

    def trainer(out: str, **arguments):
        return make_trainer(
            model(dropout=0.4),
            out=out,
            schedule=ScheduleOptions(),
            stop_rules=stop_rules_from([{"rule": "early_stopping", "metric": "eval_loss",
                                         "mode": "min", "patience": 3}]),
            callbacks=[DropoutSchedule(ValueSchedule(points={0: 0.4, 1: 0.2}))],
            arguments={"save_strategy": "steps", "save_steps": 3, "logging_steps": 2,
                       "warmup_steps": 2, **arguments},
        )  # fmt: skip

    whole = trainer("whole")
    whole.train()

    class Interrupt(TrainerCallback):
        def on_step_end(self, args, state, control, **kwargs) -> None:
            if state.global_step == 5:  # a step and its log after the checkpoint of step 3
                raise KeyboardInterrupt

    first = trainer("parts")
    first.add_callback(Interrupt())
    with pytest.raises(KeyboardInterrupt):
        first.train()
    resumed = trainer("parts")
    resumed.train(resume_from_checkpoint=True)

    for (name, want), (_, got) in zip(
        whole.model.state_dict().items(), resumed.model.state_dict().items(), strict=True
    ):
        assert torch.equal(got, want), name
    assert resumed.records.steps == whole.records.steps
    for file in ("metrics.jsonl", "grad_norm.jsonl"):
        lines = [
            [_without_time(json.loads(x)) for x in (tmp_path / out / file).read_text().splitlines()]
            for out in ("whole", "parts")
        ]
        assert lines[0] == lines[1]


def _without_time(event: dict) -> dict:
    return {k: v for k, v in event.items() if not k.endswith(("runtime", "per_second", "flos"))}


def test_stop_rules_count_on_across_a_resume(make_trainer) -> None:
    rule = {"rule": "above", "metric": "eval_loss", "limit": 0.0, "consecutive": 3}

    def trainer(epochs: int):
        return make_trainer(
            stop_rules=stop_rules_from([rule]),
            arguments={"save_strategy": "epoch", "num_train_epochs": epochs},
        )

    trainer(2).train()
    resumed = trainer(9)
    resumed.train(resume_from_checkpoint=True)
    assert resumed.state.epoch == 3


def test_run_that_a_rule_ended_stays_ended_when_resumed(make_trainer, tmp_path) -> None:
    def trainer():
        rules = stop_rules_from([{"rule": "above", "metric": "eval_loss", "limit": 0.0}])
        arguments = {"save_strategy": "epoch", "num_train_epochs": 9}
        return make_trainer(stop_rules=rules, arguments=arguments)

    ended, resumed = trainer(), trainer()
    ended.train()
    resumed.train(resume_from_checkpoint=True)
    assert resumed.state.global_step == ended.state.global_step == 5
    assert resumed.run_summary() == ended.run_summary()
    histories = [
        [_without_time(event) for event in one.state.log_history] for one in (ended, resumed)
    ]
    assert histories[0] == histories[1]
    for name, weight in ended.model.state_dict().items():
        assert torch.equal(resumed.model.state_dict()[name], weight), name


def test_training_again_without_resuming_starts_its_records_afresh(make_trainer, tmp_path) -> None:
    trainer = make_trainer(arguments={"max_steps": 3})
    trainer.train()
    trainer.train()
    assert [record.step for record in trainer.records.steps] == [1, 2, 3]
    assert len(read_step_records(tmp_path / "run" / "grad_norm.jsonl")) == 3


def test_checkpoint_of_the_plain_trainer_is_resumed_with_a_warning(
    make_trainer, tmp_path, caplog
) -> None:
    ours = make_trainer()
    ours.args.save_strategy = "epoch"
    plain = Trainer(
        model=ours.model, args=ours.args, train_dataset=ours.train_dataset,
        eval_dataset=ours.eval_dataset, compute_loss_func=lambda o, labels, **k:
        functional.cross_entropy(o.logits, labels),
    )  # fmt: skip
    plain.args.max_steps = 4
    plain.train()
    resumed = make_trainer()
    resumed.train(resume_from_checkpoint=str(tmp_path / "run" / "checkpoint-4"))
    assert [record.step for record in resumed.records.steps] == [5, 6, 7, 8, 9, 10]
    assert "has no measurements.json" in caplog.text
