"""Distinct rows, with their numbers, whatever the values."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from valtag_assets.models.counts import collapsed
from valtag_assets.models.distinct import distinct
from valtag_tests.chance import MORE

VALUES = st.sampled_from([0.0, 1, 2, 700, 1e9, 0.5, 3.25, 1e-9])


@settings(max_examples=60 * MORE)
@given(st.lists(st.tuples(VALUES, VALUES, VALUES), max_size=40))
def test_rows_come_back_from_their_numbers(rows: list[tuple[float, float, float]]) -> None:
    columns = [np.array(column, dtype=float) for column in zip(*rows, strict=True)] or [np.empty(0)] * 3
    found, number, first = distinct(*columns)
    assert len(found[0]) == len(set(rows)) == len(first)
    for column, lone in zip(columns, found, strict=True):
        assert (lone[number] == column).all() and (column[first] == lone).all()


def test_columns_of_many_values_do_not_overflow() -> None:
    draw = np.random.default_rng(1)
    columns = [draw.permutation(20_000) + 0.5 for _ in range(6)]
    found, number, _ = distinct(*(np.append(column, column[:5]) for column in columns))
    assert len(found[0]) == 20_000 and (number[-5:] == number[:5]).all()


def test_customers_alike_become_one_row() -> None:
    counts = collapsed([1, 0, 1, 1], [2.5, 0, 2.5, 3], [9, 9, 9, 9])
    assert counts.weight.sum() == 4 and len(counts.x) == 3
    rows = zip(counts.x, counts.t_x, counts.T, counts.weight, strict=True)
    assert sorted(rows) == [(0, 0, 9, 1), (1, 2.5, 9, 2), (1, 3, 9, 1)]


def test_nobody_is_no_row() -> None:
    assert collapsed([], [], []).customers == pytest.approx(0)
