"""The published fits and predictions of the CDNOW sample come out of the same data."""

import numpy as np
import pytest

from valtag_assets.models import measures
from valtag_assets.models.counts import Counts, collapsed
from valtag_assets.models.orders import (
    Fit,
    expected_orders,
    expected_purchases,
    fit,
    given,
    p_alive,
    p_order,
    pmf,
)
from valtag_assets.models.spend import SpendFit, expected_spend, fit_spend
from valtag_tests.models.cdnow import columns

WEEK = 7
ROWS = columns()
X, T_X, T = ROWS["x"], ROWS["t_x_days"] / WEEK, ROWS["T_days"] / WEEK


@pytest.fixture(scope="module")
def counts() -> Counts:
    return collapsed(X, T_X, T)


@pytest.fixture(scope="module")
def bg(counts: Counts) -> Fit:
    return fit("bg_nbd", counts)


@pytest.fixture(scope="module")
def mbg(counts: Counts) -> Fit:
    return fit("mbg_nbd", counts)


def spend_of_repeats() -> SpendFit:
    repeat = X > 0
    mean = ROWS["repeat_cents"][repeat] / 100 / X[repeat]
    return fit_spend(X[repeat], mean, np.ones(repeat.sum()))


def test_the_sample_is_the_published_one(counts: Counts) -> None:
    assert len(X) == 2357 and counts.customers == 2357
    assert (X > 0).sum() == 946 and X.sum() == 2457 and ROWS["holdout_x"].sum() == 1882


def test_bg_nbd(bg: Fit) -> None:
    # Fader, Hardie and Lee (2005), table 1, and the standard errors of Fader and Hardie's notes.
    assert bg.faults() == [] and bg.warnings() == []
    assert bg.parameters == pytest.approx({"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426}, abs=6e-4)
    assert bg.log_likelihood == pytest.approx(-9582.429, abs=1e-3)
    errors = {name: bg.errors[name] * value for name, value in bg.parameters.items()}
    assert errors == pytest.approx({"r": 0.0126, "alpha": 0.378, "a": 0.186, "b": 0.705}, rel=5e-3)


def test_mbg_nbd(mbg: Fit) -> None:
    # Batislam, Denizel and Filiztekin (2007).
    assert mbg.faults() == []
    assert mbg.parameters == pytest.approx({"r": 0.525, "alpha": 6.183, "a": 0.891, "b": 1.614}, abs=6e-4)
    assert mbg.log_likelihood == pytest.approx(-9582.13, abs=1e-2)


def test_pareto_nbd(counts: Counts) -> None:
    # Fader, Hardie and Lee (2005), table 1.
    found = fit("pareto_nbd", counts)
    assert found.faults() == []
    assert found.parameters == pytest.approx({"r": 0.553, "alpha": 10.578, "s": 0.606, "beta": 11.669}, abs=6e-4)
    assert found.log_likelihood == pytest.approx(-9594.976, abs=1e-3)


def test_the_orders_of_the_sample_are_as_irregular_as_chance(counts: Counts, mbg: Fit) -> None:
    found = fit("mbg_cnbd_k", counts)
    assert found.parameters == {**mbg.parameters, "k": 1.0}
    assert found.log_likelihood == mbg.log_likelihood


def test_worked_predictions_of_orders(bg: Fit) -> None:
    # Fader, Hardie and Lee, Implementing the BG/NBD model in Excel; Fader and Hardie (2005), Pareto/NBD note.
    assert expected_orders(bg, 2, 30.43, 38.86, 39) == pytest.approx(1.226, abs=1e-3)
    assert expected_purchases(bg, [1, 31.8571, 78]) == pytest.approx([0.0532, 1.0405, 1.858], abs=2e-3)
    pareto = given("pareto_nbd", r=0.5534, alpha=10.5776, s=0.6061, beta=11.6562)
    assert expected_orders(pareto, 26, 30.86, 31, 52) == pytest.approx(25.46, abs=5e-3)
    assert p_alive(pareto, 26, 30.86, 31) == pytest.approx(0.9979, abs=5e-5)


def test_gamma_gamma() -> None:
    # Fader and Hardie (2013), section 4.
    found = spend_of_repeats()
    assert found.faults() == [] and found.warnings() == []
    assert (found.p, found.q, found.gamma) == pytest.approx((6.25, 3.74, 15.44), abs=6e-3)
    assert found.log_likelihood == pytest.approx(-4055.918, abs=1e-3)
    mean = ROWS["repeat_cents"] / 100 / np.maximum(X, 1)
    published = [24.65, 18.91, 35.17, 35.17, 35.17, 71.46, 18.91, 35.17, 27.28, 35.17]
    assert expected_spend(found, X[:10], mean[:10]) == pytest.approx(published, abs=6e-3)


def test_the_holdout_is_predicted_as_well_as_in_the_papers(mbg: Fit) -> None:
    # 39 weeks ahead; the floors that a good implementation reaches.
    expected, actual = expected_orders(mbg, X, T_X, T, 39), ROWS["holdout_x"]
    assert measures.rmse(actual, expected) < 1.61
    assert measures.poisson_deviance(actual, expected) < 1.605
    assert measures.gini(actual, expected) > 0.66
    assert measures.brier(actual > 0, p_order(mbg, X, T_X, T, 39)) < 0.162


def test_orders_by_number_and_over_time_are_as_expected_in_calibration(mbg: Fit) -> None:
    times, weight = np.unique(T, return_counts=True)
    expected = sum(pmf(mbg, 7, t) * customers for t, customers in zip(times, weight, strict=True))
    actual = np.bincount(X.astype(int))[:7]
    assert expected == pytest.approx(actual, rel=0.15)
    assert weight @ expected_purchases(mbg, times) == pytest.approx(X.sum(), rel=0.02)
