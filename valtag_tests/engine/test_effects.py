"""Effect sizes and p-values against scipy and numpy on the values themselves."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from valtag_assets.engine.effects import Sample, adjusted, of_categories, of_numbers, of_shares

NUMBERS = st.lists(st.integers(-1000, 1000), min_size=2, max_size=40).filter(lambda values: len(set(values)) > 1)
COUNTS = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), min_size=2, max_size=8)
SHARES = st.integers(1, 50).flatmap(lambda size: st.tuples(st.integers(0, size), st.just(size)))


def sample(values: Sequence[float]) -> Sample:
    return Sample(len(values), float(np.mean(values)), float(np.var(values, ddof=1)))


@given(NUMBERS, NUMBERS)
def test_numbers_have_the_g_the_welch_p_and_the_correlation_of_their_values(one: list[int], other: list[int]) -> None:
    found = of_numbers(sample(one), sample(other))
    n, m = len(one), len(other)
    pooled = math.sqrt((np.var(one, ddof=1) * (n - 1) + np.var(other, ddof=1) * (m - 1)) / (n + m - 2))
    d = (np.mean(one) - np.mean(other)) / pooled
    assert found.size == pytest.approx(d * (1 - 3 / (4 * (n + m) - 9)))
    assert found.p == pytest.approx(stats.ttest_ind(one, other, equal_var=False).pvalue)
    membership = [1.0] * n + [0.0] * m
    assert found.strength == pytest.approx(abs(np.corrcoef(membership, [*one, *other])[0, 1]), abs=1e-9)


def bergsma(table: np.ndarray) -> float:
    """Bias-corrected V as the paper writes it."""
    n, (r, c) = table.sum(), table.shape
    if n < 4:
        return 0.0
    phi = stats.chi2_contingency(table, correction=False).statistic / n
    corrected = max(0.0, phi - (r - 1) * (c - 1) / (n - 1))
    rows, columns = r - (r - 1) ** 2 / (n - 1), c - (c - 1) ** 2 / (n - 1)
    return float(min(1.0, math.sqrt(corrected / min(rows - 1, columns - 1))))


def test_many_values_that_differ_by_chance_alone_are_no_effect() -> None:
    random = np.random.default_rng(7)
    sides = random.multinomial(1000, [0.01] * 100, size=2)
    counts = [(int(one), int(other)) for one, other in sides.T]
    found = of_categories(counts)
    biased = stats.contingency.association(np.array(counts), method="cramer")
    assert biased > 0.2 and found.strength < 0.08
    assert of_categories([(50, 0), (0, 70)]).size == pytest.approx(1.0)


@given(COUNTS)
def test_categories_have_the_v_and_the_p_of_their_table(counts: list[tuple[int, int]]) -> None:
    table = np.array([pair for pair in counts if sum(pair)])
    assume(len(table) > 1 and table.sum(axis=0).min() > 0)
    expected = stats.contingency.expected_freq(table)
    rare = expected.min(axis=1) < 5
    if rare.sum() > 1:
        table = np.vstack([table[~rare], table[rare].sum(axis=0)])
    found = of_categories(counts)
    if len(table) == 1:
        assert (found.size, found.p) == (0.0, 1.0)
        return
    test = stats.chi2_contingency(table, correction=False)
    assert found.p == pytest.approx(test.pvalue, abs=1e-12)
    assert found.size == pytest.approx(bergsma(table), abs=1e-9)


@given(SHARES, SHARES)
def test_a_share_has_the_chi_square_of_its_four_cells(one: tuple[int, int], other: tuple[int, int]) -> None:
    (hits, size), (others, other_size) = one, other
    z, effect = of_shares(hits, size, others, other_size)
    if hits + others in (0, size + other_size):
        assert z is None and (effect.size, effect.p) == (0.0, 1.0)
        return
    table = [[hits, size - hits], [others, other_size - others]]
    test = stats.chi2_contingency(table, correction=False)
    assert z is not None and z * z == pytest.approx(test.statistic, abs=1e-9)
    assert effect.p == pytest.approx(test.pvalue, abs=1e-12)
    assert (z >= 0) == (hits / size >= others / other_size)


def test_what_can_not_be_compared_says_so() -> None:
    three, four = Sample(10, 3.0, 0.0), Sample(10, 4.0, 0.0)
    assert of_numbers(three, three).size == 0.0
    apart = of_numbers(three, four)
    assert (apart.size, apart.strength, apart.p) == (None, 1.0, None)
    assert of_numbers(Sample(1, 3.0, None), four).p is None
    assert of_categories([]).size is None
    assert of_categories([(5, 5)]).size == 0.0
    assert of_categories([(5, 0), (7, 0)]).note == "one group is empty"
    assert of_shares(0, 0, 1, 5)[1].size is None


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_many_p_values_are_corrected_and_missing_ones_left_out(ps: list[float]) -> None:
    ordered = sorted(ps)
    running = [p * len(ps) / rank for rank, p in enumerate(ordered, 1)]
    least = [min(1.0, *running[place:], 1.0) for place in range(len(ps))]
    found = adjusted([None, *ps])
    assert found[0] is None
    assert sorted(p for p in found if p is not None) == pytest.approx(least)
