"""The trainer of a config with its data and model, for what is tried before a training."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from transformers import set_seed

from hfrun.config import HfrunConfig, TextRunConfig
from hfrun.data.texts import read_splits, with_known_labels
from hfrun.fitting import open_fold_trainer
from hfrun.text_trainer import (
    start_head_bias,
    text_classifier,
    text_trainer,
    tokenize_splits,
)
from hfrun.training.trainer import MeasuredTrainer
from hfrun.walk_forward import holdout_of
from lob_backtest.open_book import open_book


@contextmanager
def opened_trainer(config: HfrunConfig | TextRunConfig) -> Iterator[MeasuredTrainer]:
    """A config's trainer, a book's of its hold-out split, in a folder that is thrown away.

    Nothing has been trained; the model is as the run would begin.
    """
    with tempfile.TemporaryDirectory() as folder:
        set_seed(config.run.seed)
        if isinstance(config, TextRunConfig):
            data = tokenize_splits(config, with_known_labels(read_splits(config.data)))
            model = text_classifier(config, data)
            trainer = text_trainer(config, data, model=model, folder=Path(folder))
            if config.model.label_words is not None:
                start_head_bias(model, data, seed=config.run.seed)
            yield trainer
            return
        book = open_book(config.data.book, mapped=True)
        prepared = holdout_of(config, book)
        with open_fold_trainer(config, book, prepared, prepared.folds[0], Path(folder)) as opened:
            yield opened
