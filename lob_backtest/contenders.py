"""Who is compared: the judged model and the baselines, on the same decisions and labels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from lob_backtest.baselines import BASELINES, BaselineInputs, fit_predict
from lob_backtest.book import Book, IntArray
from lob_backtest.errors import PredictionsError
from lob_backtest.features import hand_features
from lob_backtest.predictions import Predictions, concatenate
from lob_backtest.prepare import Prepared
from lob_backtest.progress import progress
from lob_backtest.questions import past_move_ticks

MODEL = "model"  # the judged one's name among the strategies


@dataclass(frozen=True, kw_only=True, eq=False)
class ModelPredictions:
    """One model's predictions on the test blocks, and on the validation blocks where it chose.

    Attributes:
        test: what is judged.
        validation: of the same folds; None where thresholds are given rather than chosen.
    """

    test: Predictions
    validation: Predictions | None = None

    def __post_init__(self) -> None:
        if self.validation is None:
            return
        missing = sorted(set(self.test.folds) - set(self.validation.folds))
        if missing or self.validation.instrument != self.test.instrument:
            raise PredictionsError(
                f"the validation predictions are of {self.validation.instrument}, folds "
                f"{self.validation.folds}; needs {self.test.instrument}, folds {self.test.folds}"
            )


@dataclass(frozen=True, kw_only=True, eq=False)
class Contest:
    """One instrument: its book, the judged model, and the baselines on the same decisions.

    Attributes:
        book: where the decisions were made.
        model: what is judged.
        baselines: by name, on the same decisions (they may have more) and labels.
        prepared: where the decisions came from, for the folds' spans and label thresholds; the
            model must have predicted every test decision of it and no other.
    """

    book: Book
    model: ModelPredictions
    baselines: Mapping[str, ModelPredictions]
    prepared: Prepared | None = None

    def contenders(self) -> dict[str, ModelPredictions]:
        """Everyone by name, the model first, on the model's decisions.

        Raises:
            PredictionsError: the model, a baseline and the book do not belong together.
        """
        check_book(self.model.test, self.book)
        if self.prepared is not None:
            check_complete(self.model.test, self.prepared)
            if self.model.validation is not None:
                check_complete(self.model.validation, self.prepared, part="validation")
        return {MODEL: self.model, **align_all(self.model, self.baselines)}


def predict_baselines(
    book: Book, prepared: Prepared, *, names: Sequence[str] = BASELINES, seed: int = 0
) -> dict[str, ModelPredictions]:
    """Fit every baseline on each fold's train part; predict its validation and test parts.

    Args:
        book: the book that ``prepared`` was made from.
        prepared: decisions, labels and folds, the same as the model's.
        names: which of ``BASELINES``.
        seed: of the baselines that draw at random.
    """
    inputs = BaselineInputs(
        features=hand_features(book, prepared.decisions),
        past_move_ticks=past_move_ticks(book, prepared.decisions, prepared.data.label),
    )
    parts: dict[str, list[ModelPredictions]] = {name: [] for name in names}
    jobs = [(fold, name) for fold in prepared.folds for name in names]
    for fold, name in progress(jobs, label="baselines", unit="fit"):
        probability = fit_predict(
            name,
            inputs,
            labels=prepared.labels(fold),
            train=fold.train,
            wanted=np.concatenate([fold.validation, fold.test]),
            threshold_ticks=prepared.threshold(fold),
            seed=seed,
        )
        cut = fold.validation.size
        parts[name].append(
            ModelPredictions(
                validation=prepared.predictions(fold, "validation", probability[:cut]),
                test=prepared.predictions(fold, "test", probability[cut:]),
            )
        )
    return {name: _joined(of_folds) for name, of_folds in parts.items()}


def check_book(table: Predictions, book: Book) -> None:
    """Refuse predictions of another instrument, or of another time than the book's.

    Raises:
        PredictionsError: either of them.
    """
    outside = (table.decided_ns < book.time_ns[0]) | (table.decided_ns > book.time_ns[-1])
    if table.instrument != book.meta.instrument or outside.any():
        raise PredictionsError(
            f"the predictions are of {table.instrument} with {int(outside.sum())} of {table.n} "
            f"decisions outside the book's time; the book is of {book.meta.instrument}; give the "
            "book that the decisions were made on"
        )


def check_complete(
    model: Predictions, prepared: Prepared, *, part: Literal["validation", "test"] = "test"
) -> None:
    """Refuse a table that is not exactly the folds' decisions of a part, with their labels.

    A model that may leave decisions out leaves out its misses, and scores as well as it likes. And
    what came true is said by the book: a table with other labels was made by other rules.

    Raises:
        PredictionsError: planned decisions are missing, or there are others, or their labels or
            label_end_ns are not those of the book.
    """
    rows = [fold.test if part == "test" else fold.validation for fold in prepared.folds]
    numbers = [np.full(own.size, fold.fold) for fold, own in zip(prepared.folds, rows, strict=True)]
    every = np.concatenate(rows)
    planned = pd.MultiIndex.from_arrays(
        [np.concatenate(numbers), prepared.decisions.decided_ns[every]]
    )
    given = pd.MultiIndex.from_arrays([model.fold, model.decided_ns])
    missing, others = planned.difference(given), given.difference(planned)
    if len(missing) or len(others):
        fold, decided_ns = (missing if len(missing) else others)[0]
        raise PredictionsError(
            f"the predictions have {len(planned) - len(missing)} of the {len(planned)} {part} "
            f"decisions of the config's {len(prepared.folds)} folds, and {len(others)} that are "
            f"none of them (first {'missing' if len(missing) else 'other'}: fold {fold} at "
            f"decided_ns={decided_ns}); needs exactly these decisions; where a model has no view, "
            "give each class a third"
        )
    # Both are sorted by fold and decision.
    labels = np.concatenate(
        [prepared.labels(fold)[own] for fold, own in zip(prepared.folds, rows, strict=True)]
    )
    _refuse_other(model, part, "label", labels)
    _refuse_other(model, part, "label_end_ns", prepared.moves.label_end_ns[every])


def _refuse_other(model: Predictions, part: str, name: str, wanted: IntArray) -> None:
    values: IntArray = getattr(model, name)
    different = values != wanted
    if different.any():
        row = int(np.argmax(different))
        raise PredictionsError(
            f"{int(different.sum())} of {model.n} {part} decisions have another {name} than the "
            f"book and the config's data.label give, first in fold {model.fold[row]} at "
            f"decided_ns={model.decided_ns[row]}: got {values[row]}, needs {wanted[row]}; "
            "lob-backtest label BOOK --config CONFIG -o FILE writes them"
        )


def aligned(model: Predictions, baseline: Predictions, *, name: str) -> Predictions:
    """The baseline's predictions for exactly the model's decisions.

    Raises:
        PredictionsError: a decision that the baseline has not, or a label that differs: then the
            two were not asked the same question.
    """
    decisions = pd.MultiIndex.from_arrays([baseline.fold, baseline.decided_ns])
    rows = decisions.get_indexer(pd.MultiIndex.from_arrays([model.fold, model.decided_ns]))
    found = int((rows >= 0).sum())
    if baseline.instrument != model.instrument or found < model.n:
        raise PredictionsError(
            f"{name} has {found} of the {model.n} decisions to judge "
            f"({baseline.instrument} against {model.instrument}); needs all of them; make both "
            "with the same book and config (data and walk_forward sections)"
        )
    wanted = np.zeros(baseline.n, dtype=np.bool_)
    wanted[rows] = True
    part = baseline.select(wanted)  # in order: both tables are sorted by fold and decision
    different = part.label != model.label
    if different.any():
        row = int(np.argmax(different))
        raise PredictionsError(
            f"{int(different.sum())} of {model.n} labels differ from those of {name}, first in "
            f"fold {model.fold[row]} at decided_ns={model.decided_ns[row]} ({model.label[row]} "
            f"against {part.label[row]}); make both with the same book and config (data.label)"
        )
    return part


def align_all(
    model: ModelPredictions, baselines: Mapping[str, ModelPredictions]
) -> dict[str, ModelPredictions]:
    """Every baseline's test predictions brought to the model's decisions."""
    if MODEL in baselines:
        raise PredictionsError(f"a baseline is called {MODEL!r}; rename it: that is the judged one")
    return {
        name: ModelPredictions(
            test=aligned(model.test, other.test, name=name), validation=other.validation
        )
        for name, other in baselines.items()
    }


def _joined(parts: list[ModelPredictions]) -> ModelPredictions:
    validation = [part.validation for part in parts if part.validation is not None]
    return ModelPredictions(
        test=concatenate([part.test for part in parts]), validation=concatenate(validation)
    )
