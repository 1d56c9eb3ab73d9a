"""Walk-forward folds: train, then validation, then test, purged by when a label was known.

    0 |*****.vv.xxx            |    * train   v validation   x test
    1 |   *****.vv.xxx         |    . purged: label_end at or after the next block's first decision
    2 |      *****.vv.xxx      |

The purge takes decisions off the *earlier* block, so that nothing that was trained on or chosen by
saw an instant of the block that judges it; a test block is never thinned to save a training label.

References: Lopez de Prado (2018), Advances in Financial Machine Learning, ch. 7 (purging, embargo).
"""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from lob_backtest.book import FloatArray, IntArray
from lob_backtest.errors import SplitError

Mode = Literal["rolling", "expanding"]
Unit = Literal["decisions", "seconds", "days"]

_NS_PER_SECOND = 1_000_000_000
_TRAIN, _VALIDATION, _TEST, _PURGED = "*", "v", "x", "."


@dataclass(frozen=True, kw_only=True, eq=False)
class Fold:
    """One round of the walk: what is learned from, what is chosen by, and what judges.

    Attributes:
        fold: number, 0, 1, ... in time order.
        train, validation, test: int64 indices into the decisions, increasing, never empty.
        train_end_ns: last instant that training or choosing looked at: the greatest label_end of
            train and validation, before ``test_start_ns`` by more than the embargo.
        test_start_ns, test_end_ns: first and last ``decided_ns`` of test.
        n_purged: decisions taken off train and validation.
        n_dropped: decisions since the test block before (after the last fold: also those up to the
            end) that no test block holds, because the rest of their session was too short for one.
    """

    fold: int
    train: IntArray
    validation: IntArray
    test: IntArray
    train_end_ns: int
    test_start_ns: int
    test_end_ns: int
    n_purged: int
    n_dropped: int = 0


def walk_forward_folds(
    decided_ns: IntArray,
    label_end_ns: IntArray,
    session: IntArray,
    *,
    mode: Mode,
    unit: Unit,
    train: float,
    validation: float,
    test: float,
    embargo_ns: int = 0,
) -> list[Fold]:
    """Folds in time order, stepping by ``test``, so that the test blocks never overlap.

    Lengths are measured in decisions, in seconds of trading (the time between sessions does not
    count), or in days (sessions that hold decisions). In decisions and seconds a test block ends
    with its session, and a remainder shorter than half of ``test`` is dropped and counted; in days
    a test block is whole sessions. Train and validation may span sessions.

    Purge and embargo: a train decision stays if its label_end is before the first validation
    decision; train and validation decisions stay if their label_end is more than ``embargo_ns``
    before the first test decision. Test decisions are never purged.

    Args:
        decided_ns: ``(D,)`` strictly increasing instants.
        label_end_ns: ``(D,)`` last instant each label used.
        session: ``(D,)`` session number of each decision.
        mode: ``"rolling"`` keeps the length of train, ``"expanding"`` keeps its beginning.
        unit: what ``train``, ``validation`` and ``test`` count.
        train, validation, test: lengths; whole numbers for decisions and days.
        embargo_ns: nanoseconds between the last instant of train and validation and test.

    Raises:
        SplitError: too few decisions for one fold, a block that the purge empties, or arguments
            that make no sense.
    """
    _check_arrays(decided_ns, label_end_ns, session)
    _check_lengths(mode, unit, train, validation, test, embargo_ns)
    position, session_stop = _positions(decided_ns, session, unit)
    scale = _NS_PER_SECOND if unit == "seconds" else 1
    n_train, n_validation, n_test = (round(length * scale) for length in (train, validation, test))
    folds: list[Fold] = []
    start, end, dropped = n_train + n_validation, int(position[-1]) + 1, 0
    while start < end:
        first = int(np.searchsorted(position, start))
        stop = min(start + n_test, end if unit == "days" else int(session_stop[first]))
        block = np.arange(first, np.searchsorted(position, stop), dtype=np.int64)
        if 2 * (stop - start) < n_test:
            dropped += block.size
        elif block.size:  # a quiet stretch of a session may hold no decision at all
            known = 0 if mode == "expanding" else start - n_validation - n_train
            edges = np.searchsorted(position, [known, start - n_validation, start])
            fold = _purged(len(folds), edges, block, decided_ns, label_end_ns, embargo_ns)
            folds.append(replace(fold, n_dropped=dropped))
            dropped = 0
        start = stop
    if not folds:
        raise _too_few(unit, train, validation, test, got=end / scale)
    folds[-1] = replace(folds[-1], n_dropped=folds[-1].n_dropped + dropped)
    return folds


def holdout_fold(
    decided_ns: IntArray,
    label_end_ns: IntArray,
    session: IntArray,
    *,
    train: float,
    validation: float,
    test: float,
    embargo_ns: int = 0,
) -> Fold:
    """One fold of fractions of the decisions, in time order, with the same purge and embargo.

    Unlike a walk's, its test block may span sessions; windows, labels and positions still do not.

    Args:
        decided_ns, label_end_ns, session: ``(D,)`` as for :func:`walk_forward_folds`.
        train, validation, test: fractions above 0 that add up to at most 1.
        embargo_ns: nanoseconds between the last instant of train and validation and test.

    Raises:
        SplitError: the fractions are no such thing, or a block is empty after the purge.
    """
    _check_arrays(decided_ns, label_end_ns, session)
    if min(train, validation, test) <= 0 or train + validation + test > 1 + 1e-9 or embargo_ns < 0:
        raise SplitError(
            f"train={train}, validation={validation}, test={test}, embargo_ns={embargo_ns}: needs "
            "fractions above 0 that add up to at most 1, and an embargo of at least 0"
        )
    shares = np.cumsum([0.0, train, validation, test])
    edges = np.round(shares * decided_ns.size).astype(np.int64)
    block = np.arange(edges[2], edges[3], dtype=np.int64)
    if block.size == 0:
        raise SplitError(
            f"test={test} of {decided_ns.size} decisions is none; needs at least one; "
            "enlarge the fraction or load more days"
        )
    return _purged(0, edges[:3], block, decided_ns, label_end_ns, embargo_ns)


def draw_folds(folds: list[Fold], decided_ns: IntArray, *, width: int = 72) -> str:
    """A drawing of the folds over all decisions, one line a fold, and the legend.

    A character stands for ``D / width`` decisions. Where several kinds meet in one, the rarest is
    shown: purged before test, validation and train; a blank takes no part in the fold.
    """
    n = int(decided_ns.shape[0])
    cell = np.arange(n) * min(width, n) // n
    lines = []
    for fold in folds:
        kinds = np.full(n, " ")
        # What lies between train and test and is in neither block was purged.
        kinds[fold.train[0] : fold.test[0]] = _PURGED
        kinds[fold.train], kinds[fold.validation] = _TRAIN, _VALIDATION
        kinds[fold.test] = _TEST
        drawn = np.full(min(width, n), " ")
        for kind in (_TRAIN, _VALIDATION, _TEST, _PURGED):
            drawn[cell[kinds == kind]] = kind
        lines.append(f"{fold.fold:>3} |{''.join(drawn)}|")
    legend = (
        f"     {_TRAIN} train   {_VALIDATION} validation   {_TEST} test   "
        f"{_PURGED} purged: label_end >= first decision of the next block"
    )
    return "\n".join([*lines, legend])


def _purged(
    number: int,
    edges: IntArray,
    test: IntArray,
    decided_ns: IntArray,
    label_end_ns: IntArray,
    embargo_ns: int,
) -> Fold:
    """The only purge: ``edges`` are the first decisions of train, of validation, and after it."""
    train = np.arange(edges[0], edges[1], dtype=np.int64)
    validation = np.arange(edges[1], edges[2], dtype=np.int64)
    before = train.size + validation.size
    test_start_ns = int(decided_ns[test[0]])
    limit_ns = test_start_ns - embargo_ns
    if validation.size:
        train = train[label_end_ns[train] < min(limit_ns, decided_ns[validation[0]])]
    validation = validation[label_end_ns[validation] < limit_ns]
    if train.size == 0 or validation.size == 0:
        counts = f"{edges[1] - edges[0]} train and {edges[2] - edges[1]} validation"
        raise SplitError(
            f"fold {number}: of {counts} decisions, {train.size} and {validation.size} are left "
            f"whose labels were known before the next block (embargo_ns={embargo_ns}); needs at "
            "least one of each; lengthen train and validation, or shorten the label horizon or "
            "the embargo"
        )
    train_end_ns = int(max(label_end_ns[train].max(), label_end_ns[validation].max()))
    assert train_end_ns < limit_ns <= test_start_ns
    return Fold(
        fold=number,
        train=train,
        validation=validation,
        test=test,
        train_end_ns=train_end_ns,
        test_start_ns=test_start_ns,
        test_end_ns=int(decided_ns[test[-1]]),
        n_purged=int(before - train.size - validation.size),
    )


def _positions(decided_ns: IntArray, session: IntArray, unit: Unit) -> tuple[IntArray, IntArray]:
    """Where each decision stands on the unit's axis, and where its session ends on it.

    Never decreasing integers from 0: decision numbers, trading nanoseconds, or day numbers.
    """
    starts = np.flatnonzero(np.diff(session, prepend=session[0] - 1))
    day = np.cumsum(np.diff(session, prepend=session[0]) != 0, dtype=np.int64)
    if unit == "days":
        return day, day + 1
    if unit == "decisions":
        position = np.arange(decided_ns.size, dtype=np.int64)
    else:
        # The next session starts 1 ns after the last decision of the one before it.
        opening = np.diff(decided_ns, prepend=decided_ns[0])
        opening[starts[1:]] = 1
        position = np.cumsum(opening)
    stops = np.append(position[starts[1:]], position[-1] + 1)
    return position, stops[day]


def _check_arrays(decided_ns: IntArray, label_end_ns: IntArray, session: IntArray) -> None:
    shapes = (decided_ns.shape, label_end_ns.shape, session.shape)
    if len(set(shapes)) != 1 or decided_ns.ndim != 1 or decided_ns.size == 0:
        raise SplitError(
            f"decided_ns, label_end_ns and session have shapes {shapes}; need one (D,) with at "
            "least one decision"
        )
    if np.any(np.diff(decided_ns) <= 0) or np.any(np.diff(session) < 0):
        raise SplitError("decisions must be in time order: decided_ns strictly, session weakly")
    if np.any(label_end_ns < decided_ns):
        row = int(np.argmax(label_end_ns < decided_ns))
        raise SplitError(f"decision {row}: label_end_ns is before decided_ns; labels look forward")


def _check_lengths(
    mode: Mode, unit: Unit, train: float, validation: float, test: float, embargo_ns: int
) -> None:
    asked = f"mode={mode!r}, unit={unit!r}, train={train}, validation={validation}, test={test}"
    if mode not in ("rolling", "expanding") or unit not in ("decisions", "seconds", "days"):
        raise SplitError(
            f"{asked}: mode is rolling or expanding, unit is decisions, seconds or days"
        )
    lengths: FloatArray = np.array([train, validation, test], dtype=np.float64)
    smallest = 1 / _NS_PER_SECOND if unit == "seconds" else 1
    if not np.all(np.isfinite(lengths) & (lengths >= smallest)) or embargo_ns < 0:
        raise SplitError(f"{asked}, embargo_ns={embargo_ns}: needs lengths above 0, embargo >= 0")
    if unit != "seconds" and np.any(lengths != np.round(lengths)):
        raise SplitError(f"{asked}: needs whole numbers of {unit}")


def _too_few(unit: Unit, train: float, validation: float, test: float, *, got: float) -> SplitError:
    need = train + validation + test
    asked = f"train={train:g}, validation={validation:g} and test={test:g}"
    if got >= need:
        return SplitError(
            f"{asked}: after train and validation no session has half a test block "
            f"({test / 2:g} {unit}) left; shorten test"
        )
    return SplitError(
        f"{asked} need {need:g} {unit}, got {got:g}; shorten the windows or load more days"
    )
