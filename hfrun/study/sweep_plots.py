"""The plots of a sweep: every trial's score, a heat map, means by factor, and curves by cell."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hfrun.study.course_plot import course_limits, course_plot
from hfrun.study.sweep_tables import title
from lob_backtest.report.plots.drawing import NARROW, WIDE, Palette, Plot, dress, new_figure

MOST_ROWS = 40  # cells of the plot of all trials
_NAME_LENGTH = 26


def trials_plot(outcome: Mapping[str, Any], palette: Palette) -> Plot | None:
    """A line a cell: each trial's score as a point, the mean as a bar."""
    metric = outcome["metric"]
    rows = cells_by_score(outcome)[:MOST_ROWS]
    scores = {index: _scores(outcome, index) for index in rows}
    if not any(scores.values()):
        return None
    figure = new_figure((WIDE[0], 66 + 27 * len(rows)))
    axes = figure.add_subplot()
    dress(axes, f"validation {title(metric)}", palette, grid="x")
    for y, index in enumerate(rows):
        found = scores[index]
        if not found:
            continue
        colour = palette.accent if index == outcome["best"] else palette.muted
        axes.scatter(found, [y] * len(found), s=26, color=colour, alpha=0.65, linewidth=0, zorder=3)
        axes.vlines(np.mean(found), y - 0.32, y + 0.32, color=colour, linewidth=2.4, zorder=4)
    names = [", ".join(outcome["cells"][index]["shown"].values()) for index in rows]
    axes.set_yticks(range(len(rows)), [_short(name) for name in names])
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.margins(x=0.05)
    told = ", ".join(f"{outcome['cells'][i]['label']} {np.mean(scores[i]):.4f}"
                     for i in rows if scores[i])  # fmt: skip
    return Plot(figure=figure, label=f"Mean validation {title(metric)} by cell: {told}")


def heat_map(outcome: Mapping[str, Any], palette: Palette) -> Plot | None:
    """Mean and spread for each pair of values, where the grid has two factors that vary."""
    varied = [key for key, found in outcome["factors"].items() if len(found["labels"]) > 1]
    if len(varied) != 2:
        return None
    down, across = (outcome["factors"][key] for key in varied)
    shape = (len(down["labels"]), len(across["labels"]))
    figure = new_figure((max(NARROW[0], 120 + 96 * shape[1]), 84 + 52 * shape[0]))
    axes = figure.add_subplot()
    dress(axes, f"validation {title(outcome['metric'])}", palette)
    axes.grid(visible=False)
    found = [cell["validation"].get(outcome["metric"]) for cell in outcome["cells"]]
    places = list(zip(down["levels"], across["levels"], strict=True))
    for index, (place, score) in enumerate(zip(places, found, strict=True)):
        is_best = index == outcome["best"]
        _square(axes, place, score, _rank(found, index, outcome), palette, is_best=is_best)
    axes.set_xlim(-0.5, shape[1] - 0.5)
    axes.set_ylim(shape[0] - 0.5, -0.5)
    axes.set_xticks(range(shape[1]), across["labels"])
    axes.set_yticks(range(shape[0]), [_short(label, 18) for label in down["labels"]])
    axes.set_xlabel(across["name"])
    axes.set_ylabel(down["name"], color=palette.muted, fontsize=axes.xaxis.label.get_fontsize())
    axes.tick_params(length=0)
    axes.spines["bottom"].set_visible(False)
    return Plot(
        figure=figure,
        label=f"Mean validation {title(outcome['metric'])} by {down['name']} and {across['name']}",
    )


def factor_plot(outcome: Mapping[str, Any], key: str, palette: Palette) -> Plot | None:
    """Scores of all trials by one factor's values, and the mean over everything else."""
    factor = outcome["factors"][key]
    if len(factor["labels"]) < 2:
        return None
    figure = new_figure(NARROW)
    axes = figure.add_subplot()
    dress(axes, f"validation {title(outcome['metric'])}", palette)
    means = []
    for level in range(len(factor["labels"])):
        of_level = [at for at, found in enumerate(factor["levels"]) if found == level]
        scores = [score for at in of_level for score in _scores(outcome, at)]
        axes.scatter([level] * len(scores), scores, s=22, color=palette.muted, alpha=0.55,
                     linewidth=0, zorder=2)  # fmt: skip
        means.append(np.mean(scores) if scores else np.nan)
    axes.plot(range(len(means)), means, "o-", color=palette.accent, linewidth=2, markersize=6,
              zorder=3)  # fmt: skip
    axes.set_xticks(range(len(means)), [_short(label, 14) for label in factor["labels"]])
    axes.set_xlim(-0.4, len(means) - 0.6)
    axes.set_xlabel(factor["name"])
    told = ", ".join(f"{name} {mean:.4f}"
                     for name, mean in zip(factor["labels"], means, strict=True))  # fmt: skip
    return Plot(figure=figure, label=f"Mean validation {title(outcome['metric'])}: {told}")


def curve_limits(outcome: Mapping[str, Any]) -> dict[str, tuple[float, float]]:
    """One range of losses and of accuracies for all cells, so that their curves compare."""
    return course_limits([trial for trial in outcome["trials"] if trial["status"] == "done"])


def curves_plot(
    outcome: Mapping[str, Any],
    index: int,
    limits: Mapping[str, tuple[float, float]],
    palette: Palette,
) -> Plot | None:
    """A cell's course, a line a seed."""
    cell = outcome["cells"][index]
    trials = [outcome["trials"][number] for number in cell["trials"]]
    return course_plot(trials, limits, palette, label=cell["label"])


def cells_by_score(outcome: Mapping[str, Any]) -> list[int]:
    """The cells' indices, the best first; those without a score come last."""
    sign = -1 if outcome["higher_is_better"] else 1

    def order(index: int) -> tuple[bool, float]:
        found = outcome["cells"][index]["validation"].get(outcome["metric"])
        return (True, 0.0) if found is None else (False, sign * found["mean"])

    return sorted(range(len(outcome["cells"])), key=order)


def _scores(outcome: Mapping[str, Any], index: int) -> list[float]:
    """Of a cell's finished trials."""
    numbers = outcome["cells"][index]["trials"]
    trials = [outcome["trials"][number] for number in numbers]
    return [trial["validation"][outcome["metric"]] for trial in trials
            if trial["status"] == "done" and outcome["metric"] in trial["validation"]]  # fmt: skip


def _rank(found: Sequence[Any], index: int, outcome: Mapping[str, Any]) -> float:
    """How good a cell is among all, from 0 to 1."""
    means = [score["mean"] for score in found if score is not None]
    if found[index] is None or max(means) == min(means):
        return 0.0
    share = (found[index]["mean"] - min(means)) / (max(means) - min(means))
    return float(share if outcome["higher_is_better"] else 1 - share)


def _square(
    axes: Any,
    place: tuple[int, int],
    score: Mapping[str, Any] | None,
    rank: float,
    palette: Palette,
    *,
    is_best: bool,
) -> None:
    """One value of the heat map, written out, on a ground that tells how good it is."""
    from matplotlib.patches import Rectangle

    y, x = place
    # pale enough that ink is legible on it in both schemes
    ground = Rectangle((x - 0.5, y - 0.5), 1, 1, facecolor=palette.accent, linewidth=0,
                       alpha=0.04 + 0.36 * rank)  # fmt: skip
    axes.add_patch(ground)
    if is_best:
        axes.add_patch(Rectangle((x - 0.47, y - 0.46), 0.94, 0.92, facecolor="none",
                                 edgecolor=palette.accent, linewidth=2))  # fmt: skip
    if score is None:
        axes.text(x, y, "none", ha="center", va="center", color=palette.muted, fontsize=11)
        return
    up = 0.0 if score["sd"] is None else 0.13
    axes.text(x, y - up, f"{score['mean']:.4f}", ha="center", va="center", color=palette.ink,
              fontsize=12.5)  # fmt: skip
    if score["sd"] is not None:
        axes.text(x, y + 0.24, f"\u00b1 {score['sd']:.4f}", ha="center", va="center",
                  color=palette.muted, fontsize=10.5)  # fmt: skip


def _short(label: str, length: int = _NAME_LENGTH) -> str:
    return label if len(label) <= length else f"{label[: length - 1]}\u2026"
