"""The whole analysis: what it says of real and of degenerate studies, and what changes nothing."""

import json
import math
import random
from dataclasses import replace
from functools import lru_cache
from typing import Any

import pytest

from hfrun.study.analysis import analyse
from hfrun.study.study_data import StudyData
from tests.hfrun.study.analysis_case import DROPOUT, RATE, RATES, by_cell, drawn, study, trial

MISSED = ({"name": "latency_ms", "value": 12.0, "limit": 10.0, "direction": "at_most",
           "met": False},)  # fmt: skip
KEYS = [
    "name", "question", "metric", "higher_is_better", "scientific", "nuisance", "fixed", "budget",
    "counts", "cost", "best", "finalists", "isolation", "axes", "boundary", "curves", "best_of_n",
    "importance", "parallel", "table", "not_run", "answer", "findings",
]  # fmt: skip

DEGENERATE: dict[str, StudyData] = {
    "no trial": study([], nuisance={RATE: RATES}),
    "one trial": by_cell({0.0: [0.5]}),
    "all diverged": by_cell({0.0: [None] * 8, 0.3: [None] * 8}),
    "all infeasible": study(
        [trial(n, 0.5, values={RATE: 1e-3}, constraints=MISSED) for n in range(8)],
        nuisance={RATE: RATES},
    ),
    "all failed": study([trial(n, values={RATE: 1e-3}) for n in range(8)], nuisance={RATE: RATES}),
    "all waiting": study([trial(n, status="waiting") for n in range(8)], budget={"trials": 8}),
    "constant": by_cell({0.0: [0.5] * 8, 0.3: [0.5] * 8}),
    "one value never done": by_cell({0.0: [0.5, 0.6, 0.7], 0.3: [None] * 3}),
    "not finite": by_cell({0.0: [math.nan, math.inf, 0.5], 0.3: [-math.inf, 0.4, math.nan]}),
    "nothing varied": study([trial(0, 0.5), trial(1, 0.6, seed=1)]),
    "a value that is not listed": study(
        [trial(n, 0.5 + 0.01 * n, values={DROPOUT: 0.9, RATE: 1e-3}) for n in range(8)],
        scientific={DROPOUT: [0.0, 0.3]},
        nuisance={RATE: RATES},
    ),
    "pruned but one": study(
        [trial(n, 0.1, status="pruned", values={RATE: 1e-3}) for n in range(7)]
        + [trial(7, 0.4, values={RATE: 1e-4})],
        nuisance={RATE: RATES},
    ),
}


@pytest.mark.parametrize("name", DEGENERATE)
def test_a_degenerate_study_is_analysed_and_nothing_is_decided(name: str) -> None:
    found = analyse(DEGENERATE[name])
    assert list(found) == KEYS
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["answer"]["decided"] is not True
    assert found["boundary"] == []
    told = " ".join([found["answer"]["text"], *found["findings"]])
    assert "nan" not in told
    assert "inf" not in told.replace("infeasible", "")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("no trial", "no answer: of 0 trials none may be chosen (none was begun)"),
        ("one trial", "not answered: only 0 has a trial that may be chosen: nothing to compare"),
        ("all diverged", "no answer: of 16 trials none may be chosen (16 diverged)"),
        ("all infeasible", "no answer: of 8 trials none may be chosen (8 infeasible)"),
        ("all failed", "no answer: of 8 trials none may be chosen (8 failed)"),
        ("all waiting", "no answer: of 8 trials none may be chosen (8 waiting)"),
        ("one value never done",
         "not answered: only 0 has a trial that may be chosen: nothing to compare"),
        ("nothing varied", "best: the config as it is, accuracy 0.6000"),
    ],
)  # fmt: skip
def test_the_answer_says_why_there_is_none(name: str, text: str) -> None:
    assert analyse(DEGENERATE[name])["answer"]["text"] == text


@lru_cache
def found_in(effect: float, sign: float = 1.0) -> dict[str, Any]:
    """The analysis of a study of 24 trials."""
    return analyse(drawn(effect=effect, sign=sign))


def test_an_effect_is_decided_with_its_numbers_and_noise_is_not() -> None:
    effect, noise = found_in(0.03)["answer"], found_in(0.0)["answer"]
    assert effect["decided"] is True
    assert effect["text"].startswith("decided: dropout 0.6, best of 8 accuracy 0.6")
    assert "paired t" in effect["text"]
    assert noise["decided"] is False
    assert noise["text"].startswith("not decided by this study: dropout ")


def test_the_order_of_the_trials_and_a_copy_in_json_change_nothing() -> None:
    data = StudyData.from_dict(json.loads(json.dumps(drawn(effect=0.03).as_dict())))
    mixed = list(data.trials)
    random.Random(0).shuffle(mixed)
    assert analyse(replace(data, trials=tuple(mixed))) == found_in(0.03)


def test_where_less_is_better_everything_is_mirrored() -> None:
    more, less = found_in(0.03), found_in(0.03, -1.0)
    for first, second in zip(more["isolation"][0]["values"], less["isolation"][0]["values"],
                             strict=True):  # fmt: skip
        assert second["best"] == -first["best"]
        assert second["best_trial"] == first["best_trial"]
        assert (second["low"], second["high"]) == (-first["high"], -first["low"])
    for name in ("best", "second", "p", "decided"):
        of_more, of_less = (each["isolation"][0]["comparison"] for each in (more, less))
        assert of_less[name] == of_more[name]
    assert less["importance"] == more["importance"]
    assert [row["trial"] for row in less["table"]] == [row["trial"] for row in more["table"]]
    assert less["best"]["trial"] == more["best"]["trial"]


def findings_of(data: StudyData) -> str:
    return "\n".join(analyse(data)["findings"])


@pytest.mark.parametrize(
    ("trials", "held", "text"),
    [
        ([trial(0, 0.6, values={RATE: 1e-3}), trial(1, 0.7, values={RATE: 1e-4},
                                                    constraints=MISSED)], {},
         "trial 1 has accuracy 0.7000 and may not be chosen: latency_ms 12 (at most 10)"),
        ([trial(n, 0.5, values={RATE: 1e-4 * (n + 1)}) for n in range(3)]
         + [trial(3 + n, status="diverged", values={RATE: 5e-3 + 1e-3 * n}) for n in range(3)], {},
         "all points with learning_rate of 0.005 or more diverged (3), none of those up to 0.0003"),
        ([trial(0, 0.6), trial(1, status="running"), trial(2, status="waiting")],
         {"budget": {"trials": 4, "finalists": 1}},
         "2 of 3 trials wait or are running: this is not the last word\n"
         "not begun of the budget: 1 of explore, 1 of finalist"),
        ([trial(0, 0.6, phase="finalist", seed=0), trial(1, 0.64, phase="finalist", seed=1)], {},
         "best finalist: the config as it is, accuracy 0.6200 (± 0.0283 over 2 seeds)"),
        ([trial(0, 0.6), trial(1, 0.5)], {},
         "the best of 2 is flattered by having been chosen, and it is of one seed"),
        ([trial(0, 0.6), trial(1), trial(2, status="pruned")], {},
         "1 of 3 trials were ended early, as worse than the best so far\n"
         "1 of 3 trials ended with an error"),
    ],
)  # fmt: skip
def test_each_finding_stands_with_its_numbers(
    trials: list[Any], held: dict[str, Any], text: str
) -> None:
    assert text in findings_of(study(trials, nuisance={RATE: RATES}, **held))


@pytest.mark.parametrize(
    ("points", "tuned", "words"),
    [
        (8, 2, "8 trials inside each scientific value tune 2 hyperparameters"),
        (8, 1, None),
        (24, 2, None),
        (24, 3, "so few carry 2, the learning rate and beta1"),
        (49, 4, "so few carry 3, the learning rate, beta1 and epsilon"),
        (50, 4, None),
    ],
)
def test_more_hyperparameters_than_the_trials_carry_are_named(
    points: int, tuned: int, words: str | None
) -> None:
    from hfrun.study.analysis.findings import findings_of as sentences

    found = analyse(study([]))
    found |= {"nuisance": {f"training.x{n}": {} for n in range(tuned)},
              "scientific": {DROPOUT: [0, 1, 2]}}  # fmt: skip
    found["counts"]["phases"]["explore"] = 3 * points
    told = [line for line in sentences(found) if "so few carry" in line]
    assert (words is None and told == []) or (words is not None and words in told[0])


def test_finalists_that_differ_by_less_than_their_seeds_are_said_to() -> None:
    trials = [
        trial(2 * n + seed, 0.6 + 0.005 * n + 0.02 * seed, phase="finalist", seed=seed,
              values={RATE: 10.0 ** -(n + 2)})
        for n in (0, 1) for seed in (0, 1)
    ]  # fmt: skip
    words = findings_of(study(trials, nuisance={RATE: RATES}))
    assert "0.0050 ahead of learning_rate 0.01" in words
    assert "less than one of them varies over seeds" in words


def test_a_point_that_diverges_at_every_scientific_value_is_no_bound_of_the_rate() -> None:
    diverged = by_cell({at: [0.5, 0.6, 0.7, 0.6, 0.5, None] for at in (0.0, 0.3, 0.6)})
    assert "diverged (" not in findings_of(diverged)


def test_a_best_finalist_that_the_short_trials_did_not_foresee_is_named() -> None:
    data = by_cell({0.0: [0.5, 0.6, 0.7], 0.3: [0.6, 0.7, 0.8]})
    long = [trial(6 + n, 0.9 - 0.1 * n, phase="finalist", values={DROPOUT: 0.3 * n, RATE: 1e-5})
            for n in (0, 1)]  # fmt: skip
    words = findings_of(replace(data, trials=(*data.trials, *long)))
    assert "in the short trials dropout 0.3 was ahead, which the best finalist does not" in words


def test_a_decision_says_what_it_does_not_cover() -> None:
    assert any("one validation part and one seed" in each for each in found_in(0.03)["findings"])
    assert not any("one validation part" in each for each in found_in(0.0)["findings"])
