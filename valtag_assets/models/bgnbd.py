"""BG/NBD, MBG/NBD and MBG/CNBD-k: after an order, a customer drops out with a probability of their own.

Sources: Fader, Hardie and Lee (2005), "Counting your customers" the easy way (BG/NBD: ``shift`` 0, no dropout at the
first order); Batislam, Denizel and Filiztekin (2007) and Hoppe and Wagner (2007) (MBG/NBD: ``shift`` 1, dropout
possible at the first order, too); Reutterer, Platzer and Schröder (2021) (MBG/CNBD-k: times between orders are
Erlang-k, so more regular than chance for k > 1).

An Erlang-k time is k steps of a hidden Poisson process of rate λ ~ Gamma(r, α): a living customer is in one of k
phases, 0 to k-1 steps after the last order. The probability of dropout is p ~ Beta(a, b). Given alive in phase j
at T, the posterior is λ ~ Gamma(r + kx + j, α + T) and, apart from it, p ~ Beta(a, b + x + shift): from these all
predictions follow exactly.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import betainc, betaincinv, digamma, expit, gammaln

from valtag_assets.models.counts import Array, Counts

NODES = 48
_AT, _WEIGHTS = np.polynomial.legendre.leggauss(NODES)
_AT, _WEIGHTS = (_AT + 1) / 2, _WEIGHTS / 2
_CHUNK = 1 << 14
"""Rows at a time where each takes NODES numbers: what a processor's cache holds."""


@dataclass(frozen=True)
class BetaGeometric:
    """Parameters of a fit; times in the unit of alpha."""

    r: float
    alpha: float
    a: float
    b: float
    shift: int
    k: int = 1

    @property
    def phases(self) -> int:
        return self.k

    def states(self, x: Array, t_x: Array, T: Array) -> Array:
        """P(alive at T and in phase j), shape (k, rows)."""
        shape = self.r + self.k * x
        phases = _phases(shape, np.maximum(T - t_x, 0) / (self.alpha + T), self.k)
        alive = phases.sum(axis=0)
        log_dead = _log_dead(shape, x, t_x, T, self)
        return phases * (expit(np.log(alive) - log_dead) / alive)

    def mean(self, x: Array, T: Array, horizon: Array) -> Array:
        """E[orders in (T, T + horizon]] given alive in phase j, shape (k, rows).

        Given p it is (1 - G(1 - p)) / p, with G the generating function of the orders of one who never drops out;
        the mean over p is a quadrature over the quantiles of its Beta distribution, which needs no 2F1.
        """
        chances, number = np.unique(x, return_inverse=True)
        dropout = betaincinv(self.a, self.b + chances[:, None] + self.shift, _AT)
        # Below, p times the horizon would vanish; above, the roots of 1 - p lose digits. Neither moves the mean.
        dropout = np.clip(dropout, 1e-250, 1 - 1e-6 if self.k > 1 else 1)
        given = _mean_given_dropout if self.k == 1 else _regular_mean_given_dropout
        found = np.empty((self.k, len(x)))
        for first in range(0, len(x), _CHUNK):
            rows = slice(first, first + _CHUNK)
            shape, step = self.r + self.k * x[rows], horizon[rows] / (self.alpha + T[rows])
            found[:, rows] = given(dropout[number[rows]], shape[:, None], step[:, None], self.k) @ _WEIGHTS
        return found

    def tail(self, x: Array, T: Array, horizon: Array, n: Array) -> Array:
        """P(at least n ≥ 1 orders in (T, T + horizon]) given alive in phase j, shape (k, rows).

        Steps of the hidden process are negative binomial; n orders need the survival of n - 1 dropouts.
        """
        left = self.b + x + self.shift
        survived = gammaln(left + n - 1) - gammaln(left) + gammaln(self.a + left) - gammaln(self.a + left + n - 1)
        share = horizon / (self.alpha + T + horizon)
        phase = np.arange(self.k)[:, None]
        return betainc(self.k * n - phase, self.r + self.k * x + phase, share) * np.exp(np.minimum(survived, 0))


def _phases(shape: Array, idle: Array, k: int) -> Array:
    """Relative weights of the phases 0 to k-1 of a living customer: (shape)_j idle^j / j!."""
    terms = [np.ones(np.broadcast(shape, idle).shape)]
    for j in range(1, k):
        terms.append(terms[-1] * (shape + j - 1) * idle / j)
    return np.stack(terms)


def _log_dead(shape: Array, x: Array, t_x: Array, T: Array, of: BetaGeometric) -> Array:
    """log of the weight of "dropped out at t_x" against the weight 1 of phase 0; -inf where that cannot be."""
    chances = x + of.shift
    odds = np.log(of.a) - np.log(of.b + np.maximum(chances, 1) - 1)
    idle = np.log1p(np.maximum(T - t_x, 0) / (of.alpha + t_x))
    return np.where(chances > 0, odds + shape * idle, -np.inf)


def _mean_given_dropout(p: Array, shape: Array, step: Array, k: int) -> Array:
    """k = 1: (1 - (1 + p step)^-shape) / p, shape (1, rows, nodes)."""
    return (-np.expm1(-shape * np.log1p(p * step)) / p)[None]


def _regular_mean_given_dropout(p: Array, shape: Array, step: Array, k: int) -> Array:
    """Any k, for each phase: the generating function of floor((phase + steps) / k) by a filter of roots of unity.

    The root 1 is kept apart, and the other ones are proportional to p, so that nothing cancels for small p.
    """
    stay = np.log1p(-p)
    root = stay / k
    found = []
    for j in range(k):
        power = -(shape + j) * np.log1p(-np.expm1(root) * step)
        whole = -sum(np.expm1((j - i) * root + power) for i in range(k)) / p
        for turn in range(1, k):
            zeta = np.exp(root + 2j * np.pi * turn / k)
            away = (1 + (1 - zeta) * step) ** -(shape + j)
            whole = whole + (zeta ** (j + 1) / (zeta - 1) * away).real / np.exp(stay)
        found.append(whole / k)
    return np.stack(found)


def likelihood(counts: Counts, shift: int, k: int = 1) -> Callable[[Array], tuple[float, Array]]:
    """Mean log-likelihood of a customer, and its gradient, at the logarithms of (r, alpha, a, b).

    For k = 1 that of the papers. For k > 1 it is of (x, t_x) alone: orders between the first and the last may lie
    anywhere; and without what does not depend on the parameters, see ``regularity``.
    """
    x, inverse = np.unique(counts.x, return_inverse=True)
    total = counts.weight.sum()
    weight = counts.weight / total
    per_x = np.bincount(inverse, weights=weight, minlength=len(x))
    chances, kx = x + shift, k * x

    def at(logs: Array) -> tuple[float, Array]:
        r, alpha, a, b = np.exp(logs)
        shape = r + k * counts.x
        idle = np.maximum(counts.T - counts.t_x, 0) / (alpha + counts.T)
        phases = _phases(shape, idle, k)
        alive = phases.sum(axis=0)
        log_end = np.log(alpha + counts.T)
        log_dead = _log_dead(shape, counts.x, counts.t_x, counts.T, BetaGeometric(r, alpha, a, b, shift, k))
        dead = weight * expit(log_dead - np.log(alive))
        per_x_value = (
            gammaln(r + kx) - gammaln(r) + r * np.log(alpha)
            + gammaln(b + chances) - gammaln(b) + gammaln(a + b) - gammaln(a + b + chances)
        )  # fmt: skip
        value = per_x @ per_x_value + weight @ (np.logaddexp(np.log(alive), log_dead) - shape * log_end)
        log_idle = np.log1p(np.maximum(counts.T - counts.t_x, 0) / (alpha + counts.t_x))
        d_r = per_x @ (digamma(r + kx) - digamma(r) + np.log(alpha)) - weight @ log_end + dead @ log_idle
        slope = shape * (1 / (alpha + counts.T) - 1 / (alpha + counts.t_x))
        d_alpha = r / alpha - weight @ (shape / (alpha + counts.T)) + dead @ slope
        if k > 1:
            by_shape, by_scale = _slopes(phases, shape, counts.T + alpha, k)
            d_r += (weight - dead) @ (by_shape / alive)
            d_alpha += (weight - dead) @ (by_scale / alive)
        gone = dead.sum()
        d_a = digamma(a + b) - per_x @ digamma(a + b + chances) + gone / a
        left = np.bincount(inverse, weights=dead, minlength=len(x)) / (b + np.maximum(chances, 1) - 1)
        d_b = per_x @ (digamma(b + chances) - digamma(a + b + chances)) - digamma(b) + digamma(a + b) - left.sum()
        return float(value), np.array([r * d_r, alpha * d_alpha, a * d_a, b * d_b])

    return at


def _slopes(phases: Array, shape: Array, end: Array, k: int) -> tuple[Array, Array]:
    """Derivatives of the sum of the phases by r and by alpha."""
    by_shape, by_scale = np.zeros_like(shape), np.zeros_like(shape)
    steps = np.zeros_like(shape)
    for j in range(1, k):
        steps = steps + 1 / (shape + j - 1)
        by_shape += phases[j] * steps
        by_scale -= phases[j] * j / end
    return by_shape, by_scale
