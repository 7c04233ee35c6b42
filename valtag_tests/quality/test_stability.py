import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from valtag_assets.quality.stability import stability

counts = st.lists(st.integers(0, 10_000), min_size=1, max_size=12)


def by_numpy(before: list[int], now: list[int]) -> float:
    e = np.clip(np.array(before) / np.sum(before), 1e-4, None)
    a = np.clip(np.array(now) / np.sum(now), 1e-4, None)
    return float(np.sum((a - e) * np.log(a / e)))


@given(st.integers(1, 12).flatmap(lambda n: st.tuples(*[st.lists(st.integers(0, 9999), min_size=n, max_size=n)] * 2)))
def test_the_index_is_that_of_numpy(pair):
    before, now = pair
    if sum(before) and sum(now):
        assert stability(before, now) == pytest.approx(by_numpy(before, now), abs=1e-12)
    else:
        assert stability(before, now) is None


@given(counts.filter(sum), st.integers(1, 1000))
def test_an_unchanged_distribution_of_any_size_scores_zero(before, times):
    assert stability(before, [count * times for count in before]) == pytest.approx(0, abs=1e-12)


@given(st.integers(2, 8).flatmap(lambda n: st.tuples(*[st.lists(st.integers(1, 999), min_size=n, max_size=n)] * 2)))
def test_the_index_is_the_same_both_ways_and_never_negative(pair):
    before, now = pair
    assert stability(before, now) == pytest.approx(stability(now, before), abs=1e-12)
    assert stability(before, now) >= 0


def test_an_emptied_bin_gives_a_finite_index():
    assert stability([50, 50], [100, 0]) == pytest.approx(by_numpy([50, 50], [100, 0]))


def test_different_bins_are_refused():
    with pytest.raises(ValueError, match="the bins must be the same"):
        stability([1, 2], [1, 2, 3])
