"""How long a decision takes to the market: the same for all, or drawn for each.

    decided  d1   d2 d3
    delay    |-------->|                    d1 is slow
                  |->                       d2 would overtake it ...
    arrives            a1=a2  a3            ... so it arrives with it

A draw is a function of the seed and of the decision's instant alone: another future, or another
choice among the decisions, changes none. Orders travel one wire and never overtake each other.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lob_backtest.book import FloatArray, IntArray
from lob_backtest.config import LatencyConfig
from lob_backtest.errors import CostError

# Beyond this an instant in nanoseconds since the epoch would leave the 64 bits.
_LONGEST_NS = 10**18
_Bits = npt.NDArray[np.uint64]
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True, kw_only=True)
class FixedLatency:
    """The same delay for every decision.

    Raises:
        CostError: a negative latency, or one of decades.
    """

    ns: int

    def __post_init__(self) -> None:
        if not 0 <= self.ns <= _LONGEST_NS:
            raise CostError(f"latency_ns={self.ns}: needs 0 or more nanoseconds")

    def delays_ns(self, decided_ns: IntArray) -> IntArray:
        """``(D,)`` nanoseconds from each decision to the market."""
        return np.full(decided_ns.shape, self.ns, dtype=np.int64)

    def arrives_ns(self, decided_ns: IntArray) -> IntArray:
        """``(D,)`` instant at which each decision is at the market."""
        return _in_order(decided_ns, decided_ns + self.delays_ns(decided_ns))


@dataclass(frozen=True, kw_only=True)
class DrawnLatency:
    """A delay drawn for each decision, log-normal: ``median * exp(sigma * z)``.

    ``sigma = ln(p99 / median) / 2.326``, so that one delay in a hundred is above ``p99_ns``.

    Attributes:
        median_ns, p99_ns: quantiles of the delay.
        seed: another seed is another, equally likely, course of all delays.

    Raises:
        CostError: a median that is not positive, or a p99 below it.
    """

    median_ns: int
    p99_ns: int
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.median_ns <= self.p99_ns <= _LONGEST_NS:
            raise CostError(
                f"latency of median_ns={self.median_ns} and p99_ns={self.p99_ns}: needs a positive "
                "median and a p99 at or above it"
            )

    def delays_ns(self, decided_ns: IntArray) -> IntArray:
        """``(D,)`` nanoseconds from each decision to the market, waiting for none before it."""
        from scipy.special import ndtri  # takes a moment: imported where it is used

        sigma = math.log(self.p99_ns / self.median_ns) / float(ndtri(0.99))
        z: FloatArray = ndtri(_uniform(self.seed, decided_ns))
        drawn = self.median_ns * np.exp(sigma * z)
        return np.asarray(np.minimum(np.round(drawn), _LONGEST_NS), dtype=np.int64)

    def arrives_ns(self, decided_ns: IntArray) -> IntArray:
        """``(D,)`` instant at which each decision is at the market, never before an earlier one.

        Args:
            decided_ns: ``(D,)``; where it goes back in time another stream begins, as the
                validation blocks of neighbouring folds do.
        """
        return _in_order(decided_ns, decided_ns + self.delays_ns(decided_ns))


Latency = FixedLatency | DrawnLatency


def latency_of(value: int | LatencyConfig) -> Latency:
    """The latency that a config asks for: nanoseconds, or a median and a 99 % quantile."""
    if isinstance(value, int):
        return FixedLatency(ns=value)
    return DrawnLatency(median_ns=value.median_ns, p99_ns=value.p99_ns, seed=value.seed)


def _in_order(decided_ns: IntArray, arrives_ns: IntArray) -> IntArray:
    cuts = np.flatnonzero(np.diff(decided_ns) < 0) + 1
    streams = np.split(arrives_ns, cuts)
    return np.concatenate([np.maximum.accumulate(stream) for stream in streams])


def _uniform(seed: int, decided_ns: IntArray) -> FloatArray:
    """``(D,)`` within 0 and 1, a hash of the seed and each instant.

    References: Steele, Lea & Flood (2014), Fast Splittable Pseudorandom Number Generators, OOPSLA:
    the output function of SplitMix64, here keyed instead of counted.
    """
    start = _mixed(np.array([seed % 2**64], dtype=np.uint64) + _GOLDEN)
    hashed = _mixed(_mixed(decided_ns.astype(np.uint64) + _GOLDEN) ^ start)
    return ((hashed >> np.uint64(11)).astype(np.float64) + 0.5) / 2.0**53


def _mixed(bits: _Bits) -> _Bits:
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))
