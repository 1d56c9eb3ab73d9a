"""The range test and the throughput finder on the trainers of configs, of a book and of texts."""

from pathlib import Path

import numpy as np
import pytest

from hfrun.config import load_config
from hfrun.trainers import opened_trainer
from hfrun.training.range_test import RangeOptions, range_test
from hfrun.training.throughput import ThroughputOptions, throughput
from tests.hfrun.training.untouched import everything

ROOT = Path(__file__).resolve().parents[3]


def _measured(config, *, start: float, end: float) -> None:
    """Both leave everything alone, and see something."""
    with opened_trainer(config) as trainer:
        before = everything(trainer)
        test = range_test(trainer, RangeOptions(start=start, end=end, steps=24))
        assert everything(trainer) == before
        found = throughput(trainer, ThroughputOptions(most=64, repetitions=2))
        assert everything(trainer) == before
    assert len(test.losses) >= 10
    assert np.ptp(test.paired[:4]) < 0.1 * np.ptp(test.losses[:4])  # the luck has gone
    assert found.rows[0].batch == config.training.arguments["per_device_train_batch_size"]


def test_a_books_trainer_is_measured_and_left_alone() -> None:
    config = load_config(ROOT / "configs/smoke.yaml", ["data.book.rows_per_day=3000"])
    _measured(config, start=1e-6, end=1e-2)


def test_a_trainer_of_texts_with_rates_of_its_own_is_measured_and_left_alone(
    lob_data_dir, monkeypatch
) -> None:
    monkeypatch.setenv("SST5", str(lob_data_dir / "data/text/sst5"))
    monkeypatch.setenv("STORIES260K", str(lob_data_dir / "models/stories260K/hf"))
    config = load_config(
        ROOT / "configs/sst5_tiny.yaml",
        ["training.head_learning_rate=1.0e-2", "training.layer_decay=0.8"],
    )
    _measured(config, start=1e-6, end=1e-2)


@pytest.mark.slow
def test_the_rate_suggested_for_a_book_trains_better_than_a_tenth_of_the_tenth(tmp_path) -> None:
    losses = {}
    smoke = ROOT / "configs/smoke.yaml"
    with opened_trainer(load_config(smoke)) as trainer:
        found = range_test(trainer).suggestion
    for rate in (found.third, found.tenth / 10):
        overrides = [f"training.learning_rate={rate:.1e}", "training.num_train_epochs=2"]
        with opened_trainer(load_config(smoke, overrides)) as trainer:
            trainer.train()
            losses[rate] = trainer.evaluate()["eval_loss"]
    assert losses[found.third] < losses[found.tenth / 10] - 0.05
