"""Which findings stop a training, how they are accepted, and what is written."""

import json
import re
from pathlib import Path

import pytest

from hfrun.data.audit import AuditReport, Finding, require_clean, write_audit
from hfrun.data.audit.findings import check_accepted
from hfrun.data.audit.names import BOOK_FINDINGS, TEXT_FINDINGS
from hfrun.errors import DataError
from lob_backtest.errors import LobBacktestError
from tests.hfrun.data.audit.cases import TEST, TRAIN, audited, part, splits

ROOT = Path(__file__).resolve().parents[4]


def finding(name: str, severity: str, count: int, *parts: str) -> Finding:
    return Finding(
        name=name,
        severity=severity,  # type: ignore[arg-type]
        count=count,
        message=f"{count} of them",
        examples=("train 1: 'a'",),
        parts=parts,
    )


def report(**accepted: int) -> AuditReport:
    return AuditReport(
        kind="text",
        sizes={"train": 10, "test": 5},
        findings=(
            finding("label_shift", "warning", 1, "train", "test"),
            finding("duplicates_across_splits", "error", 1, "train", "validation"),
            finding("duplicates_across_splits", "error", 2, "train", "test"),
            finding("constant_label", "error", 1, "test"),
        ),
        accepted=accepted,
    )


def test_errors_come_first_and_stop_a_training_together() -> None:
    assert [found.name for found in report().findings] == [
        "duplicates_across_splits", "duplicates_across_splits", "constant_label", "label_shift",
    ]  # fmt: skip
    with pytest.raises(DataError) as caught:
        require_clean(report())
    assert str(caught.value).splitlines() == [
        "the audit of the data found 3 errors that the config does not accept:",
        "  duplicates_across_splits (train, validation): 1 of them",
        "  duplicates_across_splits (train, test): 2 of them",
        "  constant_label (test): 1 of them",
        "mend the data, or accept what you know of:",
        "  data.audit.accept.duplicates_across_splits=3    (accepted so far: 0)",
        "  data.audit.accept.constant_label=1    (accepted so far: 0)",
    ]


def test_an_error_is_accepted_by_the_number_of_its_cases_in_all_parts() -> None:
    for accepted in (0, 1, 2):
        stops = report(duplicates_across_splits=accepted, constant_label=1).stops
        assert [found.count for found in stops] == [1, 2]
    enough = report(duplicates_across_splits=3, constant_label=1)
    assert enough.stops == ()
    require_clean(enough)


def test_warnings_and_notes_never_stop_a_training() -> None:
    calm = AuditReport(
        kind="text",
        sizes={},
        findings=(finding("label_shift", "warning", 9), finding("truncated_texts", "info", 9)),
        accepted={},
    )
    require_clean(calm)
    assert calm.stops == ()


def test_the_message_can_be_typed_to_accept_what_was_found() -> None:
    copied = splits(train=part([*TRAIN, TEST[0]]))
    with pytest.raises(DataError) as caught:
        require_clean(audited(copied))
    typed = re.findall(r"data\.audit\.accept\.(\w+)=(\d+)", str(caught.value))
    require_clean(audited(copied, accept={name: int(most) for name, most in typed}))


def test_a_misspelt_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(DataError, match="did you mean duplicates_across_splits"):
        audited(splits(), accept={"duplicate_across_splits": 3})
    with pytest.raises(DataError, match=r"audit of a book run finds nothing .* unused_sessions"):
        check_accepted({"duplicates_across_splits": 3}, "book")


def test_every_finding_that_there_can_be_may_be_accepted() -> None:
    check_accepted(dict.fromkeys(TEXT_FINDINGS, 1), "text")
    check_accepted(dict.fromkeys(BOOK_FINDINGS, 1), "book")


def test_the_names_in_the_code_are_those_that_are_written_down() -> None:
    code = "".join(
        path.read_text("utf-8")
        for path in sorted((ROOT / "hfrun" / "data" / "audit").glob("*.py"))
        if path.name != "names.py"
    )
    used = set(re.findall(r'name="([a-z_]+)"', code)) | set(re.findall(r'^ +"([a-z]+_[a-z_]+)", '
                          r"(?:name|part_name), part", code, re.MULTILINE))  # fmt: skip
    for stem in re.findall(r'stem="([a-z_]+)"', code):
        used |= {f"{stem}_across_splits", f"{stem}_within_split"}
    lengths = {"empty_texts", "overlong_texts", "truncated_texts", "damaged_characters"}
    assert used | lengths == {*TEXT_FINDINGS, *BOOK_FINDINGS}


def test_the_docs_explain_every_finding() -> None:
    page = (ROOT / "docs" / "audit.md").read_text("utf-8")
    explained = set(re.findall(r"^\| `([a-z_]+)` \|", page, re.MULTILINE))
    assert explained == {*TEXT_FINDINGS, *BOOK_FINDINGS}


def test_the_written_audit_is_the_report(tmp_path: Path) -> None:
    path = write_audit(report(constant_label=1), tmp_path / "run")
    written = json.loads(path.read_text("utf-8"))
    assert path.name == "audit.json"
    assert written == report(constant_label=1).as_dict()
    assert written["stops"] == ["duplicates_across_splits"]
    assert written["counts"] == {"error": 3, "warning": 1, "info": 0}
    assert written["findings"][0]["parts"] == ["train", "validation"]
    text = (tmp_path / "run" / "audit.txt").read_text("utf-8")
    assert text == report(constant_label=1).text() + "\n"
    assert "found: 3 errors, 1 warning, 0 notes; stops a training" in text
    assert "accepted  constant_label  1  (test)" in text


def test_a_training_begins_with_a_line_for_each_error_and_warning() -> None:
    assert report(duplicates_across_splits=3, constant_label=1).brief().splitlines() == [
        "audit found: 3 errors, 1 warning, 0 notes; all errors are accepted",
        "  accepted duplicates_across_splits (train, validation): 1 of them",
        "  accepted duplicates_across_splits (train, test): 2 of them",
        "  accepted constant_label (test): 1 of them",
        "  warning label_shift (train, test): 1 of them",
    ]
    stopped = report(duplicates_across_splits=2, constant_label=1).brief().splitlines()
    assert [line.split()[0] for line in stopped[1:]] == ["error", "error", "accepted", "warning"]


def test_a_stop_is_a_users_error_without_a_traceback() -> None:
    assert issubclass(DataError, LobBacktestError)


def test_control_characters_of_a_text_reach_no_terminal() -> None:
    text = "red \x1b[31m alert \x1b[0m and nothing but noise for hours"
    shown = audited(splits(train=part([*TRAIN, text]), test=part([*TEST, text]))).text()
    assert "\x1b" not in shown
    assert "red \\x1b[31m alert" in shown
