"""Is it more than luck: paired differences, Sharpe statistics, overfitting, test of the lift."""

from collections.abc import Mapping
from typing import Any

from lob_backtest.report.elements import (
    card,
    cell,
    columns,
    facts_list,
    figure,
    folded,
    note,
    row,
    table,
)
from lob_backtest.report.plots import drawing
from lob_backtest.report.words import (
    MEASURES,
    NOTHING,
    coarse,
    duration,
    interval,
    number,
    p_text,
    percent,
    strategy_title,
)

_SHOWN_FIRST = ("f1_weighted", "accuracy", "brier", "net_return", "sharpe")


def luck(report: Mapping[str, Any]) -> str:
    """Everything about chance, or nothing where the report has none of it."""
    paired = {name: own for name, own in (report.get("paired") or {}).items() if own}
    keys = [key for key in MEASURES if any(key in own for own in paired.values())]
    first = [key for key in _SHOWN_FIRST if key in keys]
    others = [key for key in keys if key not in first]
    plot = figure(
        drawing(report, "differences"),
        "Right of the line the model is better. A hollow point's interval holds nothing: the "
        "difference may as well be none.",
        title="Model minus baseline",
    )
    body = columns(plot, _sharpe(report))
    if first:
        body += card(_differences_table(paired, first) + note(_ABOUT_P))
        body += folded("Differences of the other figures", card(_differences_table(paired, others)))
    return body + columns(_overfitting(report), _lift(report))


_ABOUT_P = (
    "Model minus baseline on the same decisions and bars, drawn together. p is two-sided, that no "
    "difference looks this large by luck; where it says adjusted, over all baselines together."
)


def _differences_table(paired: Mapping[str, Any], keys: list[str]) -> str:
    if not keys:
        return ""
    titles = [MEASURES[key].title for key in keys]
    body = [
        row(strategy_title(name), (_difference(own.get(key) or {}, key) for key in keys))
        for name, own in paired.items()
    ]
    return table(["model minus", *titles], body)


def _difference(found: Mapping[str, Any], key: str) -> str:
    value = found.get("difference")
    if value is None:
        return cell(NOTHING)
    form = f"+{MEASURES[key].form.lstrip('+')}"
    small = [interval(found, form)]
    if found.get("p_adjusted") is not None:
        small.append(f"p adjusted {p_text(found['p_adjusted'])}")
    elif found.get("p_value") is not None:
        small.append(f"p {p_text(found['p_value'])}")
    form = coarse(form, found.get("low"), found.get("high"))
    return cell(number(value, form), *small)


def _sharpe(report: Mapping[str, Any]) -> str:
    found = report.get("sharpe_statistics") or {}
    if found.get("bars") is None:
        return ""
    sharpe = (report["aggregate"].get("sharpe") or {}).get("value")
    trials = found.get("trials")
    rows = [
        ("Sharpe ratio", f"{number(sharpe, '+.2f')} annualised, of {found['bars']:,} bars"),
        ("PSR", f"{_share(found.get('psr'))}: probability that the true ratio is above 0"),
        ("trials", f"{NOTHING if trials is None else f'{trials:,}'} models or settings tried, as "
                   "the config says (backtest.trials)"),
        ("luck alone", f"{number(found.get('benchmark_sharpe'), '+.2f')} annualised, expected of "
                       "the best of so many worthless ones"),
        ("DSR", f"{_share(found.get('dsr'))}: probability that the true ratio is above that"),
        ("track record", _track_record(found, report)),
        ("shape", f"skewness {number(found.get('skewness'), '+.2f')}, kurtosis "
                  f"{number(found.get('kurtosis'), '.1f')} (a normal one has 3)"),
    ]  # fmt: skip
    words = note(
        "PSR and DSR: Bailey and López de Prado (2012, 2014). They know skewness and fat tails of "
        "these bars, and no change of regime."
    )
    return card(f"<h3>Sharpe ratio and luck</h3>{facts_list(rows)}{words}")


def _track_record(found: Mapping[str, Any], report: Mapping[str, Any]) -> str:
    bars = found.get("min_track_record_bars")
    if bars is None:
        return "no length would show that the ratio is above luck"
    return f"at least {bars_text(bars, report)} to be 95 % sure; the test has {found['bars']:,}"


def bars_text(bars: float, report: Mapping[str, Any]) -> str:
    """A number of bars, and how long that is."""
    seconds = (report.get("backtest") or {}).get("bar_seconds")
    long = "" if seconds is None else f" ({duration(round(bars * seconds * 1e9))} of trading)"
    return f"{bars:,.0f} bars{long}"


def _share(value: float | None) -> str:
    if value is None:
        return NOTHING
    return "> 0.999" if value > 0.999 else number(value, ".3f")


def _overfitting(report: Mapping[str, Any]) -> str:
    found = report.get("overfitting") or {}
    if found.get("pbo") is None:
        return ""
    splits = number(len(found.get("logits") or []) or found.get("n_splits"), ",")
    settings = number(found.get("strategies"), ",")
    words = (
        f"Probability of backtest overfitting {percent(found['pbo'])}: in so many of {splits} "
        f"ways to halve the time, the best of {settings} candidate thresholds in one half is below "
        "the middle in the other (left of the line). Bailey et al. (2017)."
    )
    return figure(drawing(report, "logits"), words, title="Are the settings overfitted?")


def _lift(report: Mapping[str, Any]) -> str:
    """The test of the lift over all folds, and how many folds stand on their own."""
    found = report.get("lift_test") or {}
    if found.get("p_value") is None:
        return ""
    rows = [("p", f"{p_text(found['p_value'])}, one-sided")]
    if found.get("baseline"):
        rows.insert(0, ("lift over", strategy_title(found["baseline"])))
    if found.get("difference") is not None:
        rows.append(("difference", f"{number(found['difference'], '+.4f')} of weighted F1"))
    if found.get("statistic") is not None:
        rows.append(("statistic", number(found["statistic"], "+.2f")))
    if found.get("effective_labels") is not None:
        n = sum(fold["n"] for fold in report["folds"])
        rows.append(("independent labels", f"{found['effective_labels']:,.0f} of {n:,}"))
    if found.get("method"):
        lag = "" if found.get("lag") is None else f", lag {found['lag']:g}"
        rows.append(("method", f"{found['method']}{lag}"))
    windows = [w for w in report.get("windows") or [] if w.get("p_adjusted") is not None]
    if windows:
        clear = sum(w["p_adjusted"] < 0.05 for w in windows)
        rows.append(("folds", f"{clear} of {len(windows)} with p below 0.05 on their own, adjusted "
                              "for how many there are (Benjamini and Hochberg 1995)"))  # fmt: skip
    return card(f"<h3>Test of the lift</h3>{facts_list(rows)}")
