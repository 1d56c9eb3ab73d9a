"""The arithmetic of :class:`DeepLobStream` in numba: all that one new row changes, and no more.

    row t ─► price_size ─► sides ─► levels ─► hidden row t        one new row in every ring
    hidden rows t-4 ... t ─► inception ─► five sites              | 0 | 1 | 2 |  t-1 | t |
    sites 0 1 2: row t-2 as a window's first, second, inner row   ─► every open window, one step
    sites 3 4:   rows t-1 and t at the end of a window            ─► the window that ends, two more

A hidden row has the number of the newest of the 19 rows that it sees. Everything is float32 and
preallocated. The kernels are compiled at their first call, which takes seconds, and kept on disk;
they take a handful of arrays, because each costs a fifth of a microsecond at every call.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, TypeVar, cast

import numba
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

HIDDEN_ROWS = 8  # of the rings after the book blocks: at least the longest inception kernel's 5

# A convolution with its activation and batch norm, (taps, inputs, channels) over some positions.
# It reads the last ``taps`` rows of the ring at ``source`` and writes one of the ring at
# ``target``; at ``weight`` lie its weights, the oldest tap first, then bias, scale and shift.
UNIT = np.dtype(
    [
        *((name, np.int64) for name in ("positions", "inputs", "channels", "taps")),
        *((name, np.int64) for name in ("source", "source_rows", "target", "target_rows")),
        ("weight", np.int64),
        ("slope", np.float32),
        ("is_tanh", np.bool_),
    ]
)

# Rows around a site of the inception as one row of ``target``: ``taps`` of them side by side, zero
# where they lie outside the window, or (``is_maximum``) the greatest of those within.
GATHERING = np.dtype(
    [
        *((name, np.int64) for name in ("channels", "taps", "source", "target")),
        ("is_maximum", np.bool_),
    ]
)

# How old the row of a site is, and the oldest row that it may look at; none is younger than 0.
SITE = np.dtype([("age", np.int64), ("oldest", np.int64)])

# Contraction (fused multiply-add) is the one liberty: reassociation would undo the rounding.
_njit: Any = partial(numba.njit, fastmath={"contract"}, error_model="numpy", nogil=True)
_ZERO, _ONE, _TWO = np.float32(0), np.float32(1), np.float32(2)
_LEAST = np.float32(-np.inf)
_ROUNDER = np.float32(1.5 * 2**23)  # added and taken away again, it leaves a whole number
_PER_LN2 = np.float32(1 / math.log(2))
_LN2_HIGH = np.float32(0.693145751953125)  # the leading bits of ln 2: products with n are exact
_LN2_LOW = np.float32(math.log(2) - 0.693145751953125)
_LARGEST_EXPONENT = np.float32(87)
_EXPONENT_OF_ONE = 127 << 23
_C2, _C3, _C4, _C5, _C6, _C7 = (np.float32(1 / math.factorial(n)) for n in range(2, 8))

_Function = TypeVar("_Function", bound=Callable[..., Any])


def compiled(function: _Function) -> _Function:
    """Numba's version of a function; where no folder can be written, it is kept in memory alone."""
    try:
        return cast(_Function, _njit(cache=True)(function))
    except RuntimeError:  # numba found no place for its cache
        return cast(_Function, _njit()(function))


class Convolutions(NamedTuple):
    """Everything before the LSTM: the units in order, of which ``n_before`` stand before the sites.

    ``memory`` holds every ring; the row that is pushed is its beginning.
    """

    units: npt.NDArray[np.void]
    gatherings: npt.NDArray[np.void]
    sites: npt.NDArray[np.void]
    n_before: int
    views: int
    weights: Floats
    memory: Floats


class Recurrence(NamedTuple):
    """The LSTM and the head; gates are in the order input, forget, cell, output.

    ``inputs`` is ``(3, I, 4 H)``, one an inception branch; ``recurrent`` ``(H, 4 H)``, ``bias``
    ``(4 H,)``, ``head`` ``(3, H)``. ``steps`` ``(5, 4 H)`` are the sites as input to the gates. The
    open windows are the rows of ``output`` and ``cell``, and the last row is the one that ends.
    """

    inputs: Floats
    recurrent: Floats
    bias: Floats
    head: Floats
    head_bias: Floats
    steps: Floats
    gates: Floats
    output: Floats
    cell: Floats


@compiled
def exponential_less_one(x: np.float32) -> np.float32:
    """exp(x) - 1 within 3e-7 of its value for |x| <= 87, clamped beyond.

    x = n ln 2 + r with |r| <= ln(2) / 2: a polynomial in r, and 2^n written into the exponent.
    """
    x = min(max(x, -_LARGEST_EXPONENT), _LARGEST_EXPONENT)
    rounded = np.float32(x * _PER_LN2 + _ROUNDER)
    n = rounded - _ROUNDER
    r = (x - n * _LN2_HIGH) - n * _LN2_LOW
    series = (((((_C7 * r + _C6) * r + _C5) * r + _C4) * r + _C3) * r + _C2) * (r * r) + r
    power = np.int32((rounded.view(np.int32) << 23) + _EXPONENT_OF_ONE).view(np.float32)
    return np.float32(power * series + (power - _ONE))


@compiled
def sigmoid(x: np.float32) -> np.float32:
    return np.float32(_ONE / (_TWO + exponential_less_one(-x)))


@compiled
def hyperbolic_tangent(x: np.float32) -> np.float32:
    """Exact to a relative 1e-6 near 0 too: a batch norm of a small variance would show it."""
    raised = exponential_less_one(_TWO * x)
    return np.float32(raised / (raised + _TWO))


@compiled
def set_row(out: Floats, figures: Floats) -> None:
    """A plain loop: numba's slice assignments broadcast, and take seconds to compile."""
    for j in range(out.size):
        out[j] = figures[j]


@compiled
def fill_row(out: Floats, figure: np.float32) -> None:
    for j in range(out.size):
        out[j] = figure


@compiled
def add_product(a: Floats, b: Floats, out: Floats) -> None:
    """``out += a @ b`` for ``(M, K)`` and ``(K, N)``, four rows and four terms at a time.

    So a row of b is read once for four of out's, and the innermost loop, 16 products wide, is
    vectorised as long as it reads b before it writes.
    """
    n_rows, n_terms = a.shape
    rows, terms = n_rows - n_rows % 4, n_terms - n_terms % 4
    for i in range(0, rows, 4):
        for k in range(0, terms, 4):
            a00, a01, a02, a03 = a[i, k], a[i, k + 1], a[i, k + 2], a[i, k + 3]
            a10, a11, a12, a13 = a[i + 1, k], a[i + 1, k + 1], a[i + 1, k + 2], a[i + 1, k + 3]
            a20, a21, a22, a23 = a[i + 2, k], a[i + 2, k + 1], a[i + 2, k + 2], a[i + 2, k + 3]
            a30, a31, a32, a33 = a[i + 3, k], a[i + 3, k + 1], a[i + 3, k + 2], a[i + 3, k + 3]
            o0, o1, o2, o3 = out[i], out[i + 1], out[i + 2], out[i + 3]
            b0, b1, b2, b3 = b[k], b[k + 1], b[k + 2], b[k + 3]
            for j in range(b.shape[1]):
                x0, x1, x2, x3 = b0[j], b1[j], b2[j], b3[j]
                o0[j] += a00 * x0 + a01 * x1 + a02 * x2 + a03 * x3
                o1[j] += a10 * x0 + a11 * x1 + a12 * x2 + a13 * x3
                o2[j] += a20 * x0 + a21 * x1 + a22 * x2 + a23 * x3
                o3[j] += a30 * x0 + a31 * x1 + a32 * x2 + a33 * x3
    for i in range(rows, n_rows):
        add_row_product(a[i], b, terms, out[i])
    for k in range(terms, n_terms):
        for i in range(n_rows):
            for j in range(b.shape[1]):
                out[i, j] += a[i, k] * b[k, j]


@compiled
def add_row_product(a: Floats, b: Floats, n_terms: int, out: Floats) -> None:
    """``out += a @ b`` over the first ``n_terms`` terms, a multiple of four, for one row."""
    for k in range(0, n_terms, 4):
        a0, a1, a2, a3 = a[k], a[k + 1], a[k + 2], a[k + 3]
        b0, b1, b2, b3 = b[k], b[k + 1], b[k + 2], b[k + 3]
        for j in range(b.shape[1]):
            out[j] += a0 * b0[j] + a1 * b1[j] + a2 * b2[j] + a3 * b3[j]


@compiled
def activate(unit: Any, affine: Floats, out: Floats) -> None:
    """Activation and batch norm over ``(positions, channels)``, in place."""
    channels = out.shape[1]
    scale, shift = affine[channels : 2 * channels], affine[2 * channels : 3 * channels]
    slope = unit["slope"]
    for i in range(out.shape[0]):
        row = out[i]
        if unit["is_tanh"]:
            for j in range(channels):
                row[j] = hyperbolic_tangent(row[j]) * scale[j] + shift[j]
        else:
            for j in range(channels):
                leaky = max(row[j], _ZERO) + slope * min(row[j], _ZERO)
                row[j] = leaky * scale[j] + shift[j]


@compiled
def run_unit(unit: Any, weights: Floats, memory: Floats, newest: int) -> None:
    """The unit's newest row, from the newest rows of its source."""
    positions, inputs, channels = unit["positions"], unit["inputs"], unit["channels"]
    at = unit["weight"] + unit["taps"] * inputs * channels
    affine = weights[at : at + 3 * channels]
    size = positions * channels
    to = unit["target"] + newest % unit["target_rows"] * size
    out = memory[to : to + size].reshape(positions, channels)
    for i in range(positions):
        set_row(out[i], affine)
    for tap in range(unit["taps"]):
        row = (newest + 1 + tap - unit["taps"]) % unit["source_rows"]
        at = unit["source"] + row * positions * inputs
        given = memory[at : at + positions * inputs].reshape(positions, inputs)
        at = unit["weight"] + tap * inputs * channels
        weight = weights[at : at + inputs * channels].reshape(inputs, channels)
        add_product(given, weight, out)
    activate(unit, affine, out)


@compiled
def gather(gathering: Any, site: Any, ring: Floats, newest: int, out: Floats) -> None:
    """The rows around a site; ``ring`` is ``(HIDDEN_ROWS, channels)``."""
    channels, taps = ring.shape[1], gathering["taps"]
    fill_row(out, _LEAST if gathering["is_maximum"] else _ZERO)
    for tap in range(taps):
        age = site["age"] + taps // 2 - tap
        if age < 0 or age > site["oldest"]:
            continue
        row = ring[(newest - age) % HIDDEN_ROWS]
        if gathering["is_maximum"]:
            for j in range(channels):
                out[j] = max(out[j], row[j])
        else:
            set_row(out[tap * channels : (tap + 1) * channels], row)


@compiled
def push_convolutions(parts: Convolutions, newest: int) -> None:
    """The five sites as each inception branch sees them, from the row at the memory's beginning."""
    memory = parts.memory
    for i in range(parts.units.size):
        if i == parts.n_before:
            for gathering in parts.gatherings:
                channels = gathering["channels"]
                at = gathering["source"]
                ring = memory[at : at + HIDDEN_ROWS * channels].reshape(HIDDEN_ROWS, channels)
                width = channels if gathering["is_maximum"] else gathering["taps"] * channels
                for s in range(parts.sites.size):
                    at = gathering["target"] + s * width
                    gather(gathering, parts.sites[s], ring, newest, memory[at : at + width])
        run_unit(parts.units[i], parts.weights, memory, newest)


@compiled
def step(gates: Floats, output: Floats, cell: Floats) -> None:
    """One step of the LSTM for each row of states, from the sums that its gates receive."""
    width = cell.shape[1]
    for i in range(cell.shape[0]):
        sums, out, state = gates[i], output[i], cell[i]
        for j in range(width):
            kept = sigmoid(sums[width + j]) * state[j]
            added = sigmoid(sums[j]) * hyperbolic_tangent(sums[2 * width + j])
            state[j] = kept + added
            out[j] = sigmoid(sums[3 * width + j]) * hyperbolic_tangent(kept + added)


@compiled
def advance(parts: Recurrence, first: int, stop: int) -> None:
    """One step for the windows ``first <= i < stop``, whose gates hold the step's input."""
    add_product(parts.output[first:stop], parts.recurrent, parts.gates[first:stop])
    step(parts.gates[first:stop], parts.output[first:stop], parts.cell[first:stop])


@compiled
def push_recurrence(parts: Recurrence, views: Floats, newest: int, n_last: int) -> None:
    """Take every open window over hidden row ``newest - 2``, and the one that ends to its end.

    The window that begins with hidden row s has slot ``s % slots``, as long as it is open; the one
    that ends has ``n_last`` steps left, 2 unless it is shorter.
    """
    steps, slots = parts.steps, parts.cell.shape[0] - 1
    for site in range(steps.shape[0]):
        set_row(steps[site], parts.bias)
    for view in range(views.shape[0]):
        add_product(views[view], parts.inputs[view], steps)
    fill_row(parts.output[slots], _ZERO)
    fill_row(parts.cell[slots], _ZERO)
    if slots > 0:
        begins, ends = (newest - 2) % slots, (newest - 1) % slots
        for slot in range(slots):
            set_row(parts.gates[slot], steps[2])
        set_row(parts.gates[(newest - 3) % slots], steps[1])
        set_row(parts.gates[begins], steps[0])  # after the second: one slot alone is the first's
        fill_row(parts.output[begins], _ZERO)
        fill_row(parts.cell[begins], _ZERO)
        advance(parts, 0, slots)
        set_row(parts.output[slots], parts.output[ends])
        set_row(parts.cell[slots], parts.cell[ends])
    for site in range(steps.shape[0] - n_last, steps.shape[0]):
        set_row(parts.gates[slots], steps[site])
        advance(parts, slots, slots + 1)


@compiled
def classify(parts: Recurrence, probability: Floats) -> None:
    """The head and the softmax for the window that ends."""
    last = parts.output[parts.output.shape[0] - 1]
    for c in range(probability.size):
        total = parts.head_bias[c]
        for j in range(last.size):
            total += parts.head[c, j] * last[j]
        probability[c] = total
    largest, total = probability[0], _ZERO
    for c in range(probability.size):
        largest = max(largest, probability[c])
    for c in range(probability.size):
        probability[c] = math.exp(probability[c] - largest)
        total += probability[c]
    for c in range(probability.size):
        probability[c] /= total


@compiled
def push_rows(
    convolutions: Convolutions,
    recurrence: Recurrence,
    rows: Floats,
    newest: int,
    probability: Floats,
) -> int:
    """Take in rows ``(n, 4 L)``, the first of number ``newest``; how many of them were taken in.

    ``probability[i]`` ``(3,)`` becomes that of the window which ends with row i; it means nothing
    before there are as many rows as a window has. A row that is not finite ends it, unseen.
    """
    n_rows: int = rows.shape[0]
    n_sites, width = recurrence.steps.shape[0], recurrence.inputs.shape[1]
    at = convolutions.views
    views = convolutions.memory[at : at + 3 * n_sites * width].reshape(3, n_sites, width)
    n_last = min(2, convolutions.sites[n_sites - 1]["oldest"] + 1)
    for i in range(n_rows):
        for j in range(rows.shape[1]):
            if not math.isfinite(rows[i, j]):
                return i
        set_row(convolutions.memory[: rows.shape[1]], rows[i])
        push_convolutions(convolutions, newest + i)
        push_recurrence(recurrence, views, newest + i, n_last)
        classify(recurrence, probability[i])
    return n_rows
