"""The speed bench measures equal work on both sides, and says what it measured."""

import json
from pathlib import Path
from typing import Any

import pytest

from hfrun.bench import deeplob, learning
from hfrun.bench.learning import Learning, time_to_loss


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deeplob, "_PLAIN_BATCH", 8)
    monkeypatch.setattr(deeplob, "_PLAIN_WINDOWS", 16)
    monkeypatch.setattr(deeplob, "_OUR_ROWS", 300)
    monkeypatch.setattr(deeplob, "_BATCH", 8)
    monkeypatch.setattr(deeplob, "_STEPS", 1)
    monkeypatch.setattr(learning, "_PUBLISHED_EVERY", 1)
    monkeypatch.setattr(learning, "_OUR_EVERY", 1)
    monkeypatch.setattr(learning, "_VALIDATION", 50)


def test_both_sides_of_the_inference_ratio_answer_alike() -> None:
    found = deeplob.inference_speed("cpu", rounds=2)
    assert found["largest_difference"] < 1e-5
    assert found["inference_ratio"] > 0
    assert found["plain_windows_per_second"] > 0


def test_both_sides_of_the_training_ratio_take_the_same_windows() -> None:
    found = deeplob.training_speed("cpu", rounds=1)
    assert found["stretches_a_batch"] == 2
    assert found["decisions_a_stretch"] == 4
    assert found["training_ratio"] > 0


def test_a_ratio_is_the_median_of_its_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    rounds = [(2.0, 1.0), (30.0, 10.0), (70.0, 10.0)]
    monkeypatch.setattr(deeplob, "_in_turns", lambda *_, **__: rounds)
    assert deeplob.training_speed("cpu")["training_ratio"] == 3.0


def test_time_to_a_loss_ends_at_the_first_evaluation_that_reaches_it() -> None:
    found = time_to_loss(Learning(target=100.0, seeds=1), stretches=[1])
    for run in (
        *found["runs"]["published"],
        *found["runs"]["ours"],
        *found["runs_by_stretch"]["1"],
    ):
        assert [entry["step"] for entry in run["curve"]] == [1]
        assert run["seconds"] == run["curve"][0]["seconds"] > 0
    assert found["time_to_loss_ratio"] == pytest.approx(
        found["published_seconds"] / found["our_seconds"]
    )


def test_a_recipe_that_does_not_get_there_counts_as_never() -> None:
    runs: list[dict[str, Any]] = [{"seconds": 3.0}, {"seconds": None}, {"seconds": None}]
    assert learning._median(runs) is None
    assert learning._median([*runs[:2], {"seconds": 5.0}]) == 5.0


def test_the_command_writes_every_ratio(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    parts = {
        "inference_speed": "inference_ratio",
        "training_speed": "training_ratio",
        "stream_speed": "stream_ratio",
        "window_memory": "window_memory_ratio",
        "time_to_loss": "time_to_loss_ratio",
    }
    for function, name in parts.items():
        monkeypatch.setattr(deeplob, function, lambda *_, name=name, **__: {name: 7.0})
    monkeypatch.setattr(deeplob.torch.accelerator, "is_available", lambda: False)
    path = tmp_path / "bench.json"
    assert deeplob.main(["--json", str(path)]) == 0
    found = json.loads(path.read_text("utf-8"))
    assert {name: found[name] for name in parts.values()} == dict.fromkeys(parts.values(), 7.0)
    assert found["machine"]["torch"]
    printed = capsys.readouterr().out
    assert "inference_ratio 7.00 (wanted: at least 40)" in printed
    assert "window_memory_ratio 7.00 (wanted: at most 1.5)" in printed
