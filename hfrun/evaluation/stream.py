"""A trained model beside a live feed: raw book rows in, the probabilities after each row out.

    BookRow ─► session ─► LiveRows ─► DeepLobStream ─► (3,) down, flat, up
                                 └──► WindowStream, for any other book model

The answers are those of ``hfrun predict`` on the same rows.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from transformers import PreTrainedModel

from hfrun.data.live_rows import BookRow, LiveRows, SessionClock
from hfrun.errors import ModelError
from hfrun.evaluation.predict import saved_model
from hfrun.models import DeepLobForSequenceClassification
from hfrun.models.class_order import class_columns
from hfrun.models.deeplob_stream import DeepLobStream
from hfrun.models.preprocessing import load_preprocessing
from lob_backtest.book import FloatArray, IntArray

Floats = npt.NDArray[np.float32]


class Stream(Protocol):
    """Normalised rows in, one at a time; an answer for the window that ends with each."""

    def push(self, row: Floats) -> Floats | None: ...

    def reset(self) -> None: ...


class WindowStream:
    """Any book model behind the same interface: the last T rows, and a forward pass for each row.

        buffer   | r5 r6 r7 r3 r4 | r5 r6 r7 r3 r4 |       each row twice, T apart (T = 5)
                            |<- window ->|                 so that every window is one piece

    Args:
        model: takes ``features`` alone; it is put into evaluation mode.
        width: 4 L, figures a row.
        window: T, rows of a window.

    Raises:
        ModelError: the model takes hand-made features too, or has other classes.
    """

    def __init__(self, model: PreTrainedModel, *, width: int, window: int) -> None:
        n_hand = getattr(model.config, "hand_features", 0)
        if n_hand:
            raise ModelError(
                f"the model takes {n_hand} hand-made features beside the rows, which a stream does "
                "not compute; choose a model without the skip path"
            )
        self.width, self.window = width, window
        self._model = model
        self._model.train(False)
        self._columns = class_columns(model.config)
        self._buffer = torch.zeros(2 * window, width, device=model.device, dtype=model.dtype)
        self.n_rows = 0  # since the last reset

    def reset(self) -> None:
        """Forget all rows: a session starts."""
        self.n_rows = 0

    def push(self, row: Floats) -> Floats | None:
        """``(3,)`` float32 probabilities of down, flat, up; None until a window is full.

        Args:
            row: ``(4 L,)`` float32, normalised, in the column order of the book table.

        Raises:
            ModelError: another shape; the row is not taken in.
        """
        given = torch.tensor(np.asarray(row, dtype=np.float32))
        if given.shape != (self.width,):
            raise ModelError(f"got a row of shape {tuple(given.shape)}; needs ({self.width},)")
        at = self.n_rows % self.window
        self._buffer[at] = self._buffer[at + self.window] = given
        self.n_rows += 1
        if self.n_rows < self.window:
            return None
        with torch.inference_mode():
            features = self._buffer[at + 1 : at + 1 + self.window].unsqueeze(0)
            logits = self._model(features=features).logits[0, self._columns]
            answer: Floats = torch.softmax(logits.double(), dim=0).float().cpu().numpy()
        return answer


class LiveModel:
    """A run's model beside a feed.

        live = LiveModel(Path("runs/demo/model"), timezone="America/New_York")
        for row in feed:
            probability = live.push(**row)      # None until the session has a window of rows

    It answers after every row. Of rows that share an instant only the last is a state that anybody
    could act on: an answer before it is one inside a packet. One feed, one instrument and one
    thread for each LiveModel.

    Args:
        folder: the model folder of a finished run (RUN/model), with how it reads a book.
        timezone: IANA name of the zone whose days are the sessions, as in the training book; None
            for a market that never closes.

    Raises:
        ModelError: the folder holds no such model, or one with hand-made features.
        BookError: there is no such zone.
    """

    def __init__(self, folder: Path, *, timezone: str | None) -> None:
        self.preprocessing = load_preprocessing(folder)
        self._clock = SessionClock(timezone)
        self._rows = LiveRows(self.preprocessing.normalizer)
        self._stream = _stream_of(
            saved_model(folder, self.preprocessing),
            width=4 * self.preprocessing.levels,
            window=self.preprocessing.window,
        )

    def push(
        self,
        *,
        time_ns: int,
        ask_ticks: IntArray | Sequence[int],
        ask_size: FloatArray | Sequence[float],
        bid_ticks: IntArray | Sequence[int],
        bid_size: FloatArray | Sequence[float],
    ) -> Floats | None:
        """``(3,)`` float32 probabilities of down, flat, up after this row.

        Args:
            time_ns: nanoseconds since the epoch, UTC; never before that of the row before.
            ask_ticks, ask_size, bid_ticks, bid_size: ``(L,)``, as in :class:`BookRow`.

        Returns:
            None until the session has as many rows as a window.

        Raises:
            DataError: no row of a book, or one from before; it is not taken in.
        """
        row = BookRow(
            time_ns=time_ns,
            ask_ticks=_ticks(ask_ticks),
            ask_size=np.array(ask_size, dtype=np.float64),
            bid_ticks=_ticks(bid_ticks),
            bid_size=np.array(bid_size, dtype=np.float64),
        )
        self._rows.check(row)
        if self._clock.begins_session(time_ns):
            self._rows.reset()
            self._stream.reset()
        return self._stream.push(self._rows.push(row))

    def reset(self) -> None:
        """The feed was interrupted: the next row starts a session."""
        self._clock.reset()


def _ticks(prices: IntArray | Sequence[int]) -> IntArray:
    """A copy: feeds write the next row into the same arrays. A row refuses what is not whole."""
    given = np.array(prices)
    return given.astype(np.int64) if given.dtype.kind in "iu" else given


def _stream_of(model: PreTrainedModel, *, width: int, window: int) -> Stream:
    if isinstance(model, DeepLobForSequenceClassification):
        return DeepLobStream(model, window=window)
    return WindowStream(model, width=width, window=window)
