"""How the report names and writes its figures: one place, so that table and page agree."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from typing import Any

from lob_backtest.contenders import MODEL

NOTHING = "–"


@dataclass(frozen=True, kw_only=True)
class Measure:
    """A figure of the report: its key, how it is called and written, and what it means."""

    key: str
    title: str
    form: str
    help: str

    def text(self, value: float | None) -> str:
        return NOTHING if value is None else format(value, self.form).replace("-", "\u2212")


CLASSIFICATION = (
    Measure(key="f1_weighted", title="F1 weighted", form=".3f",
            help="F1 of each class, weighted by how often the class is true"),
    Measure(key="f1_macro", title="F1 macro", form=".3f", help="plain mean of the classes' F1"),
    Measure(key="accuracy", title="accuracy", form=".3f", help="share of right decisions"),
    Measure(key="majority_accuracy", title="majority", form=".3f",
            help="accuracy of always saying the most frequent class"),
    Measure(key="mcc", title="MCC", form="+.3f",
            help="Matthews correlation: 0 is chance, 1 is perfect"),
    Measure(key="ece", title="ECE", form=".3f",
            help="expected calibration error: mean distance of confidence from accuracy"),
    Measure(key="brier", title="Brier", form=".3f",
            help="squared error of the probabilities, summed over classes; less is better"),
)  # fmt: skip
TRADING = (
    Measure(key="net_return", title="net return", form="+.3%", help="on capital, after costs"),
    Measure(key="gross_return", title="gross return", form="+.3%",
            help="on capital, the same trades at the mid-price without fees"),
    Measure(key="max_drawdown", title="max drawdown", form=".3%",
            help="deepest fall of equity below its running peak"),
    Measure(key="sharpe", title="Sharpe", form="+.2f", help="annualised, on clock bars, net"),
    Measure(key="trades", title="trades", form=",.0f", help="see the note on trades"),
    Measure(key="sortino", title="Sortino", form="+.2f",
            help="annualised mean over the deviation of the losses, net"),
    Measure(key="volatility", title="volatility", form=".2%",
            help="annualised standard deviation of the bars' net returns"),
    Measure(key="hit_rate", title="hit rate", form=".0%", help="share of trades that earned"),
    Measure(key="turnover", title="turnover", form=",.2f", help="traded notional over capital"),
    Measure(key="costs_paid", title="costs paid", form=",.2f",
            help="half-spreads and fees, in currency"),
)  # fmt: skip
MEASURES: Mapping[str, Measure] = {m.key: m for m in (*CLASSIFICATION, *TRADING)}

GATE_TITLES = {
    "f1_lift": "Better than the best simple model",
    "train_eval_gap": "Has not learnt by heart",
    "grad_norm": "Trained steadily",
    "window_pass_rate": "Better in most windows",
    "window_stability": "Alike in all windows",
    "calibration": "Probabilities mean what they say",
    "backtest": "Earns after costs",
}
GATE_FORMS = {
    "f1_lift": ("lift of F1", "+.3f", "at least"),
    "train_eval_gap": ("accuracy gap", "+.3f", "at most"),
    "grad_norm": ("P95 of the norm", ".2f", "below"),
    "window_pass_rate": ("share of windows", ".0%", "at least"),
    "window_stability": ("variation of F1", ".3f", "below"),
    "calibration": ("ECE", ".3f", "below"),
    "backtest": ("net return", "+.3%", "at least"),
}
ALARM_TITLES = {
    "foresight": "Sides that catch every move",
    "shuffled_labels": "Labels shuffled within blocks",
    "shuffled_sides": "Sides shuffled within blocks",
    "late_by_one": "Predictions one decision late",
    "late_by_horizon": "Predictions a horizon late",
    "features_delayed": "Features one decision late",
    "features_future": "Features under another future",
    "canary": "A model made to peek",
}
SLICE_TITLES = {
    "time_of_day": "Time of day",
    "session": "Day",
    "spread": "Spread at the decision",
    "volatility": "Volatility before the decision",
}
STRATEGY_TITLES = {
    MODEL: "model",
    "majority": "majority class",
    "last_move": "last move",
    "imbalance": "book imbalance",
    "logistic": "logistic regression",
    "boosting": "gradient boosting",
    "tfidf_logistic": "words and pairs of words",
    "buy_and_hold": "buy and hold",
    "flat": "flat",
}


def strategy_title(name: str) -> str:
    """How a strategy is called; one without a title keeps its own name.

    A model of a hub is named by the gates and the provenance; plots and tables have no room for it.
    """
    if name.startswith("hub:"):
        return "model in use"
    return STRATEGY_TITLES.get(name, name)


def number(value: float | None, form: str) -> str:
    """A figure with a true minus sign, or a dash where there is none."""
    return NOTHING if value is None else format(value, form).replace("-", "\u2212")


def told_apart(value: float, limit: float, form: str) -> tuple[str, str]:
    """Both figures with so many places that different ones look different.

    >>> told_apart(0.0196, 0.02, ".2f"), told_apart(0.5, 0.02, ".2f")
    (('0.0196', '0.0200'), ('0.50', '0.02'))
    """
    head, places, kind = form.partition(".")[0], int(form[-2]), form[-1]
    while places < 6 and value != limit:
        if number(value, form) != number(limit, form):
            break
        places += 1
        form = f"{head}.{places}{kind}"
    return number(value, form), number(limit, form)


def significant(value: float, digits: int = 3) -> str:
    """A positive or negative figure with that many digits, without an exponent.

    >>> significant(0.0123456), significant(12345.6)
    ('0.0123', '12,346')
    """
    if value == 0:
        return "0"
    places = max(digits - 1 - math.floor(math.log10(abs(value))), 0)
    return number(value, f",.{places}f")


def interval(figure: Mapping[str, Any], form: str) -> str:
    """``low to high`` of an aggregate figure, or nothing where there is no interval."""
    low, high = figure.get("low"), figure.get("high")
    if low is None or high is None or low == high:
        return ""
    form = coarse(form, low, high)
    return f"{number(low, form)} to {number(high, form)}"


def coarse(form: str, low: float | None, high: float | None) -> str:
    """The form with no more places than an interval leaves meaning: two digits of its half-width.

    >>> coarse("+.3%", -0.012, 0.116), coarse(".3f", 0.36, 0.42), coarse("+.2f", 20.0, 90.0)
    ('+.1%', '.3f', '+.0f')
    """
    if low is None or high is None or not high > low:
        return form
    lead, places, kind = form.partition(".")[0], int(form[-2]), form[-1]
    half = (high - low) / 2 * (100 if kind == "%" else 1)
    return f"{lead}.{min(places, max(1 - math.floor(math.log10(half)), 0))}{kind}"


def p_text(value: float | None) -> str:
    """A p-value as people write it.

    >>> p_text(0.00002), p_text(0.0123), p_text(0.4567)
    ('< 0.001', '0.012', '0.46')
    """
    if value is None:
        return NOTHING
    return "< 0.001" if value < 0.001 else format(value, ".3f" if value < 0.1 else ".2f")


def p_equals(value: float) -> str:
    """A p-value after the letter p: ``= 0.012``, ``< 0.001``."""
    shown = p_text(value)
    return shown if shown.startswith("<") else f"= {shown}"


def percent(value: float) -> str:
    """A probability; never 0 % or 100 %, which nobody knows.

    >>> percent(0.99999), percent(0.123), percent(0.9912)
    ('> 99.9 %', '12 %', '99.1 %')
    """
    if value > 0.999:
        return "> 99.9 %"
    if value < 0.001:
        return "< 0.1 %"
    return f"{100 * value:.1f} %" if value > 0.99 or value < 0.01 else f"{100 * value:.0f} %"


def alarm_title(alarm: Mapping[str, Any]) -> str:
    """How a leak alarm is called, and of which instrument it is where there are several."""
    name = str(alarm["name"])
    title = ALARM_TITLES.get(name, name.replace("_", " ").capitalize())
    return f"{title}, {alarm['instrument']}" if alarm.get("instrument") else title


def many(count: float, what: str) -> str:
    """A count with its noun.

    >>> many(1, "fold"), many(1200, "trade")
    ('1 fold', '1,200 trades')
    """
    return f"{count:,.12g} {what}{'s' if count != 1 else ''}"


def sentence(words: str) -> str:
    """With a capital, a full stop and true minus signs."""
    whole = re.sub(r"(?<![\w-])-(?=\d)", "\u2212", words[:1].upper() + words[1:])
    return whole if whole.endswith((".", "!", "?")) else whole + "."


def moment(time_ns: int) -> str:
    """An instant in UTC to the second, as ISO 8601 with a blank."""
    return datetime.fromtimestamp(time_ns // 1_000_000_000, tz=UTC).strftime("%Y-%m-%d %H:%M:%S")


def duration(span_ns: int) -> str:
    """A span of time in its largest fitting unit.

    >>> duration(90_000_000_000), duration(3_600_000_000_000 * 30), duration(1_500_000)
    ('90 s', '30 h', '1.5 ms')
    """
    seconds = span_ns / 1e9
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.3g} {unit}"
    for unit, span in (("s", 1_000_000_000), ("ms", 1_000_000), ("\u00b5s", 1_000)):
        if span_ns >= span:
            return f"{span_ns / span:.3g} {unit}"
    return f"{span_ns} ns"


def text(value: object) -> str:
    """Escaped for HTML, quotes too."""
    return escape(str(value), quote=True)
