"""Findings of one text in several places: as it is, nearly so, or alike.

    duplicate        the same characters
    near duplicate   the same words (case, punctuation, spaces and Unicode forms aside), or one word
                     of at least eight swapped, added or left out
    similar          Jaccard of words and neighbouring words of at least 0.6, or one word of five
                     to seven

A text is counted once, under the closest of the three. Across parts the later part's texts are
counted: it is their judgement that is spoilt when an earlier part has them too.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np

from hfrun.data.audit.findings import Finding, Severity
from hfrun.data.audit.grouping import NOWHERE, GroupedTexts
from hfrun.data.audit.one_word import one_word_apart
from hfrun.data.audit.similar import similar_pairs
from hfrun.data.text_split import LEAST_WORDS_NEAR
from hfrun.data.texts import PARTS
from lob_backtest.book import IntArray

_LEAST_WORDS = 5
_LEAST_JACCARD = 0.6
_SHARE_OF_WARNING = 0.01  # of a part's texts that stand in it more than once
_MOST_EXAMPLES = 10


@dataclass(frozen=True, kw_only=True)
class _Likeness:
    """How two texts are alike, and what to call it."""

    stem: str
    severity: Severity
    words: str


_LIKENESSES = (
    _Likeness(stem="duplicates", severity="error", words=""),
    _Likeness(
        stem="near_duplicates",
        severity="error",
        words=", case, punctuation, spaces or one word aside",
    ),
    _Likeness(stem="similar_texts", severity="warning", words=", some of the words aside"),
)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Pairs:
    """Pairs of plain texts by how alike they are, the smaller number first."""

    near: IntArray
    similar: IntArray


def copy_findings(grouped: GroupedTexts) -> list[Finding]:
    """Every text that is there more than once."""
    if not grouped.texts:
        return []
    pairs = _alike(grouped)
    findings = []
    for earlier, later in combinations_with_replacement(range(len(PARTS)), 2):
        likeness, partner = _closest(grouped, pairs, earlier=earlier, later=later)
        first, _ = grouped.ends_in(grouped.copy, later)
        for level in range(len(_LIKENESSES)):
            found = np.flatnonzero(likeness == level)
            if found.size:
                examples = _examples(grouped, first[found], partner[found])
                findings.append(_finding(grouped, level, found.size, earlier, later, examples))
    return findings


def contradiction_findings(grouped: GroupedTexts) -> list[Finding]:
    """Texts, case and punctuation aside, that have one label here and another there."""
    known = np.flatnonzero(grouped.label >= 0)
    plain, label = grouped.plain[known], grouped.label[known]
    least = np.full(int(grouped.plain.max(initial=-1)) + 1, label.max(initial=0), dtype=np.int64)
    most = np.zeros_like(least)
    np.minimum.at(least, plain, label)
    np.maximum.at(most, plain, label)
    found = np.flatnonzero(least < most)
    if not found.size:
        return []
    members = [known[plain == number] for number in found[:_MOST_EXAMPLES].tolist()]
    parts = np.unique(grouped.part[known[np.isin(plain, found)]])
    n = found.size
    return [
        Finding(
            name="contradicting_labels",
            severity="warning",
            count=n,
            message=f"{_texts(n)} {_verb(n, 'stands', 'stand')} under more than one label; no "
            "model can be right about all of them",
            examples=tuple(_places(grouped, texts) for texts in members),
            parts=tuple(PARTS[part] for part in parts.tolist()),
        )
    ]


def _alike(grouped: GroupedTexts) -> _Pairs:
    marks = grouped.has(grouped.plain) @ (1 << np.arange(len(PARTS)))
    apart = one_word_apart(grouped.words, marks, least_words=_LEAST_WORDS)
    is_near = grouped.words.lengths[apart].max(axis=1, initial=0) >= LEAST_WORDS_NEAR
    alike = similar_pairs(grouped.words, least=_LEAST_JACCARD, least_words=_LEAST_WORDS)
    return _Pairs(near=apart[is_near], similar=np.concatenate([apart[~is_near], alike]))


def _closest(
    grouped: GroupedTexts, pairs: _Pairs, *, earlier: int, later: int
) -> tuple[IntArray, IntArray]:
    """How each different text of the later part is like one of the earlier, and like which.

    Returns:
        ``(E,)`` number of the likeness, -1 for none; and ``(E,)`` the text of the earlier part.
    """
    own, again = grouped.ends_in(grouped.copy, later)
    same, _ = grouped.ends_in(grouped.copy, earlier)
    if earlier == later:
        same = _other_than(own, again)
    plain = grouped.plain[own]  # of those that are nowhere it is not looked at
    ends = grouped.ends_in(grouped.plain, earlier)
    spelt = np.maximum(_other_than(own, ends[0][plain]), _other_than(own, ends[1][plain]))
    near, similar = (_partners(some, ends[0])[plain] for some in (pairs.near, pairs.similar))
    likeness = np.full(own.size, NOWHERE, dtype=np.int64)
    partner = likeness.copy()
    for level, found in ((0, same), (1, spelt), (1, near), (2, similar)):
        new = (own != NOWHERE) & (likeness == NOWHERE) & (found != NOWHERE)
        likeness[new], partner[new] = level, found[new]
    return likeness, partner


def _other_than(own: IntArray, found: IntArray) -> IntArray:
    """The texts that were found, but for those that are the text itself."""
    return np.where(found == own, NOWHERE, found)


def _partners(pairs: IntArray, first: IntArray) -> IntArray:
    """For each plain text the first text of a part that it is paired with; -1 for none."""
    partner = np.full(first.size, NOWHERE, dtype=np.int64)
    one, other = np.concatenate([pairs, pairs[:, ::-1]])[::-1].T
    is_there = first[other] != NOWHERE
    partner[one[is_there]] = first[other[is_there]]
    return partner


def _finding(
    grouped: GroupedTexts, level: int, n: int, earlier: int, later: int, examples: tuple[str, ...]
) -> Finding:
    like, size = _LIKENESSES[level], int(np.count_nonzero(grouped.part == later))
    share = f"{n / size:.2%} of {size:,}"
    if earlier != later:
        return Finding(
            name=f"{like.stem}_across_splits",
            severity=like.severity,
            count=n,
            message=f"{_texts(n)} of {PARTS[later]} {_verb(n, 'stands', 'stand')} in "
            f"{PARTS[earlier]} too{like.words} ({share})",
            examples=examples,
            parts=(PARTS[earlier], PARTS[later]),
        )
    many = level == 0 and n > _SHARE_OF_WARNING * size
    return Finding(
        name=f"{like.stem}_within_split",
        severity="warning" if many else "info",
        count=n,
        message=f"{_texts(n)} {_verb(n, 'stands', 'stand')} in {PARTS[later]} more than "
        f"once{like.words} ({share})",
        examples=examples,
        parts=(PARTS[later],),
    )


def _examples(grouped: GroupedTexts, later: IntArray, earlier: IntArray) -> tuple[str, ...]:
    """The first pairs, in the order of the later part, each once."""
    order = np.argsort(later, kind="stable")
    pairs = zip(later[order].tolist(), earlier[order].tolist(), strict=True)
    once = dict.fromkeys(pair if pair[0] < pair[1] else pair[::-1] for pair in pairs)
    return tuple(_places(grouped, pair) for pair in list(once)[:_MOST_EXAMPLES])


def _places(grouped: GroupedTexts, texts: Sequence[int] | IntArray) -> str:
    """Where texts stand, and what they are: once where they are the same."""
    shown = [int(text) for text in texts][:_MOST_EXAMPLES]
    if len({grouped.texts[text] for text in shown}) == 1:
        return f"{' = '.join(map(grouped.place, shown))}: {grouped.quote(shown[0])}"
    return " ~ ".join(f"{grouped.place(text)}: {grouped.quote(text)}" for text in shown)


def _texts(n: int) -> str:
    return f"{n:,} text{'s' * (n != 1)}"


def _verb(n: int, one: str, many: str) -> str:
    return one if n == 1 else many
