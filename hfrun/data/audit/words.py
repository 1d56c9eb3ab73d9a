"""Texts as words, for comparing them.

    texts       "A fine film ."    "Fine FILM"
    words       a fine film        fine film
    ids         0 1    2           1    2              offsets 0, 3, 5

Flat arrays, so that a million texts fit into memory.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lob_backtest.book import IntArray

HashArray = npt.NDArray[np.uint64]

# A space between two letters says little: "do n't" is "don't". Beside a digit it says much.
_LETTERS_APART = re.compile(r"(?<=[^\d\s]) (?=[^\d\s])")
# Scripts that write no spaces, of which each sign is taken for a word: Thai to Khmer, kana, Han.
_UNSPACED = re.compile(r"([\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff"
                       r"\uf900-\ufaff\U00020000-\U0003ffff])")  # fmt: skip


@dataclass(frozen=True, kw_only=True, eq=False)
class Words:
    """The words of G different texts.

    Attributes:
        ids: ``(K,)`` number of each word in the vocabulary, text after text.
        offsets: ``(G + 1,)`` where each text begins, then K.
    """

    ids: IntArray
    offsets: IntArray

    @property
    def n(self) -> int:
        """How many texts."""
        return int(self.offsets.size - 1)

    @property
    def lengths(self) -> IntArray:
        """``(G,)`` words of each text."""
        return np.diff(self.offsets)

    @property
    def owner(self) -> IntArray:
        """``(K,)`` the text that each word is of."""
        return np.repeat(np.arange(self.n), self.lengths)

    def of(self, text: int) -> IntArray:
        """The words of one text."""
        return self.ids[self.offsets[text] : self.offsets[text + 1]]


def spelling(plain: str) -> str:
    """What two texts must share to be the same but for case, punctuation and spaces.

    >>> spelling(normalized("I do n't know . ")) == spelling(normalized("I don't know!"))
    True
    """
    return _LETTERS_APART.sub("", plain)


def words_of(plains: Sequence[str]) -> Words:
    """Number the words of normalized texts."""
    vocabulary: dict[str, int] = {}
    ids: list[int] = []
    offsets = np.zeros(len(plains) + 1, dtype=np.int64)
    for number, plain in enumerate(plains):
        if not plain.isascii():
            plain = _UNSPACED.sub(r" \1 ", plain)
        ids += [vocabulary.setdefault(word, len(vocabulary)) for word in plain.split()]
        offsets[number + 1] = len(ids)
    return Words(ids=np.array(ids, dtype=np.int64), offsets=offsets)


def scrambled(numbers: IntArray) -> HashArray:
    """64 bits that look random, another value for each number.

    References: Steele, Lea and Flood (2014), Fast splittable pseudorandom number generators,
    OOPSLA (the finalizer of SplitMix64, a bijection).
    """
    x = (numbers.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: HashArray = x ^ (x >> np.uint64(31))
    return mixed


def distinct(numbers: IntArray) -> IntArray:
    """Each number once, sorted; by one sort, which is quicker here than numpy's hash table."""
    ordered = np.sort(numbers)
    return ordered[np.append(True, ordered[1:] != ordered[:-1])] if ordered.size else ordered


def distinct_pairs(a: IntArray, b: IntArray, *, n: int) -> IntArray:
    """``(P, 2)`` each pair of two of ``n`` texts once, the smaller number first, sorted."""
    keys = distinct(np.minimum(a, b) * n + np.maximum(a, b))
    return np.stack(np.divmod(keys, max(n, 1)), axis=1)
