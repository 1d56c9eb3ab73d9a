"""The calibration of a finished run: read its predictions, judge, write beside them.

    RUN/validation_predictions.parquet ─┐
    RUN/predictions.parquet ────────────┴─► calibration.json  reliability.svg  reliability.png

A run over a book has a temperature for each fold, fitted on the fold's validation; a run over texts
has one.
"""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from hfrun.errors import DataError
from hfrun.evaluation.calibration import Calibration, calibrate, write_calibration
from hfrun.evaluation.text_predictions import read_text_predictions
from hfrun.run_folder import read_run
from lob_backtest.errors import FormatError
from lob_backtest.predictions import read_predictions
from lob_backtest.progress import announce
from lob_backtest.resampling import label_overlap

_TEST, _VALIDATION = "predictions.parquet", "validation_predictions.parquet"


def calibrate_run(run: Path) -> Calibration:
    """The calibration of a run folder's model, by the run's seed; nothing is written.

    Raises:
        DataError: the run is not finished, or has no known labels.
        WalkForwardError: no run folder.
        FormatError, PredictionsError: damaged predictions.
    """
    seed = int(read_run(run).get("seed", 0))
    for name in (_TEST, _VALIDATION):
        if not (run / name).is_file():
            raise DataError(
                f"{run}: no {name} in it, so the run is not finished; run its config again, which "
                "takes it up where it stopped"
            )
    of_kind = _of_texts if _is_of_texts(run / _TEST) else _of_a_book
    return calibrate(**of_kind(run), seed=seed)


def calibrate_finished(run: Path) -> Calibration | None:
    """Calibrate a run at its end and write it down; None, said in a line, where labels lack.

    A run that has been trained and judged does not fail for want of a temperature.
    """
    try:
        calibration = calibrate_run(run)
    except DataError as error:
        announce(f"no calibration: {error}")
        return None
    write_calibration(calibration, run)
    return calibration


def _is_of_texts(path: Path) -> bool:
    try:
        return "text" in pq.read_schema(path).names
    except (pa.ArrowException, OSError) as error:
        reason = " ".join(str(error).split())
        raise FormatError(
            f"{path}: not a Parquet file, or a damaged one ({reason}); run the config again in a "
            "new folder"
        ) from error


def _of_texts(run: Path) -> dict[str, Any]:
    validation, test = (read_text_predictions(run / name) for name in (_VALIDATION, _TEST))
    if validation.label_names != test.label_names:
        raise DataError(
            f"{run}: validation has the classes {', '.join(validation.label_names)} and test "
            f"{', '.join(test.label_names)}; needs the predictions of one model"
        )
    return {
        "validation_labels": validation.labels,
        "validation_probabilities": validation.probabilities,
        "test_labels": test.labels,
        "test_probabilities": test.probabilities,
    }


def _of_a_book(run: Path) -> dict[str, Any]:
    validation, test = (read_predictions(run / name) for name in (_VALIDATION, _TEST))
    return {
        "validation_labels": validation.label,
        "validation_probabilities": validation.probability,
        "test_labels": test.label,
        "test_probabilities": test.probability,
        "validation_folds": validation.fold,
        "test_folds": test.fold,
        "overlap": label_overlap(test) if test.is_labelled.any() else 1.0,
    }
