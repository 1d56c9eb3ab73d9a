"""What a model has to beat: class frequencies, rules of thumb, and two standard classifiers.

    majority     the classes' frequencies in train, whatever the book looks like
    last_move    frequencies given whether the last move was down, flat or up
    imbalance    frequencies given the imbalance at the touch, in five regimes from -1 to 1
    logistic     multinomial logistic regression on the hand-made features, standardised
    boosting     gradient boosted trees on histograms of the hand-made features

All see the same decisions and labels as the model, are fitted on the fold's train part alone, and
give probabilities. Those of the rules are frequencies, hence calibrated if the future is like the
past.

References: Cartea, Donnelly and Jaimungal (2018), Enhancing trading strategies with order book
signals, Applied Mathematical Finance 25(1) (imbalance regimes).
"""

import logging
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lob_backtest.book import FloatArray, IntArray
from lob_backtest.errors import LabelError
from lob_backtest.features import HandFeatures, fit_hand_scaler
from lob_backtest.labels import classify
from lob_backtest.predictions import CLASS_NAMES, UNKNOWN

BASELINES = ("majority", "last_move", "imbalance", "logistic", "boosting")

_N_CLASSES = len(CLASS_NAMES)
_IMBALANCE_EDGES = np.array([-0.6, -0.2, 0.2, 0.6])
_MOST_STATES = _IMBALANCE_EDGES.size + 1
# Neighbouring decisions' labels overlap, so a leaf of few decisions is a leaf of one event. Few
# leaves and a strong penalty, because a fold is little data.
_LEAF_SHARE, _LEAF_RANGE = 0.02, (20, 200)
_LOGISTIC_C, _LOGISTIC_STEPS = 0.01, 300
# The logit of a class that train does not have. The others' sum to 0, so that one of them is at
# least 0: a probability below 1e-13, and still a finite loss where a network starts from it.
_ABSENT = -30.0

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, eq=False)
class BaselineInputs:
    """What the baselines look at, one row a decision.

    Attributes:
        features: hand-made features; ``imbalance_1`` must be among them.
        past_move_ticks: ``(D,)`` float64, mid-price move over the label's horizon that ends at the
            decision; 0 where the session is younger. NaN is taken as 0.

    Raises:
        LabelError: the two differ in their number of decisions.
    """

    features: HandFeatures
    past_move_ticks: FloatArray

    def __post_init__(self) -> None:
        if self.past_move_ticks.shape != (self.features.values.shape[0],):
            raise LabelError(
                f"past_move_ticks has shape {self.past_move_ticks.shape}; needs one for each of "
                f"the {self.features.values.shape[0]} decisions of the features"
            )


def fit_predict(
    name: str,
    inputs: BaselineInputs,
    *,
    labels: IntArray,
    train: IntArray,
    wanted: IntArray,
    threshold_ticks: float,
    seed: int = 0,
) -> FloatArray:
    """Fit a baseline on the train decisions and give class probabilities for the wanted ones.

    Args:
        name: one of ``BASELINES``.
        inputs: features of all D decisions.
        labels: ``(D,)`` 0 down, 1 flat, 2 up, -1 unknown; only those of ``train`` are looked at,
            and unknown ones are left out.
        train, wanted: indices into the D decisions.
        threshold_ticks: the label's threshold, by which ``last_move`` calls a past move flat.
        seed: of the trees' draws.

    Returns:
        ``(len(wanted), 3)`` float64, down, flat, up; rows sum to 1. A class that does not occur in
        train has probability 0.

    Raises:
        LabelError: an unknown name, or fewer than two classes among the known train labels.
    """
    if name not in BASELINES:
        raise LabelError(f"baseline {name!r} is unknown; choose from {', '.join(BASELINES)}")
    train = train[labels[train] != UNKNOWN]
    _require_two_classes(name, labels[train])
    if name in ("logistic", "boosting"):
        return _classifier(name, inputs.features, labels, train, wanted, seed)
    states = _STATES[name](inputs, threshold_ticks)
    by_state = _frequencies(states[train], labels[train], n_states=_MOST_STATES)
    chances: FloatArray = by_state[states[wanted]]
    return chances


def _no_state(inputs: BaselineInputs, threshold_ticks: float) -> IntArray:
    return np.zeros(inputs.past_move_ticks.shape, dtype=np.int64)


def _last_move_state(inputs: BaselineInputs, threshold_ticks: float) -> IntArray:
    return classify(np.nan_to_num(inputs.past_move_ticks), threshold_ticks=threshold_ticks)


def _imbalance_state(inputs: BaselineInputs, threshold_ticks: float) -> IntArray:
    return np.digitize(inputs.features.column("imbalance_1"), _IMBALANCE_EDGES).astype(np.int64)


_STATES: dict[str, Callable[[BaselineInputs, float], IntArray]] = {
    "majority": _no_state,
    "last_move": _last_move_state,
    "imbalance": _imbalance_state,
}


def _frequencies(states: IntArray, labels: IntArray, *, n_states: int) -> FloatArray:
    """``(n_states, 3)`` class frequencies by state, with one imagined decision a class that occurs.

    So a state that train never saw gives equal chances (Laplace's rule of succession).
    """
    occurs = np.bincount(labels, minlength=_N_CLASSES) > 0
    counts = np.bincount(states * _N_CLASSES + labels, minlength=n_states * _N_CLASSES)
    smoothed = counts.reshape(n_states, _N_CLASSES) + occurs.astype(np.float64)
    frequencies: FloatArray = smoothed / smoothed.sum(axis=1, keepdims=True)
    return frequencies


def _classifier(
    name: str,
    features: HandFeatures,
    labels: IntArray,
    train: IntArray,
    wanted: IntArray,
    seed: int,
) -> FloatArray:
    """Class probabilities of a classifier that was fitted on train alone."""
    if name == "logistic":
        chances = _logistic(features, labels, train, wanted)
    else:
        chances = _boosting(features, labels, train, wanted, seed)
    # Exactly 0 for a class that does not occur.
    chances *= np.bincount(labels[train], minlength=_N_CLASSES) > 0
    chances /= chances.sum(axis=1, keepdims=True)
    return chances


@dataclass(frozen=True, kw_only=True, eq=False)
class LogisticFit:
    """A linear layer of three logits, down, flat and up.

    Attributes:
        weights: ``(3, K)`` float64, of the standardised features.
        bias: ``(3,)`` float64. A class that train does not have gets weights 0 and a bias that
            leaves it next to no probability.
    """

    weights: FloatArray
    bias: FloatArray

    def probabilities(self, scaled: npt.NDArray[np.float32]) -> FloatArray:
        """``(D, 3)`` softmax of the logits of standardised features ``(D, K)``."""
        logits = scaled.astype(np.float64) @ self.weights.T + self.bias
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        chances: FloatArray = odds / odds.sum(axis=1, keepdims=True)
        return chances


def fit_logistic(scaled: npt.NDArray[np.float32], labels: IntArray) -> LogisticFit:
    """The logistic baseline's linear layer, fitted on standardised train features.

        p = softmax(W x + b)      least cross-entropy, with a penalty on W against overfitting

    Args:
        scaled: ``(n, K)`` as ``HandScaler.transform`` gives them.
        labels: ``(n,)`` 0 down, 1 flat, 2 up; none unknown.

    Raises:
        LabelError: an unknown label, or fewer than two classes.
    """
    # Imported on use: scikit-learn takes a second that nothing else in the package needs.
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    if labels.size and labels.min() < 0:
        raise LabelError("got unknown labels (-1) to fit a logistic regression; leave them out")
    _require_two_classes("logistic", labels)
    model = LogisticRegression(C=_LOGISTIC_C, tol=1e-3, max_iter=_LOGISTIC_STEPS)
    with warnings.catch_warnings(), threadpool_limits(limits=1):
        # Said in the log instead: still a baseline, if a slightly worse one than it could be.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(scaled.astype(np.float64), labels)
    if max(model.n_iter_) >= model.max_iter:
        logger.warning("baseline logistic had not converged after %d steps", model.max_iter)
    own, own_bias = model.coef_, model.intercept_
    if model.classes_.size == 2:  # one logit: that of the second class over the first
        own, own_bias = np.vstack([-own, own]) / 2, np.array([-own_bias[0], own_bias[0]]) / 2
    weights, bias = np.zeros((_N_CLASSES, scaled.shape[1])), np.full(_N_CLASSES, _ABSENT)
    weights[model.classes_], bias[model.classes_] = own, own_bias
    return LogisticFit(weights=weights, bias=bias)


def _logistic(
    features: HandFeatures, labels: IntArray, train: IntArray, wanted: IntArray
) -> FloatArray:
    """Class probabilities by logistic regression (no draws: no seed)."""
    scaler = fit_hand_scaler(features.values, train, names=features.names)
    fitted = fit_logistic(scaler.transform(features.values[train]), labels[train])
    return fitted.probabilities(scaler.transform(features.values[wanted]))


def _boosting(
    features: HandFeatures, labels: IntArray, train: IntArray, wanted: IntArray, seed: int
) -> FloatArray:
    """Class probabilities by gradient boosted trees, one set of trees a class that occurs."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    # Comes with scikit-learn. One thread: its idle OpenMP threads spin, and on cores that are busy
    # with something else that made these fits up to thirty times slower.
    from threadpoolctl import threadpool_limits

    model = HistGradientBoostingClassifier(
        learning_rate=0.05,
        max_iter=100,
        max_leaf_nodes=8,
        min_samples_leaf=int(np.clip(_LEAF_SHARE * train.size, *_LEAF_RANGE)),
        # Its early stopping would judge by a random part of train, whose labels overlap.
        early_stopping=False,
        random_state=seed,
    )
    probability = np.zeros((wanted.size, _N_CLASSES))
    with threadpool_limits(limits=1):
        model.fit(features.values[train], labels[train])
        probability[:, model.classes_] = model.predict_proba(features.values[wanted])
    return probability


def _require_two_classes(name: str, labels: IntArray) -> None:
    counts = np.bincount(labels, minlength=_N_CLASSES)
    if np.count_nonzero(counts) < 2:
        found = ", ".join(f"{n} {which}" for n, which in zip(counts, CLASS_NAMES, strict=True))
        raise LabelError(
            f"baseline {name}: got one class only among {labels.size} known train labels "
            f"({found}); needs at least two; lengthen train or the label's horizon, or lower the "
            "label's threshold"
        )
