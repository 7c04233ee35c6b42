"""The Gamma-Gamma model of what customers spend in an order.

Source: Fader and Hardie (2013), The Gamma-Gamma model of monetary value. The value of an order is Gamma(p, ν), and
ν ~ Gamma(q, γ) differs between customers; it does not depend on how often they order.
"""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.special import digamma, gammaln

from valtag_assets.models.counts import Array
from valtag_assets.models.distinct import distinct
from valtag_assets.models.optimum import NEAR_A_LIMIT, Likelihood, Optimum, highest
from valtag_assets.models.orders import Fit, arrays, family, levels
from valtag_assets.models.spend_quantiles import Customers, quantiles

_NAMES = ("p", "q", "gamma")
_ROWS = 1 << 13
"""Rows at a time: as many as the processor's cache holds."""
ALIKE, _SHAPE = 0.01, 2e4
"""Where all means differ by less than this share (as of one subscription at one price), p and q are as large as this:
a hundredth is the spread of a value then. The likelihood would rise without end."""


@dataclass(frozen=True)
class SpendFit:
    """``gamma`` is in the unit of value. ``errors``: standard errors of the logarithms of the parameters."""

    p: float
    q: float
    gamma: float
    log_likelihood: float
    customers: float
    converged: bool
    message: str
    evaluations: int = 0
    errors: dict[str, float] = field(default_factory=dict)

    def faults(self) -> list[str]:
        """Why the fit must not be served; nothing where it may."""
        if not self.converged:
            return [f"not converged: {self.message}"]
        found = []
        if not all(map(math.isfinite, (self.p, self.q, self.gamma, self.log_likelihood))):
            found.append("a parameter or the log-likelihood is not a finite number")
        if self.q <= 1:
            found.append(f"q = {self.q:.3g} is not above 1: the mean value of an order would be infinite")
        return found

    def warnings(self) -> list[str]:
        """What to know of a fit that may be served."""
        near = [self.message] if self.converged and self.message == NEAR_A_LIMIT else []
        loose = [name for name, error in self.errors.items() if not error < 1]
        return [
            *near,
            *([f"poorly determined by the data: {', '.join(loose)} (standard error ≥ 1)"] if loose else []),
        ]


def fit_spend(n: Any, mean: Any, weight: Any) -> SpendFit:
    """Maximum likelihood from customers with n ≥ 1 orders of the mean value ``mean`` > 0; a row stands for ``weight``
    customers. Odd data give a fit that says so; wrong shapes, numbers or values raise ValueError."""
    n, mean, weight = (np.asarray(values, dtype=np.float64) for values in (n, mean, weight))
    if n.ndim != 1 or not n.shape == mean.shape == weight.shape:
        raise ValueError("n, mean and weight are arrays of one length")
    for name, values, least in (("n", n, 1), ("mean", mean, np.nextafter(0, 1)), ("weight", weight, 0)):
        if not (np.isfinite(values) & (values >= least)).all():
            raise ValueError(f"{name} is not finite or too small")
    customers = float(weight.sum())
    if not customers:
        return SpendFit(math.nan, math.nan, math.nan, math.nan, 0.0, False, "no customers")
    unit = float(np.average(mean, weights=weight))
    likelihood = spend_likelihood(n, mean / unit, weight)
    if customers > 1 and np.abs(mean[weight > 0] / unit - 1).max() < ALIKE:
        found = _all_alike(likelihood)
    else:
        found = highest(likelihood, [(3.0, 3.0, 1.0), (1.0, 2.0, 1.0), (10.0, 2.0, 0.1)])
    p, q, gamma = np.exp(found.at).tolist()
    # The density of a value is per unit of value.
    value = found.value - math.log(unit)
    errors = dict(zip(_NAMES, (found.errors / math.sqrt(customers)).tolist(), strict=True))
    return SpendFit(
        p, q, gamma * unit, value * customers, customers, found.converged, found.message, found.evaluations, errors
    )


def _all_alike(likelihood: Likelihood) -> Optimum:
    """The model of those who all pay the mean, which is 1."""
    at = np.log(np.array([_SHAPE, _SHAPE, (_SHAPE - 1) / _SHAPE]))
    return Optimum(at, likelihood(at)[0], np.full(3, np.inf), True, 1, NEAR_A_LIMIT)


def spend_likelihood(n: Array, mean: Array, weight: Array) -> Likelihood:
    """Mean log-likelihood of a customer, and its gradient, at the logarithms of (p, q, gamma)."""
    weight = weight / weight.sum()
    counts, inverse = np.unique(n, return_inverse=True)
    per_n = np.bincount(inverse, weights=weight, minlength=len(counts))
    spent, weighted_n = n * mean, weight * n
    log_spent, log_mean = float((weighted_n * np.log(spent)).sum()), float((weight * np.log(mean)).sum())
    parts = [
        tuple(column[at : at + _ROWS] for column in (spent, weight, weighted_n)) for at in range(0, len(n), _ROWS)
    ]

    def at(logs: Array) -> tuple[float, Array]:
        p, q, gamma = np.exp(logs)
        plain, by_n, share, share_by_n = np.sum([_whole(gamma, *part) for part in parts], axis=0)
        inside = p * counts
        value = per_n @ (gammaln(inside + q) - gammaln(inside)) - gammaln(q) + q * np.log(gamma)
        value += p * log_spent - log_mean - p * by_n - q * plain
        d_p = (per_n * counts) @ (digamma(inside + q) - digamma(inside)) + log_spent - by_n
        d_q = per_n @ digamma(inside + q) - digamma(q) + np.log(gamma) - plain
        d_gamma = q / gamma - p * share_by_n - q * share
        return float(value), np.array([p * d_p, q * d_q, gamma * d_gamma])

    return at


def _whole(gamma: float, spent: Array, weight: Array, weighted_n: Array) -> Array:
    """Sums of log(gamma + spent), by customers and by orders, and of 1 / (gamma + spent) likewise."""
    whole = gamma + spent
    log, share = np.log(whole), 1 / whole
    return np.array([weight @ log, weighted_n @ log, weight @ share, weighted_n @ share])


def expected_spend(fit: SpendFit, n: Any, mean: Any) -> Array:
    """E[value of an order | n orders of the mean value ``mean``]; the population mean for n = 0.

    p (gamma + n mean) / (p n + q - 1); infinite where p n + q is 1 or less.
    """
    n, mean = (np.asarray(values, dtype=np.float64) for values in (n, mean))
    known = np.where(n > 0, n * np.where(n > 0, mean, 0), 0)
    below = fit.p * n + fit.q - 1
    return np.where(below > 0, fit.p * (fit.gamma + known) / np.where(below > 0, below, 1), np.inf)


def spend_quantile(orders_fit: Fit, spend_fit: SpendFit, x: Any, t_x: Any, T: Any, horizon: Any, level: Any) -> Array:
    """Quantile of the spend in (T, T + horizon], over gamma + n mean, for levels in (0, 1), with n = x + 1.

    The customer's quantile is the result times (gamma + n mean), to about 1%; it does not depend on the mean
    otherwise, so it is computed once for customers who share (x, t_x, T).
    """
    flat = arrays(x, t_x, T, horizon, 1 - levels(level))
    x, t_x, T, horizon, limit = (values.ravel() for values in flat)
    model = family(orders_fit)
    of = Customers(x, T, horizon, limit, model.states(x, t_x, T))
    _, alike, first = distinct(x, T, horizon)
    return quantiles(model, spend_fit.p, spend_fit.q, of, alike, first).reshape(flat[0].shape)
