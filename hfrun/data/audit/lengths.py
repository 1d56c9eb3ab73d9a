"""Findings about single texts: empty, far too long, cut, damaged."""

from collections.abc import Mapping, Sequence

import numpy as np

from hfrun.data.audit.findings import Finding, Severity
from hfrun.data.audit.grouping import quoted
from hfrun.data.texts import TextPart
from lob_backtest.book import IntArray

_MOST_EXAMPLES = 5
_REPLACEMENT = "\ufffd"  # what decoders put where bytes were no character
_FAR_OUT = 3.0  # times the middle half's width (Tukey, 1977), of the logarithm of the length
_LEAST_TIMES = 4.0  # longer than the upper quartile, where all lengths are about the same
_SHARE_OF_WARNING = 0.01


def length_findings(parts: Mapping[str, TextPart]) -> list[Finding]:
    """Empty, overlong and damaged texts, part by part."""
    findings = []
    for name, part in parts.items():
        findings += [
            *_of_texts("empty_texts", name, part, [not text.strip() for text in part.texts],
                       "of spaces alone", severity="warning"),
            *_of_texts("damaged_characters", name, part,
                       [_REPLACEMENT in text for text in part.texts],
                       "with characters that could not be decoded: look at the file's encoding",
                       severity="warning"),
        ]  # fmt: skip
    return findings + _overlong(parts)


def truncation_findings(
    parts: Mapping[str, TextPart], token_counts: Mapping[str, IntArray], *, max_length: int
) -> list[Finding]:
    """Texts of which the model reads the beginning alone.

    Args:
        parts: of the run.
        token_counts: ``(N,)`` of each part: tokens of each text uncut, with the template and the
            tokenizer's marks.
        max_length: most tokens that the model is given.
    """
    findings: list[Finding] = []
    for name, part in parts.items():
        tokens = token_counts.get(name, np.empty(0, dtype=np.int64))
        cut = tokens > max_length
        if not cut.any():
            continue
        share = float(cut.mean())
        lost = float(np.maximum(tokens - max_length, 0).sum() / tokens.sum())
        findings += _of_texts(
            "truncated_texts", name, part, cut.tolist(),
            f"with more than data.max_length={max_length} tokens ({share:.2%}; the longest has "
            f"{int(tokens.max()):,}); {lost:.2%} of the part's tokens are not read",
            severity="warning" if share > _SHARE_OF_WARNING else "info",
            sizes=(tokens, "tokens"),
        )  # fmt: skip
    return findings


def _overlong(parts: Mapping[str, TextPart]) -> list[Finding]:
    """Texts far longer than all others: documents among sentences, or lines that ran together."""
    sizes = {name: np.array([len(text) for text in part.texts], dtype=np.int64)
             for name, part in parts.items()}  # fmt: skip
    every = np.concatenate(list(sizes.values()))
    every = every[every > 0]
    if not every.size:
        return []
    lower, upper = np.quantile(np.log(every), [0.25, 0.75])
    most = np.exp(max(upper + _FAR_OUT * (upper - lower), upper + np.log(_LEAST_TIMES)))
    findings: list[Finding] = []
    for name, part in parts.items():
        size = sizes[name]
        findings += _of_texts(
            "overlong_texts", name, part, (size > most).tolist(),
            f"with more than {int(most):,} characters, where half of all have "
            f"{int(np.median(every)):,} or fewer",
            severity="warning",
            sizes=(size, "characters"),
        )  # fmt: skip
    return findings


def _of_texts(
    name: str,
    part_name: str,
    part: TextPart,
    found: Sequence[bool],
    words: str,
    *,
    severity: Severity,
    sizes: tuple[IntArray, str] | None = None,
) -> list[Finding]:
    """The finding that some of a part's texts are so; nothing where none is."""
    rows = np.flatnonzero(found).tolist()
    if not rows:
        return []

    def said(row: int) -> str:
        return "" if sizes is None else f" ({int(sizes[0][row]):,} {sizes[1]})"

    return [
        Finding(
            name=name,
            severity=severity,
            count=len(rows),
            message=f"{len(rows):,} text{'s' * (len(rows) != 1)} of {part_name} {words}",
            examples=tuple(
                f"{part_name} {row + 1}{said(row)}: {quoted(part.texts[row])}"
                for row in rows[:_MOST_EXAMPLES]
            ),
            parts=(part_name,),
        )
    ]
