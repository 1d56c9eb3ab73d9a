"""A model beside a feed gives the answers of `hfrun predict` on the same rows."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import PreTrainedModel

from hfrun.errors import DataError, ModelError
from hfrun.evaluation.predict import predict_book
from hfrun.evaluation.stream import LiveModel, WindowStream
from hfrun.models.deeplob_stream import DeepLobStream
from hfrun.models.preprocessing import Preprocessing
from hfrun.models.registry import BOOK_MODELS
from lob_backtest.book import Book, read_book, write_book
from lob_backtest.config import DecisionsConfig, LabelConfig
from lob_backtest.errors import BookError
from lob_backtest.normalize import fit_normalizer
from lob_backtest.predictions import read_predictions
from tests.hfrun.conftest import TinyRun
from tests.hfrun.lived_in import lived_in_model
from tests.lob_backtest.books import random_book

Pushed = dict[int, np.ndarray[Any, Any] | None]


@pytest.fixture(scope="module")
def book() -> Book:
    """Three sessions of 120 rows; shared instants and missing levels among them."""
    return random_book(np.random.default_rng(2), 360, 2, 3)


def run_of(
    folder: Path, model: PreTrainedModel, book: Book, *, window: int = 25, **choice: Any
) -> Path:
    """A run folder as a training leaves it, as far as predicting goes."""
    choice = {"prices": "slow_mean", "sizes": "log", "slow_mean_rows": 40, **choice}
    preprocessing = Preprocessing(
        window=window,
        levels=book.n_levels,
        normalizer=fit_normalizer(book, start_row=0, stop_row=120, **choice),
        decisions=DecisionsConfig(every_events=1),
        label=LabelConfig(kind="mid_move", horizon_events=5),
        threshold_ticks=0.5,
        train_end_ns=0,
    )
    model.save_pretrained(folder / "model")
    preprocessing.save(folder / "model")
    return folder


def row_of(book: Book, i: int) -> dict[str, Any]:
    return {
        "time_ns": int(book.time_ns[i]),
        "ask_ticks": book.ask_ticks[i],
        "ask_size": book.ask_size[i],
        "bid_ticks": book.bid_ticks[i],
        "bid_size": book.bid_size[i],
    }


def pushed(live: LiveModel, book: Book) -> Pushed:
    """The answer after the last row of each instant."""
    answers: Pushed = {}
    for i in range(book.n_rows):
        answers[int(book.time_ns[i])] = live.push(**row_of(book, i))
    return answers


def assert_equal_to_predict(run: Path, book: Book, tmp_path: Path) -> None:
    write_book(book, tmp_path / "book.parquet")
    predict_book(run, tmp_path / "book.parquet", tmp_path / "predictions.parquet")
    table = read_predictions(tmp_path / "predictions.parquet")
    answers = pushed(LiveModel(run / "model", timezone=book.meta.timezone), book)
    answered = [time_ns for time_ns, answer in answers.items() if answer is not None]
    assert answered == table.decided_ns.tolist()
    ours = np.stack([answers[time_ns] for time_ns in answered])
    assert np.ptp(table.probability, axis=0).max() > 0.05
    np.testing.assert_allclose(ours, table.probability, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    "choice",
    [
        {},
        {"prices": "mid", "sizes": "raw"},
        {"prices": "absolute"},
        {"inputs": "order_flow"},
    ],
)
def test_a_deeplob_live_gives_the_predictions_of_the_book(
    choice: dict[str, Any], book: Book, tmp_path: Path
) -> None:
    run = run_of(tmp_path, lived_in_model(levels=2, window=25), book, **choice)
    assert_equal_to_predict(run, book, tmp_path)


@pytest.mark.parametrize("kind", [kind for kind in BOOK_MODELS if kind != "deeplob"])
def test_every_other_book_model_live_gives_the_predictions_of_the_book(
    kind: str, book: Book, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    types = BOOK_MODELS[kind]
    model = types.model(types.config(levels=2, window=25))
    torch.nn.init.normal_(model.head.weight, std=3.0)
    assert_equal_to_predict(run_of(tmp_path, model.eval(), book), book, tmp_path)


def test_a_trained_run_live_gives_its_own_predictions(
    finished_run: TinyRun, tmp_path: Path
) -> None:
    book = read_book(finished_run.book)
    table = read_predictions(finished_run.folder / "folds/002/predictions.parquet")
    answers = pushed(LiveModel(finished_run.folder / "model", timezone=book.meta.timezone), book)
    ours = np.stack([answers[time_ns] for time_ns in table.decided_ns.tolist()])
    np.testing.assert_allclose(ours, table.probability, rtol=0, atol=1e-5)


def test_a_market_that_never_closes_goes_on_over_midnight(book: Book, tmp_path: Path) -> None:
    run = run_of(tmp_path, lived_in_model(levels=2, window=25), book)
    answers = list(pushed(LiveModel(run / "model", timezone=None), book).values())
    first = next(i for i, answer in enumerate(answers) if answer is not None)
    assert all(answer is not None for answer in answers[first:])


def test_a_feed_may_write_every_row_into_the_same_arrays(book: Book, tmp_path: Path) -> None:
    run = run_of(tmp_path, lived_in_model(levels=2, window=25), book, inputs="order_flow")
    own, shared = (LiveModel(run / "model", timezone="UTC") for _ in range(2))
    arrays: dict[str, Any] = {}
    answers = []
    for i in range(60):
        row = row_of(book, i)
        for name, figures in row.items():
            if name == "time_ns" or not arrays.get(name, np.empty(0)).size:
                arrays[name] = np.copy(figures) if name != "time_ns" else figures
            else:
                arrays[name][:] = figures
        answers.append((own.push(**row), shared.push(**arrays)))
    for one, other in answers[24:]:
        assert one is not None
        assert other is not None
        assert one.tolist() == other.tolist()


def test_lists_and_small_integers_are_taken_as_they_are(book: Book, tmp_path: Path) -> None:
    run = run_of(tmp_path, lived_in_model(levels=2, window=25), book)
    arrays, lists = (LiveModel(run / "model", timezone="UTC") for _ in range(2))
    for i in range(30):
        row = row_of(book, i)
        plain = {
            name: figures if name == "time_ns" else figures.tolist()
            for name, figures in row.items()
        }
        small = {**row, "ask_ticks": row["ask_ticks"].astype(np.uint16)}
        one, other = arrays.push(**small), lists.push(**plain)
    assert one is not None
    assert other is not None
    assert one.tolist() == other.tolist()


def test_a_reset_waits_for_a_window_again(book: Book, tmp_path: Path) -> None:
    run = run_of(tmp_path, lived_in_model(levels=2, window=25), book)
    live = LiveModel(run / "model", timezone="UTC")
    first = [live.push(**row_of(book, i)) for i in range(30)]
    live.reset()
    again = [live.push(**row_of(book, i)) for i in range(30)]
    assert [answer is None for answer in again] == [True] * 24 + [False] * 6
    for one, other in zip(first[24:], again[24:], strict=True):
        assert one is not None
        assert other is not None
        assert one.tolist() == other.tolist()


def test_a_refused_row_is_not_taken_in(book: Book, tmp_path: Path) -> None:
    run = run_of(tmp_path, lived_in_model(levels=2, window=25), book)
    whole, broken = (LiveModel(run / "model", timezone="UTC") for _ in range(2))
    for i in range(40):
        row = row_of(book, i)
        one = whole.push(**row)
        # the first two come on the next day: a session would begin if they counted
        tomorrow = {**row, "time_ns": row["time_ns"] + 10**14}
        with pytest.raises(DataError, match="best ask <= best bid"):
            broken.push(**{**tomorrow, "ask_ticks": row["bid_ticks"]})
        with pytest.raises(DataError, match="has 1 levels and the model was trained on 2"):
            broken.push(**{n: f if n == "time_ns" else f[:1] for n, f in tomorrow.items()})
        if i:
            with pytest.raises(DataError, match="push rows in the order of time"):
                broken.push(**{**row, "time_ns": int(book.time_ns[0]) - 1})
        other = broken.push(**row)
    assert one is not None
    assert other is not None
    assert one.tolist() == other.tolist()


def test_folders_zones_and_models_that_cannot_be_streamed_are_refused(
    book: Book, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match="a model folder of a finished run is needed"):
        LiveModel(tmp_path, timezone="UTC")
    run = run_of(tmp_path, lived_in_model(levels=2, window=25), book)
    (tmp_path / "weightless").mkdir()
    for name in ("preprocessor_config.json", "config.json"):
        (tmp_path / "weightless" / name).write_bytes((run / "model" / name).read_bytes())
    with pytest.raises(ModelError, match="weightless: no model that can be loaded"):
        LiveModel(tmp_path / "weightless", timezone="UTC")
    with pytest.raises(BookError, match="no known time zone"):
        LiveModel(run / "model", timezone="Gotham")
    for kind in BOOK_MODELS.values():
        skipping = kind.model(kind.config(levels=2, window=25, skip=True, hand_features=3))
        with pytest.raises(ModelError, match="takes 3 hand-made features"):
            LiveModel(run_of(tmp_path, skipping, book) / "model", timezone="UTC")


def test_a_window_stream_equals_a_deeplob_stream_and_refuses_other_shapes() -> None:
    model = lived_in_model(levels=2, window=25)
    plain, stream = WindowStream(model.train(), width=8, window=25), DeepLobStream(model)
    assert not model.training
    for row in np.random.default_rng(0).normal(size=(80, 8)).astype(np.float32):
        one, other = plain.push(row), stream.push(row)
        assert (one is None) == (other is None)
        if one is not None:
            assert (one.dtype, one.shape) == (np.float32, (3,))
            np.testing.assert_allclose(one, other, rtol=0, atol=1e-5)
    with pytest.raises(ModelError, match=r"got a row of shape \(1,\); needs \(8,\)"):
        plain.push(np.zeros(1, dtype=np.float32))
    plain.reset()
    assert plain.push(np.zeros(8, dtype=np.float32)) is None
