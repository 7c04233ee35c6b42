"""The highest point of a log-likelihood over the logarithms of its parameters."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

from valtag_assets.models.counts import Array

Likelihood = Callable[[Array], tuple[float, Array]]
"""Logarithms of the parameters → mean log-likelihood of a customer and its gradient by them."""

LARGEST = np.log(1e5)
"""Parameters, of shape and in the unit of the mean time or value, are sought in 1e-5 to 1e5."""
TOLERANCE = 1e-13


@dataclass(frozen=True)
class Optimum:
    """``at``: logarithms of the parameters; ``value``: mean log-likelihood there.

    ``errors``: standard errors of ``at`` for one customer (to be divided by the root of their number), not finite
    where nothing determines them.
    """

    at: Array
    value: float
    errors: Array
    converged: bool
    evaluations: int
    message: str


def highest(likelihood: Likelihood, starts: Sequence[Sequence[float]]) -> Optimum:
    """The best of L-BFGS-B from the first start and, where that ends at a bound or fails, from the next ones."""
    found: list[Optimum] = []
    for start in starts:
        found.append(_climb(likelihood, np.log(np.asarray(start, dtype=np.float64))))
        if found[-1].converged:
            break
    best = max(found, key=lambda optimum: (optimum.converged, optimum.value))
    evaluations = sum(optimum.evaluations for optimum in found)
    errors = _errors(likelihood, best.at) if best.converged else np.full(best.at.shape, np.inf)
    return Optimum(best.at, best.value, errors, best.converged, evaluations, best.message)


def _climb(likelihood: Likelihood, start: Array) -> Optimum:
    def descent(at: Array) -> tuple[float, Array]:
        value, gradient = likelihood(at)
        if not (np.isfinite(value) and np.isfinite(gradient).all()):
            return 1e300, np.zeros_like(at)
        return -value, -gradient

    ended = minimize(
        descent,
        start,
        jac=True,
        method="L-BFGS-B",
        bounds=[(-LARGEST, LARGEST)] * len(start),
        options={"maxiter": 500, "maxcor": 8, "ftol": TOLERANCE, "gtol": 1e-9},
    )
    # A line search that cannot improve the last digits says "abnormal"; where it stands is flat, it has arrived.
    flat = bool(np.abs(ended.jac).max() < 1e-6)
    arrived = (bool(ended.success) or flat) and bool(np.abs(ended.jac).max() < 1e-3) and ended.fun < 1e299
    message = "converged" if arrived else f"the search found no maximum ({str(ended.message).strip(': ')})"
    if np.abs(ended.x).max() > LARGEST - 1e-6:
        arrived, message = False, "at a bound of the parameters: the data do not determine them"
    return Optimum(ended.x, -float(ended.fun), np.full(start.shape, np.inf), arrived, int(ended.nfev), message)


def _errors(likelihood: Likelihood, at: Array, step: float = 1e-4) -> Array:
    """From the inverse of the negative Hessian, by differences of the gradient."""
    here = likelihood(at)[1]
    rows = [(likelihood(at + move)[1] - here) / step for move in step * np.eye(len(at))]
    hessian = -(np.array(rows) + np.array(rows).T) / 2
    try:
        variances = np.diag(np.linalg.inv(hessian))
    except np.linalg.LinAlgError:
        return np.full(at.shape, np.inf)
    # Not positive: not a strict maximum in that direction.
    return np.sqrt(np.where(variances > 0, variances, np.inf))
