"""Whether a model's probabilities can be believed, and what one fitted temperature does to that.

    validation ─► temperature T      test ─► figures before and after T, bins, what can be claimed

T is fitted on validation and judged on test, which it has not seen. An improvement is claimed only
where the interval of the difference says so.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from hfrun.errors import DataError
from hfrun.evaluation.calibration_bins import Figures, Judged, figures_of, judged
from hfrun.evaluation.calibration_intervals import Compared, compare
from hfrun.evaluation.temperature import Temperature, fit_temperature, scaled
from lob_backtest.book import FloatArray, IntArray
from lob_backtest.files import write_json
from lob_backtest.metrics.checks import is_probability
from lob_backtest.sections.confidence import share_interval

CALIBRATION_FILE = "calibration.json"
UNKNOWN = -1

Claim = Literal["improved", "worse", "no difference"]
CLAIM_WORDS: dict[Claim, str] = {
    "improved": "the temperature improves the calibration",
    "worse": "the temperature makes the calibration worse",
    "no difference": "no improvement can be claimed",
}


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """A temperature and what it is worth.

    Attributes:
        temperature: of the last fold, which is that of the run's ``model/``.
        folds: fold number and its temperature; a text run has one.
        n_validation, n_test: labelled rows.
        n_classes: C.
        accuracy_low, accuracy_high: 95 % interval of the test accuracy.
        validation_before, validation_after: accuracy and ``CALIBRATION_KEYS`` on the rows that the
            temperature was fitted on: how well it fits, not how good it is.
        before, after: on test.
        compared: figures of test with intervals, by name.
        claim: what can be said of the calibration after the temperature.
        reason: why, in a sentence.
    """

    temperature: float
    folds: tuple[tuple[int, Temperature], ...]
    n_validation: int
    n_test: int
    n_classes: int
    accuracy_low: float
    accuracy_high: float
    validation_before: Figures
    validation_after: Figures
    before: Judged
    after: Judged
    compared: dict[str, Compared]
    claim: Claim
    reason: str

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        plain = asdict(self)
        plain["folds"] = [{"fold": fold, **asdict(own)} for fold, own in self.folds]
        return plain


def calibrate(
    validation_labels: IntArray,
    validation_probabilities: FloatArray,
    test_labels: IntArray,
    test_probabilities: FloatArray,
    *,
    seed: int,
    validation_folds: IntArray | None = None,
    test_folds: IntArray | None = None,
    overlap: float | None = None,
) -> Calibration:
    """Fit a temperature on validation, and judge it on test.

    Args:
        validation_labels, test_labels: ``(N,)`` 0 to C - 1; rows of an unknown label (-1) are left
            out.
        validation_probabilities, test_probabilities: ``(N, C)``, each row sums to 1 within 1e-4.
        seed: of the resamples.
        validation_folds, test_folds: ``(N,)`` never decreasing: of a walk-forward, where each fold
            has a temperature of its own validation. A common one would know of the future.
        overlap: rows that share one label's time, on average, in time order; None for rows that
            are independent, as texts are.

    Raises:
        DataError: no labelled rows, other classes in the two parts, no probabilities, or a test
            fold without validation.
    """
    validation = _part("validation", validation_labels, validation_probabilities, validation_folds)
    test = _part("test", test_labels, test_probabilities, test_folds)
    _check_alike(validation, test)
    folds = _temperatures(validation, test, overlap=overlap or 1.0)
    rng = np.random.default_rng(seed)
    after = _at_temperatures(test, folds)
    compared = compare(
        test.labels, test.probabilities, after, folds=test.folds, overlap=overlap, rng=rng
    )
    fitted_on = _at_temperatures(validation, folds)
    claim, reason = _claim(compared, folds)
    before, test_after = [
        judged(test.labels, each, overlap=overlap or 1.0, rng=rng)
        for each in (test.probabilities, after)
    ]
    n, accuracy = test.labels.size, before.figures["accuracy"]
    low, high = share_interval(round(accuracy * n), n, overlap=overlap or 1.0)
    return Calibration(
        temperature=folds[-1][1].value,
        folds=folds,
        n_validation=validation.labels.size,
        n_test=n,
        n_classes=test.n_classes,
        accuracy_low=low,
        accuracy_high=high,
        validation_before=figures_of(validation.labels, validation.probabilities),
        validation_after=figures_of(validation.labels, fitted_on),
        before=before,
        after=test_after,
        compared=compared,
        claim=claim,
        reason=reason,
    )


def write_calibration(calibration: Calibration, folder: Path) -> None:
    """Write ``calibration.json`` and the reliability diagram, each whole or not at all."""
    from hfrun.evaluation.calibration_plot import write_reliability_plot  # it draws a Calibration

    write_reliability_plot(calibration, folder)
    write_json(folder / CALIBRATION_FILE, calibration.as_dict())


@dataclass(frozen=True, kw_only=True, eq=False)
class _Part:
    """Labelled rows of one part."""

    labels: IntArray
    probabilities: FloatArray
    folds: IntArray

    @property
    def n_classes(self) -> int:
        return int(self.probabilities.shape[1])


def _part(name: str, labels: IntArray, probabilities: FloatArray, folds: IntArray | None) -> _Part:
    labels, probabilities = np.asarray(labels), np.asarray(probabilities, dtype=np.float64)
    if probabilities.ndim != 2 or labels.shape != probabilities.shape[:1]:
        raise DataError(
            f"{name} has labels of shape {labels.shape} and probabilities of "
            f"{probabilities.shape}; needs (N,) and (N, C)"
        )
    good = is_probability(probabilities)
    if not good.all():
        row = int(np.argmin(good))
        raise DataError(
            f"{name} has {int((~good).sum())} of {labels.size} rows that are no probabilities, "
            f"first row {row} {probabilities[row].tolist()}; give the softmax of the logits"
        )
    known = labels != UNKNOWN
    if not known.any():
        raise DataError(f"{name} has {labels.size} rows and no known label; calibration needs some")
    of_rows = np.zeros(labels.size, dtype=np.int64) if folds is None else np.asarray(folds)
    return _Part(labels=labels[known], probabilities=probabilities[known], folds=of_rows[known])


def _check_alike(validation: _Part, test: _Part) -> None:
    if validation.n_classes != test.n_classes:
        raise DataError(
            f"validation has {validation.n_classes} classes and test {test.n_classes}; give the "
            "predictions of one model"
        )


def _temperatures(
    validation: _Part, test: _Part, *, overlap: float
) -> tuple[tuple[int, Temperature], ...]:
    """Of each fold of test, from the validation rows of the same fold."""
    found = []
    for fold in np.unique(test.folds).tolist():
        own = validation.folds == fold
        if not own.any():
            raise DataError(
                f"test fold {fold} has no labelled validation rows; validation has the folds "
                f"{np.unique(validation.folds).tolist()}"
            )
        temperature = fit_temperature(
            validation.labels[own], validation.probabilities[own], overlap=overlap
        )
        found.append((int(fold), temperature))
    return tuple(found)


def _at_temperatures(part: _Part, folds: tuple[tuple[int, Temperature], ...]) -> FloatArray:
    """``(N, C)`` each row at its fold's temperature."""
    after = part.probabilities.copy()
    for fold, temperature in folds:
        own = part.folds == fold
        after[own] = scaled(part.probabilities[own], temperature.value)
    return after


def _claim(
    compared: dict[str, Compared], folds: tuple[tuple[int, Temperature], ...]
) -> tuple[Claim, str]:
    """Improved: a smaller ECE beyond its interval, and no worse likelihood."""
    ece, nll = compared["ece"], compared["nll"]
    claim: Claim = "no difference"
    if "worse" in (ece.verdict, nll.verdict):
        claim = "worse"
    elif ece.verdict == "better":
        claim = "improved"
    words = f"ECE {_change(ece)}; negative log-likelihood {_change(nll)}"
    at_bound = [fold for fold, own in folds if own.bound is not None]
    if at_bound:
        words += (
            f"; in {len(at_bound)} of {len(folds)} folds the temperature stopped at a bound, where "
            "no temperature fits"
        )
    return claim, words


def _change(figure: Compared) -> str:
    text = f"{figure.before:.4f} to {figure.after:.4f}"
    if figure.low is None or figure.high is None:
        return f"{text}, too few rows for an interval"
    limits = f"[{figure.low:+.4f}, {figure.high:+.4f}]"
    luck = ", which may be chance" if figure.verdict == "no difference" else ""
    return f"{text}, difference {figure.difference:+.4f} {limits}{luck}"
