"""Random parts of one source of texts, alike in their classes, with equal texts kept together."""

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

_NO_WORD = re.compile(r"[^0-9a-z]+")
# A space between two letters says little: "do n't" is "don't". Beside a digit it says much.
_LETTERS_APART = re.compile(r"(?<=[^\d\s]) (?=[^\d\s])")


class _Signs(dict[int, str]):
    """What stays of each sign, looked up once: letters, marks, digits; a space for others."""

    def __missing__(self, code: int) -> str:
        sign = chr(code)
        if unicodedata.category(sign) == "Cf" or "VARIATION SELECTOR" in unicodedata.name(sign, ""):
            kept = ""  # seen by nobody: zero-width spaces, soft hyphens, the colour of an emoji
        else:
            kept = sign if unicodedata.category(sign)[0] in "LMN" else " "
        self[code] = kept
        return kept


_SIGNS = _Signs()


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
        words = " ".join(folded.translate(_SIGNS).split())
    return words or " ".join(text.split())


def spelling(plain: str) -> str:
    """What two normalized texts share if only spaces between letters are different.

    >>> spelling(normalized("I do n't know . ")) == spelling(normalized("I don't know!"))
    True
    """
    return _LETTERS_APART.sub("", plain)


def random_split(
    texts: Sequence[str],
    raw_labels: Sequence[str],
    *,
    shares: Mapping[str, float],
    seed: int,
) -> dict[str, list[int]]:
    """Row numbers of each part, each in the order of the source.

    Texts of one ``spelling`` are one group, and a group is in one part. Groups of one class are
    put in the order of a hash of the seed and the text, which depends neither on the order of the
    source nor on other texts, and the parts are cut from it one after the other:

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
    groups = _groups(texts, raw_labels, seed)
    bounds = np.cumsum(list(shares.values()))
    found: dict[str, list[int]] = {part: [] for part in shares}
    before = 0
    for label in sorted(groups):
        drawn = [rows for _, rows in sorted(groups[label])]
        size = sum(map(len, drawn))
        cuts = np.rint(bounds * (before + size)) - np.rint(bounds * before)
        cuts = np.minimum(np.maximum.accumulate(cuts), size)
        before += size
        _deal(drawn, cuts.tolist(), list(found.values()))
    return {part: sorted(rows) for part, rows in found.items()}


def _groups(
    texts: Sequence[str], raw_labels: Sequence[str], seed: int
) -> dict[str, list[tuple[bytes, list[int]]]]:
    """Hash and rows of texts that are equal, under the label that counts for them."""
    of_text: dict[str, list[int]] = {}
    for row, text in enumerate(texts):
        of_text.setdefault(spelling(normalized(text)), []).append(row)
    count = Counter(raw_labels)
    found: dict[str, list[tuple[bytes, list[int]]]] = {}
    for text, rows in of_text.items():
        label = min((raw_labels[row] for row in rows), key=lambda name: (count[name], name))
        digest = hashlib.blake2b(f"{seed} {text}".encode("utf-8", "surrogatepass"), digest_size=16).digest()
        found.setdefault(label, []).append((digest, rows))
    return found


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
