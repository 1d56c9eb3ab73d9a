"""A calibration as a table for the terminal."""

from collections.abc import Sequence

from hfrun.evaluation.calibration import CLAIM_WORDS, Calibration
from hfrun.evaluation.calibration_bins import Judged, ReliabilityBin
from hfrun.evaluation.temperature import Temperature
from lob_backtest.commands.tables import table

_NAMES = {
    "nll": "neg. log-likelihood", "brier": "Brier score", "ece": "ECE, 15 equal bins",
    "adaptive_ece": "ECE, equal mass",
}  # fmt: skip


def calibration_text(calibration: Calibration) -> str:
    """Temperature, figures before and after, accuracy by confidence, and what can be claimed."""
    claim = CLAIM_WORDS[calibration.claim]
    lines = [*_temperature_lines(calibration), "", *_figure_lines(calibration), ""]
    lines += [
        "Accuracy by confidence, as trained:",
        *_bin_lines(calibration.before.bins),
        "",
        f"{claim[:1].upper()}{claim[1:]}: {calibration.reason}.",
        f"By chance alone a perfectly calibrated model would show an ECE of about "
        f"{calibration.before.chance_ece:.4f} here, up to {calibration.before.chance_ece_high:.4f} "
        "in 95 of 100 tests.",
    ]
    return "\n".join(lines)


def _temperature_lines(calibration: Calibration) -> list[str]:
    several = len(calibration.folds) > 1
    return [
        f"Temperature{f' of fold {fold}' if several else ''} {_temperature(own)}, fitted on "
        f"{own.n:,} validation rows{_remarks(own)}"
        for fold, own in calibration.folds
    ]


def _temperature(own: Temperature) -> str:
    if own.low is None or own.high is None:
        return f"{own.value:.3f}"
    return f"{own.value:.3f} [{own.low:.3f}, {own.high:.3f}]"


def _remarks(own: Temperature) -> str:
    if own.bound is not None:
        return f"; stopped at the {own.bound} that is tried: no temperature within fits"
    words = ""
    if own.low is not None and own.high is not None:
        if own.low > 1:
            words = "; above 1: the model is too sure of itself"
        elif own.high < 1:
            words = "; below 1: the model is not sure enough"
        else:
            words = "; its interval holds 1"
    if own.without_probability:
        words += f"; the true class of {own.without_probability:,} rows had no probability at all"
    return words


def _figure_lines(calibration: Calibration) -> list[str]:
    accuracy = calibration.before.figures["accuracy"]
    rows: list[tuple[str, ...]] = [("", "as trained", "at the temperature", "difference")]
    for key, name in _NAMES.items():
        found = calibration.compared[key]
        rows.append(
            (
                name,
                _interval(found.before, found.before_low, found.before_high),
                _interval(found.after, found.after_low, found.after_high),
                f"{_interval(found.difference, found.low, found.high, sign='+')} {found.verdict}",
            )
        )
    gaps = [_largest_gap(judged) for judged in (calibration.before, calibration.after)]
    rows.append(("largest gap (MCE)", *gaps, ""))
    head = (
        f"Test, {calibration.n_test:,} rows, accuracy "
        f"{_interval(accuracy, calibration.accuracy_low, calibration.accuracy_high)} either way:"
    )
    return [head, *_table(rows)]


def _largest_gap(judged: Judged) -> str:
    """The MCE, and how many rows it comes from."""
    bins = [each for each in judged.bins if each.accuracy is not None]
    worst = max(bins, key=lambda each: abs((each.accuracy or 0.0) - (each.confidence or 0.0)))
    rows = "1 row" if worst.n == 1 else f"{worst.n:,} rows"
    return f"{judged.figures['mce']:.4f} in a bin of {rows}"


def _bin_lines(bins: Sequence[ReliabilityBin]) -> list[str]:
    rows = [("confidence", "rows", "mean", "accuracy")]
    for each in bins:
        if each.accuracy is None or each.confidence is None:
            continue
        rows.append(
            (
                f"{each.low:.3f} to {each.high:.3f}",
                f"{each.n:,}",
                f"{each.confidence:.3f}",
                _interval(each.accuracy, each.accuracy_low, each.accuracy_high, digits=3),
            )
        )
    return _table(rows)


def _interval(
    value: float, low: float | None, high: float | None, *, sign: str = "", digits: int = 4
) -> str:
    form = f"{sign}.{digits}f"
    text = format(value, form)
    if low is None or high is None:
        return text
    return f"{text} [{format(low, form)}, {format(high, form)}]"


def _table(rows: Sequence[tuple[str, ...]]) -> list[str]:
    return [f"  {line}" for line in table(rows[0], rows[1:]).splitlines()]
