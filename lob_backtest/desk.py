"""A desk: one set of decisions on one book, and what any strategy's targets become there.

What depends on the decisions alone (blocks, closing instants, limits, spans) is worked out once
and shared by every strategy and threshold.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from lob_backtest.book import Book, FloatArray, IntArray
from lob_backtest.config import BacktestConfig
from lob_backtest.execution import execution_of
from lob_backtest.orders import Schedule, Span, orders_on, schedule_of
from lob_backtest.portfolio import Leg
from lob_backtest.signals import buy_and_hold_targets, target_positions


@dataclass(frozen=True, kw_only=True, eq=False)
class Desk:
    """The decisions of one predictions table on its book.

    Attributes:
        config: how they are traded.
        fold, decided_ns: ``(D,)`` in the order of the table.
        schedule: when they reach the book; positions that are carried over night have one block a
            fold.
        unit_limit: ``(D,)`` units that the notional limit allows at the mid known then, or None.
        spans: of all folds.
    """

    config: BacktestConfig
    fold: IntArray
    decided_ns: IntArray
    schedule: Schedule
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
        schedule = schedule_of(
            book,
            decided_ns,
            fold,
            execution=execution_of(config),
            all_decided_ns=all_decided_ns,
        )
        limit = config.notional_limit
        return cls(
            config=config,
            fold=fold,
            decided_ns=decided_ns,
            schedule=schedule,
            unit_limit=None if limit is None else limit / _mid_known(book, decided_ns),
            spans=schedule.spans,
        )

    @property
    def book(self) -> Book:
        """Where the decisions were made."""
        return self.schedule.book

    def leg(self, targets: FloatArray) -> Leg:
        """What is traded to hold the targets ``(D,)``, in units."""
        return Leg(book=self.book, orders=orders_on(self.schedule, targets), spans=self.spans)

    def model_leg(self, probability: FloatArray, thresholds: Mapping[int, float]) -> Leg:
        """What a model trades.

        Args:
            probability: ``(D, 3)`` down, flat, up.
            thresholds: confidence threshold of each fold.
        """
        signal = self.config.signal
        targets: FloatArray = np.zeros(self.fold.size)
        starts = self.schedule.starts
        for fold, threshold in thresholds.items():
            first, after = np.searchsorted(self.fold, [fold, fold + 1])
            here = slice(int(first), int(after))
            targets[here] = target_positions(
                probability[here],
                threshold=threshold,
                hold_decisions=signal.hold_decisions,
                position_limit=self.config.position_limit,
                starts=starts[here],
                sizing=signal.sizing,
                size_steps=signal.size_steps,
                unit_limit=None if self.unit_limit is None else self.unit_limit[here],
            )
        return self.leg(targets)

    def buy_and_hold_leg(self) -> Leg:
        """The whole limit from the first to the last decision of each block."""
        limit, starts = self.config.position_limit, self.schedule.starts
        return self.leg(
            buy_and_hold_targets(starts, position_limit=limit, unit_limit=self.unit_limit)
        )

    def flat_leg(self) -> Leg:
        """Nothing at all."""
        return self.leg(np.zeros(self.fold.size))


def _mid_known(book: Book, decided_ns: IntArray) -> FloatArray:
    """``(D,)`` mid-price in currency that is known at each decision."""
    return book.mid_ticks[book.row_known_at(decided_ns)] * book.meta.tick_size
