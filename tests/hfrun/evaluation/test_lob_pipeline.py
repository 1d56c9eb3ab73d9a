"""A raw book in, probabilities out: those of `hfrun predict`, whatever form the book came in."""

import json
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import BertConfig, BertForSequenceClassification, pipeline

from hfrun.errors import DataError, ModelError
from hfrun.evaluation.book_warnings import InSampleWarning, UnfamiliarBookWarning
from hfrun.evaluation.lob_pipeline import LobClassificationPipeline
from hfrun.evaluation.predict import predict_book
from hfrun.models.feature_extractor import LobFeatureExtractor
from lob_backtest.book import Book, read_book, write_book
from lob_backtest.config import DecisionsConfig
from lob_backtest.errors import LabelError
from lob_backtest.predictions import predictions_from, read_predictions
from tests.hfrun.conftest import TinyRun
from tests.hfrun.evaluation.pipeline_case import (
    TRAIN_ROWS,
    WINDOW,
    after_training,
    chances,
    frame_of,
    pipe_of,
    preprocessing_of,
    renamed,
    run_with,
    three_sessions,
)
from tests.lob_backtest.books import SECOND, spliced, with_other_future

KINDS = [
    ("deeplob", "levels", False),
    ("deeplob", "order_flow", True),
    ("mlp", "levels", True),
    ("bilstm", "order_flow", False),
    ("linear", "levels", False),
    ("linear", "order_flow", True),
]


@pytest.fixture(scope="module")
def book() -> Book:
    return three_sessions()


@pytest.fixture(scope="module")
def pipe(book: Book, tmp_path_factory: pytest.TempPathFactory) -> LobClassificationPipeline:
    """The cheapest model, which decides at every third row."""
    return pipe_of(run_with(tmp_path_factory.mktemp("run"), preprocessing_of(book)))


@pytest.mark.parametrize(("kind", "inputs", "skip"), KINDS)
def test_the_table_is_the_one_that_hfrun_predict_writes(
    kind: str, inputs: str, skip: bool, book: Book, tmp_path: Path
) -> None:
    run = run_with(tmp_path, preprocessing_of(book, inputs=inputs, skip=skip), kind)
    write_book(book, tmp_path / "book.parquet")
    n = predict_book(run, tmp_path / "book.parquet", tmp_path / "table.parquet")
    written = pd.read_parquet(tmp_path / "table.parquet")
    pipe = pipe_of(run)
    for form in (tmp_path / "book.parquet", book, frame_of(book)):
        said = pipe(form, in_sample="leave_out", return_frame=True)
        pd.testing.assert_frame_equal(said, written, check_exact=True, check_dtype=False)
    assert written[["p_down", "p_flat", "p_up"]].std().min() > 0.01  # it looks at the book
    rows = pipe(book, in_sample="leave_out")
    assert [row["decided_ns"] for row in rows] == written["decided_ns"].tolist()
    assert np.array_equal(chances(rows), written[["p_down", "p_flat", "p_up"]].to_numpy())
    few = pipe(book, in_sample="leave_out", batch_size=2)
    assert len(few) == n
    np.testing.assert_allclose(chances(few), chances(rows), rtol=0, atol=1e-6)


def test_a_trained_run_gives_its_own_test_predictions_again(finished_run: TinyRun) -> None:
    pipe = pipe_of(finished_run.folder)
    said = predictions_from(pipe(finished_run.book, in_sample="leave_out", return_frame=True))
    known = read_predictions(finished_run.folder / "folds/002/predictions.parquet")
    here = np.isin(said.decided_ns, known.decided_ns)
    assert said.decided_ns[here].tolist() == known.decided_ns.tolist()
    assert said.label[here].tolist() == known.label.tolist()
    np.testing.assert_allclose(said.probability[here], known.probability, rtol=0, atol=1e-6)


def test_the_extractors_input_gives_the_pipelines_answer(book: Book, tmp_path: Path) -> None:
    pipe = pipe_of(run_with(tmp_path, preprocessing_of(book, skip=True), "mlp"))
    later = after_training(book)
    given = pipe.feature_extractor(later, decisions="all")
    assert {name: values.shape[1:] for name, values in given.items()} == {
        "features": (WINDOW, 8),
        "hand_features": (26,),
    }
    with torch.no_grad():
        logits = pipe.model(**given).logits.double()
    np.testing.assert_allclose(
        torch.softmax(logits, dim=1).numpy(), chances(pipe(later)), rtol=0, atol=1e-6
    )


@settings(max_examples=20)
@given(order=st.permutations(range(9)), as_dict=st.booleans())
def test_the_order_of_the_columns_changes_nothing(
    pipe: LobClassificationPipeline, book: Book, order: list[int], as_dict: bool
) -> None:
    frame = frame_of(after_training(book))
    mixed = frame.iloc[:, order]
    asked = {str(name): mixed[name].to_numpy() for name in mixed} if as_dict else mixed
    assert pipe(asked) == pipe(frame)


@settings(max_examples=25)
@given(
    seed=st.integers(0, 1000),
    first_changed=st.integers(WINDOW, 2 * TRAIN_ROWS - 1),
    keeps_times=st.booleans(),
)
def test_what_comes_later_changes_no_probability(
    pipe: LobClassificationPipeline, seed: int, first_changed: int, keeps_times: bool
) -> None:
    later = after_training(three_sessions())
    other = after_training(three_sessions(seed=seed))
    if keeps_times:
        changed = spliced(later, other, first_changed)
    else:
        few = other.rows(0, 1 + seed % 50)  # that the day still has room for
        changed = with_other_future(later, few, first_changed, after_ns=SECOND)
    known_ns = int(later.time_ns[first_changed - 1])
    # An instant may go on in the rows that are changed: what is known at its end is another thing.
    before, again = (
        [row for row in pipe(each) if row["decided_ns"] < known_ns] for each in (later, changed)
    )
    assert [row["decided_ns"] for row in again] == [row["decided_ns"] for row in before]
    if before:
        np.testing.assert_allclose(chances(again), chances(before), rtol=0, atol=1e-6)


def test_no_window_crosses_a_night(pipe: LobClassificationPipeline, book: Book) -> None:
    later = after_training(book)
    days = [later.rows(0, TRAIN_ROWS), later.rows(TRAIN_ROWS, 2 * TRAIN_ROWS)]
    apart = pipe(days)
    together = pipe(later)
    assert len(apart) == 2
    assert all(len(each) > 10 for each in apart)
    joined = [row for each in apart for row in each]
    assert [row["decided_ns"] for row in joined] == [row["decided_ns"] for row in together]
    np.testing.assert_allclose(chances(joined), chances(together), rtol=0, atol=1e-6)


def test_which_decisions_are_answered_can_be_chosen(
    pipe: LobClassificationPipeline, book: Book
) -> None:
    later = after_training(book)
    every = pipe(later)
    [last] = pipe(later, decisions="last")
    assert last["decided_ns"] == every[-1]["decided_ns"]
    np.testing.assert_allclose(chances([last]), chances(every[-1:]), rtol=0, atol=1e-6)
    events = pipe(later, decisions="events")
    instants = np.unique(later.time_ns)
    assert {row["decided_ns"] for row in every} < {row["decided_ns"] for row in events}
    assert len(events) < len(instants)
    [now] = pipe(later.rows(0, later.n_rows - 1), decisions="now")
    assert now["decided_ns"] == later.time_ns[-2]
    with pytest.raises(DataError, match="last session has 19 rows, and a window has 20"):
        pipe(later.rows(0, TRAIN_ROWS + WINDOW - 1), decisions="now")
    with pytest.raises(DataError, match="decisions='first': needs one of all, last, events, now"):
        pipe(later, decisions="first")


def test_the_most_likely_classes_come_first(pipe: LobClassificationPipeline, book: Book) -> None:
    later = after_training(book)
    whole, top = pipe(later), pipe(later, top_k=2)
    for row, best in zip(whole, top, strict=True):
        assert list(row["scores"]) == ["down", "flat", "up"]
        ranked = sorted(row["scores"].items(), key=lambda item: -item[1])
        assert list(best["scores"].items()) == ranked[:2]
        assert sum(row["scores"].values()) == pytest.approx(1.0, abs=1e-6)
    with pytest.raises(DataError, match="top_k=4: needs 1 to 3 classes"):
        pipe(later, top_k=4)


def test_options_may_be_set_once_and_misspelt_ones_are_refused(book: Book, tmp_path: Path) -> None:
    pipe = pipe_of(run_with(tmp_path, preprocessing_of(book)), top_k=1, decisions="last")
    [row] = pipe(after_training(book))
    assert len(row["scores"]) == 1
    assert len(pipe(after_training(book), decisions="all", top_k=None)) > 1
    with pytest.raises(DataError, match="topk: unknown key; did you mean top_k"):
        pipe(book, topk=1)
    with pytest.raises(DataError, match="batch_size=0: needs at least 1"):
        pipe(book, batch_size=0)


def test_several_books_are_answered_one_by_one_and_a_stream_of_them_on_demand(
    pipe: LobClassificationPipeline, book: Book
) -> None:
    later = after_training(book)
    one = pipe(later, decisions="last")
    assert pipe([later, frame_of(later)], decisions="last") == [one, one]
    stream = pipe((each for each in [later]), decisions="last")
    assert next(stream) == one


def test_a_book_that_the_model_has_learnt_from_is_answered_with_a_warning(
    pipe: LobClassificationPipeline, book: Book
) -> None:
    words = r"of \d+ decisions, from 2020-01-06 .* the end of the model's training \(2020-01-06"
    with pytest.warns(InSampleWarning, match=words) as caught:
        every = pipe(book)
    assert Path(caught[0].filename) == Path(__file__)
    later = pipe(book, in_sample="leave_out")
    np.testing.assert_allclose(chances(every[-len(later) :]), chances(later), rtol=0, atol=1e-6)
    assert len(every) > len(later)
    assert min(row["decided_ns"] for row in later) > pipe.preprocessing.train_end_ns
    with pytest.raises(DataError, match="give a book of a later time"):
        pipe(book, in_sample="refuse")
    with pytest.raises(DataError, match="give a book of a later time"):
        pipe(book.rows(0, TRAIN_ROWS), in_sample="leave_out")
    with pytest.raises(DataError, match="in_sample='no': needs warn, refuse or leave_out"):
        pipe(book, in_sample="no")


@pytest.mark.parametrize("scaled", ["prices", "sizes"])
def test_a_book_in_other_units_is_answered_with_a_warning(
    scaled: str, pipe: LobClassificationPipeline, book: Book
) -> None:
    later = after_training(book)
    finer = {
        "prices": {"ask_ticks": later.ask_ticks * 100, "bid_ticks": later.bid_ticks * 100},
        "sizes": {"ask_size": later.ask_size * 1e12, "bid_size": later.bid_size * 1e12},
    }
    given = replace(renamed(later, "OTHER"), **finer[scaled])
    with pytest.warns(UnfamiliarBookWarning, match=r"half of the rows lie \d+ standard") as caught:
        pipe(given)
    assert "TEST in ticks of 0.01; this is OTHER in ticks of 0.01" in str(caught[0].message)
    assert str(caught[0].message).startswith(("ask_", "bid_"))
    assert scaled[:-1] in str(caught[0].message).partition(":")[0]
    assert Path(caught[0].filename) == Path(__file__)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pipe(renamed(later, "OTHER"))  # another name alone is nothing to say


def test_too_few_rows_for_a_window_are_refused(pipe: LobClassificationPipeline, book: Book) -> None:
    few = after_training(book).rows(0, WINDOW - 1)
    with pytest.raises(LabelError, match=r"none with 20 rows .* the longest of 19\)"):
        pipe(few)


def test_a_clock_decides_between_rows(book: Book, tmp_path: Path) -> None:
    clock = DecisionsConfig(every_ms=700)
    run = run_with(tmp_path, preprocessing_of(book, decisions=clock))
    later = after_training(book)
    decided = [row["decided_ns"] for row in pipe_of(run)(later)]
    assert len(decided) > 10
    assert {ns % 700_000_000 for ns in decided} == {0}
    assert not set(decided) & set(later.time_ns.tolist())


def test_a_model_folder_of_an_older_version_is_read(book: Book, tmp_path: Path) -> None:
    run = run_with(tmp_path, preprocessing_of(book))
    new = pipe_of(run)(after_training(book))
    file = run / "model/preprocessor_config.json"
    facts = json.loads(file.read_text("utf-8"))
    for key in ("market", "columns", "feature_extractor_type"):
        del facts[key]
    (run / "model/preprocessing.json").write_text(json.dumps(facts), "utf-8")
    file.unlink()
    older = pipe_of(run)
    assert older(after_training(book)) == new
    with pytest.raises(DataError, match="neither the model nor meta says the instrument, tick_"):
        older(frame_of(after_training(book)))
    assert older(frame_of(after_training(book)), meta=book.meta) == new


def test_models_that_say_not_how_they_read_a_book_are_refused(book: Book, tmp_path: Path) -> None:
    run = run_with(tmp_path, preprocessing_of(book))
    model = pipe_of(run).model
    file = run / "model/preprocessor_config.json"
    extractor = LobFeatureExtractor.from_pretrained(run / "model")
    facts = json.loads(file.read_text("utf-8"))
    file.write_text(json.dumps({**facts, "window": WINDOW - 1}), "utf-8")
    with pytest.raises(ModelError, match="says window=20 and preprocessor_"):
        pipe_of(run)
    file.write_text(json.dumps({**facts, "normalizer": []}), "utf-8")
    with pytest.raises(ModelError, match="not a preprocessing file of this version"):
        pipe_of(run)
    file.unlink()
    with pytest.raises(ModelError, match="does not say how its model reads a book"):
        pipe_of(run)
    given = pipeline("lob-classification", model=model, feature_extractor=extractor, device="cpu")
    assert len(given(after_training(book))) > 10


def test_models_that_read_no_books_and_other_precisions_are_refused(
    book: Book, tmp_path: Path
) -> None:
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    bert = BertForSequenceClassification(
        BertConfig(vocab_size=20, intermediate_size=8, num_labels=3, **sizes)
    )
    with pytest.raises(ModelError, match=r'does not read order books.*"text-classification"'):
        pipeline("lob-classification", model=bert, device="cpu")
    run = run_with(tmp_path, preprocessing_of(book))
    with pytest.raises(
        ModelError, match=r"loaded in torch\.bfloat16; its run was judged in float32"
    ):
        pipe_of(run, dtype="bfloat16")


def test_what_a_pipeline_saves_answers_the_same_without_code_in_it(
    pipe: LobClassificationPipeline, book: Book, tmp_path: Path
) -> None:
    pipe.save_pretrained(tmp_path / "model")
    names = sorted(path.name for path in (tmp_path / "model").iterdir())
    assert names == ["config.json", "model.safetensors", "preprocessor_config.json"]
    saved = (tmp_path / "model/preprocessor_config.json").read_bytes()
    assert saved == Path(pipe.model.name_or_path, "preprocessor_config.json").read_bytes()
    assert "custom_pipelines" not in json.loads((tmp_path / "model/config.json").read_text())
    later = after_training(book)
    assert pipe_of(tmp_path)(later) == pipe(later)


def test_a_book_larger_than_a_batch_of_shared_rows_is_answered_alike(
    book: Book, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipe = pipe_of(run_with(tmp_path, preprocessing_of(book), "deeplob"))
    later = after_training(book)
    whole = chances(pipe(later))
    monkeypatch.setattr("hfrun.evaluation.predict._SHARED_ROWS", 40)
    np.testing.assert_allclose(chances(pipe(later)), whole, rtol=0, atol=1e-6)


def test_nothing_is_left_in_the_folder_for_scratch_files(
    pipe: LobClassificationPipeline, book: Book, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    pipe(after_training(book))
    with pytest.raises(DataError):
        pipe(3)
    assert list(tmp_path.iterdir()) == []


def test_a_path_is_read_as_hfrun_reads_it(
    pipe: LobClassificationPipeline, book: Book, tmp_path: Path
) -> None:
    later = after_training(book)
    path = tmp_path / "book.parquet"
    write_book(later, path)
    assert pipe(str(path)) == pipe(path) == pipe(read_book(path))
    with pytest.raises(DataError, match="got meta beside a PosixPath, which says itself"):
        pipe(path, meta=book.meta)
