"""Lifts: the planted effect is found as often as the interval says, and nothing is found where there is none."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from valtag_assets.models.information import above_chance, information_value
from valtag_assets.models.lift import Arm, Interval, cuped, detectable, less, newcombe, welch, wilson

RUNS = 200
SIZES = (4000, 1000)


def arm(draw: np.random.Generator, n: int, rate: float, before: np.ndarray, more: float) -> tuple[np.ndarray, Arm]:
    """``RUNS`` arms of ``n`` persons: who converts, and what each spends after, which follows ``before``."""
    hits = (draw.random((RUNS, n)) < rate).sum(axis=1)
    y = np.maximum(0.0, before + draw.gamma(0.5, 60.0, (RUNS, n)) + more)
    sums = {"y": y, "yy": y * y, "x": before, "xx": before * before, "xy": before * y}
    return hits, Arm(n, **{name: values.sum(axis=1) for name, values in sums.items()})


@pytest.fixture(scope="module")
def simulated() -> tuple[np.ndarray, Arm, np.ndarray, Arm]:
    """Treated convert by 3 points more and spend 5 more; spending goes on as it was before."""
    draw = np.random.default_rng(20260101)
    treated = arm(draw, SIZES[0], 0.08, draw.gamma(0.8, 120.0, (RUNS, SIZES[0])), 5.0)
    control = arm(draw, SIZES[1], 0.05, draw.gamma(0.8, 120.0, (RUNS, SIZES[1])), 0.0)
    return (*treated, *control)


def covers(interval: Interval, truth: float) -> float:
    return float(np.mean((interval.low <= truth) & (truth <= interval.high)))


def test_the_interval_covers_the_planted_lift(simulated: tuple[np.ndarray, Arm, np.ndarray, Arm]) -> None:
    hits, treated, other_hits, control = simulated
    assert covers(newcombe(hits, SIZES[0], other_hits, SIZES[1]), 0.03) >= 0.9
    assert covers(welch(treated, control), 5.0) >= 0.9
    adjusted = welch(*cuped(treated, control))
    assert covers(adjusted, 5.0) >= 0.9
    plain = welch(treated, control)
    assert np.mean(adjusted.high - adjusted.low) < 0.5 * np.mean(plain.high - plain.low), "the past explains most"


def test_a_placebo_has_no_lift_in_nineteen_of_twenty_runs() -> None:
    draw = np.random.default_rng(7)
    hits = [draw.binomial(n, 0.06, RUNS) for n in SIZES]
    found = newcombe(hits[0], SIZES[0], hits[1], SIZES[1])
    assert covers(found, 0.0) >= 0.9
    assert abs(float(np.mean(found.value))) < 0.002


def test_a_placebo_tag_has_no_information_and_a_real_one_has() -> None:
    draw = np.random.default_rng(11)
    persons = np.array([400, 300, 200, 80, 20])
    noise, signal, raw = [], [], []
    for seed in range(RUNS):
        flat = draw.binomial(persons, 0.1)
        steep = draw.binomial(persons, np.array([0.05, 0.1, 0.15, 0.2, 0.3]))
        noise.append(above_chance([(persons, flat)], 50, seed))
        signal.append(above_chance([(persons, steep)], 50, seed))
        raw.append(float(information_value(persons, flat)))
    assert abs(np.mean(noise)) < 0.005 < 0.02 < np.mean(raw)
    assert np.mean(signal) > 0.15


def test_what_sets_campaigns_apart_is_no_information_of_a_tag() -> None:
    # Holders are many where many convert anyway; within each campaign the tag says nothing.
    campaigns = [
        (np.array([900, 100]), np.array([45, 5])),
        (np.array([100, 900]), np.array([30, 270])),
    ]
    pooled = sum(np.array(part) for part, _ in campaigns), sum(np.array(part) for _, part in campaigns)
    assert float(information_value(*pooled)) > 0.3
    assert abs(above_chance(campaigns, 200, 7)) < 0.02


def test_no_outcome_or_one_level_is_no_information() -> None:
    nobody = (np.array([10, 10]), np.array([0, 0]))
    one = (np.array([20, 0]), np.array([5, 0]))
    assert math.isnan(above_chance([nobody, one], 10, 1))


@given(n=st.integers(1, 500), data=st.data())
def test_wilson_is_scipys(n: int, data: st.DataObject) -> None:
    hits = data.draw(st.integers(0, n))
    wanted = stats.binomtest(hits, n).proportion_ci(0.95, "wilson")
    assert np.allclose(wilson(hits, n), (wanted.low, wanted.high), atol=1e-9)


def test_newcombe_is_as_published() -> None:
    # Newcombe 1998, table II, method 10: (a) 56/70 − 48/80, (g) 10/10 − 0/10.
    found = newcombe(56, 70, 48, 80)
    assert np.allclose([found.value, found.low, found.high], [0.2, 0.0524, 0.3339], atol=1e-4)
    edge = newcombe(10, 10, 0, 10)
    assert np.allclose([edge.low, edge.high], [0.6075, 1.0], atol=1e-4)


@given(st.integers(0, 2**32 - 1))
def test_welch_is_scipys(seed: int) -> None:
    draw = np.random.default_rng(seed)
    one, other = draw.normal(3, 2, 12), draw.gamma(2, 3, 30)
    arms = [Arm(len(values), values.sum(), (values**2).sum()) for values in (one, other)]
    wanted = stats.ttest_ind(one, other, equal_var=False).confidence_interval(0.95)
    found = welch(*arms)
    assert np.allclose([found.low, found.high], [wanted.low, wanted.high])


def test_a_detectable_lift_is_detected_four_times_of_five() -> None:
    draw, n = np.random.default_rng(3), 5000
    least = float(detectable(0.1, n, n))
    found = newcombe(draw.binomial(n, 0.1 + least, 2000), n, draw.binomial(n, 0.1, 2000), n)
    assert 0.75 < float(np.mean(found.low > 0)) < 0.85


def test_empty_arms_tell_nothing() -> None:
    assert math.isnan(float(newcombe(0, 0, 1, 5).value))
    assert math.isnan(float(welch(Arm(1, 3.0, 9.0), Arm(5, 3.0, 9.0)).low))
    assert math.isnan(float(detectable(0.1, 0, 10)))


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_a_difference_turned_round_is_its_opposite(a: float, b: float, wide: float, wider: float) -> None:
    one, other = Interval(a, a - wide, a + wider), Interval(b, b - wider, b + wide)
    there, back = less(one, other), less(other, one)
    assert np.allclose([there.value, there.low, there.high], [-back.value, -back.high, -back.low])
