"""The range test: what it measures, what it suggests, and that it changes nothing."""

import csv
import json
import math
import types
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hfrun.commands import lr_find
from hfrun.commands.lr_find import overrides_for
from hfrun.config import load_config
from hfrun.errors import TrainingError
from hfrun.training.probe import Probe
from hfrun.training.range_curve import RunningMean, smoothed_losses, suggested
from hfrun.training.range_plot import range_plot
from hfrun.training.range_report import range_text, write_range_test
from hfrun.training.range_test import RangeOptions, range_test
from hfrun.training.schedules import ScheduleOptions
from lob_backtest.command_line import run_command
from tests.hfrun.training.untouched import everything

ROOT = Path(__file__).resolve().parents[3]
RATES = np.geomspace(1e-7, 1e-1, 121)


def valley(rates: np.ndarray, *, falls_at: float, rises_at: float) -> np.ndarray:
    """Falls by 1 in a logistic curve about ``falls_at``, and rises without bound."""
    x = np.log10(rates)
    return 2 - 1 / (1 + np.exp(-4 * (x - np.log10(falls_at)))) + 10.0 ** (2 * (x - rises_at))


def learnable(make_trainer, problem, **arguments):
    """Batches large enough for a test of few steps to see the loss fall."""
    return make_trainer(
        train=problem(640).dataset(), arguments={"per_device_train_batch_size": 64, **arguments}
    )


# ---- what is measured ----


def test_a_test_changes_no_bit_of_trainer_and_process(make_trainer, tiny_deeplob) -> None:
    trainer = make_trainer(tiny_deeplob(0.3), arguments={"gradient_accumulation_steps": 2})
    before = everything(trainer)
    first = range_test(trainer, RangeOptions(steps=12))
    assert everything(trainer) == before
    torch.manual_seed(99)  # whatever the process drew meanwhile
    again = range_test(trainer, RangeOptions(steps=12))
    assert first.as_dict() == again.as_dict()


def test_losses_are_those_of_a_training_whose_rate_grows_at_every_step(
    make_trainer, plain_model, monkeypatch
) -> None:
    options = RangeOptions(start=1e-4, end=1e-1, steps=10)
    taken: list[list[float]] = []
    step = Probe.step

    def seen(self: Probe, *given: object) -> object:
        taken.append([group["lr"] for group in self.trainer.optimizer.param_groups])
        return step(self, *given)

    monkeypatch.setattr(Probe, "step", seen)
    test = range_test(make_trainer(plain_model(0.3), out="tested"), options)
    assert taken == [[rate] * 2 for rate in options.rates]

    trained = make_trainer(
        plain_model(0.3),
        out="trained",
        schedule=ScheduleOptions(name="constant", start_factor=1.0),
        arguments={"max_steps": 11, "eval_strategy": "no"},
    )
    trained.create_optimizer()
    steps = iter([*options.rates, 0.0])
    plain = trained.optimizer.step

    def stepped(*given: object, **named: object) -> object:
        rate = next(steps)
        for group in trained.optimizer.param_groups:
            group["lr"] = rate
        return plain(*given, **named)

    monkeypatch.setattr(trained.optimizer.optimizer if hasattr(trained.optimizer, "optimizer")
                        else trained.optimizer, "step", stepped)  # fmt: skip
    torch.manual_seed(trained.args.seed)
    trained.train()
    losses = [record.loss for record in trained.records.steps]
    # the loss that a rate brought about is that of the step after it
    assert test.losses[:-1].tolist() == losses[1:-1]
    assert test.losses[-1] == pytest.approx(losses[-1], abs=1e-6)
    assert test.grad_norms.tolist() == [record.norm for record in trained.records.steps[:10]]


def test_steps_too_small_to_matter_leave_the_luck_of_the_batch_alone(
    make_trainer, plain_model
) -> None:
    trainer = make_trainer(plain_model(0.5))
    test = range_test(trainer, RangeOptions(start=1e-20, end=1e-18, steps=10))
    assert np.ptp(test.losses) > 0.005
    assert np.ptp(test.paired) < 1e-6
    assert test.suggestion.third is None


def test_a_rate_far_too_large_ends_the_test_and_is_named(make_trainer) -> None:
    options = RangeOptions(start=1e-3, end=1e6, steps=40)
    test = range_test(make_trainer(arguments={"optim": "sgd", "max_grad_norm": 0.0}), options)
    assert "above its best by 25% of the untouched loss after the step at rate" in (
        test.ended or ""
    )
    assert len(test.rates) < 40
    assert f"{test.rates[-1]:.3g}" in (test.ended or "")
    assert test.losses[-1] > 1.25 * test.losses.min()
    assert test.suggestion.lowest is None or test.suggestion.lowest < test.rates[-1]


def test_a_loss_that_is_not_finite_ends_the_test_and_is_left_out(make_trainer, plain_model) -> None:
    class Bursts(type(plain_model())):
        def forward(self, features, labels=None):
            output = super().forward(features, labels)
            grown = self.head.weight.detach().abs().max() > 50
            output.logits = output.logits * (math.nan if grown else 1.0)
            return output

    model = plain_model()
    model.__class__ = Bursts
    options = RangeOptions(start=1e-3, end=1e3, steps=30, divergence=1e9)
    test = range_test(make_trainer(model), options)
    assert "the loss is nan after the step at rate" in (test.ended or "")
    assert np.isfinite(test.losses).all()
    assert len(test.losses) == len(test.rates) == len(test.smoothed) == len(test.grad_norms) < 30


def test_a_loss_that_is_never_finite_is_an_error(make_trainer, plain_model) -> None:
    model = plain_model()
    with torch.no_grad():
        model.head.bias.fill_(math.nan)
    with pytest.raises(TrainingError, match="the loss is nan before any step"):
        range_test(make_trainer(model), RangeOptions(steps=10))


@pytest.mark.parametrize(("wrong", "message"), [
    ({"start": 0.0}, r"start=0, end=0.01: need 0 < start < end"),
    ({"start": 1.0}, r"start=1, end=0.01"),
    ({"end": math.inf}, r"end=inf"),
    ({"steps": 9}, r"steps=9: needs at least 10"),
    ({"decades": -1.0}, r"decades=-1"),
    ({"divergence": 0.0}, r"divergence=0"),
])  # fmt: skip
def test_options_that_make_no_test_are_refused(wrong, message) -> None:
    with pytest.raises(TrainingError, match=message):
        RangeOptions(**wrong)


# ---- what is suggested ----


def test_suggestions_are_where_the_curve_says() -> None:
    losses = valley(RATES, falls_at=1e-4, rises_at=-2)
    found = suggested(RATES, losses, untouched=2.0, smoothing=0.0)
    assert found.steepest == pytest.approx(1e-4, rel=0.13)  # a step of the rates
    lowest = RATES[np.argmin(losses)]
    assert (found.lowest, found.tenth, found.third) == (lowest, lowest / 10, lowest / 3)
    assert found.notes == ()


@given(shift=st.floats(-2, 2), factor=st.floats(0.1, 10), seed=st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_neither_level_nor_unit_of_the_loss_matters(shift: float, factor: float, seed: int) -> None:
    noise = np.random.default_rng(seed).normal(scale=0.05, size=RATES.size)
    losses = valley(RATES, falls_at=1e-4, rises_at=-2) + noise
    one = suggested(RATES, losses, untouched=2.0, smoothing=0.8)
    other = suggested(RATES, factor * losses + shift, untouched=factor * 2.0 + shift, smoothing=0.8)
    assert (one.steepest, one.lowest) == (other.steepest, other.lowest)
    assert other.fall == pytest.approx(factor * one.fall, rel=1e-9)


def test_noise_around_the_untouched_loss_is_seldom_called_a_fall() -> None:
    rng = np.random.default_rng(0)
    called = clear = 0
    for _ in range(300):
        # as in a range test: the further the weights, the larger the scatter
        losses = 1.6 + rng.normal(size=RATES.size) * np.geomspace(1e-5, 0.2, RATES.size)
        found = suggested(RATES, losses, untouched=1.6, smoothing=0.9)
        called += found.third is not None
        clear += found.third is not None and not found.notes
    assert called < 90
    assert clear < 15


def test_a_loss_that_only_rises_or_never_ends_to_fall_is_said() -> None:
    rising = suggested(RATES, np.linspace(1, 2, RATES.size), untouched=1.0, smoothing=0.9)
    assert rising.third is None
    assert "no suggestion" in rising.notes[0]
    falling = suggested(RATES, np.linspace(2, 1, RATES.size), untouched=2.0, smoothing=0.0)
    assert falling.lowest == RATES[-1]
    assert "raise the end" in falling.notes[-1]


def test_running_mean_matches_pandas() -> None:
    values = np.random.default_rng(1).normal(size=50)
    mean = RunningMean(0.9)
    expected = pd.Series(values).ewm(alpha=0.1, adjust=True).mean()
    assert [mean.add(value) for value in values] == pytest.approx(expected.tolist(), rel=1e-12)


def test_smoothed_losses_are_the_running_means_of_both_sides_together() -> None:
    values = np.random.default_rng(2).normal(size=40)
    b, n = 0.8, len(values)
    expected = [
        sum(b ** abs(i - j) * values[j] for j in range(n)) / sum(b ** abs(i - j) for j in range(n))
        for i in range(n)
    ]
    assert smoothed_losses(values, b) == pytest.approx(expected, rel=1e-12)
    assert smoothed_losses(values, 0.0).tolist() == values.tolist()


def test_smoothing_moves_no_step_to_higher_rates() -> None:
    step = np.where(np.arange(101) < 50, 1.0, 0.0)
    step[50] = 0.5
    curve = smoothed_losses(step, 0.9)
    assert curve[50] == pytest.approx(0.5, abs=1e-12)
    assert curve + curve[::-1] == pytest.approx(np.ones(101))


def test_smoothing_spans_the_same_decades_whatever_the_number_of_steps() -> None:
    for steps in (51, 501):
        options = RangeOptions(start=1e-7, end=1e-2, steps=steps, decades=0.5)
        a_half_decade = (steps - 1) // 10
        assert options.smoothing**a_half_decade == pytest.approx(math.exp(-1))


def test_the_suggested_rate_trains(make_trainer, problem) -> None:
    test = range_test(learnable(make_trainer, problem), RangeOptions(steps=60, end=0.1))
    assert test.suggestion.third is not None
    trained = learnable(
        make_trainer, problem, learning_rate=test.suggestion.third, num_train_epochs=5
    )
    trained.train()
    losses = [record.loss for record in trained.records.steps]
    assert len(losses) == 50
    assert np.mean(losses[-10:]) < np.mean(losses[:10]) - 0.1


# ---- what is shown ----


@pytest.fixture
def measured(make_trainer, problem):
    return range_test(learnable(make_trainer, problem), RangeOptions(steps=40, start=1e-5, end=0.1))


def test_files_hold_what_was_measured(measured, tmp_path) -> None:
    write_range_test(measured, tmp_path, overrides=["training.learning_rate=1.0e-2"])
    read = json.loads((tmp_path / "lr_find.json").read_text())
    assert read["rates"] == measured.rates.tolist()
    assert read["third"] == measured.suggestion.third
    assert read["overrides"] == ["training.learning_rate=1.0e-2"]
    with (tmp_path / "lr_find.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["smoothed_loss"]) for row in rows] == measured.smoothed.tolist()
    assert [float(row["loss"]) - float(row["untouched_loss"]) for row in rows] == pytest.approx(
        (measured.losses - measured.untouched).tolist()
    )
    assert (tmp_path / "lr_find.png").read_bytes().startswith(b"\x89PNG")
    drawn = (tmp_path / "lr_find.svg").read_text()
    for words in (
        "learning rate",
        "smoothed",
        "falls fastest",
        "a tenth of the lowest",
        "for a peak",
    ):
        assert words in drawn


def test_the_plot_has_a_logarithmic_axis_and_a_mark_at_each_suggestion(measured) -> None:
    (axes,) = range_plot(measured).figure.axes
    assert axes.get_xscale() == "log"
    vertical = [line.get_xdata()[0] for line in axes.lines if len(set(line.get_xdata())) == 1]
    found = measured.suggestion
    assert {found.steepest, found.tenth, found.third, found.lowest} <= set(vertical)
    low, high = axes.get_ylim()
    lowest = int(np.argmin(measured.smoothed))
    assert (
        (measured.smoothed[: lowest + 1] > low) & (measured.smoothed[: lowest + 1] < high)
    ).all()


def test_a_test_without_a_suggestion_is_drawn_and_told_as_that(make_trainer, tmp_path) -> None:
    test = range_test(make_trainer(), RangeOptions(start=1e-20, end=1e-18, steps=10))
    write_range_test(test, tmp_path)
    text = range_text(test)
    assert "no suggestion" in text
    assert "learning_rate=" not in text


def test_the_table_marks_the_rates_that_are_suggested(measured) -> None:
    text = range_text(measured, overrides=["training.learning_rate=1.0e-2"])
    found = measured.suggestion
    (marked,) = [line for line in text.splitlines() if line.endswith("lowest")]
    assert marked.split()[0] == f"{found.lowest:.2e}"
    assert "  training.learning_rate=1.0e-2" in text.splitlines()


def test_an_override_keeps_the_proportion_of_the_heads_rate() -> None:
    training = types.SimpleNamespace(head_learning_rate=5e-4, arguments={"learning_rate": 5e-5})
    config = types.SimpleNamespace(training=training)
    assert overrides_for(config, 2.04e-5) == [
        "training.learning_rate=2.0e-05", "training.head_learning_rate=2.0e-04",
    ]  # fmt: skip
    assert overrides_for(config, None) == []
    training.arguments = {}  # transformers' own default is 5e-5
    assert overrides_for(config, 2.0e-5)[1] == "training.head_learning_rate=2.0e-04"


def test_an_override_can_be_pasted(tmp_path) -> None:
    book = load_config(ROOT / "configs/smoke.yaml")
    pasted = overrides_for(book, 0.001)
    assert load_config(ROOT / "configs/smoke.yaml", pasted).training.arguments[
        "learning_rate"
    ] == pytest.approx(0.001)


# ---- the command ----


def _command(arguments: list[str]) -> int:
    import argparse

    parser = argparse.ArgumentParser()
    lr_find.add_parser(parser.add_subparsers(required=True))
    return run_command(parser, ["lr-find", *arguments])


@pytest.fixture
def opened(monkeypatch, make_trainer, problem):
    @contextmanager
    def opened_trainer(config):
        yield learnable(make_trainer, problem)

    monkeypatch.setattr("hfrun.trainers.opened_trainer", opened_trainer)


def test_the_command_writes_and_prints_the_same_figures(opened, tmp_path, capsys) -> None:
    smoke = str(ROOT / "configs/smoke.yaml")
    asked = [smoke, f"run.output_dir={tmp_path}/new", "--start", "1e-5", "--end", "0.1",
             "--steps", "40", "--json"]  # fmt: skip
    assert _command(asked) == 0
    printed = capsys.readouterr().out
    folder = tmp_path / "new-lr-find"
    assert printed == (folder / "lr_find.json").read_text()
    assert _command([*asked[:-1], "-o", str(tmp_path / "here")]) == 0
    words = capsys.readouterr().out
    assert json.loads(printed)["overrides"][0] in words
    assert (tmp_path / "here" / "lr_find.csv").is_file()


@pytest.mark.parametrize(("arguments", "message"), [
    (["--steps", "3"], "steps=3"),
    (["-o", "FILE"], "-o needs a folder"),
    (["training.learning_rat=1"], "learning_rate"),
])  # fmt: skip
def test_bad_input_is_one_message_and_exit_code_2(
    opened, tmp_path, capsys, arguments, message
) -> None:
    (tmp_path / "file").touch()
    given_ = [str(tmp_path / "file") if word == "FILE" else word for word in arguments]
    assert _command([str(ROOT / "configs/smoke.yaml"), *given_]) == 2
    said = capsys.readouterr()
    assert message in said.err
    assert said.out == ""
