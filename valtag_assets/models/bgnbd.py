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

from dataclasses import dataclass

import numpy as np
from scipy.special import betainc, betaincinv, digamma, expit, gammaln

from valtag_assets.models.counts import Array, Counts
from valtag_assets.models.optimum import Likelihood

NODES = 48
_AT, _WEIGHTS = np.polynomial.legendre.leggauss(NODES)
_AT, _WEIGHTS = (_AT + 1) / 2, _WEIGHTS / 2
# Quantiles of a Beta distribution are powers near both ends; closer points there make them smooth for the quadrature.
_WEIGHTS = _WEIGHTS * 30 * (_AT * (1 - _AT)) ** 2
_AT = _AT**3 * (10 - 15 * _AT + 6 * _AT**2)
_CHUNK, _ROWS = 1 << 11, 1 << 13
"""Rows at a time, where each takes NODES numbers and where it takes one: what a processor's cache holds.

Sums of so few are made by one thread; with more, a second one of the algebra library spins for longer than they take.
"""


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
        found = np.empty((self.k, len(x)))
        for first in range(0, len(x), _ROWS):
            rows = slice(first, first + _ROWS)
            found[:, rows] = self._states(x[rows], t_x[rows], T[rows])
        return found

    def _states(self, x: Array, t_x: Array, T: Array) -> Array:
        shape = self.r + self.k * x
        idle = np.maximum(T - t_x, 0)
        phases = _phases(shape, idle / (self.alpha + T), self.k)
        alive = phases.sum(axis=0)
        # The weight of "dropped out at t_x" against the weight 1 of phase 0.
        chances = x + self.shift
        log_dead = np.log(self.a) - np.log(self.b + np.maximum(chances, 1) - 1)
        log_dead = log_dead + shape * np.log1p(idle / (self.alpha + t_x))
        return phases * (np.where(chances > 0, expit(np.log(alive) - log_dead), 1) / alive)

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
            each = given(dropout[number[rows]], shape[:, None], step[:, None], self.k)
            found[:, rows] = np.einsum("prn,n->pr", each, _WEIGHTS)
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


def likelihood(counts: Counts, shift: int, k: int = 1) -> Likelihood:
    """Mean log-likelihood of a customer, and its gradient, at the logarithms of (r, alpha, a, b).

    For k = 1 that of the papers. For k > 1 it is of (x, t_x) alone: orders between the first and the last may lie
    anywhere; and without what does not depend on the parameters, see ``regularity``.
    """
    x, inverse = np.unique(counts.x, return_inverse=True)
    weight = counts.weight / counts.weight.sum()
    per_x = np.bincount(inverse, weights=weight, minlength=len(x))
    chances, kx = x + shift, k * x
    # Who had no chance to drop out did not.
    survived, barred = np.maximum(counts.x + shift, 1) - 1, np.where(counts.x + shift > 0, 0, -np.inf)
    columns = (k * counts.x, counts.t_x, counts.T, survived, barred, weight)
    parts = [tuple(column[at : at + _ROWS] for column in columns) for at in range(0, len(weight), _ROWS)]

    def at(logs: Array) -> tuple[float, Array]:
        r, alpha, a, b = np.exp(logs)
        sums = np.sum([_observed((r, alpha, a, b), k, *part) for part in parts], axis=0)
        observed, by_r, by_alpha, gone, per_left = sums
        value = observed + r * np.log(alpha) - gammaln(r) - gammaln(b) + gammaln(a + b)
        value += per_x @ (gammaln(r + kx) + gammaln(b + chances) - gammaln(a + b + chances))
        ends = digamma(a + b) - per_x @ digamma(a + b + chances)
        gradient = [
            r * (by_r + np.log(alpha) - digamma(r) + per_x @ digamma(r + kx)),
            alpha * (by_alpha + r / alpha),
            a * (ends + gone / a),
            b * (ends - digamma(b) + per_x @ digamma(b + chances) - per_left),
        ]
        return float(value), np.array(gradient)

    return at


def _observed(
    parameters: tuple[float, ...],
    k: int,
    kx: Array,
    t_x: Array,
    T: Array,
    survived: Array,
    barred: Array,
    weight: Array,
) -> Array:
    """Sums over rows: log of (alive + dead) / (alpha + T)^shape, its slopes by r and by alpha, P(dead), and P(dead) /
    (b + survived).

    Alive weighs 1 for k = 1, dead a / (b + survived) (1 + idle / (alpha + t_x))^shape.
    """
    r, alpha, a, b = parameters
    shape, end, start, left = r + kx, alpha + T, alpha + t_x, b + survived
    log_end = np.log(end)
    idle = log_end - np.log(start)
    log_alive: Array | float = 0.0
    if k > 1:
        phases = _phases(shape, np.maximum(T - t_x, 0) / end, k)
        alive = phases.sum(axis=0)
        log_alive = np.log(alive)
    odds = np.log(a / left) + shape * idle + barred - log_alive
    small = np.exp(-np.abs(odds))
    dead = weight * np.where(odds > 0, 1, small) / (1 + small)
    value = weight @ (np.maximum(odds, 0) + np.log1p(small) + log_alive - shape * log_end)
    by_r = dead @ idle - weight @ log_end
    by_alpha = dead @ (shape / end - shape / start) - weight @ (shape / end)
    if k > 1:
        by_shape, by_scale = _slopes(phases, shape, end, k)
        by_r += (weight - dead) @ (by_shape / alive)
        by_alpha += (weight - dead) @ (by_scale / alive)
    return np.array([value, by_r, by_alpha, dead.sum(), dead @ (1 / left)])


def _slopes(phases: Array, shape: Array, end: Array, k: int) -> tuple[Array, Array]:
    """Derivatives of the sum of the phases by r and by alpha."""
    by_shape, by_scale = np.zeros_like(shape), np.zeros_like(shape)
    steps = np.zeros_like(shape)
    for j in range(1, k):
        steps = steps + 1 / (shape + j - 1)
        by_shape += phases[j] * steps
        by_scale -= phases[j] * j / end
    return by_shape, by_scale
