"""Likelihoods: their gradients, and that they are those of what the models say, summed up the long way."""

import numpy as np
import pytest
from hypothesis import given as drawn
from hypothesis import settings
from hypothesis import strategies as st
from scipy.integrate import dblquad
from scipy.special import gammaln

from valtag_assets.models import orders
from valtag_assets.models.counts import Array, Counts
from valtag_assets.models.regularity import constant
from valtag_assets.models.spend import spend_likelihood
from valtag_tests.chance import MORE

KINDS = [("bg_nbd", 1), ("mbg_nbd", 1), ("mbg_cnbd_k", 2), ("mbg_cnbd_k", 5), ("pareto_nbd", 1)]
LOGS = st.lists(st.floats(-4, 4), min_size=4, max_size=4).map(np.array)
COUNTS = Counts(
    x=np.array([0, 0, 1, 2, 7, 300, 10_000]),
    t_x=np.array([0, 0, 0.5, 9, 10, 20, 40]),
    T=np.array([0, 30, 30, 10, 10, 25, 41]),
    weight=np.array([3, 10, 5, 2, 1, 1, 0.5]),
)


def slopes(likelihood: orders.Likelihood, at: Array, step: float = 1e-5) -> list[float]:
    moves = step * np.eye(len(at))
    return [(likelihood(at + move)[0] - likelihood(at - move)[0]) / (2 * step) for move in moves]


@pytest.mark.parametrize(("model", "k"), KINDS)
@settings(max_examples=30 * MORE)
@drawn(LOGS)
def test_gradients_of_orders_are_the_slopes(model: str, k: int, at: Array) -> None:
    likelihood = orders.likelihood(model, COUNTS, k)
    value, gradient = likelihood(at)
    assert np.isfinite(value)
    assert gradient == pytest.approx(slopes(likelihood, at), rel=1e-5, abs=1e-7 * max(1, abs(value)))


@settings(max_examples=30 * MORE)
@drawn(st.lists(st.floats(-4, 4), min_size=3, max_size=3).map(np.array))
def test_the_gradient_of_spend_is_the_slope(at: Array) -> None:
    likelihood = spend_likelihood(np.array([1.0, 2, 40]), np.array([0.2, 3, 1000]), np.array([1.0, 5, 0.5]))
    value, gradient = likelihood(at)
    assert gradient == pytest.approx(slopes(likelihood, at), rel=1e-5, abs=1e-7 * max(1, abs(value)))


@pytest.mark.parametrize(("x", "t_x", "T"), [(0, 0, 5.0), (1, 2.0, 9.0), (4, 9.0, 9.0), (6, 4.0, 30.0)])
def test_pareto_is_the_integral_over_both_rates(x: int, t_x: float, T: float) -> None:
    r, alpha, s, beta = 1.7, 4.0, 1.3, 6.0

    def density(rate: float, death: float) -> float:
        # Alive at T without an order since t_x, or dead in between.
        alive = rate**x * np.exp(-(rate + death) * T)
        both = rate + death
        dead = rate**x * death / both * (np.exp(-both * t_x) - np.exp(-both * T))
        prior = rate ** (r - 1) * np.exp(-alpha * rate) * death ** (s - 1) * np.exp(-beta * death)
        return (alive + dead) * prior

    whole = dblquad(density, 0, 8, 0, 8, epsabs=1e-14, epsrel=1e-8)[0]
    scale = dblquad(lambda a, b: a ** (r - 1) * np.exp(-alpha * a) * b ** (s - 1) * np.exp(-beta * b), 0, 8, 0, 8)[0]
    counts = Counts(np.array([x]), np.array([t_x]), np.array([T]), np.ones(1))
    ours, _ = orders.likelihood("pareto_nbd", counts)(np.log([r, alpha, s, beta]))
    assert ours == pytest.approx(np.log(whole / scale), rel=1e-6)


def test_the_likelihood_of_regular_orders_is_a_density_of_the_last_one() -> None:
    # Over where the last of x orders may lie, and over x, all of the probability is found.
    T, at = 3.0, np.log([0.9, 2.0, 0.7, 2.0])
    nodes, weights = np.polynomial.legendre.leggauss(16)
    t_x = (nodes + 1) * T / 2
    for k in (1, 3):
        each = Counts(np.zeros(1), np.zeros(1), np.array([T]), np.ones(1))
        found = np.exp(orders.likelihood("mbg_cnbd_k", each, k)(at)[0])
        for x in range(1, 40):
            for t, weight in zip(t_x, weights * T / 2, strict=True):
                each = Counts(np.array([x]), np.array([t]), np.array([T]), np.ones(1))
                # The papers' likelihood is of orders at their places: that of the last one alone has this factor.
                log = orders.likelihood("mbg_cnbd_k", each, k)(at)[0] + constant(each, k)
                found += weight * np.exp(log + (x - 1) * np.log(t) - gammaln(x))
        assert found == pytest.approx(1, abs=1e-3)
