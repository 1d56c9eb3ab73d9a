"""Replays, by tables that a reader can check with a pencil."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hfrun.errors import HfrunError
from hfrun.record import Course, RunRecord, read_recorded
from hfrun.replay.replay import replay
from hfrun.replay.rules import ReplayRules, read_rules, rules_from
from hfrun.replay.table import text_of
from lob_backtest.errors import ConfigError
from lob_backtest.strict_yaml import load_yaml

ROOT = Path(__file__).resolve().parents[3]
RECORDED = ROOT / "configs" / "stop_rules" / "recorded.yaml"
GAP = {"rule": "above", "metric": "train_eval_gap", "limit": 0.15, "epochs": [3, 5]}
NORM = {"rule": "above", "metric": "grad_norm", "limit": 5.0, "consecutive": 2}
PATIENCE = {"rule": "early_stopping", "metric": "eval_accuracy", "mode": "max", "patience": 2}


def record(*epochs: dict[str, float], config: dict[str, Any] | None = None) -> RunRecord:
    """A recorded run; its epochs count from 1 unless they say."""
    numbered = tuple({"epoch": float(i), **epoch} for i, epoch in enumerate(epochs, start=1))
    return RunRecord(
        name="made up", kind="recorded", config=config or {}, courses=(Course(epochs=numbered),)
    )


def scores(*values: float, name: str = "eval_accuracy") -> RunRecord:
    return record(*({name: value} for value in values))


def rules(*declared: dict[str, Any], **kept: Any) -> ReplayRules:
    return ReplayRules(stop_rules=declared, **kept)


# run, stopped in, by, best, chosen, epochs saved, score lost; read off the tables by hand:
#   exp1: gaps .2937 .3601 .3897 in epochs 3-5, all above .15      -> 3
#   exp2: gaps .1352 .2071 in 3 and 4; norms 4.48 5.94, one above 5 -> 4, by the gap
#   exp3: gap .1134 in 4; norms 5.71 9.62 in 3 and 4                -> 4, by the norm
#   exp5: gap .0107 at most; norms below 5; accuracy rises throughout
#   try1: best .419 in 13; 14 to 18 are .414 .385 .401 .391 .397    -> 18 of 0 to 49
#   try3: never five in a row: .401 .411 | .39 .398 | .421 .435 | .419 .431
#   try4: .429 in 10, then .421 .418 .405 .404 .411                 -> 15 of 0 to 23
#   try5: .432 in 11, then .429 .406 .427 .422 .428                 -> 16 of 0 to 24
#   try6: .327 in 9, then .272 .312 .325 .323 .311                  -> 14 of 0 to 24; .411 in 24
#   try7: .43 in 16, then .416 .43 .42 .416 .398 (equal is no gain) -> 21 of 0 to 28
#   try8: .418 in 10, then .402 .406 .38 .4 .4                      -> 15 of 0 to 29
#   lr-2e-5: gap .159 in 3; lr-1e-4: .147 in 3, .373 in 4; lr-1e-3: .268 in 3
BY_GAP, BY_NORM, BY_PATIENCE = (
    "above train_eval_gap", "above grad_norm", "early_stopping eval_accuracy",
)  # fmt: skip
READ_BY_HAND = [
    ("llama-lr-1e-7", None, None, 3, 3, 0, 0.0),
    ("llama-lr-1e-6", None, None, 4, 4, 0, 0.0),
    ("llama-lr-1e-5", None, None, 4, 4, 0, 0.0),
    ("llama-lr-2e-5", 3, BY_GAP, 4, 3, 1, 0.009),
    ("llama-lr-1e-4", 4, BY_GAP, 4, 4, 0, 0.0),
    ("llama-lr-1e-3", 3, BY_GAP, 2, 2, 1, 0.0),
    ("llama-try1", 18, BY_PATIENCE, 13, 13, 31, 0.0),
    ("llama-try3", None, None, 16, 16, 0, 0.0),
    ("llama-try4", 15, BY_PATIENCE, 10, 10, 8, 0.0),
    ("llama-try5", 16, BY_PATIENCE, 11, 11, 8, 0.0),
    ("llama-try6", 14, BY_PATIENCE, 24, 9, 10, 0.084),
    ("llama-try7", 21, BY_PATIENCE, 16, 16, 7, 0.0),
    ("llama-try8", 15, BY_PATIENCE, 10, 10, 14, 0.0),
    ("deeplob-exp1", 3, BY_GAP, 1, 1, 2, 0.0),
    ("deeplob-exp2", 4, BY_GAP, 1, 1, 0, 0.0),
    ("deeplob-exp3", 4, BY_NORM, 2, 2, 2, 0.0),
    ("deeplob-exp5", None, None, 6, 6, 0, 0.0),
    ("deeplob-exp6", None, None, None, None, 0, None),
]


def test_recorded_runs_are_stopped_where_a_reader_of_their_tables_would(lob_data_dir: Path) -> None:
    held = read_rules(RECORDED)
    told = [
        entry.as_dict()
        for run in read_recorded(lob_data_dir / "recorded_runs" / "runs.jsonl")
        for entry in replay(run, held)
    ]
    names = ("run", "stop_epoch", "rule", "best_epoch", "chosen_epoch", "epochs_saved",
             "score_lost")  # fmt: skip
    assert [tuple(entry[name] for name in names) for entry in told] == READ_BY_HAND
    assert all(entry["score"] in ("eval_accuracy", None) for entry in told)
    json.dumps(told, allow_nan=False)


def test_the_chosen_epoch_is_the_best_up_to_the_stop_and_the_rest_is_saved_or_lost() -> None:
    # .40 .43 | .42 .41 have not beaten .43 twice: stop after 4; 5 to 8 would have had .47 in 6
    (found,) = replay(scores(0.40, 0.43, 0.42, 0.41, 0.44, 0.47, 0.46, 0.45), rules(PATIENCE))
    assert (found.stop_epoch, found.chosen_epoch, found.best_epoch) == (4, 2, 6)
    assert (found.epochs_saved, found.score_lost) == (4, 0.04)
    assert found.rule == BY_PATIENCE
    assert found.fired is not None
    assert found.fired.reason == (
        "eval_accuracy 0.41 has not beaten 0.43 by more than 0, 2 times in a row"
    )


def test_of_equal_scores_the_first_is_chosen_and_less_loss_is_better() -> None:
    (found,) = replay(scores(0.9, 0.7, 0.7, 0.8, name="eval_loss"), rules(NORM))
    assert (found.score, found.best_epoch, found.best_score) == ("eval_loss", 2, 0.7)
    assert (found.stop_epoch, found.epochs_saved, found.score_lost) == (None, 0, 0.0)
    rise = {"rule": "rise_from_best", "metric": "eval_loss", "limit": 0.1}
    (stopped,) = replay(scores(0.9, 1.0, 0.7, 0.6, name="eval_loss"), rules(rise))
    assert (stopped.stop_epoch, stopped.chosen_epoch, stopped.score_lost) == (2, 1, 0.3)


def test_the_score_is_the_wanted_one_else_the_configs_else_the_usual_ones() -> None:
    epochs = [{"eval_loss": 0.9, "eval_accuracy": 0.6, "eval_f1_weighted": 0.5},
              {"eval_loss": 0.8, "eval_accuracy": 0.7, "eval_f1_weighted": 0.4}]  # fmt: skip
    run = record(*epochs)
    assert replay(run, rules(NORM))[0].score == "eval_f1_weighted"
    assert replay(run, rules(NORM, score="eval_accuracy"))[0].best_epoch == 2
    assert replay(run, rules(NORM, score="accuracy"))[0].score == "eval_accuracy"
    assert replay(run, rules(NORM, score="eval_mcc"))[0].chosen_epoch is None
    chose = record(*epochs, config={"training": {"metric_for_best_model": "accuracy"}})
    assert replay(chose, rules(NORM))[0].score == "eval_accuracy"
    ours = RunRecord(name="r", kind="train", config={}, courses=run.courses)
    assert replay(ours, rules(NORM))[0].score == "eval_loss"  # the default it chose by


def test_each_rule_is_told_by_itself_and_one_without_its_metric_was_not_measured() -> None:
    gaps = [(0.5, 0.5), (0.9, 0.5), (0.7, 0.5), (0.9, 0.5), (0.9, 0.4)]
    run = record(*({"train_accuracy": t, "eval_accuracy": e} for t, e in gaps))
    (found,) = replay(run, rules(PATIENCE, GAP, NORM, {"rule": "non_finite"}))
    told = [(rule["rule"], rule["measured"], rule["epoch"], rule["limit"]) for rule in found.rules]
    assert told == [
        ("early_stopping", True, 3, 0.5),
        ("above", True, 3, 0.15),
        ("above", False, None, None),
        ("non_finite", False, None, None),
    ]
    assert found.rule == BY_PATIENCE  # of two that fire in one epoch the first in the list
    (other,) = replay(run, rules(GAP, PATIENCE))
    assert other.rule == BY_GAP
    assert "above grad_norm: no run has grad_norm recorded" in text_of([found])


def test_a_step_that_was_not_finite_ends_a_run_folders_epoch_before_its_evaluation() -> None:
    epochs = [{"epoch": float(i), "step": 2.0 * i, "eval_loss": 1 - i / 10} for i in (1, 2, 3)]
    norms = (1.0, 1.0, 1.0, math.inf, 1.0, 1.0)
    course = Course(epochs=tuple(epochs), grad_norms=norms)
    run = RunRecord(name="r", kind="train", config={}, courses=(course,))
    (found,) = replay(run, rules({"rule": "non_finite"}))
    assert (found.rule, found.stop_epoch, found.chosen_epoch) == ("non_finite grad_norm", 2, 1)
    assert (found.epochs_saved, found.score_lost) == (1, 0.2)
    json.dumps(found.as_dict(), allow_nan=False)


def test_evaluations_within_an_epoch_count_as_they_did_in_the_run() -> None:
    epochs = tuple({"epoch": i / 2, "step": i, "eval_loss": float(i)} for i in range(1, 7))
    run = RunRecord(name="r", kind="train", config={}, courses=(Course(epochs=epochs),))
    late = {"rule": "above", "metric": "eval_loss", "limit": 0.0, "epochs": [2, 9]}
    (found,) = replay(run, rules(late))
    assert (found.stop_epoch, found.epochs_saved) == (1.5, 1.5)  # half of the second epoch
    assert found.fired is not None
    assert found.fired.epoch == 2


def test_a_walk_forward_has_an_entry_a_fold_with_the_findings_of_that_fold() -> None:
    folds = tuple(
        Course(label=f"fold {i}", epochs=scores(*values).courses[0].epochs)
        for i, values in enumerate([(0.4, 0.3, 0.2), (0.4, 0.5, 0.6)])
    )
    run = RunRecord(name="walk", kind="walk-forward", config={}, courses=folds)
    found = replay(run, rules(PATIENCE, score="eval_accuracy"))
    assert [(one.title, one.stop_epoch) for one in found] == [
        ("walk, fold 0", 3), ("walk, fold 1", None),
    ]  # fmt: skip


def test_epochs_out_of_order_are_refused_by_their_numbers() -> None:
    doubled = record({"epoch": 1}, {"epoch": 2}, {"epoch": 2})
    with pytest.raises(HfrunError, match="made up: epoch 2 is recorded after epoch 2"):
        replay(doubled, rules(GAP))
    with pytest.raises(HfrunError, match="made up: epoch inf; needs a number"):
        replay(record({"epoch": math.inf}), rules(GAP))


@settings(max_examples=40)
@given(
    values=st.lists(st.sampled_from([0.1, 0.2, 0.3, 0.4, 0.5, math.nan]), min_size=1, max_size=12),
    later=st.lists(st.floats(0, 1), max_size=4),
)
def test_what_comes_after_the_stop_changes_neither_it_nor_the_choice(
    values: list[float], later: list[float]
) -> None:
    (first,) = replay(scores(*values), rules(PATIENCE))
    (longer,) = replay(scores(*values, *later), rules(PATIENCE))
    if first.stop_epoch is not None:
        assert longer.stop_epoch == first.stop_epoch
        assert longer.chosen_epoch == first.chosen_epoch
        assert longer.epochs_saved == first.epochs_saved + len(later)
    assert (longer.score_lost or 0.0) >= 0.0


@pytest.mark.parametrize("name", ["recorded", "all"])
def test_the_rules_that_ship_can_be_read(name: str) -> None:
    assert len(read_rules(RECORDED.with_name(f"{name}.yaml")).stop_rules) >= 4


def test_a_list_is_stop_rules_and_a_runs_config_gives_its_own() -> None:
    assert rules_from([GAP]).stop_rules == (GAP,)
    smoke = ROOT / "configs" / "smoke.yaml"
    assert list(read_rules(smoke).stop_rules) == load_yaml(smoke)["stop_rules"]


def test_all_mistakes_of_a_rules_file_are_shown_at_once(tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text(
        "stop_rule: []\nstop_rules: [{rule: abov, metric: x, limit: 1}]\nscore: [1]\n"
        "gates: {max_gap: 0.1}\n",
        encoding="utf-8",
    )
    with pytest.raises(ConfigError, match="4 problems") as caught:
        read_rules(path)
    for words in (
        "stop_rule: unknown key; did you mean stop_rules?",
        "did you mean above?",
        "score: got [1]; needs a metric's name",
        "gates.max_gap: unknown key",
    ):
        assert words in str(caught.value)
    with pytest.raises(ConfigError, match="stop_rules: got None; needs a list"):
        rules_from({"score": "eval_loss"})
