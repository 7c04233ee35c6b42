"""The highest point of a log-likelihood over the logarithms of its parameters."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import minimize

from valtag_assets.models.counts import Array

Likelihood = Callable[[Array], tuple[float, Array]]
"""Logarithms of the parameters → mean log-likelihood of a customer and its gradient by them."""

LARGEST = np.log(1e5)
"""Parameters, of shape and in the unit of the mean time or value, are sought in 1e-5 to 1e5."""
PULLS = (1e-5, 1e-4, 1e-3)
"""What is taken off the mean log-likelihood of a customer for parameters far from 1: the least that keeps them off
the bounds, a few ten-thousandths mostly; customers with many orders each pull harder towards a limit."""
AT_A_BOUND = "at a bound of the parameters: the data do not determine them"
NEAR_A_LIMIT = "near a limit of the model: the data do not tell how near"
FLAT = 1e-7
"""The steepest slope of a maximum: the last step, by the Hessian, removes most of what is left."""


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
    """The best of BFGS from the first start and, where that ends at a bound or fails, from the next ones.

    Where they run off to a bound, the likelihood rises without end towards a limit of the model (nobody
    drops out, all drop out alike, all spend alike). A point near the limit predicts what the limit does: it is found
    with a slight pull towards 1, and the message says so.
    """
    found: list[Optimum] = []
    for start in starts:
        found.append(_climb(likelihood, np.log(np.asarray(start, dtype=np.float64))))
        if found[-1].converged:
            break
    if not found[-1].converged and any(optimum.message == AT_A_BOUND for optimum in found):
        for pull in PULLS:
            found.append(_pulled(likelihood, np.log(np.asarray(starts[0], dtype=np.float64)), pull))
            if found[-1].converged:
                break
    best = max(found, key=lambda optimum: (optimum.converged, optimum.value))
    best = replace(best, evaluations=sum(optimum.evaluations for optimum in found))
    return _at_the_top(likelihood, best) if best.converged else best


def _pulled(likelihood: Likelihood, start: Array, pull: float) -> Optimum:
    """The highest point with ``pull`` times half the square of the logarithms taken off."""

    def pulled(at: Array) -> tuple[float, Array]:
        value, gradient = likelihood(at)
        return value - pull * float(at @ at) / 2, gradient - pull * at

    found = _climb(pulled, start)
    if not found.converged:
        return found
    return replace(found, value=likelihood(found.at)[0], message=NEAR_A_LIMIT)


def _climb(likelihood: Likelihood, start: Array) -> Optimum:
    def descent(at: Array) -> tuple[float, Array]:
        if np.abs(at).max() > LARGEST + 1:
            return 1e300, np.zeros_like(at)
        value, gradient = likelihood(at)
        if not (np.isfinite(value) and np.isfinite(gradient).all()):
            return 1e300, np.zeros_like(at)
        return -value, -gradient

    # Not L-BFGS-B: for each of its steps it wakes threads of the algebra library, which then spin for longer than a
    # likelihood takes.
    ended = minimize(descent, start, jac=True, method="BFGS", options={"maxiter": 200, "gtol": FLAT})
    # A line search that cannot improve the last digits fails; where it stands is flat, it has arrived.
    steepest = float(np.abs(ended.jac).max())
    arrived = (bool(ended.success) or steepest < 10 * FLAT) and ended.fun < 1e299
    message = "converged" if arrived else f"the search found no maximum ({ended.message.strip(' .')})"
    if np.abs(ended.x).max() > LARGEST:
        arrived, message = False, AT_A_BOUND
    nowhere = np.full(start.shape, np.inf)
    return Optimum(ended.x, -float(ended.fun), nowhere, arrived, int(ended.nfev), message)


def _at_the_top(likelihood: Likelihood, found: Optimum, step: float = 1e-4) -> Optimum:
    """With the standard errors, from the inverse of the negative Hessian, by differences of the gradient; and a last
    step by it, which is small."""
    here = likelihood(found.at)[1]
    rows = [(likelihood(found.at + move)[1] - here) / step for move in step * np.eye(len(here))]
    hessian = -(np.array(rows) + np.array(rows).T) / 2
    try:
        inverse = np.linalg.inv(hessian)
    except np.linalg.LinAlgError:
        return found
    variances = np.diag(inverse)
    if not (variances > 0).all():
        # Not a strict maximum: some direction is flat.
        return found
    last = inverse @ here
    at = found.at + last if np.abs(last).max() < 1e-2 else found.at
    return replace(found, at=at, errors=np.sqrt(variances), evaluations=found.evaluations + 1 + len(rows))
