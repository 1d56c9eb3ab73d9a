"""Reports side by side: differences drawn together, and none where nothing can be paired."""

import copy
import json

import numpy as np
import pytest

from lob_backtest.cli import main
from lob_backtest.report import write_report
from lob_backtest.report.comparison import compare_reports
from lob_backtest.report.comparison_page import comparison_page
from lob_backtest.report.pairing import CLASSIFICATION_PAIRED, MONEY_PAIRED, pair
from tests.lob_backtest.full_report import full_report
from tests.lob_backtest.test_report import Page


@pytest.fixture(scope="module")
def poor() -> dict:
    return full_report(skill=0.2)


@pytest.fixture(scope="module")
def good() -> dict:
    return full_report(skill=0.7)


@pytest.fixture(scope="module")
def compared(poor, good) -> dict:
    return compare_reports([poor, good], ["poor", "good"], n_resamples=400)


def changed(report: dict, **changes) -> dict:
    """A copy with ``section__key`` set."""
    report = copy.deepcopy(report)
    for name, value in changes.items():
        section, _, key = name.partition("__")
        report[section][key] = value
    return report


def test_blocks_give_the_differences_of_the_whole_figures(compared, poor, good):
    for key in ("accuracy", "f1_weighted", "f1_macro", "mcc", "brier", "net_return",
                "gross_return", "sharpe"):  # fmt: skip
        whole = good["aggregate"][key]["value"] - poor["aggregate"][key]["value"]
        (found,) = compared["differences"][key]
        assert found["difference"] == pytest.approx(whole, rel=1e-9), key
        assert found["low"] <= found["difference"] <= found["high"]
        assert found["reason"] is None


def test_a_model_that_knows_more_is_clearly_ahead_and_a_report_is_not_ahead_of_itself(
    compared, poor, good
):
    (found,) = compared["differences"]["accuracy"]
    assert found["low"] > 0.1
    assert found["p_value"] < 0.01
    same = compare_reports([good, good], ["a", "b"], n_resamples=50)
    for entries in same["differences"].values():
        assert [entry["difference"] for entry in entries] == [0.0]
    assert same["differences"]["accuracy"][0]["low"] == 0.0
    assert same["differences"]["accuracy"][0]["high"] == 0.0
    assert same["warnings"] == []


def test_swapping_the_reports_turns_the_differences_round(compared, poor, good):
    back = compare_reports([good, poor], ["good", "poor"], n_resamples=400)
    for key in (*CLASSIFICATION_PAIRED, *MONEY_PAIRED):
        (one,), (other,) = (
            compared["differences"].get(key, [{}]),
            back["differences"].get(key, [{}]),
        )
        if one:
            assert other["difference"] == pytest.approx(-one["difference"], abs=1e-12)
            assert other["low"] == pytest.approx(-one["high"], rel=0.4, abs=0.02)


def test_what_moves_both_models_alike_cancels():
    # good and bad hours that both models share; shuffling one of them takes the pairing away
    rng = np.random.default_rng(1)
    hits = rng.binomial(38, rng.uniform(0.1, 0.9, 60))
    one, other = made(hits), made(hits + rng.integers(0, 3, 60))
    shuffled = made(rng.permutation(hits))
    paired, unpaired = (
        compare_reports([base, other], ["a", "b"], n_resamples=400)["differences"]["accuracy"][0]
        for base in (one, shuffled)
    )
    assert paired["difference"] == pytest.approx(unpaired["difference"])
    assert paired["high"] - paired["low"] < (unpaired["high"] - unpaired["low"]) / 4
    assert paired["low"] > 0 > unpaired["low"]


def test_a_true_difference_of_nothing_is_covered_as_often_as_the_interval_says():
    # independent blocks of 40 hits and misses; both models right with the same chance
    rng = np.random.default_rng(0)
    covered = [
        found["low"] <= 0 <= found["high"]
        for found in (
            compare_reports(
                [made(rng.binomial(40, 0.4, 60)) for _ in range(2)],
                ["a", "b"],
                n_resamples=200,
                seed=run,
            )["differences"]["accuracy"][0]
            for run in range(200)
        )
    ]
    assert 0.90 <= np.mean(covered) <= 0.99


def made(hits: np.ndarray) -> dict:
    """A report of three folds whose model is so often right in each block of 40 decisions."""
    n_blocks = hits.size
    start = np.arange(n_blocks) * 1000
    confusion = [[int(h), int(40 - h), 0, 0, 0, 0, 0, 0, 0] for h in hits]
    nothing: list[None] = [None] * n_blocks
    return {
        "verdict": "fail",
        "gates": [],
        "folds": [{"fold": k, "start_ns": 20_000 * k, "end_ns": 20_000 * k + 19_999}
                  for k in range(3)],
        "aggregate": {"accuracy": {"value": float(hits.mean() / 40), "low": None, "high": None}},
        "blocks": {
            "fold": np.repeat(range(3), n_blocks // 3).tolist(), "start_ns": start.tolist(),
            "end_ns": (start + 1000).tolist(), "n": [40] * n_blocks, "confusion": confusion,
            "brier": [20.0] * n_blocks, "gross": nothing, "net": nothing, "square_net": nothing,
            "bars": nothing,
        },
    }  # fmt: skip


def test_three_reports_are_adjusted_for_being_two_comparisons(poor, good):
    found = compare_reports([poor, good, poor], ["a", "b", "c"], n_resamples=200)
    first, second = found["differences"]["accuracy"]
    assert first["p_adjusted"] == pytest.approx(min(1.0, 2 * first["p_value"]))
    assert (second["difference"], second["p_adjusted"]) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("changes", "keys", "message"),
    [
        (
            {"backtest__costs": {"fee_bps": 9.0}},
            MONEY_PAIRED,
            "money: one was traded at other costs",
        ),
        ({"backtest__latency_ns": 5}, MONEY_PAIRED, "at another latency"),
        ({"backtest__capital": 5.0}, MONEY_PAIRED, "on another capital"),
        ({"blocks__start_ns": None}, (*CLASSIFICATION_PAIRED, *MONEY_PAIRED), "score its"),
        ({"blocks__bars": None}, MONEY_PAIRED, "no money in its blocks"),
    ],
)
def test_what_cannot_be_paired_has_no_interval_and_says_why(poor, good, changes, keys, message):
    if "blocks__bars" in changes:
        changes = {"blocks__bars": [None] * len(good["blocks"]["bars"])}
    found = compare_reports([poor, changed(good, **changes)], ["a", "b"], n_resamples=50)
    assert any(message in words for words in found["warnings"])
    for key in found["differences"]:
        (entry,) = found["differences"][key]
        paired = key in (*CLASSIFICATION_PAIRED, *MONEY_PAIRED) and key not in keys
        assert (entry["low"] is not None) == paired, key
        assert (entry["reason"] is None) == paired
        assert entry["difference"] is not None


def test_settings_that_differ_are_told_and_outcomes_are_none(poor, good):
    assert compare_reports([poor, good], ["a", "b"], n_resamples=20)["settings"] == {}
    other = changed(good, backtest__hold_decisions=7, rules__f1_lift=0.5)
    other["label"]["label"]["flat_share"] = 0.2
    found = compare_reports([poor, other, poor], ["a", "b", "c"], n_resamples=20)["settings"]
    assert found == {
        "label.label.flat_share": [1 / 3, 0.2, 1 / 3],
        "backtest.hold_decisions": [2, 7, 2],
        "rules.f1_lift": [0.02, 0.5, 0.02],
    }


def test_other_labels_take_the_intervals_of_classification_away(poor, good):
    other = copy.deepcopy(good)
    cells = next(cells for cells in other["blocks"]["confusion"] if cells[0])
    cells[0], cells[3] = cells[0] - 1, cells[3] + 1  # one label more is flat
    found = compare_reports([poor, other], ["a", "b"], n_resamples=50)
    assert found["differences"]["accuracy"][0]["low"] is None
    assert found["differences"]["net_return"][0]["low"] is not None
    assert any("labels or the decisions differ in 1 of" in words for words in found["warnings"])


def test_reports_of_other_times_are_compared_on_what_they_share(poor, good):
    other = copy.deepcopy(good)
    other["folds"] = other["folds"][1:]
    keep = [i for i, fold in enumerate(other["blocks"]["fold"]) if fold > 0]
    other["blocks"] = {name: [values[i] for i in keep] for name, values in other["blocks"].items()}
    found = compare_reports([poor, other], ["a", "b"], n_resamples=50)
    assert not found["same_test_blocks"]
    assert found["intervals"]["blocks"] == [len(keep)]
    assert found["differences"]["accuracy"][0]["low"] is not None
    words = " ".join(found["warnings"])
    assert "the test blocks differ" in words
    assert f"the {len(keep)} common blocks" in words
    far = changed(other, blocks__start_ns=[t + 1 for t in other["blocks"]["start_ns"]])
    assert pair(poor, far).first.size == 0
    assert "0 of" in " ".join(compare_reports([poor, far], ["a", "b"])["warnings"])


def test_the_page_holds_every_figure_and_warning_and_escapes_names(poor, good):
    nasty = '<script>alert("&")</script>'
    other = changed(good, backtest__costs={"fee_bps": 9.0})
    compared = compare_reports([poor, other, good], ["first", nasty, "third"], n_resamples=50)
    page = comparison_page(json.loads(json.dumps(compared)))
    assert Page(page).open == []
    assert "<script" not in page
    words = Page(page).text
    for part in (nasty, "Not all of it compares", "at other costs", "weighted", "Sharpe"):
        assert part in words
    assert page == comparison_page(compared)


def test_the_command_prints_json_and_writes_page_and_figures(tmp_path, poor, good, capsys):
    for name, report in (("poor", poor), ("good", good)):
        write_report(report, tmp_path / name)
    paths = [str(tmp_path / "poor"), str(tmp_path / "good" / "report.json")]
    assert main(["compare", *paths, "--json", "-o", str(tmp_path / "out")]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told == json.loads((tmp_path / "out" / "compare.json").read_text())
    assert told == compare_reports([poor, good], paths)
    assert (tmp_path / "out" / "compare.html").read_text().startswith("<!doctype html>")
    assert main(["compare", *paths]) == 0
    shown = capsys.readouterr().out
    assert "F1 weighted" in shown
    assert "verdict" in shown
    assert main(["compare", paths[0]]) == 2
    assert "needs at least two" in capsys.readouterr().err


def test_old_reports_without_blocks_are_compared_by_their_figures(tmp_path, poor, good, capsys):
    for name, report in (("poor", poor), ("good", good)):
        old = {key: value for key, value in report.items() if key != "blocks"}
        write_report(old, tmp_path / name)
    assert main(["compare", str(tmp_path / "poor"), str(tmp_path / "good")]) == 0
    shown = capsys.readouterr().out
    assert "no blocks; score its predictions again" in shown
    change = good["aggregate"]["accuracy"]["value"] - poor["aggregate"]["accuracy"]["value"]
    assert f"{change:+.3f}" in shown
