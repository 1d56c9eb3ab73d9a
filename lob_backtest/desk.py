"""A desk: one set of decisions on one book, and what any strategy's targets become there.

What depends on the decisions alone (blocks, closing instants, limits, spans) is worked out once
and shared by every strategy and threshold.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from lob_backtest.book import Book, BoolArray, FloatArray, IntArray
from lob_backtest.config import BacktestConfig
from lob_backtest.execution import execution_of
from lob_backtest.orders import Span, block_closes, fold_spans, orders_from_targets
from lob_backtest.portfolio import Leg
from lob_backtest.signals import block_bounds, buy_and_hold_targets, target_positions


@dataclass(frozen=True, kw_only=True, eq=False)
class Desk:
    """The decisions of one predictions table on its book.

    Attributes:
        book: where the decisions were made.
        config: how they are traded.
        fold, decided_ns: ``(D,)`` in the order of the table.
        closes_ns: ``(D,)`` when a closing order is sent if the decision is its block's last.
        starts: ``(D,)`` first decision of each block; positions that are carried over night have
            one block a fold.
        unit_limit: ``(D,)`` units that the notional limit allows at the mid known then, or None.
        spans: of all folds.
    """

    book: Book
    config: BacktestConfig
    fold: IntArray
    decided_ns: IntArray
    closes_ns: IntArray
    starts: BoolArray
    unit_limit: FloatArray | None
    spans: list[Span]

    @classmethod
    def of(
        cls,
        book: Book,
        config: BacktestConfig,
        *,
        fold: IntArray,
        decided_ns: IntArray,
        all_decided_ns: IntArray | None,
    ) -> "Desk":
        """The desk of some decisions.

        Args:
            all_decided_ns: every decision of the book: a block's last position is closed at the
                next of them. By default those given.
        """
        closes_ns = block_closes(book, decided_ns, all_decided_ns)
        row = book.row_known_at(decided_ns)
        starts, _ = block_bounds(fold, book.session[row] * config.flat_at_session_end)
        limit = config.notional_limit
        return cls(
            book=book,
            config=config,
            fold=fold,
            decided_ns=decided_ns,
            closes_ns=closes_ns,
            starts=starts,
            unit_limit=None
            if limit is None
            else limit / (book.mid_ticks[row] * book.meta.tick_size),
            spans=fold_spans(
                book, decided_ns, fold, execution=execution_of(config), closes_ns=closes_ns
            ),
        )

    def leg(self, targets: FloatArray) -> Leg:
        """What is traded to hold the targets ``(D,)``, in units."""
        orders = orders_from_targets(
            self.book,
            self.decided_ns,
            self.fold,
            targets,
            execution=execution_of(self.config),
            closes_ns=self.closes_ns,
        )
        return Leg(book=self.book, orders=orders, spans=self.spans)

    def model_leg(self, probability: FloatArray, thresholds: Mapping[int, float]) -> Leg:
        """What a model trades.

        Args:
            probability: ``(D, 3)`` down, flat, up.
            thresholds: confidence threshold of each fold.
        """
        signal = self.config.signal
        targets: FloatArray = np.zeros(self.fold.size)
        for fold, threshold in thresholds.items():
            first, after = np.searchsorted(self.fold, [fold, fold + 1])
            here = slice(int(first), int(after))
            targets[here] = target_positions(
                probability[here],
                threshold=threshold,
                hold_decisions=signal.hold_decisions,
                position_limit=self.config.position_limit,
                starts=self.starts[here],
                sizing=signal.sizing,
                size_steps=signal.size_steps,
                unit_limit=None if self.unit_limit is None else self.unit_limit[here],
            )
        return self.leg(targets)

    def buy_and_hold_leg(self) -> Leg:
        """The whole limit from the first to the last decision of each block."""
        limit = self.config.position_limit
        return self.leg(
            buy_and_hold_targets(self.starts, position_limit=limit, unit_limit=self.unit_limit)
        )

    def flat_leg(self) -> Leg:
        """Nothing at all."""
        return self.leg(np.zeros(self.fold.size))
