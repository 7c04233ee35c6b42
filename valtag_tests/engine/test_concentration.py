"""Concentration against numpy, person by person."""

from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from valtag_assets.engine.concentration import POINTS, Concentration, concentration_expression, read_concentration
from valtag_assets.engine.duckdb import DuckDBEngine
from valtag_assets.engine.session import unbound
from valtag_assets.spec.types import TEXT, decimal
from valtag_tests import kit
from valtag_tests.chance import MORE

MONEY = decimal(18, 2)


def concentration(folder: Path, amounts: list[Any]) -> Concentration:
    rows = [{"person_id": f"p{n}", "spend": amount} for n, amount in enumerate(amounts)]
    file = kit.write_rows(folder / "t.parquet", {"person_id": TEXT, "spend": MONEY}, rows)
    table = unbound("t", {"person_id": "string", "spend": "decimal(18,2)"})
    with kit.connected() as connection:
        found = DuckDBEngine(connection).fetch(concentration_expression(table, "spend", MONEY), {"t": [file]})
    return read_concentration(found.to_pylist()[0])


@given(cents=st.lists(st.integers(-500, 500) | st.integers(0, 10**9), min_size=1, max_size=60), seed=st.randoms())
@settings(max_examples=15 * MORE)
def test_shares_and_gini_are_those_of_single_persons(cents: list[int], seed: Any) -> None:
    with TemporaryDirectory() as name:
        amounts = [Decimal(cent) / 100 for cent in cents]
        found = concentration(Path(name), amounts)
        assert concentration(Path(name), seed.sample(amounts, len(amounts))) == found
    x = np.sort(np.maximum(np.array(cents) / 100, 0))[::-1]
    assert (found.persons, found.below_zero) == (len(x), sum(cent < 0 for cent in cents))
    assert found.revenue == pytest.approx(x.sum())
    if not x.sum():
        assert (found.gini, found.top) == (None, {})
        return
    lorenz = np.concatenate([[0], np.cumsum(x)]) / x.sum()
    places = np.arange(len(x) + 1) / len(x)
    assert found.top == pytest.approx({p: np.interp(p / 100, places, lorenz) for p in POINTS})
    differences = np.abs(x[:, None] - x[None, :]).mean()
    assert found.gini == pytest.approx(differences / (2 * x.mean()), abs=1e-9)


def test_one_who_spends_all_and_all_who_spend_alike(tmp_path: Path) -> None:
    one = concentration(tmp_path, [Decimal(100)] + [Decimal(0)] * 99)
    assert one.gini == pytest.approx(0.99) and one.top[1] == 1
    alike = concentration(tmp_path, [Decimal("0.1")] * 7)
    assert alike.gini == 0 and alike.top[20] == pytest.approx(0.2)


def test_nobody_and_persons_without_an_amount_have_no_concentration(tmp_path: Path) -> None:
    for amounts in ([], [None, None]):
        assert concentration(tmp_path, amounts) == Concentration(0, 0, 0.0, None, {})
