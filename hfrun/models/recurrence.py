"""The LSTM over inputs that windows share: projected once, then the recurrence of many windows.

    g = x W_ih' + b_ih + b_hh          ``projected``, once a site
    i, f, u, o = s(g_i), s(g_f), tanh(g_u), s(g_o)       with g = projected + h W_hh'
    c = f c + i u        h = o tanh(c)

Sigmoids are several times cheaper than hyperbolic tangents on a CPU, so tanh(x) = 2 s(2 x) - 1 with
the factors taken into the weights: one sigmoid over the four gates, one over the cell.

References: Hochreiter and Schmidhuber (1997), Long Short-Term Memory, Neural Computation 9(8), in
the form of torch.nn.LSTM.
"""

import torch
from torch import Tensor, nn

_WINDOWS = 1024  # windows at a time: their gates stay in a core's cache


def last_hidden(lstm: nn.LSTM, encoded: Tensor, of_window: Tensor) -> Tensor:
    """``(W, H)`` hidden state after each window's last step. Not differentiable.

    Args:
        lstm: one layer, one direction.
        encoded: ``(M, I)`` inputs, each of which several windows may read.
        of_window: ``(W, m)`` int64 which input each window reads at each step.
    """
    width = lstm.hidden_size
    doubled = torch.ones(4 * width, device=encoded.device)
    doubled[2 * width : 3 * width] = 2.0  # the gate that goes through tanh
    projected = torch.addmm(
        (lstm.bias_ih_l0 + lstm.bias_hh_l0) * doubled, encoded, (lstm.weight_ih_l0.t() * doubled)
    )
    # h is kept as o (s(2 c) - 1/2), half of what it is
    weight = 2.0 * lstm.weight_hh_l0.t() * doubled
    hidden = [
        _last_half(projected, weight.contiguous(), steps)
        for steps in of_window.t().contiguous().split(_WINDOWS, dim=1)
    ]
    return 2.0 * torch.cat(hidden)


def _last_half(projected: Tensor, weight: Tensor, steps: Tensor) -> Tensor:
    """Half the last hidden state ``(W, H)`` of windows with the sites ``steps`` ``(m, W)``."""
    width, windows = weight.shape[0], steps.shape[1]
    gates = projected.new_empty(windows, 4 * width)
    into, forget, update, out = gates.split(width, dim=1)
    cell = projected.new_zeros(windows, width)  # twice the cell
    hidden = projected.new_zeros(windows, width)  # half the hidden state
    for step in steps:
        torch.index_select(projected, 0, step, out=gates)
        gates.addmm_(hidden, weight).sigmoid_()
        update.sub_(0.5)
        cell.mul_(forget).addcmul_(into, update, value=4.0)
        torch.sigmoid(cell, out=hidden)
        hidden.sub_(0.5).mul_(out)
    return hidden
