"""How far two distributions are apart, and whether chance could have done it.

References: Siddiqi (2006), Credit Risk Scorecards, ch. 9 (population stability index); Yurdakul
(2018), Statistical properties of the population stability index (its spread by chance).
"""

import numpy as np

from lob_backtest.book import FloatArray, IntArray

_LEAST_EXPECTED = 5  # in every cell, for the chi-square approximation (Cochran, 1954)
_DRAWS = 9_999
_BINS = 10


def total_variation(counts: IntArray, others: IntArray) -> float:
    """Half the sum of absolute differences of the shares: the share that would have to move.

    Args:
        counts, others: ``(C,)`` of each class, neither all 0.

    >>> total_variation(np.array([1, 1]), np.array([3, 1]))
    0.25
    """
    return float(np.abs(counts / counts.sum() - others / others.sum()).sum() / 2)


def homogeneity_p(counts: IntArray, others: IntArray, *, weight: float = 1.0) -> float:
    """Chance of counts this far apart if both were drawn from one distribution.

    Pearson's chi-square test; by 9,999 seeded permutations where a class is too rare for it.

    Args:
        counts, others: ``(C,)`` of each class.
        weight: independent observations that one count is worth, at most 1: labels that overlap
            are fewer than they look.
    """
    table = np.stack([counts, others])[:, counts + others > 0].astype(np.float64)
    if table.shape[1] < 2 or not table.sum(axis=1).all():
        return 1.0
    expected = _expected(table)
    statistic = float(_chi_square(table, expected)) * weight
    if expected.min() * weight >= _LEAST_EXPECTED:
        from scipy.stats import chi2

        return float(chi2.sf(statistic, table.shape[1] - 1))
    return _permuted_p(np.rint(table * weight).astype(np.int64))


def stability_index(train: FloatArray, other: FloatArray) -> tuple[float, int]:
    """Population stability index over tenths of train, and the number of bins that there were.

        PSI = sum over bins of (q - p) log(q / p)         p shares of train, q of the other

    Half a count is added to each bin, so that an empty one stays finite. By convention 0.1 is a
    shift to note and 0.25 a large one.

    Args:
        train, other: ``(n,)`` and ``(m,)`` values of one figure, in any order.
    """
    edges = np.unique(np.quantile(train, np.arange(1, _BINS) / _BINS))
    p, q = (_shares(values, edges) for values in (train, other))
    return float(((q - p) * np.log(q / p)).sum()), edges.size + 1


def chance_stability_index(bins: int, n_train: float, n_other: float) -> float:
    """The index that independent samples of one distribution stay below, 99 times in 100.

    PSI is about chi-square with ``bins - 1`` degrees of freedom, times ``1/n + 1/m``.
    """
    from scipy.stats import chi2

    if bins < 2:
        return 0.0
    return float(chi2.ppf(0.99, bins - 1)) * (1 / max(n_train, 1.0) + 1 / max(n_other, 1.0))


def largest_gap(train: FloatArray, other: FloatArray) -> float:
    """Kolmogorov and Smirnov's distance: the largest difference of the two distributions.

    Args:
        train, other: ``(n,)`` and ``(m,)`` values, in any order.

    >>> largest_gap(np.array([1.0, 2.0]), np.array([2.0, 3.0]))
    0.5
    """
    values = np.concatenate([train, other])
    below = [np.searchsorted(np.sort(part), values, side="right") / part.size
             for part in (train, other)]  # fmt: skip
    return float(np.abs(below[0] - below[1]).max())


def _shares(values: FloatArray, edges: FloatArray) -> FloatArray:
    counts = np.bincount(np.searchsorted(edges, values, side="left"), minlength=edges.size + 1)
    return np.asarray((counts + 0.5) / (values.size + 0.5 * counts.size), dtype=np.float64)


def _expected(table: FloatArray) -> FloatArray:
    rows, columns = table.sum(axis=1), table.sum(axis=0)
    return np.asarray(np.outer(rows, columns) / table.sum(), dtype=np.float64)


def _chi_square(table: FloatArray, expected: FloatArray) -> FloatArray:
    """Of one table ``(2, C)`` or of many ``(..., 2, C)``."""
    return np.asarray(((table - expected) ** 2 / expected).sum(axis=(-2, -1)), dtype=np.float64)


def _permuted_p(table: IntArray) -> float:
    """Share of random tables with the same sums that are as far apart, this one among them."""
    table = table[:, table.sum(axis=0) > 0]
    n_first = int(table[0].sum())
    if table.shape[1] < 2 or n_first == 0 or table[1].sum() == 0:
        return 1.0
    total = table.sum(axis=0)
    # Its marginals method is quick for counts of any size.
    first = np.random.default_rng(0).multivariate_hypergeometric(
        total, n_first, size=_DRAWS, method="marginals"
    )
    expected = _expected(table.astype(np.float64))
    drawn = _chi_square(np.stack([first, total - first], axis=1).astype(np.float64), expected)
    seen = float(_chi_square(table.astype(np.float64), expected))
    return float((1 + np.count_nonzero(drawn >= seen * (1 - 1e-9))) / (1 + _DRAWS))
