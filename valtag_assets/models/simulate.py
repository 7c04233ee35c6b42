"""Customers made as a model says, to see what a fit and its predictions make of them."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from valtag_assets.models.counts import Array
from valtag_assets.models.orders import Fit


@dataclass(frozen=True)
class Simulated:
    """``x``, ``t_x``, ``T`` as in Counts, one row per customer; ``future``: orders in (T, T + horizon].

    ``alive``: whether at T; ``rate``: orders (or steps of one) per time unit.
    """

    x: Array
    t_x: Array
    T: Array
    future: Array
    alive: Array
    rate: Array


def simulate(fit: Fit, T: Any, seed: int, horizon: float = 0.0) -> Simulated:
    """One customer for each observed time in ``T``."""
    draw = np.random.default_rng(seed)
    T = np.asarray(T, dtype=np.float64)
    of = fit.parameters
    rate = draw.gamma(of["r"], 1 / of["alpha"], len(T))
    # The end: of time, or of the customer; and the chance of dropping out after each order.
    end, dropout = T + horizon, np.zeros(len(T))
    lasts = np.full(len(T), np.inf)
    if fit.model == "pareto_nbd":
        lasts = draw.exponential(1 / draw.gamma(of["s"], 1 / of["beta"], len(T)))
    else:
        dropout = draw.beta(of["a"], of["b"], len(T))
    if fit.model.startswith("mbg"):
        lasts[draw.random(len(T)) < dropout] = 0
    x, t_x, future, clock = (np.zeros(len(T)) for _ in range(4))
    on = np.flatnonzero(lasts > 0)
    while len(on):
        clock[on] += draw.gamma(of.get("k", 1), 1 / rate[on])
        on = on[clock[on] <= np.minimum(end, lasts)[on]]
        seen = on[clock[on] <= T[on]]
        x[seen] += 1
        t_x[seen] = clock[seen]
        future[on[clock[on] > T[on]]] += 1
        gone = draw.random(len(on)) < dropout[on]
        lasts[on[gone]] = clock[on[gone]]
        on = on[~gone]
    return Simulated(x, t_x, T, future, lasts > T, rate)
