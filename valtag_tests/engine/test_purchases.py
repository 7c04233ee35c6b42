"""Order days and spend as of several dates, from the rows of facts."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from valtag_assets.engine.duckdb import open_duckdb
from valtag_assets.engine.purchases import (
    DAYS,
    PURCHASES,
    days_expression,
    newcomers_expression,
    purchases_expression,
    rows_alike,
    sample_expression,
)
from valtag_assets.expression.resolved import Resolved, ResolvedLtv
from valtag_tests import kit
from valtag_tests.chance import MORE

AS_OF = date(2024, 6, 30)
AGES = (0, 30, 60)
TAGS = kit.category(
    "t",
    kit.tag(
        "order_count", "integer", {"fact": "orders", "agg": "count", "where": "channel = 'app'"}, windows=["30d"]
    ),
    kit.tag(
        "spend", "decimal(18,2)", {"fact": "orders", "agg": "sum", "of": "amount", "where": "not gift"}, unit="CNY"
    ),
    kit.tag("back", "decimal(18,2)", {"fact": "orders", "agg": "sum", "of": "-amount", "where": "gift"}, unit="CNY"),
)
LTV = {
    "score": "ltv",
    "model": "ltv",
    "title": {"zh": "价值", "en": "Value"},
    "orders": "order_count_30d",
    "spend": "spend",
    "refunds": "back",
    "holdout": "30d",
}


@pytest.fixture(scope="module")
def resolved(tmp_path_factory: pytest.TempPathFactory) -> Resolved:
    folder = tmp_path_factory.mktemp("catalog")
    return kit.make_catalog(folder, {"tags/t.yaml": TAGS, "scores/ltv.yaml": LTV})


def ltv_of(resolved: Resolved) -> ResolvedLtv:
    score = resolved.scores["ltv"]
    assert isinstance(score, ResolvedLtv)
    return score


def purchases(resolved: Resolved, folder: Path, rows: Sequence[dict[str, Any]]) -> pd.DataFrame:
    inputs = {
        "identity/persons": kit.write_persons(folder, ("a", "b", "c")),
        "clean/orders": kit.write_clean(folder, resolved, "orders", rows, parts=2),
    }
    days = folder / "days.parquet"
    kit.run(days_expression(resolved, ltv_of(resolved), AS_OF), inputs, days)
    inputs[DAYS] = [days]
    return (
        kit.run(purchases_expression(AGES), inputs, folder / "purchases.parquet").to_pandas().set_index("person_id")
    )


def row(person: str | None, ago: int, amount: str, channel: str | None = "app", gift: bool = False) -> dict[str, Any]:
    moment = datetime.combine(AS_OF - timedelta(days=ago), datetime.min.time()) + timedelta(hours=23)
    return {
        "number": 1,
        "member": person,
        "paid_at": moment,
        "amount": Decimal(amount),
        "channel": channel,
        "gift": gift,
    }


def test_orders_of_one_day_are_one_purchase_and_refunds_only_change_the_spend(
    resolved: Resolved, tmp_path: Path
) -> None:
    rows = [
        row("a", 50, "10"),
        row("a", 50, "5"),
        row("a", 20, "7"),
        row("a", 3, "-4", channel="web", gift=True),  # something comes back: no purchase
        row("b", 10, "9", channel="store"),  # paid, but not what the tag counts as an order
        row("c", -1, "100"),  # not yet
        row("nobody", 5, "1"),
        row(None, 5, "1"),
    ]

    found = purchases(resolved, tmp_path, rows)

    assert list(found.index) == ["a"]
    a = found.loc["a"]
    assert (a["first"], a["last_0"], a["days_0"], a["spend_0"]) == (50, 20, 2, 10 + 5 + 7 - 4)
    assert (a["last_1"], a["days_1"], a["spend_1"]) == (50, 1, 15)
    assert (pd.isna(a["last_2"]), a["days_2"], a["spend_2"]) == (True, 0, 0)


ROWS = st.lists(
    st.builds(
        row,
        st.sampled_from(["a", "b", "c", "nobody", None]),
        st.integers(-3, 90),
        st.integers(-500, 5000).map(lambda cents: str(Decimal(cents) / 100)),
        st.sampled_from(["app", "web", None]),
        st.booleans(),
    ),
    max_size=25,
)


@settings(max_examples=25 * MORE)
@given(rows=ROWS)
def test_purchases_equal_a_plain_recount_and_never_look_ahead(resolved: Resolved, rows: list[dict[str, Any]]) -> None:
    with TemporaryDirectory() as folder:
        found = purchases(resolved, Path(folder), rows)
    for person in ("a", "b", "c"):
        own = [(AS_OF - item["paid_at"].date(), item) for item in rows if item["member"] == person]
        own = [(ago.days, item) for ago, item in own if ago.days >= 0]
        days = {ago for ago, item in own if item["channel"] == "app"}
        assert (person in found.index) == bool(days)
        for number, age in enumerate(AGES if days else ()):
            got = found.loc[person]
            seen = {day for day in days if day >= age}
            assert got["first"] == max(days)
            assert got[f"days_{number}"] == len(seen)
            assert pd.isna(got[f"last_{number}"]) if not seen else got[f"last_{number}"] == min(seen)
            paid = sum(item["amount"] for ago, item in own if ago >= age)
            assert got[f"spend_{number}"] == pytest.approx(float(paid))


def test_histories_alike_are_counted_and_a_sample_is_the_same_whatever_the_order(
    resolved: Resolved, tmp_path: Path
) -> None:
    rows = [row(p, ago, "1") for p in ("a", "b") for ago in (9, 40)] + [row("c", 5, "1")]
    purchases(resolved, tmp_path, rows)
    files = {PURCHASES: [tmp_path / "purchases.parquet"]}
    with open_duckdb() as engine:
        alike = engine.fetch(rows_alike(len(AGES)), files).to_pylist()
        drawn = [
            engine.fetch(sample_expression(len(AGES), 7, share), files)["person_id"].to_pylist() for share in (0.5, 1)
        ]
    assert alike == [{"x": 0, "t_x": 0, "T": 5, "customers": 1}, {"x": 1, "t_x": 31, "T": 40, "customers": 2}]
    assert drawn[1] == ["a", "b", "c"]
    assert set(drawn[0]) < {"a", "b", "c"}


def test_days_tell_newcomers_from_those_who_came_again(resolved: Resolved, tmp_path: Path) -> None:
    rows = [row("a", 50, "1"), row("a", 50, "1"), row("a", 20, "1"), row("b", 50, "1"), row("c", 5, "1")]
    purchases(resolved, tmp_path, rows)
    files = {DAYS: [tmp_path / "days.parquet"], PURCHASES: [tmp_path / "purchases.parquet"]}
    found = kit.run(newcomers_expression(30, len(AGES)), files, tmp_path / "came.parquet")
    # c came within the held-out period, of which this knows nothing.
    assert found.to_pylist() == [{"_age": 20, "newcomers": 0, "again": 1}, {"_age": 50, "newcomers": 2, "again": 0}]


def test_a_catalog_is_told_what_its_model_lacks(tmp_path: Path) -> None:
    tags = kit.category(
        "t",
        kit.tag("order_count", "integer", {"fact": "orders", "agg": "count"}),
        kit.tag("spend", "decimal(18,2)", {"fact": "orders", "agg": "sum", "of": "amount"}),
        kit.tag("euros", "decimal(18,2)", {"fact": "orders", "agg": "sum", "of": "-amount"}, unit="EUR"),
        kit.tag("city", "text", {"master": "members", "of": "city"}),
        kit.tag("yuan", "decimal(18,2)", {"fact": "orders", "agg": "sum", "of": "amount"}, unit="CNY"),
    )

    def said(**changes: Any) -> str:
        ltv = {**LTV, "orders": "order_count", "spend": "yuan", "refunds": None, **changes}
        return "\n".join(kit.problems(tmp_path, {"tags/t.yaml": tags, "scores/ltv.yaml": ltv}))

    assert said() == ""
    assert "scores/ltv.yaml" in said(orders="order_cont")
    assert "did you mean 'order_count'" in said(orders="order_cont")
    assert "with agg count or count_distinct; it is agg sum" in said(orders="yuan")
    assert "no unit, so nobody knows in which currency" in said(spend="spend")
    assert "is in EUR and 'yuan' in CNY" in said(refunds="euros")
    assert "only numbers over a fact" in said(features=["city"])
    assert "pin 'bg_nbd' is none of models" in said(pin="bg_nbd")
    assert "'monthly' is no number of days" in said(holdout="monthly")
    assert "'rmf' is none of rfm, ltv" in said(model="rmf")
    assert "block 0.1 lies on the good side of warn 0.2" in said(gate={"calibration": {"warn": 0.2, "block": 0.1}})
