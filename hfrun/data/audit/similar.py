"""Pairs of texts that share most of their words in the same order.

A text is the set S of its words and of its pairs of neighbouring words, and

    Jaccard(S, T) = |S and T| / |S or T|

Two sets whose Jaccard is at least t share one of the rarest ``|S| - ceil(t |S|) + 1`` members of S
(and of T): the others alone would be too few. So only texts that share such a rare member are
compared, and the comparison is exact. MinHash would estimate it, and miss some pairs by chance.

    S    a  film  a_film  rare  rare_film ...  sorted by how few texts have it
         |---- looked up ----|                 the rest is only counted for pairs that were found

References: Chaudhuri, Ganti and Kaushik (2006), A primitive operator for similarity joins in data
cleaning, ICDE (prefix filter); Bayardo, Ma and Srikant (2007), Scaling up all pairs similarity
search, WWW; Xiao et al. (2008), Efficient similarity joins for near duplicate detection, WWW
(filter by place); Sandes, Teodoro and Melo (2017), Bitmap filter: speeding up exact set similarity
joins with bitwise operations (filter by sketch); Broder (1997), On the resemblance and containment
of documents, SEQUENCES (the measure).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hfrun.data.audit.words import (
    HashArray,
    Words,
    distinct,
    distinct_pairs,
    scrambled,
)
from lob_backtest.book import FloatArray, IntArray, blocks

if TYPE_CHECKING:
    from scipy.sparse import csr_array

# Beyond so many comparisons each text of a crowd that shares a member is compared with its
# neighbours in length alone: thousands from one mould are found as such, not pair by pair.
_MOST_COMPARISONS = 20_000_000
_PAIRS_AT_ONCE = 2_000_000
_VERIFIED_AT_ONCE = 100_000
_ROUNDING = 1e-9


@dataclass(frozen=True, kw_only=True, eq=False)
class _Sets:
    """Members of each text's set, the rarest first.

    Attributes:
        ranks: ``(K,)`` number of each member, from the rarest on, text after text.
        offsets: ``(G + 1,)``.
        sketches: ``(G, 2)`` of 64 bits each. Every member flips one of a text's 128 bits, so two
            texts share all members but as many as their sketches differ in, or more.
    """

    ranks: IntArray
    offsets: IntArray
    sketches: HashArray

    @property
    def sizes(self) -> IntArray:
        """``(G,)`` members of each text."""
        return np.diff(self.offsets)


def similar_pairs(words: Words, *, least: float, least_words: int) -> IntArray:
    """Pairs whose Jaccard is at least ``least``.

    Args:
        words: of G texts.
        least: of the Jaccard, above 0.
        least_words: of both texts.

    Returns:
        ``(P, 2)`` texts, the smaller number first, sorted.
    """
    sets = _sets(words, least_words=least_words)
    matrix = _matrix(sets)
    found = [np.empty((0, 2), dtype=np.int64)]
    for some in _candidates(sets, least=least):
        found.append(some[_jaccards(matrix, sets.sizes, some) >= least - _ROUNDING])
    return distinct_pairs(*np.concatenate(found).T, n=words.n)


def jaccard(a: IntArray, b: IntArray) -> float:
    """Of two texts' words and neighbouring words.

    >>> jaccard(np.array([0, 1, 2]), np.array([0, 1, 3]))
    0.42857142857142855
    """
    s, t = (set(w.tolist()) | {*zip(w[:-1].tolist(), w[1:].tolist(), strict=True)} for w in (a, b))
    return len(s & t) / len(s | t)


def _sets(words: Words, *, least_words: int) -> _Sets:
    """The sets of the texts that are long enough; the others are empty."""
    owner = words.owner
    enough = words.lengths[owner] >= least_words
    follows = enough[1:] & (owner[1:] == owner[:-1])
    hashed = scrambled(words.ids)
    pair = hashed[:-1] * np.uint64(0x9E3779B97F4A7C15) ^ (hashed[1:] >> np.uint64(1))
    members = np.concatenate([hashed[enough], pair[follows]])
    owners = np.concatenate([owner[enough], owner[1:][follows]])
    _, number, texts = np.unique(members, return_inverse=True, return_counts=True)
    rank = np.empty(texts.size, dtype=np.int64)
    rank[np.argsort(texts, kind="stable")] = np.arange(texts.size)
    key = distinct(owners * max(texts.size, 1) + rank[number])  # each member once a text
    owners, ranks = np.divmod(key, max(texts.size, 1))
    offsets = np.searchsorted(owners, np.arange(words.n + 1))
    return _Sets(
        ranks=ranks.astype(np.int64),
        offsets=offsets.astype(np.int64),
        sketches=_sketches(owners, scrambled(ranks), words.n),
    )


def _sketches(owners: IntArray, hashed: HashArray, n: int) -> HashArray:
    """``(n, 2)`` parities of the members that fall onto each of 128 bits."""
    sketches = np.zeros((n, 2), dtype=np.uint64)
    bits = np.uint64(1) << (hashed >> np.uint64(58))
    np.bitwise_xor.at(sketches, (owners, (hashed & np.uint64(1)).astype(np.int64)), bits)
    return sketches


def _candidates(sets: _Sets, *, least: float) -> Iterator[IntArray]:
    """Pairs that share a looked-up member and could reach ``least``, some at a time."""
    size = sets.sizes
    owner = np.repeat(np.arange(size.size), size)
    place = np.arange(sets.ranks.size) - sets.offsets[owner]
    looked_up = place < size[owner] - _least_shared(size, least)[owner] + 1
    owner, place, rank = owner[looked_up], place[looked_up], sets.ranks[looked_up]
    order = np.lexsort((owner, size[owner], rank))
    owner, place, rank = owner[order], place[order], rank[order]
    last = np.searchsorted(rank, rank, side="right")  # members of one rank stand together
    ahead = _affordable(last - np.arange(rank.size) - 1)
    for rows in _portions(ahead):
        a = np.repeat(np.arange(rows.start, rows.stop), ahead[rows])
        step = np.arange(a.size) - np.repeat(np.cumsum(ahead[rows]) - ahead[rows], ahead[rows])
        b = a + 1 + step
        n_a, n_b = size[owner[a]], size[owner[b]]  # the larger one is b
        before = np.minimum(place[a], place[b])
        after = np.minimum(n_a - place[a], n_b - place[b]) - 1
        needed = least / (1 + least) * (n_a + n_b) - _ROUNDING
        could = (n_a >= least * n_b - _ROUNDING) & (before + 1 + after >= needed)
        a, b, apart = owner[a[could]], owner[b[could]], (n_a + n_b - 2 * needed)[could]
        close = _least_apart(sets.sketches, a, b) <= apart
        yield distinct_pairs(a[close], b[close], n=size.size)


def _least_apart(sketches: HashArray, a: IntArray, b: IntArray) -> IntArray:
    """No more members than these are in one text of a pair alone."""
    differing = np.bitwise_count(sketches[a] ^ sketches[b])
    return np.asarray(differing.sum(axis=1), dtype=np.int64)


def _least_shared(size: IntArray, least: float) -> IntArray:
    """Members that a set must share with any other to reach ``least``."""
    return np.asarray(np.maximum(np.ceil(least * size - _ROUNDING), 1), dtype=np.int64)


def _affordable(ahead: IntArray) -> IntArray:
    """How many of those that follow each entry it is compared with."""
    most = int(ahead.max(initial=0))
    while int(np.minimum(ahead, most).sum()) > _MOST_COMPARISONS:
        most //= 2
    return np.minimum(ahead, most)


def _portions(ahead: IntArray) -> Iterator[slice]:
    """Stretches of entries with about two million pairs together."""
    ends = np.cumsum(ahead)
    start = 0
    while start < ahead.size:
        done = int(ends[start - 1]) if start else 0
        stop = int(np.searchsorted(ends, done + _PAIRS_AT_ONCE, side="left")) + 1
        yield slice(start, min(stop, ahead.size))
        start = stop


def _jaccards(matrix: "csr_array", size: IntArray, pairs: IntArray) -> FloatArray:
    """``(P,)`` of each pair."""
    shared = np.zeros(len(pairs))
    for some in blocks(len(pairs), _VERIFIED_AT_ONCE):
        a, b = pairs[some].T
        shared[some] = np.asarray(matrix[a].multiply(matrix[b]).sum(axis=1)).ravel()
    found: FloatArray = shared / (size[pairs].sum(axis=1) - shared)
    return found


def _matrix(sets: _Sets) -> "csr_array":
    """``(G, M)`` 1 where a text has a member."""
    from scipy.sparse import csr_array

    n_members = int(sets.ranks.max(initial=-1)) + 1
    ones = np.ones(sets.ranks.size, dtype=np.int32)
    shape = (sets.sizes.size, n_members)
    return csr_array((ones, sets.ranks, sets.offsets), shape=shape)
