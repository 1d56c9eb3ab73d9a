"""The bench: both of its sides do the same work, and its figures are what they are called."""

import json
from pathlib import Path

import pytest

from lob_backtest import bench
from lob_backtest.errors import MetricError


@pytest.mark.parametrize("hold_decisions", [1, 10])
def test_a_plain_loop_of_portfolios_with_stats_gives_the_same_figures(hold_decisions: int) -> None:
    case = bench.made_case(600, folds=2, hold_decisions=hold_decisions)
    ours, plain = (bench.timed(side, case)[0] for side in (bench.ours, bench.plain))
    assert list(ours) == [(fold, level) for level in range(5) for fold in range(2)]
    assert bench.check_agreement(ours, plain) < 1e-12
    nets = [ours[0, level][0] for level in range(5)]
    assert nets == sorted(nets, reverse=True)
    assert nets[0] > nets[-1]
    assert min(trades for _, _, trades in ours.values()) > 20


def test_sides_that_disagree_are_not_compared() -> None:
    one = {(0, 0): (1.0, 0.5, 3.0)}
    with pytest.raises(MetricError, match=r"net profits differ by up to 0\.1"):
        bench.check_agreement(one, {(0, 0): (1.1, 0.5, 3.0)})
    with pytest.raises(MetricError, match=r"trades by 1\.0"):
        bench.check_agreement(one, {(0, 0): (1.0, 0.5, 4.0)})
    with pytest.raises(MetricError, match="1 figures against 0"):
        bench.check_agreement(one, {})


def test_the_exponent_of_a_line_is_one_and_of_a_square_two() -> None:
    assert bench.exponent([10, 100, 1000], [3.0, 30.0, 300.0]) == pytest.approx(1)
    assert bench.exponent([10, 100, 1000], [1.0, 100.0, 10_000.0]) == pytest.approx(2)
    assert bench.exponent([10], [1.0]) is None
    assert bench.exponent([10, 100], [0.0, 1.0]) is None


def test_one_size_is_measured_in_a_process_of_its_own() -> None:
    (row,) = bench.grow([2_000])["sizes"]
    assert row["decisions"] == 2_000
    assert row["seconds"] > 0
    assert 0 < row["idle_mib"] <= row["data_mib"] <= row["peak_mib"]


def test_a_whole_run_writes_its_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = bench.made_case
    monkeypatch.setattr(bench, "made_case", lambda n, **hold: made(min(n, 600), folds=2, **hold))
    monkeypatch.setattr(bench, "grow", lambda sizes: {"sizes": list(sizes)})
    path = tmp_path / "bench.json"
    arguments = ["score", "--json", str(path), "--decisions", "600", "--repeats", "1"]
    assert bench.main([*arguments, "--sizes", "10", "20"]) == 0
    found = json.loads(path.read_text())
    assert found["score_ratio"] == found["seconds"]["plain"] / found["seconds"]["ours"]
    assert found["with_most_orders"]["orders"] > found["orders"]
    assert found["growth"] == {"sizes": [10, 20]}
    assert found["decisions"] == found["full_score"]["decisions"] == 600
    assert {"cpu", "cores", "numpy", "vectorbt"} <= found["machine"].keys()
