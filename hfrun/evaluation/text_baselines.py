"""What a classifier of texts has to beat: class shares, and counted words in a linear model.

    majority         the classes' shares in train, whatever the text says
    tfidf_logistic   multinomial logistic regression on tf-idf of words and pairs of words

Both are fitted on train alone. The second chooses its penalty on validation, by weighted F1, which
is what the gates compare: nothing of it sees the test labels.
"""

import warnings
from typing import Any

import numpy as np

from hfrun.data.texts import TextPart, TextSplits
from hfrun.evaluation.text_predictions import UNKNOWN, TextPredictions
from lob_backtest.book import FloatArray, IntArray
from lob_backtest.errors import PredictionsError
from lob_backtest.progress import progress

BASELINES = ("majority", "tfidf_logistic")

# A word, or a mark that is none. Scripts that are written without blanks go letter by letter, so
# that pairs of these are their words.
NO_BLANKS = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
_TOKEN = rf"[{NO_BLANKS}]|[^\W{NO_BLANKS}]+|[^\w\s]"
_INVERSE_PENALTIES = (0.3, 1.0, 3.0, 10.0, 30.0)
_MOST_TEXTS, _MOST_WORDS = 200_000, 400_000  # what is learnt from: a baseline takes minutes
_STEPS = 300


def text_baselines(splits: TextSplits, *, seed: int) -> dict[str, TextPredictions]:
    """Predictions of every baseline for the test texts.

    Where train has one known class alone, or no word at all, ``tfidf_logistic`` has nothing but its
    intercept to learn, and is the shares.

    Args:
        splits: the run's texts; unknown labels are not learnt from.
        seed: draws the 200,000 texts that are learnt from where there are more.

    Raises:
        PredictionsError: no train text has a known label, or test has no text.
    """
    known = np.flatnonzero(splits.train.labels != UNKNOWN)
    if not known.size:
        raise PredictionsError(
            f"none of {len(splits.train.texts)} train texts has a known label; the baselines need "
            "some: check data.labels and data.label_column"
        )
    shares = np.bincount(splits.train.labels[known], minlength=len(splits.label_names)) / known.size
    constant = np.tile(shares, (len(splits.test.texts), 1))
    if known.size > _MOST_TEXTS:
        drawn = np.random.default_rng(seed).choice(known, _MOST_TEXTS, replace=False)
        known = np.sort(drawn)
    words = _tfidf_logistic(splits, known)
    found = (constant, constant if words is None else words)
    return {
        name: _of_test(splits, probabilities)
        for name, probabilities in zip(BASELINES, found, strict=True)
    }


def _of_test(splits: TextSplits, probabilities: FloatArray) -> TextPredictions:
    return TextPredictions(
        texts=tuple(splits.test.texts),
        labels=splits.test.labels,
        probabilities=probabilities,
        label_names=tuple(splits.label_names),
    )


def _tfidf_logistic(splits: TextSplits, known: IntArray) -> FloatArray | None:
    """``(N, C)`` probabilities of the test texts, a class that train lacks with 0; None of none."""
    labels = splits.train.labels[known]
    if np.unique(labels).size < 2:
        return None
    vectorizer = _vectorizer()
    try:
        inputs = vectorizer.fit_transform([splits.train.texts[i] for i in known])
    except ValueError:  # of all that it can raise here: an empty vocabulary
        return None
    model = _chosen(inputs, labels, vectorizer, splits.validation)
    probabilities = np.zeros((len(splits.test.texts), len(splits.label_names)))
    probabilities[:, model.classes_] = model.predict_proba(vectorizer.transform(splits.test.texts))
    return probabilities


def _vectorizer() -> Any:
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(
        token_pattern=_TOKEN, ngram_range=(1, 2), sublinear_tf=True, max_features=_MOST_WORDS
    )


def _chosen(inputs: Any, labels: IntArray, vectorizer: Any, validation: TextPart) -> Any:
    """The regression whose penalty is best on validation, the strongest one among equals."""
    from sklearn.metrics import f1_score
    from threadpoolctl import threadpool_limits

    known = np.flatnonzero(validation.labels != UNKNOWN)
    if not known.size:  # nothing to choose by
        return _fitted(inputs, labels, 1.0, None)
    seen = vectorizer.transform([validation.texts[i] for i in known])
    best, best_score, last = None, -1.0, None
    with threadpool_limits(1):  # the same sums, and so the same choice, on any machine
        for inverse_penalty in progress(
            _INVERSE_PENALTIES, label="baseline tfidf_logistic", unit="penalties"
        ):
            last = _fitted(inputs, labels, inverse_penalty, last)
            score = f1_score(
                validation.labels[known], last.predict(seen), average="weighted", zero_division=0
            )
            if score > best_score:
                best, best_score = last, score
    return best


def _fitted(inputs: Any, labels: IntArray, inverse_penalty: float, start: Any) -> Any:
    """A regression, from where one of a stronger penalty ended: the shorter way."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=inverse_penalty, max_iter=_STEPS, warm_start=True)
    if start is not None:
        model.coef_, model.intercept_ = start.coef_.copy(), start.intercept_.copy()
        model.classes_ = start.classes_
    with warnings.catch_warnings():
        # The last digits of a weak penalty's optimum change no class that it says.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(inputs, labels)
