"""A run's YAML is read strictly: known keys, right kinds, every problem shown at once."""

import dataclasses
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from lob_backtest.config import (
    BacktestConfig,
    CostsConfig,
    DecisionsConfig,
    GatesConfig,
    JudgeConfig,
    LatencyConfig,
    SignalConfig,
    load_judge_config,
)
from lob_backtest.errors import ConfigError
from lob_backtest.strict_yaml import as_dict, build, finish, load_yaml

SMALLEST = {
    "data": {
        "book": "book.parquet",
        "decisions": {"every_ms": 1000},
        "label": {"horizon_ms": 5000},
    },
    "walk_forward": {"train": 100, "validation": 20, "test": 20},
}


def written(folder: Path, config: object) -> Path:
    path = folder / "run.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


def with_section(name: str, **values) -> dict:
    return {**SMALLEST, name: {**SMALLEST.get(name, {}), **values}}


def problems(folder: Path, config: object, overrides: tuple[str, ...] = ()) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_judge_config(written(folder, config), overrides)
    first, *lines = str(caught.value).split("\n")
    assert "in the config:" in first
    return [line.removeprefix("  - ") for line in lines]


def test_the_smallest_config_has_the_documented_defaults(tmp_path):
    config = load_judge_config(written(tmp_path, SMALLEST))
    assert config.data.window == 100
    assert config.data.normalize.prices == "slow_mean"
    assert config.data.label.flat_share == pytest.approx(1 / 3)
    assert config.backtest is None
    assert config.gates == GatesConfig()
    assert (config.gates.f1_lift, config.gates.max_train_eval_gap) == (0.02, 0.12)
    assert (config.gates.max_grad_norm_p95, config.gates.min_window_pass_rate) == (4.0, 0.7)
    assert (config.gates.max_window_variation, config.gates.max_ece) == (0.2, 0.08)


def test_a_whole_config_survives_writing_and_reading(tmp_path):
    backtest = BacktestConfig(
        costs=CostsConfig(fee_bps=0.5), latency_ns=1000, signal=SignalConfig(threshold=0.4)
    )
    config = dataclasses.replace(
        load_judge_config(written(tmp_path, SMALLEST)),
        backtest=backtest,
        gates=GatesConfig(off=["grad_norm"]),
    )
    assert load_judge_config(written(tmp_path, as_dict(config))) == config


def test_sections_of_hfrun_are_left_alone(tmp_path):
    config = {**SMALLEST, "training": {"anything": 1}, "stop_rules": [], "model": {"x": 2}}
    assert load_judge_config(written(tmp_path, config)) == load_judge_config(
        written(tmp_path, SMALLEST)
    )


def test_every_problem_is_shown_at_once_with_the_nearest_key(tmp_path):
    config = {
        "data": {
            "book": 5,
            "decisions": {"every_ms": "soon"},
            "label": {"horizon_ms": 5000, "flat_shear": 0.2},
            "windw": 10,
        },
        "walk_forward": {"train": 100, "validation": 20},
        "gate": {},
    }
    assert problems(tmp_path, config) == [
        "gate: unknown key; did you mean gates?",
        "data.windw: unknown key; did you mean window?",
        "data.book: got 5; needs text or a section with days, rows_per_day, levels, signal, seed",
        "data.decisions.every_ms: got 'soon'; needs a number or nothing",
        "data.label.flat_shear: unknown key; did you mean flat_share?",
        "walk_forward: mode=rolling needs test",
    ]


def test_a_missing_section_names_what_it_holds(tmp_path):
    (message,) = problems(tmp_path, {"data": SMALLEST["data"]})
    assert message.startswith("walk_forward: missing; needs a section with mode, unit, train")


def test_costs_and_latency_have_no_default(tmp_path):
    costs, latency = problems(tmp_path, with_section("backtest"))
    assert costs.startswith("backtest.costs: missing; needs 'none' or a section with preset, fee")
    assert latency == (
        "backtest.latency_ns: missing; needs a whole number or a section with median_ns, p99_ns, "
        "seed"
    )


def test_free_and_instant_trading_can_be_asked_for_by_name(tmp_path):
    config = with_section("backtest", costs="none", latency_ns=0)
    backtest = load_judge_config(written(tmp_path, config)).backtest
    assert backtest == BacktestConfig(costs="none", latency_ns=0)


def test_a_problem_inside_an_optional_section_is_told_as_that_of_the_section(tmp_path):
    config = with_section("backtest", costs={"fee_bp": 1.0}, latency_ns=0)
    assert problems(tmp_path, config) == [
        "backtest.costs.fee_bp: unknown key; did you mean fee_bps?",
    ]
    config = with_section("backtest", costs={"discount": 0.5}, latency_ns=0)
    (message,) = problems(tmp_path, config)
    assert message.startswith("backtest.costs: needs a preset or fees")


@pytest.mark.parametrize(
    ("section", "values", "message"),
    [
        ("walk_forward", {"train": 0}, "train=0.0 needs to be above 0"),
        ("walk_forward", {"embargo_ms": -1}, "embargo_ms=-1.0 needs to be >= 0"),
        ("walk_forward", {"mode": "sliding"}, "'sliding'; needs 'rolling' or 'expanding'"),
        ("data", {"window": 0}, "window=0 needs to be above 0"),
        ("data", {"window": 1.5}, "got 1.5; needs a whole number"),
        ("data", {"window": True}, "got True; needs a whole number"),
        ("data", {"label": {"horizon_ms": 1, "horizon_events": 1}}, "exactly one of horizon_ms"),
        ("data", {"label": {"horizon_ms": 1, "flat_share": 1.0}}, "within 0 and 1"),
        ("data", {"label": {"horizon_ms": 1, "threshold_ticks": -1}}, "threshold_ticks=-1.0"),
        ("data", {"decisions": {}}, "exactly one of every_ms, every_events and on"),
        ("data", {"decisions": {"every_ms": 1, "every_events": 1}}, "exactly one of every_ms"),
        ("data", {"decisions": {"on": "spread_change"}}, "'spread_change'; needs 'mid_change'"),
        ("backtest", {"costs": {"fee_bps": -1}, "latency_ns": 0}, "fee_bps=-1.0 needs to be >= 0"),
        ("backtest", {"costs": "none", "latency_ns": -5}, "latency_ns=-5 needs to be >= 0"),
        ("backtest", {"costs": "nothing", "latency_ns": 0}, "'nothing'; needs 'none' or"),
        ("gates", {"grad_norm_p50": [1]}, "a lower and an upper figure"),
        ("gates", {"off": "grad_norm"}, "got 'grad_norm'; needs a list of text"),
    ],
)
def test_a_wrong_value_is_refused_with_its_key(tmp_path, section, values, message):
    (found,) = problems(tmp_path, with_section(section, **values))
    assert found.startswith(section)
    assert message in found


@pytest.mark.parametrize(
    ("signal", "message"),
    [
        ({"threshold": 1.0}, "thresholds need to be within 0 and 1"),
        ({"threshold": "best"}, "'best'; needs 'validation' or a number"),
        ({"candidates": []}, "candidates is empty"),
        ({"candidates": [0.5, 0]}, "thresholds need to be within 0 and 1"),
        ({"hold_decisions": 0}, "hold_decisions=0 needs to be above 0"),
    ],
)
def test_a_wrong_signal_is_refused(tmp_path, signal, message):
    config = with_section("backtest", costs="none", latency_ns=0, signal=signal)
    (found,) = problems(tmp_path, config)
    assert message in found


def test_overrides_replace_values_and_make_sections(tmp_path):
    path = written(tmp_path, SMALLEST)
    config = load_judge_config(
        path,
        [
            "data.window=50",
            "data.label.horizon_ms=1e3",
            "gates.off=[grad_norm]",
            "backtest.costs=none",
            "backtest.latency_ns=0",
        ],
    )
    assert config.data.window == 50
    assert config.data.label.horizon_ms == 1000.0
    assert config.gates.off == ["grad_norm"]
    assert config.backtest == BacktestConfig(costs="none", latency_ns=0)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("window=50", "needs section.key=value"),
        ("data.window", "needs section.key=value"),
        ("data.book.name=x", "book holds 'book.parquet', which has no keys"),
        ("data.window=[", "the value is not valid YAML"),
    ],
)
def test_a_bad_override_is_shown_as_typed(tmp_path, override, message):
    with pytest.raises(ConfigError) as caught:
        load_judge_config(written(tmp_path, SMALLEST), [override])
    assert repr(override) in str(caught.value)
    assert message in str(caught.value)


def test_a_misspelt_key_in_an_override_is_an_unknown_key(tmp_path):
    assert problems(tmp_path, SMALLEST, ("data.windwo=5",)) == [
        "data.windwo: unknown key; did you mean window?"
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [("a: [", "not valid YAML"), ("- a", "got list"), ("", "got NoneType"), ("\xff", "got str")],
)
def test_what_is_no_mapping_is_refused(tmp_path, text, message):
    path = tmp_path / "run.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        load_yaml(path)


def test_bytes_that_are_no_text_are_refused(tmp_path):
    path = tmp_path / "run.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="not valid YAML"):
        load_yaml(path)


def test_a_missing_config_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="no such config file"):
        load_yaml(tmp_path / "none.yaml")


@given(st.floats(allow_nan=False, allow_infinity=False, width=32))
def test_numbers_are_read_however_yaml_writes_them(number):
    @dataclasses.dataclass(frozen=True, kw_only=True)
    class One:
        value: float

    # repr gives 1e-05, which YAML 1.1 reads as text.
    for raw in (number, repr(number), yaml.safe_load(yaml.safe_dump(number))):
        errors: list[str] = []
        assert finish(build(One, {"value": raw}, "", errors), errors, "test").value == number


@pytest.mark.parametrize("value", [float("nan"), float("inf"), ".nan", True, [1]])
def test_what_is_no_finite_number_is_refused(value):
    errors: list[str] = []
    build(CostsConfig, {"fee_bps": value}, "costs", errors)
    assert errors == [f"costs.fee_bps: got {value!r}; needs a number or nothing"]


def test_sections_are_frozen():
    decisions = DecisionsConfig(every_ms=1.0)
    with pytest.raises(dataclasses.FrozenInstanceError):
        decisions.every_ms = 2.0  # type: ignore[misc]


def test_every_field_of_the_judge_is_a_known_section(tmp_path):
    names = [item.name for item in dataclasses.fields(JudgeConfig)]
    config = {name: {} for name in names}
    assert not [line for line in problems(tmp_path, config) if "unknown key" in line]


def test_on_off_and_clock_times_mean_what_is_written(tmp_path) -> None:
    # YAML 1.1 reads these as True, False and 960.
    path = tmp_path / "words.yaml"
    path.write_text("a: {on: mid_change, off: [x], yes: no, t: 16:00, s: 1:30.5}\n"
                    "b: [true, False, 12, -1.5, 2020]\n", encoding="utf-8")  # fmt: skip
    assert load_yaml(path) == {
        "a": {"on": "mid_change", "off": ["x"], "yes": "no", "t": "16:00", "s": "1:30.5"},
        "b": [True, False, 12, -1.5, 2020],
    }


@pytest.mark.parametrize(
    ("section", "values", "message"),
    [
        ("walk_forward", {"mode": "combinatorial", "groups": 3, "test_groups": 3},
         "test_groups=3 needs to be below groups=3"),
        ("walk_forward", {"train": 1, "validation": 1, "test": 1, "train_dev": -1},
         "train_dev=-1.0 needs to be >= 0"),
        ("backtest", {"costs": "none", "latency_ns": {"median_ns": 9, "p99_ns": 8}},
         "p99_ns=8 needs to be at least median_ns=9"),
        ("backtest", {"costs": {"minimum_fee": -1}, "latency_ns": 0},
         "minimum_fee=-1.0 needs to be >= 0"),
        ("backtest", {"costs": "none", "latency_ns": 0, "trials": 0}, "trials=0 needs to be above"),
    ],
)  # fmt: skip
def test_what_the_newer_keys_cannot_mean_is_refused(tmp_path, section, values, message):
    config = {**SMALLEST, section: values}
    assert any(message in told for told in problems(tmp_path, config))


def test_a_rebate_for_makers_is_no_negative_cost(tmp_path):
    costs = {"fee_bps": 5.0, "maker_fee_bps": -1.0}
    config = with_section("backtest", costs=costs, latency_ns={"median_ns": 5, "p99_ns": 9})
    backtest = load_judge_config(written(tmp_path, config)).backtest
    assert backtest is not None
    assert backtest.costs == CostsConfig(fee_bps=5.0, maker_fee_bps=-1.0)
    assert backtest.latency_ns == LatencyConfig(median_ns=5, p99_ns=9)
