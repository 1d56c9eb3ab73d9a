"""What the recorded runs are told, against what a reader of their tables would say."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from hfrun.diagnosis import Finding, diagnose
from hfrun.record import RunRecord, read_recorded

Told = Mapping[str, Finding]


@pytest.fixture(scope="module")
def records(lob_data_dir: Path) -> dict[str, RunRecord]:
    held = read_recorded(lob_data_dir / "recorded_runs" / "runs.jsonl")
    return {record.name: record for record in held}


def told(records: Mapping[str, RunRecord], name: str, parent: str | None = None) -> Told:
    found = diagnose(records[name], None if parent is None else records[parent])
    return {finding.rule: finding for finding in found}


@pytest.mark.parametrize(
    ("name", "onset"),
    [("deeplob-exp1", 1), ("deeplob-exp2", 1), ("deeplob-exp3", 2), ("llama-try1", 13)],
)
def test_overfitting_begins_where_the_table_turns(
    records: Mapping[str, RunRecord], name: str, onset: int
) -> None:
    assert told(records, name)["overfitting_onset"].evidence["onset_epoch"] == onset


def test_the_clip_of_exp3_is_not_said_to_fail(records: Mapping[str, RunRecord]) -> None:
    """Its norm of 12.76 is the one before clipping at 1.0."""
    message = told(records, "deeplob-exp3")["clipped_on_most_steps"].message
    assert "above the clip of 1 in 6 of 6 epochs, up to 12.76: clipping did work" in message


@pytest.mark.parametrize(("name", "growth"), [("deeplob-exp2", 5.94 / 0.76),
                                              ("deeplob-exp3", 12.76 / 1.35)])  # fmt: skip
def test_growing_norms_are_put_down_to_memorising(
    records: Mapping[str, RunRecord], name: str, growth: float
) -> None:
    finding = told(records, name)["norm_growth"]
    assert finding.evidence["growth"] == pytest.approx(growth)
    assert "memorised" in finding.message


def test_exp5_ended_inside_its_warmup(records: Mapping[str, RunRecord]) -> None:
    """30 epochs at a ratio of 0.3 are 9 epochs of warm-up; it ran for 6."""
    found = told(records, "deeplob-exp5")
    assert found["peak_never_reached"].evidence["warmup_epochs"] == pytest.approx(9)
    assert found["peak_never_reached"].evidence["epochs_trained"] == 6
    assert found["schedule_hardly_falls"].evidence["floor"] == pytest.approx(0.75)
    assert "overfitting_onset" not in found


def test_a_batch_of_32_for_80_at_the_same_rate_is_told(records: Mapping[str, RunRecord]) -> None:
    assert "batch_changed" in told(records, "llama-try4", "llama-try3")
    assert "batch_changed" not in told(records, "llama-try5", "llama-try3")


def test_a_rate_that_fits_nothing_is_bias_and_one_that_memorises_is_variance(
    records: Mapping[str, RunRecord],
) -> None:
    slow, fast = told(records, "llama-lr-1e-7"), told(records, "llama-try1")
    assert {"bias", "variance"} & set(slow) == {"bias"}
    assert {"bias", "variance"} & set(fast) == {"variance"}
    assert fast["variance"].evidence["gap"] == pytest.approx(0.921 - 0.419)


def test_no_recorded_run_is_told_of_a_loss_that_goes_uphill(
    records: Mapping[str, RunRecord],
) -> None:
    """Their losses scatter near 0 at the end, and none of them climbs."""
    rules = {name: set(told(records, name)) for name in records}
    assert [name for name, found in rules.items() if "step_too_large" in found] == []


def test_a_record_without_epochs_is_judged_by_its_config_alone(
    records: Mapping[str, RunRecord],
) -> None:
    assert list(told(records, "deeplob-exp6")) == ["warmup_long", "schedule_hardly_falls"]
