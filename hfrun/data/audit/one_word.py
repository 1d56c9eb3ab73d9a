"""Texts that are equal but for one word: another one in its place, one more or one less.

Each text is hashed once for every word that can be left out of it. Two texts differ in one word
exactly when what is left is equal:

    the acting alone is worth it          the _ alone is worth it
    the soundtrack alone is worth it      the _ alone is worth it          same place: swapped
    one of the best movies of the year    one of the best of the year      a whole text: added

So no pair is missed, and the time grows with the number of words, not of pairs of texts. A hash is
polynomial over 64 bits, so that leaving a word out takes two operations; pairs are verified.
"""

from collections.abc import Iterator

import numpy as np

from hfrun.data.audit.words import HashArray, Words, distinct_pairs, scrambled
from lob_backtest.book import IntArray

_BASE = 0xD6E8FEB86659FD93  # odd, so that it has an inverse modulo 2**64
_INVERSE = np.uint64(pow(_BASE, -1, 2**64))
_BEYOND_WORDS = 2**40  # places and words are numbers too: alike, they would cancel each other


def one_word_apart(words: Words, marks: IntArray, *, least_words: int) -> IntArray:
    """Pairs of texts that differ in one word.

    Of more than two texts that differ in the same place, each is paired with the first one of
    every mark alone, so that a thousand of them are no million pairs.

    Args:
        words: of G texts, no two of which are equal.
        marks: ``(G,)`` whatever pairs are looked for across, such as the part.
        least_words: of the longer text of a pair.

    Returns:
        ``(P, 2)`` texts, the smaller number first, sorted; each pair once.
    """
    whole, without, place = _hashes(words)
    kept = words.lengths[words.owner] >= least_words
    owner = words.owner[kept]
    swapped = _swapped(without[kept], place[kept], owner, marks)
    added = _added(whole, without[kept], owner)
    pairs = distinct_pairs(*np.concatenate([swapped, added]).T, n=words.n)
    verified = [_differs_in_one(words.of(a), words.of(b)) for a, b in pairs.tolist()]
    return pairs[np.array(verified, dtype=np.bool_)]


def _hashes(words: Words) -> tuple[HashArray, HashArray, IntArray]:
    """Of each text, of each text without each of its words, and that word's place."""
    starts = words.offsets[:-1]
    place = np.arange(words.ids.size) - starts[words.owner]
    powers = np.ones(max(int(words.lengths.max(initial=0)), 1) + 1, dtype=np.uint64)
    powers[1:] = np.multiply.accumulate(np.full(powers.size - 1, _BASE, dtype=np.uint64))
    terms = scrambled(words.ids) * powers[place]
    sums = np.concatenate([np.zeros(1, dtype=np.uint64), np.cumsum(terms, dtype=np.uint64)])
    whole = sums[words.offsets[1:]] - sums[starts]
    before = sums[:-1] - sums[starts][words.owner]
    after = whole[words.owner] - before - terms
    return whole, before + after * _INVERSE, place


def _swapped(without: HashArray, place: IntArray, owner: IntArray, marks: IntArray) -> IntArray:
    """Candidates that are equal without the word in the same place."""
    key = without ^ scrambled(place + _BEYOND_WORDS)
    order = np.lexsort((owner, marks[owner], key))
    key, owner = key[order], owner[order]
    is_shared = np.zeros(key.size, dtype=np.bool_)
    is_same = key[1:] == key[:-1]
    is_shared[1:] |= is_same
    is_shared[:-1] |= is_same
    key, owner = key[is_shared], owner[is_shared]
    pairs = [pair for group in _groups(key) for pair in _spanning(owner[group], marks)]
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)


def _groups(key: HashArray) -> Iterator[slice]:
    """Stretches of equal keys."""
    if key.size:
        starts = np.flatnonzero(np.append(True, key[1:] != key[:-1])).tolist()
        yield from map(slice, starts, [*starts[1:], key.size])


def _spanning(members: IntArray, marks: IntArray) -> Iterator[tuple[int, int]]:
    """Each member with the first of every mark, or the first itself with the second of its own."""
    mark = marks[members]
    heads = np.flatnonzero(np.append(True, mark[1:] != mark[:-1])).tolist()
    texts = members.tolist()
    for head in heads:
        for place, text in enumerate(texts):
            if place != head:
                yield texts[head], text


def _added(whole: HashArray, without: HashArray, owner: IntArray) -> IntArray:
    """Candidates of which one is the other without a word."""
    order = np.argsort(whole, kind="stable")
    place = np.searchsorted(whole[order], without)
    found = order[np.minimum(place, whole.size - 1)] if whole.size else place
    is_equal = whole[found] == without if whole.size else np.zeros(0, dtype=np.bool_)
    return np.stack([found[is_equal], owner[is_equal]], axis=1).astype(np.int64)


def _differs_in_one(a: IntArray, b: IntArray) -> bool:
    """Whether one word was swapped, or one was added."""
    if a.size == b.size:
        return int(np.count_nonzero(a != b)) == 1
    short, long = (a, b) if a.size < b.size else (b, a)
    if long.size != short.size + 1:
        return False
    differs = np.flatnonzero(long[:-1] != short)
    first = int(differs[0]) if differs.size else short.size
    return bool(np.array_equal(long[first + 1 :], short[first:]))
