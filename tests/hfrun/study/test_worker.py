"""Workers of a study: every trial is run once, whoever is killed, and what it came to is kept."""

import json
import os
import random
import signal
import time
from collections import Counter
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from hfrun.errors import HfrunError
from hfrun.study import trials
from hfrun.study.opened import open_study
from hfrun.study.score import Score
from hfrun.study.study_data import StudyTrial
from hfrun.study.trials import TrialResult
from hfrun.study.worker import work
from hfrun.study_config import ConstraintConfig
from lob_backtest.errors import ConfigError
from tests.hfrun.study.fake_runs import FakeRuns
from tests.hfrun.study.study_case import begun_runs, killable_worker, opened_in, study_in


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> FakeRuns:
    return FakeRuns().in_place(monkeypatch)


def best(found: list[StudyTrial]) -> StudyTrial:
    return max((each for each in found if each.phase != "finalist"), key=lambda each: each.score)


def test_a_worker_runs_every_phase_and_keeps_what_each_trial_came_to(
    runs: FakeRuns, tmp_path: Path
) -> None:
    opened = opened_in(tmp_path)
    assert work(opened) == 10
    data = opened.data()
    assert [trial.status for trial in data.trials] == ["done"] * 10
    assert Counter(trial.phase for trial in data.trials) == {
        "explore": 6, "exploit": 2, "finalist": 2
    }  # fmt: skip
    for trial in data.trials:
        asked = runs.asked[trial.number]
        assert (trial.values["dropout"], trial.values["weight_decay"], trial.seed) == asked
        assert trial.score == trial.validation["eval_accuracy"]
        assert (tmp_path / trial.folder / "metrics.jsonl").is_file()
    finals = [trial for trial in data.trials if trial.phase == "finalist"]
    assert [trial.values for trial in finals] == [best(list(data.trials)).values] * 2
    assert [trial.seed for trial in finals] == [0, 1]


def test_finalists_train_for_longer_with_the_rate_that_they_had(
    runs: FakeRuns, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[tuple[float, float]] = []

    def noted(config: Any) -> Any:
        arguments = config.training.arguments
        trained.append((arguments["num_train_epochs"], arguments["learning_rate"]))
        return runs(config)

    monkeypatch.setattr(trials, "run_any", noted)
    work(opened_in(tmp_path))
    assert trained == [(5, 1e-3)] * 8 + [(10, 1e-3)] * 2


def test_a_study_that_is_opened_again_has_nothing_left_to_do(
    runs: FakeRuns, tmp_path: Path
) -> None:
    work(opened_in(tmp_path))
    first = opened_in(tmp_path).data().as_dict()
    assert work(opened_in(tmp_path)) == 0
    assert len(runs.asked) == 10
    assert opened_in(tmp_path).data().as_dict() == first


def test_a_larger_budget_adds_trials_and_a_smaller_one_is_refused(
    runs: FakeRuns, tmp_path: Path
) -> None:
    work(opened_in(tmp_path, budget={"trials": 4}))
    grown = opened_in(tmp_path, budget={"trials": 6, "exploit": 1})
    assert work(grown) == 3
    assert [each.phase for each in grown.data().trials] == ["explore"] * 6 + ["exploit"]
    with pytest.raises(HfrunError, match="2 trials of explore, and the study has 6 already"):
        opened_in(tmp_path, budget={"trials": 2})


def test_a_grid_that_would_be_another_is_refused(tmp_path: Path) -> None:
    opened_in(tmp_path, design="grid", budget={"trials": 4})
    with pytest.raises(HfrunError, match="does not begin with the trials that the study has"):
        opened_in(tmp_path, design="grid", budget={"trials": 8})


def test_a_space_whose_every_point_was_tried_ends_its_further_trials(
    runs: FakeRuns, tmp_path: Path
) -> None:
    nuisance = {"weight_decay": [0.01, 0.1]}
    opened = opened_in(tmp_path, nuisance=nuisance, budget={"trials": 4, "exploit": 2})
    work(opened)
    assert [trial.status for trial in opened.data().trials] == ["done"] * 4 + ["failed"] * 2
    assert opened.data().trials[4].error == "every point of the space has been tried"


@pytest.mark.parametrize(
    "changes",
    [
        {"scientific": {"dropout": [0.3, 0.7]}},
        {"nuisance": {"weight_decay": {"low": 1e-5, "high": 0.1, "log": True}}},
        {"design": "halton"},
        {"fixed": {"training.learning_rate": 1e-4}},
        {"seeds": [3]},
    ],
)
def test_another_study_is_refused_in_the_folder_of_one(
    changes: dict[str, Any], tmp_path: Path
) -> None:
    opened_in(tmp_path)
    with pytest.raises(HfrunError, match="holds a study of another config or question"):
        opened_in(tmp_path, **changes)


def test_failed_and_diverged_trials_are_kept_and_counted(runs: FakeRuns, tmp_path: Path) -> None:
    runs.fails = lambda dropout, decay, seed: dropout == 0.3 and decay < 1e-3
    runs.diverges = lambda dropout, decay, seed: dropout == 0.6 and decay < 1e-3
    opened = opened_in(tmp_path, budget={"trials": 8})
    work(opened)
    found = {
        (trial.values["dropout"], trial.values["weight_decay"] < 1e-3): trial
        for trial in opened.data().trials
    }
    assert found[0.3, True].status == "failed"
    assert found[0.3, True].error == "the accelerator is on fire"
    assert found[0.6, True].status == "diverged"
    assert found[0.3, False].status == found[0.6, False].status == "done"
    states = Counter(trial.state for trial in opened.store.trials())
    assert states[TrialState.FAIL] == sum(each.status != "done" for each in opened.data().trials)


def test_a_trial_outside_its_constraints_is_done_and_not_feasible(
    runs: FakeRuns, tmp_path: Path
) -> None:
    score = {
        "metric": "eval_accuracy",
        "constraints": [{"metric": "eval_loss", "at_most": 1.31}, {"metric": "seconds",
                                                                   "at_most": 100}],
    }  # fmt: skip
    opened = opened_in(tmp_path, score=score, budget={"trials": 6})
    work(opened)
    for trial in opened.data().trials:
        loss, seconds = trial.constraints
        assert loss["value"] == trial.validation["eval_loss"]
        assert loss["met"] is (trial.validation["eval_loss"] <= 1.31)
        assert (seconds["value"], seconds["met"]) == (90.0, True)
        assert trial.is_feasible is loss["met"]
    assert len({trial.is_feasible for trial in opened.data().trials}) == 2
    best_trial = opened.store.study.best_trial  # as Optuna sees it: the best of the feasible
    assert opened.data().trials[best_trial.number].is_feasible


def test_optuna_reads_the_study_as_one_of_its_own(runs: FakeRuns, tmp_path: Path) -> None:
    opened = opened_in(tmp_path)
    work(opened)
    data = opened.data()
    for trial, read in zip(data.trials, opened.store.study.get_trials(), strict=True):
        assert read.params == trial.values
        assert read.value == trial.score
    assert opened.store.study.direction == optuna.study.StudyDirection.MAXIMIZE


def test_no_trial_is_begun_when_the_hours_are_over(runs: FakeRuns, tmp_path: Path) -> None:
    opened = opened_in(tmp_path, budget={"trials": 6, "hours": 1e-9})
    assert work(opened) == 0
    assert [trial.status for trial in opened.data().trials] == ["waiting"] * 6


def test_a_trial_that_ends_its_worker_again_and_again_is_given_up(
    runs: FakeRuns, tmp_path: Path
) -> None:
    opened = opened_in(tmp_path, budget={"trials": 2})
    trial = opened.store.trials()[0]
    for n in range(4):
        opened.store.begin(opened.store.trials()[0], worker=f"w{n}")
    assert opened.store.trials()[trial.number].state == TrialState.RUNNING
    work(opened)
    found = opened.data().trials
    assert (found[0].status, found[1].status) == ("failed", "done")
    assert found[0].error == "its worker ended 4 times without a word"


def test_two_workers_share_the_trials_and_a_killed_ones_trial_is_taken_up_again(
    tmp_path: Path,
) -> None:
    raw = study_in(tmp_path, budget={"trials": 8})
    opened_in(tmp_path, budget={"trials": 8})
    first, second = (killable_worker(raw, tmp_path, seconds=0.3) for _ in range(2))
    while not any(line.endswith(f" {first.pid}") for line in begun_runs(tmp_path)):
        time.sleep(0.01)
    os.kill(first.pid, signal.SIGKILL)
    first.join(), second.join()
    assert (first.exitcode, second.exitcode) == (-signal.SIGKILL, 0)
    _check_once_each(tmp_path, trials=8, kills=1)


@pytest.mark.slow
def test_workers_killed_at_random_lose_and_double_no_trial(tmp_path: Path) -> None:
    rng = random.Random(0)
    raw = study_in(tmp_path, budget={"trials": 40})
    opened_in(tmp_path, budget={"trials": 40})
    workers = [killable_worker(raw, tmp_path, seconds=0.05) for _ in range(3)]
    kills = 0
    for _ in range(40):
        time.sleep(rng.uniform(0.02, 0.4))
        at = rng.randrange(3)
        if workers[at].is_alive():
            os.kill(workers[at].pid, signal.SIGKILL)
            kills += 1
        workers[at].join()
        workers[at] = killable_worker(raw, tmp_path, seconds=0.05)
    for worker in workers:
        worker.join()
    assert kills > 10
    _check_once_each(tmp_path, trials=40, kills=kills, most_begun=5)


def _check_once_each(folder: Path, *, trials: int, kills: int, most_begun: int = 2) -> None:
    """Each trial ended once in the store; it was begun again only where a worker was killed."""
    opened = opened_in(folder, budget={"trials": trials})
    found = opened.data().trials
    assert [trial.number for trial in found] == list(range(trials))
    assert all(trial.has_ended for trial in found)
    begun = Counter(line.split()[0] for line in begun_runs(folder))
    assert set(begun) == {f"{n:03d}" for n in range(trials)}
    assert sum(begun.values()) <= trials + kills
    assert max(begun.values()) <= most_begun
    ended = Counter(line.split()[0] for line in (folder / "ended.txt").read_text().splitlines())
    done = [trial for trial in found if trial.status == "done"]
    assert set(ended) >= {f"{trial.number:03d}" for trial in done}
    for line in (folder / "study" / "journal.log").read_text().splitlines():
        json.loads(line)  # nothing half written is left


def test_what_a_killed_writer_half_wrote_is_cut_off(runs: FakeRuns, tmp_path: Path) -> None:
    opened_in(tmp_path, budget={"trials": 2})
    with (tmp_path / "study" / "journal.log").open("ab") as journal:
        journal.write(b'{"op_code":5,"worker_id":"a-')
    opened = opened_in(tmp_path, budget={"trials": 2})
    assert work(opened) == 2
    assert [trial.status for trial in opened.data().trials] == ["done", "done"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scientific": {}, "nuisance": {}, "grid": {"dropout": [0.1]}}, "no study.scientific"),
        ({"folds": True}, "study.folds: true needs a walk_forward section"),
        ({"seeds": [1, 1]}, "a seed is there twice"),
        ({"scientific": {"training.learning_rat": [1e-3]}}, "did you mean learning_rate"),
        ({"storage": "mysql://somewhere"}, "needs postgresql://USER@HOST/DATABASE"),
        ({"score": {"constraints": [{"gate": "f1_lift"}]}}, "is judged on the test part"),
    ],
)
def test_a_study_that_cannot_be_is_refused_before_anything_is_run(
    changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises((ConfigError, HfrunError), match=message):
        opened_in(tmp_path, **changes)
    assert not (tmp_path / "trials").exists()


def test_a_budget_may_grow_by_its_first_finalists(runs: FakeRuns, tmp_path: Path) -> None:
    work(opened_in(tmp_path, budget={"trials": 4}))
    grown = {"trials": 4, "finalists": 1, "stretch": 2.0}
    assert work(opened_in(tmp_path, budget=grown)) == 2
    assert work(opened_in(tmp_path, budget=grown)) == 0
    with pytest.raises(HfrunError, match="another config or question"):
        opened_in(tmp_path, budget={**grown, "stretch": 3.0})


def test_finalists_of_a_larger_budget_are_the_best_that_were_none_yet(
    runs: FakeRuns, tmp_path: Path
) -> None:
    work(opened_in(tmp_path, budget={"trials": 2, "finalists": 1}))
    grown = opened_in(tmp_path, budget={"trials": 12, "finalists": 2})
    work(grown)
    found = list(grown.data().trials)
    first, second = ([each for each in found if each.phase == "finalist"][at : at + 2]
                     for at in (0, 2))  # fmt: skip
    assert best(found).number > first[0].number  # of those that came with the larger budget
    assert [each.values for each in second] == [best(found).values] * 2
    assert first[0].values != second[0].values


def test_a_finalists_seeds_have_its_values_though_a_better_trial_came_between(
    runs: FakeRuns, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = opened_in(tmp_path, budget={"trials": 2, "finalists": 1})
    claimed = opened.store.trials()[3]
    release = opened.store.locks.take(claimed.number)  # a worker that has yet to decide
    assert release is not None
    monkeypatch.setattr(time, "sleep", halt)
    with pytest.raises(KeyboardInterrupt):
        work(opened)  # with all others done
    release()
    grown = opened_in(tmp_path, budget={"trials": 12, "finalists": 1})
    work(grown)
    found = grown.data().trials
    assert best(list(found)).number > 3
    assert found[3].values == found[2].values


def halt(seconds: float) -> None:
    raise KeyboardInterrupt


def test_a_schedule_is_a_value_like_any_other(runs: FakeRuns, tmp_path: Path) -> None:
    schedule = {"points": {0: 0.1, 3: 0.3}}
    opened = opened_in(tmp_path, scientific={"dropout": [schedule, 0.3]})
    work(opened)
    assert [trial.status for trial in opened.data().trials] == ["done"] * 10
    assert any(trial.values["dropout"] != 0.3 for trial in opened.data().trials)


def test_a_misspelt_score_or_constraint_is_told_after_the_first_trial(
    runs: FakeRuns, tmp_path: Path
) -> None:
    with pytest.raises(HfrunError, match=r"study.score.metric: .* 'eval_acuracy'; known: .*eval_"):
        work(opened_in(tmp_path / "a", score={"metric": "eval_acuracy"}))
    constraints = [{"metric": "eval_los", "at_most": 1.0}]
    with pytest.raises(HfrunError, match=r"study.score.constraints: .* 'eval_los'; .*latency_ms"):
        work(opened_in(tmp_path / "b", score={"constraints": constraints}))
    assert len(runs.asked) == 2


def test_fixed_values_count_for_what_the_study_is_judged_by(tmp_path: Path) -> None:
    fixed = {"training.metric_for_best_model": "eval_loss"}
    opened = opened_in(tmp_path, score={}, fixed=fixed)
    assert (opened.score.metric, opened.score.higher_is_better) == ("eval_loss", False)


def test_a_study_under_another_name_and_in_another_place_goes_on(
    runs: FakeRuns, tmp_path: Path
) -> None:
    work(opened_in(tmp_path / "a"))
    (tmp_path / "a").rename(tmp_path / "b")
    raw = study_in(tmp_path / "b")
    raw["run"]["name"] = "another name"
    assert work(open_study(raw, source="study.yaml")) == 0


def test_a_trial_that_was_interrupted_often_is_still_run(
    runs: FakeRuns, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(config: Any) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(trials, "run_any", interrupted)
        for _ in range(6):
            with pytest.raises(KeyboardInterrupt):
                work(opened_in(tmp_path, budget={"trials": 2}))
    opened = opened_in(tmp_path, budget={"trials": 2})
    work(opened)
    assert [trial.status for trial in opened.data().trials] == ["done"] * 2


def test_a_figure_that_is_not_finite_is_a_constraint_not_met(tmp_path: Path) -> None:
    limit = ConstraintConfig(metric="eval_ece", at_most=0.1)
    score = Score(metric="eval_loss", higher_is_better=False, constraints=(limit,))
    result = TrialResult(
        number=0, values={}, seed=0, folder=str(tmp_path), status="done",
        validation={"eval_loss": 1.0}, curve=({"eval_loss": 1.0, "eval_ece": None},),
    )  # fmt: skip
    (judged,) = score.judged(result)
    assert (judged["value"], judged["met"]) == (None, False)


def test_a_short_trial_is_pruned_by_the_best_short_one(tmp_path: Path) -> None:
    opened = opened_in(tmp_path, budget={"trials": 2, "finalists": 1})
    store, scores = opened.store, {0: 0.5, 2: 0.9}
    for number, score in scores.items():
        store.begin(store.trial(number), worker="w")
        for fold in range(6):
            store.report(store.trial(number), fold, score + 0.01 * fold)
        store.end(store.trial(number), state=TrialState.COMPLETE, score=score, constraints=())
    assert store.study.best_trial.number == 2
    best_short = store.without_finalists().best_trial
    assert (best_short.value, len(best_short.intermediate_values)) == (0.5, 6)
