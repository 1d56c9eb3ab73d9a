"""The runs whose memory is measured, each in a fresh process that says where it is.

Prints the name of a stage when it begins. After ``idle`` it waits for a line, so that whoever
watches can note what it holds before the rows come.
"""

import gc
import sys
from collections.abc import Mapping
from pathlib import Path

import torch

from hfrun.config import HfrunConfig, ModelConfig, RunConfig, TrainingConfig
from hfrun.evaluation.predict import predict_book
from hfrun.fitting import FoldFiles, fit_fold
from hfrun.fold_trainer import build_model
from hfrun.models.preprocessing import Preprocessing
from lob_backtest.config import DataConfig, DecisionsConfig, LabelConfig
from lob_backtest.normalize import fit_normalizer
from lob_backtest.open_book import open_book
from lob_backtest.prepare import prepare_holdout

# So small that the model's own memory is none to speak of beside that of the rows.
_SIZES = {"conv_channels": 2, "inception_channels": 2, "lstm_hidden": 2}
_STEPS = 4


def stage(name: str) -> None:
    """Say what begins."""
    print(name, flush=True)


def case_config(
    book: Path, folder: Path, *, window: int, sizes: Mapping[str, int] = _SIZES
) -> HfrunConfig:
    """A run over every event of a book, of a few optimizer steps and a small model."""
    return HfrunConfig(
        run=RunConfig(name="memory", output_dir=str(folder)),
        data=DataConfig(
            book=str(book),
            decisions=DecisionsConfig(every_events=1),
            label=LabelConfig(kind="smoothed", horizon_events=50),
            window=window,
        ),
        model=ModelConfig(config=dict(sizes)),
        training=TrainingConfig(
            arguments={
                "max_steps": _STEPS,
                "per_device_train_batch_size": 32,
                "per_device_eval_batch_size": 32,
                "disable_tqdm": True,
            }
        ),
    )


def fit(book_path: Path, folder: Path, *, window: int) -> None:
    """What ``hfrun train`` does with one fold: train, choose, predict validation and test."""
    stage("open")
    config = case_config(book_path, folder, window=window)
    book = open_book(config.data.book, mapped=True)
    stage("prepare")
    prepared = prepare_holdout(book, data=config.data, train=0.7, validation=0.1, test=0.2)
    stage("fit")
    fit_fold(config, book, prepared, prepared.folds[0], FoldFiles(folder / book_path.stem))


def predict(book_path: Path, folder: Path, *, window: int) -> None:
    """What ``hfrun predict`` does: a table of every decision of a book."""
    stage("predict")
    predict_book(folder, book_path, folder / f"{book_path.stem}.parquet")


def save_model(
    book_path: Path, folder: Path, *, window: int, sizes: Mapping[str, int] = _SIZES
) -> None:
    """A model that has looked at nothing, so that every decision of a book is predicted."""
    config = case_config(book_path, folder, window=window, sizes=sizes)
    book = open_book(config.data.book)
    normalize = config.data.normalize
    normalizer = fit_normalizer(
        book,
        start_row=0,
        stop_row=book.n_rows,
        prices=normalize.prices,
        slow_mean_rows=normalize.slow_mean_rows,
        sizes=normalize.sizes,
    )
    build_model(config, levels=book.n_levels).save_pretrained(folder / "model")
    Preprocessing(
        window=window,
        levels=book.n_levels,
        normalizer=normalizer,
        decisions=config.data.decisions,
        label=config.data.label,
        threshold_ticks=0.5,
        train_end_ns=0,
    ).save(folder / "model")


def main(case: str, folder: Path, window: int) -> None:
    """Run one case over a few rows, wait, and run it over the book."""
    torch.set_num_threads(1)
    run = {"fit": fit, "predict": predict}[case]
    save_model(folder / "few.parquet", folder / case, window=window)
    run(folder / "few.parquet", folder / case, window=window)
    gc.collect()
    stage("idle")
    sys.stdin.readline()
    run(folder / "book.parquet", folder / case, window=window)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
