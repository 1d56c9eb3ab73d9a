"""Rules about the fit: bias, variance, data mismatch, and where overfitting begins.

    train error ─► train-dev error ─► evaluation error ─► test error
            variance         data mismatch       choice of the epoch

Train-dev is data of the training's own time that was not trained on; where it was not measured,
variance and data mismatch cannot be told apart, and the message says so.
"""

from hfrun.diagnosis.course_view import (
    Best,
    best_of,
    count,
    evaluation_size,
    finite,
    fold_report,
    number,
    override,
    rate_to_fit_more,
    series,
    train_dev_size,
    train_size,
)
from hfrun.diagnosis.finding import Sign
from hfrun.diagnosis.noise import difference_error
from hfrun.diagnosis.rule import course_rule
from hfrun.diagnosis.sources import DEEPLOB, TREE
from hfrun.record import Course, RunRecord

_SHARED = 0.9  # of the evaluation error; what is left is too little to be worth regularizing
_GAP, _WIDE_GAP = 0.05, 0.10  # the second is where the gate on the gap begins to warn
_MISMATCH = 0.03
_BELOW = 0.03
_LEARNT = 0.05  # of train accuracy above the share of the most frequent class


@course_rule(TREE)
def bias(course: Course, record: RunRecord) -> Sign | None:
    """The training data itself is not fitted: a simpler model does better, or the errors are one.

    Train accuracies of all evaluations count: what was fitted in any epoch can be fitted.
    """
    best, fitted = best_of(course, record), series(course, "train_accuracy")
    if best is None or not fitted or "eval_accuracy" not in best.figures:
        return None
    epoch, train = max(fitted, key=lambda held: held[1])
    simpler = _best_baseline(course, record)
    if simpler is not None:
        name, reached, n = simpler
        error = difference_error(reached, n, train, train_size(course, record) or n)
        if reached - train > 2 * error:  # and it beats the model on that block as well
            return Sign(
                severity="warning",
                message=f"bias: it never had more than {train:.4g} of its own training data right "
                f"(epoch {epoch:g}), and {name} has {reached:.4g} of the test block right",
                evidence={"train_accuracy_most": train, "baseline": name,
                          "baseline_test_accuracy": reached, "standard_error": error},
                next_experiment=_fit_more(course, record),
                weight=1 + reached - train,
            )  # fmt: skip
    seen = best.figures["eval_accuracy"]
    share = (1 - train) / (1 - seen) if seen < 1 else 0.0
    if share < _SHARED:
        return None
    majority = best.figures.get("eval_majority_accuracy")
    has_learnt = majority is not None and train - majority >= _LEARNT
    return Sign(
        severity="info" if has_learnt else "advice",
        message=f"bias, or labels that cannot be known: of the evaluation error {1 - seen:.4g}, "
        f"{min(share, 1):.0%} is there on the training data too (accuracy {train:.4g} at most), so "
        "regularization will not mend it",
        evidence={"train_accuracy_most": train, "eval_accuracy": seen, "shared_error": share},
        next_experiment=_fit_more(course, record),
        weight=share,
    )


def _best_baseline(course: Course, record: RunRecord) -> tuple[str, float, int] | None:
    """Name, test accuracy and its examples of a simpler model that beats it on the test part.

    The most frequent class is no model: its share tells of the block, not of what can be learnt.
    """
    fold = fold_report(course, record) or {}
    n, own = count(fold.get("n")), finite(fold.get("accuracy"))
    held = {
        name: reached
        for name, figures in (fold.get("baselines") or {}).items()
        if name != "majority" and (reached := finite(figures.get("accuracy"))) is not None
    }
    if not held or not n or own is None:
        return None
    name = max(held, key=lambda key: held[key])
    if held[name] - own <= 2 * difference_error(held[name], n, own, n):
        return None
    return name, held[name], n


def _fit_more(course: Course, record: RunRecord) -> str:
    dropout, rate = number(record, "dropout"), rate_to_fit_more(course, record)
    ways = []
    if dropout:
        ways.append(override(record, "dropout", round(dropout / 2, 3)))
    if rate:
        ways.append(override(record, "learning_rate", rate))
    ways.append("more epochs, or a larger model")
    return "one at a time: " + "; ".join(ways)


@course_rule(TREE)
def variance(course: Course, record: RunRecord) -> Sign | None:
    """The chosen epoch does better on its training data than on data that it has not seen."""
    best = best_of(course, record)
    if best is None or "train_accuracy" not in best.figures:
        return None
    unseen = _train_dev(best, course)
    known = "train-dev" if unseen is not None else "evaluation"
    unseen = unseen if unseen is not None else best.figures.get("eval_accuracy")
    if unseen is None:
        return None
    train = best.figures["train_accuracy"]
    n = train_dev_size(course) if known == "train-dev" else evaluation_size(course)
    gap, error = train - unseen, _gap_error(train, unseen, train_size(course, record), n)
    if gap <= max(_GAP, 2 * (error or 0.0)):
        return None
    kind = "variance" if known == "train-dev" else "variance, or data mismatch"
    beyond = "" if error is None else f", {gap / error:.1f} standard errors"
    return Sign(
        severity="warning" if gap > _WIDE_GAP else "advice",
        message=f"{kind}: at the best epoch, {best.epoch}, train accuracy {train:.4g} is "
        f"{gap:.3g} above {known} accuracy {unseen:.4g}{beyond}",
        evidence={"gap": gap, "train_accuracy": train, f"{known}_accuracy": unseen,
                  "best_epoch": best.figures["epoch"],
                  **({} if error is None else {"standard_error": error})},
        next_experiment=regularized(record) + _told_apart(known, record),
        weight=gap,
    )  # fmt: skip


def _train_dev(best: Best, course: Course) -> float | None:
    return finite(best.figures.get("train_dev_accuracy", course.figures.get("train_dev_accuracy")))


def _gap_error(one: float, other: float, n_one: int | None, n_other: int | None) -> float | None:
    """Standard error of the difference of two accuracies on different examples."""
    if n_one is None or n_other is None:
        return None
    return difference_error(one, n_one, other, n_other)


def _told_apart(known: str, record: RunRecord) -> str:
    """The block that would tell variance from mismatch, of a walk-forward without it."""
    block = finite(record.flat_config.get("walk_forward.validation"))
    if known == "train-dev" or record.kind != "walk-forward" or not block:
        return ""
    return f"; and walk_forward.train_dev={block:g} tells variance from mismatch"


def regularized(record: RunRecord) -> str:
    """More regularization than the run had, as overrides."""
    dropout, decay = number(record, "dropout"), number(record, "weight_decay")
    ways = []
    if dropout is not None and dropout < 0.6:
        ways.append(override(record, "dropout", round(dropout + 0.2, 3)))
    if decay is not None:
        ways.append(override(record, "weight_decay", max(10 * decay, 0.01)))
    if dropout is not None and dropout >= 0.6:
        ways.append(f"a smaller model (dropout is {dropout:g} already)")
    ways.append("more training data")
    return "one at a time: " + "; ".join(ways)


@course_rule(TREE)
def data_mismatch(course: Course, record: RunRecord) -> Sign | None:
    """Evaluation data is harder than unseen data of the training's own time."""
    best = best_of(course, record)
    if best is None or "eval_accuracy" not in best.figures:
        return None
    train_dev, seen = _train_dev(best, course), best.figures["eval_accuracy"]
    if train_dev is None:
        return None
    error = _gap_error(train_dev, seen, train_dev_size(course), evaluation_size(course))
    least = max(_MISMATCH, 2 * (error or 0.0))
    if train_dev - seen <= least:
        return None
    return Sign(
        severity="warning",
        message=f"data mismatch: train-dev accuracy {train_dev:.4g} is {train_dev - seen:.3g} "
        f"above evaluation accuracy {seen:.4g} (told from chance above {least:.2g})",
        evidence={"train_dev_accuracy": train_dev, "eval_accuracy": seen, "least": least},
        next_experiment="look at what differs between the two parts (class shares, volatility, "
        "time of day), train on data nearer to the evaluation part, or normalize by recent rows",
        weight=train_dev - seen,
    )


@course_rule(f"{DEEPLOB}: train accuracy below evaluation accuracy in first epochs")
def train_below_evaluation(course: Course, record: RunRecord) -> Sign | None:
    """Train accuracy lies below evaluation accuracy, so that the gap between them is too kind."""
    best = best_of(course, record)
    if best is None or not {"train_accuracy", "eval_accuracy"} <= set(best.figures):
        return None
    train, seen = best.figures["train_accuracy"], best.figures["eval_accuracy"]
    error = _gap_error(train, seen, train_size(course, record), evaluation_size(course))
    if seen - train <= max(_BELOW, 2 * (error or 0.0)):
        return None
    majority = best.figures.get("eval_majority_accuracy")
    easy = "" if majority is None else f" (its most frequent class has a share of {majority:.3g})"
    reason = f"the evaluation part is easier{easy}"
    if record.kind == "recorded":
        reason = f"it was measured with dropout on, or {reason}"
    return Sign(
        severity="info",
        message=f"train accuracy {train:.4g} is {seen - train:.3g} below evaluation accuracy "
        f"{seen:.4g} at epoch {best.epoch}: {reason}, and the gap between them is too kind",
        evidence={"train_accuracy": train, "eval_accuracy": seen,
                  **({} if majority is None else {"eval_majority_accuracy": majority})},
        next_experiment="measure train accuracy in evaluation mode, and compare class shares of "
        "the two parts (hfrun audit)",
        weight=seen - train,
    )  # fmt: skip


RULES = (bias, variance, data_mismatch, train_below_evaluation)
