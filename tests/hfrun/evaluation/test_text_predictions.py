"""The predictions table of texts: what is written comes back, and what breaks it is refused."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hfrun.evaluation.text_predictions import (
    TextPredictions,
    read_text_predictions,
    write_text_predictions,
)
from lob_backtest.errors import FormatError, PredictionsError
from tests.hfrun.evaluation.text_cases import table

ROWS = [[0.2, 0.3, 0.5], [1.0, 0.0, 0.0], [0.1, 0.8, 0.1]]
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


def same(one: TextPredictions, other: TextPredictions) -> bool:
    return (
        one.texts == other.texts
        and one.label_names == other.label_names
        and np.array_equal(one.labels, other.labels)
        and np.array_equal(one.probabilities, other.probabilities)
    )


@given(data=st.data(), names=st.lists(TEXT, min_size=2, max_size=5, unique=True))
def test_any_texts_and_class_names_come_back_as_they_were_written(
    tmp_path_factory: Any, data: Any, names: list[str]
) -> None:
    texts = data.draw(st.lists(TEXT, min_size=1, max_size=6))
    labels = data.draw(st.lists(st.integers(-1, len(names) - 1), min_size=len(texts),
                                max_size=len(texts)))  # fmt: skip
    probabilities = np.random.default_rng(len(texts)).dirichlet(np.ones(len(names)), len(texts))
    path = tmp_path_factory.getbasetemp() / "any.parquet"
    written = table(labels, probabilities, texts=tuple(texts), label_names=tuple(names))
    write_text_predictions(written, path)
    assert same(read_text_predictions(path), written)


def test_another_tool_writes_a_table_that_is_read(tmp_path: Path) -> None:
    frame = pd.DataFrame({"p_no": [0.25, 1.0], "text": ["a", "b"], "label": [1, -1],
                          "p_yes": [0.75, 0.0]})  # fmt: skip
    frame.to_parquet(tmp_path / "other.parquet", index=False)
    found = read_text_predictions(tmp_path / "other.parquet")
    assert found.label_names == ("no", "yes")
    assert found.probabilities.tolist() == [[0.25, 0.75], [1.0, 0.0]]
    assert found.is_labelled.tolist() == [True, False]
    assert found.select(found.is_labelled).texts == ("a",)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": np.array([0, 3, 1])}, "a label other than -1 .unknown. and 0 to 2 in 1 of 3"),
        ({"labels": np.array([0, -2, 1])}, "a label other than -1"),
        ({"labels": np.array([0.0, 1.0, 1.0])}, "labels are float64"),
        ({"labels": np.array([0, 1])}, r"of shape \(2,\); needs int64 of \(3,\)"),
        ({"probabilities": np.array(ROWS) * 2}, "do not sum to 1 within 1e-4 in 3 of 3 rows"),
        ({"probabilities": np.array([[0.5, 0.6, -0.1]] * 3)}, "a negative probability"),
        ({"probabilities": np.array([[np.nan, 0.5, 0.5]] * 3)}, "NaN or infinite in 3 of 3"),
        ({"probabilities": np.ones((3, 2)) / 2}, r"have shape \(3, 2\); needs \(3, 3\)"),
        ({"label_names": ("a", "b", "a")}, "needs at least two, each once"),
        ({"texts": ()}, "the table is empty"),
    ],
)
def test_what_breaks_the_contract_is_refused_with_its_row(
    changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(PredictionsError, match=message):
        replace(table([0, 1, 2], ROWS), **changes)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"text": ["a"], "label": [0]}, "at least two"),
        ({"text": ["a"], "p_a": [1.0], "p_b": [0.0]}, "needs text, label and one p_NAME"),
        ({"text": ["a"], "label": [0], "p_a": [1.0], "p_b": [0.0], "more": [1]}, "p_NAME"),
        ({"text": ["a"], "label": [0.0], "p_a": [1.0], "p_b": [0.0]}, "label is double"),
        ({"text": ["a"], "label": [0], "p_a": [1], "p_b": [0.0]}, "p_a is int64"),
        ({"text": [None], "label": [0], "p_a": [1.0], "p_b": [0.0]}, "needs strings"),
        ({"text": ["a", "b"], "label": pd.array([0, None], dtype="Int64"), "p_a": [1.0, 1.0],
          "p_b": [0.0, 0.0]}, "with 1 missing; needs int64"),
    ],
)  # fmt: skip
def test_a_table_with_other_columns_is_refused(
    tmp_path: Path, columns: dict[str, Any], message: str
) -> None:
    pd.DataFrame(columns).to_parquet(tmp_path / "t.parquet", index=False)
    with pytest.raises((FormatError, PredictionsError), match=message):
        read_text_predictions(tmp_path / "t.parquet")


def test_a_damaged_file_or_none_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "p.parquet"
    with pytest.raises(FormatError, match="no such file"):
        read_text_predictions(path)
    write_text_predictions(table([0, 1, 2], ROWS), path)
    content = bytearray(path.read_bytes())
    content[len(content) // 4] ^= 0xFF
    path.write_bytes(bytes(content))
    with pytest.raises(FormatError, match="damaged one"):
        read_text_predictions(path)
