"""What a tag's levels tell of a conversion: information value above what chance gives.

IV = Σ (share of converted − share of others) · ln(share of converted / share of others) over the levels (Siddiqi
2006, Credit Risk Scorecards, chapter 6), with half a person added to every cell. It is never negative, so chance
alone gives a positive one, the more so the more levels: that is found by drawing conversions anew within each
campaign (a permutation of outcomes is a draw from the multivariate hypergeometric distribution) and taken away.
Comparing within campaigns only keeps the mix of campaigns out of it.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.int64]


def information_value(persons: Counts, converted: Counts) -> npt.NDArray[np.float64]:
    """IV over the last axis: ``persons`` of each level, and how many of them ``converted``."""
    good, bad = converted + 0.5, persons - converted + 0.5
    shares = good / good.sum(axis=-1, keepdims=True), bad / bad.sum(axis=-1, keepdims=True)
    found: npt.NDArray[np.float64] = ((shares[0] - shares[1]) * np.log(shares[0] / shares[1])).sum(axis=-1)
    return found


def above_chance(campaigns: Sequence[tuple[Counts, Counts]], permutations: int, seed: int) -> float:
    """IV less the mean IV of permuted outcomes, the mean over ``campaigns`` (persons and converted by level),
    weighted by persons. NaN without any campaign in which some converted and some did not, at two levels."""
    draw = np.random.default_rng(seed)
    total, weight = 0.0, 0
    for persons, converted in campaigns:
        n, hits = int(persons.sum()), int(converted.sum())
        if np.count_nonzero(persons) < 2 or hits in (0, n):
            continue
        permuted = draw.multivariate_hypergeometric(persons, hits, size=permutations, method="marginals")
        chance = float(information_value(persons, permuted).mean())
        total += n * (float(information_value(persons, converted)) - chance)
        weight += n
    return total / weight if weight else float("nan")
