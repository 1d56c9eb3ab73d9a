"""The figures of the quality table: by hand, and against the report of a walk-forward."""

from dataclasses import replace

import numpy as np
import pytest

from hfrun.bench.quality_cells import Made
from hfrun.bench.quality_figures import RULES, Lift, Tables, best_baseline, lift_of, row_of
from hfrun.bench.quality_page import quality_page
from hfrun.bench.quality_plan import Cell, Contender
from hfrun.bench.quality_results import AtHorizon, book_result, with_adjusted
from lob_backtest.contenders import ModelPredictions
from lob_backtest.figures import classification_over_folds
from lob_backtest.predictions import Predictions, concatenate
from lob_backtest.uncertainty.comparisons import holm
from lob_backtest.walk_forward import score
from tests.hfrun.bench.quality_case import PLAN
from tests.lob_backtest.books import random_book

SECOND = 1_000_000_000
N = 60  # decisions a window


def window(fold: int, said: np.ndarray, labels: np.ndarray, *, sure: float = 0.8) -> Predictions:
    """A window of decisions a second apart whose labels last two."""
    start = fold * 1000 + 10
    probability = np.full((labels.size, 3), (1 - sure) / 2)
    probability[np.arange(labels.size), said] = sure
    decided_ns = SECOND * (start + np.arange(labels.size))
    return Predictions(
        instrument="X",
        fold=np.full(labels.size, fold),
        decided_ns=decided_ns,
        label_end_ns=decided_ns + 2 * SECOND,
        train_end_ns=np.full(labels.size, SECOND * (start - 1)),
        label=labels,
        probability=probability,
    )


def labels_of(fold: int) -> np.ndarray:
    return np.random.default_rng(fold).integers(0, 3, N)


def guesses(fold: int, *, right: float, seed: int) -> np.ndarray:
    """Classes of which a share is right, the others drawn."""
    rng = np.random.default_rng([seed, fold])
    labels = labels_of(fold)
    return np.where(rng.random(N) < right, labels, rng.integers(0, 3, N))


def table(right: float, *, seed: int, folds: tuple[int, ...] = (0, 1, 2, 3)) -> Predictions:
    return concatenate(
        [window(fold, guesses(fold, right=right, seed=seed), labels_of(fold)) for fold in folds]
    )


def tables(*seeds: Predictions) -> Tables:
    return Tables(contender="deep", by_seed=dict(enumerate(seeds)), seconds=1.0)


BASELINES = {"logistic": table(0.3, seed=100), "boosting": table(0.4, seed=101)}


def test_the_lift_and_its_gates_are_those_of_the_report() -> None:
    """Reference: the report of lob_backtest.walk_forward.score over the same tables."""
    model = table(0.55, seed=1)
    drawn = random_book(np.random.default_rng(0), n_rows=5000, n_levels=1, n_sessions=1)
    book = replace(
        drawn,
        meta=replace(drawn.meta, session_open=None, session_close=None),
        time_ns=SECOND * np.arange(1, 5001),
    )
    model, *others = (
        replace(each, instrument=book.meta.instrument) for each in (model, *BASELINES.values())
    )
    named = dict(zip(BASELINES, others, strict=True))
    report = score(
        book,
        ModelPredictions(test=model),
        {name: ModelPredictions(test=each) for name, each in named.items()},
        backtest=None,
        gates=RULES,
        n_resamples=20,
    )
    gates = {gate["name"]: gate["value"] for gate in report["gates"]}
    lift = lift_of(tables(model), named)
    assert lift.baseline == report["baseline"]
    assert lift.value == pytest.approx(report["lift_test"]["difference"], abs=1e-12)
    assert lift.p_value == pytest.approx(report["lift_test"]["p_value"], rel=1e-9)
    assert lift.of_gate == pytest.approx(gates["f1_lift"], abs=1e-12)
    assert lift.reached / lift.windows == gates["window_pass_rate"]
    row = row_of(tables(model))
    for key, value in row.figures.items():
        assert value == pytest.approx(report["aggregate"][key]["value"], abs=1e-12), key


def test_the_lift_of_several_seeds_is_the_mean_of_theirs() -> None:
    seeds = [table(right, seed=i) for i, right in enumerate((0.5, 0.6, 0.9))]
    each = [lift_of(tables(one), BASELINES) for one in seeds]
    together = lift_of(tables(*seeds), BASELINES)
    assert together.value == pytest.approx(np.mean([one.value for one in each]), abs=1e-12)
    assert together.reached == sum(one.reached for one in each)
    assert together.windows == 12
    assert together.low is not None
    assert together.high is not None
    assert together.low < together.value < together.high
    assert together.value == pytest.approx((together.low + together.high) / 2)


def test_a_copy_of_the_best_baseline_has_no_lift() -> None:
    lift = lift_of(tables(BASELINES["boosting"]), BASELINES)
    assert lift.baseline == best_baseline(BASELINES) == "boosting"
    assert (lift.value, lift.low, lift.high, lift.p_value) == (0.0, None, None, 1.0)
    assert (lift.reached, lift.windows, lift.is_reached) == (0, 4, False)


def test_the_aim_needs_the_lift_and_the_windows() -> None:
    lift = Lift(baseline="b", value=0.02, low=None, high=None, p_value=1.0, of_gate=None,
                reached=7, windows=10)  # fmt: skip
    assert lift.is_reached
    assert not replace(lift, reached=6).is_reached
    assert not replace(lift, value=0.019).is_reached


def test_worthless_seeds_rarely_seem_to_have_a_lift() -> None:
    """60 pairs of equally good strangers: about 3 p-values at or below 5 % are to be expected."""
    found = [
        lift_of(tables(table(0.4, seed=200 + i)), {"one": table(0.4, seed=300 + i)}).p_value
        for i in range(60)
    ]
    assert sum(p <= 0.05 for p in found) <= 8
    assert 0.3 < np.mean(found) < 0.7


def test_spread_and_means_are_over_the_seeds() -> None:
    seeds = [table(right, seed=i) for i, right in enumerate((0.5, 0.7))]
    row = row_of(tables(*seeds))
    f1 = [classification_over_folds(each)["f1_weighted"] for each in seeds]
    assert row.figures["f1_weighted"] == pytest.approx(np.mean(f1))
    assert row.spread["f1_weighted"] == pytest.approx(np.std(f1, ddof=1))
    assert row.n == 4 * N
    assert np.mean(list(row.by_window.values())) == pytest.approx(row.figures["f1_weighted"])
    assert row_of(tables(seeds[0])).spread == {}


def test_the_mean_of_seeds_averages_probabilities_not_answers() -> None:
    labels = np.array([0, 1, 2, 0, 1, 2])
    sure = window(0, labels, labels, sure=0.9)
    wrong = window(0, (labels + 1) % 3, labels, sure=0.5)
    both = tables(sure, wrong).together()
    assert both.contender == "deep, mean of 2 seeds"
    assert both.by_seed[0].probability[0] == pytest.approx([(0.9 + 0.25) / 2, 0.275, 0.15])
    assert row_of(both).figures["accuracy"] == 1.0


def made(contender: str, *, seed: int, fold: int, right: float) -> Made:
    said = guesses(fold, right=right, seed=seed + 7)
    facts = {"test_start_ns": 0, "test_end_ns": 0, "train": 1, "purged": 0, "test": N,
             "independent_labels": 30.0, "threshold_ticks": 0.5,
             "class_shares": [0.3, 0.4, 0.3]}  # fmt: skip
    training = {"train_accuracy": 0.9, "grad_norm_p95": 1.0, "parameters": 5,
                "epochs_trained": 2.0, "epoch": 1.0, "seconds": 3.0}  # fmt: skip
    alarm = {"name": "foresight", "raised": contender == "seer", "reason": "too good"}
    by = {"created_at": f"2026-01-0{fold + 1}T00:00:00+00:00", "git": None, "versions": {},
          "machine": {"cpu": "C", "cores": 2, "threads": 1, "accelerator": None}}  # fmt: skip
    return Made(
        cell=Cell(book="tiny", horizon=PLAN.middle.words, contender=contender, seed=seed,
                  fold=fold),
        predictions=window(fold, said, labels_of(fold)),
        record={"seconds": 2.0, "window": facts, "training": training, "alarms": [alarm],
                "figures": {"accuracy": 0.5}, "made": by},
    )  # fmt: skip


SIMPLE = [
    made(name, seed=0, fold=fold, right=0.2) for name in ("majority", "boosting") for fold in (0, 1)
]


def test_only_seeds_that_have_the_same_windows_are_put_together() -> None:
    cells = [
        made("deep", seed=seed, fold=fold, right=0.5)
        for seed, fold in ((0, 0), (1, 0), (1, 1), (2, 1), (2, 0), (3, 1))
    ]
    found = Tables.of("deep", cells)
    assert tuple(found.by_seed) == (1, 2)
    assert found.folds == (0, 1)


def compared(*cells: Made, models: tuple[str, ...]) -> AtHorizon:
    contenders = [Contender(name=name, overrides=(), words="") for name in models]
    return with_adjusted([book_result(PLAN, [*SIMPLE, *cells], contenders)])[0].at[0]


def test_models_that_lack_a_window_are_compared_on_those_they_have() -> None:
    at = compared(
        made("whole", seed=0, fold=0, right=0.9),
        made("whole", seed=0, fold=1, right=0.9),
        made("part", seed=0, fold=1, right=0.9),
        models=("whole", "part"),
    )
    assert {each.folds: [row.contender for row in each.models] for each in at.compared} == {
        (0, 1): ["whole"], (1,): ["part"]
    }  # fmt: skip
    assert [row.n for each in at.compared for row in each.baselines] == [2 * N, 2 * N, N, N]


def test_p_values_are_adjusted_over_every_comparison_of_the_page() -> None:
    cells = [made(name, seed=seed, fold=fold, right=right)
             for name, right in (("good", 0.5), ("bad", 0.25))
             for seed in (0, 1) for fold in (0, 1)]  # fmt: skip
    (each,) = compared(*cells, models=("good", "bad")).compared
    names = [row.contender for row in each.models]
    assert names == ["good", "good, mean of 2 seeds", "bad", "bad, mean of 2 seeds"]
    raw = np.array([row.lift.p_value for row in each.models if row.lift])
    assert each.adjusted == tuple(holm(raw).tolist())


def page(*cells: Made, models: tuple[str, ...] = ()) -> str:
    contenders = [Contender(name=name, overrides=(), words="") for name in models]
    return quality_page(with_adjusted([book_result(PLAN, [*SIMPLE, *cells], contenders)]))


def test_the_page_names_the_days_the_aim_and_the_alarms() -> None:
    cells = [made("seer", seed=0, fold=fold, right=0.95) for fold in (0, 1)]
    text = page(*cells, models=("seer",))
    assert (
        "2026-01-01 to 2026-01-02, by a program outside git, on C with 2 cores, 1 thread (" in text
    )
    assert "Books on which some deep model reaches it: TINY." in text
    assert "**foresight of seer at 10 events, seed 0, window 1: too good**" in text
    assert "none raised of 4 tried" in page()


def test_every_line_of_a_table_has_as_many_cells_as_its_head() -> None:
    cells = [made("a|b", seed=seed, fold=fold, right=0.6) for seed in (0, 1) for fold in (0, 1)]
    width = 0
    for line in page(*cells, models=("a|b",)).splitlines():
        count = line.replace("\\|", "").count("|")
        assert count == width or width == 0 or count == 0, line
        width = count
