"""DeepLOB over stretches of rows: what neighbouring windows have in common is computed once.

    rows          0 . . . . . . . . . . . S-1          S rows, windows of T ending at some of them
    blocks        valid over time: one hidden row each, whatever the window      n = S - 18
    inception     window   p = 0 1 2 . . . m-3 m-2 m-1                           m = T - 18
                               [edge]  shared   [edge]
    sites         the shared ones, then the edge ones of each window
    projection    of each site once; the recurrence alone runs for each window

The inception pads a window's ends (convolutions with zeros, the maximum with nothing), so its
outputs at the two positions next to either end belong to one window alone, and all others to every
window that has them. Edge sites are computed from the taps that lie inside their window.

In evaluation mode all logits equal those of the plain path, window by window. In training mode they
do given the same statistics, and a batch norm here sees each value once, where the plain path shows
it one value as often as there are windows that hold it. Where no two windows share a row, both are
the same: logits, gradients and what the batch norms remember.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from hfrun.errors import ModelError

if TYPE_CHECKING:
    from hfrun.models.deeplob import DeepLobForSequenceClassification, Inception

LOST_ROWS = 18  # three blocks of two valid convolutions over four rows
_SITES_STEP = 256
_REACH = 2  # rows that the longest inception kernel, 5, looks to either side


@dataclass(frozen=True, kw_only=True, eq=False)
class Sites:
    """What the LSTM reads.

    Attributes:
        encoded: ``(M, 3 C')`` the inception's outputs, those that windows share and edge ones.
        of_window: ``(W, T - 18)`` int64 the sites of each window, in time order.
    """

    encoded: Tensor
    of_window: Tensor

    def sequences(self) -> Tensor:
        """``(W, T - 18, 3 C')``: each window's own sequence, which repeats what is shared."""
        return self.encoded[self.of_window]


def window_sites(
    model: "DeepLobForSequenceClassification", features: Tensor, ends: Tensor, *, window: int
) -> Sites:
    """The LSTM's input for windows inside stretches of rows.

    Args:
        model: a DeepLOB.
        features: ``(B, S, 4 L)`` stretches.
        ends: ``(W,)`` int64 last row of each window, counted through all B S rows.
        window: T, at least 19.

    Raises:
        ModelError: a window does not lie within one stretch.
    """
    stretches, rows = features.shape[:2]
    _check_ends(ends, stretches=stretches, rows=rows, window=window)
    hidden = model.book_rows(features).squeeze(3)  # (B, C, n)
    if hidden.requires_grad:
        # What comes back has the strides of the rows below, and see _norm for such gradients.
        hidden.register_hook(torch.Tensor.contiguous)
    n, m = rows - LOST_ROWS, window - LOST_ROWS
    hidden = hidden.transpose(1, 2).reshape(stretches * n, -1)  # (B n, C)
    stretch = torch.div(ends, rows, rounding_mode="floor")
    first = ends - stretch * LOST_ROWS - (window - 1)  # first hidden row of each window
    edges = [p for p in range(m) if p < _REACH or p >= m - _REACH]
    inner = torch.arange(_REACH, max(m - _REACH, _REACH), device=ends.device)
    read = first[:, None] + inner  # (W, m - 4) hidden rows whose shared site a window reads
    shared, place = _distinct(read, stretches * n)
    around = _rows_around(first, edges, m)
    encoded = _inception(model.inception, hidden, shared, around)
    of_window = torch.empty((len(ends), m), dtype=torch.int64, device=ends.device)
    of_window[:, inner] = place[read]
    own = torch.arange(len(ends) * len(edges), device=ends.device).view(len(ends), len(edges))
    of_window[:, edges] = len(shared) + own
    return Sites(encoded=encoded, of_window=of_window)


def _check_ends(ends: Tensor, *, stretches: int, rows: int, window: int) -> None:
    """Rows of another stretch, or from the end of the batch, would be read without a word."""
    is_inside = (ends >= 0) & (ends < stretches * rows) & (ends % rows >= window - 1)
    if not is_inside.all():
        wrong = int(ends[~is_inside][0])
        raise ModelError(
            f"a window of {window} rows that ends at row {wrong} of {stretches} stretches of "
            f"{rows} rows does not lie within one; count ends through all rows of the batch"
        )


def _distinct(read: Tensor, rows: int) -> tuple[Tensor, Tensor]:
    """The rows that are read, in order, and the place of each row among them ``(rows,)``."""
    is_read = torch.zeros(rows, dtype=torch.bool, device=read.device)
    is_read[read.reshape(-1)] = True
    return is_read.nonzero().squeeze(1), is_read.cumsum(0) - 1


def _rows_around(first: Tensor, edges: list[int], m: int) -> Tensor:
    """``(W E, 5)`` hidden rows within reach of each edge site; -1 outside the window."""
    offsets = torch.arange(-_REACH, _REACH + 1, device=first.device)
    position = torch.tensor(edges, device=first.device)[:, None] + offsets  # (E, 5)
    row = first[:, None, None] + position
    is_inside = (position >= 0) & (position < m)
    return torch.where(is_inside, row, -1).view(-1, 2 * _REACH + 1)


def _inception(inception: "Inception", hidden: Tensor, shared: Tensor, around: Tensor) -> Tensor:
    """``(M, 3 C')`` outputs at the shared rows, then at the edge sites."""
    offsets = torch.arange(-_REACH, _REACH + 1, device=hidden.device)
    taps = torch.cat([shared[:, None] + offsets, around])  # (M, 5), -1 outside the window
    sites = len(taps)
    # Rows of missing taps up to a multiple: kernels are made and kept for every number there is.
    taps = nn.functional.pad(taps, (0, 0, 0, -sites % _SITES_STEP), value=-1)
    highest = _with_last(hidden, -torch.inf)[taps[:sites, 1:4]].max(1).values
    views = [
        _over_time(inception.short, hidden, taps[:, 1:4], sites),
        _over_time(inception.long, hidden, taps, sites),
        _unit(inception.pooled, nn.functional.pad(highest, (0, 0, 0, len(taps) - sites)), sites),
    ]
    return torch.cat(views, dim=1)


def _over_time(branch: nn.Sequential, hidden: Tensor, taps: Tensor, sites: int) -> Tensor:
    """``(M, C')`` of a branch: 1x1, then a kernel over each site's taps, zero where one lacks."""
    narrow = _unit(branch[0], hidden, len(hidden))
    seen = _with_last(narrow, 0.0)[taps].flatten(1)  # (M, K C')
    return _unit(branch[1], seen, sites)


def _unit(unit: nn.Sequential, inputs: Tensor, sites: int) -> Tensor:
    """A unit on what its kernel covers, tap by tap: ``(N, K C)`` to ``(sites, C')``."""
    kernel, activation, norm = unit
    weight = kernel.weight.squeeze(3).transpose(1, 2).flatten(1)  # (C', K C)
    return _norm(norm, activation(nn.functional.linear(inputs, weight, kernel.bias)[:sites]))


def _norm(norm: nn.BatchNorm2d, rows: Tensor) -> Tensor:
    """Batch norm of ``(M, C)`` as M images of one point.

    Not as one image seen through other strides: the gradient of that is wrong in torch 2.13.
    """
    normed: Tensor = norm(rows[:, :, None, None])
    return normed[:, :, 0, 0]


def _with_last(rows: Tensor, value: float) -> Tensor:
    """One more row, which the index -1 finds."""
    return nn.functional.pad(rows, (0, 0, 0, 1), value=value)
