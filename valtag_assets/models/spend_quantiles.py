"""Quantiles of what a customer will spend: of a sum of a random number of orders of an uncertain mean value.

Given ν, the value of k orders is Gamma(p k, ν), and after n orders of the mean value m, ν ~ Gamma(p n + q, γ + n m).
So S / (γ + n m) given k orders is beta-prime(p k, p n + q): it depends on n = x + 1 alone, and the quantiles of a
customer on (x, T, horizon) and on P(alive). For each (x, T, horizon) the distribution given alive is tabled at KNOTS
values; in between, the logit of the probability is taken as linear in the logarithm of the value.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.special import betainc, betaincinv

from valtag_assets.models.counts import Array
from valtag_assets.models.family import Family
from valtag_assets.models.quantiles import Rows, smallest

KNOTS, BINS = 32, 24
_CHUNK = 1 << 13
"""(x, T, horizon) at a time: bounds the memory of the tables."""


@dataclass(frozen=True)
class Customers:
    """Columns of one length. ``limit``: 1 - level; ``states``: P(alive in phase j), shape (phases, rows)."""

    x: Array
    T: Array
    horizon: Array
    limit: Array
    states: Array

    def rows(self, at: Rows) -> "Customers":
        return Customers(self.x[at], self.T[at], self.horizon[at], self.limit[at], self.states[:, at])


def quantiles(model: Family, p: float, q: float, of: Customers, alike: Rows, first: Rows) -> Array:
    """Spend over γ + n m that is exceeded with the probability ``limit``; 0 where no order is that likely.

    ``alike`` numbers the distinct (x, T, horizon) of the rows; ``first`` is a row of each.
    """
    found = np.zeros(len(of.x))
    order = np.argsort(alike, kind="stable")
    ends = np.searchsorted(alike[order], np.arange(0, len(first) + _CHUNK, _CHUNK))
    for chunk, (start, end) in enumerate(pairwise(ends)):
        at, lone = order[start:end], of.rows(first[chunk * _CHUNK : (chunk + 1) * _CHUNK])
        found[at] = _of_chunk(model, p, q, lone, of.rows(at), alike[at] - chunk * _CHUNK)
    return found


def _of_chunk(model: Family, p: float, q: float, lone: Customers, of: Customers, alike: Rows) -> Array:
    found = np.zeros(len(of.x))
    once = model.tail(lone.x, lone.T, lone.horizon, np.ones(1))
    likely = np.einsum("pk,pk->k", of.states, once[:, alike])
    open_rows = np.flatnonzero(likely > of.limit)
    if not len(open_rows):
        return found
    # Only those are tabled that have a row with an answer, and as far as their rarest answer.
    kept, alike = np.unique(alike[open_rows], return_inverse=True)
    of, lone, likely = of.rows(open_rows), lone.rows(kept), likely[open_rows]
    rarest = np.ones(len(kept))
    np.minimum.at(rarest, alike, of.limit)
    log_values, below = _tables(model, p, q, lone, once[:, kept], rarest)
    found[open_rows] = np.exp(_inverse(log_values, below, alike, of.states, likely, likely - of.limit))
    return found


def _tables(model: Family, p: float, q: float, lone: Customers, once: Array, rarest: Array) -> tuple[Array, Array]:
    """Logarithms of values, shape (rows, KNOTS), and P(an order, and spend below the value | alive in phase j), shape
    (phases, rows, KNOTS)."""
    edges, mass = _numbers_of_orders(model, lone, once, rarest)
    middle, known = (edges[:-1] + edges[1:] - 1) / 2, p * (lone.x + 1) + q
    least = betaincinv(p * edges[0], known, 1e-4)
    # The largest as its own distance from 1, which it comes close to.
    far = betaincinv(known, p * (edges[-1] - 1), np.minimum(rarest, 0.5) / 4)
    start, end = np.log(least) - np.log1p(-least), np.log1p(-far) - np.log(far)
    log_values = start[:, None] + (end - start)[:, None] * np.linspace(0, 1, KNOTS)
    share = 1 / (1 + np.exp(-log_values))
    below = np.zeros((model.phases, *log_values.shape))
    for number in range(BINS):
        rows = np.flatnonzero(mass[:, number].max(axis=0) > 1e-9)
        each = betainc(p * middle[number, rows, None], known[rows, None], share[rows])
        below[:, rows] += mass[:, number, rows, None] * each
    return log_values, below


def _numbers_of_orders(model: Family, lone: Customers, once: Array, rarest: Array) -> tuple[Array, Array]:
    """The numbers of orders that matter, in up to BINS ranges that grow by one ratio: their edges, shape (BINS + 1,
    rows), and probabilities given alive, shape (phases, BINS, rows).

    The first and the last range have what lies outside them, too.
    """

    def at_least(phase: int) -> Callable[[Rows, Array], Array]:
        return lambda rows, n: model.tail(lone.x[rows], lone.T[rows], lone.horizon[rows], n)[phase]

    first = np.maximum(smallest(at_least(0), once[0], once[0] * (1 - 1e-4)), 1)
    last = np.maximum(smallest(at_least(model.phases - 1), once[-1], rarest / 200), first)
    edges = first + _growing(last + 1 - first)
    tails = [once, *(model.tail(lone.x, lone.T, lone.horizon, edge) for edge in edges[1:-1]), np.zeros_like(once)]
    tail = np.stack(tails, axis=1)
    return edges, np.maximum(tail[:, :-1] - tail[:, 1:], 0)


def _growing(whole: Array) -> Array:
    """BINS + 1 whole numbers from 0 to ``whole`` ≥ 1 with steps that grow by one ratio; shape (BINS + 1, rows)."""
    low, high = np.zeros(len(whole)), np.full(len(whole), 3.0)
    for _ in range(40):
        middle = (low + high) / 2
        below = np.expm1(BINS * middle) < whole * np.expm1(middle)
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    steps = np.arange(BINS + 1.0)[:, None]
    grown = np.where(high > 1e-9, np.expm1(steps * high) / np.expm1(high), steps)
    edges = np.minimum(np.rint(grown), whole)
    edges[-1] = whole
    return edges


def _inverse(log_values: Array, below: Array, alike: Rows, states: Array, once: Array, wanted: Array) -> Array:
    """Logarithm of the value below which, with an order, ``wanted`` < ``once`` lies."""

    def at(knot: Rows) -> Array:
        return np.einsum("pk,pk->k", states, below[:, alike, knot])

    low = np.zeros(len(alike), dtype=np.intp)
    high = np.full(len(alike), KNOTS - 1)
    for _ in range(int(np.ceil(np.log2(KNOTS)))):
        middle = (low + high) // 2
        under = at(middle) <= wanted
        low, high = np.where(under, middle, low), np.where(under, high, middle)
    low = np.minimum(low, KNOTS - 2)
    before, after = (_logit(at(knot), once) for knot in (low, low + 1))
    share = (_logit(wanted, once) - before) / np.maximum(after - before, 1e-12)
    start, end = log_values[alike, low], log_values[alike, low + 1]
    return start + np.maximum(share, -50) * (end - start)


def _logit(part: Array, whole: Array) -> Array:
    part = np.clip(part, 1e-300, whole * (1 - 1e-15))
    return np.log(part) - np.log(whole - part)
