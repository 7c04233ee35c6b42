"""How much two groups differ, and whether chance would do as much.

* Numbers: Hedges' g, the difference of the means in pooled standard deviations, corrected for small samples
  (Hedges 1981; Borenstein et al., Introduction to Meta-Analysis, 2009, formulas 4.18–4.23). p by Welch's t-test
  (Welch 1947), which does not suppose equal variances.
* Categories: Cramér's V of a table with two columns (Cramér, Mathematical Methods of Statistics, 1946, p. 282),
  corrected for its bias (Bergsma 2013): without that, a hundred values that differ by chance alone look like a strong
  effect. p by Pearson's χ² without continuity correction. Values expected fewer than five times in a group are put
  together first (Cochran 1954).
* A share: the z-test of two proportions with a pooled variance (Fleiss, Levin & Paik, Statistical Methods for Rates
  and Proportions, 2003, section 3.2); z² is the χ² of the same four cells, and |φ| = √(z² / n).
* ``strength``, 0 to 1, makes them comparable: the correlation with being in the first group. It is V and |φ|
  themselves, and of numbers the point-biserial correlation |d| / √(d² + n (n − 2) / (n₁ n₂)) with n = n₁ + n₂.
* Many tests at once: Benjamini & Hochberg (1995).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

LEAST_EXPECTED = 5.0


@dataclass(frozen=True)
class Sample:
    """Numbers of one group: how many, their mean and their sample variance (None: of fewer than two)."""

    n: int
    mean: float | None
    variance: float | None


@dataclass(frozen=True)
class Effect:
    """``measure`` is g, V or phi; ``size`` None: not defined, ``note`` says why. ``p`` None: no test is possible."""

    measure: str
    size: float | None
    strength: float
    p: float | None
    note: str | None = None


def of_numbers(one: Sample, other: Sample) -> Effect:
    """Hedges' g, positive where ``one`` is larger, and Welch's p. Both groups need two numbers."""
    from scipy.stats import ttest_ind_from_stats

    if min(one.n, other.n) < 2 or None in (one.mean, other.mean, one.variance, other.variance):
        return Effect("g", None, 0.0, None, "fewer than two values in a group")
    assert one.mean is not None and other.mean is not None
    assert one.variance is not None and other.variance is not None
    difference, freedom = one.mean - other.mean, one.n + other.n - 2
    pooled = math.sqrt(((one.n - 1) * one.variance + (other.n - 1) * other.variance) / freedom)
    if pooled == 0.0:
        if difference == 0.0:
            return Effect("g", 0.0, 0.0, 1.0, "the same for everybody")
        return Effect("g", None, 1.0, None, "one value in each group, and not the same")
    d = difference / pooled
    g = d * (1 - 3 / (4 * freedom - 1))
    spread = (one.n + other.n) * freedom / (one.n * other.n)
    deviations = math.sqrt(one.variance), math.sqrt(other.variance)
    test = ttest_ind_from_stats(one.mean, deviations[0], one.n, other.mean, deviations[1], other.n, equal_var=False)
    return Effect("g", g, abs(d) / math.sqrt(d * d + spread), float(test.pvalue))


def of_shares(hits: int, size: int, other_hits: int, other_size: int) -> tuple[float | None, Effect]:
    """z, positive where the first share is larger, and φ with its p; z None where nobody or everybody has it."""
    from scipy.stats import norm

    n, have = size + other_size, hits + other_hits
    if 0 in (size, other_size):
        return None, Effect("phi", None, 0.0, None, "one group is empty")
    if have in (0, n):
        return None, Effect("phi", 0.0, 0.0, 1.0, "the same for everybody")
    pooled = have / n
    deviation = math.sqrt(pooled * (1 - pooled) * (1 / size + 1 / other_size))
    z = (hits / size - other_hits / other_size) / deviation
    phi = z / math.sqrt(n)
    return z, Effect("phi", phi, min(1.0, abs(phi)), float(2 * norm.sf(abs(z))))


def of_categories(counts: Sequence[tuple[int, int]]) -> Effect:
    """Cramér's V and Pearson's p of values counted in both groups, one pair per value."""
    from scipy.stats import chi2

    cells, rare = _without_rare(counts)
    note = f"{rare} rare values taken together" if rare else None
    n, sizes = sum(map(sum, cells)), [sum(pair[side] for pair in cells) for side in (0, 1)]
    if 0 in sizes:
        return Effect("V", None, 0.0, None, "one group is empty")
    if len(cells) < 2:
        return Effect("V", 0.0, 0.0, 1.0, note or "the same for everybody")
    statistic = 0.0
    for pair in cells:
        for seen, size in zip(pair, sizes, strict=True):
            expected = sum(pair) * size / n
            statistic += (seen - expected) ** 2 / expected
    v = _unbiased(statistic / n, len(cells), n)
    return Effect("V", v, v, float(chi2.sf(statistic, len(cells) - 1)), note)


def _unbiased(square: float, values: int, n: int) -> float:
    """Cramér's V from φ² = χ² / n of ``values`` rows and two columns, after Bergsma, Journal of the Korean
    Statistical Society 42, 2013."""
    less = max(0.0, square - (values - 1) / (n - 1))
    rows = values - (values - 1) ** 2 / (n - 1)
    columns = 2 - 1 / (n - 1)
    return min(1.0, math.sqrt(less / (min(rows, columns) - 1))) if min(rows, columns) > 1 else 0.0


def adjusted(ps: Sequence[float | None]) -> list[float | None]:
    """p-values corrected for their number (Benjamini–Hochberg); None stays None and does not count."""
    from scipy.stats import false_discovery_control

    known = [p for p in ps if p is not None]
    if not known:
        return list(ps)
    found = iter(false_discovery_control(known, method="bh").tolist())
    return [None if p is None else next(found) for p in ps]


def _without_rare(counts: Sequence[tuple[int, int]]) -> tuple[list[tuple[int, int]], int]:
    """``counts`` with the values expected too seldom in a group as one; how many these were."""
    present = [pair for pair in counts if sum(pair)]
    n, least = sum(map(sum, present)), min(sum(pair[side] for pair in present) for side in (0, 1)) if present else 0
    rare = [pair for pair in present if sum(pair) * least < LEAST_EXPECTED * n]
    if len(rare) < 2:
        return present, 0
    together = (sum(pair[0] for pair in rare), sum(pair[1] for pair in rare))
    return [pair for pair in present if pair not in rare] + [together], len(rare)
