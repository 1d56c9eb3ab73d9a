"""What a language model says of a part's texts without training: predictions, figures, files.

texts, content-free texts, some train texts ─► log-likelihoods ─► probabilities by each scoring
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from hfrun.data.texts import TextPart
from hfrun.errors import ModelError
from hfrun.evaluation.text_figures import text_figures, text_intervals, with_intervals
from hfrun.evaluation.text_predictions import TextPredictions, write_text_predictions
from hfrun.evaluation.zero_shot import (
    SCORINGS,
    label_log_likelihood,
    label_prior,
    label_probabilities,
    most_prompt_tokens,
)
from hfrun.evaluation.zero_shot_prompts import CONTENT_FREE, prompts
from hfrun.models.label_words import LabelTokens, label_tokens
from hfrun.text_config import TEXT_PLACE
from lob_backtest.book import FloatArray
from lob_backtest.files import write_json

FILES = {
    "test": "predictions.parquet",
    "validation": "validation_predictions.parquet",
    "train": "train_predictions.parquet",
}
DEFAULT_SCORING = "content_free"
_RESAMPLES = 1000
_SHOWN = {"f1_weighted": "F1 weighted", "mcc": "MCC", "nll": "NLL", "ece": "ECE", "brier": "Brier"}


@dataclass(frozen=True, kw_only=True, eq=False)
class ZeroShot:
    """What a language model says of some texts, by every scoring.

    Attributes:
        predictions: by scoring; the same texts in the same order.
        priors: ``(C,)`` by the scorings that are corrected by one.
        words: the labels' words and tokens.
        template: around each text.
    """

    predictions: Mapping[str, TextPredictions]
    priors: Mapping[str, FloatArray]
    words: LabelTokens
    template: str


def words_of_labels(label_names: Sequence[str], label_words: Sequence[str] | None) -> list[str]:
    """The words that stand for the labels: those given, else the names themselves.

    Raises:
        ModelError: not one for each label, or names that are numbers.
    """
    if label_words is None:
        if all(name.strip().lstrip("-").isdecimal() for name in label_names):
            raise ModelError(
                f"the labels are called {', '.join(label_names)}, which says nothing to a language "
                "model; give words as model.label_words, or names as data.labels"
            )
        return list(label_names)
    if len(label_words) != len(label_names):
        raise ModelError(
            f"model.label_words has {len(label_words)} words; needs {len(label_names)}, one for "
            f"each of the labels {', '.join(label_names)}"
        )
    return list(label_words)


def ask(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    part: TextPart,
    *,
    label_names: Sequence[str],
    label_words: Sequence[str] | None,
    template: str,
    max_length: int,
    prior_texts: Sequence[str] = (),
) -> ZeroShot:
    """Ask the model about each text of a part.

    Args:
        model, tokenizer: a causal language model's.
        part: N texts; their labels are only handed on.
        label_names: C of them.
        label_words: C words that stand for the labels; None takes the names.
        template: with ``{text}`` in it once; what follows it asks for the label.
        max_length: most tokens of a prompt; of a longer text the end is cut.
        prior_texts: texts whose labels nobody looks at, for the scoring ``train_prior``, which is
            left out without any. They must not be of the part itself: a prediction would then
            depend on the other texts.

    Raises:
        ModelError: words that do not fit the labels or the tokenizer.
        DataError: a template that is too long, or leaves nothing to read.
    """
    words = label_tokens(words_of_labels(label_names, label_words), tokenizer, template=template)
    most = most_prompt_tokens(model, words)
    without = [text for text in CONTENT_FREE if text or template != TEXT_PLACE]
    n, m = len(part.texts), len(without)
    read = prompts(
        [*part.texts, *without, *prior_texts],
        tokenizer,
        words,
        template=template,
        max_length=max_length if most is None else min(max_length, most),
    )
    found = label_log_likelihood(model, read, words)
    priors = {"content_free": label_prior(found[n : n + m])}
    if prior_texts:
        priors["train_prior"] = label_prior(found[n + m :])
    scorings = [name for name in SCORINGS if name != "train_prior" or prior_texts]
    predictions = {
        scoring: TextPredictions(
            texts=tuple(part.texts),
            labels=part.labels,
            probabilities=label_probabilities(
                found[:n], words, scoring=scoring, prior=priors.get(scoring)
            ),
            label_names=tuple(label_names),
        )
        for scoring in scorings
    }
    return ZeroShot(predictions=predictions, priors=priors, words=words, template=template)


def zero_shot_report(asked: ZeroShot, *, part: str, seed: int) -> dict[str, Any]:
    """The figures of every scoring with 95 % intervals, and what was asked; JSON-able.

    ``scorings`` is empty where no label is known.
    """
    first = next(iter(asked.predictions.values()))
    names = first.label_names
    known = first.is_labelled
    scorings: dict[str, Any] = {}
    if known.any():
        tables = {name: table.select(known) for name, table in asked.predictions.items()}
        intervals = text_intervals(tables, n_resamples=_RESAMPLES, rng=np.random.default_rng(seed))
        scorings = {
            name: with_intervals(text_figures(table), intervals.of[name], n=table.n)
            for name, table in tables.items()
        }
    return {
        "kind": "zero_shot",
        "part": part,
        "n": first.n,
        "labelled": int(known.sum()),
        "template": asked.template,
        "label_words": dict(zip(names, asked.words.written, strict=True)),
        "label_tokens": {
            name: list(ids) for name, ids in zip(names, asked.words.tokens, strict=True)
        },
        "priors": {
            scoring: dict(zip(names, prior.tolist(), strict=True))
            for scoring, prior in asked.priors.items()
        },
        "scorings": scorings,
    }


def zero_shot_text(report: Mapping[str, Any]) -> str:
    """The report as a table for the terminal."""
    lines = [
        f"Zero-shot, {report['part']}: {report['n']:,} texts, {report['labelled']:,} labelled",
        f"  asked  {report['template']!r} + {', '.join(map(repr, report['label_words'].values()))}",
    ]
    for scoring, prior in report["priors"].items():
        shares = ", ".join(f"{name} {share:.3f}" for name, share in prior.items())
        lines.append(f"  prior  {scoring}: {shares}")
    if not report["scorings"]:
        return "\n".join([*lines, "  no label is known, so there is nothing to score"])
    majority = next(iter(report["scorings"].values()))["majority_accuracy"]["value"]
    heads = "".join(f"{head:>13}" for head in _SHOWN.values())
    lines += ["", f"  {'scoring':<14}{'accuracy':<22}{heads}"]
    for scoring, figures in report["scorings"].items():
        accuracy = "{value:.3f} [{low:.3f}, {high:.3f}]".format(**figures["accuracy"])
        rest = "".join(f"{figures[key]['value']:>13.3f}" for key in _SHOWN)
        lines.append(f"  {scoring:<14}{accuracy:<22}{rest}")
    return "\n".join([*lines, f"  {'most frequent':<14}{majority:.3f}"])


def write_zero_shot(
    asked: ZeroShot, report: Mapping[str, Any], folder: Path, *, scoring: str = DEFAULT_SCORING
) -> None:
    """Write the predictions of one scoring and the figures of all, each file whole or not at all.

    ``predictions.parquet`` of test (``validation_predictions.parquet``, ...), as a run folder has
    them, and ``zero_shot_PART.json``.
    """
    if scoring not in asked.predictions:
        raise ModelError(
            f"scoring {scoring!r} is not there; choose one of {', '.join(asked.predictions)}"
        )
    part = str(report["part"])
    write_text_predictions(asked.predictions[scoring], folder / FILES[part])
    write_json(folder / f"zero_shot_{part}.json", {**report, "written": scoring})
