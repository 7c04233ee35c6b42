"""Pareto/NBD: a customer orders by chance at a rate λ ~ Gamma(r, α) until dropping out at a rate μ ~ Gamma(s, β).

Source: Schmittlein, Morrison and Colombo (1987); Fader and Hardie (2005), A note on deriving the Pareto/NBD model.
The 2F1 of the papers is taken in the form of its integral, over the time of the dropout, which has a positive and
smooth integrand for all parameters and counts: nothing cancels or overflows, and the gradient is an integral, too.
Given alive at T, the posteriors λ ~ Gamma(r + x, α + T) and μ ~ Gamma(s, β + T) are independent.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc, betaincinv, digamma, exprel, gammaln

from valtag_assets.models.counts import Array, Counts
from valtag_assets.models.optimum import Likelihood

_AT, _WEIGHTS = np.polynomial.legendre.leggauss(32)
_AT, _WEIGHTS = (_AT + 1) / 2, _WEIGHTS / 2
_NTH_AT, _NTH_WEIGHTS = np.polynomial.legendre.leggauss(16)
_NTH_AT, _NTH_WEIGHTS = (_NTH_AT + 1) / 2, _NTH_WEIGHTS / 2
_CHUNK = 1 << 11
_NOTHING = 60.0
"""After a time that neither of both comes later than, but for exp(-60), there is no part of the integral."""


@dataclass(frozen=True)
class Pareto:
    """Parameters of a fit; alpha and beta in the unit of time."""

    r: float
    alpha: float
    s: float
    beta: float

    @property
    def phases(self) -> int:
        return 1

    def states(self, x: Array, t_x: Array, T: Array) -> Array:
        """P(alive at T), shape (1, rows)."""
        idle = np.maximum(T - t_x, 0)
        order, death = self.alpha + t_x, self.beta + t_x
        log_stay = -(self.r + x) * np.log1p(idle / order) - self.s * np.log1p(idle / death)
        log_dead = np.log(first(idle, self.r + x, order, np.full_like(x, self.s), death) + 1e-320)
        return np.exp(log_stay - np.logaddexp(log_stay, log_dead))[None]

    def mean(self, x: Array, T: Array, horizon: Array) -> Array:
        """E[orders in (T, T + horizon]] given alive: (r + x) / (α + T) times the mean time alive; shape (1, rows)."""
        death = self.beta + T
        log = np.log1p(horizon / death)
        return ((self.r + x) / (self.alpha + T) * death * log * exprel((1 - self.s) * log))[None]

    def tail(self, x: Array, T: Array, horizon: Array, n: Array) -> Array:
        """P(at least n ≥ 1 orders in (T, T + horizon]) given alive, shape (1, rows): alive at the n-th order."""
        x, T, horizon, n = np.broadcast_arrays(x, T, horizon, n)
        shape, order, death = self.r + x, self.alpha + T, self.beta + T
        found = np.empty(x.shape)
        one = n == 1
        found[one] = first(horizon[one], np.full(one.sum(), self.s), death[one], shape[one], order[one])
        # The time of the n-th order, on its way to infinity, is Beta(n, shape): the mean over its quantiles.
        for rows in _chunks(np.flatnonzero(~one)):
            way = betainc(n[rows], shape[rows], horizon[rows] / (order[rows] + horizon[rows]))
            # Of the least probabilities the inverse is not to be had; at once is near enough.
            share = np.maximum(way, 1e-80)[:, None] * _NTH_AT
            at = betaincinv(n[rows][:, None], shape[rows][:, None], share)
            time = order[rows][:, None] * at / np.maximum(1 - at, 1e-300)
            stays = np.exp(-self.s * np.log1p(time / death[rows][:, None]))
            found[rows] = way * np.einsum("rn,n->r", stays, _NTH_WEIGHTS)
        return found[None]


def _chunks(rows: NDArray[np.intp]) -> list[NDArray[np.intp]]:
    return [rows[start : start + _CHUNK] for start in range(0, len(rows), _CHUNK)]


def first(within: Array, other: Array, other_scale: Array, shape: Array, scale: Array) -> Array:
    """P(a time with the rate Gamma(shape, scale) comes within ``within``, and before one with the rate Gamma(other,
    other_scale))."""
    found = np.empty(within.shape)
    for start in range(0, len(found), _CHUNK):
        rows = slice(start, start + _CHUNK)
        terms = _terms(within[rows], other[rows], other_scale[rows], shape[rows], scale[rows])
        found[rows] = np.einsum("rn,n->r", terms[0], _WEIGHTS)
    return found


def _terms(within: Array, other: Array, other_scale: Array, shape: Array, scale: Array) -> tuple[Array, Array]:
    """Integrand of ``first`` at the nodes and the times of the nodes, shape (rows, nodes).

    The variable is the logarithm of the smaller scale plus time: its singularities lie π away from the real line.
    """
    small = np.minimum(other_scale, scale)
    with np.errstate(over="ignore"):
        end = np.minimum(within, other_scale * np.expm1(_NOTHING / other))
        end = np.minimum(end, scale * np.expm1(_NOTHING / shape))
        end = np.minimum(end, np.maximum(other_scale, scale) * np.expm1(_NOTHING / (other + shape)))
    span = np.log1p(end / small)
    log = span[:, None] * _AT
    time = small[:, None] * np.expm1(log)
    power = other[:, None] * np.log1p(time / other_scale[:, None]) + (shape[:, None] + 1) * np.log1p(
        time / scale[:, None]
    )
    return (shape / scale * small * span)[:, None] * np.exp(log - power), time


def likelihood(counts: Counts) -> Likelihood:
    """Mean log-likelihood of a customer, and its gradient, at the logarithms of (r, alpha, s, beta)."""
    x, inverse = np.unique(counts.x, return_inverse=True)
    weight = counts.weight / counts.weight.sum()
    per_x = np.bincount(inverse, weights=weight, minlength=len(x))
    idle = np.maximum(counts.T - counts.t_x, 0)

    def at(logs: Array) -> tuple[float, Array]:
        r, alpha, s, beta = np.exp(logs)
        value = per_x @ (gammaln(r + x) - gammaln(r)) + r * np.log(alpha) + s * np.log(beta)
        slopes = np.array([per_x @ digamma(r + x) - digamma(r) + np.log(alpha), r / alpha, np.log(beta), s / beta])
        for start in range(0, len(idle), _CHUNK):
            rows = slice(start, start + _CHUNK)
            part, part_slopes = _observed(
                r + counts.x[rows], alpha + counts.t_x[rows], s, beta + counts.t_x[rows], idle[rows]
            )
            value += weight[rows] @ part
            slopes += part_slopes @ weight[rows]
        return float(value), slopes * np.array([r, alpha, s, beta])

    return at


def _observed(shape: Array, order: Array, s: float, death: Array, idle: Array) -> tuple[Array, Array]:
    """log of "alive until t_x, then idle" per row, and its derivatives by (r, alpha, s, beta), shape (4, rows).

    Idle is either alive to the end without an order, or dead at a time before: the nodes of the integral.
    """
    idle_order, idle_death = np.log1p(idle / order), np.log1p(idle / death)
    log_stay = -shape * idle_order - s * idle_death
    dead, time = _terms(idle, shape, order, np.full_like(order, s), death)
    dead *= _WEIGHTS
    all_dead = dead.sum(axis=1)
    log_all = np.logaddexp(log_stay, np.log(all_dead + 1e-320))
    stay = np.exp(log_stay - log_all)
    dead *= np.exp(-log_all)[:, None]
    gone = dead.sum(axis=1)
    log_order, log_death = np.log1p(time / order[:, None]), np.log1p(time / death[:, None])
    share_order, share_death = 1 / (order[:, None] + time), 1 / (death[:, None] + time)
    slopes = np.stack(
        [
            -np.log(order) - stay * idle_order - (dead * log_order).sum(axis=1),
            -shape * (stay / (order + idle) + (dead * share_order).sum(axis=1)),
            -np.log(death) - stay * idle_death + gone / s - (dead * log_death).sum(axis=1),
            -s * stay / (death + idle) - (s + 1) * (dead * share_death).sum(axis=1),
        ]
    )
    return log_all - shape * np.log(order) - s * np.log(death), slopes
