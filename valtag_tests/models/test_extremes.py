"""Odd data and odd customers: a number that makes sense, or a fit that says it is none."""

import math

import numpy as np
import pytest
from hypothesis import example, settings
from hypothesis import given as drawn
from hypothesis import strategies as st

from valtag_assets.models import orders
from valtag_assets.models.counts import Counts, collapsed
from valtag_assets.models.optimum import NEAR_A_LIMIT
from valtag_assets.models.orders import Fit, given
from valtag_assets.models.simulate import simulate
from valtag_assets.models.spend import SpendFit, expected_spend, fit_spend, spend_quantile
from valtag_tests.chance import MORE

SIZES = st.floats(-3, 3).map(math.exp)
WIDE = st.floats(-9, 9).map(math.exp)


def fits(size: st.SearchStrategy[float]) -> st.SearchStrategy[Fit]:
    def parameters(model: str) -> st.SearchStrategy[Fit]:
        names = [name for name in orders.PARAMETERS[model] if name != "k"]
        k = {"k": st.integers(1, 6)} if model == "mbg_cnbd_k" else {}
        return st.fixed_dictionaries({**dict.fromkeys(names, size), **k}).map(lambda found: given(model, **found))

    return st.sampled_from(orders.MODELS).flatmap(parameters)


X = np.array([0, 0, 0, 1, 1, 1, 3, 3, 40, 10_000, 10_000, 10_000])
T_X = np.array([0, 0, 0, 0, 2, 2, 5, 30, 30, 1, 100, 100], dtype=float)
T = np.array([0, 1, 500, 0, 2, 500, 30, 30, 31, 500, 100, 101], dtype=float)
HORIZONS = np.array([[0], [0.01], [1], [52], [5000]])


@settings(max_examples=150 * MORE)
@drawn(st.one_of(fits(SIZES), fits(WIDE)))
def test_predictions_make_sense_for_all_parameters_and_histories(fit: Fit) -> None:
    alive = orders.p_alive(fit, X, T_X, T)
    once = orders.p_order(fit, X, T_X, T, HORIZONS)
    expected = orders.expected_orders(fit, X, T_X, T, HORIZONS)
    discounted = orders.discounted_orders(fit, X, T_X, T, 52, 0.002, 4)
    for probability in (alive, once):
        assert ((probability >= 0) & (probability <= 1 + 1e-12)).all()
    assert np.isfinite(expected).all() and np.isfinite(discounted).all()
    assert (once[0] == 0).all() and expected[0] == pytest.approx(0, abs=1e-9)
    # A longer horizon has more orders; an order at least is as likely as dropping out is not; and E ≥ P.
    exact = 1e-6
    assert (np.diff(once, axis=0) >= -exact).all()
    assert (np.diff(expected, axis=0) >= -exact * (1 + expected[1:])).all()
    assert (once <= alive * (1 + exact) + exact).all()
    assert (expected >= once * (1 - 1e-4) - exact).all()
    assert (discounted <= expected[3] * (1 + exact) + exact).all() and (discounted >= -exact).all()


@settings(max_examples=60 * MORE)
@drawn(fits(SIZES))
def test_quantiles_make_sense_for_all_parameters_and_histories(fit: Fit) -> None:
    levels = np.array([[0.1], [0.5], [0.95]])
    number = orders.order_quantile(fit, X, T_X, T, 52, levels)
    spend = spend_quantile(fit, SpendFit(6.0, 4.0, 15.0, 0.0, 0.0, True, ""), X, T_X, T, 52, levels)
    for found in (number, spend):
        assert (found >= 0).all() and np.isfinite(found).all() and (np.diff(found, axis=0) >= 0).all()
    assert (number == np.rint(number)).all() and ((spend > 0) == (number > 0)).all()


@settings(max_examples=60 * MORE)
@drawn(fits(SIZES), st.floats(0, 500))
@example(given("pareto_nbd", r=2.117, alpha=1.0, s=1.0, beta=1.0), 0.0)
@example(given("pareto_nbd", r=2.718, alpha=1.0, s=1.0, beta=1.0), 1e-57)
def test_probabilities_of_numbers_of_orders_sum_to_one_at_most(fit: Fit, t: float) -> None:
    found = orders.pmf(fit, 50, t)
    assert (found >= 0).all() and found.sum() <= 1 + 1e-9


def sample(customers: int = 300) -> Counts:
    of = simulate(given("mbg_nbd", r=0.6, alpha=6.0, a=0.8, b=1.6), np.linspace(10, 60, customers), seed=1)
    return collapsed(of.x, of.t_x, of.T)


@pytest.mark.parametrize("model", orders.MODELS)
def test_weights_are_repetitions(model: str) -> None:
    rows = sample()
    weight = 1.0 + np.arange(len(rows.x)) % 3
    times = weight.astype(int)
    weighted = Counts(rows.x, rows.t_x, rows.T, weight)
    repeated = Counts(*(np.repeat(part, times) for part in (rows.x, rows.t_x, rows.T, np.ones(len(rows.x)))))
    at = np.log([0.7, 5.0, 0.8, 2.0])
    ours, theirs = (orders.likelihood(model, counts)(at) for counts in (weighted, repeated))
    assert ours[0] == pytest.approx(theirs[0], rel=1e-12) and ours[1] == pytest.approx(theirs[1], abs=1e-11)
    assert orders.fit(model, weighted).parameters == pytest.approx(orders.fit(model, repeated).parameters, rel=1e-4)


@pytest.mark.parametrize("model", orders.MODELS)
def test_the_unit_of_time_does_not_matter(model: str) -> None:
    weeks = sample(1000)
    days = Counts(weeks.x, weeks.t_x * 7, weeks.T * 7, weeks.weight)
    by_weeks, by_days = orders.fit(model, weeks), orders.fit(model, days)
    expected = {name: value * (7 if name in orders.TIMES else 1) for name, value in by_weeks.parameters.items()}
    assert by_days.parameters == pytest.approx(expected, rel=1e-6)


def counts(*rows: tuple[float, float, float, float]) -> Counts:
    return Counts(*np.array(rows, dtype=float).reshape(-1, 4).T)


ODD = {
    "nobody": counts(),
    "no weight": counts((1, 2, 3, 0)),
    "no time": counts((0, 0, 0, 5), (0, 0, 0, 100)),
    "nobody came again": counts((0, 0, 10, 50), (0, 0, 20, 50)),
    "one customer": counts((3, 5, 10, 1)),
    "one customer who came once": counts((0, 0, 10, 1)),
    "a million alike": counts((2, 5, 10, 1e6)),
    "one huge number": counts((10_000, 99, 100, 1), (0, 0, 100, 50)),
    "as regular as a clock": counts(*((x, float(x), x + 0.5, 20) for x in range(1, 30))),
    "nobody drops out": counts(*((x, 49.9, 50, 5) for x in (30, 35, 40, 45, 50, 55, 60))),
    "all at once": counts((5, 1e-9, 1e6, 100), (0, 0, 1e6, 100)),
}


@pytest.mark.parametrize("model", orders.MODELS)
@pytest.mark.parametrize("odd", ODD)
def test_a_fit_to_odd_data_says_so_or_is_sound(model: str, odd: str) -> None:
    found = orders.fit(model, ODD[odd])
    assert found.converged == (found.message in ("converged", NEAR_A_LIMIT))
    if found.faults():
        assert not found.converged
        return
    assert found.message == "converged" or NEAR_A_LIMIT in found.warnings()
    # Sound: the data leave no parameter open, or a warning says which.
    assert found.warnings() or all(error < 1 for error in found.errors.values())
    values = orders.expected_orders(found, X, T_X, T, 52)
    assert (values >= 0).all() and np.isfinite(values).all()


@pytest.mark.parametrize("model", orders.MODELS)
@pytest.mark.parametrize("odd", ["nobody", "no weight", "no time", "nobody came again", "one customer who came once"])
def test_nothing_to_learn_from_is_a_fault(model: str, odd: str) -> None:
    found = orders.fit(model, ODD[odd])
    assert len(found.faults()) == 1 and not found.converged


@pytest.mark.parametrize("model", orders.MODELS)
@pytest.mark.parametrize("odd", ["one customer", "a million alike", "nobody drops out"])
def test_data_that_do_not_tell_customers_apart_are_a_fault_or_a_warning(model: str, odd: str) -> None:
    found = orders.fit(model, ODD[odd])
    assert found.faults() or found.warnings()


@pytest.mark.parametrize(
    "rows",
    [((1, 2, 1, 1),), ((-1, 0, 1, 1),), ((0, 0, -1, 1),), ((0, 0, math.nan, 1),), ((0, 0, 1, math.inf),)],
)
def test_impossible_counts_are_refused(rows: tuple[tuple[float, float, float, float], ...]) -> None:
    with pytest.raises(ValueError, match=r"negative|after the end"):
        counts(*rows)


def test_arrays_of_unlike_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="shape"):
        Counts(np.zeros(2), np.zeros(2), np.zeros(1), np.zeros(2))
    with pytest.raises(ValueError, match="one length"):
        fit_spend([1, 2], [3], [1, 1])


@pytest.mark.parametrize(("n", "mean"), [([1], [0.0]), ([0], [5.0]), ([1], [math.nan]), ([2], [-1.0])])
def test_orders_without_value_are_refused(n: list[int], mean: list[float]) -> None:
    with pytest.raises(ValueError, match="not finite or too small"):
        fit_spend(n, mean, [1.0])


def test_a_level_is_a_probability() -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        orders.order_quantile(given("bg_nbd", r=1, alpha=1, a=1, b=1), 0, 0, 1, 1, 1.0)


def test_spend_of_odd_data_says_so_or_is_sound() -> None:
    for n, mean, weight in (
        ([], [], []),
        ([1], [5.0], [1]),
        ([1], [5.0], [1e6]),
        ([1, 2, 3], [7.0, 7.0, 7.0], [10, 10, 10]),
        ([1, 1, 1], [1e-3, 1.0, 1e9], [5, 5, 5]),
    ):
        found = fit_spend(n, mean, weight)
        assert found.faults() or found.warnings()


def test_a_mean_that_would_be_infinite_is_a_fault_and_infinite() -> None:
    heavy = SpendFit(2.0, 0.8, 10.0, 0.0, 5.0, True, "")
    assert len(heavy.faults()) == 1 and "infinite" in heavy.faults()[0]
    assert expected_spend(heavy, [0, 5], [0.0, 10.0]).tolist() == [math.inf, pytest.approx(2 * 60 / (10 + 0.8 - 1))]


def test_huge_numbers_of_orders_have_quantiles() -> None:
    fit = given("mbg_nbd", r=0.5, alpha=6.0, a=0.001, b=1.6)
    number = orders.order_quantile(fit, 10_000, 100, 100, 1000, [0.05, 0.95])
    assert 50_000 < number[0] < number[1] < 100_000
    spend = spend_quantile(fit, SpendFit(6.0, 4.0, 15.0, 0.0, 0.0, True, ""), 10_000, 100, 100, 1000, [0.05, 0.95])
    # In units of what all orders so far have cost: ten times as long, ten times as much.
    assert 5 < spend[0] < spend[1] < 11


@pytest.mark.parametrize(
    "fit",
    [
        given("mbg_nbd", r=2, alpha=1, a=0.03, b=1),
        given("bg_nbd", r=2, alpha=1, a=20, b=40),
        given("pareto_nbd", r=2, alpha=1, s=0.01, beta=1),
    ],
)
def test_customers_who_never_leave_are_a_warning(fit: Fit) -> None:
    assert len(fit.warnings()) == 1 and "no dropout" in fit.warnings()[0]
    assert given("mbg_nbd", r=2, alpha=1, a=0.5, b=1).warnings() == []


def test_parameters_that_a_model_lacks_are_refused() -> None:
    with pytest.raises(ValueError, match="r, alpha, s, beta"):
        given("pareto_nbd", r=1, alpha=1, a=1, b=1)
    with pytest.raises(ValueError, match="there are mbg_nbd"):
        orders.fit("crystal_ball", sample())
