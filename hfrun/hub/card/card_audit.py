"""What the audit of the data found, as a section of the model card."""

from collections.abc import Mapping
from typing import Any

from hfrun.hub.card.markdown import escaped, number, section, table

_SEVERITIES = {"error": "**error**", "warning": "warning", "info": "note"}


def audit_section(run: Mapping[str, Any]) -> str:
    """Findings before the training, with what was accepted; nothing for a run without an audit.

    Examples are left out: they quote the data, which may not be published with the model.

    Args:
        run: the content of run.json; ``audit`` as ``AuditReport.as_dict`` gives it.
    """
    audit = run.get("audit")
    if not isinstance(audit, Mapping):
        return ""
    accepted = audit.get("accepted")
    accepted = accepted if isinstance(accepted, Mapping) else {}
    findings = audit.get("findings")
    rows = [
        [
            _severity(finding, accepted),
            escaped(finding.get("name", "")),
            number(finding.get("count")),
            escaped(", ".join(map(str, finding.get("parts") or ())) or "all"),
            escaped(finding.get("message", "")),
        ]
        for finding in (findings if isinstance(findings, list) else [])
        if isinstance(finding, Mapping)
    ]
    if not rows:
        return section("Audit of the data", "Nothing was found.")
    meaning = (
        "Looked for before the training: copies across the parts, labels that say nothing, shifts "
        "and gaps. The training began with the errors below because its config accepts them by "
        "name and number."
        if any("accepted" in row[0] for row in rows)
        else "Looked for before the training: copies across the parts, labels that say nothing, "
        "shifts and gaps."
    )
    header = ("severity", "finding", "cases", "parts", "what")
    return section("Audit of the data", meaning, table(header, rows))


def _severity(finding: Mapping[str, Any], accepted: Mapping[str, Any]) -> str:
    kind = str(finding.get("severity", ""))
    known = _SEVERITIES.get(kind, escaped(kind))
    is_accepted = kind == "error" and accepted.get(str(finding.get("name")))
    return f"{known}, accepted" if is_accepted else known
