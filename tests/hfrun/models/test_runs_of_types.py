"""Each type of model in the same run: trained, saved, judged, and predicting the same again."""

import json
from pathlib import Path

import numpy as np
import pytest

from hfrun.cli import main as hfrun
from hfrun.config import load_config
from lob_backtest.book import read_book
from lob_backtest.contenders import predict_baselines
from lob_backtest.predictions import read_predictions
from lob_backtest.prepare import prepare_holdout
from tests.hfrun.conftest import TinyRun

CONFIGS = {
    "mlp": "{frames: 3, depth: 2, width: 8, norm: batch}",
    "bilstm": "{frames: 3, depth: 1, width: 6, norm: layer, skip: true}",
    "linear": "{frames: 5}",
}
WITH_SKIP = {
    "mlp": "{frames: 3, depth: 1, width: 8, norm: batch, skip: true}",
    "deeplob": "{conv_channels: 4, inception_channels: 4, lstm_hidden: 4, skip: true}",
}


@pytest.mark.parametrize("name", CONFIGS)
def test_a_training_ends_in_a_model_that_predicts_what_the_run_says(
    name: str, unstarted_run: TinyRun, tmp_path: Path
) -> None:
    chosen = (f"model.type={name}", f"model.config={CONFIGS[name]}", "training.learning_rate=0.01")
    assert unstarted_run.again(*chosen, command="train") in (0, 3)  # judged, either way
    saved = json.loads((unstarted_run.folder / "model/config.json").read_text("utf-8"))
    assert (saved["model_type"], saved["levels"], saved["window"]) == (name, 2, 20)
    output = tmp_path / "again.parquet"
    typed = ["predict", str(unstarted_run.folder), "--book", str(unstarted_run.book)]
    assert hfrun([*typed, "-o", str(output)]) == 0
    known = read_predictions(unstarted_run.folder / "predictions.parquet")
    again = read_predictions(output)
    here = np.isin(again.decided_ns, known.decided_ns)
    assert again.decided_ns[here].tolist() == known.decided_ns.tolist()
    np.testing.assert_allclose(again.probability[here], known.probability, rtol=0, atol=1e-6)
    assert known.probability.std(axis=0).min() > 0.001  # it looks at the book


@pytest.mark.parametrize("name", WITH_SKIP)
def test_a_skip_path_that_has_learned_nothing_yet_predicts_as_the_logistic_baseline(
    name: str, unstarted_run: TinyRun
) -> None:
    still = (f"model.type={name}", f"model.config={WITH_SKIP[name]}", "training.learning_rate=0.0")
    assert unstarted_run.again(*still, command="train") in (0, 3)
    got = read_predictions(unstarted_run.folder / "predictions.parquet")
    config = load_config(unstarted_run.config)
    book = read_book(unstarted_run.book)
    split = config.data.split
    prepared = prepare_holdout(
        book, data=config.data, train=split.train, validation=split.validation, test=split.test
    )
    baseline = predict_baselines(book, prepared, names=["logistic"])["logistic"].test
    assert got.decided_ns.tolist() == baseline.decided_ns.tolist()
    np.testing.assert_allclose(got.probability, baseline.probability, rtol=0, atol=1e-6)


def test_frames_that_the_window_does_not_have_are_refused_before_anything_is_written(
    unstarted_run: TinyRun, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = ("model.type=mlp", "model.config={frames: 21, norm: bach}")
    assert unstarted_run.again(*wrong, command="train") == 2
    error = capsys.readouterr().err
    assert "with data.window=20: a multi-layer perceptron cannot have" in error
    assert "norm='bach' (batch or layer or none), frames=21 of a window of 20 rows" in error
    assert not unstarted_run.folder.exists()
