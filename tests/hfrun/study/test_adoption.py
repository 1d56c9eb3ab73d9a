"""Whether a study's best config takes the incumbent's place: hfrun.study.adoption."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hfrun.commands.study_adopt import adoption_text, plan_text
from hfrun.config import HfrunConfig, effective_yaml, load_config
from hfrun.errors import HfrunError
from hfrun.study import adoption as adoption_module
from hfrun.study.adoption import Adoption, adopt, planned
from hfrun.study.candidate import plain_config
from hfrun.study.study_data import StudyTrial
from lob_backtest.errors import ConfigError, LobBacktestError
from lob_backtest.files import sole_use
from tests.hfrun.study.adoption_case import (
    STANDARD_ERROR,
    Scores,
    best_of_24,
    dropout_of,
    noisy,
    study_raw,
    trial_of,
    write_study,
)

PLAN = {"seeds": 5, "most_seeds": 15}


@pytest.fixture(autouse=True)
def no_versions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asking git and every package for its version would be most of the time."""
    monkeypatch.setattr(adoption_module, "program_facts", lambda: {"created_at": "now"})


def better_at(dropout: float, gain: float) -> Callable[..., float]:
    """0.5 with noise by seed that is not the same for both, and a gain at one dropout."""
    return lambda raw, seed, arm: (
        0.5
        + 0.001 * ((seed * (3 if arm.startswith("incumbent") else 5)) % 7)
        + (gain if dropout_of(raw) == dropout else 0.0)
    )


def adopted(folder: Path, run: Any, trials: list[StudyTrial], **more: Any) -> Adoption:
    """Of a study with these trials."""
    write_study(folder, trials)
    return adopt(study_raw(folder, **PLAN), source="study.yaml", run=run, **more)


def two_trials() -> list[StudyTrial]:
    return [trial_of(0, 0.5, 0.0), trial_of(1, 0.6, 0.3)]


def test_noise_is_refused_in_at_least_19_of_20_studies(tmp_path: Path) -> None:
    verdicts = [_of_repetition(tmp_path, repetition, gain=0.0) for repetition in range(20)]
    assert verdicts.count("refuse") >= 19


def test_a_gain_of_three_standard_errors_is_adopted_in_at_least_18_of_20_studies(
    tmp_path: Path,
) -> None:
    gain = 3 * STANDARD_ERROR
    verdicts = [_of_repetition(tmp_path, repetition, gain=gain) for repetition in range(20)]
    assert verdicts.count("adopt") >= 18


def _of_repetition(folder: Path, repetition: int, *, gain: float) -> str:
    """The verdict on the best of 24 noisy trials."""
    run = Scores(noisy(repetition, gain=gain))
    found = adopted(folder / str(repetition), run, best_of_24(repetition, gain=gain))
    return str(found.outcome["verdict"])


def test_both_are_trained_with_the_same_seeds_which_the_study_did_not_use(tmp_path: Path) -> None:
    run = Scores(better_at(0.3, 0.05))
    found = adopted(tmp_path, run, two_trials())
    arms = ["incumbent", "candidate-001"]
    assert run.asked == [(arm, seed) for seed in range(1000, 1005) for arm in arms]
    assert set(run.kinds) == {"train"}
    assert found.outcome["verdict"] == "adopt"
    assert found.outcome["seeds"] == [1000, 1001, 1002, 1003, 1004]
    scores = found.outcome["scores"]
    differences = [b - a for a, b in zip(scores["incumbent"], scores["candidate"], strict=True)]
    assert sum(differences) / 5 == pytest.approx(found.outcome["decision"]["gain"])
    assert found.outcome["score_in_study"] == 0.6


def test_an_adopted_config_is_ready_to_run_and_owns_to_the_trials_behind_it(tmp_path: Path) -> None:
    raw = book_raw(tmp_path, trials=4)
    waiting = trial_of(2, None, 0.6, status="waiting")
    failed = trial_of(3, None, 0.6, status="failed")
    write_study(tmp_path, [*book_trials(), waiting, failed])
    found = adopt(raw, source="study.yaml", run=Scores(book_gain))
    assert found.is_adopted
    # 4 that the config owns to, and 3 that were begun
    assert (found.outcome["trials"], found.outcome["trials_of_study"]) == (7, 3)
    config = load_config(tmp_path / "study" / "adopted.yaml")
    assert isinstance(config, HfrunConfig)
    assert config.backtest is not None
    assert config.backtest.trials == 7
    assert config.model.config["dropout"] == 0.3
    assert config.training.arguments["learning_rate"] == 1e-3
    assert config.run.output_dir == str(tmp_path / "adopted")
    assert config.run.parent == str(tmp_path / "adoption" / "incumbent" / "seed-1000")
    assert config.study is None
    assert config.walk_forward is not None
    assert config.hub.repo == "me/model"
    assert effective_yaml(config).startswith("run:\n  name: book study\n")


def test_a_study_of_folds_is_adopted_by_walk_forwards_and_told_by_fold(tmp_path: Path) -> None:
    raw = book_raw(tmp_path, trials=1)
    raw["study"]["folds"] = True
    write_study(tmp_path, book_trials())
    run = Scores(book_gain)
    run.folds = 3
    found = adopt(raw, source="study.yaml", run=run)
    assert set(run.kinds) == {"walk-forward"}
    folds = found.outcome["folds"]
    assert [round(fold["incumbent"], 4) for fold in folds] == [0.502, 0.512, 0.522]
    assert "better in 3 of 3 folds" in adoption_text(found.outcome)


def test_candidates_are_told_apart_from_the_config_by_what_they_change(tmp_path: Path) -> None:
    found = adopted(tmp_path, Scores(better_at(0.3, 0.05)), two_trials())
    assert found.outcome["changed"] == {
        "model.config.classifier_dropout": {"from": None, "to": 0.3}
    }
    text = adoption_text(found.outcome)
    assert text.startswith("adopted: trial 1 of fake; the gain is +0.0492 ")
    assert "model.config.classifier_dropout: not set -> 0.3" in text
    assert text.endswith(f"go on with: hfrun train {tmp_path / 'study' / 'adopted.yaml'}")


def test_a_candidate_that_is_the_incumbent_is_refused_without_a_training(tmp_path: Path) -> None:
    raw = study_raw(tmp_path, **PLAN)
    raw["model"]["config"] = {"classifier_dropout": 0.3}
    write_study(tmp_path, two_trials())
    run = Scores(better_at(0.3, 0.05))
    found = adopt(raw, source="study.yaml", run=run)
    assert (found.outcome["verdict"], run.asked) == ("refuse", [])
    assert found.outcome["reason"] == "its config is the incumbent's"
    assert "the incumbent stays" in adoption_text(found.outcome)


def test_every_judgement_is_kept_once_with_its_reason(tmp_path: Path) -> None:
    trials = [*two_trials(), trial_of(2, 0.55, 0.6)]
    run = Scores(better_at(0.3, 0.05))
    found = [adopted(tmp_path, run, trials, candidate=n) for n in (2, 1, 1)]  # the last: no news
    assert [each.outcome["judged_before"] for each in found] == [0, 1, 1]
    assert "judged before in this study: 1" in adoption_text(found[1].outcome)
    lines = (tmp_path / "study" / "candidates.jsonl").read_text().splitlines()
    held = [json.loads(line) for line in lines]
    assert [(each["candidate"], each["verdict"]) for each in held] == [(2, "refuse"), (1, "adopt")]
    assert all(each["decision"]["reason"] == each["reason"] for each in held)
    latest = json.loads((tmp_path / "study" / "adoption.json").read_text())
    assert latest["candidate"] == 1
    assert latest["adopted"] == "study/adopted.yaml"


def test_a_refusal_leaves_no_config_to_go_on_with(tmp_path: Path) -> None:
    found = adopted(tmp_path, Scores(better_at(0.3, -0.05)), two_trials())
    assert found.outcome["verdict"] == "refuse"
    assert found.outcome["adopted"] is None
    assert not (tmp_path / "study" / "adopted.yaml").exists()
    told = adoption_text(found.outcome)
    assert "write backtest.trials=3 into its config before its next study" in told


def test_the_best_finalists_come_before_a_luckier_short_trial(tmp_path: Path) -> None:
    trials = [
        *two_trials(),
        trial_of(2, 0.7, 0.6),
        trial_of(3, 0.62, 0.6, phase="finalist", seed=0),
        trial_of(4, 0.52, 0.6, phase="finalist", seed=1),
        trial_of(5, 0.58, 0.3, phase="finalist", seed=0),
        trial_of(6, 0.60, 0.3, phase="finalist", seed=1),
    ]
    epochs: list[Any] = []

    def score(raw: Any, seed: int, arm: str) -> float:
        epochs.append((arm, raw["training"]["num_train_epochs"]))
        return better_at(0.3, 0.05)(raw, seed, arm)

    found = adopted(tmp_path, Scores(score), trials)
    assert (found.outcome["candidate"], found.outcome["phase"]) == (5, "finalist")
    assert found.outcome["score_in_study"] == pytest.approx(0.59)
    # both are trained as long as finalists were: three times the config's 5 epochs
    assert set(epochs) == {("incumbent", 15), ("candidate-005", 15)}
    assert list(found.outcome["changed"]) == ["model.config.classifier_dropout"]


def test_only_a_trial_within_its_constraints_is_chosen(tmp_path: Path) -> None:
    small = {"name": "parameters", "value": 90, "limit": 100, "met": True}
    large = {"name": "parameters", "value": 900, "limit": 100, "met": False}
    trials = [
        trial_of(0, 0.5, 0.6, constraints=(small,)),
        trial_of(1, 0.6, 0.3, constraints=(large,)),
        trial_of(2, None, 0.6, status="diverged"),
    ]
    run = Scores(better_at(0.3, 0.05))
    assert adopted(tmp_path, run, trials).outcome["candidate"] == 0
    for number, said in (
        (1, "trial 1: does not meet its constraints .parameters is 900, its limit 100"),
        (2, "trial 2: is diverged"),
        (7, "trial 7: the study has none of this number; its trials are 0 to 2"),
    ):
        with pytest.raises(ConfigError, match=said):
            adopted(tmp_path, run, trials, candidate=number)
    with pytest.raises(ConfigError, match="none of its 2 trials ended within all constraints"):
        adopted(tmp_path, run, trials[1:])


def test_a_better_score_does_not_pay_for_a_constraint_that_is_broken(tmp_path: Path) -> None:
    write_study(tmp_path, two_trials())
    # the candidate's losses are 0.448, 0.45, 0.445, 0.447 and 0.449
    for limit, met, verdict in ((0.452, 5, "adopt"), (0.4475, 2, "refuse")):
        raw = study_raw(tmp_path, **PLAN)
        raw["study"]["score"] = {"constraints": [{"metric": "eval_loss", "at_most": limit}]}
        found = adopt(raw, source="study.yaml", run=Scores(better_at(0.3, 0.05)))
        expected = {"name": "eval_loss", "limit": limit, "met": met, "of": 5}
        assert found.outcome["constraints"] == [expected]
        assert found.outcome["verdict"] == verdict
    assert found.outcome["decision"]["verdict"] == "adopt"
    assert found.outcome["reason"].endswith(
        "; but eval_loss keeps to its limit 0.4475 with 2 of 5 seeds alone"
    )


def test_the_candidate_is_trained_with_the_config_that_its_trial_left(tmp_path: Path) -> None:
    raw = study_raw(tmp_path, **PLAN)
    trial = tmp_path / "trials" / "001"
    trial.mkdir(parents=True)
    made = {**raw, "model": {"tokenizer": "folder", "config": {"classifier_dropout": 0.4}}}
    (trial / "config.yaml").write_text(effective_yaml(plain_config(made, source="trial")))
    write_study(tmp_path, [trial_of(1, 0.6, 0.3, folder="trials/001")])
    found = adopt(raw, source="study.yaml", run=Scores(better_at(0.4, 0.05)))
    assert found.outcome["changed"]["model.config.classifier_dropout"]["to"] == 0.4
    assert found.is_adopted


def test_the_incumbent_may_be_another_run_of_the_same_data(tmp_path: Path) -> None:
    folder, in_use = tmp_path / "study", tmp_path / "in_use"
    in_use.mkdir()
    raw = study_raw(folder, **PLAN)
    used = {**raw, "model": {"tokenizer": "folder", "config": {"classifier_dropout": 0.6}}}
    (in_use / "config.yaml").write_text(effective_yaml(plain_config(used, source="in use")))
    write_study(folder, two_trials())
    run = Scores(better_at(0.3, 0.05))
    found = adopt(raw, source="study.yaml", run=run, incumbent=in_use)
    assert {arm for arm, _ in run.asked} == {"incumbent-in_use", "candidate-001"}
    assert found.outcome["changed"]["model.config.classifier_dropout"] == {"from": 0.6, "to": 0.3}
    assert load_config(folder / "study" / "adopted.yaml").run.parent == str(in_use)

    other = {**used, "data": {**used["data"], "validation": "other.txt"}}
    (in_use / "config.yaml").write_text(effective_yaml(plain_config(other, source="in use")))
    with pytest.raises(ConfigError, match=r"data.validation: 'other.txt' and 'dev.txt'"):
        adopt(raw, source="study.yaml", run=run, incumbent=in_use)
    with pytest.raises(ConfigError, match=r"needs the folder of a run"):
        adopt(raw, source="study.yaml", run=run, incumbent=tmp_path / "nowhere")


def test_a_candidate_that_diverges_is_refused_at_once(tmp_path: Path) -> None:
    run = Scores(better_at(0.3, 0.05))
    run.diverges = lambda arm, seed: (arm, seed) == ("candidate-001", 1001)
    found = adopted(tmp_path, run, two_trials())
    assert found.outcome["verdict"] == "refuse"
    assert found.outcome["reason"] == "the candidate diverged with seed 1001"
    assert len(run.asked) == 4
    assert "seed 1001" in adoption_text(found.outcome)


def test_an_incumbent_that_diverges_counts_as_its_worst_score(tmp_path: Path) -> None:
    run = Scores(better_at(0.3, 0.05))
    run.diverges = lambda arm, seed: (arm, seed) == ("incumbent", 1002)
    found = adopted(tmp_path, run, two_trials())
    scores = found.outcome["scores"]["incumbent"]
    assert scores[2] == min(scores[:2] + scores[3:])
    assert found.outcome["verdict"] == "adopt"
    assert found.outcome["reason"].endswith("the incumbent diverged with seed 1002, which counts "
                                            "as its worst score")  # fmt: skip
    run.diverges = lambda arm, seed: arm == "incumbent"
    with pytest.raises(HfrunError, match="the incumbent diverged with every seed"):
        adopted(tmp_path, run, two_trials())


def test_a_training_that_fails_is_no_answer_and_the_next_command_goes_on(tmp_path: Path) -> None:
    run = Scores(better_at(0.3, 0.05))
    run.fails = lambda arm, seed: (arm, seed) == ("candidate-001", 1003)
    with pytest.raises(HfrunError, match=r"seed-1003: the training of trial 1 failed: .* fire"):
        adopted(tmp_path, run, two_trials())
    assert not (tmp_path / "study" / "candidates.jsonl").exists()
    run.fails = lambda arm, seed: False
    assert adopted(tmp_path, run, two_trials()).is_adopted


def test_what_it_needs_is_said(tmp_path: Path) -> None:
    raw, run = study_raw(tmp_path), Scores(better_at(0.3, 0.05))
    with pytest.raises(ConfigError, match="run the study first: hfrun study run CONFIG"):
        adopt(raw, source="study.yaml", run=run)
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "study.json").write_text('{"trials": []}')
    with pytest.raises(HfrunError, match=r"study.json: no study"):
        adopt(raw, source="study.yaml", run=run)
    raw["study"]["scientific"], raw["study"]["nuisance"] = {}, {}
    raw["study"]["grid"] = {"dropout": [0.3]}
    with pytest.raises(ConfigError, match="no study of its own to adopt from"):
        adopt(raw, source="study.yaml", run=run)
    missing = Scores(better_at(0.3, 0.05))
    write_study(tmp_path, two_trials())
    raw = study_raw(tmp_path)
    (tmp_path / "study" / "study.json").write_text(
        (tmp_path / "study" / "study.json").read_text().replace("eval_accuracy", "eval_mcc")
    )
    with pytest.raises(HfrunError, match=r"no evaluation carries eval_mcc.*eval_accuracy"):
        adopt(raw, source="study.yaml", run=missing)


def test_seeds_by_which_the_candidate_was_chosen_are_refused(tmp_path: Path) -> None:
    write_study(tmp_path, [trial_of(0, 0.5, 0.0), trial_of(1, 0.6, 0.3, seed=3)])
    raw = study_raw(tmp_path, first_seed=1, **PLAN)
    with pytest.raises(ConfigError, match=r"first_seed=1: .* had seed 3 too; choose one above 3"):
        adopt(raw, source="study.yaml", run=Scores(better_at(0.3, 0.05)))


def test_two_adoptions_do_not_work_in_one_folder(tmp_path: Path) -> None:
    (tmp_path / "adoption").mkdir()
    with (
        sole_use(tmp_path / "adoption", what="a test"),
        pytest.raises(LobBacktestError, match="another adoption is at work"),
    ):
        adopted(tmp_path, Scores(better_at(0.3, 0.05)), two_trials())


def test_a_plan_tells_its_level_and_power_without_a_training(tmp_path: Path) -> None:
    found = planned(
        study_raw(tmp_path, seeds=3, most_seeds=3, level=0.05), source="x", repetitions=300
    )
    assert found["looks"] == [3]
    adoptions = [rate["adopted"] for rate in found["rates"]]
    assert adoptions == sorted(adoptions)
    assert adoptions[0] <= 0.06
    lines = plan_text(found).splitlines()
    assert lines[0] == "looks after 3 seeds, level 0.05"
    assert lines[3].split() == ["0", "standard", "errors", f"{adoptions[0]:.3f}", "3.0"]


def book_raw(folder: Path, *, trials: int) -> dict[str, Any]:
    """A study of dropout over a book, with a backtest."""
    return {
        "run": {"name": "book study", "output_dir": str(folder)},
        "data": {
            "book": {"days": 1, "rows_per_day": 500, "levels": 2},
            "decisions": {"every_events": 5},
            "label": {"horizon_events": 10, "threshold_ticks": 0.5},
        },
        "model": {"type": "mlp", "config": {"dropout": 0.0}},
        "training": {"metric_for_best_model": "eval_accuracy", "learning_rate": 1e-3},
        "walk_forward": {"train": 40, "validation": 10, "test": 10},
        "backtest": {"costs": "none", "latency_ns": 0, "trials": trials},
        "hub": {"repo": "me/model"},
        "study": {"scientific": {"model.config.dropout": [0.0, 0.3]}, "adoption": PLAN},
    }


def book_trials() -> list[StudyTrial]:
    values: list[dict[str, Any]] = [{"model.config.dropout": value} for value in (0.0, 0.3)]
    return [trial_of(i, 0.5 + 0.1 * i, 0.0, values=values[i]) for i in range(2)]


def book_gain(raw: Any, seed: int, arm: str) -> float:
    return 0.5 + 0.001 * (seed % 5) + (0.0501 if raw["model"]["config"]["dropout"] else 0.0)
