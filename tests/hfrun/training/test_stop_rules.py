"""Each stop rule on figures a reader can check: the epoch it fires in, and one it lets pass."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hfrun.training.stop_rules import RULES, Fired, stop_rules_from
from lob_backtest.errors import ConfigError

NAN, INF = float("nan"), float("inf")


def fired_at(rule: dict[str, Any], values: list[float | None], first: int = 1) -> int | None:
    """Epoch in which the rule first fires on the values of its metric, counted from ``first``."""
    rules = stop_rules_from([rule])
    for epoch, value in enumerate(values, start=first):
        fired = rules.update(epoch, {rule.get("metric", "loss"): value})
        if fired is not None:
            assert (fired.epoch, fired.rule) == (epoch, rule["rule"])
            return epoch
    return None


def early_stopping(**keys: Any) -> dict[str, Any]:
    return {"rule": "early_stopping", "metric": "f1", "mode": "max", "patience": 2, **keys}


@pytest.mark.parametrize(
    ("values", "epoch"),
    [
        ([0.40, 0.41, 0.42, 0.43], None),
        ([0.40, 0.39, 0.38], 3),
        ([0.40, 0.40, 0.40], 3),  # equal is not better
        ([0.40, 0.39, 0.41, 0.40, 0.41], 5),
        ([0.40, None, 0.39, None, 0.38], 5),  # an epoch that was not evaluated is passed over
        ([0.40, NAN, NAN], 3),  # NaN beats nothing
        ([NAN, NAN], 2),
    ],
)
def test_early_stopping_ends_when_patience_epochs_in_a_row_have_not_beaten_the_best(
    values, epoch
) -> None:
    assert fired_at(early_stopping(), values) == epoch


def test_early_stopping_on_a_loss_counts_epochs_that_are_not_lower() -> None:
    rule = early_stopping(metric="eval_loss", mode="min")
    assert fired_at(rule, [1.0, 0.9, 0.95, 0.9]) == 4
    assert fired_at(rule, [1.0, 0.9, 0.95, 0.8]) is None


def test_best_moves_only_when_beaten_by_more_than_min_delta() -> None:
    # 0.4007, 0.4014 each gain 0.0007 on the epoch before; against 0.4000 the second gains 0.0014
    rule = early_stopping(min_delta=0.0008)
    assert fired_at(rule, [0.4000, 0.4007, 0.4014, 0.4021, 0.4028]) is None
    assert fired_at(rule, [0.4000, 0.4007, 0.4008]) == 3  # by exactly min_delta is not by more
    assert fired_at(rule, [0.4300, 0.4308, 0.4308]) == 3  # 0.4308 - 0.43 is 0.00080000000000002


@pytest.mark.parametrize(
    ("rule", "values", "epoch"),
    [
        ({"rule": "above", "limit": 0.18}, [0.17, 0.18, 0.19], 3),
        ({"rule": "above", "limit": 0.18}, [0.17, 0.18, 0.18], None),
        ({"rule": "above", "limit": 5.0, "consecutive": 2}, [1, 6, 4, 6, 7], 5),
        ({"rule": "above", "limit": 5.0, "consecutive": 2}, [6, 4, 6, 5, 6], None),
        ({"rule": "above", "limit": 0.15, "epochs": [3, 5]}, [0.2, 0.2, 0.1, 0.1, 0.1, 0.2], None),
        ({"rule": "above", "limit": 0.15, "epochs": [3, 5]}, [0.1, 0.1, 0.1, 0.1, 0.2, 0.2], 5),
        # what lies before the range does not count towards the repetitions
        ({"rule": "above", "limit": 1, "epochs": [3, 5], "consecutive": 2}, [2, 2, 2, 2], 4),
        ({"rule": "above", "limit": 1}, [NAN, NAN], None),
        ({"rule": "below", "limit": 0.45, "consecutive": 3}, [0.4, 0.4, 0.45, 0.4, 0.4, 0.4], 6),
        ({"rule": "below", "limit": 0.45, "consecutive": 3}, [0.4, 0.4, 0.5, 0.4, 0.4], None),
        ({"rule": "rise_from_best", "limit": 0.10}, [1.0, 0.8, 0.88, 0.881], 4),
        ({"rule": "rise_from_best", "limit": 0.10}, [1.0, 1.1, 0.9, 0.99], None),
        # the best of an epoch outside the range is remembered
        ({"rule": "rise_from_best", "limit": 0.10, "epochs": [3, 9]}, [0.5, 0.9, 0.6], 3),
        ({"rule": "rising", "consecutive": 2}, [1.0, 1.1, 1.1, 1.2, 1.3], 5),
        ({"rule": "rising", "consecutive": 2}, [1.0, 1.1, 1.0, 1.1, 1.0], None),
    ],
)
def test_rule_fires_in_the_epoch_a_reader_would_name(rule, values, epoch) -> None:
    assert fired_at({"metric": "m", **rule}, values) == epoch


def test_epochs_are_counted_as_the_record_counts_them() -> None:
    rule = {"rule": "above", "metric": "m", "limit": 0, "epochs": [0, 0]}
    assert fired_at(rule, [1.0], first=0) == 0
    assert fired_at(rule, [1.0], first=1) is None


@pytest.mark.parametrize("metric", ["loss", "train_loss", "eval_loss", "grad_norm"])
@pytest.mark.parametrize("value", [NAN, INF, -INF])
def test_non_finite_loss_or_gradient_fires_at_once(metric: str, value: float) -> None:
    rules = stop_rules_from([{"rule": "non_finite"}])
    assert rules.update(1, {metric: 1.0}) is None
    fired = rules.update(2, {metric: value})
    assert (fired.rule, fired.metric, fired.limit, fired.epoch) == ("non_finite", metric, None, 2)
    assert rules.check_step(1, {metric: value}).metric == metric
    assert json.loads(json.dumps(fired.to_dict(), allow_nan=False))["value"] == str(value)


def test_a_step_is_judged_by_non_finite_alone() -> None:
    rules = stop_rules_from([{"rule": "above", "metric": "loss", "limit": 0.0}])
    assert rules.check_step(1, {"loss": 9.0, "grad_norm": NAN}) is None


def test_a_fired_rule_names_itself_the_value_and_the_limit() -> None:
    rules = stop_rules_from([{"rule": "above", "metric": "train_eval_gap", "limit": 0.15}])
    assert rules.update(4, {"train_accuracy": 0.8, "eval_accuracy": 0.6}) == Fired(
        rule="above",
        metric="train_eval_gap",
        value=0.2,
        limit=0.15,
        epoch=4,
        reason="train_eval_gap 0.2 is above 0.15",
    )


def test_gap_of_exactly_the_limit_is_not_above_it_whatever_the_binary_digits() -> None:
    # 0.65 - 0.5 is 0.15000000000000002 in binary
    rules = stop_rules_from([{"rule": "above", "metric": "train_eval_gap", "limit": 0.15}])
    assert rules.update(1, {"train_accuracy": 0.65, "eval_accuracy": 0.5}) is None


def test_of_several_rules_the_first_declared_is_named_and_all_keep_counting() -> None:
    rules = stop_rules_from(
        [
            {"rule": "above", "metric": "a", "limit": 1, "consecutive": 2},
            {"rule": "above", "metric": "b", "limit": 1},
        ]
    )
    assert rules.update(1, {"a": 2, "b": 2}).metric == "b"
    assert rules.update(2, {"a": 2, "b": 2}).metric == "a"


def test_all_mistakes_are_listed_at_once_with_the_known_names() -> None:
    with pytest.raises(ConfigError) as refusal:
        stop_rules_from(
            [
                {"rule": "abov", "metric": "m", "limit": 1},
                {"rule": "above", "metric": "m", "limt": 1},
                {"rule": "below", "metric": "m", "limit": 1, "epochs": [5, 3]},
                early_stopping(patience=0),
                {"rule": "non_finite", "metric": "m"},
                {"rule": "median"},
                "above",
            ]
        )
    for part in (
        "stop_rules[0].rule: got 'abov'; did you mean above?",
        "stop_rules[1].limt: unknown key; did you mean limit?",
        "stop_rules[1].limit: missing; needs a number",
        "stop_rules[2]: epochs=[5, 3]: needs [first, last]",
        "stop_rules[3]: patience=0",
        "stop_rules[4].metric: unknown key",
        f"stop_rules[5].rule: got 'median'; needs one of {', '.join(RULES)}",
        "stop_rules[6]: got 'above'; needs rule",
    ):
        assert part in str(refusal.value)


def test_the_rules_of_the_design_are_all_known() -> None:
    assert list(RULES) == [
        "early_stopping", "above", "below", "rise_from_best", "rising", "non_finite",
    ]  # fmt: skip


ALL_RULES = [
    early_stopping(metric="m"),
    {"rule": "above", "metric": "m", "limit": 0.9, "consecutive": 2},
    {"rule": "rise_from_best", "metric": "m", "limit": 0.5},
    {"rule": "rising", "metric": "m", "consecutive": 3},
    {"rule": "non_finite"},
]


@given(values=st.lists(st.floats(0.1, 1.0), min_size=1, max_size=12), cut=st.integers(0, 12))
def test_rules_resumed_from_their_saved_state_fire_as_if_never_interrupted(values, cut) -> None:
    whole, before, after = (stop_rules_from(ALL_RULES) for _ in range(3))
    expected = [whole.update(epoch, {"m": value}) for epoch, value in enumerate(values)]
    got = [before.update(epoch, {"m": value}) for epoch, value in enumerate(values[:cut])]
    after.load_state_dict(json.loads(json.dumps(before.state_dict())))
    rest = list(enumerate(values))[cut:]
    assert got + [after.update(epoch, {"m": value}) for epoch, value in rest] == expected


def test_a_rule_that_is_new_on_resume_starts_afresh() -> None:
    old = stop_rules_from([early_stopping(patience=1)])
    old.update(1, {"f1": 0.9})
    new = stop_rules_from([early_stopping(patience=2), early_stopping(patience=1)])
    new.load_state_dict(old.state_dict())
    fired = new.update(2, {"f1": 0.5})  # only the one with patience=1 knows of the 0.9
    assert fired.reason == "f1 0.5 has not beaten 0.9 by more than 0"
