"""The scoring path once more, in plain Python and from the documents: what a report has to say.

Orders that take, one latency for all, the commission of a taker, thresholds given or chosen.
Definitions: docs/report.md, docs/costs.md.
"""

import math
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from tests.end_to_end.plain_plan import DOWN, FLAT, SECOND, UP, PlainBook, Plan

CANDIDATES = (0.34, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9)


@dataclass
class Order:
    fold: int
    time: int
    size: float
    mid: float
    price: float
    fee: float


class PlainJudge:
    """Figures of a predictions table, from files alone."""

    def __init__(self, book: PlainBook, config: dict[str, Any], planned: Plan) -> None:
        self.book, self.planned = book, planned
        self.config = config["backtest"]
        self.tick = book.meta["tick_size"]
        self.bar = round(self.config.get("bar_seconds", 60) * SECOND)

    def figures(
        self, table: list[dict[str, Any]], thresholds: dict[int, float]
    ) -> dict[str, float | None]:
        """The aggregate figures of a model with these thresholds."""
        return classification(table) | self.money(table, thresholds)

    def money(
        self, table: list[dict[str, Any]], thresholds: dict[int, float]
    ) -> dict[str, float | None]:
        """Returns and the like over all folds, on the clock bars."""
        gross = net = traded = costs = drawdown = 0.0
        trades: list[float] = []
        equity = peak = capital = self.capital(table)
        for fold in sorted({row["fold"] for row in table}):
            own = [row for row in table if row["fold"] == fold]
            orders, start, end = self._orders(own, thresholds[fold], self.planned.decided)
            for profit, cost in self._bars(orders, start, end):
                gross, net, costs = gross + profit, net + profit - cost, costs + cost
                equity += profit - cost
                peak = max(peak, equity)
                drawdown = max(drawdown, (peak - equity) / peak)
            traded += sum(abs(order.size) * order.mid for order in orders)
            trades += self._round_trips(orders)
        return {
            "gross_return": gross / capital,
            "net_return": net / capital,
            "turnover": traded / capital,
            "costs_paid": costs,
            "trades": len(trades),
            "max_drawdown": drawdown,
            "hit_rate": sum(p > 0 for p in trades) / len(trades) if trades else None,
        }

    def check_choice(
        self,
        validation: list[dict[str, Any]],
        table: list[dict[str, Any]],
        thresholds: dict[int, float],
    ) -> None:
        """Each fold's threshold is, but for rounding, the best candidate on its validation."""
        signal = {"candidates": CANDIDATES, "min_trades": 10, **self.config["signal"]}
        for fold, chosen in thresholds.items():
            own = self._usable([row for row in validation if row["fold"] == fold], table, fold)
            known = sorted({*(row["decided_ns"] for row in validation), *self.planned.decided})
            made = {}
            for candidate in signal["candidates"]:
                blocks = self._blocks(own)
                orders = [self._orders(block, candidate, known)[0] for block in blocks]
                trips = [trip for each in orders for trip in self._round_trips(each)]
                made[candidate] = (sum(trips), len(trips))
            eligible = {c: v for c, v in made.items() if v[1] >= signal["min_trades"]}
            if eligible:
                best = max(profit for profit, _ in eligible.values())
                assert eligible[chosen][0] >= best - 1e-9 * max(1.0, abs(best)), (fold, made)
            else:
                assert made[chosen][1] == max(n for _, n in made.values()), (fold, made)

    def _usable(
        self, own: list[dict[str, Any]], table: list[dict[str, Any]], fold: int
    ) -> list[dict[str, Any]]:
        """Validation decisions that trade before the test block; the last one only closes."""
        test_start = min(row["decided_ns"] for row in table if row["fold"] == fold)

        def trades_at(at: int) -> int:
            book = self.book
            row = max(bisect_left(book.time, at + self.config["latency_ns"]), book.known(at))
            return max(book.time[min(row, book.last(book.known(at)))], at)

        return [row for row in own if trades_at(row["decided_ns"]) < test_start][:-1]

    def _blocks(self, rows: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
        """The rows of each session."""
        number = [self.book.session[self.book.known(row["decided_ns"])] for row in rows]
        return [
            [row for row, own in zip(rows, number, strict=True) if own == session]
            for session in sorted(set(number))
        ]

    def capital(self, table: list[dict[str, Any]]) -> float:
        given = self.config.get("capital")
        first = self.book.mid(self.book.known(table[0]["decided_ns"])) * self.tick
        limit = self.config.get("position_limit", 1.0)
        return float(given) if given is not None else limit * first

    def _orders(
        self, rows: list[dict[str, Any]], threshold: float, known: list[int]
    ) -> tuple[list[Order], int, int]:
        """The orders of one block (one fold in one session), and the span that it has."""
        book, latency = self.book, self.config["latency_ns"]
        limit = self.config.get("position_limit", 1.0)
        last = book.last(book.known(rows[0]["decided_ns"]))
        targets = [side * limit for side in self._sides(rows, threshold)]
        sent = [row["decided_ns"] for row in rows]
        later = bisect_right(known, sent[-1])
        sent.append(min([*known, book.time[last]][later], book.time[last]))
        orders, held, end = [], 0.0, last
        for place, (at, target) in enumerate(zip(sent, [*targets, 0.0], strict=True)):
            arrives, closes = at + latency, place == len(targets)
            row = min(max(bisect_left(book.time, arrives), book.known(at)), last)
            if arrives > book.time[last] and not closes:
                continue
            if target != held:
                orders.append(self._order(rows[0]["fold"], row, target - held))
                held = target
            end = row
        return orders, sent[0], book.time[end]

    def _sides(self, rows: list[dict[str, Any]], threshold: float) -> list[int]:
        keep = self.config["signal"].get("hold_decisions", 1)
        sides, side, age = [], 0, 0
        for row in rows:
            down, up = row["p_down"], row["p_up"]
            said = (up >= threshold and up > down) - (down >= threshold and down > up)
            if said:
                side, age = said, 0
            else:
                age += 1
            sides.append(side if age < keep else 0)
        return sides

    def _order(self, fold: int, row: int, size: float) -> Order:
        levels = self.book.ask[row] if size > 0 else self.book.bid[row]
        walks = self.config.get("execution", "walk") == "walk"
        ticks = _walked(levels, size) if walks else float(levels[0][0])
        price, mid = ticks * self.tick, self.book.mid(row) * self.tick
        return Order(fold, self.book.time[row], size, mid, price, self._fee(size, price))

    def _fee(self, size: float, price: float) -> float:
        costs = self.config["costs"]
        if costs == "none":
            return 0.0
        notional = abs(size) * price
        fee = notional * costs.get("fee_bps", 0) / 1e4 + abs(size) * costs.get("fee_per_unit", 0)
        fee = max(fee, costs.get("minimum_fee", 0))
        if size < 0:
            fee += notional * costs.get("sell_tax_bps", 0) / 1e4
            fee += abs(size) * costs.get("sell_fee_per_unit", 0)
        return fee

    def _cost(self, order: Order) -> float:
        if self.config["costs"] == "none":
            return 0.0
        return order.size * (order.price - order.mid) + order.fee

    def _bars(self, orders: list[Order], start: int, end: int) -> list[tuple[float, float]]:
        """Profit at the mid and cost of each bar of one block."""
        bar = self.bar
        ends = [k * bar for k in range(start // bar + 1, end // bar + 1)]
        ends = [t for t in ends if 2 * (t - start) >= bar and 2 * (end - t) >= bar] + [end]
        found, held, value_before, before = [], 0.0, 0.0, -math.inf
        for stop in ends:
            cash = cost = 0.0
            for order in orders:
                if before < order.time <= stop:
                    held += order.size
                    cash -= order.size * order.mid
                    cost += self._cost(order)
            value = held * self.book.mid(self.book.known(stop)) * self.tick
            found.append((cash + value - value_before, cost))
            value_before, before = value, stop
        return found

    def _round_trips(self, orders: list[Order]) -> list[float]:
        """Net profit of each trade: flat to flat, or to the opposite side."""
        trips: list[float] = []
        held = 0.0
        for order in orders:
            closed = min(abs(order.size), abs(held)) if order.size * held < 0 else 0.0
            opened = abs(order.size) - closed
            money = (-order.size * order.mid - self._cost(order)) / abs(order.size)
            if closed:
                trips[-1] += closed * money
            if opened:
                if closed or not held:
                    trips.append(0.0)
                trips[-1] += opened * money
            held += order.size
        return trips


def _walked(levels: list[tuple[int, float]], size: float) -> float:
    """Mean price in ticks of an order that takes level after level, and then an assumed ladder."""
    left, paid, sign = abs(size), 0.0, math.copysign(1, size)
    best = levels[0][0]
    visible = sum(depth for _, depth in levels)
    width = max(abs(price - best) for price, depth in levels if depth > 0)
    for price, depth in levels:
        taken = min(left, depth)
        paid, left = paid + taken * abs(price - best), left - taken
    if left > 0:
        paid += left * (width + max(width, 1) * left / visible / 2)
    return best + sign * paid / abs(size)


def classification(table: list[dict[str, Any]]) -> dict[str, float | None]:
    """Accuracy and Brier score over all labelled decisions, F1 as the mean of the folds'."""
    rows = [
        (row["fold"], row["label"], [row["p_down"], row["p_flat"], row["p_up"]])
        for row in table
        if row["label"] != -1
    ]
    said = [(fold, label, chances.index(max(chances))) for fold, label, chances in rows]
    brier = [
        sum((chance - (label == c)) ** 2 for c, chance in enumerate(chances))
        for _, label, chances in rows
    ]
    folds = [[pair[1:] for pair in said if pair[0] == fold] for fold in {f for f, _, _ in said}]
    return {
        "accuracy": sum(label == guess for _, label, guess in said) / len(said),
        "brier": sum(brier) / len(brier),
        "f1_weighted": sum(len(own) * _f1(own) for own in folds) / len(said),
    }


def _f1(pairs: list[tuple[int, int]]) -> float:
    total = 0.0
    for c in (DOWN, FLAT, UP):
        hits = sum(label == c == guess for label, guess in pairs)
        false = sum((label == c) != (guess == c) for label, guess in pairs)
        n_true = sum(label == c for label, _ in pairs)
        total += n_true * (2 * hits / (2 * hits + false) if hits else 0.0)
    return total / len(pairs)


def read_rows(path: Path) -> list[dict[str, Any]]:
    """A predictions table, row by row."""
    rows: list[dict[str, Any]] = pq.ParquetFile(path).read().to_pylist()
    return rows
