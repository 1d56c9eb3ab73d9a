"""Random parts of one source of texts, alike in their classes, with equal texts kept together."""

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

_NO_WORD = re.compile(r"[^0-9a-z]+")


def normalized(text: str) -> str:
    """The words of a text alone: without case, punctuation, spaces and forms of Unicode.

    Letters, their marks and digits stay (NFKC, case-folded), anything else is one space. A text
    without any of these (``:-)``) stays as it is, but for its spaces.

    >>> normalized("It 's a WARM,  funny film!")
    'it s a warm funny film'
    """
    if text.isascii():
        words = _NO_WORD.sub(" ", text.lower()).strip()
    else:
        folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
        kept = [sign if unicodedata.category(sign)[0] in "LMN" else " " for sign in folded]
        words = " ".join("".join(kept).split())
    return words or " ".join(text.split())


def random_split(
    texts: Sequence[str],
    raw_labels: Sequence[str],
    *,
    shares: Mapping[str, float],
    seed: int,
) -> dict[str, list[int]]:
    """Row numbers of each part, each in the order of the source.

    Texts that are equal when ``normalized`` are one group, and a group is in one part. Groups of
    one class are put in the order of a hash of the seed and the text, which depends neither on
    the order of the source nor on other texts, and the parts are cut from it one after the other:

        class a   0 1 2 3 4 5 6 | 7 | 8 9      shares 0.7, 0.1, 0.2 of its texts
        class b   0 1 2 | | 3                  rounded so that the parts of all classes add up

    A group with several labels counts as the one that is rarest. Each class has a group in the
    first part. Shares that add up to less than 1 leave texts out.

    Args:
        texts: N of them.
        raw_labels: N of them.
        shares: of each part, in order; train first.
        seed: of the draw.
    """
    groups = _groups(texts, raw_labels)
    bounds = np.cumsum(list(shares.values()))
    found: dict[str, list[int]] = {part: [] for part in shares}
    before = 0
    for label in sorted(groups):
        drawn = sorted(groups[label], key=lambda rows: _hash(texts[rows[0]], seed))
        size = sum(map(len, drawn))
        cuts = np.rint(bounds * (before + size)) - np.rint(bounds * before)
        cuts = np.minimum(np.maximum.accumulate(np.maximum(cuts, 1)), size)
        before += size
        _deal(drawn, cuts.tolist(), list(found.values()))
    return {part: sorted(rows) for part, rows in found.items()}


def _groups(texts: Sequence[str], raw_labels: Sequence[str]) -> dict[str, list[list[int]]]:
    """Rows of texts that are equal, under the label that counts for them."""
    of_text: dict[str, list[int]] = {}
    for row, text in enumerate(texts):
        of_text.setdefault(normalized(text), []).append(row)
    count = Counter(raw_labels)
    found: dict[str, list[list[int]]] = {}
    for rows in of_text.values():
        label = min((raw_labels[row] for row in rows), key=lambda name: (count[name], name))
        found.setdefault(label, []).append(rows)
    return found


def _hash(text: str, seed: int) -> bytes:
    return hashlib.blake2b(f"{seed} {normalized(text)}".encode(), digest_size=16).digest()


def _deal(groups: Sequence[list[int]], cuts: Sequence[float], parts: Sequence[list[int]]) -> None:
    """Put each group into the part in which its middle falls; ``cuts`` are where the parts end."""
    begin = 0
    for rows in groups:
        middle = begin + len(rows) / 2
        part = next((number for number, cut in enumerate(cuts) if middle < cut), None)
        if begin == 0:
            part = 0  # of each class, however rare, train has one
        if part is not None:
            parts[part] += rows
        begin += len(rows)
