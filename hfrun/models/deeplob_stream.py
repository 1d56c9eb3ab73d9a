"""DeepLOB one row at a time: the answer for the window that ends here, from what did not change.

    rows          | | | | | | | | | | | |r|            push(r)
    windows         [ . . . . . . . . . . ]            the one that ends at r: its answer
                      [ . . . . . . . . . . .          the T - 20 open ones behind it: one step
                        [ . . . . . . . . . .

Neighbouring windows share all convolutions but those at their edges, where the inception's padding
begins, and nothing of the LSTM, which starts from zero in each. So a push computes one new row of
every convolution, one step of the LSTM in each open window (a single matrix product), and two
steps more in the window that ends. It equals the model's forward pass on the last T rows in
evaluation mode, up to the rounding of float32.
"""

from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from hfrun.errors import ModelError
from hfrun.models.class_order import class_columns
from hfrun.models.configuration_deeplob import MINIMUM_WINDOW
from hfrun.models.deeplob import DeepLobForSequenceClassification, Inception

Floats = npt.NDArray[np.float32]

_ROWS_AT_ONCE = 4096
_BLOCK_TAPS = 4  # rows of the convolutions over time in a book block


class DeepLobStream:
    """The probabilities of a DeepLOB after each row of a feed.

    The weights are copied: a model that is trained on needs a new stream. One stream is one feed,
    for one thread at a time. The first stream of a process compiles or loads the kernels.

    >>> model = DeepLobForSequenceClassification(DeepLobConfig(levels=1, window=20))
    >>> stream = DeepLobStream(model)
    >>> answers = [stream.push(row) for row in np.zeros((21, 4), dtype=np.float32)]
    >>> [answer is None for answer in answers].index(False)
    19

    Args:
        model: any DeepLOB whose classes are down, flat (or stationary) and up, without the skip
            path from hand-made features.
        window: T, rows of a window, at least 19; the model's own unless given.

    Raises:
        ModelError: another model, other classes, or too short a window.
    """

    def __init__(self, model: PreTrainedModel, *, window: int | None = None) -> None:
        if not isinstance(model, DeepLobForSequenceClassification):
            raise ModelError(
                f"got a {type(model).__name__}; a DeepLobStream needs a DeepLOB; use a "
                "WindowStream for other models"
            )
        if model.config.hand_features:
            raise ModelError(
                f"the model takes {model.config.hand_features} hand-made features beside the rows, "
                "which a stream does not compute; choose a model without the skip path"
            )
        self.window = model.config.window if window is None else window
        if not isinstance(self.window, int) or self.window < MINIMUM_WINDOW:
            raise ModelError(
                f"window={self.window!r}: a DeepLOB needs windows of at least {MINIMUM_WINDOW} rows"
            )
        self.width = 4 * model.config.levels
        n_hidden = self.window - MINIMUM_WINDOW + 1
        self._convolutions = _convolutions(model, n_hidden=n_hidden)
        self._recurrence = _recurrence(model, n_hidden=n_hidden)
        self._push_rows = _kernels().push_rows
        self.n_rows = 0  # since the last reset

    def reset(self) -> None:
        """Forget all rows: a session starts."""
        self.n_rows = 0

    def push(self, row: Floats) -> Floats | None:
        """``(3,)`` float32 probabilities of down, flat, up; None until a window is full.

        Args:
            row: ``(4 L,)`` float32, normalised, in the column order of the book table.

        Raises:
            ModelError: another shape, or a figure that is not finite; the row is not taken in.
        """
        given = np.array(row, dtype=np.float32)  # a copy: see push_many
        if given.shape != (self.width,):
            raise ModelError(
                f"got a row of shape {given.shape}; the model needs ({self.width},): ask price, "
                "ask size, bid price and bid size, level by level"
            )
        answer = self._answers(given.reshape(1, self.width))[0]
        return answer if self.n_rows >= self.window else None

    def push_many(self, rows: Floats) -> Floats:
        """``(N, 3)`` probabilities after each of ``(N, 4 L)`` rows; NaN until a window is full.

        Raises:
            ModelError: another shape, or a figure that is not finite; the rows before it are taken
                in.
        """
        if rows.ndim != 2 or rows.shape[1] != self.width:
            raise ModelError(f"got rows of shape {rows.shape}; the model needs (N, {self.width})")
        n_early = max(self.window - 1 - self.n_rows, 0)
        answers = np.empty((len(rows), 3), dtype=np.float32)
        for start in range(0, len(rows), _ROWS_AT_ONCE):
            # Copied, some at a time: read-only or mapped rows would be another type to numba, and
            # compiled for anew in the middle of a session.
            part = np.array(rows[start : start + _ROWS_AT_ONCE], dtype=np.float32, order="C")
            answers[start : start + len(part)] = self._answers(part)
        answers[:n_early] = np.nan
        return answers

    def _answers(self, rows: Floats) -> Floats:
        answers = np.empty((len(rows), 3), dtype=np.float32)
        taken = self._push_rows(self._convolutions, self._recurrence, rows, self.n_rows, answers)
        self.n_rows += taken
        if taken < len(rows):
            raise self._not_finite(rows[taken])
        return answers

    def _not_finite(self, row: Floats) -> ModelError:
        column = int(np.argmin(np.isfinite(row)))
        return ModelError(
            f"row {self.n_rows} since the last reset has {row[column]} in column {column}; needs "
            "finite figures; leave the row out, or reset where the feed was interrupted"
        )


@cache
def _kernels() -> ModuleType:
    """The compiled part; numba takes a second, so it is imported where it is used."""
    from hfrun.models import deeplob_stream_kernels

    return deeplob_stream_kernels


@dataclass(frozen=True)
class _Ring:
    """``rows`` rows of ``size`` figures in the stream's memory, from ``at`` on."""

    at: int
    rows: int
    size: int


class _Builder:
    """Collects units, weights and rings into the few arrays that the kernels take."""

    def __init__(self) -> None:
        self.units: list[tuple[object, ...]] = []
        self.weights: list[Floats] = []
        self.memory = 0

    def ring(self, rows: int, size: int) -> _Ring:
        ring = _Ring(self.memory, rows, size)
        self.memory += rows * size
        return ring

    def add(self, unit: nn.Module, source: _Ring, target: _Ring, *, positions: int) -> None:
        """A convolution, its activation and its batch norm, from ring to ring.

        Of a kernel's two axes one is 1. Across the row, and over rows that were gathered side by
        side, what it covers is part of the inputs; over the rows of a ring they are its taps.
        """
        parts: list[Any] = list(unit.children())
        convolution, activation, norm = parts
        weight = _floats(convolution.weight).reshape(*convolution.weight.shape[:2], -1)
        channels, inputs = len(weight), source.size // positions
        scale = norm.weight.double() / torch.sqrt(norm.running_var.double() + norm.eps)
        shift = norm.bias.double() - norm.running_mean.double() * scale
        figures = (source.at, source.rows, target.at, target.rows, sum(map(len, self.weights)))
        self.units.append(
            (
                *(positions, inputs, channels, weight[0].size // inputs),
                *figures,
                getattr(activation, "negative_slope", 0.0),
                isinstance(activation, nn.Tanh),
            )
        )
        kernel = weight.transpose(2, 1, 0).ravel()  # tap by tap, the oldest first
        others = (_floats(figure) for figure in (convolution.bias, scale, shift))
        self.weights.append(np.concatenate([kernel, *others]))


def _convolutions(model: DeepLobForSequenceClassification, *, n_hidden: int) -> Any:
    """The memory begins with the row, so that the first unit reads what is pushed."""
    config, kernels, builder = model.config, _kernels(), _Builder()
    channels, width = config.conv_channels, config.inception_channels
    source = builder.ring(1, 4 * config.levels)
    for block, positions in (
        (model.price_size, 2 * config.levels),
        (model.sides, config.levels),
        (model.levels, 1),
    ):
        for unit, rows in zip(block, (_BLOCK_TAPS, _BLOCK_TAPS, 1), strict=True):
            is_hidden = block is model.levels and rows == 1
            target = builder.ring(kernels.HIDDEN_ROWS if is_hidden else rows, positions * channels)
            builder.add(unit, source, target, positions=positions)
            source = target
    return _with_inception(builder, model.inception, hidden=source, width=width, n_hidden=n_hidden)


def _with_inception(
    builder: _Builder, inception: Inception, *, hidden: _Ring, width: int, n_hidden: int
) -> Any:
    kernels, channels = _kernels(), hidden.size
    sites = _sites(n_hidden)
    first = [builder.ring(kernels.HIDDEN_ROWS, width) for _ in range(2)]
    for (unit, _), ring in zip((inception.short, inception.long), first, strict=True):
        builder.add(unit, hidden, ring, positions=1)
    n_before = len(builder.units)
    short, long = (builder.ring(1, len(sites) * taps * width) for taps in (3, 5))
    pooled = builder.ring(1, len(sites) * channels)
    gatherings = [
        (width, 3, first[0].at, short.at, False),
        (width, 5, first[1].at, long.at, False),
        (channels, 3, hidden.at, pooled.at, True),
    ]
    views = [builder.ring(1, len(sites) * width) for _ in range(3)]
    units = (inception.short[1], inception.long[1], inception.pooled)
    for unit, gathered, view in zip(units, (short, long, pooled), views, strict=True):
        builder.add(unit, gathered, view, positions=len(sites))
    return kernels.Convolutions(
        units=np.array(builder.units, dtype=kernels.UNIT),
        gatherings=np.array(gatherings, dtype=kernels.GATHERING),
        sites=np.array(sites, dtype=kernels.SITE),
        n_before=n_before,
        views=views[0].at,
        weights=np.concatenate(builder.weights),
        memory=_zeros(builder.memory),
    )


def _sites(n_hidden: int) -> list[tuple[int, int]]:
    """Age, and that of the oldest row in the window, of each hidden row that a push has to see.

    The row before the last two as the first, the second and an inner one of a window that begins;
    then the last two of the window that ends, which begins with age ``n_hidden - 1``.
    """
    ends = [(age, min(age + 2, n_hidden - 1)) for age in (1, 0)]
    return [(2, 2), (2, 3), (2, 4), *ends]


def _recurrence(model: DeepLobForSequenceClassification, *, n_hidden: int) -> Any:
    lstm: Any = model.lstm
    width = model.config.lstm_hidden
    slots, n_sites = max(n_hidden - 2, 0), len(_sites(n_hidden))
    columns = class_columns(model.config)
    return _kernels().Recurrence(
        inputs=_floats(lstm.weight_ih_l0.T).reshape(3, -1, 4 * width),
        recurrent=_floats(lstm.weight_hh_l0.T),
        bias=_floats(lstm.bias_ih_l0) + _floats(lstm.bias_hh_l0),
        head=_floats(model.head.weight[columns]),
        head_bias=_floats(model.head.bias[columns]),
        steps=_zeros(n_sites, 4 * width),
        gates=_zeros(slots + 1, 4 * width),
        output=_zeros(slots + 1, width),
        cell=_zeros(slots + 1, width),
    )


def _floats(values: Tensor) -> Floats:
    """A float32 copy of its own in main memory."""
    return np.array(values.detach().float().cpu().numpy(), order="C")


def _zeros(*shape: int) -> Floats:
    return np.zeros(shape, dtype=np.float32)
