"""The stream bench: figures that belong together, and none for a wrong answer."""

import json
from pathlib import Path

import numpy as np
import pytest

from hfrun.bench.stream import main, stream_speed
from hfrun.errors import HfrunError
from hfrun.models.deeplob_stream import DeepLobStream


def test_the_figures_are_of_the_same_calls_and_the_answers_agree() -> None:
    found = stream_speed(levels=2, window=30, rounds=1)
    assert found["stream_ratio"] == pytest.approx(found["plain_ms"] / found["push_ms"])
    assert 0 < found["push_ms"] <= found["push_p99_ms"]
    assert 0 <= found["difference"] <= 1e-5
    assert (found["threads"], found["levels"], found["window"]) == (1, 2, 30)


def test_wrong_answers_have_no_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    right = DeepLobStream.push
    monkeypatch.setattr(
        DeepLobStream,
        "push",
        lambda self, row: (
            None if (answer := right(self, row)) is None else answer + np.float32(0.1)
        ),
    )
    with pytest.raises(
        HfrunError, match=r"differ from the plain ones by 1\.0e-01, more than 1e-05"
    ):
        stream_speed(levels=2, window=30, rounds=1)


def test_the_command_writes_the_figures_and_the_machine(tmp_path: Path) -> None:
    file = tmp_path / "stream.json"
    assert main(["--json", str(file), "--levels", "1", "--window", "19", "--threads", "1"]) == 0
    found = json.loads(file.read_text("utf-8"))
    assert found["wanted_ratio"] == 6
    assert found["machine"]["numba"]
