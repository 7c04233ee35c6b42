"""Customer value of shops that are unlike the model: refused with the reason, or numbers that make sense."""

from collections.abc import Iterator, Mapping
from datetime import datetime, time, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from valtag_assets.engine.access import column_needs, report_needs
from valtag_assets.engine.duckdb import DuckDBEngine
from valtag_assets.engine.ltv.making import Making
from valtag_assets.engine.ltv.scoring import value_groups
from valtag_assets.engine.persons import PERSONS, clean_name
from valtag_assets.expression.resolved import Resolved
from valtag_assets.quality.ltv import gate_measures, gate_verdicts
from valtag_assets.warehouse.snapshot import TableRef
from valtag_tests import kit
from valtag_tests.graph.shop import AS_OF
from valtag_tests.graph.test_value import bought

LTV: Mapping[str, Any] = {
    "score": "ltv",
    "model": "ltv",
    "title": {"zh": "价值", "en": "Value"},
    "orders": "order_count",
    "spend": "total_spend",
    "holdout": "60d",
    "horizons": ["3660d", "60d", "1d"],
    "models": ["mbg_nbd"],
}
ORDERS = {
    "source": "orders",
    "title": {"zh": "订单", "en": "Orders"},
    "kind": "fact",
    "person": "member",
    "time": "paid_at",
    "key": ["number"],
    "read": {"path": "orders.csv"},
    "fields": [
        {"name": "number", "type": "integer"},
        {"name": "member", "type": "text"},
        {"name": "paid_at", "type": "timestamp"},
        {"name": "amount", "type": "float"},
        {"name": "grade", "type": "float"},
    ],
}
BOOSTED = {"models": ["mbg_nbd", "boosted"], "pin": "boosted", "features": ["grade"]}
ONE_TIER = {"code": "all", "title": {"zh": "全", "en": "All"}, "share": 0.999}


def catalog(folder: Path, **ltv: Any) -> Resolved:
    """A shop whose spend is for few eyes only, with a model of value and what rests on it."""
    spend = {"fact": "orders", "agg": "sum", "of": "amount"}
    tags = (
        kit.tag("order_count", "integer", {"fact": "orders", "agg": "count"}, empty=0),
        kit.tag("total_spend", "float", spend, unit="CNY", empty=0, access="sensitive"),
        kit.tag("grade", "float", {"fact": "orders", "agg": "avg", "of": "grade"}),
    )
    budget = {
        "allocation": "money",
        "title": {"zh": "预算", "en": "Budget"},
        "of": "ltv_tier",
        "tiers": [
            {"tier": tier, "share": share, "offer": {"zh": "券", "en": "Coupon"}}
            for tier, share in (("top", 1), ("high", 0), ("middle", 0), ("low", 0))
        ],
    }
    report = {
        "code": "by_tier",
        "title": {"zh": "分层", "en": "By tier"},
        "dimensions": [{"tag": "ltv_tier"}],
        "measures": [{"code": "members", "title": {"zh": "人", "en": "Persons"}, "agg": "persons"}],
    }
    files = {"tags/t.yaml": kit.category("t", *tags), "allocations/money.yaml": budget}
    files |= {"scores/ltv.yaml": {**LTV, **ltv}, "reports/r.yaml": {"reports": [report]}}
    return kit.make_catalog(folder / "catalog", {"sources/orders.yaml": ORDERS, **files})


def orders(amount: Any = None) -> pd.DataFrame:
    found = bought()
    days = pd.to_datetime(found["ordered_at"])
    worth = found["amount"] if amount is None else amount
    return pd.DataFrame({"member": found["customer_id"], "paid_at": days, "amount": worth, "grade": None})


def subscriptions() -> pd.DataFrame:
    """800 persons pay 59 every thirty days until they leave, a tenth of them each time."""
    draw, rows = np.random.default_rng(5), []
    for number in range(800):
        day = int(draw.integers(1, 600))
        while day > 0:
            rows.append((f"S{number:03d}", datetime.combine(AS_OF, time(12)) - timedelta(days=day), 59.0))
            day -= 30 if draw.random() > 0.1 else 9999
    return pd.DataFrame(rows, columns=["member", "paid_at", "amount"])


def made(folder: Path, rows: pd.DataFrame, **ltv: Any) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The table of a shop with these orders, and what was told of it."""
    resolved = catalog(folder, **ltv)
    records = [{"number": place, **row} for place, row in enumerate(rows.to_dict("records"))]
    inputs = {
        PERSONS: kit.write_persons(folder, sorted(set(rows["member"]))),
        clean_name("orders"): kit.write_clean(folder, resolved, "orders", records),
    }
    score, into = resolved.scores["ltv"], folder / "made.parquet"
    with kit.connected() as connection:
        told = Making(resolved, score, AS_OF, DuckDBEngine(connection), inputs, folder).write(into)  # type: ignore[arg-type]
    return pq.read_table(into).to_pandas(), told


def nonsense(table: pd.DataFrame) -> Iterator[str]:
    """What can't be true of any numbers of the model."""
    numbers = table.drop(columns=["person_id", "ltv_tier", "ltv_churn"]).astype(float)
    if table.isna().any().any() or not np.isfinite(numbers).all().all() or (numbers < 0).any().any():
        yield "a number is missing, not finite or below 0"
    if (numbers.filter(regex="alive|buy|risk") > 1).any().any():
        yield "a probability is above 1"
    for kind in ("orders", "spend"):
        if (numbers[f"ltv_{kind}_60d_low"] > numbers[f"ltv_{kind}_60d_high"]).any():
            yield f"the ends of {kind} are crossed"
        for end in ("", "_low", "_high"):
            ahead = [numbers[f"ltv_{kind}_{days}d{end}"] for days in (1, 60, 3660)]
            if any((sooner > later).any() for sooner, later in pairwise(ahead)):
                yield f"{kind}{end} fall with time"


@pytest.mark.parametrize(
    ("rows", "ltv"),
    [
        (orders(np.where(np.arange(len(bought())) % 2, 0.0, 80.0)), {}),
        (orders(bought()["amount"] * np.where(np.arange(len(bought())) % 3, 1, -1)), {"interval": 0.999}),
        (orders(), BOOSTED),
        (subscriptions(), {"unit": "30d", "models": ["mbg_nbd", "boosted"]}),
    ],
    ids=["every other order free", "a third below zero", "a feature without values", "subscriptions at one price"],
)
def test_numbers_of_odd_shops_make_sense(tmp_path: Path, rows: pd.DataFrame, ltv: dict[str, Any]) -> None:
    table, told = made(tmp_path, rows, **ltv)
    assert told["faults"] == told["shortfalls"] == []
    assert len(table) == rows["member"].nunique()
    assert list(nonsense(table)) == []
    if rows["amount"].nunique() == 1:
        assert (table["ltv_order_value"].astype(float) == rows["amount"][0]).all()


def test_money_beyond_its_type_is_a_reason_and_no_crash(tmp_path: Path) -> None:
    table, told = made(tmp_path, orders(bought()["amount"] * 1e20))
    assert table.empty
    assert "is total_spend in the right unit?" in told["faults"][0]


def test_without_money_the_reason_names_what_could_not_be_fitted(tmp_path: Path) -> None:
    _, told = made(tmp_path, orders(0.0))
    assert told["faults"][0] == "value of an order: not converged: no customers"


def test_who_is_worth_nothing_is_in_the_last_tier(tmp_path: Path) -> None:
    table, told = made(tmp_path, orders(bought()["amount"] / 1e7))
    assert (table["ltv_clv"] == 0).all() and set(table["ltv_tier"]) == {"low"}
    groups = value_groups(catalog(tmp_path / "again").scores["ltv"].spec, told["tiers"])
    assert [(group.code, group.persons) for group in groups] == [
        ("top", 0), ("high", 0), ("middle", 0), ("low", len(table))
    ]  # fmt: skip


def test_a_calibration_that_leaves_nobody_is_a_shortfall(tmp_path: Path) -> None:
    _, told = made(tmp_path, orders(), calibration="1d")
    assert told["shortfalls"][0]["found"] < 10
    assert "whose first order was at most 1 days old" in told["shortfalls"][0]["what"]


def test_of_rare_orders_less_must_be_explained(tmp_path: Path) -> None:
    resolved = catalog(tmp_path)
    for share, limit in ((0.5, 0.9), (0.3, 0.9), (0.05, 1 - 0.1 * (0.05 / 0.95) / (0.3 / 0.7))):
        constant = share * (1 - share)
        judged = {"deviance": 0.1, "gini": 0.9, "orders_bias": 0.0, "spend_bias": 0.0, "calibration": 0.0}
        judged |= {"brier": constant * (limit + 1e-6), "brier_constant": constant}
        naive = {"deviance": 1.0, "gini": 0.5}
        backtest = {"winner": "m", "held_out": {"m": judged, "rate": naive}, "holdout_orders": 900}
        told = {"shortfalls": [], "faults": [], "backtest": backtest, "gate": gate_measures(backtest)}
        failed = [v for v in gate_verdicts(resolved, resolved.scores["ltv"], told) if not v.passed]
        assert [(v.check, v.severity) for v in failed] == [("brier", "error")]
        assert failed[0].detail["expected"]["max_value"] == pytest.approx(limit)


def test_what_is_said_of_value_is_as_secret_as_the_tags_it_is_made_of(tmp_path: Path) -> None:
    resolved = catalog(tmp_path)
    needs = column_needs(resolved, TableRef("scores", "ltv"), ["ltv_clv", "ltv_tier"])
    assert {name: need.level for name, need in needs.items()} == {"ltv_clv": "sensitive", "ltv_tier": "sensitive"}
    assert column_needs(resolved, TableRef("allocations", "money"), ["tier"])["tier"].level == "sensitive"
    assert report_needs(resolved, resolved.reports["by_tier"])["ltv_tier"].level == "sensitive"
    assert resolved.allocations["money"].monetary == "total_spend"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"gate": {"orders_bias": {"warn": float("nan")}}}, "gate.orders_bias.warn: Input should be a finite number"),
        ({"gate": {"deviance": {"block": -1}}}, "gate: deviance: -1 is below 0"),
        ({**BOOSTED, "features": ["grade", "grade"]}, "features: 'grade' is named twice"),
        ({"tiers": [{**ONE_TIER, "lowest": 5}]}, "tiers[all]: unknown key 'lowest'; did you mean 'from'?"),
        ({"tiers": [ONE_TIER]}, "tiers: at least two"),
        ({"churn_levels": []}, "churn_levels: at least two"),
    ],
)
def test_mistakes_are_told_where_they_are(tmp_path: Path, given: dict[str, Any], said: str) -> None:
    assert any(f": {said}" in problem for problem in kit.problems(tmp_path, {"scores/ltv.yaml": {**LTV, **given}}))
