"""Names and numbers of classes: learnt from train, or given, or those of a column."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hfrun.data.text_labels import label_ids, label_names
from hfrun.data.text_rows import LabelledRows, as_written
from hfrun.errors import DataError


def labelled(*raw: str, names: tuple[str, ...] | None = None) -> LabelledRows:
    return LabelledRows(texts=tuple("t" for _ in raw), raw_labels=raw, names=names)


def ids(names: list[str], *raw: str, classes: tuple[str, ...] | None = None) -> list[int]:
    return label_ids(labelled(*raw, names=classes), tuple(names)).tolist()


def test_names_are_learnt_in_the_order_of_unicode_and_numbers_in_their_own() -> None:
    assert label_names(labelled("pos", "neg", "", "pos"), None) == ("neg", "pos")
    assert label_names(labelled("10", "9", "-1", "9.0"), None) == ("-1", "9", "10")
    assert label_names(labelled("10", "9", "x"), None) == ("10", "9", "x")
    assert label_names(labelled("0.5", "0.25"), None) == ("0.25", "0.5")
    assert label_names(labelled("01", "1"), None) == ("01", "1")  # a code is no number


def test_names_that_are_given_go_before_those_of_the_column_and_the_file() -> None:
    column = labelled("b", "a", names=("b", "a", "c"))
    assert label_names(column, None) == ("b", "a", "c")
    assert label_names(column, ["a", "b", "c"]) == ("a", "b", "c")
    assert label_names(labelled("x"), ["a", "b"]) == ("a", "b")


def test_a_label_that_train_does_not_have_is_unknown() -> None:
    assert ids(["neg", "pos"], "pos", "neutral", "", "Pos", "neg") == [1, -1, -1, -1, 0]


def test_whole_numbers_count_into_names() -> None:
    assert ids(["bad", "good"], "1", "0", "good", "2", "-1", "1.0", "0.5", "+1") == [
        1, 0, 1, -1, -1, 1, -1, 1,
    ]  # fmt: skip


def test_numbers_that_are_names_are_not_counted() -> None:
    assert ids(["1", "2", "3", "4", "5"], "1", "5", "0", "5.0") == [0, 4, -1, 4]
    assert ids(["0", "4"], "4", "1", "0") == [1, -1, 0]


def test_truths_count_into_two_names_alone() -> None:
    assert ids(["no", "yes"], "true", "false", "True") == [1, 0, 1]
    assert ids(["no", "maybe", "yes"], "true", "false") == [-1, -1]
    assert ids(["true", "false"], "true", "false", "0") == [0, 1, 0]  # a name goes first
    assert label_names(labelled("true", "false"), None) == ("false", "true")


def test_other_names_for_the_classes_of_a_column_count_if_they_are_as_many() -> None:
    column = ("negative", "positive")
    assert ids(["bad", "good"], "positive", "negative", "", classes=column) == [1, 0, -1]
    assert ids(["positive", "negative"], "positive", "", classes=column) == [0, -1]
    assert ids(["positive", "other"], "positive", "negative", classes=column) == [0, -1]
    with pytest.raises(DataError, match=r"the column has the classes \['negative', 'positive'\]"):
        ids(["bad", "fair", "good"], "positive", classes=column)


def test_labels_that_are_no_classes_are_refused() -> None:
    with pytest.raises(DataError, match="got 21 different labels among the 21 texts of train"):
        label_names(labelled(*(f"id{n}" for n in range(21))), None)
    with pytest.raises(DataError, match="got 2 texts in train and none with a label"):
        label_names(labelled("", ""), None)


@given(st.lists(st.integers(-20, 20), min_size=1, max_size=19))
def test_learnt_names_give_back_every_label_of_train(values: list[int]) -> None:
    train = labelled(*map(str, values))
    names = label_names(train, None)
    found = label_ids(train, names)
    assert found.dtype == np.int64
    assert [int(names[number]) for number in found] == values
    as_floats = labelled(*(f"{value}.0" for value in values))
    assert label_names(as_floats, None) == names
    assert label_ids(as_floats, names).tolist() == found.tolist()


@given(st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text()))
def test_any_single_value_is_written_as_a_label(value: object) -> None:
    written = as_written(value, "x")
    assert written == written.strip()
    if isinstance(value, float) and value == value and abs(value) != float("inf"):
        assert float(written) == value
