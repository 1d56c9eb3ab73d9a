"""The model and the baselines answer the same question, or the comparison is refused."""

from dataclasses import replace

import numpy as np
import pytest

from lob_backtest.baselines import BASELINES
from lob_backtest.contenders import (
    ModelPredictions,
    align_all,
    aligned,
    check_complete,
    predict_baselines,
)
from lob_backtest.errors import PredictionsError
from lob_backtest.predictions import Predictions
from tests.lob_backtest.judged import walk


def with_label(table: Predictions, row: int, label: int) -> Predictions:
    labels = table.label.copy()
    labels[row] = label
    return replace(table, label=labels)


def test_every_baseline_predicts_the_models_decisions_with_the_models_labels():
    made = walk()
    predicted = predict_baselines(made.book, made.prepared)
    assert tuple(predicted) == BASELINES
    for model in predicted.values():
        for own, other in (
            (made.model.test, model.test),
            (made.model.validation, model.validation),
        ):
            for name in ("fold", "decided_ns", "label_end_ns", "train_end_ns", "label"):
                assert getattr(other, name).tolist() == getattr(own, name).tolist()


def test_baselines_learn_nothing_from_validation_and_test():
    made = walk(n_sessions=1)
    names = ("last_move", "logistic")
    before = predict_baselines(made.book, made.prepared, names=names)
    fold = made.prepared.folds[0]
    moves = made.prepared.moves
    changed = moves.move_ticks.copy()
    changed[fold.validation[0] :] *= -1
    other = replace(made.prepared, moves=replace(moves, move_ticks=changed))
    after = predict_baselines(made.book, other, names=names)
    for name in names:
        of_fold = before[name].test.fold == fold.fold
        assert np.array_equal(
            before[name].test.probability[of_fold], after[name].test.probability[of_fold]
        )


def test_a_baseline_with_more_decisions_is_cut_to_the_models():
    made = walk()
    kept = np.arange(made.model.test.n) % 3 != 0
    part = made.model.test.select(kept)
    cut = aligned(part, made.guesses.test, name="guesses")
    assert cut.decided_ns.tolist() == part.decided_ns.tolist()
    assert np.array_equal(cut.probability, made.guesses.test.probability[kept])


def test_a_baseline_that_misses_a_decision_is_refused():
    made = walk()
    n = made.model.test.n
    short = made.guesses.test.select(np.arange(n) != 5)
    with pytest.raises(PredictionsError, match=f"guesses has {n - 1} of the {n} decisions"):
        aligned(made.model.test, short, name="guesses")


def test_a_label_that_differs_is_refused():
    made = walk()
    first = int(made.guesses.test.label[0])
    other = with_label(made.guesses.test, 0, (first + 1) % 3)
    with pytest.raises(PredictionsError, match=r"1 of \d+ labels differ from those of guesses"):
        aligned(made.model.test, other, name="guesses")


def test_another_instrument_is_refused():
    made = walk()
    other = replace(made.guesses.test, instrument="OTHER")
    with pytest.raises(PredictionsError, match="OTHER against TEST"):
        aligned(made.model.test, other, name="guesses")


def test_no_baseline_may_be_called_model():
    made = walk()
    with pytest.raises(PredictionsError, match="rename it"):
        align_all(made.model, {"model": made.guesses})


def test_validation_must_cover_the_folds_of_test():
    made = walk()
    table = made.model.validation
    assert table is not None
    with pytest.raises(PredictionsError, match="validation predictions are of TEST, folds"):
        ModelPredictions(test=made.model.test, validation=table.select(table.fold > 0))


def test_a_table_that_leaves_out_its_misses_is_refused():
    made = walk(skill=0.0)
    table = made.model.test
    hits = (np.argmax(table.probability, axis=1) == table.label) | ~table.is_labelled
    message = f"have {int(hits.sum())} of the {table.n} test decisions of the config's"
    with pytest.raises(PredictionsError, match=message):
        check_complete(table.select(hits), made.prepared)
    with pytest.raises(PredictionsError, match="first missing: fold 0 at decided_ns="):
        check_complete(table.select(table.fold > 0), made.prepared)
    check_complete(table, made.prepared)


def test_a_table_with_other_decisions_is_refused():
    made = walk()
    table = made.model.test
    moved = replace(table, decided_ns=table.decided_ns + 1, label_end_ns=table.label_end_ns + 1)
    with pytest.raises(PredictionsError, match=rf"and {table.n} that are none of them"):
        check_complete(moved, made.prepared)
