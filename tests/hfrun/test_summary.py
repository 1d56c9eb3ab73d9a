"""The summary at the end of a run: the figures of the report, the gates, and what to try next."""

from pathlib import Path
from typing import Any

import pytest

from hfrun.diagnosis import Finding
from hfrun.publishing import Published
from hfrun.summary import Summary
from lob_backtest.gates import GATE_NAMES


def figure(value: float | None, low: float | None = None, high: float | None = None) -> Any:
    return {"value": value, "low": low, "high": high}


def gate(name: str, passed: bool | None, value: float | None, *, required: bool = True) -> Any:
    return {"name": name, "passed": passed, "value": value, "limit": 0.1, "required": required,
            "reason": f"{name} is {value}"}  # fmt: skip


def report(*gates: Any, verdict: str = "fail", traded: bool = True) -> dict[str, Any]:
    money = {"gross_return": figure(0.0125, 0.001, 0.02), "net_return": figure(-0.0005)}
    return {
        "verdict": verdict,
        "folds": [{"n": 1200}, {"n": 800}],
        "aggregate": {
            "f1_weighted": figure(0.4564, 0.41, 0.5),
            "accuracy": figure(0.5),
            "majority_accuracy": figure(0.45),
            **(money if traded else {}),
            "baselines": {
                "majority": {"f1_weighted": figure(0.2)},
                "logistic": {"f1_weighted": figure(0.4321)},
                "flat": {"f1_weighted": figure(None)},
            },
        },
        "gates": list(gates),
    }


def summary(found: dict[str, Any], **more: Any) -> Summary:
    return Summary(folder=Path("runs/a"), report=found, **more)


def test_the_text_holds_the_figures_of_the_report() -> None:
    found = report(gate("f1_lift", False, 0.01), gate("calibration", None, None, required=False))
    lines = summary(found).text().splitlines()
    page = Path("runs/a/report/report.html").resolve().as_uri()
    assert lines == [
        "Found, over 2 test folds and 2,000 decisions:",
        "  weighted F1  0.456 [0.410, 0.500]; best baseline logistic 0.432",
        "  accuracy     0.500; largest class 0.450",
        "  gross return +1.250% [+0.100%, +2.000%]",
        "  net return   -0.050% after costs",
        "",
        "Verdict: FAIL",
        "  FAIL  f1_lift: f1_lift is 0.01",
        "    -   calibration (optional): calibration is None",
        "",
        "What to try next:",
        lines[11],
        "",
        f"Report: {page}",
    ]
    assert lines[11].startswith("  - no lift over the best simple baseline: try another horizon")


def test_a_run_that_passes_needs_no_advice_and_one_without_trades_shows_no_return() -> None:
    text = summary(report(gate("f1_lift", True, 0.1), verdict="pass", traded=False)).text()
    assert "Verdict: PASS" in text
    assert "  pass  f1_lift" in text
    assert "What to try next" not in text
    assert "return" not in text


@pytest.mark.parametrize("name", GATE_NAMES)
def test_every_gate_that_fails_has_advice_of_its_own(name: str) -> None:
    def advice(*gates: Any) -> list[str]:
        text = summary(report(*gates)).text()
        return text.partition("What to try next:\n")[2].partition("\n\n")[0].splitlines()

    own = advice(gate(name, False, 0.5))
    assert len(own) == 1
    others = [gate(other, False, 0.5) for other in GATE_NAMES if other != name]
    assert own[0] not in advice(*others)


def test_a_gate_that_one_split_cannot_judge_asks_for_more_folds_first() -> None:
    text = summary(
        report(gate("f1_lift", False, 0.0), gate("window_stability", False, None))
    ).text()
    advice = text.partition("What to try next:\n")[2].splitlines()
    assert advice[0].startswith("  - one split cannot carry every gate: judge several folds")
    assert advice[1].startswith("  - no lift")
    assert advice[2] == ""


def test_the_dict_holds_folder_page_verdict_gates_figures_and_the_push() -> None:
    found = report(gate("f1_lift", True, 0.1), verdict="pass")
    assert summary(found).as_dict() == {
        "folder": "runs/a",
        "report": "runs/a/report/report.html",
        "verdict": "pass",
        "gates": found["gates"],
        "alarms": None,
        "aggregate": found["aggregate"],
        "findings": [],
        "published": None,
    }
    pushed = Published(repo="me/a", endpoint="http://hub:1", commit="0123456789abcdef", tag="a-1")
    told = summary(found, published=pushed)
    assert told.as_dict()["published"] == {
        "repo": "me/a",
        "endpoint": "http://hub:1",
        "commit": "0123456789abcdef",
        "tag": "a-1",
    }
    assert told.text().splitlines()[-1] == "Hub: me/a at http://hub:1, commit 0123456789ab, tag a-1"


def test_leak_alarms_are_told_in_full_when_raised_and_counted_otherwise() -> None:
    silent = {"name": "foresight", "raised": False, "reason": "caught 3 %"}
    untried = {"name": "late_by_one", "raised": None, "reason": "not tried"}
    raised = {"name": "canary", "raised": True, "reason": "not caught"}
    found = report(gate("f1_lift", True, 0.1))
    assert "Leak alarms" not in summary(found).text()
    lines = summary(found | {"alarms": [silent, untried]}).text().splitlines()
    assert "Leak alarms: none raised (1 of 2 could be tried)" in lines
    lines = summary(found | {"alarms": [silent, raised]}).text().splitlines()
    assert lines[lines.index("Leak alarms:") + 1] == "  LEAK  canary: not caught"
    assert summary(found | {"alarms": [raised]}).as_dict()["alarms"] == [raised]


def test_findings_stand_with_their_next_experiment_and_notes_are_counted(tmp_path: Path) -> None:
    finding = {"message": "m 0.5", "evidence": {"m": 0.5}, "next_experiment": "training.x=1",
               "source": "here"}  # fmt: skip
    findings = [
        Finding(rule="clipped", severity="warning", **finding),
        Finding(rule="calm", severity="info", **finding),
    ]
    text = Summary(folder=tmp_path, report=report(), findings=findings).text()
    told = text.partition("Diagnosis:\n")[2].partition("\n\n")[0].splitlines()
    assert told[0] == "  warning  clipped: m 0.5"
    assert told[1].strip() == "next: training.x=1"
    assert told[2] == f"  1 more: hfrun diagnose {tmp_path}"
    assert Summary(folder=tmp_path, report=report()).text().count("Diagnosis") == 0
