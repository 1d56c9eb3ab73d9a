"""``pipeline("lob-classification")``: a raw book in, the probabilities of a pushed model out.

    raw book ─► extractor: book, decisions ─► predict_probabilities ─► a row for each decision

The probabilities are those that ``hfrun predict`` writes for the same book, by the same code: the
windows of all decisions share what they can, none crosses a session, and a decision knows nothing
after it.
"""

import types
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from transformers import Pipeline, PreTrainedModel

from hfrun.errors import DataError, ModelError
from hfrun.evaluation.book_warnings import InSample, out_of_sample, warn_if_unfamiliar
from hfrun.evaluation.predict import (
    check_belongs,
    labels_of,
    open_collator,
    predict_probabilities,
)
from hfrun.models.class_order import class_columns
from hfrun.models.feature_extractor import LobFeatureExtractor, Which
from hfrun.models.preprocessing import Preprocessing
from hfrun.models.raw_book import Meta, RawBook
from lob_backtest.book import Book, FloatArray
from lob_backtest.decisions import Decisions
from lob_backtest.predictions import CLASS_NAMES, COLUMNS
from lob_backtest.strict_yaml import unknown_keys

_PREPROCESS = ("decisions", "meta", "in_sample")
_POSTPROCESS = ("top_k", "return_frame")
_IGNORED = ("local_files_only",)  # transformers passes it on after it has used it


@dataclass(frozen=True, kw_only=True, eq=False)
class Asked:
    """A book, and the decisions that the model is asked for."""

    book: Book
    decisions: Decisions


@dataclass(frozen=True, kw_only=True, eq=False)
class Answered:
    """The decisions with the model's ``(D, 3)`` probabilities of down, flat and up."""

    asked: Asked
    probability: FloatArray


class LobClassificationPipeline(Pipeline):
    """Probabilities of down, flat and up for the decisions of a raw book.

        import hfrun.models
        from transformers import pipeline

        classify = pipeline("lob-classification", model="alice/deeplob", revision="v1")
        classify("book.parquet")      # [{"decided_ns": ..., "scores": {"down": 0.2, ...}}, ...]

    Called with a path of a book table, a ``Book``, or a DataFrame or dict of arrays whose columns
    stand in any order; with a list of these it gives a list of answers.

    Args:
        decisions: ``"all"`` of the model's own rule (default), the ``"last"`` of them, one after
            each of the book's ``"events"``, or one about its last row (``"now"``).
        in_sample: what to do about decisions at or before the end of the training, whose
            probabilities flatter the model: ``"warn"`` (default), ``"refuse"`` or ``"leave_out"``,
            which is what ``hfrun predict`` does.
        meta: what the rows of a table are of, where it is not the training book's market.
        top_k: give the k most likely classes alone, the most likely first; None gives all three.
        return_frame: give the predictions table instead, with labels where the book knows them.
        batch_size: most windows at a time; by default as many as are fastest on a processor.

    Raises:
        DataError, BookError, FormatError, LabelError: no book, or none for this model.
        ModelError: the model reads no books, or says not how.
    """

    _load_processor = False  # type: ignore[assignment]
    _load_image_processor = False  # type: ignore[assignment]
    _load_video_processor = False  # type: ignore[assignment]
    _load_tokenizer = False  # type: ignore[assignment]
    # Not True: a repository of before has its file under another name, which is looked for below.
    _load_feature_extractor = None

    feature_extractor: LobFeatureExtractor  # type: ignore[assignment]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _check_model(self.model)
        if self.feature_extractor is None:
            self.feature_extractor = _extractor_of(self.model)
        if not isinstance(self.feature_extractor, LobFeatureExtractor):
            raise ModelError(
                f"got the feature extractor {type(self.feature_extractor).__name__}; needs a "
                "LobFeatureExtractor, such as LobFeatureExtractor.from_pretrained gives"
            )
        check_belongs(self.model, self.preprocessing, source=self.model.name_or_path or "the model")

    @property
    def preprocessing(self) -> Preprocessing:
        return self.feature_extractor.preprocessing

    def __call__(  # type: ignore[override]
        self,
        inputs: RawBook | list[RawBook] | Iterator[RawBook],
        *,
        batch_size: int | None = None,
        num_workers: int | None = None,
        **options: Any,
    ) -> Any:
        """The rows of one book; a list of them for several, one after the other."""
        if isinstance(inputs, types.GeneratorType):
            return (self(each, batch_size=batch_size, **options) for each in inputs)
        if isinstance(inputs, list | tuple):
            return [self(each, batch_size=batch_size, **options) for each in inputs]
        before, _, after = self._sanitize_parameters(**options)
        windows = self._batch_size if batch_size is None else batch_size
        if windows is not None and windows < 1:
            raise DataError(f"batch_size={windows}: needs at least 1 window at a time")
        return self.run_single(
            inputs,
            {**self._preprocess_params, **before},
            {"most_windows": windows},
            {**self._postprocess_params, **after},
        )

    def _sanitize_parameters(self, **options: Any) -> tuple[dict[str, Any], ...]:
        known = (*_PREPROCESS, *_POSTPROCESS, "batch_size")
        given = {name: value for name, value in options.items() if name not in _IGNORED}
        if wrong := unknown_keys(given, known, ""):
            raise DataError("; ".join(wrong))
        before = {name: value for name, value in given.items() if name in _PREPROCESS}
        after = {name: value for name, value in given.items() if name in _POSTPROCESS}
        return before, {}, after

    def preprocess(  # type: ignore[override]
        self,
        input_: RawBook,
        decisions: Which = "all",
        meta: Meta = None,
        in_sample: InSample = "warn",
    ) -> Asked:
        book = self.feature_extractor.book(input_, meta=meta)
        chosen = self.feature_extractor.decisions(book, decisions)
        chosen = out_of_sample(chosen, self.preprocessing.train_end_ns, in_sample)
        return Asked(book=book, decisions=chosen)

    def _forward(self, asked: Asked, most_windows: int | None = None) -> Answered:  # type: ignore[override]
        shares = bool(getattr(self.model, "shares_windows", False))
        with open_collator(
            asked.book, asked.decisions, self.preprocessing, shares_windows=shares
        ) as collator:
            warn_if_unfamiliar(collator.rows, self.preprocessing, asked.book)
            probability = predict_probabilities(
                self.model,
                collator,
                rows=asked.decisions.rows,
                label=None,
                most_windows=most_windows,
            )
        return Answered(asked=asked, probability=probability)

    def postprocess(  # type: ignore[override]
        self, answered: Answered, top_k: int | None = None, return_frame: bool = False
    ) -> list[dict[str, Any]] | pd.DataFrame:
        if return_frame:
            return _frame(answered, self.preprocessing)
        n_classes = len(CLASS_NAMES)
        if top_k is not None and not 1 <= top_k <= n_classes:
            raise DataError(f"top_k={top_k}: needs 1 to {n_classes} classes, or None for all")
        decided_ns = answered.asked.decisions.decided_ns.tolist()
        return [
            {"decided_ns": instant, "scores": _scores(chances, top_k)}
            for instant, chances in zip(decided_ns, answered.probability.tolist(), strict=True)
        ]


def _check_model(model: PreTrainedModel) -> None:
    """Refuse a model that reads something else, and weights in which nobody judged it."""
    if getattr(model, "main_input_name", "") != "features" or not hasattr(model.config, "levels"):
        raise ModelError(
            f"{type(model).__name__} does not read order books; a classifier of texts is asked "
            'with pipeline("text-classification", ...)'
        )
    class_columns(model.config)
    if model.dtype != torch.float32:
        raise ModelError(
            f"the model was loaded in {model.dtype}; its run was judged in float32: leave dtype out"
        )


def _extractor_of(model: PreTrainedModel) -> LobFeatureExtractor:
    """That of the folder or repository that the model came from, at the same commit."""
    source = model.name_or_path
    if not source:
        raise ModelError(
            "the model does not say how it reads a book; give "
            "feature_extractor=LobFeatureExtractor.from_pretrained(FOLDER_OR_ID)"
        )
    commit = getattr(model.config, "_commit_hash", None) or "main"
    try:
        found: LobFeatureExtractor = LobFeatureExtractor.from_pretrained(source, revision=commit)
    except (ModelError, OSError, ValueError) as error:
        raise ModelError(
            f"{source} does not say how its model reads a book ({error}); push its run again with: "
            "hfrun push RUN --repo NAMESPACE/NAME"
        ) from error
    return found


def _scores(chances: list[float], top_k: int | None) -> dict[str, float]:
    named = dict(zip(CLASS_NAMES, chances, strict=True))
    if top_k is None:
        return named
    return dict(sorted(named.items(), key=lambda item: -item[1])[:top_k])


def _frame(answered: Answered, preprocessing: Preprocessing) -> pd.DataFrame:
    """The columns of the predictions table, as ``predictions_from`` takes them."""
    asked = answered.asked
    label, label_end_ns = labels_of(asked.book, asked.decisions, preprocessing)
    columns = {
        "instrument": asked.book.meta.instrument,
        "fold": np.zeros(asked.decisions.n, dtype=np.int64),
        "decided_ns": asked.decisions.decided_ns,
        "label_end_ns": label_end_ns,
        "train_end_ns": np.full(asked.decisions.n, preprocessing.train_end_ns, dtype=np.int64),
        "label": label,
        **{f"p_{name}": answered.probability[:, i] for i, name in enumerate(CLASS_NAMES)},
    }
    return pd.DataFrame(columns)[list(COLUMNS)]
