"""Labels that say nothing, classes that are missing, and shifts between the parts."""

import numpy as np
import pytest

from hfrun.data.audit.classes import shift_of
from tests.hfrun.data.audit.cases import audited, counts, found, part, splits


def texts(n: int, of: str) -> list[str]:
    """Different texts of no likeness."""
    return [f"{of}{i} {of}x{i * 3} {of}y{i * 7}" for i in range(n)]


def test_an_all_zero_test_split_stops_the_training() -> None:
    train = part(texts(40, "a"))
    report = audited(splits(train=train, test=part(texts(30, "c"), [0] * 30)))
    assert [(f.severity, f.name, f.parts) for f in report.stops] == [
        ("error", "constant_label", ("test",))
    ]
    assert "all 30 labels of test are 'bad' (class 0): placeholders" in report.stops[0].message


def test_hidden_test_labels_of_minus_one_stop_the_training() -> None:
    train = part(texts(40, "a"))
    report = audited(splits(train=train, test=part(texts(30, "c"), [-1] * 30)))
    assert counts(report) == [("error", "unknown_labels", 30, ("test",))]
    assert "all 30 labels of test are none of the classes: '?' (30)" in report.findings[0].message


def test_one_unknown_label_is_named_with_its_text() -> None:
    train = part([*texts(40, "a"), "odd one out"], [*[0, 1] * 20, -1])
    (finding,) = found(audited(splits(train=train)), "unknown_labels")
    assert (finding.severity, finding.count, finding.parts) == ("error", 1, ("train",))
    assert finding.examples == ("train 41 ('?'): 'odd one out'",)


@pytest.mark.parametrize("empty", ["train", "validation", "test"])
def test_a_part_without_texts_stops_the_training(empty: str) -> None:
    report = audited(splits(**{empty: part([])}))
    stops = [(f.name, f.parts) for f in report.stops if f.name == "empty_part"]
    assert stops == [("empty_part", (empty,))]


def test_no_texts_at_all_are_three_empty_parts() -> None:
    report = audited(splits(part([]), part([]), part([])))
    assert counts(report) == [
        ("error", "empty_part", 1, (name,)) for name in ("train", "validation", "test")
    ]


def test_a_class_of_test_that_train_does_not_have_stops_the_training() -> None:
    names = ("bad", "fair", "good")
    test = part(texts(30, "c"), [0, 1, 2] * 10)
    report = audited(splits(part(texts(40, "a"), [0, 2] * 20), part(texts(40, "b"), [0, 2] * 20),
                            test, names=names))  # fmt: skip
    missing = found(report, "class_missing_from_train")
    assert [(f.severity, f.count, f.parts) for f in missing] == [("error", 1, ("train", "test"))]
    assert "test has 10 labels of 'fair', and train none" in missing[0].message


def test_a_class_of_train_that_test_does_not_have_is_a_warning() -> None:
    names = ("bad", "fair", "good")
    report = audited(splits(part(texts(60, "a"), [0, 1, 2] * 20),
                            part(texts(60, "b"), [0, 1, 2] * 20),
                            part(texts(40, "c"), [0, 2] * 20), names=names))  # fmt: skip
    missing = found(report, "class_missing_from_part")
    assert [(f.severity, f.count, f.parts) for f in missing] == [("warning", 1, ("train", "test"))]


def test_a_shifted_label_distribution_is_a_warning() -> None:
    train = part(texts(400, "a"), [0, 1] * 200)
    test = part(texts(200, "c"), [0] * 150 + [1] * 50)
    report = audited(splits(train, part(texts(200, "b")), test))
    assert counts(report) == [("warning", "label_shift", 1, ("train", "test"))]
    assert "total variation 0.250" in report.findings[0].message
    assert report.findings[0].examples == ("bad: 50.00% -> 75.00%", "good: 50.00% -> 25.00%")


def test_a_shift_that_chance_explains_is_none() -> None:
    train = part(texts(400, "a"), [0, 1] * 200)
    test = part(texts(12, "c"), [0] * 8 + [1] * 4)
    assert counts(audited(splits(train, part(texts(200, "b")), test))) == []


def test_a_small_shift_of_many_labels_is_a_note() -> None:
    train, test = np.array([50_000, 50_000]), np.array([51_500, 48_500])
    shift = shift_of(train, test, ("bad", "good"))
    assert shift is not None
    assert (shift.is_sure, shift.is_large) == (True, False)
    assert shift.variation == pytest.approx(0.015)


def test_random_parts_of_one_source_are_said_to_be_shifted_as_seldom_as_promised() -> None:
    rng = np.random.default_rng(0)
    shares = np.array([0.5, 0.3, 0.15, 0.05])
    draws = [(rng.multinomial(600, shares), rng.multinomial(150, shares)) for _ in range(1000)]
    sure = [shift_of(train, test, "abcd") for train, test in draws]
    assert sum(shift is not None and shift.is_sure for shift in sure) in range(2, 22)  # of 10


def test_a_class_of_few_texts_is_a_warning() -> None:
    train = part(texts(60, "a"), [0] * 55 + [1] * 5)
    report = audited(splits(train, part(texts(40, "b"), [0] * 37 + [1] * 3),
                            part(texts(40, "c"), [0] * 37 + [1] * 3)))  # fmt: skip
    (finding,) = found(report, "few_texts_of_class")
    assert (finding.severity, finding.count) == ("warning", 1)
    assert "'good' (5)" in finding.message
