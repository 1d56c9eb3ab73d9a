"""A fold of a walk, and the one purge that makes it honest.

    |*****.d.vv.xxx|    * train   d train-dev   v validation   x test   . purged

The purge takes decisions off the *earlier* block, so that nothing that was trained on or chosen by
saw an instant of the block that judges it; a test block is never thinned to save a training label.

References: Lopez de Prado (2018), Advances in Financial Machine Learning, ch. 7 (purging, embargo).
"""

from dataclasses import dataclass, field

import numpy as np

from lob_backtest.book import IntArray
from lob_backtest.errors import SplitError


def _no_decisions() -> IntArray:
    return np.empty(0, dtype=np.int64)


@dataclass(frozen=True, kw_only=True, eq=False)
class Fold:
    """One round of the walk: what is learned from, what is chosen by, and what judges.

    Attributes:
        fold: number, 0, 1, ... in time order.
        train, validation, test: int64 indices into the decisions, increasing, never empty.
        train_dev: indices directly after train, empty where none was asked for. Never trained on
            and nothing is chosen by it: what is lost from train to here was learned by heart, what
            is lost from here to validation is the market's change.
        train_end_ns: last instant that training or choosing looked at: the greatest label_end of
            train and validation, before ``test_start_ns`` by more than the embargo. Train-dev is
            not counted, and could not raise it: its labels end before validation begins.
        test_start_ns, test_end_ns: first and last ``decided_ns`` of test.
        n_purged: decisions taken off train, train-dev and validation.
        n_dropped: decisions since the test block before (after the last fold: also those up to the
            end) that no test block holds, because the rest of their session was too short for one.
        n_unknown: decisions taken off train, train-dev and validation since, because their label is
            not known (``lob_backtest.prepare``).
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
    train_dev: IntArray = field(default_factory=_no_decisions)
    n_unknown: int = 0

    @property
    def parts(self) -> dict[str, IntArray]:
        """The blocks that hold decisions, by name, in time order."""
        blocks = {
            "train": self.train,
            "train_dev": self.train_dev,
            "validation": self.validation,
            "test": self.test,
        }
        return {name: rows for name, rows in blocks.items() if rows.size}


def purged_fold(
    number: int,
    edges: IntArray,
    test: IntArray,
    decided_ns: IntArray,
    label_end_ns: IntArray,
    *,
    embargo_ns: int,
    has_train_dev: bool,
) -> Fold:
    """The only purge of a walk.

    Each block keeps the decisions whose label_end is before the first decision of every block that
    follows it, and more than ``embargo_ns`` before the first one of test.

    Args:
        number: of the fold.
        edges: ``(4,)`` first decisions of train, of train-dev, of validation, and after it.
        test: decisions of the test block, not empty.
        decided_ns, label_end_ns: ``(D,)``.
        embargo_ns: nanoseconds between the last label of what is learned or chosen by and test.
        has_train_dev: whether a train-dev block was asked for.

    Raises:
        SplitError: a block that was asked for is empty.
    """
    test_start_ns = int(decided_ns[test[0]])
    limit_ns = test_start_ns - embargo_ns
    blocks = [np.arange(*edges[i : i + 2], dtype=np.int64) for i in range(3)]
    kept: list[IntArray] = []
    following_ns = limit_ns
    for block in reversed(blocks):
        kept.insert(0, block[label_end_ns[block] < following_ns])
        if block.size:
            # The whole block, not what is left of it: where a block begins does not depend on when
            # its labels were known.
            following_ns = min(following_ns, int(decided_ns[block[0]]))
    train, train_dev, validation = kept
    if train.size == 0 or validation.size == 0 or (has_train_dev and train_dev.size == 0):
        raise _emptied(number, blocks, kept, embargo_ns, has_train_dev=has_train_dev)
    train_end_ns = int(max(label_end_ns[train].max(), label_end_ns[validation].max()))
    assert train_end_ns < limit_ns <= test_start_ns
    return Fold(
        fold=number,
        train=train,
        train_dev=train_dev,
        validation=validation,
        test=test,
        train_end_ns=train_end_ns,
        test_start_ns=test_start_ns,
        test_end_ns=int(decided_ns[test[-1]]),
        n_purged=sum(block.size for block in blocks) - sum(block.size for block in kept),
    )


def check_decisions(decided_ns: IntArray, label_end_ns: IntArray, session: IntArray) -> None:
    """Refuse decisions that are out of order, or labels that end before they begin."""
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


def _emptied(
    number: int,
    blocks: list[IntArray],
    kept: list[IntArray],
    embargo_ns: int,
    *,
    has_train_dev: bool,
) -> SplitError:
    asked = [i for i in range(3) if i != 1 or has_train_dev]
    names = ("train", "train-dev", "validation")
    had = _listed([f"{blocks[i].size} {names[i]}" for i in asked])
    left = _listed([str(kept[i].size) for i in asked])
    return SplitError(
        f"fold {number}: of {had} decisions, {left} are left whose labels were known before the "
        f"next block (embargo_ns={embargo_ns}); needs at least one of each; lengthen "
        f"{_listed([names[i] for i in asked])}, or shorten the label horizon or the embargo"
    )


def _listed(words: list[str]) -> str:
    return f"{', '.join(words[:-1])} and {words[-1]}"
