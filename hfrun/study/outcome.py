"""What a sweep found: its cells with mean and spread over seeds, their comparison, and in words."""

from collections.abc import Callable, Mapping, Sequence
from statistics import fmean, stdev
from typing import Any

import numpy as np

from hfrun.study.grid import cell_label, key_label, value_label
from hfrun.study.seed_spread import LEVEL, Effect, SeedSpread, seed_spread
from hfrun.study.trials import TrialResult
from lob_backtest.report.words import p_equals

_TEST_NAMES = {"eval_loss": "nll", "eval_cross_entropy": "nll"}


def outcome_of(
    cells: Sequence[Mapping[str, Any]],
    seeds: Sequence[int],
    results: Sequence[TrialResult],
    *,
    metric: str,
    higher_is_better: bool,
) -> dict[str, Any]:
    """The part of sweep.json that follows from the trials.

    Args:
        cells: the values of each, in the grid's order.
        seeds: of the study.
        results: of the trials that have been run so far, cell by cell.
        metric: name of the validation figure by which cells are compared.
        higher_is_better: whether more of it is better.

    Returns:
        ``cells``, ``factors``, ``best`` (a cell's index or None), ``analysis``, ``counts`` and
        ``findings``, which are sentences.
    """
    by_cell = [
        [result for result in results if result.number // len(seeds) == index]
        for index in range(len(cells))
    ]
    held = [_cell(values, found) for values, found in zip(cells, by_cell, strict=True)]
    scores = np.full((len(cells), len(seeds)), np.nan)
    for result in results:
        if result.status == "done":
            scores[divmod(result.number, len(seeds))] = result.validation.get(metric, np.nan)
    factors = _factors(cells)
    levels = {key: found["levels"] for key, found in factors.items()}
    if len(results) < scores.size:
        spread = SeedSpread(seed_sd=None, reason="not every trial has been run yet")
    else:
        spread = seed_spread(scores, levels=levels, higher_is_better=higher_is_better)
    best = _best(held, metric, higher_is_better)
    statuses = [result.status for result in results]
    outcome: dict[str, Any] = {
        "cells": held,
        "factors": factors,
        "best": best,
        "test_metric": _test_metric(held, metric),
        "analysis": spread.as_dict(),
        "counts": {name: statuses.count(name) for name in ("done", "failed", "diverged")},
        "planned": len(cells) * len(seeds),
    }
    return {**outcome, "findings": _findings(outcome, spread, metric, len(seeds))}


def _test_metric(cells: Sequence[Mapping[str, Any]], metric: str) -> str:
    """The test figure to show beside the validation score: the same one, or else accuracy."""
    same = _TEST_NAMES.get(metric, metric.removeprefix("eval_"))
    return same if any(cell["test"].get(same) for cell in cells) else "accuracy"


def _cell(values: Mapping[str, Any], results: Sequence[TrialResult]) -> dict[str, Any]:
    """Means over the seeds of the trials that are done; the others are counted."""
    done = [result for result in results if result.status == "done"]
    statuses = [result.status for result in results]
    return {
        "values": dict(values),
        "label": cell_label(values),
        "shown": {key: value_label(value) for key, value in values.items()},
        "trials": [result.number for result in results],
        "done": len(done),
        "failed": statuses.count("failed"),
        "diverged": statuses.count("diverged"),
        "validation": _means([result.validation for result in done], lambda value: value),
        "test": _means([result.test for result in done], lambda found: found["value"]),
        "seconds": _mean([result.seconds for result in done]),
    }


def _means(
    held: Sequence[Mapping[str, Any]], number: Callable[[Any], float | None]
) -> dict[str, Any]:
    """Mean and standard deviation (ddof 1) of every figure that all of them have."""
    names = [name for name in (held[0] if held else {}) if all(name in each for each in held)]
    return {name: _mean([number(each[name]) for each in held]) for name in names}


def _mean(values: Sequence[float | None]) -> dict[str, Any] | None:
    found = [value for value in values if value is not None]
    if not found:
        return None
    return {"mean": fmean(found), "sd": stdev(found) if len(found) > 1 else None, "n": len(found)}


def _factors(cells: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """For each key of the grid its values in words, and the level of every cell."""
    factors = {}
    for key in cells[0]:
        shown = [value_label(values[key]) for values in cells]
        labels = list(dict.fromkeys(shown))
        numbers = [values[key] for values in cells]
        factors[key] = {
            "name": key_label(key),
            "labels": labels,
            "levels": [labels.index(label) for label in shown],
            "numeric": all(isinstance(n, int | float) and not isinstance(n, bool) for n in numbers),
        }
    return factors


def _best(cells: Sequence[Mapping[str, Any]], metric: str, higher_is_better: bool) -> int | None:
    """The cell with the best mean; those that lack a seed stand back."""
    most = max(cell["done"] for cell in cells)
    sign = 1 if higher_is_better else -1
    whole = [
        (sign * cell["validation"][metric]["mean"], -index)
        for index, cell in enumerate(cells)
        if cell["done"] == most and cell["validation"].get(metric)
    ]
    return -max(whole)[1] if whole else None


# ---- in words ----


def _findings(
    outcome: Mapping[str, Any], spread: SeedSpread, metric: str, n_seeds: int
) -> list[str]:
    best = outcome["best"]
    words = []
    if best is not None:
        words.append(_of_the_best(outcome, outcome["cells"][best], metric))
        words += _of_the_spread(outcome, spread, n_seeds)
        words += _of_the_edges(outcome, best, spread)
        words += _of_the_length(outcome["cells"][best])
    counts = outcome["counts"]
    for status, meaning in (
        ("failed", "ended with an error"),
        ("diverged", "diverged: a loss was not finite"),
    ):
        if counts[status]:
            words.append(f"{counts[status]} of {sum(counts.values())} trials {meaning}")
    return words


def _of_the_best(outcome: Mapping[str, Any], cell: Mapping[str, Any], metric: str) -> str:
    test = cell["test"].get(outcome["test_metric"])
    on_test = ""
    if test is not None:
        shown = outcome["test_metric"].replace("_", " ")
        on_test = f"; on test, where nothing was chosen, {shown} {_plus_minus(test)}"
    name = metric.removeprefix("eval_").replace("_", " ")
    return (
        f"best on validation: {cell['label']}, {name} {_plus_minus(cell['validation'][metric])}"
        f"{on_test}. The best of {len(outcome['cells'])} cells is flattered by having been chosen "
        "on validation"
    )


def _of_the_spread(outcome: Mapping[str, Any], spread: SeedSpread, n_seeds: int) -> list[str]:
    if spread.reason is not None:
        return [spread.reason]
    whole, *factors = spread.effects
    more = "differ by more than" if whole.p_value < 1 - LEVEL else "do not differ by more than"
    words = [
        f"the {len(spread.cells)} cells {more} the {n_seeds} seeds explain: {_f(whole)} (analysis "
        "of variance, seeds as blocks; within a cell the seeds' standard deviation is "
        f"{spread.seed_sd:.4f})"
    ]
    for effect in factors:
        name = outcome["factors"].get(effect.name, {}).get("name", effect.name)
        words.append(f"effect of {name}: {_f(effect)}" if effect.name in outcome["factors"]
                     else f"{name} of the factors: {_f(effect)}")  # fmt: skip
    worse = [each for each in spread.differences if each.p_value < 1 - LEVEL]
    words.append(
        f"told apart from the best: {len(worse)} of the other {len(spread.differences)} cells "
        f"(Tukey's honest significant difference, {LEVEL:.0%})"
    )
    left_out = len(outcome["cells"]) - len(spread.cells)
    if left_out:
        words.append(f"{left_out} cells lack a seed and were not tested")
    return words


def _of_the_edges(outcome: Mapping[str, Any], best: int, spread: SeedSpread) -> list[str]:
    """A best value at the end of what was tried may have a better one beyond it.

    Not of a factor that makes no difference: then which of its values is best is luck.
    """
    words = []
    of_factor = {effect.name: effect.p_value for effect in spread.effects}
    for key, factor in outcome["factors"].items():
        if of_factor.get(key, of_factor.get("cells", 0.0)) >= 1 - LEVEL:
            continue
        values = [cell["values"][key] for cell in outcome["cells"]]
        if not factor["numeric"] or len(set(values)) < 2:
            continue
        chosen = values[best]
        if chosen == max(values) or chosen == min(values) > 0:  # below 0 there is nothing
            side = "highest" if chosen == max(values) else "lowest"
            words.append(f"the best {factor['name']}, {value_label(chosen)}, is the {side} tried")
    return words


def _of_the_length(cell: Mapping[str, Any]) -> list[str]:
    """Where in the run the checkpoint was chosen says whether the run has the right length."""
    held = cell["validation"]
    if not held.get("epoch") or not held.get("epochs_trained"):
        return []
    share = held["epoch"]["mean"] / held["epochs_trained"]["mean"]
    at = f"epoch {held['epoch']['mean']:.3g} of {held['epochs_trained']['mean']:.3g}"
    if share > 0.98:
        return [f"the best cell's checkpoints are from {at}: longer runs may do better"]
    if share <= 0.1:
        return [f"the best cell's checkpoints are from {at}: the runs are longer than they need"]
    return []


def _plus_minus(found: Mapping[str, Any]) -> str:
    if found["sd"] is None:
        return f"{found['mean']:.4f}"
    return f"{found['mean']:.4f} \u00b1 {found['sd']:.4f} ({found['n']} seeds)"


def _f(effect: Effect) -> str:
    return f"F({effect.df}, {effect.df_rest}) = {effect.f_value:.2f}, p {p_equals(effect.p_value)}"
