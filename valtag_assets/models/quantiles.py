"""Search for a quantile of a number of orders, for many customers at once."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from valtag_assets.models.counts import Array

Rows = NDArray[np.intp]
_MOST = 2.0**50
"""More orders are not told apart."""


def smallest(at_least: Callable[[Rows, Array], Array], once: Array, limit: Array) -> Array:
    """For each row the smallest n ≥ 0 with P(n + 1 orders or more) ≤ limit.

    ``at_least(rows, n)`` is P(n orders or more) for those rows, ``once`` that for n = 1.
    """
    found = np.zeros(once.shape)
    rows: Rows = np.flatnonzero(once > limit)
    # P(low + 1 or more) is above the limit; P(high + 1 or more) is not, once bounded.
    low, high, bounded = np.zeros(len(rows)), np.ones(len(rows)), np.zeros(len(rows), dtype=bool)
    while len(rows):
        probe = np.where(bounded, np.floor((low + high) / 2), high)
        enough = (at_least(rows, probe + 1) <= limit[rows]) | (probe >= _MOST)
        low = np.where(enough, low, probe)
        high = np.where(enough, probe, np.where(bounded, high, probe * 2))
        bounded |= enough
        done = bounded & (high - low <= 1)
        found[rows[done]] = high[done]
        rows, low, high, bounded = rows[~done], low[~done], high[~done], bounded[~done]
    return found
