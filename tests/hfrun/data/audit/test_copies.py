"""Copies of texts across parts and within one, by hand."""

import numpy as np
import pytest

from tests.hfrun.data.audit.cases import TEST, TRAIN, audited, counts, found, part, splits

LONG = "the director finds comedy in places where others see grief"


def test_texts_without_copies_give_no_finding() -> None:
    assert counts(audited(splits())) == []


def test_a_test_sentence_copied_into_train_stops_the_training() -> None:
    report = audited(splits(train=part([*TRAIN, TEST[0]])))
    assert counts(report) == [("error", "duplicates_across_splits", 1, ("train", "test"))]
    assert [finding.name for finding in report.stops] == ["duplicates_across_splits"]
    assert report.findings[0].examples == (f"train 7 (bad) = test 1 (bad): {TEST[0]!r}",)


@pytest.mark.parametrize(
    "copy",
    [
        LONG.upper(),
        f"  {LONG.replace(' ', '   ')}!",
        f'"{LONG}" ...',
        LONG.replace("in places", "in, places"),
        LONG.replace("fi", "\ufb01"),  # a ligature
        LONG.replace("comedy", "tragedy"),
        LONG.replace("comedy ", ""),
        LONG.replace("comedy", "much comedy"),
        LONG.replace("the director", "director"),
        f"{LONG} today",
    ],
)
def test_a_near_copy_of_a_test_sentence_in_train_stops_the_training(copy: str) -> None:
    report = audited(splits(train=part([*TRAIN, copy])))
    assert counts(report) == [("error", "near_duplicates_across_splits", 1, ("train", "test"))]


def test_spelling_of_negations_as_a_treebank_splits_them_makes_no_difference() -> None:
    report = audited(
        splits(train=part([*TRAIN, "I don't care"]), test=part([*TEST, "i do n't care ."]))
    )
    assert [(f.name, f.count) for f in report.stops] == [("near_duplicates_across_splits", 1)]


def test_a_word_changed_in_a_short_sentence_is_a_warning() -> None:
    report = audited(
        splits(train=part([*TRAIN, "nobody ever told him so"]),
               test=part([*TEST, "nobody ever told her so"]))
    )  # fmt: skip
    assert counts(report) == [("warning", "similar_texts_across_splits", 1, ("train", "test"))]


def test_texts_that_share_most_of_their_words_are_a_warning() -> None:
    one = "it is a long and winding tale of a man who sells his house to buy a boat he never sails"
    other = one.replace("tale", "film").replace("boat", "ship")
    report = audited(splits(train=part([*TRAIN, one]), test=part([*TEST, other])))
    assert counts(report) == [("warning", "similar_texts_across_splits", 1, ("train", "test"))]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("revenue up 1.5 percent", "revenue up 15 percent"),
        ("it is not good", "it is good"),
        ("yes", "no"),
        (":-)", ":-("),
    ],
)
def test_texts_that_say_other_things_are_no_copies(one: str, other: str) -> None:
    report = audited(splits(train=part([*TRAIN, one]), test=part([*TEST, other])))
    assert counts(report) == []


def test_copies_between_validation_and_test_stop_the_training_as_well() -> None:
    report = audited(splits(validation=part([TEST[0], "an honest little film", TEST[0]])))
    assert counts(report) == [
        ("error", "duplicates_across_splits", 1, ("validation", "test")),
        ("warning", "duplicates_within_split", 1, ("validation",)),
    ]


def test_a_text_is_counted_under_the_closest_of_its_copies_alone() -> None:
    near = LONG.replace("comedy", "tragedy")
    report = audited(splits(train=part([*TRAIN, near, LONG.upper(), LONG])))
    across = [row for row in counts(report) if row[0] == "error"]
    assert across == [("error", "duplicates_across_splits", 1, ("train", "test"))]


def test_each_copied_text_is_counted_once_however_often_it_stands() -> None:
    train = part([*TRAIN, LONG, LONG, LONG], [0, 1, 0, 1, 0, 1, 0, 0, 0])
    report = audited(splits(train=train))
    assert counts(report) == [
        ("error", "duplicates_across_splits", 1, ("train", "test")),
        ("warning", "duplicates_within_split", 1, ("train",)),
    ]


def test_few_repeats_among_many_texts_are_a_note() -> None:
    many = [f"number {i} of these is about topic {i * 7} and {i * 13}" for i in range(400)]
    report = audited(splits(train=part([*many, many[3]])))
    (finding,) = found(report, "duplicates_within_split")
    assert (finding.severity, finding.count) == ("info", 1)


def test_one_text_under_two_labels_is_told() -> None:
    train = part([*TRAIN, "Fine.", "fine"], [*[i % 2 for i in range(len(TRAIN))], 0, 1])
    (finding,) = found(audited(splits(train=train)), "contradicting_labels")
    assert (finding.severity, finding.count, finding.parts) == ("warning", 1, ("train",))
    assert finding.examples == ("train 7 (bad): 'Fine.' ~ train 8 (good): 'fine'",)


def test_an_unknown_label_contradicts_nothing() -> None:
    train = part([*TRAIN, "Fine.", "fine"], [*[i % 2 for i in range(len(TRAIN))], -1, 1])
    assert found(audited(splits(train=train)), "contradicting_labels") == []


def test_texts_of_spaces_alone_are_empty_and_no_copies() -> None:
    report = audited(splits(train=part([*TRAIN, "", " "]), test=part([*TEST, "\t"])))
    assert counts(report) == [
        ("warning", "empty_texts", 2, ("train",)),
        ("warning", "empty_texts", 1, ("test",)),
    ]


def test_scripts_without_spaces_are_compared_by_their_signs() -> None:
    text = "这部电影的导演非常有才华而且演员们也很出色"
    report = audited(splits(train=part([*TRAIN, text.replace("非", "很")]), test=part([text])))
    assert [(f.name, f.count) for f in report.stops if f.name != "constant_label"] == [
        ("near_duplicates_across_splits", 1)
    ]


def test_the_order_of_the_texts_changes_no_count() -> None:
    rng = np.random.default_rng(0)
    train = [*TRAIN, LONG, LONG.upper(), "nobody ever told him so", "nobody ever told her so"]
    test = [*TEST, "nobody ever told them so"]

    def counted(texts: list[str]) -> list[tuple[str, str, int, tuple[str, ...]]]:
        labels = [len(text) % 2 for text in texts]
        return counts(audited(splits(train=part(texts, labels), test=part(test))))

    expected = counted(train)
    assert [row[1:3] for row in expected] == [
        ("duplicates_across_splits", 1),
        ("similar_texts_across_splits", 1),
        ("near_duplicates_within_split", 2),
        ("similar_texts_within_split", 2),
    ]
    for _ in range(5):
        assert counted([train[i] for i in rng.permutation(len(train))]) == expected
