"""The hub's bench measures what it says; how fast it is, no test asserts."""

import hashlib
from pathlib import Path

import pytest

from hfrun.bench import hub
from lob_backtest.files import read_json


# huggingface_hub 2.4 calls its HTTP library in a deprecated way when it uploads a large file.
@pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")
def test_every_figure_is_there_and_its_ratios_follow_from_the_seconds(tmp_path: Path) -> None:
    file = tmp_path / "hub.json"
    words = ["--gigabytes", "0.002", "--turns", "1", "--commits", "8", "--dir", str(tmp_path)]
    assert hub.main(["--json", str(file), *words]) == 0
    found = read_json(file, error=ValueError)
    (turn,) = found["turns"]
    assert found["bytes"] == 2_000_000
    assert found["push_ratio"] == pytest.approx(turn["push_plain"] / turn["push"])
    assert found["pull_ratio"] == pytest.approx(turn["pull_plain"] / turn["pull"])
    assert found["push_mb_per_second"] == pytest.approx(2 / turn["push"])
    assert 20 < found["peak_mb"] < hub.WANTED_PEAK_MB  # no Python server is smaller
    assert found["peak_mb"] <= found["peak_mb_in_commit"] < hub.WANTED_PEAK_MB
    counts = found["commits_per_second"]
    assert set(counts) == {"commits", "client_1", "raw_1", "client_8", "raw_8"}
    assert min(counts.values()) > 0
    assert [path.name for path in tmp_path.iterdir()] == ["hub.json"]


def test_plain_copying_gives_the_same_bytes(tmp_path: Path) -> None:
    source, copy = tmp_path / "source", tmp_path / "copy"
    hub._write_random(source, 2_500_000)
    assert source.stat().st_size == 2_500_000
    for hashes in (True, False):
        hub._copied(source, copy, hashes=hashes)
        digests = [hashlib.sha256(path.read_bytes()).digest() for path in (source, copy)]
        assert digests[0] == digests[1]
