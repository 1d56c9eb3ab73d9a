"""Figures and intervals of texts, against scikit-learn, statsmodels, scipy and by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn.metrics import (
    accuracy_score,
    f1_score,
    log_loss,
    matthews_corrcoef,
)
from statsmodels.stats.contingency_tables import mcnemar as reference_mcnemar
from statsmodels.stats.proportion import proportion_confint

from hfrun.evaluation.text_figures import (
    KEYS,
    _figures,
    mcnemar,
    text_figures,
    text_intervals,
    text_sums,
    with_intervals,
)
from lob_backtest.resampling.cells import Cells
from tests.hfrun.evaluation.text_cases import skilled, some_labels, table


@pytest.mark.filterwarnings("ignore:A single label was found")  # scikit-learn's, of one text
@given(seed=st.integers(0, 10_000), n=st.integers(1, 80), n_classes=st.integers(2, 6))
@settings(max_examples=40, deadline=None)
def test_figures_match_scikit_learn_and_the_resamples_formula_matches_the_figures(
    seed: int, n: int, n_classes: int
) -> None:
    labels = some_labels(n, seed=seed, n_classes=n_classes)
    probabilities = skilled(labels, skill=1.0, seed=seed, n_classes=n_classes)
    given_table = table(labels, probabilities, label_names=tuple("abcdef"[:n_classes]))
    found = text_figures(given_table)
    said = probabilities.argmax(axis=1)
    kinds = {"labels": range(n_classes), "zero_division": 0}
    assert found["accuracy"] == pytest.approx(accuracy_score(labels, said))
    assert found["f1_weighted"] == pytest.approx(
        f1_score(labels, said, average="weighted", **kinds)
    )
    assert found["mcc"] == pytest.approx(matthews_corrcoef(labels, said))
    assert found["nll"] == pytest.approx(log_loss(labels, probabilities, labels=range(n_classes)))
    one_hot = np.eye(n_classes)[labels]
    assert found["brier"] == pytest.approx(((probabilities - one_hot) ** 2).sum(axis=1).mean())
    cells = Cells.of(np.zeros(n, dtype=np.int64), most=7)
    order = np.random.default_rng(seed).permutation(n)
    sums = text_sums(given_table, cells, order).sum(axis=0)
    resampled = _figures(sums[None, None], n_classes=n_classes)[0]
    assert resampled == pytest.approx([found[key] for key in KEYS], abs=1e-12)


def test_the_interval_of_the_accuracy_is_wilsons() -> None:
    labels = some_labels(137)
    model = table(labels, skilled(labels, skill=1.0))
    figures = text_figures(model)
    found = with_intervals(figures, {}, n=137)["accuracy"]
    hits = round(figures["accuracy"] * 137)
    low, high = proportion_confint(hits, 137, method="wilson")
    assert (found["low"], found["high"]) == pytest.approx((low, high), abs=1e-9)


def test_mcnemar_is_the_exact_one_of_statsmodels_and_counts_by_hand() -> None:
    labels = [0, 0, 1, 1, 2, 2, 0]
    ours = np.eye(3)[[0, 0, 1, 1, 2, 0, 1]]
    theirs = np.eye(3)[[0, 1, 0, 0, 2, 2, 1]]
    found = mcnemar(table(labels, ours), table(labels, theirs))
    counts = {key: found[key] for key in ("both", "only_model", "only_baseline", "neither")}
    assert counts == {"both": 2, "only_model": 3, "only_baseline": 1, "neither": 1}
    reference = reference_mcnemar([[2, 3], [1, 1]], exact=True)
    assert found["p_value"] == pytest.approx(reference.pvalue)
    assert found["p_value"] == pytest.approx(binomtest(1, 4).pvalue)


def test_two_models_that_say_the_same_differ_by_nothing() -> None:
    labels = some_labels(50)
    model = table(labels, skilled(labels, skill=1.0))
    assert mcnemar(model, model)["p_value"] == 1.0
    rng = np.random.default_rng(0)
    found = text_intervals({"model": model, "other": model}, n_resamples=100, rng=rng)
    lead = found.leads["other"]["f1_weighted"]
    assert (lead.difference, lead.low, lead.high, lead.p_value) == (0.0, 0.0, 0.0, 1.0)


def test_the_order_of_the_texts_in_their_file_says_nothing_about_the_intervals() -> None:
    labels = some_labels(2400)
    sorted_labels = np.sort(labels)  # as in files that are sorted by label
    widths = []
    for each in (labels, sorted_labels):
        probabilities = np.tile([0.2, 0.3, 0.5], (each.size, 1))  # one class: hits come in runs
        found = text_intervals(
            {"model": table(each, probabilities)}, n_resamples=400, rng=np.random.default_rng(0)
        )
        low, high = found.of["model"]["f1_weighted"]
        widths.append(high - low)
    assert widths[1] == pytest.approx(widths[0], rel=0.2)


def test_every_figure_lies_in_its_interval_and_four_times_the_texts_halve_it() -> None:
    widths = {}
    for n in (500, 2000):
        labels = some_labels(n)
        model = table(labels, skilled(labels, skill=1.0))
        figures = text_figures(model)
        found = text_intervals({"model": model}, n_resamples=400, rng=np.random.default_rng(0))
        bounds = with_intervals(figures, found.of["model"], n=n)
        for key, own in bounds.items():
            assert own["low"] <= own["value"] <= own["high"], key
        widths[n] = {key: own["high"] - own["low"] for key, own in bounds.items()}
    for key in ("accuracy", "f1_weighted", "mcc", "brier", "nll"):
        assert widths[500][key] / widths[2000][key] == pytest.approx(2, rel=0.3), key


@pytest.mark.parametrize("n", [300, 3000])
def test_intervals_of_the_lead_hold_the_truth_about_as_often_as_they_say(n: int) -> None:
    """Model and baseline are equally good, so the truth is 0; drawn anew 60 times."""
    inside = 0
    for seed in range(60):
        labels = some_labels(n, seed=seed)
        tables = {
            "model": table(labels, skilled(labels, skill=1.0, seed=1000 + seed)),
            "other": table(labels, skilled(labels, skill=1.0, seed=2000 + seed)),
        }
        rng = np.random.default_rng(seed)
        lead = text_intervals(tables, n_resamples=200, rng=rng).leads["other"]["f1_weighted"]
        inside += lead.low <= 0 <= lead.high
    # 57 are expected; 50 or fewer of 60 would come by luck in 1 of 1,000 (binomial)
    assert inside >= 51
