"""The figures by which a study chooses: those of each training's chosen checkpoint."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from hfrun.fitting import FoldFiles
from hfrun.study.curves import read_curve

Figures = Mapping[str, float]
_CHOSEN = ("epoch", "step", "epochs_trained", "train_eval_gap")


def fold_folders(run: Path, *, is_walk_forward: bool) -> list[Path]:
    """The folders of a run's trainings: its own, or those of the folds that are fitted."""
    if not is_walk_forward:
        return [run]
    return sorted(path.parent for path in run.glob("folds/*/figures.json"))


def fold_figures(folder: Path) -> dict[str, float]:
    """The validation figures of a training's chosen checkpoint, and how long it was."""
    return _chosen(FoldFiles(folder).read_figures(), read_curve(folder))


def mean_figures(told: Sequence[Figures]) -> dict[str, float]:
    """Means over the folds of every figure that all of them have."""
    names = [name for name in (told[0] if told else {}) if all(name in fold for fold in told)]
    return {name: fmean(fold[name] for fold in told) for name in names}


def _chosen(figures: Mapping[str, Any], curve: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """The chosen checkpoint's measures, and how long the training was."""
    at = next((point for point in curve if point["step"] == figures["step"]), {})
    found = {**at, **{key: figures[key] for key in _CHOSEN if key in figures}}
    return {
        name: value
        for name, value in found.items()
        if value is not None and (name in _CHOSEN or name.startswith(("eval_", "train_")))
    }
