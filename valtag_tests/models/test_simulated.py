"""Customers made as a model says: the fit finds its parameters, and predictions and intervals come true."""

from functools import cache

import numpy as np
import pytest
from scipy.special import betainc

from valtag_assets.models import orders
from valtag_assets.models.counts import Array, collapsed
from valtag_assets.models.orders import given
from valtag_assets.models.simulate import Simulated, simulate
from valtag_assets.models.spend import SpendFit, expected_spend, fit_spend, spend_quantile

MODELS = {
    "bg_nbd": given("bg_nbd", r=0.5, alpha=6.0, a=0.9, b=2.4),
    "mbg_nbd": given("mbg_nbd", r=0.6, alpha=6.0, a=0.8, b=1.6),
    "pareto_nbd": given("pareto_nbd", r=0.6, alpha=10.0, s=0.6, beta=12.0),
    "mbg_cnbd_k": given("mbg_cnbd_k", r=0.9, alpha=3.0, a=0.7, b=3.0, k=3.0),
}
HORIZON = 20.0
SPEND = SpendFit(6.0, 4.0, 15.0, 0.0, 0.0, True, "given")


@cache
def customers(model: str) -> Simulated:
    T = np.random.default_rng(2).integers(70, 420, 20_000) / 7
    return simulate(MODELS[model], T, seed=11, horizon=HORIZON)


def groups(of: Simulated) -> list[Array]:
    """Customers of like histories."""
    recent = (of.T - of.t_x) < 0.3 * of.T
    return [of.x == 0, (of.x == 1) & recent, (of.x == 1) & ~recent, (of.x > 1) & recent, (of.x > 1) & ~recent]


@pytest.mark.parametrize("model", MODELS)
def test_a_fit_finds_the_parameters_again(model: str) -> None:
    of = customers(model)
    found = orders.fit(model, collapsed(of.x, of.t_x, of.T))
    assert found.faults() == [] and found.warnings() == []
    assert found.parameters.get("k", 1) == MODELS[model].parameters.get("k", 1)
    for name, error in found.errors.items():
        truth = MODELS[model].parameters[name]
        assert abs(np.log(found.parameters[name] / truth)) < 3.5 * error, name
        assert error < 0.3


@pytest.mark.parametrize("model", MODELS)
def test_predictions_come_true_for_every_kind_of_history(model: str) -> None:
    of, fit = customers(model), MODELS[model]
    history = fit, of.x, of.t_x, of.T
    for expected, actual in (
        (orders.p_alive(*history), of.alive.astype(float)),
        (orders.p_order(*history, HORIZON), (of.future > 0).astype(float)),
        (orders.expected_orders(*history, HORIZON), of.future),
    ):
        for chosen in groups(of):
            apart = actual[chosen] - expected[chosen]
            assert abs(apart.mean()) < 4 * apart.std() / np.sqrt(chosen.sum()) + 1e-12


@pytest.mark.parametrize("model", MODELS)
def test_new_customers_order_as_often_as_expected(model: str) -> None:
    fit, many = MODELS[model], 20_000
    of = simulate(fit, np.full(many, 15.0), seed=3)
    shares, expected = np.bincount(of.x.astype(int), minlength=8)[:8] / many, orders.pmf(fit, 8, 15.0)
    assert (np.abs(shares - expected) < 4 * np.sqrt(expected / many)).all()
    assert of.x.mean() == pytest.approx(orders.expected_purchases(fit, 15.0), rel=0.05)


@pytest.mark.parametrize("model", MODELS)
def test_expected_orders_are_the_sum_of_the_probabilities_of_so_many(model: str) -> None:
    fit = MODELS[model]
    x, t_x, T = np.array([[0, 1, 5, 30], [0, 3.0, 20, 28], [10, 30, 22, 30]], dtype=float)
    model_of = orders.family(fit)
    states = model_of.states(x, t_x, T)
    tails = [
        (states * model_of.tail(x, T, np.full(4, HORIZON), np.full(4, float(n)))).sum(axis=0) for n in range(1, 400)
    ]
    # Pareto/NBD counts its tail by a quadrature of fewer points.
    exact = 1e-4 if model == "pareto_nbd" else 1e-8
    assert np.sum(tails, axis=0) == pytest.approx(orders.expected_orders(fit, x, t_x, T, HORIZON), rel=exact)
    assert tails[0] == pytest.approx(orders.p_order(fit, x, t_x, T, HORIZON), rel=1e-9)


def test_discounted_orders_count_at_the_end_of_their_step() -> None:
    fit = MODELS["mbg_nbd"]
    by = [float(orders.expected_orders(fit, 2, 5, 9, until)) for until in (0, 4, 8, 10)]
    by_hand = sum((end - start) / 1.01**when for start, end, when in zip(by, by[1:], (4, 8, 10), strict=False))
    assert orders.discounted_orders(fit, 2, 5, 9, 10, 0.01, 4) == pytest.approx(by_hand, rel=1e-12)
    assert orders.discounted_orders(fit, 2, 5, 9, 10, 0.0, 4) == pytest.approx(by[-1], rel=1e-12)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("level", [0.5, 0.9, 0.95])
def test_intervals_of_orders_cover_as_they_say(model: str, level: float) -> None:
    of, fit = customers(model), MODELS[model]
    history = (part[:4000] for part in (of.x, of.t_x, of.T))
    quantile = orders.order_quantile(fit, *history, HORIZON, level)
    # A number of orders jumps past the level; the next lower one does not reach it.
    covered, below = (of.future[:4000] <= quantile).mean(), (of.future[:4000] < quantile).mean()
    assert below - 0.02 < level < covered + 0.02


def spent(of: Simulated, seed: int) -> tuple[Array, Array, Array, Array]:
    """Orders, mean value, value to come and the customer's own mean value of an order."""
    draw = np.random.default_rng(seed)
    own = draw.gamma(SPEND.q, 1 / SPEND.gamma, len(of.x))
    n = of.x + 1
    mean = draw.gamma(SPEND.p * n, 1 / own) / n
    value = np.where(of.future > 0, draw.gamma(SPEND.p * np.maximum(of.future, 1), 1 / own), 0)
    return n, mean, value, SPEND.p / own


def test_the_parameters_of_spend_are_found_again() -> None:
    n, mean, _, own = spent(customers("mbg_nbd"), seed=4)
    found = fit_spend(n, mean, np.ones(len(n)))
    assert found.faults() == [] and found.warnings() == []
    for name, error in found.errors.items():
        assert abs(np.log(getattr(found, name) / getattr(SPEND, name))) < 3.5 * error
    expected = expected_spend(SPEND, n, mean)
    for chosen in (n == 1, (n > 1) & (n < 5), n >= 5):
        assert expected[chosen].mean() == pytest.approx(own[chosen].mean(), rel=0.02)


@pytest.mark.parametrize("model", ["mbg_nbd", "mbg_cnbd_k"])
def test_intervals_of_spend_cover_as_they_say(model: str) -> None:
    of, fit = customers(model), MODELS[model]
    n, mean, value, _ = spent(of, seed=5)
    levels = np.array([[0.5], [0.9], [0.95]])
    limits = spend_quantile(fit, SPEND, of.x, of.t_x, of.T, HORIZON, levels) * (SPEND.gamma + n * mean)
    # Where no order is likely enough the limit is zero, and more is covered; elsewhere it is exact.
    for level, limit in zip(levels[:, 0], limits, strict=True):
        some = limit > 0
        assert (value <= limit)[~some].mean() > level
        assert (value <= limit)[some].mean() == pytest.approx(
            level, abs=4 * np.sqrt(level * (1 - level) / some.sum())
        )


@pytest.mark.parametrize(
    ("fit", "most"), [(MODELS["mbg_nbd"], 300), (given("mbg_nbd", r=3.0, alpha=2.0, a=0.1, b=3.0), 900)]
)
@pytest.mark.parametrize("level", [0.1, 0.5, 0.9, 0.95])
def test_quantiles_of_spend_are_exact_to_a_percent(fit: orders.Fit, most: int, level: float) -> None:
    of = simulate(fit, np.random.default_rng(2).integers(70, 420, 60) / 7, seed=1)
    answer = spend_quantile(fit, SPEND, of.x, of.t_x, of.T, HORIZON, level)
    model, number = orders.family(fit), np.arange(1.0, most + 1)
    each = [np.repeat(values, most) for values in (of.x, of.T)]
    tail = model.tail(*each, np.full(60 * most, HORIZON), np.tile(number, 60)).reshape(60, most)
    tail *= model.states(of.x, of.t_x, of.T)[0][:, None]
    mass = tail - np.append(tail[:, 1:], np.zeros((60, 1)), axis=1)
    known = SPEND.p * (of.x + 1) + SPEND.q

    def below(value: Array) -> Array:
        share = (value / (1 + value))[:, None]
        return 1 - tail[:, 0] + (mass * betainc(SPEND.p * number, known[:, None], share)).sum(axis=1)

    some = answer > 0
    assert (below(np.zeros(60))[~some] >= level).all()
    assert (below(answer * 0.99)[some] <= level + 1e-3).all() and (below(answer * 1.01)[some] >= level - 1e-3).all()
