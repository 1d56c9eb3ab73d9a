"""The throughput finder: where doubling ends, what is suggested, and that nothing changes."""

import argparse
import json
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from hfrun.commands import throughput as command
from hfrun.commands.throughput import overrides_for, throughput_text
from hfrun.config import load_config
from hfrun.errors import TrainingError
from hfrun.training import throughput as module
from hfrun.training.device_memory import (
    PeakMemory,
    _group_room,
    free_bytes,
    held_bytes,
    is_out_of_memory,
)
from hfrun.training.probe import Probe
from hfrun.training.throughput import Throughput, ThroughputOptions, ThroughputRow, throughput
from lob_backtest.command_line import run_command
from tests.hfrun.training.untouched import everything

ROOT = Path(__file__).resolve().parents[3]
CPU = torch.device("cpu")
GIB = 2**30


@pytest.fixture
def clock(monkeypatch):
    """Seconds by a rule instead of the wall: ``fixed`` a step and ``each`` a sample.

    Every look at the clock also finds the machine slower than before, as a laptop's that heats up.
    """
    seconds = {"fixed": 1.0, "each": 0.1, "drift": 1.02}
    seen: list[list[int]] = []

    def timed(self, steps) -> float:
        sizes = [int(samples) for _, samples in steps]
        seen.append([label for (batch,), _ in steps for label in batch["labels"].tolist()])
        slower = seconds["drift"] ** len(seen)
        return slower * sum(seconds["fixed"] + seconds["each"] * size for size in sizes)

    monkeypatch.setattr(module._Bench, "_timed", timed)
    seconds["seen"] = seen
    return seconds


@pytest.fixture
def trainer(make_trainer, problem):
    return make_trainer(train=problem(2048).dataset())


def test_doubling_ends_where_it_no_longer_pays(clock, trainer) -> None:
    # n samples take 1 + 0.1 n: a doubling gives 2 (1 + 0.1 n) / (1 + 0.2 n)
    found = throughput(trainer)
    assert [row.batch for row in found.rows] == [8, 16, 32, 64, 128]
    exact = [2 * (1 + 0.1 * n) / (1 + 0.2 * n) for n in (8, 16, 32, 64)]
    assert [row.ratio for row in found.rows[1:]] == pytest.approx(
        exact, rel=0.001
    )  # the drift goes
    assert exact[-1] < 1.1 < exact[-2]
    assert found.batch == 64
    assert found.ended == "batches of 128 are only 1.07 times as fast as half"


def test_samples_a_second_are_those_of_the_clock(clock, trainer) -> None:
    clock["drift"] = 1.0
    speeds = {row.batch: row.samples_per_second for row in throughput(trainer).rows}
    assert speeds == pytest.approx({n: n / (1 + 0.1 * n) for n in (8, 16, 32, 64, 128)})


def test_a_doubling_is_measured_on_the_same_samples_in_turns(clock, trainer) -> None:
    throughput(trainer, ThroughputOptions(start=16, most=32, repetitions=4))
    pairs = clock["seen"][8:]  # after the first steps of each size, and 16 alone
    assert len(pairs) == 8
    assert [one == other for one, other in zip(pairs[::2], pairs[1::2], strict=True)] == [True] * 4
    assert len({tuple(pair) for pair in pairs}) == 4


def test_nothing_of_trainer_and_process_changes(make_trainer, tiny_deeplob, problem) -> None:
    trainer = make_trainer(tiny_deeplob(0.2), train=problem(64).dataset())
    trainer.model.eval()
    before = everything(trainer)
    found = throughput(trainer, ThroughputOptions(start=4, most=8, repetitions=2))
    assert everything(trainer) == before
    assert [row.batch for row in found.rows] == [4, 8]
    assert all(row.samples_per_second > 0 for row in found.rows)


@pytest.mark.parametrize("error", [
    RuntimeError("[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory"),
    MemoryError(),
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
])  # fmt: skip
def test_the_end_of_memory_ends_doubling_and_keeps_what_was_measured(
    clock, trainer, monkeypatch, error
) -> None:
    _fails_from(monkeypatch, 64, error)
    clock["each"] = 0.0  # every doubling pays
    found = throughput(trainer)
    assert [row.batch for row in found.rows] == [8, 16, 32]
    assert found.batch == 32
    assert found.ended.startswith("batches of 64 do not fit into memory (")
    with pytest.raises(TrainingError, match=r"batches of 64 do not fit into memory.*start lower"):
        throughput(trainer, ThroughputOptions(start=64))


def test_another_error_is_not_taken_for_the_end_of_memory(clock, trainer, monkeypatch) -> None:
    _fails_from(monkeypatch, 32, RuntimeError("shapes (3, 4) and (5, 6) do not fit"))
    before = everything(trainer)
    with pytest.raises(RuntimeError, match="shapes"):
        throughput(trainer)
    assert everything(trainer) == before


def _fails_from(monkeypatch, size: int, error: Exception) -> None:
    def timed(self, steps) -> float:
        sizes = [int(samples) for _, samples in steps]
        if max(sizes) >= size:
            raise error
        return sum(1.0 for _ in sizes)

    monkeypatch.setattr(module._Bench, "_timed", timed)


def test_a_cpu_is_not_driven_into_the_end_of_its_memory(clock, trainer, monkeypatch) -> None:
    clock["each"] = 0.0
    peaks = {8: 2.0, 16: 3.0, 32: 5.0}  # GiB; 1 GiB idle
    tried: list[int] = []
    tried_once = module._Bench.try_once

    def try_once(self, size: int) -> None:
        tried_once(self, size)
        tried.append(size)
        self.peaks[size], self._idle = int(peaks[size] * GIB), GIB

    monkeypatch.setattr(module._Bench, "try_once", try_once)
    monkeypatch.setattr(module, "held_bytes", lambda device: GIB)
    monkeypatch.setattr(module, "free_bytes", lambda device: 6 * GIB)
    found = throughput(trainer)
    assert tried == [8, 16, 32]
    assert found.ended == "batches of 64 would take about 8.0 GiB more, and 6.0 GiB are free"
    assert found.batch == 32


def test_doubling_ends_at_what_was_asked_and_at_the_train_part(clock, make_trainer) -> None:
    clock["each"] = 0.0
    found = throughput(make_trainer(), ThroughputOptions(most=16))
    assert (found.batch, found.ended) == (16, "batches above 16 were not asked for")
    found = throughput(make_trainer(out="other"))
    assert (found.batch, found.ended) == (32, "the train part has 40 samples")
    alone = throughput(make_trainer(out="alone"), ThroughputOptions(start=32))
    assert [(row.batch, row.ratio) for row in alone.rows] == [(32, None)]
    assert alone.rows[0].samples_per_second > 0


def test_accumulation_keeps_the_samples_of_a_step_where_it_can(clock, make_trainer, problem):
    train = problem(2048).dataset()
    arguments = {"per_device_train_batch_size": 16, "gradient_accumulation_steps": 8}
    found = throughput(make_trainer(train=train, arguments=arguments))
    assert overrides_for(found) == [
        "training.per_device_train_batch_size=64", "training.gradient_accumulation_steps=2",
    ]  # fmt: skip
    found = throughput(make_trainer(train=train, out="other"))  # 8 a step
    assert overrides_for(found) == ["training.per_device_train_batch_size=64"]


def test_weights_of_the_copy_stay_finite_and_small_whatever_the_rate(make_trainer, monkeypatch):
    seen: list[torch.Tensor] = []
    step = Probe.step

    def kept(self, *given):
        record = step(self, *given)
        seen.append(torch.cat([w.detach().flatten() for w in self.trainer.model.parameters()]))
        return record

    monkeypatch.setattr(Probe, "step", kept)
    trainer = make_trainer(arguments={"learning_rate": 1e6})
    throughput(trainer, ThroughputOptions(start=4, most=8, repetitions=2))
    assert len(seen) > 4
    assert all(torch.equal(weights, seen[0]) for weights in seen)


@pytest.mark.parametrize(("wrong", "message"), [
    ({"start": 0}, "start=0"),
    ({"start": 64, "most": 32}, "start=64, max_batch=32"),
    ({"repetitions": 3}, "repetitions=3: needs an even number"),
    ({"growth": 1.0}, "growth=1.0"),
])  # fmt: skip
def test_options_that_measure_nothing_are_refused(wrong, message) -> None:
    with pytest.raises(TrainingError, match=message):
        ThroughputOptions(**wrong)


def test_a_first_batch_above_the_train_part_is_refused(make_trainer) -> None:
    with pytest.raises(TrainingError, match="first batch has 64 samples, the train part 40"):
        throughput(make_trainer(), ThroughputOptions(start=64))


# ---- memory ----


def test_peak_memory_rises_with_a_tensor_and_is_forgotten_on_reset() -> None:
    memory = PeakMemory(CPU)
    if memory.peak() is None:
        pytest.skip("this system does not count it anew")
    before, n_bytes = memory.peak(), 64 * 2**20
    del_me = torch.ones(n_bytes // 4)
    assert memory.peak() - before > 0.9 * n_bytes
    del del_me
    high = memory.peak()
    memory.reset()
    assert high - memory.peak() > 0.9 * n_bytes


def test_a_control_groups_room_is_its_limit_less_what_cannot_go(tmp_path) -> None:
    stat = "anon 500\ninactive_file 300\nactive_file 100"
    files = {"memory.max": "1000", "memory.current": "900", "memory.stat": stat}
    for name, text in files.items():
        (tmp_path / name).write_text(f"{text}\n")
    assert _group_room(tmp_path) == 400
    (tmp_path / "memory.max").write_text("max\n")
    assert _group_room(tmp_path) is None
    assert _group_room(tmp_path / "missing") is None


def test_this_machine_has_memory() -> None:
    assert (free_bytes(CPU) or GIB) > 0
    assert (held_bytes(CPU) or GIB) > 2**20


def test_only_errors_about_memory_are_about_memory() -> None:
    assert is_out_of_memory(RuntimeError("std::bad_alloc: Cannot allocate memory"))
    assert not is_out_of_memory(ValueError("out of memory"))
    assert not is_out_of_memory(RuntimeError("out of range"))


# ---- the command ----


@pytest.fixture
def opened(monkeypatch, trainer):
    @contextmanager
    def opened_trainer(config):
        yield trainer

    monkeypatch.setattr("hfrun.trainers.opened_trainer", opened_trainer)


def _command(*words: str) -> int:
    parser = argparse.ArgumentParser()
    command.add_parser(parser.add_subparsers(required=True))
    return run_command(parser, ["throughput", *words])


def test_the_command_prints_the_table_the_override_and_what_to_retune(
    opened, clock, capsys
) -> None:
    smoke = str(ROOT / "configs/smoke.yaml")
    assert _command(smoke, "--max-batch", "32") == 0
    words = capsys.readouterr().out
    (suggested,) = [line for line in words.splitlines() if line.endswith("<- suggested")]
    assert suggested.split()[:1] == ["32"]
    (pasted,) = [line.strip() for line in words.splitlines() if "training." in line]
    assert load_config(smoke, pasted.split()).training.arguments[
        "per_device_train_batch_size"
    ] == 32  # fmt: skip
    assert "retune the learning rate and the regularization" in words
    assert _command(smoke, "--max-batch", "32", "--json") == 0
    read = json.loads(capsys.readouterr().out)
    assert [row["batch"] for row in read["rows"]] == [8, 16, 32]
    assert (read["batch"], " ".join(read["overrides"])) == (32, pasted)
    assert "retune" in read["note"]


def test_bad_input_is_one_message_and_exit_code_2(opened, capsys) -> None:
    assert _command(str(ROOT / "configs/smoke.yaml"), "--start", "0") == 2
    assert "start=0" in capsys.readouterr().err


def test_the_table_shows_a_row_without_memory_or_ratio() -> None:
    rows = (
        ThroughputRow(batch=8, samples_per_second=12345.6, ratio=None, peak_bytes=None),
        ThroughputRow(batch=16, samples_per_second=20000.4, ratio=1.62, peak_bytes=3 * 2**20),
    )
    found = Throughput(rows=rows, batch=16, accumulation=None, ended="because", device="cpu")
    lines = throughput_text(found).splitlines()
    assert lines[1].split() == ["8", "12,346", "-", "-"]
    assert lines[2].split()[:6] == ["16", "20,000", "x", "1.62", "3", "MiB"]
