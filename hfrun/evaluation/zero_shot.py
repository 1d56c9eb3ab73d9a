"""How likely a causal language model finds each label's words after a text: labels untrained.

    beginning │ own part of each prompt │ words       read once │ once a text │ once a label
    ──────────┼─────────────────────────┼───────
    Review:   │ An utter joy .  It was  │ terrible    log p(words | prompt)
              │ pad  Dull .     It was  │ bad         = sum of log p(token | all before it)

What the model computed of a prompt (its keys and values) is kept for all labels, and what all
prompts begin with is computed once for all texts. No text sees another one of its batch.
"""

from collections.abc import Sequence

import numpy as np
import torch
from transformers import PreTrainedModel

from hfrun.errors import ModelError
from hfrun.evaluation.metrics import softmax
from hfrun.evaluation.zero_shot_reader import Reader
from hfrun.models.label_words import LabelTokens
from lob_backtest.book import FloatArray, IntArray
from lob_backtest.progress import progress

SCORINGS = ("sum", "per_token", "per_byte", "content_free", "train_prior")
_MOST_TEXTS = 64
_LEAST = float(np.finfo(np.float64).tiny)  # of a prior: its logarithm stays finite
_BATCH_TOKENS = 4096  # padding included
_MOST_LOGITS = 64_000_000  # of the labels' tokens at once: 256 MB


def label_log_likelihood(
    model: PreTrainedModel,
    prompts: Sequence[Sequence[int]],
    words: LabelTokens,
    *,
    batch_tokens: int = _BATCH_TOKENS,
    side: str = "left",
    label: str = "asking the language model",
) -> FloatArray:
    """``(N, C)`` float64 log-likelihood of each label's words after each prompt.

    ``sum_j log p(w_j | prompt, w_1 .. w_(j-1))``. A row depends on its own prompt alone, whatever
    the batch and the side of the padding, but for the last digits.

    Args:
        model: any causal language model; evaluated without dropout, left in the mode it is in.
        prompts: N of them, each at least one token.
        words: C labels'.
        batch_tokens: most tokens at a time, padding included, the common beginning not.
        side: where padding stands, ``left`` or ``right``.
        label: of the progress bar.

    Raises:
        ModelError: prompts with the words are longer than the model can read, or have tokens that
            it does not know, or what it says is not finite.
    """
    _check_prompts(model, prompts, words)
    found = np.empty((len(prompts), len(words.tokens)))
    was_training = model.training
    model.train(False)
    try:
        with torch.inference_mode():
            reader = Reader(model, _beginning(prompts), side=side)
            own = [each[len(reader.beginning) :] for each in prompts]
            batches = _batches(own, words, model, batch_tokens)
            for rows in progress(batches, label=label, unit="batches"):
                found[rows] = reader.scores([own[i] for i in rows], words).double().cpu().numpy()
    finally:
        model.train(was_training)
    if not np.isfinite(found).all():
        raise ModelError(
            f"the model's scores of {int((~np.isfinite(found)).any(axis=1).sum())} of "
            f"{len(found)} texts are not finite; its weights are damaged, or need float32"
        )
    return found


def label_prior(log_likelihood: FloatArray) -> FloatArray:
    """``(C,)`` mean over texts of the labels' probabilities: what the model says before it reads.

    Args:
        log_likelihood: ``(M, C)`` of texts without content, or of texts of the kind that is asked
            about, whose labels nobody needs to know.
    """
    prior: FloatArray = softmax(log_likelihood).mean(axis=0)
    return prior


def label_probabilities(
    log_likelihood: FloatArray,
    words: LabelTokens,
    *,
    scoring: str,
    prior: FloatArray | None = None,
) -> FloatArray:
    """``(N, C)`` probabilities: the softmax of a score.

        sum            l                 likely words win, and long ones lose
        per_token      l / tokens        by token, as tokenizers cut the words
        per_byte       l / bytes         by byte, however they cut them
        content_free,  l - log prior     how much likelier than without the text; 1 / prior is
        train_prior                      the diagonal matrix of Zhao et al.

    Args:
        log_likelihood: ``(N, C)`` l.
        words: the labels'.
        scoring: one of ``SCORINGS``.
        prior: ``(C,)`` for the last two, from ``label_prior``.

    References: Zhao, Wallace, Feng, Klein and Singh (2021), Calibrate Before Use: Improving
    Few-Shot Performance of Language Models, ICML (content_free); Zhou et al. (2024), Batch
    Calibration: Rethinking Calibration for In-Context Learning and Prompt Engineering, ICLR
    (train_prior); Gao (2021), Multiple Choice Normalization in LM Evaluation (per_byte).
    """
    if scoring in ("content_free", "train_prior"):
        if prior is None:
            raise ModelError(f"scoring {scoring} needs the labels' prior")
        return softmax(log_likelihood - np.log(np.maximum(prior, _LEAST)))
    divisors = {
        "sum": np.ones(len(words.tokens)),
        "per_token": words.n_tokens,
        "per_byte": words.n_bytes,
    }
    if scoring not in divisors:
        raise ModelError(f"scoring {scoring!r} is unknown; choose one of {', '.join(SCORINGS)}")
    return softmax(log_likelihood / divisors[scoring])


def _beginning(prompts: Sequence[Sequence[int]]) -> Sequence[int]:
    """What all prompts begin with; of each at least one token is left."""
    if len(prompts) < 2:
        return ()
    ordered = sorted(tuple(each) for each in prompts)
    low, high = ordered[0], ordered[-1]  # whatever these two share, all do
    longest = min(len(each) for each in prompts) - 1
    alike = next((i for i in range(longest) if low[i] != high[i]), longest)
    return low[:alike]


def _batches(
    prompts: Sequence[Sequence[int]], words: LabelTokens, model: PreTrainedModel, tokens: int
) -> list[IntArray]:
    """Rows of prompts of about one length, the longest first: if one has no room, it says so."""
    logits = (
        len(words.tokens) * max(words.longest - 1, 1) * model.config.get_text_config().vocab_size
    )
    most = max(1, min(_MOST_TEXTS, _MOST_LOGITS // logits))
    length = np.array([len(each) for each in prompts])
    order = np.argsort(-length, kind="stable")
    batches, start = [], 0
    while start < len(order):
        count = max(1, min(most, tokens // int(length[order[start]])))
        batches.append(order[start : start + count])
        start += count
    return batches


def _check_prompts(
    model: PreTrainedModel, prompts: Sequence[Sequence[int]], words: LabelTokens
) -> None:
    most = most_prompt_tokens(model, words)
    longest = max((len(each) for each in prompts), default=0)
    if most is not None and longest > most:
        raise ModelError(
            f"a prompt of {longest} tokens with words of {words.longest}; the model reads at most "
            f"{most + words.longest}: lower data.max_length to {most}"
        )
    known = len(torch.as_tensor(model.get_input_embeddings().weight))
    highest = max(max(each, default=0) for each in (*prompts, *words.tokens))
    if highest >= known:
        raise ModelError(
            f"the tokenizer gives piece {highest} and the model knows {known}; give the model its "
            "own tokenizer"
        )


def most_prompt_tokens(model: PreTrainedModel, words: LabelTokens) -> int | None:
    """The longest prompt after which the model can still read the words; None without a limit."""
    positions = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    return None if positions is None else int(positions) - words.longest
