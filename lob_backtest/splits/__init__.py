"""Folds: what is learned from, chosen by and judged on, purged by when a label was known.

    0 |*****.d.vv.xxx            |    * train   d train-dev   v validation   x test
    1 |   *****.d.vv.xxx         |    . purged: label_end at or after the next block
    2 |      *****.d.vv.xxx      |

``walk``: rolling and expanding windows, and one holdout, in time order: what trading is judged on.
``combinatorial``: every choice of k of N groups as test, for research on a method.

References: Lopez de Prado (2018), Advances in Financial Machine Learning, ch. 7 and 12.
"""

from lob_backtest.splits.combinatorial import (
    CombinatorialFold,
    CombinatorialSplits,
    combinatorial_folds,
)
from lob_backtest.splits.drawing import draw_folds, fold_blocks
from lob_backtest.splits.fold import Fold
from lob_backtest.splits.walk import Mode, Unit, holdout_fold, walk_forward_folds

__all__ = [
    "CombinatorialFold",
    "CombinatorialSplits",
    "Fold",
    "Mode",
    "Unit",
    "combinatorial_folds",
    "draw_folds",
    "fold_blocks",
    "holdout_fold",
    "walk_forward_folds",
]
