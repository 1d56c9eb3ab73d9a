"""Empty, overlong, cut and damaged texts."""

import numpy as np

from tests.hfrun.data.audit.cases import TEST, TRAIN, audited, counts, found, part, splits


def test_a_document_among_sentences_is_overlong() -> None:
    labels = [0, 1, 0, 1, 0, 1, 0]
    report = audited(splits(train=part([*TRAIN, "no end in sight " * 100], labels)))
    (finding,) = found(report, "overlong_texts")
    assert (finding.severity, finding.count, finding.parts) == ("warning", 1, ("train",))
    assert finding.examples[0].startswith("train 7 (1,600 characters): 'no end in sight")
    assert len(finding.examples[0]) < 200


def test_texts_of_one_length_have_none_that_is_overlong_for_a_few_letters_more() -> None:
    words = [f"word{i:04d}" for i in range(60)]
    train = [*words[:40], "word0061 word0062 word0063"]
    report = audited(splits(part(train), part(words[40:50]), part(words[50:])))
    assert found(report, "overlong_texts") == []


def test_characters_that_could_not_be_decoded_are_a_warning() -> None:
    report = audited(splits(test=part([TEST[0], "na\ufffdve and charming in its own clumsy way"])))
    assert counts(report) == [("warning", "damaged_characters", 1, ("test",))]


def tokens(train: list[int], test: list[int]) -> dict[str, np.ndarray]:
    return {"train": np.array(train), "validation": np.array([3, 3]), "test": np.array(test)}


def test_truncated_texts_are_counted_with_what_is_lost_of_them() -> None:
    counted = tokens([10, 9, 8, 12, 6, 15], [5, 5])
    report = audited(splits(), token_counts=counted, max_length=10)
    assert counts(report) == [("warning", "truncated_texts", 2, ("train",))]
    # 2 + 5 of 60 tokens are lost
    (finding,) = found(report, "truncated_texts")
    assert "data.max_length=10 tokens (33.33%; the longest has 15); 11.67% of" in finding.message
    assert finding.examples[0].startswith("train 4 (12 tokens): ")


def test_texts_of_just_the_most_tokens_are_whole() -> None:
    assert counts(audited(splits(), token_counts=tokens([10] * 6, [10, 9]), max_length=10)) == []


def test_few_truncated_texts_are_a_note() -> None:
    texts = [f"a{i} b{i * 3} c{i * 7}" for i in range(200)]
    counted = {**tokens([], [5, 5]), "train": np.array([5] * 199 + [11])}
    report = audited(splits(train=part(texts)), token_counts=counted, max_length=10)
    (finding,) = found(report, "truncated_texts")
    assert (finding.severity, finding.count) == ("info", 1)


def test_without_token_counts_truncation_is_not_looked_at() -> None:
    assert found(audited(splits(), token_counts=None, max_length=1), "truncated_texts") == []
