"""What a pushed report says is shown as it says it, and no report can do more."""

import json
import re
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hfrun.hub.pages import verdict as module
from hfrun.hub.pages.verdict import (
    MAX_REPORT_BYTES,
    Figure,
    GateRow,
    RunVerdict,
    badge_svg,
    run_verdict,
)
from hfrun.hub.store.repository import Repository
from hfrun.hub.store.tree import lfs_entry
from tests.hfrun.hub.pages.stored import new_repository, stored

REPORT = {
    "format": "lob_backtest.report/2",
    "verdict": "fail",
    "gates": [
        {"name": "f1_lift", "passed": False, "value": -0.127, "limit": 0.02, "required": True,
         "reason": "weighted F1 is 0.277 against 0.372 of <boosting>"},
        {"name": "backtest", "passed": None, "value": None, "limit": None, "required": False,
         "reason": "not judged: texts are not traded"},
    ],
    "aggregate": {
        "f1_weighted": {"value": 0.277, "low": 0.199, "high": 0.358},
        "trades": {"value": 12},
        "baselines": {"boosting": {"f1_weighted": {"value": 0.372}}},
        "confusion": [[1, 2], [3, 4]],
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    return new_repository(tmp_path_factory.mktemp("verdicts"))


def said(repository: Repository, report: Any) -> RunVerdict | None:
    """What is read of a report, given as bytes or as a value to be written as JSON."""
    content = report if isinstance(report, bytes) else json.dumps(report).encode()
    return run_verdict(repository, {"report/report.json": stored(repository, content)})


def test_a_report_is_read_as_it_was_written(repository: Repository) -> None:
    assert said(repository, REPORT) == RunVerdict(
        verdict="FAIL",
        gates=(
            GateRow(
                name="f1_lift",
                passed=False,
                value=-0.127,
                limit=0.02,
                reason="weighted F1 is 0.277 against 0.372 of <boosting>",
                required=True,
            ),
            GateRow(
                name="backtest",
                passed=None,
                value=None,
                limit=None,
                reason="not judged: texts are not traded",
                required=False,
            ),
        ),
        metrics={
            "f1_weighted": Figure(value=0.277, low=0.199, high=0.358),
            "trades": Figure(value=12.0, low=None, high=None),
        },
    )


def test_a_repository_without_a_report_has_no_verdict(repository: Repository) -> None:
    assert run_verdict(repository, {}) is None
    assert (
        run_verdict(repository, {"report.json": stored(repository, b'{"verdict": "pass"}')}) is None
    )


def test_a_report_whose_object_is_missing_is_no_error_and_read_when_it_is_back(
    repository: Repository,
) -> None:
    content = b'{"verdict": "pass", "n": 1}'
    entry = stored(repository, content)
    file = repository.content(entry)
    away = file.rename(file.with_suffix(".away"))
    assert run_verdict(repository, {"report/report.json": entry}) is None
    away.rename(file)
    found = run_verdict(repository, {"report/report.json": entry})
    assert found is not None
    assert found.verdict == "PASS"


def test_a_report_is_read_once(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    first = said(repository, {**REPORT, "n": "read once"})
    no_report = b"[1]"
    assert said(repository, no_report) is None
    monkeypatch.setattr(module, "_read", None)  # whoever reads again fails
    assert said(repository, {**REPORT, "n": "read once"}) is first
    assert said(repository, no_report) is None


def test_a_report_of_too_many_bytes_is_not_opened(repository: Repository) -> None:
    entry = lfs_entry("0" * 64, MAX_REPORT_BYTES + 1)  # stored nowhere
    assert run_verdict(repository, {"report/report.json": entry}) is None
    whole = b'{"verdict": "pass"' + b" " * (MAX_REPORT_BYTES - 19) + b"}"
    assert said(repository, whole) == RunVerdict(verdict="PASS")
    assert said(repository, whole + b" ") is None


@pytest.mark.parametrize(
    "content",
    [
        b"", b"{", b"[]", b"null", b'"pass"', b"{}", b'{"a": 1}', b"\xff\xfe", b"\x80\x04K\x01.",
        b"[" * 200_000, b'{"a":' * 200_000, b'{"verdict": ' + b"9" * 5_000 + b"}",
    ],
)  # fmt: skip
def test_what_is_no_report_gives_no_verdict(repository: Repository, content: bytes) -> None:
    assert said(repository, content) is None


@pytest.mark.parametrize("value", ["passed", "", None, 1, True, ["pass"], {"pass": 1}])
def test_a_verdict_of_other_words_is_none(repository: Repository, value: object) -> None:
    assert said(repository, {"verdict": value}) == RunVerdict(verdict=None)


@pytest.mark.parametrize(
    "number",
    ["NaN", "Infinity", "-Infinity", "1e999", "1e301", "1" + "0" * 400, "true", '"1"', "[]"],
)
def test_numbers_that_are_none_are_left_out(repository: Repository, number: str) -> None:
    text = """{
      "gates": [{"name": "g", "value": NUMBER, "limit": NUMBER, "passed": 1}],
      "aggregate": {
        "a": {"value": NUMBER},
        "b": {"value": 1, "low": NUMBER, "high": 2},
        "c": {"value": 1, "low": 3, "high": 2}
      }
    }""".replace("NUMBER", number)
    found = said(repository, text.encode())
    assert found is not None
    assert [(g.passed, g.value, g.limit) for g in found.gates] == [(None, None, None)]
    alone = Figure(value=1.0, low=None, high=None)
    assert dict(found.metrics) == {"b": alone, "c": alone}


def test_names_that_are_none_are_left_out_and_lists_are_cut(repository: Repository) -> None:
    names = ["", "<b>", "a b", "é", "x" * 61, None, 1, ["a"], "../x", "\ud800"]
    report = {
        "gates": [{"name": name} for name in names]
        + ["row", 3, {"name": "z", "reason": "\ud800"}]
        + [{"name": f"g{i}", "reason": "y" * 1_000} for i in range(1_000)],
        "aggregate": {**{str(name): {"value": 1} for name in names[:5]},
                      **{f"m{i}": {"value": i} for i in range(1_000)}},
    }  # fmt: skip
    found = said(repository, report)
    assert found is not None
    assert [gate.name for gate in found.gates] == ["z", *(f"g{i}" for i in range(29))]
    assert [len(gate.reason) for gate in found.gates] == [0] + [600] * 29
    assert list(found.metrics) == [f"m{i}" for i in range(100)]


values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["name", "passed", "value", "limit", "low", "high", "reason", "x"]),
            inner,
            max_size=5,
        )
    ),
    max_leaves=15,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.sampled_from(["verdict", "gates", "aggregate"]), values))
def test_no_report_makes_reading_fail(repository: Repository, report: dict[str, Any]) -> None:
    found = said(repository, report)
    assert (found is None) == (not report)
    for gate in found.gates if found else ():
        assert re.fullmatch(r"[\w@]{1,60}", gate.name)
        assert gate.passed in (True, False, None)
        assert all(v is None or abs(v) <= 1e300 for v in (gate.value, gate.limit))
        gate.reason.encode()
    for name, figure in found.metrics.items() if found else ():
        assert re.fullmatch(r"[\w@]{1,60}", name)
        assert abs(figure.value) <= 1e300
        assert (figure.low is None) == (figure.high is None)


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (RunVerdict(verdict="PASS"), "pass"),
        (RunVerdict(verdict="FAIL"), "fail"),
        (RunVerdict(verdict=None), "not judged"),
        (None, "not judged"),
    ],
)
def test_the_badge_says_what_the_report_says_and_nothing_runs_in_it(
    found: RunVerdict | None, words: str
) -> None:
    picture = ElementTree.fromstring(badge_svg(found))
    names = {element.tag.rpartition("}")[2] for element in picture.iter()}
    assert names == {"svg", "title", "rect", "path", "g", "text"}
    assert [e.text for e in picture.iter() if e.tag.endswith("}text")] == ["gates", words]
    assert picture.attrib["aria-label"] == f"gates: {words}"
    attributes = {name for element in picture.iter() for name in element.attrib}
    assert not any(name.startswith("on") or name.endswith("href") for name in attributes)
