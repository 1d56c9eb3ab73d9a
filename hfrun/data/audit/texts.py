"""The audit of labelled texts: what would make their figures wrong, before a model is trained."""

from collections import Counter
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from hfrun.data.audit.classes import class_counts, text_class_findings
from hfrun.data.audit.copies import contradiction_findings, copy_findings
from hfrun.data.audit.findings import AuditReport, Finding, check_accepted
from hfrun.data.audit.grouping import group_texts, quoted
from hfrun.data.audit.lengths import length_findings, truncation_findings
from hfrun.data.text_labels import UNKNOWN
from hfrun.data.texts import TextPart, TextSplits
from lob_backtest.progress import announce

_MOST_EXAMPLES = 10
_WORTH_TELLING = 100_000  # texts that take more than a few seconds


def audit_texts(
    splits: TextSplits,
    *,
    token_counts: Mapping[str, npt.NDArray[np.int64]] | None,
    max_length: int,
    accept: Mapping[str, int],
) -> AuditReport:
    """Look for copies, for labels that say nothing, and for texts that are none.

    Args:
        splits: train, validation and test.
        token_counts: ``(N,)`` of each part: tokens of each text uncut, with the template and the
            tokenizer's marks; None where no tokenizer is at hand, and truncation is not looked at.
        max_length: most tokens that the model is given.
        accept: by name, how many cases of an error a training may begin with.

    Raises:
        DataError: ``accept`` names no finding.
    """
    check_accepted(accept, "text")
    parts = splits.parts()
    n = sum(map(len, parts.values()))
    if n > _WORTH_TELLING:
        announce(f"comparing {n:,} texts with each other")
    grouped = group_texts(splits)
    counts = {name: class_counts(part.labels, splits.n_labels) for name, part in parts.items()}
    findings = [
        *_part_findings(parts),
        *copy_findings(grouped),
        *contradiction_findings(grouped),
        *text_class_findings(counts, splits.label_names),
        *length_findings(parts),
    ]
    if token_counts is not None:
        findings += truncation_findings(parts, token_counts, max_length=max_length)
    return AuditReport(
        kind="text",
        sizes={name: len(part) for name, part in parts.items()},
        findings=tuple(findings),
        accepted=dict(accept),
    )


def _part_findings(parts: Mapping[str, TextPart]) -> list[Finding]:
    """Parts without texts, and labels that are none of the classes."""
    findings = []
    for name, part in parts.items():
        if not len(part):
            message = f"{name} has no texts: nothing can be learned, chosen or judged by it"
            findings.append(
                Finding(
                    name="empty_part", severity="error", count=1, message=message, parts=(name,)
                )
            )
        rows = np.flatnonzero(part.labels == UNKNOWN).tolist()
        if rows:
            findings.append(_unknown(name, part, rows))
    return findings


def _unknown(name: str, part: TextPart, rows: list[int]) -> Finding:
    raw = Counter(part.raw_labels[row] for row in rows)
    told = ", ".join(f"{label!r} ({n:,})" for label, n in raw.most_common(_MOST_EXAMPLES))
    every = "all " if len(rows) == len(part) else ""
    return Finding(
        name="unknown_labels",
        severity="error",
        count=len(rows),
        message=f"{every}{len(rows):,} label{'s' * (len(rows) != 1)} of {name} are none of the "
        f"classes: {told}; name the classes in data.labels, or take these texts out",
        examples=tuple(
            f"{name} {row + 1} ({part.raw_labels[row]!r}): {quoted(part.texts[row])}"
            for row in rows[:_MOST_EXAMPLES]
        ),
        parts=(name,),
    )
