"""Customers made as a model says, to see what a fit and its predictions make of them."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from valtag_assets.models.counts import Array
from valtag_assets.models.orders import Fit, family
from valtag_assets.models.pareto import Pareto


@dataclass(frozen=True)
class Simulated:
    """``x``, ``t_x``, ``T`` as in Counts, one row per customer; ``future``: orders in (T, T + horizon]; ``alive``: at T."""

    x: Array
    t_x: Array
    T: Array
    future: Array
    alive: Array


def simulate(fit: Fit, T: Any, seed: int, horizon: float = 0.0) -> Simulated:
    """One customer for each observed time in ``T``."""
    draw = np.random.default_rng(seed)
    T = np.asarray(T, dtype=np.float64)
    model = family(fit)
    rate = draw.gamma(model.r, 1 / model.alpha, len(T))
    # The end: of time, or of the customer; and the chance of dropping out after each order.
    end, dropout = T + horizon, np.zeros(len(T))
    lasts = np.full(len(T), np.inf)
    if isinstance(model, Pareto):
        lasts = draw.exponential(1 / draw.gamma(model.s, 1 / model.beta, len(T)))
    else:
        dropout = draw.beta(model.a, model.b, len(T))
        lasts[draw.random(len(T)) < dropout * model.shift] = 0
    x, t_x, future, clock = (np.zeros(len(T)) for _ in range(4))
    on = np.flatnonzero(lasts > 0)
    while len(on):
        clock[on] += draw.gamma(model.phases, 1 / rate[on])
        on = on[clock[on] <= np.minimum(end, lasts)[on]]
        seen = on[clock[on] <= T[on]]
        x[seen] += 1
        t_x[seen] = clock[seen]
        future[on[clock[on] > T[on]]] += 1
        gone = draw.random(len(on)) < dropout[on]
        lasts[on[gone]] = clock[on[gone]]
        on = on[~gone]
    return Simulated(x, t_x, T, future, lasts > T)
