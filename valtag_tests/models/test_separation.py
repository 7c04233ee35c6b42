"""AUC against its definition, and its interval against DeLong's own formula."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from valtag_assets.models.separation import auc

PERSONS = st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=4, max_size=40)


def structural(one: list[int], other: list[int]) -> tuple[float, float]:
    """The area and its standard error by pairs (DeLong 1988, equations 2 to 5)."""
    pairs = np.array([[float(a > b) + 0.5 * (a == b) for b in other] for a in one])
    variance = pairs.mean(axis=1).var(ddof=1) / len(one) + pairs.mean(axis=0).var(ddof=1) / len(other)
    return float(pairs.mean()), float(np.sqrt(variance))


@given(PERSONS)
def test_the_area_is_the_share_of_pairs_in_order(persons: list[tuple[int, bool]]) -> None:
    numbers = np.array([value for value, _ in persons], dtype=np.float64)
    happened = np.array([hit for _, hit in persons])
    found = auc(numbers, happened)
    if min(happened.sum(), (~happened).sum()) < 2:
        assert found is None
        return
    assert found is not None
    value, error = structural([v for v, hit in persons if hit], [v for v, hit in persons if not hit])
    assert np.isclose(found.value, value)
    if 0 < value < 1:
        half = 1.959964 * error / (value * (1 - value))
        ends = np.log(np.array([found.low, found.high]) / (1 - np.array([found.low, found.high])))
        assert np.allclose(ends, np.log(value / (1 - value)) + np.array([-half, half]), atol=1e-5)
    else:
        assert found.low == found.high == found.value


def test_larger_numbers_the_other_way_round_give_the_rest_to_one() -> None:
    draw = np.random.default_rng(3)
    happened = draw.random(500) < 0.3
    numbers = draw.normal(size=500) + happened
    up, down = auc(numbers, happened), auc(-numbers, happened)
    assert up is not None and down is not None
    assert np.isclose(up.value + down.value, 1) and np.isclose(up.low + down.high, 1)
    assert up.low < 0.76 < up.high  # Φ(1/√2)
