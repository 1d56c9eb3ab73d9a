"""The acceptance gates: written limits that a model meets or does not, each with its figures.

    f1_lift           weighted F1 above the baseline's and above that of guesses with the model's
                      own class shares, also without the best single fold
    train_eval_gap    train minus evaluation accuracy
    grad_norm         gradient norm before clipping, P95 (required) and P50 (advice)
    window_pass_rate  share of folds that reach the lift on their own
    window_stability  spread of the folds' F1 relative to its mean
    calibration       probabilities that mean what they say (optional)
    backtest          net return, drawdown and Sharpe ratio against a strategy, after costs

One test set without time, as of texts, has no folds to leave out and nothing to trade: its windows
and its backtest are not judged, and its lift must be beyond its own interval instead.

The gates read the report's figures and nothing else, so a written report can be judged again.
A required gate whose figures are missing fails: what was not shown is not assumed.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from statistics import fmean, stdev
from typing import Any, Literal

import numpy as np

from lob_backtest.config import GatesConfig
from lob_backtest.errors import GateError
from lob_backtest.strict_yaml import unknown_keys
from lob_backtest.trading import BUY_AND_HOLD, FLAT
from lob_backtest.training_figures import TrainingFigures

GATE_NAMES = (
    "f1_lift",
    "train_eval_gap",
    "grad_norm",
    "window_pass_rate",
    "window_stability",
    "calibration",
    "backtest",
)
_NONE_IN_ONE_TEST = {
    "window_pass_rate": "one test set of texts has no windows",
    "window_stability": "one test set of texts has no windows",
    "backtest": "texts are not traded",
}
# Limits are decimal numbers: 0.52 reaches 0.50 + 0.02 although binary arithmetic may miss it.
_ROUNDING = 1e-12

Figures = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Gate:
    """One gate's outcome.

    Attributes:
        name: one of ``GATE_NAMES``.
        passed: None where the gate was not judged.
        value, limit: the figure that decides and its limit; None where there is no figure.
        required: whether the verdict needs this gate.
        reason: one sentence with the figures.
    """

    name: str
    passed: bool | None
    value: float | None
    limit: float | None
    required: bool
    reason: str

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def judge(
    *,
    folds: Sequence[Figures],
    aggregate: Figures,
    rules: GatesConfig,
    training: TrainingFigures | None = None,
    one_test: Figures | None = None,
) -> list[Gate]:
    """Judge a walk-forward, or one test set, by every gate, in the order of ``GATE_NAMES``.

    Args:
        folds: the report's folds; of each ``n``, ``f1_weighted`` and ``baselines`` with the same;
            ``confusion`` too, where guesses are to be beaten.
        aggregate: the report's aggregate, ``{key: {value, low, high}}`` and ``baselines``.
        rules: the limits, and the gates that are off.
        training: what the training run knows; without it ``train_eval_gap`` and ``grad_norm``
            fail unless they are off.
        one_test: of one test set without time the report's ``paired``: by baseline, the model's
            lead over it in ``f1_weighted``, with ``difference, low, high``.

    Raises:
        GateError: an unknown gate in ``rules.off``, or a baseline that was not scored.
    """
    check_rules(rules, baselines=None)
    figures = training or TrainingFigures()
    judges: dict[str, Callable[[], Gate]] = {
        "f1_lift": lambda: _f1_lift(folds, aggregate, rules),
        "train_eval_gap": lambda: _train_eval_gap(folds, figures, rules),
        "grad_norm": lambda: _grad_norm(figures, rules),
        "window_pass_rate": lambda: _window_pass_rate(folds, aggregate, rules),
        "window_stability": lambda: _window_stability(folds, rules),
        "calibration": lambda: _calibration(aggregate, rules),
        "backtest": lambda: _backtest(aggregate, rules),
    }
    if one_test is not None:
        judges |= {
            "f1_lift": lambda: _f1_lift_of_one_test(folds, aggregate, rules, one_test),
            **{name: partial(_left_out, name, why) for name, why in _NONE_IN_ONE_TEST.items()},
        }
    return [
        _left_out(name, "switched off by name in gates.off")
        if name in rules.off
        else judges[name]()
        for name in GATE_NAMES
    ]


def check_rules(rules: GatesConfig, *, baselines: Sequence[str] | None) -> None:
    """Refuse names that no gate or baseline bears; cheap, so do it before the long work.

    Args:
        rules: ``off``, ``baseline`` and ``backtest_baseline`` are looked at.
        baselines: those that will be scored; None leaves the baselines alone.

    Raises:
        GateError: an unknown name.
    """
    problems = unknown_keys(dict.fromkeys(rules.off), GATE_NAMES, "gates.off")
    if baselines is not None and rules.baseline != "best":
        problems += unknown_keys({rules.baseline: None}, baselines, "gates.baseline")
    if baselines is not None:
        traded = [*baselines, BUY_AND_HOLD, FLAT]
        problems += unknown_keys({rules.backtest_baseline: None}, traded, "gates.backtest_baseline")
    if problems:
        raise GateError("; ".join(problems))


def verdict(gates: Sequence[Gate], *, alarms: Sequence[Figures] = ()) -> Literal["pass", "fail"]:
    """``pass`` when there is a required gate, all of them passed, and no leak alarm was raised.

    Args:
        gates: from ``judge``.
        alarms: the report's, each with ``raised``; one that could not be tried does not count.
    """
    required = [gate for gate in gates if gate.required]
    passed = bool(required) and all(gate.passed is True for gate in required)
    return "pass" if passed and not any(each["raised"] is True for each in alarms) else "fail"


def classification_baseline(aggregate: Figures, wanted: str) -> str | None:
    """The baseline that the model's F1 is measured against; None where none was scored.

    ``best`` is the one with the highest weighted F1 over all evaluation folds: chosen with
    hindsight, which makes the gate harder, never easier.
    """
    scored: dict[str, float] = {
        name: figures["f1_weighted"]["value"]
        for name, figures in aggregate["baselines"].items()
        if figures["f1_weighted"]["value"] is not None
    }
    if not scored:
        return None
    if wanted == "best":
        return max(scored, key=lambda name: scored[name])
    if wanted not in scored:
        raise GateError(
            f"gates.baseline={wanted}: not among the scored baselines {', '.join(scored)}; "
            "name one of them, or best"
        )
    return wanted


def _f1_lift(folds: Sequence[Figures], aggregate: Figures, rules: GatesConfig) -> Gate:
    name = classification_baseline(aggregate, rules.baseline)
    if name is None:
        return _unjudged("f1_lift", rules.f1_lift, "no baseline was scored; score at least one")
    if len(folds) < 2:
        return _unjudged(
            "f1_lift",
            rules.f1_lift,
            f"got {len(folds)} fold; leaving the best one out needs at least 2",
        )
    rest = [_lift([*folds[:i], *folds[i + 1 :]], name) for i in range(len(folds))]
    best = int(np.argmin(rest))  # the fold that carries most, by its lift and its decisions
    whole, without = _lift(folds, name), rest[best]
    value = min(whole, without)
    passed = value >= rules.f1_lift - _ROUNDING
    reason = (
        f"weighted F1 is {_mean_f1(folds, None):.3f} against {_mean_f1(folds, name):.3f} of {name} "
        f"as a mean over {len(folds)} folds by their decisions{_guesses(folds, name)} "
        f"({whole:+.3f}; {without:+.3f} without the best fold, {folds[best]['fold']}); "
        f"both lifts need to be at least {rules.f1_lift:+.3f}"
    )
    return _judged("f1_lift", passed, value, rules.f1_lift, reason)


def _f1_lift_of_one_test(
    folds: Sequence[Figures], aggregate: Figures, rules: GatesConfig, leads: Figures
) -> Gate:
    """There is no fold to leave out: what must hold beside the lift is that it is not by luck."""
    limit, name = rules.f1_lift, classification_baseline(aggregate, rules.baseline)
    if name is None:
        return _unjudged("f1_lift", limit, "no baseline was scored; score at least one")
    lead = (leads.get(name) or {}).get("f1_weighted") or {}
    if lead.get("low") is None or lead.get("high") is None:
        count = sum(fold["n"] for fold in folds)
        return _unjudged("f1_lift", limit, f"{count} texts are too few for an interval of the lift")
    value = _lift(folds, name)
    # Guesses that are better than the baseline move the whole interval down with the lift.
    above = _mean_f1(folds, None) - _mean_f1(folds, name) - value
    low, high = lead["low"] - above, lead["high"] - above
    passed = value >= limit - _ROUNDING and low > 0
    reason = (
        f"weighted F1 is {_mean_f1(folds, None):.3f} against {_mean_f1(folds, name):.3f} of {name}"
        f"{_guesses(folds, name)} ({value:+.3f}, {low:+.3f} to {high:+.3f}); the lift needs to be "
        f"at least {limit:+.3f}, and its interval above 0"
    )
    return _judged("f1_lift", passed, value, limit, reason)


def _train_eval_gap(
    folds: Sequence[Figures], training: TrainingFigures, rules: GatesConfig
) -> Gate:
    limit, train = rules.max_train_eval_gap, training.train_accuracy
    if not train:
        return _unjudged(
            "train_eval_gap", limit, _needs_training("train accuracy", "train_eval_gap")
        )
    if len(train) not in (1, len(folds)):
        raise GateError(
            f"got {len(train)} train accuracies for {len(folds)} evaluation folds; needs one of "
            "each fold, in order, or one for all"
        )
    train = train * len(folds) if len(train) == 1 else train
    gaps = [own - fold["accuracy"] for own, fold in zip(train, folds, strict=True)]
    # a fold that was not learnt at all must not make up for one that was learnt by heart
    gap = fmean(max(each, 0.0) for each in gaps)
    passed = gap <= limit + _ROUNDING
    reason = (
        f"train minus evaluation accuracy is {gaps[0]:+.3f}, allowed is {limit:.3f}"
        if len(gaps) == 1
        else f"train minus evaluation accuracy, at least 0 in each fold, is {gap:.3f} on average "
        f"over {len(gaps)} folds (worst {max(gaps):+.3f}), allowed is {limit:.3f}"
    )
    if passed and gap > rules.warn_train_eval_gap + _ROUNDING:
        reason += f"; warning: above {rules.warn_train_eval_gap:.3f}, it begins to learn by heart"
    return _judged("train_eval_gap", passed, gap, limit, reason)


def _grad_norm(training: TrainingFigures, rules: GatesConfig) -> Gate:
    limit, p50, p95 = rules.max_grad_norm_p95, training.grad_norm_p50, training.grad_norm_p95
    if training.grad_norm_non_finite:
        steps = training.grad_norm_non_finite
        return _unjudged("grad_norm", limit, f"the gradient was not finite in {steps} steps")
    if p95 is None:
        return _unjudged("grad_norm", limit, _needs_training("gradient norms", "grad_norm"))
    low, high = rules.grad_norm_p50
    reason = f"gradient norm before clipping: P95 is {p95:.2f} over all steps, needs < {limit:.2f}"
    if p50 is not None:
        within = low <= p50 <= high
        advice = "within" if within else "advice: outside"
        reason += f"; P50 is {p50:.2f}, {advice} {low:g} to {high:g}"
        if not within:
            change = "lower" if p50 > high else "raise"
            reason += f" ({change} the learning rate or look at the loss scale)"
    return _judged("grad_norm", p95 < limit, p95, limit, reason)


def _window_pass_rate(folds: Sequence[Figures], aggregate: Figures, rules: GatesConfig) -> Gate:
    limit = rules.min_window_pass_rate
    name = classification_baseline(aggregate, rules.baseline)
    if name is None:
        return _unjudged("window_pass_rate", limit, "no baseline was scored; score at least one")
    reached = sum(_lift([fold], name) >= rules.f1_lift - _ROUNDING for fold in folds)
    rate = reached / len(folds)
    reason = (
        f"{reached} of {len(folds)} folds ({rate:.0%}) have a weighted F1 of at least "
        f"{rules.f1_lift:.3f} above {name}{_guesses(folds, name)}, needs {limit:.0%}"
    )
    return _judged("window_pass_rate", rate >= limit - _ROUNDING, rate, limit, reason)


def _window_stability(folds: Sequence[Figures], rules: GatesConfig) -> Gate:
    limit = rules.max_window_variation
    scores = [fold["f1_weighted"] for fold in folds]
    if len(scores) < 2:
        return _unjudged("window_stability", limit, "got 1 fold; a spread needs at least 2")
    mean, deviation = fmean(scores), stdev(scores)
    if mean == 0:
        return _unjudged("window_stability", limit, "weighted F1 is 0 in every fold")
    variation = deviation / mean
    reason = (
        f"weighted F1 of the {len(scores)} folds is {mean:.3f} on average, each fold counting the "
        f"same, with a sample standard deviation (ddof 1) of {deviation:.3f}: a variation of "
        f"{variation:.3f}, needs < {limit:.3f}"
    )
    return _judged("window_stability", variation < limit, variation, limit, reason)


def _calibration(aggregate: Figures, rules: GatesConfig) -> Gate:
    ece, brier = aggregate["ece"]["value"], aggregate["brier"]["value"]
    passed = ece < rules.max_ece
    reason = f"expected calibration error is {ece:.3f}, needs < {rules.max_ece:.3f}"
    name = classification_baseline(aggregate, rules.baseline)
    if name is not None:
        other = aggregate["baselines"][name]["brier"]["value"]
        gain = 1 - brier / other if other > 0 else 0.0
        passed = passed or gain >= rules.min_brier_gain - _ROUNDING
        reason += (
            f", or a Brier score {rules.min_brier_gain:.0%} below that of {name}: it is "
            f"{brier:.3f} against {other:.3f} ({abs(gain):.1%} {'below' if gain >= 0 else 'above'})"
        )
    return _judged("calibration", passed, ece, rules.max_ece, reason, required=False)


def _backtest(aggregate: Figures, rules: GatesConfig) -> Gate:
    if aggregate["net_return"]["value"] is None:
        return _left_out("backtest", "no backtest was run (no backtest section in the config)")
    name = rules.backtest_baseline
    traded = {
        other: figures
        for other, figures in aggregate["baselines"].items()
        if figures["net_return"]["value"] is not None
    }
    if name not in traded:
        raise GateError(
            f"gates.backtest_baseline={name}: not among the strategies {', '.join(traded)}; "
            "name one of them"
        )
    own, other = _traded(aggregate), _traded(traded[name])
    shortfalls = [
        (own["trades"] < 1, "it never trades, so it has shown nothing"),
        (own["net_return"] < -_ROUNDING, "it loses money, and staying flat does not"),
        (own["net_return"] < other["net_return"] - _ROUNDING, f"it returns less than {name}"),
        (own["max_drawdown"] > other["max_drawdown"] + _ROUNDING, "its drawdown is deeper"),
        (own["sharpe"] < other["sharpe"] - _ROUNDING, "its Sharpe ratio is lower"),
    ]
    failed = [words for short, words in shortfalls if short]
    reason = (
        f"after costs, against {name}: net return {own['net_return']:+.3%} "
        f"({other['net_return']:+.3%}), "
        f"maximum drawdown {own['max_drawdown']:.3%} ({other['max_drawdown']:.3%}), "
        f"Sharpe ratio {own['sharpe']:.2f} ({other['sharpe']:.2f}), {own['trades']:.0f} trades"
        + (f": {', '.join(failed)}" if failed else ", none worse, and not below flat")
    )
    limit = max(other["net_return"], 0.0)
    return _judged("backtest", not failed, own["net_return"], limit, reason)


def _traded(figures: Figures) -> dict[str, float]:
    names = ("net_return", "max_drawdown", "sharpe", "trades")
    # A Sharpe ratio without deviation is undefined; for the comparison: no return for no risk.
    return {name: figures[name]["value"] or 0.0 for name in names}


def _lift(folds: Sequence[Figures], baseline: str) -> float:
    """Above the baseline, or above guessing where that is better.

    On noise a baseline that always says one class has a lower F1 than guesses have: without them
    whoever throws dice would be ahead of it.
    """
    return _mean_f1(folds, None) - max(_mean_f1(folds, baseline), _mean_guess_f1(folds))


def _mean_guess_f1(folds: Sequence[Figures]) -> float:
    """Mean of the folds' weighted F1 of the model's own guesses in random order, by decisions.

    With ``true_c`` and ``said_c`` of n, a random order hits ``true_c said_c / n`` on average, and
    F1 is linear in the hits: ``sum_c true_c / n * 2 true_c said_c / (n (true_c + said_c))``.
    A constant guess is its own: it has no lift. 0 where no confusion is known.
    """
    total = 0.0
    for fold in folds:
        if fold.get("confusion") is not None:
            counts = np.asarray(fold["confusion"], dtype=np.float64)
            true, said, n = counts.sum(axis=1), counts.sum(axis=0), counts.sum()
            f1 = 2 * true * said / (n * np.maximum(true + said, 1))
            total += fold["n"] * float((true * f1).sum() / n)
    return float(total / sum(fold["n"] for fold in folds))


def _guesses(folds: Sequence[Figures], baseline: str) -> str:
    """Words for the reason where guesses are what is to be beaten."""
    guess = _mean_guess_f1(folds)
    if guess <= _mean_f1(folds, baseline):
        return ""
    return f", and {guess:.3f} of guesses with the same class shares,"


def _mean_f1(folds: Sequence[Figures], baseline: str | None) -> float:
    """Mean of the folds' weighted F1, each fold counting by its decisions.

    Not the F1 of all decisions in one table: over folds whose class shares differ, that one would
    credit a constant guess for changing from fold to fold.
    """
    n = sum(fold["n"] for fold in folds)
    scores = [fold if baseline is None else fold["baselines"][baseline] for fold in folds]
    pairs = zip(folds, scores, strict=True)
    return float(sum(fold["n"] * score["f1_weighted"] for fold, score in pairs) / n)


def _needs_training(what: str, gate: str) -> str:
    return (
        f"no {what} given; give --training FILE, or switch the gate off by name: gates.off=[{gate}]"
    )


def _judged(
    name: str, passed: bool, value: float, limit: float, reason: str, *, required: bool = True
) -> Gate:
    return Gate(
        name=name, passed=passed, value=value, limit=limit, required=required, reason=reason
    )


def _unjudged(name: str, limit: float, reason: str) -> Gate:
    words = f"cannot be judged: {reason}"
    return Gate(name=name, passed=False, value=None, limit=limit, required=True, reason=words)


def _left_out(name: str, reason: str) -> Gate:
    words = f"not judged: {reason}"
    return Gate(name=name, passed=None, value=None, limit=None, required=False, reason=words)
