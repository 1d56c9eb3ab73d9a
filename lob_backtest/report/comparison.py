"""Two or more reports side by side: figures, and differences to the first with their intervals.

Differences come from the reports' blocks alone, drawn together: what moved two models alike, a
wild day or an hour without trades, cancels.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from lob_backtest.book import FloatArray, IntArray
from lob_backtest.metrics import CLASSIFICATION_KEYS, ECE_BINS, N_CLASSES
from lob_backtest.report.pairing import (
    CLASSIFICATION_PAIRED,
    MONEY_PAIRED,
    Pairing,
    cells_of,
    column,
    pair,
)
from lob_backtest.report.words import MEASURES
from lob_backtest.resampling.cells import Figures
from lob_backtest.resampling.decisions import decision_figures, hits
from lob_backtest.resampling.draw import LEVEL, METHOD, Draw, Lead, intervals_of
from lob_backtest.uncertainty.comparisons import holm

# Where a report says how it was made, and what of it is an outcome.
_CONFIGURED = ("data", "label", "backtest", "rules")
_COUNTED = {"data.unlabelled", "backtest.orders", "backtest.orders_above_touch",
            "backtest.orders_beyond_book", "backtest.maker_orders", "backtest.forced_orders",
            "backtest.is_bankrupt", "data.session_spans_ns"}  # fmt: skip
_OTHER, _FIRST = "other", "first"
_ROUNDING = 1e-12  # of sums of squares: what it leaves of nothing


def compare_reports(
    reports: Sequence[Mapping[str, Any]],
    names: Sequence[str],
    *,
    n_resamples: int = 2000,
    seed: int = 0,
) -> dict[str, Any]:
    """Figures of every report, and how far each other one is from the first; plain JSON types.

    ``differences`` holds for every figure one entry a report after the first: ``difference`` (that
    report minus the first), ``low, high, p_value`` and ``p_adjusted`` (Holm, over the reports), or
    ``reason``, why there is no interval. ``settings`` are those that are not the same everywhere.

    Args:
        reports: at least two, as ``read_report`` gives them.
        names: of the reports, one each.
        n_resamples: of the bootstrap.
        seed: of the draws.
    """
    first, *others = reports
    pairings = [pair(first, other) for other in others]
    drawn = [
        _drawn(first, other, pairing, n_resamples=n_resamples, rng=np.random.default_rng(seed))
        for other, pairing in zip(others, pairings, strict=True)
    ]
    keys = [key for key in MEASURES if any(_figure(r, key)["value"] is not None for r in reports)]
    differences = {
        key: [
            _difference(key, first, other, leads, pairing)
            for other, leads, pairing in zip(others, drawn, pairings, strict=True)
        ]
        for key in keys
    }
    for entries in differences.values():
        _adjust(entries)
    return {
        "reports": list(names),
        "verdicts": [report["verdict"] for report in reports],
        "same_test_blocks": all(_spans(first) == _spans(other) for other in others),
        "warnings": _warnings(reports, names, pairings),
        "intervals": {"level": LEVEL, "method": METHOD, "n_resamples": n_resamples, "seed": seed,
                      "blocks": [int(pairing.first.size) for pairing in pairings]},
        "settings": _settings(reports),
        "figures": {key: [_figure(report, key) for report in reports] for key in keys},
        "differences": differences,
    }  # fmt: skip


def _settings(reports: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Of data, label, backtest and rules what differs, by its dotted name; a value a report."""
    every = [
        {name: value for part in _CONFIGURED for name, value in _flat(part, report.get(part))}
        for report in reports
    ]
    names = dict.fromkeys(name for own in every for name in own)
    values = {name: [own.get(name) for own in every] for name in names}
    return {name: own for name, own in values.items() if any(v != own[0] for v in own)}


def _flat(name: str, value: Any) -> list[tuple[str, Any]]:
    if name in _COUNTED:
        return []
    if not isinstance(value, Mapping):
        return [(name, value)]
    return [pair for key, inner in value.items() for pair in _flat(f"{name}.{key}", inner)]


def _figure(report: Mapping[str, Any], key: str) -> dict[str, float | None]:
    found = report["aggregate"].get(key) or {}
    return {name: found.get(name) for name in ("value", "low", "high")}


def _drawn(
    first: Mapping[str, Any],
    other: Mapping[str, Any],
    pairing: Pairing,
    *,
    n_resamples: int,
    rng: np.random.Generator,
) -> dict[str, Lead]:
    """By figure, the other report's lead over the first on their common blocks."""
    leads: dict[str, Lead] = {}
    if pairing.first.size == 0:
        return leads
    blocks = [(other["blocks"], pairing.other), (first["blocks"], pairing.first)]
    if "classification" not in pairing.why_not:
        sums = [_decision_sums(own, rows) for own, rows in blocks]
        overlap = (first.get("label_statistics") or {}).get("mean_overlap") or 1.0
        draw = _draw(blocks[1], sums, CLASSIFICATION_KEYS, decision_figures, counts="n",
                     overlap=overlap, pace=hits(sums[0]) - hits(sums[1]))  # fmt: skip
        leads |= _leads(draw, CLASSIFICATION_PAIRED, n_resamples, rng)
    if "money" not in pairing.why_not:
        sums = [_bar_sums(own, rows) for own, rows in blocks]
        per_year = (first.get("annualisation") or {}).get("periods_per_year") or 1.0
        figures = partial(_money, n_bars=float(sums[1][:, 0].sum()), periods_per_year=per_year)
        draw = _draw(blocks[1], sums, MONEY_PAIRED, figures, counts="bars", overlap=1.0,
                     pace=sums[0][:, 1] - sums[1][:, 1])  # fmt: skip
        leads |= _leads(draw, MONEY_PAIRED, n_resamples, rng)
    return leads


def _draw(
    first: tuple[Mapping[str, Any], IntArray],
    sums: Sequence[FloatArray],
    keys: Sequence[str],
    figures: Figures,
    *,
    counts: str,
    overlap: float,
    pace: FloatArray,
) -> Draw:
    """Only blocks with decisions or bars are drawn; empty ones would pass for calm ones.

    Args:
        first: blocks of the first report, and which of them are common.
        sums: of the other report and of the first.
        keys, figures: what is computed from sums.
        counts: column that says how many decisions or bars a block has.
        overlap: decisions that share a part of a label, 1 for bars.
        pace: how far the two reports are apart in each block.
    """
    blocks, rows = first
    each = column(blocks, counts, rows)
    full = each > 0
    return Draw(
        names=[_OTHER, _FIRST],
        keys=list(keys),
        cells=cells_of(blocks, rows[full]),
        sums=[own[full] for own in sums],
        figures=figures,
        overlap=max(1.0, overlap / float(each[full].mean())),  # in blocks
        pace=pace[full],
    )


def _leads(
    draw: Draw, keys: Sequence[str], n_resamples: int, rng: np.random.Generator
) -> dict[str, Lead]:
    found = intervals_of(draw, n_resamples=n_resamples, rng=rng)
    return {key: lead for key, lead in found.leads.get(_FIRST, {}).items() if key in keys}


def _decision_sums(blocks: Mapping[str, Any], rows: IntArray) -> FloatArray:
    """Sums as ``resampling.decisions`` has them; nothing is known of the confidence bins."""
    confusion = column(blocks, "confusion", rows).reshape(-1, N_CLASSES**2)
    bins = np.zeros((rows.size, ECE_BINS))
    return np.column_stack([confusion, bins, column(blocks, "brier", rows)])


def _bar_sums(blocks: Mapping[str, Any], rows: IntArray) -> FloatArray:
    """``(C, 4)`` bars, and sums over them: net return, its square, gross return."""
    return np.column_stack(
        [column(blocks, name, rows) for name in ("bars", "net", "square_net", "gross")]
    )


def _money(sums: FloatArray, *, n_bars: float, periods_per_year: float) -> FloatArray:
    """``(r, 4)`` figures in the order of ``MONEY_PAIRED`` of ``(r, P, 4)`` sums.

    Returns are scaled to the bars that there were, NaN stands for a ratio without deviation.
    """
    n, net, square, gross = np.moveaxis(sums.sum(axis=1), 1, 0)
    scale = n_bars / np.maximum(n, 1.0)
    spread = square - net**2 / np.maximum(n, 1.0)
    varies = (n > 1) & (spread > _ROUNDING * square)
    deviation = np.sqrt(np.where(varies, spread, np.nan) / np.maximum(n - 1, 1.0))
    year = np.sqrt(periods_per_year)
    found = {
        "net_return": net * scale,
        "gross_return": gross * scale,
        "sharpe": year * net / np.maximum(n, 1.0) / deviation,
        "volatility": year * np.where(varies, deviation, 0.0),
    }
    return np.column_stack([found[key] for key in MONEY_PAIRED])


def _difference(
    key: str,
    first: Mapping[str, Any],
    other: Mapping[str, Any],
    leads: Mapping[str, Lead],
    pairing: Pairing,
) -> dict[str, Any]:
    lead = leads.get(key)
    if lead is not None and lead.difference is not None:
        return {"difference": lead.difference, "low": lead.low, "high": lead.high,
                "p_value": lead.p_value, "p_adjusted": lead.p_value, "reason": None}  # fmt: skip
    own, base = _figure(other, key)["value"], _figure(first, key)["value"]
    kind = "classification" if key in CLASSIFICATION_KEYS else "money"
    reason = pairing.why_not.get(kind, "the blocks do not hold what these figures are made of")
    return {
        "difference": None if own is None or base is None else own - base,
        "low": None, "high": None, "p_value": None, "p_adjusted": None, "reason": reason,
    }  # fmt: skip


def _adjust(entries: Sequence[dict[str, Any]]) -> None:
    """Put Holm's adjusted p-values into one figure's differences."""
    tested = [entry for entry in entries if entry["p_value"] is not None]
    if tested:
        adjusted = holm(np.array([entry["p_value"] for entry in tested]))
        for entry, value in zip(tested, adjusted, strict=True):
            entry["p_adjusted"] = float(value)


def _warnings(
    reports: Sequence[Mapping[str, Any]], names: Sequence[str], pairings: Sequence[Pairing]
) -> list[str]:
    """What stands in the way of a comparison, each in a sentence that names the report."""
    first, found = reports[0], []
    for report, name, pairing in zip(reports[1:], names[1:], pairings, strict=True):
        against = f"{name} against {names[0]}"
        if _spans(first) != _spans(report):
            found.append(f"{against}: the test blocks differ, so differences of whole figures mix "
                         "the models with their periods")  # fmt: skip
        if pairing.first.size and not pairing.is_whole:
            found.append(f"{against}: intervals are of the {pairing.first.size} common blocks (of "
                         f"{pairing.n_first} and {pairing.n_other})")  # fmt: skip
        if _instrument(first) != _instrument(report):
            found.append(f"{against}: the instruments differ, {_instrument(first)} and "
                         f"{_instrument(report)}")  # fmt: skip
        for kind, why in pairing.why_not.items():
            if kind == "money" and not (first.get("backtest") or report.get("backtest")):
                continue
            found.append(f"{against}: no paired intervals for {kind}: {why}")
    return found


def _instrument(report: Mapping[str, Any]) -> str:
    return str((report.get("data") or {}).get("instrument", "unknown"))


def _spans(report: Mapping[str, Any]) -> list[tuple[int, int, int]]:
    return [(fold["fold"], fold["start_ns"], fold["end_ns"]) for fold in report["folds"]]
