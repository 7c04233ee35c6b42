"""Measures against what they are by definition, and their indifference to the order of rows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from valtag_assets.models import measures
from valtag_tests.chance import MORE

ROWS = st.lists(st.tuples(st.integers(0, 6), st.sampled_from([0.0, 0.1, 0.5, 1, 2.5, 7])), min_size=1, max_size=30)
ALL = [measures.rmse, measures.mae, measures.bias, measures.poisson_deviance, measures.brier, measures.gini]
ALL += [measures.calibration_error]


@pytest.mark.parametrize("measure", ALL)
@settings(max_examples=40 * MORE)
@given(rows=ROWS, seed=st.integers(0, 99))
def test_neither_the_order_of_rows_nor_their_collapsing_matters(measure, rows, seed) -> None:
    actual, predicted = np.array(rows, dtype=float).T
    shuffled = np.random.default_rng(seed).permutation(len(rows))
    whole = measure(actual, predicted)
    assert measure(actual[shuffled], predicted[shuffled]) == pytest.approx(whole, rel=1e-9, abs=1e-12)
    distinct, weight = np.unique(np.array(rows, dtype=float), axis=0, return_counts=True)
    assert measure(*distinct.T, weight) == pytest.approx(whole, rel=1e-9, abs=1e-12)


def test_worked_values() -> None:
    actual, predicted = np.array([0.0, 0, 1, 3]), np.array([0.0, 0.5, 1, 2])
    assert measures.rmse(actual, predicted) == pytest.approx(np.sqrt(1.25 / 4))
    assert measures.mae(actual, predicted) == pytest.approx(1.5 / 4)
    assert measures.bias(actual, predicted) == pytest.approx(3.5 / 4 - 1)
    deviance = 2 * (0.001 + 0.5 + 0 + 3 * np.log(3 / 2) - 1) / 4
    assert measures.poisson_deviance(actual, predicted) == pytest.approx(deviance)
    assert measures.brier([0, 1], [0.2, 0.6]) == pytest.approx((0.04 + 0.16) / 2)
    assert measures.gini(actual, predicted) == pytest.approx(1)
    assert measures.gini(actual, -predicted) == pytest.approx(-1)
    assert measures.gini(actual, np.ones(4)) == 0


def test_the_gini_of_distinct_predictions_is_that_of_all_pairs() -> None:
    draw = np.random.default_rng(1)
    actual, predicted = draw.poisson(1.5, 60).astype(float), draw.random(60)
    pairs = np.sign(predicted[:, None] - predicted) * (actual[:, None] - actual)
    perfect = np.abs(actual[:, None] - actual)
    assert measures.gini(actual, predicted) == pytest.approx(pairs.sum() / perfect.sum())


def test_the_lorenz_curve_runs_from_nothing_to_everything() -> None:
    customers, share = measures.lorenz([5, 0, 1, 1], [9.0, 1, 3, 3], [1, 2, 1, 1])
    assert customers.tolist() == [0, 0.2, pytest.approx(0.6), 1] and share.tolist() == [0, 5 / 7, 1, 1]
    assert measures.lorenz([0, 0], [1.0, 2])[1].tolist() == [0, 0.5, 1]


def test_deciles_are_tenths_of_the_customers() -> None:
    predicted = np.arange(1.0, 101)
    table = measures.deciles(predicted * 2, predicted)
    assert table.number.tolist() == list(range(1, 11)) and table.customers.tolist() == [10] * 10
    assert table.predicted.tolist() == [5.5 + 10 * number for number in range(10)]
    assert table.actual == pytest.approx(table.predicted * 2)
    assert measures.calibration_error(predicted * 2, predicted) == pytest.approx(0.5)


def test_customers_with_equal_predictions_share_a_tenth() -> None:
    table = measures.deciles(np.arange(10.0), [1.0] * 6 + [2, 3, 4, 5])
    assert table.customers.tolist() == [6, 1, 1, 1, 1] and table.number.tolist() == [4, 7, 8, 9, 10]


def test_nothing_happened_is_not_divided_by() -> None:
    assert measures.bias([0, 0], [0.5, 0]) == measures.calibration_error([0, 0], [0.5, 0]) == float("inf")
    assert measures.bias([0], [0]) == measures.calibration_error([0], [0]) == measures.gini([0], [1]) == 0
    assert np.isnan(measures.rmse([], []))


def test_numbers_that_are_none_are_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        measures.rmse([1.0], [float("nan")])
    with pytest.raises(ValueError, match="one length"):
        measures.mae([1.0], [1.0, 2.0])
