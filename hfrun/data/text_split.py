"""Random parts of one source of texts: alike in their classes, and no text is in two of them."""

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from lob_backtest.book import FloatArray

_NO_WORD = re.compile(r"[^0-9a-z]+")
# "I did n't laugh" and "I did n't smile" are two opinions; of eight words it is one, mended.
LEAST_WORDS_NEAR = 8  # of texts that differ in one word and are near duplicates


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


def random_split(
    texts: Sequence[str], raw_labels: Sequence[str], *, shares: Mapping[str, float], seed: int
) -> dict[str, list[int]]:
    """Row numbers of each part, each in the order of the source.

    Texts that the audit would call duplicates or near duplicates of each other are one group, and
    a group is in one part. Groups of one class are put in the order of a hash of the seed and the
    text, which does not depend on the order of the source, and the parts are cut from it one after
    the other:

        class a   0 1 2 3 4 5 6 | 7 | 8 9      shares 0.7, 0.1, 0.2 of its texts
        class b   0 1 2 | | 3                  rounded so that the parts of all classes add up

    A group with several labels counts as the one that is rarest. Each class has a group in train,
    and so has train those groups that would fill another part alone. Shares that add up to less
    than 1 leave texts out.

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
        size = sum(len(rows) for _, rows in groups[label])
        cuts = np.rint(bounds * (before + size)) - np.rint(bounds * before)
        cuts = np.minimum(np.maximum.accumulate(cuts), size)
        before += size
        _deal(groups[label], cuts, list(found.values()))
    return {part: sorted(rows) for part, rows in found.items()}


_Group = tuple[bytes, list[int]]


def _groups(texts: Sequence[str], raw_labels: Sequence[str], seed: int) -> dict[str, list[_Group]]:
    """Hash and rows of the texts that stay together, under the label that counts for them."""
    plains, members = _alike(texts)
    count = Counter(raw_labels)
    found: dict[str, list[_Group]] = {}
    for plain, rows in zip(plains, members, strict=True):
        label = min((raw_labels[row] for row in rows), key=lambda name: (count[name], name))
        named = f"{seed} {plain}".encode("utf-8", "surrogatepass")
        digest = hashlib.blake2b(named, digest_size=16).digest()
        found.setdefault(label, []).append((digest, rows))
    return found


def _alike(texts: Sequence[str]) -> tuple[list[str], list[list[int]]]:
    """Of each group of texts that are alike: the text that names it, and their rows."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    # On use: the audit reads what this package has read.
    from hfrun.data.audit.one_word import one_word_apart
    from hfrun.data.audit.words import spelling, words_of

    of_text: dict[str, list[int]] = {}
    plain_of: dict[str, str] = {}
    for row, text in enumerate(texts):
        plain = normalized(text)
        spelt = spelling(plain)
        of_text.setdefault(spelt, []).append(row)
        plain_of[spelt] = min(plain, plain_of.get(spelt, plain))  # whichever comes first
    n = len(of_text)
    words = words_of(list(plain_of.values()))
    pairs = one_word_apart(words, np.zeros(n, dtype=np.int64), least_words=LEAST_WORDS_NEAR)
    links = coo_array((np.ones(len(pairs), dtype=np.int8), (pairs[:, 0], pairs[:, 1])), (n, n))
    names: dict[int, str] = {}
    members: dict[int, list[int]] = {}
    numbers = connected_components(links, directed=False)[1].tolist() if n else []
    for number, (spelt, rows) in zip(numbers, of_text.items(), strict=True):
        names[number] = min(spelt, names.get(number, spelt))
        members.setdefault(number, []).extend(rows)
    return list(names.values()), list(members.values())


def _deal(groups: Sequence[_Group], cuts: FloatArray, parts: Sequence[list[int]]) -> None:
    """Put each group into the part in which its middle falls; ``cuts`` are where the parts end."""
    fewest = max(np.diff(cuts, prepend=0.0).min(initial=np.inf), 1)
    begin = 0
    for _, rows in sorted(groups, key=lambda group: (len(group[1]) <= fewest, group)):
        middle = begin + len(rows) / 2
        part = int(np.searchsorted(cuts, middle, side="right")) if begin else 0
        if part < len(parts):
            parts[part] += rows
        begin += len(rows)
