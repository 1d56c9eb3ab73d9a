"""The audit's section of the model card."""

from typing import Any

from hfrun.hub.card.card_audit import audit_section
from hfrun.hub.card.model_card import model_card


def audit(*findings: dict[str, Any], **accepted: int) -> dict[str, Any]:
    return {"audit": {"kind": "text", "accepted": accepted, "findings": list(findings)}}


LEAK = {
    "name": "duplicates_across_splits",
    "severity": "error",
    "count": 2,
    "message": "2 texts of test stand in train too",
    "examples": ["train 1 = test 1: 'a secret sentence'"],
    "parts": ["train", "test"],
}
SHIFT = {
    "name": "label_shift",
    "severity": "warning",
    "count": 1,
    "message": "the classes of test | are <other> ones",
    "examples": [],
    "parts": [],
}


def test_findings_are_listed_with_what_was_accepted_and_without_quotes_of_the_data() -> None:
    text = audit_section(audit(LEAK, SHIFT, duplicates_across_splits=2))
    assert text.startswith("## Audit of the data\n")
    assert "because its config accepts them by name and number" in text
    assert text.splitlines()[-2:] == [
        "| **error**, accepted | duplicates_across_splits | 2 | train, test | 2 texts of test "
        "stand in train too |",
        r"| warning | label_shift | 1 | all | the classes of test \| are &lt;other&gt; ones |",
    ]
    assert "secret" not in text


def test_warnings_alone_speak_of_no_acceptance() -> None:
    assert "accepts" not in audit_section(audit(SHIFT))


def test_an_audit_without_findings_says_so_and_a_run_without_an_audit_says_nothing() -> None:
    assert audit_section(audit()) == "## Audit of the data\n\nNothing was found."
    assert audit_section({}) == ""
    assert audit_section({"audit": None}) == ""


def test_a_damaged_record_is_left_out_of_the_card() -> None:
    for findings in (None, "many", [None, 3]):
        assert "Nothing was found" in audit_section({"audit": {"findings": findings}})
    row = audit_section({"audit": {"findings": [{"severity": "odd|one", "count": "x"}]}})
    assert row.splitlines()[-1] == r"| odd\|one |  | – | all |  |"


def test_the_card_of_a_book_and_of_texts_has_the_section() -> None:
    for model_config in ({"model_type": "deeplob"}, {"model_type": "llama_classifier"}):
        card = model_card(repo_id="a/b", run=audit(SHIFT), report=None, model_config=model_config)
        assert card.count("## Audit of the data") == 1
