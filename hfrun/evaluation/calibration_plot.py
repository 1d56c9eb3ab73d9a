"""The reliability diagram: accuracy against confidence, as trained and at the temperature.

Under the diagonal a model promises too much, above it too little. Below each diagram stands how
many rows have such a confidence: a bin of few rows says little, and its interval is long.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hfrun.evaluation.calibration import CLAIM_WORDS, Calibration
from hfrun.evaluation.calibration_bins import Judged, ReliabilityBin
from hfrun.evaluation.calibration_intervals import Compared
from lob_backtest.files import atomic_path

_INK, _MUTED, _GRID = "#1f2933", "#5f6b7a", "#e3e7ec"
_POINT, _GAP = "#1d5fbf", "#c2570c"
_THIN = 0.01  # share of the rows below which a bin is drawn hollow


def write_reliability_plot(calibration: Calibration, folder: Path | str) -> list[Path]:
    """Write ``reliability.svg`` and ``reliability.png``; the same figures give the same bytes."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    style: dict[Any, Any] = {
        "svg.hashsalt": "hfrun",
        "svg.fonttype": "none",
        "font.size": 10,
        "text.color": _INK,
        "axes.labelcolor": _MUTED,
        "xtick.color": _MUTED,
        "ytick.color": _MUTED,
        "axes.edgecolor": _GRID,
    }
    paths = []
    with mpl.rc_context(style):
        figure = Figure(figsize=(9.2, 5.6), layout="constrained")
        _draw(figure, calibration)
        for kind in ("svg", "png"):
            path = Path(folder) / f"reliability.{kind}"
            with atomic_path(path) as partial:
                metadata = {"Date": None} if kind == "svg" else None
                figure.savefig(partial, format=kind, dpi=130, metadata=metadata)
            paths.append(path)
    return paths


def _draw(figure: Any, calibration: Calibration) -> None:
    axes = figure.subplots(2, 2, sharex=True, sharey="row", height_ratios=[3.2, 1])
    ece = calibration.compared["ece"]
    sides = (
        (calibration.before, f"as trained: ECE {_with_interval(ece, 'before')}"),
        (calibration.after, f"{_temperature(calibration)}: ECE {_with_interval(ece, 'after')}"),
    )
    least = 1 / calibration.n_classes  # no most probable class has less
    for (upper, lower), (judged, title) in zip(axes.T, sides, strict=True):
        _diagram(upper, judged, least)
        upper.set_title(title, loc="left", fontsize=10)
        _histogram(lower, judged.bins)
    for each in axes.flat:
        each.set_xlim(max(least - 0.04, 0.0), 1.01)
        each.grid(axis="y", color=_GRID, linewidth=0.7)
        each.set_axisbelow(True)
        each.spines[["top", "right"]].set_visible(False)
    axes[1, 0].set_ylim(bottom=0)  # of both: they share it
    axes[0, 0].set_ylabel("accuracy")
    axes[1, 0].set_ylabel("share of rows")
    axes[0, 0].legend(frameon=False, fontsize=9, loc="lower right")
    figure.supxlabel("confidence: the probability of the class that is said", fontsize=10,
                     color=_MUTED)  # fmt: skip
    figure.suptitle(
        f"{calibration.n_test:,} test rows, accuracy {calibration.before.figures['accuracy']:.3f}; "
        f"{CLAIM_WORDS[calibration.claim]}",
        x=0.01, ha="left", fontsize=9, color=_MUTED,
    )  # fmt: skip


def _diagram(axes: Any, judged: Judged, least: float) -> None:
    axes.plot([least, 1], [least, 1], color=_MUTED, linewidth=1, linestyle=(0, (4, 3)),
              label="calibrated")  # fmt: skip
    bins = [each for each in judged.bins if each.n]
    confidence, accuracy = _column(bins, "confidence"), _column(bins, "accuracy")
    axes.vlines(confidence, accuracy, confidence, color=_GAP, linewidth=4, alpha=0.35,
                label="gap")  # fmt: skip
    beyond = [
        np.maximum(accuracy - _column(bins, "accuracy_low"), 0.0),
        np.maximum(_column(bins, "accuracy_high") - accuracy, 0.0),
    ]
    axes.errorbar(confidence, accuracy, yerr=beyond, fmt="none", ecolor=_POINT, elinewidth=1,
                  capsize=2.5)  # fmt: skip
    n = _column(bins, "n")
    is_thin = n < _THIN * n.sum()
    dot: dict[str, Any] = {"s": 24, "edgecolors": _POINT, "zorder": 3}
    axes.scatter(confidence[~is_thin], accuracy[~is_thin], color=_POINT,
                 label="bin, with its 95 % interval", **dot)  # fmt: skip
    axes.scatter(confidence[is_thin], accuracy[is_thin], color="white",
                 label=f"bin of less than {_THIN:.0%} of the rows" if is_thin.any() else None,
                 **dot)  # fmt: skip
    axes.set_ylim(-0.02, 1.02)


def _histogram(axes: Any, bins: Sequence[ReliabilityBin]) -> None:
    n = np.array([each.n for each in bins], dtype=np.float64)
    edges = np.array([*(each.low for each in bins), bins[-1].high])
    axes.stairs(n / n.sum(), edges, fill=True, color=_POINT, alpha=0.75)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")


def _column(bins: Sequence[ReliabilityBin], name: str) -> Any:
    return np.array([getattr(each, name) for each in bins], dtype=np.float64)


def _with_interval(figure: Compared, side: str) -> str:
    low, high = getattr(figure, f"{side}_low"), getattr(figure, f"{side}_high")
    text = f"{getattr(figure, side):.3f}"
    return text if low is None else f"{text} [{low:.3f}, {high:.3f}]"


def _temperature(calibration: Calibration) -> str:
    values = [own.value for _, own in calibration.folds]
    if len(values) == 1:
        return f"temperature {values[0]:.2f}"
    return f"temperatures {min(values):.2f} to {max(values):.2f}"
