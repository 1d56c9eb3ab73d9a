"""The feature extractor of book models: from a raw book to the model's input, as in training.

    raw book ─► columns in order, checked ─► decisions ─► rows normalised ─► windows (W, T, 4 L)
                                                     └──► hand-made features (W, K), if it has any

It is :class:`~hfrun.models.preprocessing.Preprocessing` in the clothes that transformers knows:
saved as `preprocessor_config.json`, loaded by ``from_pretrained`` and by ``AutoFeatureExtractor``
from a folder, or from a hub by id and revision.
"""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from transformers import BatchFeature, FeatureExtractionMixin
from transformers.utils.hub import cached_file

from hfrun.errors import DataError, ModelError

if TYPE_CHECKING:  # pandas and pyarrow come with them, which a model without a book does not need
    from hfrun.models.preprocessing import Preprocessing
    from hfrun.models.raw_book import Meta, RawBook
    from lob_backtest.book import Book
    from lob_backtest.decisions import Decisions

Which = Literal["all", "last", "events", "now"]
WHICH: tuple[Which, ...] = ("all", "last", "events", "now")

# What from_pretrained understands of where a file lies; the rest is not cached_file's.
_WHERE = ("cache_dir", "force_download", "local_files_only", "token", "revision", "subfolder")


class LobFeatureExtractor(FeatureExtractionMixin):
    """How a trained model reads a book.

        extractor = AutoFeatureExtractor.from_pretrained("alice/deeplob", revision="v1")
        model(**extractor(frame)).logits

    Args:
        facts: what a `preprocessor_config.json` holds, see ``Preprocessing``.

    Raises:
        ModelError: a fact is missing or wrong.
    """

    model_input_names: ClassVar[list[str]] = ["features"]

    preprocessing: "Preprocessing"

    def __init__(self, **facts: Any) -> None:
        from hfrun.models.preprocessing import Preprocessing

        super().__init__()
        self.preprocessing = Preprocessing.from_dict(facts)

    @property
    def columns(self) -> list[str]:
        """Names of a raw book's columns, in the order in which the model reads them."""
        columns: list[str] = self.to_dict()["columns"]
        return columns

    def book(self, raw: "RawBook", *, meta: "Meta" = None) -> "Book":
        """A raw book, checked and in order.

        Args:
            raw: a path of a book table, a ``Book``, or a DataFrame or dict of arrays whose columns
                may stand in any order.
            meta: what the rows of a table are of, where it is not the training book's market.

        Raises:
            DataError, BookError, FormatError: it is no book that the model can read.
        """
        from hfrun.models.raw_book import book_of

        return book_of(raw, self.preprocessing, meta=meta)

    def decisions(self, book: "Book", which: Which = "all") -> "Decisions":
        """When the model is asked about a book.

        Args:
            book: of the model's levels.
            which: ``"all"`` decisions of the model's own rule, or the ``"last"`` of them; whatever
                the rule, one after every instant's last event (``"events"``), or one about the
                book's last row (``"now"``).

        Raises:
            DataError: an unknown word, or the last session has too few rows for ``"now"``.
            LabelError: no session has enough rows for a window.
        """
        from lob_backtest.decisions import decide_every_events
        from lob_backtest.questions import decisions_of

        window = self.preprocessing.window
        if which not in WHICH:
            raise DataError(f"decisions={which!r}: needs one of {', '.join(WHICH)}")
        if which in ("all", "last"):
            found = decisions_of(book, self.preprocessing.decisions, window=window)
        else:
            found = decide_every_events(book, step_events=1, window=window)
        if which == "now" and int(found.rows[-1]) != book.n_rows - 1:
            n_rows = int(np.diff(book.session_starts)[-1])
            raise DataError(
                f"the book's last session has {n_rows} rows, and a window has {window}: nothing "
                "can be said about now; give more of its rows"
            )
        return found if which in ("all", "events") else found.select(slice(found.n - 1, found.n))

    def __call__(
        self,
        raw: "RawBook",
        *,
        decisions: Which = "last",
        meta: "Meta" = None,
        return_tensors: str = "pt",
    ) -> BatchFeature:
        """The model's input for one book.

        Every window holds T rows of its own: for all decisions of a long book use
        ``pipeline("lob-classification")``, which lets them share what they can.

        Returns:
            ``features`` ``(W, T, 4 L)`` float32, and ``hand_features`` ``(W, K)`` float32 for a
            model with a skip path.
        """
        from lob_backtest.features import hand_features

        book = self.book(raw, meta=meta)
        chosen = self.decisions(book, decisions)
        rows = self.preprocessing.normalizer.transform(book)
        window = np.arange(1 - self.preprocessing.window, 1)
        given = {"features": rows[chosen.rows[:, None] + window]}
        if self.preprocessing.hand_scaler is not None:
            values = hand_features(book, chosen).values.astype(np.float32)
            given["hand_features"] = self.preprocessing.hand_scaler.transform(values)
        return BatchFeature(given, tensor_type=return_tensors)

    def to_dict(self) -> dict[str, Any]:
        """The facts, as `preprocessor_config.json` holds them."""
        return self.preprocessing.to_dict()

    def to_json_string(self) -> str:
        """The text of the file that a training leaves in its model folder."""
        return json.dumps(self.to_dict(), indent=2, allow_nan=False) + "\n"

    def to_json_file(self, json_file_path: str | os.PathLike[str]) -> None:
        """Write it, whole or not at all."""
        from lob_backtest.files import write_text

        write_text(Path(json_file_path), self.to_json_string())

    @classmethod
    def get_feature_extractor_dict(
        cls, pretrained_model_name_or_path: str | os.PathLike[str], **kwargs: Any
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """The facts of a folder or repository, also of one from before they lay where they do."""
        from hfrun.models.preprocessing import OLDER_NAME

        where = {name: kwargs[name] for name in _WHERE if name in kwargs}
        try:
            found: tuple[dict[str, Any], dict[str, Any]] = super().get_feature_extractor_dict(
                pretrained_model_name_or_path, **kwargs
            )
            return found
        except OSError:
            older = cached_file(
                pretrained_model_name_or_path,
                OLDER_NAME,
                _raise_exceptions_for_missing_entries=False,
                **where,
            )
            if older is None:
                raise
        others = {name: value for name, value in kwargs.items() if name not in _WHERE}
        return json.loads(Path(older).read_text("utf-8")), others

    @classmethod
    def from_dict(cls, feature_extractor_dict: Any, **kwargs: Any) -> Any:
        """An extractor of facts that were read from a file.

        Raises:
            ModelError: they are none.
        """
        if not isinstance(feature_extractor_dict, dict):
            raise ModelError("not a preprocessing file of this version: no keys and values")
        return super().from_dict(feature_extractor_dict, **kwargs)
