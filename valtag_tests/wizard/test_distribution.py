"""Bars that show how values spread and never single out a few persons; checks that follow from data."""

from datetime import date
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from valtag_assets.spec.types import BOOLEAN, DATE, FLOAT, INTEGER, TEXT, list_of
from valtag_assets.wizard import judging
from valtag_assets.wizard.distribution import bars, round_step
from valtag_assets.wizard.judging import checked
from valtag_assets.wizard.making import Proposal


def column(values: list[Any]) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(values)])


def shown(values: list[Any], kind: Any) -> list[tuple[str, float]]:
    return [(bar.label, round(bar.share, 3)) for bar in bars(column(values), kind)]


def test_values_are_shown_by_how_many_have_them_and_rare_ones_together() -> None:
    texts = ["上海"] * 60 + ["北京"] * 30 + ["罕见"] * 4 + ["独有"] * 1 + [None] * 5
    assert shown(texts, TEXT) == [("上海", 0.632), ("北京", 0.316), ("others (2)", 0.053)]
    assert shown([True] * 30 + [False] * 10, BOOLEAN) == [("true", 0.75), ("false", 0.25)]
    assert shown([3] * 10 + [1] * 10 + [2] * 20, INTEGER) == [("1", 0.25), ("2", 0.5), ("3", 0.25)]
    assert shown([["a", "b"]] * 5 + [["a"]] * 5, list_of("text")) == [("a", 0.667), ("b", 0.333)]
    assert shown([date(2024, 5, 1)] * 6 + [date(2023, 1, 1)] * 6, DATE) == [("2023", 0.5), ("2024", 0.5)]
    assert bars(pa.chunked_array([pa.array([None], pa.string())]), TEXT) == []


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60))
@example([8.0, -5e-324])
@example([0.0, 3.5e-323])
def test_steps_of_numbers_are_round_and_hold_everybody(numbers: list[float]) -> None:
    found = bars(column(numbers), FLOAT)
    assert 1 <= len(found) <= 9 and sum(bar.share for bar in found) == pytest.approx(1)
    persons = [round(bar.share * len(numbers)) for bar in found]
    assert len(found) == 1 or all(n == 0 or n >= 5 for n in persons)


def test_a_step_of_few_persons_is_part_of_its_neighbour() -> None:
    assert shown([0.5] * 90 + [10.0, 20.0, 30.0, 70.0], FLOAT) == [("0 –", 1.0)]
    assert shown([0.5] * 9 + [1.5] * 2 + [2.5] * 9 + [7.5], FLOAT)[-1][0] != "7 –"


def test_steps_are_one_two_or_five_times_a_power_of_ten() -> None:
    assert [round_step(least) for least in (0, 0.03, 1, 1.1, 3, 700, 5000)] == [1, 0.05, 1, 2, 5, 1000, 5000]


def proposal(**tag: Any) -> Proposal:
    return Proposal("x", {"code": "a", "type": "integer", "value": {"fact": "f", "agg": "max"}, **tag}, "why")


def test_half_of_the_coverage_seen_is_too_little_and_where_there_is_none_to_lose_nothing_is_checked() -> None:
    assert checked(proposal(), {"a": column([1, 2, 3, None])}).tag["checks"] == [
        {"coverage": 0.35, "severity": "warn"}
    ]
    assert "checks" not in checked(proposal(), {"a": column([1, None, None, None])}).tag
    assert "checks" not in checked(proposal(empty=0), {"a": column([1, 2])}).tag
    money = proposal(empty=0, type="decimal(18,2)", value={"fact": "f", "agg": "sum", "of": "x"})
    assert checked(money, {"a": column([Decimal("1.00")])}).tag["checks"] == [
        {"mean_change": 0.5, "severity": "warn"}
    ]
    assert "checks" not in checked(money.but(access="pii"), {"a": column([Decimal("1.00")])}).tag


def test_a_domain_that_data_break_already_is_not_declared() -> None:
    found = checked(proposal(domain={"min": 0, "max": 122}), {"a": column([5, 130, 140, None])})
    assert found.tag["domain"] == {"min": 0}
    assert found.reason == "why; no max in its domain: 2 values lie beyond 122"
    assert "domain" not in checked(proposal(domain={"min": 0}), {"a": column([-1])}).tag


def test_what_fewer_have_than_the_catalog_wants_is_left_out_and_how_many_have_it_is_said() -> None:
    values = pa.chunked_array([pa.array([1, 2, 3] + [None] * 97)])
    said = "3.0% of the persons have a value, fewer than 5% (insight.least_coverage)"
    assert judging._empty(values, 0.05) == said
    assert judging._empty(values, 0.03) is None
