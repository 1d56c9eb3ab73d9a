"""The audit of the Stanford Sentiment Treebank, whose own duplicates are known."""

from pathlib import Path

import pytest

from hfrun.data.audit import audit_texts
from hfrun.data.texts import TextSplits, read_splits
from hfrun.text_config import TextDataConfig


@pytest.fixture(scope="module")
def sst5(lob_data_dir: Path) -> TextSplits:
    folder = lob_data_dir / "data" / "text" / "sst5"
    files = {"train": "sst-train.txt", "validation": "sst-dev.txt", "test": "sst-test.txt"}
    return read_splits(TextDataConfig(**{part: f"{folder / name}" for part, name in files.items()}))


def test_its_own_duplicates_are_reported_and_no_others(sst5: TextSplits) -> None:
    report = audit_texts(sst5, token_counts=None, max_length=128, accept={})
    exact = [(f.name, f.count, f.parts) for f in report.findings if f.name.startswith("duplicates")]
    assert exact == [
        ("duplicates_across_splits", 1, ("train", "validation")),
        ("duplicates_across_splits", 2, ("train", "test")),
        ("duplicates_within_split", 10, ("train",)),
        ("duplicates_within_split", 1, ("validation",)),
    ]
    assert report.findings[0].examples == ("train 8178 (2) = validation 625 (2): 'Hey Arnold !'",)
    # The file has "Hey Arnold !" twice in dev (lines 625 and 664), and once in quotes in train.
    assert report.sizes == {"train": 8544, "validation": 1101, "test": 2210}
    assert report.as_dict()["stops"] == [
        "duplicates_across_splits",
        "near_duplicates_across_splits",
    ]


def test_a_test_sentence_put_into_train_is_one_more(sst5: TextSplits) -> None:
    train = sst5.train
    copied = type(train)(
        texts=(*train.texts[:-1], sst5.test.texts[700]),
        labels=train.labels,
        raw_labels=train.raw_labels,
    )
    spoilt = TextSplits(
        train=copied, validation=sst5.validation, test=sst5.test, label_names=sst5.label_names
    )
    report = audit_texts(spoilt, token_counts=None, max_length=128, accept={})
    assert report.errors["duplicates_across_splits"] == 4
