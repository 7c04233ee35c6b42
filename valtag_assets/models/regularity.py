"""How regular orders are: the k of MBG/CNBD-k, from the same counts.

Wheat and Morrison (1990) estimate k from the times between orders. Counts keep only the last order, which tells of
k, too: of x orders at the rate λ the last is at t_x with the density of Gamma(k x, λ). So the likelihoods of
(x, t_x), each with the other parameters fitted, can be compared.
"""

from collections.abc import Callable

import numpy as np
from scipy.special import gammaln

from valtag_assets.models.counts import Counts
from valtag_assets.models.optimum import Optimum

LARGEST = 6


def most_likely(counts: Counts, fitted: Callable[[int], Optimum]) -> tuple[int, Optimum]:
    """The k of 1 to LARGEST and its fit: the first after which the likelihood falls (it has one top)."""
    best, top = 1, fitted(1)
    for k in range(2, LARGEST + 1):
        found = fitted(k)
        gain = found.value + constant(counts, k) - top.value - constant(counts, best)
        if not (found.converged and (gain > 0 or not top.converged)):
            break
        best, top = k, found
    return best, top


def constant(counts: Counts, k: int) -> float:
    """What the mean log-likelihood of a customer has for k beside the part with parameters; 0 for k = 1."""
    repeat = (counts.x > 0) & (counts.t_x > 0)
    x, weight = counts.x[repeat], counts.weight[repeat]
    each = (k - 1) * x * np.log(counts.t_x[repeat]) - gammaln(k * x) + gammaln(x)
    return float((weight * each).sum() / counts.customers)
