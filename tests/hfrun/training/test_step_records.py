"""Records of steps, the JSON lines they are written in, and which parameters decay."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from hfrun.training.json_lines import JsonLines, strict_line
from hfrun.training.parameter_groups import decayed_parameter_names
from hfrun.training.step_records import (
    StepRecords,
    norm_after_clipping,
    norm_statistics,
    read_step_records,
)

NAN, INF = float("nan"), float("inf")


def records_of(norms: list[float], *, max_norm: float = 1.0, path: Path | None = None):
    records = StepRecords(path, max_norm=max_norm)
    for step, norm in enumerate(norms, start=1):
        records.add(step=step, loss=1.0, norm=norm)
    return records


def test_statistics_of_five_norms_by_hand() -> None:
    statistics = records_of([0.5, 1.0, 2.0, 4.0, 8.0]).statistics()
    assert statistics == pytest.approx(
        {
            "grad_norm": 3.1,
            "grad_norm_p50": 2.0,
            "grad_norm_p95": 7.2,  # four fifths of the way from 4 to 8
            "grad_norm_max": 8.0,
            "grad_norm_after_clip": (0.5 + 1 + 1 + 1 + 1) / 5,
            "grad_norm_clipped_share": 3 / 5,
        },
        rel=1e-5,
    )


def test_without_clipping_nothing_is_clipped() -> None:
    statistics = records_of([3.0, 5.0], max_norm=0.0).statistics()
    assert statistics["grad_norm_clipped_share"] == 0.0
    assert statistics["grad_norm_after_clip"] == statistics["grad_norm"] == 4.0


def test_norms_that_are_not_finite_are_counted_apart() -> None:
    statistics = records_of([1.0, NAN, 3.0, INF]).statistics()
    assert statistics["grad_norm"] == 2.0
    assert statistics["grad_norm_non_finite"] == 2
    assert math.isnan(records_of([NAN]).statistics()["grad_norm_p50"])
    assert norm_statistics([], max_norm=1.0) == {}


@given(st.lists(st.floats(0.001, 1000), min_size=1, max_size=5), st.floats(0.01, 10))
def test_norm_after_clipping_is_that_of_torchs_clipped_gradients(gradients, max_norm) -> None:
    weight = nn.Parameter(torch.zeros(len(gradients)))
    weight.grad = torch.tensor(gradients)
    norm = nn.utils.clip_grad_norm_([weight], max_norm).item()
    left = weight.grad.norm().item()
    assert norm_after_clipping(norm, max_norm) == pytest.approx(left, rel=1e-4)


def test_intervals_are_taken_apart_from_each_other() -> None:
    records = records_of([1.0, 2.0])
    assert [record.norm for record in records.take("log")] == [1.0, 2.0]
    records.add(step=3, loss=1.0, norm=3.0)
    assert [record.norm for record in records.take("log")] == [3.0]
    assert [record.norm for record in records.take("evaluation")] == [1.0, 2.0, 3.0]
    assert records.take("evaluation") == []


def test_file_holds_every_step_and_a_resumed_run_replaces_what_came_after(tmp_path: Path) -> None:
    path = tmp_path / "grad_norm.jsonl"
    interrupted = records_of([1.0, 2.0], path=path)
    saved = json.loads(json.dumps(interrupted.state_dict()))
    interrupted.add(step=3, loss=NAN, norm=9.0)
    assert str(read_step_records(path)) == str(interrupted.steps)  # NaN is unequal to itself
    resumed = StepRecords(path, max_norm=1.0)
    resumed.load_state_dict(saved)
    resumed.add(step=3, loss=0.5, norm=4.0)
    assert [(r.step, r.loss, r.norm) for r in read_step_records(path)] == [
        (1, 1.0, 1.0),
        (2, 1.0, 2.0),
        (3, 0.5, 4.0),
    ]


def test_lines_are_strict_json_and_non_finite_numbers_read_back(tmp_path: Path) -> None:
    line = strict_line({"a": NAN, "b": [INF, 1.5], "c": {"d": -INF}, "e": None, "f": "text"})
    read = json.loads(line, parse_constant=pytest.fail)
    assert read == {"a": "nan", "b": ["inf", 1.5], "c": {"d": "-inf"}, "e": None, "f": "text"}
    assert math.isnan(float(read["a"]))
    file = JsonLines(tmp_path / "new" / "x.jsonl")
    file.append({"n": 1})
    file.append({"n": 2})
    assert (tmp_path / "new" / "x.jsonl").read_text() == '{"n": 1}\n{"n": 2}\n'


class OwnRMSNorm(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(2))


class Renamed(nn.BatchNorm1d):
    """A norm by descent, whose own name does not say so."""


def test_every_kind_of_norm_and_bias_is_left_out_of_weight_decay() -> None:
    norms = [
        nn.BatchNorm1d(2), nn.BatchNorm2d(2), nn.LayerNorm(2), nn.GroupNorm(1, 2),
        nn.InstanceNorm1d(2, affine=True), nn.RMSNorm(2), nn.SyncBatchNorm(2), OwnRMSNorm(),
        Renamed(2),
    ]  # fmt: skip
    assert all(len(list(norm.parameters())) > 0 for norm in norms)
    model = nn.Sequential(nn.Linear(2, 2), *norms, nn.LSTM(2, 2), nn.Embedding(3, 2))
    assert decayed_parameter_names(model) == [
        "0.weight",
        "10.weight_ih_l0",
        "10.weight_hh_l0",
        "11.weight",
    ]


def test_percentiles_are_numpys() -> None:
    norms = np.random.default_rng(0).lognormal(size=101)
    statistics = records_of(norms.tolist()).statistics()
    p50, p95 = np.percentile(norms, [50, 95])
    assert (statistics["grad_norm_p50"], statistics["grad_norm_p95"]) == (p50, p95)
