"""What a sceptic asks, answered in plain words with the report's own figures."""

from collections.abc import Callable, Mapping
from typing import Any

from lob_backtest.contenders import MODEL
from lob_backtest.report.elements import questions
from lob_backtest.report.luck import bars_text
from lob_backtest.report.words import (
    coarse,
    interval,
    many,
    number,
    p_equals,
    percent,
    significant,
    strategy_title,
)

_ALPHA = 0.05
_EVEN = 0.5


def doubts(report: Mapping[str, Any]) -> str:
    """Questions with their answers; one without figures is left out."""
    return questions(answers(report))


def answers(report: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Every question that the report can answer, with the answer."""
    asked: dict[str, Callable[[Mapping[str, Any]], str]] = {
        "Does it predict better than a simple model?": _lift,
        "Does it earn, after costs?": _earns,
        "Could the return be luck?": _luck,
        "Is the record long enough?": _record,
        "Were the settings picked by luck?": _picked,
        "Does it hold in every period?": _periods,
        "What if trading costs more?": _costs,
        "Is it a handful of lucky trades?": _concentration,
        "Does it know when it knows?": _confidence,
    }
    found = [(question, answer(report)) for question, answer in asked.items()]
    return [(question, words) for question, words in found if words]


def _lift(report: Mapping[str, Any]) -> str:
    baseline, paired = report.get("baseline"), report.get("paired") or {}
    test = report.get("lift_test") or {}
    words = ""
    found = (paired.get(baseline) or {}).get("f1_weighted") or {}
    if found.get("difference") is not None:
        words = (
            f"Weighted F1 is {_difference(found, '.3f')} that of {strategy_title(str(baseline))}"
            f"{_chance(found)}."
        )
    if test.get("p_value") is not None:
        name = f" over {strategy_title(test['baseline'])}" if test.get("baseline") else ""
        words += f" A test of the lift{name} that counts overlapping labels once"
        if test.get("effective_labels") is not None:
            words += f" ({test['effective_labels']:,.0f} independent labels)"
        words += f" gives p {p_equals(test['p_value'])}."
    return words.strip()


def _earns(report: Mapping[str, Any]) -> str:
    net = report["aggregate"].get("net_return") or {}
    if net.get("value") is None:
        return ""
    between = interval(net, "+.3%")
    words = f"{number(net['value'], coarse('+.3%', net.get('low'), net.get('high')))} on capital"
    words += f" ({_level(report)} interval {between})" if between else ""
    if net.get("low") is not None:
        words += (
            ", which is above nothing." if net["low"] > 0
            else ", which is below nothing." if net["high"] < 0
            else ": it may as well be nothing."
        )  # fmt: skip
    else:
        words += "."
    other = (report.get("rules") or {}).get("backtest_baseline")
    found = ((report.get("paired") or {}).get(other) or {}).get("net_return") or {}
    if found.get("difference") is not None:
        words += (
            f" That is {_difference(found, '.3%')} that of {strategy_title(str(other))}"
            f"{_chance(found)}."
        )
    return words


def _luck(report: Mapping[str, Any]) -> str:
    found = report.get("sharpe_statistics") or {}
    if found.get("psr") is None:
        return ""
    words = f"The true Sharpe ratio is above 0 with a probability of {percent(found['psr'])} (PSR)"
    if found["psr"] < _EVEN:  # a loss needs no luck
        return words + "."
    trials = found.get("trials")
    if trials is None or found.get("dsr") is None:
        return words + "."
    if trials <= 1:
        return (
            f"{words}, if this was the only model that was ever tried; nothing was said of others, "
            "so nothing is deflated."
        )
    luck = number(found.get("benchmark_sharpe"), ".1f")
    return (
        f"{words}. The best of {trials:,} worthless ones would reach {luck} by luck alone; it is "
        f"above that with a probability of {percent(found['dsr'])} (deflated Sharpe ratio)."
    )


def _record(report: Mapping[str, Any]) -> str:
    found = report.get("sharpe_statistics") or {}
    need, got = found.get("min_track_record_bars"), found.get("bars")
    if got is None:
        return ""
    if need is None:
        return (
            f"No length would do: over {got:,} bars the Sharpe ratio is not above the "
            f"{number(found.get('benchmark_sharpe') or 0.0, 'g')} it is held against."
        )
    ends = "it is long enough." if got >= need else "it is too short."
    return (
        f"To be 95 % sure of a Sharpe ratio above nothing, a record like this one needs "
        f"{bars_text(need, report)}; it has {got:,}: {ends}"
    )


def _picked(report: Mapping[str, Any]) -> str:
    found = report.get("overfitting") or {}
    if found.get("pbo") is None:
        return ""
    halves = len(found.get("logits") or []) or found.get("n_splits")
    ways = f"{halves:,} ways" if halves else "the ways"
    return (
        "The candidate threshold that is best in one half of the time "
        f"ranks below the middle in the other half in {percent(found['pbo'])} of "
        f"{ways} to halve it (probability "
        "of backtest overfitting; 50 % is what guessing gives)."
    )


def _periods(report: Mapping[str, Any]) -> str:
    folds, words = report["folds"], []
    rates = [g["value"] for g in report["gates"] if g["name"] == "window_pass_rate"]
    if rates and rates[0] is not None:
        words.append(f"{rates[0] * len(folds):.0f} of {many(len(folds), 'fold')} reach the "
                     "required lift on their own")  # fmt: skip
    windows = [w["p_adjusted"] for w in report.get("windows") or [] if w["p_adjusted"] is not None]
    if windows:
        clear = sum(p < _ALPHA for p in windows)
        words.append(f"in {clear} of {len(windows)} it is too large for luck (false discovery rate "
                     f"of {_ALPHA:.0%})")  # fmt: skip
    net = [fold["net_return"] for fold in folds if fold.get("net_return") is not None]
    if net:
        words.append(f"{sum(value > 0 for value in net)} of {len(net)} earn after costs")
    shown = "; ".join(words)
    return f"{shown[:1].upper()}{shown[1:]}." if shown else ""


def _costs(report: Mapping[str, Any]) -> str:
    costs = report.get("cost_sensitivity")
    if not costs:
        return ""
    own = costs["strategies"][MODEL]
    if own["break_even_bps"] is None:
        return "It loses before any cost." if own["cost_bps"] is not None else ""
    words = f"The same trades break even at {significant(own['break_even_bps'])} bps of turnover"
    if own["cost_bps"] is not None:
        words += f"; these paid {significant(own['cost_bps'])} bps"
    multiple = own["break_even_multiple"]
    if multiple is not None:
        could = "could be as high as" if multiple >= 1 else "would have to come down to"
        words += f", so costs {could} {significant(multiple)} times what they are"
    return words + "."


def _concentration(report: Mapping[str, Any]) -> str:
    trades = report.get("trades") or {}
    found = trades.get("summary") or {}
    count, left_out = trades.get("n"), found.get("best_left_out")
    if found.get("without_best") is None or not count or not left_out or count <= left_out:
        return ""
    if found["net_pnl"] <= 0:  # nothing was earned that could be a handful's
        return ""
    currency = (report.get("data") or {}).get("currency", "")
    return (
        f"{many(count, 'trade')} earned {number(found['net_pnl'], '+,.2f')} {currency}; "
        f"without the best {left_out} it is "
        f"{number(found['without_best'], '+,.2f')} {currency}. Half of the trades earned "
        f"{significant(found['median'])} {currency} or less."
    )


def _confidence(report: Mapping[str, Any]) -> str:
    rows = report.get("confidence") or []
    half = next((row for row in rows if row["share"] <= 0.5), None)
    if half is None or half is rows[0] or half["share"] < 0.01:
        return ""
    words = (
        f"The {half['share']:.0%} most confident decisions are right in {half['accuracy']:.0%}, "
        f"all of them in {rows[0]['accuracy']:.0%}"
    )
    ece = (report["aggregate"].get("ece") or {}).get("value")
    return words + ("." if ece is None else f"; its confidence is off by {ece:.1%} on average.")


def _difference(found: Mapping[str, Any], form: str) -> str:
    value = found["difference"]
    form = coarse(form, found.get("low"), found.get("high"))
    way = "above" if value >= 0 else "below"
    between = interval(found, f"+{form}")
    words = f"{number(abs(value), form)} "
    words += f"({between}) " if between else ""
    return words + way


def _chance(found: Mapping[str, Any]) -> str:
    adjusted, plain = found.get("p_adjusted"), found.get("p_value")
    if adjusted is not None:
        return f", p {p_equals(adjusted)} after adjusting for all baselines"
    return "" if plain is None else f", p {p_equals(plain)}"


def _level(report: Mapping[str, Any]) -> str:
    return f"{(report.get('intervals') or {}).get('level', 0.95) * 100:.0f} %"
