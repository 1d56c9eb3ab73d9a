"""Probabilities of the default prediction path are those of windows taken one by one."""

from pathlib import Path

import numpy as np
import pytest
import torch

from hfrun.data.windows import BookCollator
from hfrun.evaluation import predict
from hfrun.evaluation.predict import predict_probabilities
from hfrun.models import DeepLobForSequenceClassification
from lob_backtest.book import IntArray
from lob_backtest.decisions import decide_every_events, decide_every_ns
from tests.hfrun.models.test_deeplob_shared import deeplob
from tests.lob_backtest.books import random_book


def plain(
    model: DeepLobForSequenceClassification, values: np.ndarray, rows: IntArray, *, window: int
) -> np.ndarray:
    """One window, one forward pass."""
    chances = []
    with torch.inference_mode():
        for row in rows.tolist():
            own = torch.from_numpy(values[row - window + 1 : row + 1])[None]
            chances.append(torch.softmax(model.eval()(features=own).logits.double(), dim=1)[0])
    return torch.stack(chances).numpy()


@pytest.mark.parametrize("most_rows", [90, 4096])
@pytest.mark.parametrize(("window", "levels"), [(19, 20), (30, 1), (45, 5)])
def test_every_decision_of_several_sessions_is_predicted_as_by_its_own_window(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, window: int, levels: int, most_rows: int
) -> None:
    monkeypatch.setattr(predict, "_SHARED_ROWS", most_rows)
    rng = np.random.default_rng(0)
    book = random_book(rng, n_rows=400, n_levels=levels, n_sessions=3)
    values = rng.normal(size=(book.n_rows, 4 * levels)).astype(np.float32)
    np.save(tmp_path / "rows.npy", values)
    model = deeplob(window=window, levels=levels)
    collator = BookCollator(tmp_path / "rows.npy", window=window, shares_windows=True)
    step_ns = int(np.median(np.diff(book.time_ns)))
    asked = [
        decide_every_events(book, step_events=1, window=window),
        decide_every_events(book, step_events=40, window=window),  # windows that share nothing
        decide_every_ns(book, step_ns=step_ns, window=window),  # a row may be known to several
    ]
    for decisions in asked:
        first_of_session = book.session_starts[:-1] + window - 1
        assert decisions.n > 3
        shared = predict_probabilities(model, collator, rows=decisions.rows, label="predicting")
        own = plain(model, values, decisions.rows, window=window)
        np.testing.assert_allclose(shared, own, rtol=0, atol=1e-5)
        assert own.std(axis=0).min() > 1e-3
    assert np.isin(first_of_session, asked[0].rows).sum() >= 2  # windows that begin a session


def test_a_model_in_training_is_left_in_training(tmp_path: Path) -> None:
    np.save(tmp_path / "rows.npy", np.zeros((40, 4), dtype=np.float32))
    collator = BookCollator(tmp_path / "rows.npy", window=20, shares_windows=True)
    model = deeplob(window=20, levels=1).train()
    remembered = [buffer.clone() for buffer in model.buffers()]
    predict_probabilities(model, collator, rows=np.arange(19, 40), label="predicting")
    assert model.training
    assert all(map(torch.equal, remembered, model.buffers()))
