"""Baselines of texts: shares, counted words, and that neither looks at the test labels."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hfrun.data.texts import TextPart, TextSplits, read_splits
from hfrun.evaluation.text_baselines import _TOKEN, BASELINES, text_baselines
from hfrun.text_config import TextDataConfig
from lob_backtest.errors import PredictionsError

GOOD, BAD = ["fine", "lovely", "warm", "clever"], ["dull", "awful", "cold", "silly"]


def part(texts: list[str], labels: Any) -> TextPart:
    labels = np.asarray(labels, dtype=np.int64)
    return TextPart(texts=tuple(texts), labels=labels, raw_labels=tuple(map(str, labels)))


def reviews(n: int, seed: int) -> TextPart:
    """Half of the texts good, told by one word among eight."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    texts = [f"a {rng.choice([BAD, GOOD][label])} film {rng.integers(50)}" for label in labels]
    return part(texts, labels)


def splits(**changes: Any) -> TextSplits:
    found = {"train": reviews(80, 0), "validation": reviews(30, 1), "test": reviews(30, 2),
             "label_names": ("bad", "good")}  # fmt: skip
    return TextSplits(**{**found, **changes})


def test_the_majority_baseline_is_the_known_shares_of_train_for_every_text() -> None:
    train = part(["a", "b", "c", "d", "e"], [0, 0, 0, 1, -1])
    found = text_baselines(splits(train=train), seed=0)["majority"]
    assert found.probabilities.tolist() == [[0.75, 0.25]] * 30


def test_counted_words_learn_what_single_words_tell() -> None:
    found = text_baselines(splits(), seed=0)
    assert tuple(found) == BASELINES
    words = found["tfidf_logistic"]
    assert (words.probabilities.argmax(axis=1) == words.labels).mean() == 1.0
    assert words.probabilities.sum(axis=1) == pytest.approx(1.0)


def test_neither_the_labels_nor_the_other_texts_of_test_change_a_prediction() -> None:
    given = splits()
    first = text_baselines(given, seed=0)
    half = part(list(given.test.texts[:15]), np.zeros(15))
    again = text_baselines(splits(test=half), seed=0)
    for name in BASELINES:
        assert np.array_equal(again[name].probabilities, first[name].probabilities[:15]), name
        assert again[name].texts == half.texts


def test_validation_chooses_the_penalty() -> None:
    """Each train text has a word of its own, by which a weak penalty learns its noise by heart."""
    rng = np.random.default_rng(0)
    truth = np.arange(80) % 2
    words = ("dull cold silly", "fine warm clever")
    texts = [f"{words[label]} w{i}" for i, label in enumerate(truth)]
    noisy = part(texts, np.where(rng.random(80) < 0.2, 1 - truth, truth))
    by_truth, by_heart = (
        text_baselines(splits(train=noisy, validation=each, test=noisy), seed=0)["tfidf_logistic"]
        for each in (part(texts, truth), noisy)
    )
    wrong = noisy.labels != truth
    assert (by_truth.probabilities.argmax(axis=1) == truth)[wrong].all()
    assert (by_heart.probabilities.argmax(axis=1) == noisy.labels)[wrong].all()


def test_a_class_that_train_lacks_has_no_probability() -> None:
    found = text_baselines(splits(label_names=("bad", "good", "odd")), seed=0)
    assert all((each.probabilities[:, 2] == 0).all() for each in found.values())


@pytest.mark.parametrize(
    "train",
    [part(["fine", "dull"], [1, 1]), part([" ", ""], [0, 1])],
    ids=["one class", "no words"],
)
def test_without_anything_to_learn_counted_words_are_the_shares(train: TextPart) -> None:
    found = text_baselines(splits(train=train), seed=0)
    constant, words = (found[name].probabilities for name in BASELINES)
    assert np.array_equal(constant, words)


def test_a_train_part_without_a_known_label_is_refused() -> None:
    with pytest.raises(PredictionsError, match="none of 2 train texts has a known label"):
        text_baselines(splits(train=part(["a", "b"], [-1, -1])), seed=0)


def test_unlabelled_validation_leaves_a_middle_penalty() -> None:
    unlabelled = part(["a fine film"], [-1])
    words = text_baselines(splits(validation=unlabelled), seed=0)["tfidf_logistic"]
    assert (words.probabilities.argmax(axis=1) == words.labels).mean() == 1.0


def test_words_and_marks_are_tokens_and_scripts_without_blanks_go_letter_by_letter() -> None:
    import re

    found = re.findall(_TOKEN, "It's d\u00e9j\u00e0 vu! \u3068\u3066\u3082\u826f\u3044 film2")
    assert found == ["It", "'", "s", "d\u00e9j\u00e0", "vu", "!", "\u3068", "\u3066", "\u3082",
                     "\u826f", "\u3044", "film2"]  # fmt: skip


@pytest.mark.slow
def test_counted_words_reach_their_known_accuracy_on_sst5(lob_data_dir: Path) -> None:
    folder = lob_data_dir / "data" / "text" / "sst5"
    train, validation, test = (str(folder / f"sst-{name}.txt") for name in ("train", "dev", "test"))
    given = read_splits(TextDataConfig(train=train, validation=validation, test=test))
    found = text_baselines(given, seed=0)
    shares = Counter(given.train.labels.tolist())
    constant, words = found["majority"], found["tfidf_logistic"]
    assert constant.probabilities[0] == pytest.approx([shares[i] / 8544 for i in range(5)])
    accuracy = (words.probabilities.argmax(axis=1) == words.labels).mean()
    assert 0.40 < accuracy < 0.44
