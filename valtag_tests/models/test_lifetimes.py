"""The same numbers as lifetimes 0.11.3, from the same data and at the same parameters; see of_lifetimes.py."""

import json
from pathlib import Path

import numpy as np
import pytest

from valtag_assets.models.counts import collapsed
from valtag_assets.models.orders import expected_orders, fit, given, p_alive
from valtag_assets.models.spend import SpendFit, expected_spend
from valtag_tests.models.of_lifetimes import HISTORIES, HORIZON, PARAMETERS, SPEND, SPENT
from valtag_tests.models.test_published import T_X, T, X, spend_of_repeats

THEIRS = json.loads(Path(__file__).with_name("of_lifetimes.json").read_text())


@pytest.mark.parametrize("model", PARAMETERS)
def test_fits_are_equal(model: str) -> None:
    ours = fit(model, collapsed(X, T_X, T)).parameters
    # Its simplex search stops earlier.
    assert ours == pytest.approx(THEIRS[model]["fitted"], rel=1e-4)


@pytest.mark.parametrize("model", PARAMETERS)
def test_predictions_at_equal_parameters_are_equal(model: str) -> None:
    x, t_x, T = np.array(HISTORIES, dtype=float).T
    at = given(model, **PARAMETERS[model])
    assert p_alive(at, x, t_x, T) == pytest.approx(THEIRS[model]["alive"], rel=1e-6)
    assert expected_orders(at, x, t_x, T, HORIZON) == pytest.approx(THEIRS[model]["expected"], rel=1e-6)


def test_spend_is_equal() -> None:
    ours = spend_of_repeats()
    theirs = THEIRS["spend"]
    assert [ours.p, ours.q, ours.gamma] == pytest.approx([theirs["fitted"][name] for name in SPEND], rel=1e-5)
    n, mean = np.array(SPENT).T
    at = SpendFit(**SPEND, log_likelihood=0.0, customers=0.0, converged=True, message="given")
    assert expected_spend(at, n, mean) == pytest.approx(theirs["expected"], rel=1e-9)
