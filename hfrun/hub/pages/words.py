"""How the pages write figures, sizes, dates and foreign names."""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

NOTHING = "–"


@dataclass(frozen=True, kw_only=True)
class Measure:
    """A figure of the reports: how it is called and written, and whether less of it is better."""

    title: str
    form: str
    less_is_better: bool = False


MEASURES: Mapping[str, Measure] = {
    "accuracy": Measure(title="Accuracy", form=".3f"),
    "f1_weighted": Measure(title="F1 weighted", form=".3f"),
    "f1_macro": Measure(title="F1 macro", form=".3f"),
    "mcc": Measure(title="MCC", form="+.3f"),
    "ece": Measure(title="ECE", form=".3f", less_is_better=True),
    "mce": Measure(title="MCE", form=".3f", less_is_better=True),
    "brier": Measure(title="Brier score", form=".3f", less_is_better=True),
    "nll": Measure(title="Log loss", form=".3f", less_is_better=True),
    "net_return": Measure(title="Net return", form="+.2%"),
    "gross_return": Measure(title="Gross return", form="+.2%"),
    "sharpe": Measure(title="Sharpe", form="+.2f"),
    "sortino": Measure(title="Sortino", form="+.2f"),
    "max_drawdown": Measure(title="Max drawdown", form=".2%", less_is_better=True),
    "volatility": Measure(title="Volatility", form=".2%", less_is_better=True),
    "hit_rate": Measure(title="Hit rate", form=".0%"),
    "turnover": Measure(title="Turnover", form=",.2f", less_is_better=True),
    "trades": Measure(title="Trades", form=",.0f"),
    "costs_paid": Measure(title="Costs paid", form=",.2f", less_is_better=True),
    "majority_accuracy": Measure(title="Majority accuracy", form=".3f"),
}
SHOWN_MEASURES = ("accuracy", "f1_weighted", "mcc", "net_return", "sharpe")

GATE_TITLES: Mapping[str, str] = {
    "f1_lift": "Lift of F1",
    "train_eval_gap": "Train-evaluation gap",
    "grad_norm": "Gradient norm",
    "window_pass_rate": "Windows that pass",
    "window_stability": "Stability of windows",
    "calibration": "Calibration",
    "backtest": "Backtest",
}

_LARGEST = 1e12  # a figure beyond it is written with an exponent, so that no cell grows without end
_UNITS = ("B", "kB", "MB", "GB", "TB")
_JOINERS = "\u200c\u200d"  # scripts and emoji need them


def measure(key: str) -> Measure:
    """A known measure, or one that carries its key for a name."""
    return MEASURES.get(key) or Measure(title=key.replace("_", " "), form=".4g")


def figure(value: float | None, form: str) -> str:
    """A figure with a true minus sign, or a dash where there is none.

    >>> figure(-0.0123, "+.2%"), figure(None, ".3f")
    ('−1.23%', '–')
    """
    if value is None:
        return NOTHING
    return format(value, form if abs(value) < _LARGEST else ".3e").replace("-", "\u2212")


def size(n_bytes: int) -> str:
    """Bytes as they are read.

    >>> size(999), size(1_500), size(5_000_000_000)
    ('999 B', '1.5 kB', '5.0 GB')
    """
    value, unit = float(n_bytes), 0
    while value >= 999.95 and unit < len(_UNITS) - 1:
        value, unit = value / 1000, unit + 1
    return f"{value:.1f} {_UNITS[unit]}" if unit else f"{n_bytes} B"


def date(iso: str) -> str:
    """Day and minute of a commit's or setting's time, which is UTC.

    >>> date("2024-05-01T12:00:00.000Z")
    '2024-05-01 12:00'
    """
    return iso[:16].replace("T", " ")


def visible(text: str) -> str:
    """Text whose invisible characters show: those that turn its direction, or hide what it is.

    >>> visible("a" + chr(0x202E) + "b")
    'a[U+202E]b'
    """
    return "".join(f"[U+{ord(c):04X}]" if _is_hidden(c) else c for c in text)


def revision_name(revision: str) -> str:
    """A branch or tag as it is, a pull request's ref in words, a commit's id in short."""
    if len(revision) == 40 and all(c in "0123456789abcdef" for c in revision):
        return revision[:8]
    return visible(revision)


def address_segment(text: str) -> str:
    """Text as one segment of an address: ``run/1`` becomes ``run%2F1``."""
    return quote(text, safe="")


def _is_hidden(character: str) -> bool:
    if character in "\n\t" or character in _JOINERS:
        return False
    return unicodedata.category(character) in ("Cc", "Cf", "Co", "Cs", "Zl", "Zp")
