"""The judge of texts: what passes, what fails, what is not judged, and what is refused."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hfrun.evaluation.text_judge import judge_texts
from hfrun.evaluation.text_predictions import write_text_predictions
from hfrun.evaluation.text_report import write_text_report
from hfrun.summary import Summary
from lob_backtest.cli import main
from lob_backtest.config import GatesConfig
from lob_backtest.errors import GateError, PredictionsError
from lob_backtest.gates import GATE_NAMES
from lob_backtest.training_figures import TrainingFigures
from tests.hfrun.evaluation.text_cases import TRAINING, judged, skilled, some_labels, table


def gate(report: Any, name: str) -> Any:
    return next(each for each in report["gates"] if each["name"] == name)


def outcomes(report: Any) -> dict[str, bool | None]:
    return {each["name"]: each["passed"] for each in report["gates"]}


def test_a_skilled_model_passes_and_windows_and_trading_are_not_judged() -> None:
    report = judged(skill=1.5)
    assert report["verdict"] == "pass"
    assert outcomes(report) == {
        "f1_lift": True, "train_eval_gap": True, "grad_norm": True, "window_pass_rate": None,
        "window_stability": None, "calibration": True, "backtest": None,
    }  # fmt: skip
    left_out = [each for each in report["gates"] if each["passed"] is None]
    assert not any(each["required"] for each in left_out)
    assert [each["reason"] for each in left_out] == [
        "not judged: one test set of texts has no windows",
        "not judged: one test set of texts has no windows",
        "not judged: texts are not traded",
    ]


def test_a_model_that_is_as_good_as_the_baseline_fails_by_its_lift() -> None:
    report = judged(skill=1.0, baseline=1.0)
    assert (report["verdict"], gate(report, "f1_lift")["passed"]) == ("fail", False)


def test_a_lift_that_may_be_luck_fails_although_it_is_large_enough() -> None:
    labels = [0, 1, 2] * 5
    ours = np.eye(3)[labels]
    theirs = ours.copy()
    theirs[:2] = theirs[[1, 0]]  # two texts of fifteen
    report = judge_texts(
        table(labels, ours), baselines={"other": table(labels, theirs)}, gates=GatesConfig(),
        training=TRAINING, provenance=None, seed=0, n_resamples=300,
    )  # fmt: skip
    found = gate(report, "f1_lift")
    assert found["value"] == pytest.approx(2 / 15)
    assert found["passed"] is False
    assert report["mcnemar"]["other"]["p_value"] == 0.5


def test_too_few_texts_for_an_interval_show_no_lift() -> None:
    labels = [0, 1, 2]
    report = judge_texts(
        table(labels, np.eye(3)), baselines={"o": table(labels, np.eye(3)[[1, 2, 0]])},
        gates=GatesConfig(), training=None, provenance=None, seed=0, n_resamples=50,
    )  # fmt: skip
    found = gate(report, "f1_lift")
    assert (found["passed"], found["value"]) == (False, None)
    assert "3 texts are too few for an interval" in found["reason"]
    assert gate(report, "train_eval_gap")["passed"] is False  # nothing was given: not assumed


def test_guesses_with_the_models_own_class_shares_are_to_be_beaten_too() -> None:
    """Against a baseline that says one class, noise over all classes has a higher F1."""
    labels = some_labels(900)
    noise = table(labels, skilled(labels, skill=0.0))
    report = judge_texts(
        noise, baselines={"majority": table(labels, np.tile([0.4, 0.3, 0.3], (900, 1)))},
        gates=GatesConfig(), training=TRAINING, provenance=None, seed=0, n_resamples=200,
    )  # fmt: skip
    lead = report["paired"]["majority"]["f1_weighted"]
    assert lead["low"] > 0.02
    assert gate(report, "f1_lift")["passed"] is False


def test_a_lift_over_guesses_that_may_be_luck_fails() -> None:
    """Dice, some 0.02 ahead of the mean of dice; a baseline of one class is far below them all."""
    passed = 0
    for seed in range(60):
        labels = some_labels(150, seed=1000 + seed)
        report = judge_texts(
            table(labels, skilled(labels, skill=0.0, seed=2000 + seed)),
            baselines={"majority": table(labels, np.tile([0.4, 0.3, 0.3], (150, 1)))},
            gates=GatesConfig(), training=TRAINING, provenance=None, seed=0, n_resamples=100,
        )  # fmt: skip
        found = gate(report, "f1_lift")
        low, high = map(float, re.findall(r"([-+][.\d]+)(?: to |\))", found["reason"])[:2])
        assert low < found["value"] < high
        passed += found["passed"]
    assert passed <= 3  # 2.5 of 100 by luck


@pytest.mark.parametrize(
    ("training", "name"),
    [
        (TrainingFigures(train_accuracy=(0.99,), grad_norm_p95=2.0), "train_eval_gap"),
        (TrainingFigures(train_accuracy=(0.7,), grad_norm_p95=4.0), "grad_norm"),
        (TrainingFigures(train_accuracy=(0.7,), grad_norm_p95=1.0, grad_norm_non_finite=2),
         "grad_norm"),
    ],
)  # fmt: skip
def test_a_failed_training_gate_fails_the_verdict(training: TrainingFigures, name: str) -> None:
    report = judged(training=training)
    assert [each["name"] for each in report["gates"] if each["passed"] is False] == [name]
    assert report["verdict"] == "fail"


def test_figures_by_hand() -> None:
    """Five texts, one of them without a label; all that is said of the other four."""
    labels = [0, 0, 1, 2, -1]
    ours = [[0.9, 0.1, 0.0], [0.2, 0.7, 0.1], [0.1, 0.9, 0.0], [0.0, 0.2, 0.8], [1.0, 0.0, 0.0]]
    theirs = np.tile([0.5, 0.3, 0.2], (5, 1))
    report = judge_texts(
        table(labels, ours), baselines={"majority": table(labels, theirs)}, gates=GatesConfig(),
        training=TRAINING, provenance=None, seed=0, n_resamples=50,
    )  # fmt: skip
    fold = report["folds"][0]
    assert (fold["n"], report["data"]["n_test"], report["data"]["n_unlabelled"]) == (4, 5, 1)
    assert fold["accuracy"] == 0.75
    assert fold["confusion"] == [[1, 1, 0], [0, 1, 0], [0, 0, 1]]
    assert fold["majority_accuracy"] == 0.5
    assert fold["f1_weighted"] == pytest.approx((2 * 2 / 3 + 2 / 3 + 1) / 4)
    assert fold["brier"] == pytest.approx((0.02 + 1.14 + 0.02 + 0.08) / 4)
    assert fold["baselines"]["majority"]["accuracy"] == 0.5
    rows = [(row["label"], row["n"], row["said"], row["recall"], row["precision"])
            for row in report["per_class"]]  # fmt: skip
    assert rows == [("bad", 2, 1, 0.5, 1.0), ("fair", 1, 2, 1.0, 0.5), ("good", 1, 1, 1.0, 1.0)]
    assert report["errors"] == [
        {"row": 1, "text": "text number 1 of it", "label": "bad", "said": "fair",
         "confidence": 0.7, "of_label": 0.2}
    ]  # fmt: skip
    assert report["data"]["label_shares"]["test"] == [0.5, 0.25, 0.25]


def test_the_surest_wrong_texts_come_first_and_at_most_two_hundred() -> None:
    report = judged(skill=0.0, n=900)
    confidences = [each["confidence"] for each in report["errors"]]
    assert len(confidences) == 200
    assert confidences == sorted(confidences, reverse=True)
    assert all(each["label"] != each["said"] for each in report["errors"])


def test_the_same_seed_gives_the_same_report_and_it_is_plain_json() -> None:
    first, again, other = judged(), judged(), judged(seed=1)
    assert json.dumps(first, allow_nan=False) == json.dumps(again, allow_nan=False)
    assert first["folds"] == other["folds"]
    assert first["aggregate"]["mcc"]["low"] != other["aggregate"]["mcc"]["low"]


def test_texts_of_unknown_label_change_no_figure() -> None:
    labels = some_labels(200)
    more = np.concatenate([labels, np.full(50, -1)])
    probabilities = skilled(more, skill=1.0)
    other = np.tile([0.3, 0.3, 0.4], (250, 1))
    reports = [
        judge_texts(
            table(labels[:n] if n == 200 else more, probabilities[:n]),
            baselines={"majority": table(more[:n], other[:n])}, gates=GatesConfig(),
            training=TRAINING, provenance=None, seed=0, n_resamples=100,
        )
        for n in (200, 250)
    ]  # fmt: skip
    assert reports[0]["aggregate"] == reports[1]["aggregate"]
    assert reports[0]["gates"] == reports[1]["gates"]


def test_baselines_of_other_texts_labels_or_classes_are_refused() -> None:
    labels = some_labels(20)
    good = table(labels, skilled(labels, skill=1.0))
    wrong = {
        "in their order": table(labels, good.probabilities, label_names=("fair", "bad", "good")),
        "not the model's 20 texts": table(labels, good.probabilities, texts=("same",) * 20),
        "baseline other is of 20 texts": table((labels + 1) % 3, good.probabilities),
    }
    for message, other in wrong.items():
        with pytest.raises(PredictionsError, match=message):
            judge_texts(good, baselines={"other": other}, gates=GatesConfig(), training=None,
                        provenance=None, seed=0)  # fmt: skip
    with pytest.raises(PredictionsError, match="none of 20 test texts has a known label"):
        judged(labels=np.full(20, -1))
    with pytest.raises(GateError, match=re.escape("gates.baseline.tfidf: unknown")):
        judged(gates=GatesConfig(baseline="tfidf"))


def test_the_gate_command_judges_a_written_report_alike_and_by_other_limits(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = judged()
    write_text_report(report, tmp_path)
    assert main(["gate", str(tmp_path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["gates"] == report["gates"]
    assert main(["gate", str(tmp_path), "gates.f1_lift=0.9", "--json"]) == 3
    again = json.loads(capsys.readouterr().out)
    assert [g["name"] for g in again["gates"] if g["passed"] is False] == ["f1_lift"]


def test_the_compare_command_puts_two_reports_on_texts_side_by_side(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, skill in (("a", 1.5), ("b", 0.8)):
        write_text_report(judged(skill=skill), tmp_path / name)
    assert main(["compare", str(tmp_path / "a"), str(tmp_path / "b"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["differences"]["accuracy"][0]
    reports = [json.loads((tmp_path / name / "report.json").read_text()) for name in "ab"]
    values = [report["folds"][0]["accuracy"] for report in reports]
    assert found["difference"] == pytest.approx(values[1] - values[0])


def test_the_end_of_a_run_tells_of_texts_and_not_of_decisions() -> None:
    report = judged(skill=0.2, calibration={"temperature": 1.5, "claim": "improved"})
    lines = Summary(folder=Path("runs/a"), report=report).text().splitlines()
    value = report["aggregate"]["f1_weighted"]
    assert lines[0] == "Found, over 600 test texts of 3 classes:"
    assert lines[1].startswith(
        f"  weighted F1  {value['value']:.3f} [{value['low']:.3f}, {value['high']:.3f}]; best base"
    )
    assert lines[3].endswith("; with temperature 1.50: improved")
    assert (
        lines[4] == f"  validation   accuracy {report['validation']['accuracy']:.3f}, "
        "of the texts that chose the checkpoint"
    )
    text = "\n".join(lines)
    assert "no sure lift over counted words" in text
    assert "walk-forward" not in text
    assert [each["name"] for each in report["gates"]] == list(GATE_NAMES)


def test_the_code_of_the_documentation_judges_two_tables_of_any_origin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = Path(__file__).resolve().parents[3] / "docs" / "text_report.md"
    code = page.read_text("utf-8").split("```python\n")[1].split("```")[0]
    labels = some_labels(200)
    for name, skill in (("mine", 1.5), ("other", 0.0)):
        write_text_predictions(
            table(labels, skilled(labels, skill=skill)), tmp_path / f"{name}.parquet"
        )
    monkeypatch.chdir(tmp_path)
    exec(code, {})
    written = json.loads((tmp_path / "report" / "report.json").read_text("utf-8"))
    assert written["baseline"] == "other"
    assert outcomes(written)["f1_lift"] is True
    assert (tmp_path / "report" / "report.html").is_file()
