"""Quantiles of what a customer will spend: of a sum of a random number of orders of an uncertain mean value.

Given ν, the value of k orders is Gamma(p k, ν), and after n orders of the mean value m, ν ~ Gamma(p n + q, γ + n m).
So S / (γ + n m) given k orders is beta-prime(p k, p n + q): it depends on n = x + 1 alone, and the quantiles of a
customer on (x, T, horizon) and on P(alive). For each (x, T, horizon) the distribution given alive is tabled at KNOTS
values; in between, the logit of the probability and the logarithm of the value follow cubics.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.special import betainc, betaincinv

from valtag_assets.models.counts import Array
from valtag_assets.models.family import Family
from valtag_assets.models.quantiles import Rows, smallest

COARSE, KNOTS, BINS = 16, 40, 32
"""Values of a first look, which says where the distribution bends, and of the table; ranges of numbers of orders."""
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
    coarse = start[:, None] + (end - start)[:, None] * np.linspace(0, 1, COARSE)
    sketch = _below(coarse, p * middle, known, mass).sum(axis=0)
    log_values = _spread(coarse, _logit(sketch, once.sum(axis=0)[:, None]), KNOTS)
    return log_values, _below(log_values, p * middle, known, mass)


def _below(log_values: Array, shape: Array, known: Array, mass: Array) -> Array:
    """P(an order, and spend below the value | alive in phase j), shape (phases, rows, values)."""
    share = 1 / (1 + np.exp(-log_values))
    below = np.zeros((len(mass), *log_values.shape))
    for number in range(BINS):
        rows = np.flatnonzero(mass[:, number].max(axis=0) > 1e-9)
        each = betainc(shape[number, rows, None], known[rows, None], share[rows])
        below[:, rows] += mass[:, number, rows, None] * each
    return below


def _spread(at: Array, rising: Array, number: int) -> Array:
    """``number`` points per row, between those given: half as close as these are, half as ``rising`` rises."""
    rising = np.maximum.accumulate(rising, axis=1) - rising[:, :1]
    rising = np.linspace(0, 1, at.shape[1]) + rising / np.maximum(rising[:, -1:], 1e-300)
    wanted = np.linspace(0, 1, number) * rising[:, -1:]
    low = np.minimum((rising[:, None, 1:] <= wanted[:, :, None]).sum(axis=2), at.shape[1] - 2)
    before, after = (np.take_along_axis(rising, low + by, axis=1) for by in (0, 1))
    share = np.clip((wanted - before) / (after - before), 0, 1)
    start, end = (np.take_along_axis(at, low + by, axis=1) for by in (0, 1))
    return start + share * (end - start)


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
    tail = _tails(model, lone, once, edges)
    many = np.flatnonzero(last - first >= BINS)
    if len(many):
        more = -tail.sum(axis=0)[:, many].T
        edges[:, many] = np.rint(_spread(edges[:, many].T, more, BINS + 1)).T
        tail[:, :, many] = _tails(model, lone.rows(many), once[:, many], edges[:, many])
    return edges, np.maximum(tail[:, :-1] - tail[:, 1:], 0)


def _tails(model: Family, lone: Customers, once: Array, edges: Array) -> Array:
    """P(so many orders | alive in phase j), shape (phases, BINS + 1, rows); of the last edge 0."""
    tail = np.zeros((model.phases, *edges.shape))
    tail[:, 0] = once
    for number in range(1, len(edges) - 1):
        # Many edges are the same as the one before.
        rows = np.flatnonzero(edges[number] > edges[number - 1])
        tail[:, number] = tail[:, number - 1]
        tail[:, number, rows] = model.tail(lone.x[rows], lone.T[rows], lone.horizon[rows], edges[number, rows])
    return tail


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
    around = [_logit(at(np.clip(low + by, 0, KNOTS - 1)), once) for by in (-1, 0, 1, 2)]
    share = _crossing(around, _logit(wanted, once))
    near = [log_values[alike, np.clip(low + by, 0, KNOTS - 1)] for by in (-1, 0, 1, 2)]
    return np.where(share < 0, near[1] + share * (near[2] - near[1]), _cubic(near, share))


def _cubic(around: list[Array], t: Array) -> Array:
    """The cubic of Catmull and Rom through four points: ``t`` of the way from the second to the third."""
    before, start, end, after = around
    rise, final = (end - before) / 2, (after - start) / 2
    bend = 3 * (end - start) - 2 * rise - final
    return start + t * (rise + t * (bend + t * (rise + final - 2 * (end - start))))


def _crossing(around: list[Array], wanted: Array) -> Array:
    """Where between the second and the third of four rising points the cubic reaches ``wanted``; below the second one
    on the straight line through both."""
    start, end = around[1:3]
    low, high = np.zeros(len(wanted)), np.ones(len(wanted))
    for _ in range(16):
        t = (low + high) / 2
        below = _cubic(around, t) < wanted
        low, high = np.where(below, t, low), np.where(below, high, t)
    outside = np.maximum((wanted - start) / np.maximum(end - start, 1e-12), -50)
    return np.where(wanted < start, outside, (low + high) / 2)


def _logit(part: Array, whole: Array) -> Array:
    part = np.clip(part, 1e-300, whole * (1 - 1e-15))
    return np.log(part) - np.log(whole - part)
