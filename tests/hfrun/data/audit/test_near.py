"""The searches for near copies find every pair, and no other: against comparing all with all."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hfrun.data.audit import similar
from hfrun.data.audit.one_word import _differs_in_one, one_word_apart
from hfrun.data.audit.similar import jaccard, similar_pairs
from hfrun.data.audit.words import Words, words_of

# Few words, so that texts are often near each other.
TEXTS = st.lists(
    st.lists(st.sampled_from("abcde"), min_size=1, max_size=7).map(" ".join),
    min_size=1,
    max_size=14,
    unique=True,
)


def edits(a: list[int], b: list[int]) -> int:
    """Words to swap, add or leave out to get from one text to the other."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, start=1):
        row, above = [i], row
        for j, y in enumerate(b, start=1):
            row.append(min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (x != y)))
    return row[-1]


def pairs_with_one_edit(words: Words, *, least_words: int) -> list[tuple[int, int]]:
    of = [words.of(text).tolist() for text in range(words.n)]
    return [
        (a, b)
        for a, b in combinations(range(words.n), 2)
        if max(len(of[a]), len(of[b])) >= least_words and edits(of[a], of[b]) == 1
    ]


@settings(max_examples=150, deadline=None)
@given(texts=TEXTS, least_words=st.integers(1, 5))
@example(texts=["c c", "a a", "a a a", "a b"], least_words=1)  # word 1 in place 1
def test_one_word_apart_gives_true_pairs_and_leaves_no_text_alone(
    texts: list[str], least_words: int
) -> None:
    words = words_of(texts)
    true = pairs_with_one_edit(words, least_words=least_words)
    same = np.zeros(words.n, dtype=np.int64)
    found = [tuple(pair) for pair in
             one_word_apart(words, same, least_words=least_words).tolist()]  # fmt: skip
    assert set(found) <= set(true)
    assert {text for pair in found for text in pair} == {text for pair in true for text in pair}
    # With every text a mark of its own, none stands for others.
    own = np.arange(words.n)
    every = one_word_apart(words, own, least_words=least_words)
    assert [tuple(pair) for pair in every.tolist()] == true


@settings(max_examples=100, deadline=None)
@given(texts=TEXTS, marks=st.lists(st.integers(0, 2), min_size=14, max_size=14))
def test_one_word_apart_finds_a_partner_in_every_mark_that_has_one(
    texts: list[str], marks: list[int]
) -> None:
    words = words_of(texts)
    mark = np.array(marks[: words.n])
    partners = {(a, marks[b]) for a, b in one_word_apart(words, mark, least_words=1).tolist()}
    partners |= {(b, marks[a]) for a, b in one_word_apart(words, mark, least_words=1).tolist()}
    true = pairs_with_one_edit(words, least_words=1)
    assert partners == {(a, marks[b]) for a, b in true} | {(b, marks[a]) for a, b in true}


@settings(max_examples=150, deadline=None)
@given(
    texts=TEXTS,
    least=st.sampled_from([0.2, 1 / 3, 0.5, 0.6, 0.75, 1.0]),
    least_words=st.integers(1, 4),
)
def test_similar_pairs_are_those_of_comparing_all_with_all(
    texts: list[str], least: float, least_words: int
) -> None:
    words = words_of(texts)
    true = [
        [a, b]
        for a, b in combinations(range(words.n), 2)
        if min(words.lengths[[a, b]]) >= least_words
        and jaccard(words.of(a), words.of(b)) >= least - 1e-12
    ]
    assert similar_pairs(words, least=least, least_words=least_words).tolist() == true


def test_similar_pairs_of_longer_texts_are_those_of_comparing_all_with_all() -> None:
    rng = np.random.default_rng(0)
    base = [rng.zipf(1.5, size=rng.integers(5, 40)) % 300 for _ in range(120)]
    for text in base[:60]:  # a copy with a few words changed
        copy = text.copy()
        copy[rng.integers(0, copy.size, size=2)] = rng.integers(0, 300, size=2)
        base.append(copy)
    words = words_of([" ".join(map(str, text.tolist())) for text in base])
    true = [
        [a, b]
        for a, b in combinations(range(words.n), 2)
        if jaccard(words.of(a), words.of(b)) >= 0.6
    ]
    assert len(true) > 30
    assert similar_pairs(words, least=0.6, least_words=5).tolist() == true


def test_the_jaccard_of_datasketch_is_the_same() -> None:
    datasketch = pytest.importorskip("datasketch")
    a, b = words_of(["one of the best movies of the year", "one of the worst movies of the year"]
                    ).of(0), np.array([0, 1, 2, 6, 4, 1, 2, 5])  # fmt: skip
    hashes = []
    for text in (a, b):
        minhash = datasketch.MinHash(num_perm=2048, seed=1)
        members = {str(word) for word in text.tolist()}
        members |= {f"{x}_{y}" for x, y in zip(text[:-1].tolist(), text[1:].tolist(), strict=True)}
        minhash.update_batch([member.encode() for member in members])
        hashes.append(minhash)
    assert jaccard(a, b) == pytest.approx(9 / 15)
    assert hashes[0].jaccard(hashes[1]) == pytest.approx(jaccard(a, b), abs=0.05)


def test_thousands_of_texts_from_one_mould_are_found_without_comparing_all_pairs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(similar, "_MOST_COMPARISONS", 20_000)
    texts = [f"net sales of the group rose to eur {i} mn in the quarter" for i in range(2000)]
    words = words_of(texts)
    alone = set(range(words.n)) - set(similar_pairs(words, least=0.6, least_words=5).ravel())
    assert alone == set()
    pairs = one_word_apart(words, np.zeros(words.n, dtype=np.int64), least_words=5)
    assert pairs.tolist() == [[0, other] for other in range(1, words.n)]


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ([1, 2, 3], [1, 2, 3], False),
        ([1, 2, 3], [1, 5, 3], True),
        ([1, 2, 3], [5, 5, 3], False),
        ([1, 2, 3], [1, 3], True),
        ([1, 2, 3], [2, 3], True),
        ([1, 2, 3], [1, 2], True),
        ([1, 2, 3], [2, 1], False),
        ([1, 2, 3], [1], False),
        ([1], [], True),
    ],
)
def test_pairs_are_verified_by_their_words(a: list[int], b: list[int], expected: bool) -> None:
    for one, other in ((a, b), (b, a)):
        arrays = (np.array(one, dtype=np.int64), np.array(other, dtype=np.int64))
        assert _differs_in_one(*arrays) is expected


def test_crowds_are_compared_with_as_many_neighbours_as_can_be_afforded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ahead = np.r_[np.arange(100)[::-1], 3, 2, 1, 0]
    assert similar._affordable(ahead).tolist() == ahead.tolist()
    monkeypatch.setattr(similar, "_MOST_COMPARISONS", 2000)
    kept = similar._affordable(ahead)
    assert 1000 < kept.sum() <= 2000
    assert kept[-4:].tolist() == [3, 2, 1, 0]


def test_no_texts_and_texts_without_words_have_no_pairs() -> None:
    for words in (words_of([]), words_of([""]), words_of(["", "a"])):
        marks = np.zeros(words.n, dtype=np.int64)
        assert similar_pairs(words, least=0.6, least_words=1).tolist() == []
        assert one_word_apart(words, marks, least_words=2).tolist() == []
