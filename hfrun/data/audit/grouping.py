"""Every text of a run under the text it equals: as written, and but for case and punctuation.

    row        part        text              copy    plain
    0          train       I like it .       0       0
    1          validation  i like it         1       0
    2          test        I like it .       0       0

Texts of spaces alone are left out: they equal each other, and are found as what they are.
"""

from dataclasses import dataclass
from itertools import chain

import numpy as np

from hfrun.data.audit.words import Words, spelling, words_of
from hfrun.data.text_split import normalized
from hfrun.data.texts import PARTS, TextSplits
from lob_backtest.book import BoolArray, IntArray

NOWHERE = -1

_LONGEST_QUOTE = 100


@dataclass(frozen=True, kw_only=True, eq=False)
class GroupedTexts:
    """All N texts of a run, train first, without those of spaces alone.

    Attributes:
        texts: as read.
        row: ``(N,)`` place of each in its part, from 0.
        part: ``(N,)`` 0 train, 1 validation, 2 test.
        label: ``(N,)`` -1 where unknown.
        label_names: C of them.
        copy: ``(N,)`` number of each different text, by first appearance.
        plain: ``(N,)`` number of each different text without case, punctuation and spaces.
        words: of each plain text.
    """

    texts: tuple[str, ...]
    row: IntArray
    part: IntArray
    label: IntArray
    label_names: tuple[str, ...]
    copy: IntArray
    plain: IntArray
    words: Words

    def ends_in(self, numbers: IntArray, part: int) -> tuple[IntArray, IntArray]:
        """First and last text of the part under each number (copy or plain); -1 for none."""
        rows = np.flatnonzero(self.part == part)
        first = np.full(int(numbers.max(initial=-1)) + 1, NOWHERE, dtype=np.int64)
        last = first.copy()
        last[numbers[rows]] = rows  # of equal indices numpy keeps the last value
        first[numbers[rows[::-1]]] = rows[::-1]
        return first, last

    def has(self, numbers: IntArray) -> BoolArray:
        """``(numbers, 3)`` whether each number (copy or plain) stands in each part."""
        found = np.zeros((int(numbers.max(initial=-1)) + 1, len(PARTS)), dtype=np.bool_)
        found[numbers, self.part] = True
        return found

    def place(self, text: int) -> str:
        """Where a text stands, counted from 1, and its label: ``test 880 (negative)``."""
        label = int(self.label[text])
        name = self.label_names[label] if label >= 0 else "?"
        return f"{PARTS[int(self.part[text])]} {int(self.row[text]) + 1} ({name})"

    def quote(self, text: int) -> str:
        """The beginning of a text, on one line."""
        return quoted(self.texts[text])


def group_texts(splits: TextSplits) -> GroupedTexts:
    """Compare every text with every other one, in one pass."""
    parts = splits.parts().values()
    sizes = [len(part) for part in parts]
    every = list(chain.from_iterable(part.texts for part in parts))
    kept = np.array([bool(text.strip()) for text in every], dtype=np.bool_)
    texts = tuple(text for text in every if text.strip())
    copies: dict[str, int] = {}
    copy = np.array([copies.setdefault(text, len(copies)) for text in texts], dtype=np.int64)
    plain_of_copy, plains = _plain_texts(list(copies))
    return GroupedTexts(
        texts=texts,
        row=np.concatenate([np.arange(size) for size in sizes])[kept],
        part=np.repeat(np.arange(len(sizes)), sizes)[kept],
        label=np.concatenate([part.labels for part in parts])[kept],
        label_names=splits.label_names,
        copy=copy,
        plain=plain_of_copy[copy],
        words=words_of(plains),
    )


def quoted(text: str) -> str:
    """The beginning of a text, on one line, as Python would write it."""
    return repr(text if len(text) <= _LONGEST_QUOTE else f"{text[:_LONGEST_QUOTE]}...")


def _plain_texts(texts: list[str]) -> tuple[IntArray, list[str]]:
    """The number of each text's plain text, and the plain texts themselves."""
    numbers: dict[str, int] = {}
    plains: list[str] = []
    found = np.empty(len(texts), dtype=np.int64)
    for place, text in enumerate(texts):
        plain = normalized(text)
        number = numbers.setdefault(spelling(plain), len(plains))
        if number == len(plains):
            plains.append(plain)
        found[place] = number
    return found, plains
