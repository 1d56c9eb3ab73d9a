"""The predictions table: its contract is checked, and it comes back from disk as it was."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lob_backtest import predictions
from lob_backtest.book import mapped
from lob_backtest.errors import FormatError, PredictionsError
from lob_backtest.predictions import (
    COLUMNS,
    Predictions,
    concatenate,
    pool,
    predictions_from,
    read_instruments,
    read_predictions,
    write_instruments,
    write_predictions,
)
from tests.lob_backtest.books import SECOND, seconds


def table(instrument: str = "TEST", *, n: int = 6, start: int = 0, seed: int = 0) -> Predictions:
    rng = np.random.default_rng(seed)
    decided_ns = seconds(range(start, start + n))
    return Predictions(
        instrument=instrument,
        fold=np.sort(np.arange(n) % 2),
        decided_ns=decided_ns,
        label_end_ns=decided_ns + 3 * SECOND,
        train_end_ns=np.full(n, decided_ns[0] - 1),
        label=rng.integers(-1, 3, n),
        probability=rng.dirichlet([1, 1, 1], n),
    )


def frame_of(made: Predictions, tmp_path: Path) -> pd.DataFrame:
    write_predictions(made, tmp_path / "table.parquet")
    return pd.read_parquet(tmp_path / "table.parquet")


def assert_equal(one: Predictions, other: Predictions) -> None:
    assert one.instrument == other.instrument
    for name in ("fold", "decided_ns", "label_end_ns", "train_end_ns", "label", "probability"):
        assert np.array_equal(getattr(one, name), getattr(other, name)), name


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 50), st.integers(0, 1000))
def test_a_written_table_reads_back_to_the_last_bit(
    tmp_path_factory: pytest.TempPathFactory, n: int, seed: int
) -> None:
    path = tmp_path_factory.mktemp("table") / "predictions.parquet"
    made = table(n=n, seed=seed)
    write_predictions(made, path)
    assert_equal(read_predictions(path), made)
    assert tuple(pd.read_parquet(path).columns) == COLUMNS


@pytest.mark.parametrize("block_rows", [1, 4, 5, 100])
def test_a_table_is_written_and_checked_alike_in_stretches_of_any_length(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block_rows: int
) -> None:
    monkeypatch.setattr(mapped, "_BLOCK_ROWS", block_rows)
    monkeypatch.setattr(predictions, "_ROWS_A_GROUP", block_rows)
    made = table(n=12)
    write_instruments([made, table("OTHER", n=3)], tmp_path / "table.parquet")
    again = read_instruments(tmp_path / "table.parquet")
    assert [each.instrument for each in again] == ["OTHER", "TEST"]
    assert_equal(again[1], made)
    for row in range(1, 12):
        twice = made.decided_ns.copy()
        twice[row] = twice[row - 1]
        back = made.fold.copy()
        back[row] = -1
        if row != 6:  # where a fold ends, the next may begin at any instant
            with pytest.raises(PredictionsError, match=f"unsorted .* 1 of 12 rows.* row {row} "):
                replace(made, decided_ns=twice)
        with pytest.raises(PredictionsError, match=f"goes back in 1 of 12 rows, .* row {row} "):
            replace(made, fold=back)
    probability = made.probability.copy()
    probability[[3, 11], 0] = np.nan
    with pytest.raises(PredictionsError, match="NaN or infinite in 2 of 12 rows, first in row 3 "):
        replace(made, probability=probability)


@pytest.mark.parametrize(
    ("column", "row", "value", "match"),
    [
        ("p_up", 2, np.nan, "NaN or infinite in 1 of 6 rows, first in row 2"),
        ("p_up", 2, np.inf, "NaN or infinite in 1 of 6 rows"),
        ("p_up", 1, -0.2, "a negative probability in 1 of 6"),
        ("p_up", 1, 0.999, "do not sum to 1"),
        ("label", 0, 3, "a label other than -1, 0, 1, 2"),
        ("train_end_ns", 0, seconds([0])[0], "the model had seen the future"),
        ("label_end_ns", 5, seconds([4])[0], "label_end_ns < decided_ns in 1 of 6 rows"),
        ("decided_ns", 1, seconds([0])[0], "unsorted or duplicated decisions"),
        ("fold", 5, 0, "a fold number that goes back"),
    ],
)
def test_what_breaks_the_contract_is_refused_with_its_row(
    tmp_path: Path, column: str, row: int, value: float, match: str
) -> None:
    frame = frame_of(table(), tmp_path)
    frame.loc[row, column] = value
    with pytest.raises(PredictionsError, match=match):
        predictions_from(frame)


def test_columns_are_exactly_those_of_the_contract(tmp_path: Path) -> None:
    frame = frame_of(table(), tmp_path)
    with pytest.raises(FormatError, match=r"missing columns \['p_up'\], unknown columns \['up'\]"):
        predictions_from(frame.rename(columns={"p_up": "up"}))
    with pytest.raises(FormatError, match="column fold is float64; needs int64"):
        predictions_from(frame.assign(fold=1.5))
    with pytest.raises(PredictionsError, match="the table is empty"):
        predictions_from(frame.iloc[:0])


def test_two_instruments_in_a_table_are_told_apart(tmp_path: Path) -> None:
    parts = [table("BBB", start=3, seed=1), table("AAA")]
    write_instruments(parts, tmp_path / "both.parquet")
    found = read_instruments(tmp_path / "both.parquet")
    for own, made in zip(found, parts[::-1], strict=True):
        assert_equal(own, made)
    with pytest.raises(PredictionsError, match=r"instruments \['BBB', 'AAA'\]; needs one"):
        read_predictions(tmp_path / "both.parquet")


def test_a_pool_has_the_decisions_of_all_in_the_order_of_folds_and_time() -> None:
    one, other = table("AAA"), table("BBB", start=1, seed=1)
    both = pool([one, other])
    assert (both.instrument, both.n, both.is_pool) == ("AAA + BBB", 12, True)
    assert both.fold.tolist() == [0] * 6 + [1] * 6
    first = both.decided_ns[:6].tolist()
    assert first == sorted([*one.decided_ns[:3].tolist(), *other.decided_ns[:3].tolist()])
    assert both.probability.sum() == pytest.approx(12)
    assert pool([one]) is one
    assert both.select(both.fold == 0).is_pool
    with pytest.raises(PredictionsError, match=r"instruments \['AAA', 'AAA'\]"):
        pool([one, one])


def test_shared_instants_are_refused_within_one_instrument_only() -> None:
    one = table("AAA")
    assert pool([one, replace(one, instrument="BBB")]).n == 12
    with pytest.raises(PredictionsError, match="unsorted or duplicated"):
        replace(one, decided_ns=np.full(6, one.decided_ns[0]))


def test_parts_of_different_instruments_do_not_concatenate() -> None:
    with pytest.raises(PredictionsError, match=r"\['AAA', 'BBB'\]; needs exactly one"):
        concatenate([table("AAA"), table("BBB")])


def test_a_file_that_is_no_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="no such file"):
        read_predictions(tmp_path / "absent.parquet")
    (tmp_path / "text.parquet").write_text("no table", encoding="utf-8")
    with pytest.raises(FormatError, match="not a Parquet file"):
        read_instruments(tmp_path / "text.parquet")
