"""The random split: what is equal stays together, classes are alike, and it can be repeated."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hfrun.data.audit.words import spelling
from hfrun.data.text_split import normalized, random_split

THIRDS = {"train": 0.8, "validation": 0.1, "test": 0.1}
WORDS = st.lists(st.sampled_from(["a", "film", "Film!", "dull", "DULL", "5", "fine ,"]), max_size=4)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("It 's a WARM,  funny film!", "it's a warm funny film"),
        ("caf\u00e9", "cafe\u0301"),  # one sign, or a letter and its accent
        ("\uff26\uff29\uff2c\uff2d \ufb01ne", "film fine"),  # wide letters, a ligature
        ("STRASSE", "stra\u00dfe"),
        ("\u201cquoted\u201d \u2014 text\u00a0.", '"quoted" - text.'),
        ("soft\u00adhyphen\u200b", "softhyphen"),
        ("great \u2764\ufe0f", "great \u2764"),
        ("  :-)\t", ":-)"),
    ],
)
def test_texts_that_differ_in_case_punctuation_spaces_or_unicode_are_one(
    one: str, other: str
) -> None:
    assert spelling(normalized(one)) == spelling(normalized(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("up 5 %", "up 6 %"),
        ("1 10", "11 0"),
        (":-)", ":-("),
        ("\u0915\u093f", "\u0915\u0941"),  # two syllables of Hindi, different in a mark alone
        ("a good film", "a god film"),
    ],
)
def test_texts_that_say_something_else_are_two(one: str, other: str) -> None:
    assert spelling(normalized(one)) != spelling(normalized(other))


@given(st.text())
def test_what_is_normalized_stays_as_it_is(text: str) -> None:
    assert normalized(normalized(text)) == normalized(text)


@given(st.text(st.characters(max_codepoint=127)))
def test_ascii_is_normalized_as_any_other_text(text: str) -> None:
    with_mark = normalized(text + " \u00e9")
    words = normalized(text) if any(sign.isalnum() for sign in text) else ""
    assert with_mark.split() == [*words.split(), "\u00e9"]


def test_shares_of_every_class_are_met_to_the_text() -> None:
    labels = ["a"] * 100 + ["b"] * 50 + ["c"] * 7
    texts = [f"text {number}" for number in range(157)]
    parts = random_split(texts, labels, shares=THIRDS, seed=0)
    counts = {part: Counter(labels[row] for row in rows) for part, rows in parts.items()}
    assert {part: (c["a"], c["b"]) for part, c in counts.items()} == {
        "train": (80, 40), "validation": (10, 5), "test": (10, 5),
    }  # fmt: skip
    assert [len(rows) for rows in parts.values()] == [126, 15, 16]  # 0.8 of 157 is 125.6
    assert sum(map(len, parts.values())) == 157


def test_shares_below_one_leave_texts_out() -> None:
    shares = {"train": 0.2, "validation": 0.1, "test": 0.1}
    parts = random_split([str(n) for n in range(100)], ["x"] * 100, shares=shares, seed=0)
    assert [len(rows) for rows in parts.values()] == [20, 10, 10]


def test_texts_of_eight_words_that_differ_in_one_stay_together() -> None:
    stems = [" ".join(f"w{n}x{place}" for place in range(7)) for n in range(50)]
    texts = [f"{stem} {word}" for stem in stems for word in ("one", "two", "")]
    labels = [f"{number % 3}" for number in range(150)]  # each of a group has another label
    parts = random_split(texts, labels, shares=THIRDS, seed=0)
    assert [len(rows) for rows in parts.values()] == [120, 15, 15]
    assert all(len({row // 3 for row in rows}) * 3 == len(rows) for rows in parts.values())
    shorter = [text.split(maxsplit=1)[1] for text in texts]  # of seven words they are apart
    parts = random_split(shorter, labels, shares=THIRDS, seed=0)
    assert not all(len({row // 3 for row in rows}) * 3 == len(rows) for rows in parts.values())


@pytest.mark.parametrize("seed", range(20))
def test_a_group_that_would_fill_another_part_is_in_train(seed: int) -> None:
    texts = ["the same"] * 30 + [f"text {number}" for number in range(70)]
    parts = random_split(texts, ["x"] * 100, shares=THIRDS, seed=seed)
    assert [len(rows) for rows in parts.values()] == [80, 10, 10]
    assert set(range(30)) < set(parts["train"])


def test_another_seed_draws_other_texts_and_the_same_seed_the_same() -> None:
    texts = [f"text {number}" for number in range(1000)]
    first, again, other = (
        random_split(texts, ["x"] * 1000, shares=THIRDS, seed=seed) for seed in (0, 0, 1)
    )
    assert first == again
    shared = len(set(first["test"]) & set(other["test"]))
    assert 1 <= shared <= 25  # 10 are expected by chance; 25 is 5 standard deviations above


def test_a_draw_is_uniform_over_the_source() -> None:
    texts = [f"text {number}" for number in range(2000)]
    drawn = np.zeros(2000)
    for seed in range(20):
        drawn[random_split(texts, ["x"] * 2000, shares=THIRDS, seed=seed)["test"]] += 1
    blocks = drawn.reshape(10, 200).sum(axis=1)  # 400 expected in each
    assert abs(blocks - 400).max() < 5 * np.sqrt(400 * 0.9)


rows = st.lists(st.tuples(WORDS.map(" ".join), st.sampled_from(["x", "y", "z"])), max_size=40)


@given(rows, st.integers(0, 5))
def test_every_text_is_in_one_part_with_all_that_are_equal_to_it(
    source: list[tuple[str, str]], seed: int
) -> None:
    texts, labels = [text for text, _ in source], [label for _, label in source]
    parts = random_split(texts, labels, shares=THIRDS, seed=seed)
    assert sorted(row for part in parts.values() for row in part) == list(range(len(source)))
    assert all(part == sorted(part) for part in parts.values())
    seen = [{spelling(normalized(texts[row])) for row in part} for part in parts.values()]
    assert sum(map(len, seen)) == len(set().union(*seen))


@given(rows, st.integers(0, 5), st.randoms(use_true_random=False))
def test_the_order_of_the_source_changes_no_part(
    source: list[tuple[str, str]], seed: int, random: object
) -> None:
    def drawn(rows: list[tuple[str, str]]) -> dict[str, list[tuple[str, str]]]:
        texts, labels = [text for text, _ in rows], [label for _, label in rows]
        parts = random_split(texts, labels, shares=THIRDS, seed=seed)
        return {part: sorted(rows[row] for row in found) for part, found in parts.items()}

    shuffled = list(source)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert drawn(shuffled) == drawn(source)


def test_which_of_the_texts_that_are_alike_comes_first_changes_no_part() -> None:
    ends = ["do n't", "don't", "do n't say", "don't go"]  # two spellings, and a word more of each
    texts = [f"name{n} a b c d e f {end}" for n in range(60) for end in ends]
    labels = ["x"] * len(texts)
    there = random_split(texts, labels, shares=THIRDS, seed=0)
    back = random_split(texts[::-1], labels, shares=THIRDS, seed=0)
    for part, rows in there.items():
        assert {texts[row] for row in rows} == {texts[::-1][row] for row in back[part]}


@given(st.lists(st.integers(1, 60), min_size=1, max_size=5), st.integers(0, 3))
def test_sizes_of_distinct_texts_are_within_one_of_the_shares(sizes: list[int], seed: int) -> None:
    labels = [f"class {number}" for number, size in enumerate(sizes) for _ in range(size)]
    texts = [f"text {number}" for number in range(len(labels))]
    parts = random_split(texts, labels, shares=THIRDS, seed=seed)
    for label, size in Counter(labels).items():
        for part, share in THIRDS.items():
            found = sum(labels[row] == label for row in parts[part])
            assert abs(found - share * size) <= 2, (label, part)
        assert any(labels[row] == label for row in parts["train"])
    moved = len(sizes)  # a class of one text is in train, whatever its share
    assert abs(len(parts["train"]) - 0.8 * len(texts)) <= 1 + moved
