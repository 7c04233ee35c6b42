"""Customer value in the graph: published when the held-out period bears it out, refused with the reason when not."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import dagster as dg
import numpy as np
import pandas as pd
import pytest

from valtag_assets.console.explain import Asked, explain
from valtag_assets.graph.health import table_health
from valtag_assets.graph.jobs import DERIVE
from valtag_tests.graph.shop import AS_OF, FILES, Shop, results_of

LTV = """
score: ltv
model: ltv
title: {zh: 客户终身价值, en: Customer lifetime value}
orders: order_count
spend: total_spend
holdout: 60d
horizons: [30d, 60d]
models: [mbg_nbd, bg_nbd]
"""
BOOSTED = LTV.replace("[mbg_nbd, bg_nbd]", "[mbg_nbd, boosted]\npin: boosted\nfeatures: [order_count_3d]")
SEGMENTS = """
segments:
  - code: valuable
    title: {zh: 高价值, en: Valuable}
    rule: ltv_tier in ('top', 'high') and ltv_churn != 'high'
  - code: spenders
    title: {zh: 高消费, en: Spenders}
    rule: total_spend > 100
"""
TRANSACTION = FILES["tags/transaction.yaml"].replace(
    "type: decimal(18,2)\n    value", "type: decimal(18,2)\n    unit: CNY\n    value"
)
CATALOG = {
    **FILES,
    "project.yaml": FILES["project.yaml"].replace("2024-01-01", "2023-01-01"),
    "tags/transaction.yaml": TRANSACTION.replace("    checks: [{mean_change: 0.5}]\n", ""),
    "segments/audiences.yaml": SEGMENTS,
    "scores/ltv.yaml": LTV,
}
CUSTOMERS, DAYS = 700, 360


def bought(seed: int = 3) -> pd.DataFrame:
    """Orders of customers who come over a year, order at rates of their own, and leave after an order by chance."""
    draw = np.random.default_rng(seed)
    rows = []
    for number in range(CUSTOMERS):
        day, worth = float(draw.integers(20, DAYS)), draw.gamma(4, 20)
        every, leaving = 1 / draw.gamma(1.2, 1 / 40), draw.beta(0.7, 4)
        while day > 0:
            rows.append((f"C{number:03d}", AS_OF - timedelta(days=int(day)), max(0.01, draw.gamma(5, worth / 5))))
            if draw.random() < leaving:
                break
            day -= draw.exponential(every)
    frame = pd.DataFrame(rows, columns=["customer_id", "day", "amount"])
    frame["order_id"] = [f"O{place:06d}" for place in frame.index]
    frame["ordered_at"] = frame["day"].astype(str) + " 12:00:00"
    frame["amount"] = frame["amount"].round(2)
    return frame[["order_id", "customer_id", "ordered_at", "amount"]]


def customers() -> pd.DataFrame:
    codes = [f"C{number:03d}" for number in range(CUSTOMERS)]
    return pd.DataFrame({"顾客号": codes, "城市": "上海", "性别": "女"})


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("value")
    with dg.DagsterInstance.ephemeral() as instance:
        made = Shop(folder, instance, CATALOG)
        made.write(customers(), bought())
        outcomes = made.run()
        assert set(outcomes.values()) == {"published"}, {
            made.reason(t) for t, o in outcomes.items() if o != "published"
        }
    return folder


@pytest.fixture
def shop(once: Path, tmp_path: Path) -> Iterator[Shop]:
    shutil.copytree(once, tmp_path, dirs_exist_ok=True)
    with dg.DagsterInstance.ephemeral() as instance:
        yield Shop(tmp_path, instance, CATALOG)


def test_values_are_published_with_the_backtest_that_bears_them_out(shop: Shop) -> None:
    rows, snapshot = shop.rows("scores/ltv"), shop.served("scores/ltv")
    assert snapshot is not None
    assert len(rows) == bought()["customer_id"].nunique()
    assert rows["ltv_buy_60d"].between(0, 1).all()
    assert (rows["ltv_orders_60d"] >= rows["ltv_orders_30d"]).all()
    assert (rows["ltv_spend_60d_low"] <= rows["ltv_spend_60d_high"]).all()
    # The most valuable twentieth, and whoever is equal to the last of them.
    top = rows[rows["ltv_tier"] == "top"]
    assert len(rows) * 0.05 <= len(top) <= len(rows) * 0.05 + 1
    assert top["ltv_clv"].min() > rows[rows["ltv_tier"] != "top"]["ltv_clv"].max()
    assert (rows["ltv_churn"] == "high").eq(rows["ltv_churn_risk"] >= 0.8).all()

    backtest = snapshot.metrics["backtest"]
    judged = backtest["held_out"]
    assert judged[backtest["winner"]]["deviance"] < min(judged[name]["deviance"] for name in ("rate", "last_period"))
    assert backtest["why"]
    assert judged[backtest["winner"]]["covered"] > 0.75
    members = set(shop.rows("segments/valuable")["person_id"])
    assert members == set(rows[rows["ltv_tier"].isin(["top", "high"]) & (rows["ltv_churn"] != "high")]["person_id"])


@pytest.mark.parametrize(
    "column", ["ltv_spend_60d", "ltv_orders_30d_high", "ltv_spend_30d_high", "ltv_tier", "ltv_churn", "ltv_clv"]
)
def test_a_value_is_made_again_from_the_persons_own_orders(shop: Shop, column: str) -> None:
    for person in ("C001", "C400"):
        found = explain(shop.setting, Asked(person, column))
        assert found.proof.equal is True, (person, found.proof)
        assert {tag.code for tag in found.tags} == {"order_count", "total_spend"}
        assert found.proven
        assert any("ordered on" in line for line in found.how)


def test_a_model_that_fails_on_the_held_out_period_is_not_published(shop: Shop) -> None:
    good, members = shop.served("scores/ltv"), shop.served("segments/valuable")
    orders = bought()
    # A flood in the last two months, which nobody could have foreseen.
    flood = orders[orders["ordered_at"] < "2024-01-10"].copy()
    flood["ordered_at"] = (AS_OF - timedelta(days=20)).isoformat() + " 09:00:00"
    flood["order_id"] = "F" + flood["order_id"]
    shop.write(customers(), pd.concat([orders, flood]))

    outcomes = shop.run(select="+segments/valuable +segments/spenders")

    results = results_of(shop.events, "scores/ltv")
    assert outcomes["scores/ltv"] == "refused"
    assert "orders_bias failed" in shop.reason("scores/ltv")
    assert "scores/ltv.yaml" in shop.reason("scores/ltv")
    assert shop.served("scores/ltv") == good
    # What reads the model is held; what doesn't, goes on.
    assert "segments/valuable" not in outcomes
    assert outcomes["segments/spenders"] == "published"
    shop.run(select="segments/valuable")
    assert shop.served("segments/valuable") == members
    assert not results["orders_bias"].passed and results["enough"].passed


def test_value_is_held_with_a_tag_that_says_what_it_reads(shop: Shop) -> None:
    good = shop.served("scores/ltv")
    strict = TRANSACTION.replace("checks: [{mean_change: 0.5}]", "domain: {max: 200}")
    held = replace(shop, files={**CATALOG, "tags/transaction.yaml": strict})
    held.write(customers(), bought())
    outcomes = held.run(job=DERIVE, select="+scores/ltv")
    assert outcomes["tags/transaction"] == "published"
    assert outcomes["scores/ltv"] == "refused"
    assert "tag total_spend of tags/transaction is held" in held.reason("scores/ltv")
    assert held.served("scores/ltv") == good


def test_too_short_a_history_is_refused_before_anything_is_fitted(shop: Shop) -> None:
    early = date(2023, 5, 20)
    outcomes = shop.run(early, select="+scores/ltv")
    assert outcomes["scores/ltv"] == "refused"
    reason = shop.reason("scores/ltv")
    assert "64 of 120 days of history" in reason
    assert "of 200 customers before the held-out period" in reason
    assert outcomes["tags/transaction"] == "published"
    assert shop.served("scores/ltv", early) is None
    assert any(row.table == "scores/ltv" for row in table_health(shop.setting))


def test_the_same_inputs_give_the_same_bytes_in_any_order(shop: Shop) -> None:
    before = shop.served("scores/ltv")
    assert before is not None
    shop.write(customers(), bought().sample(frac=1, random_state=1))
    assert replace(shop, full=True).run(select="+scores/ltv")["scores/ltv"] in ("published", "reused")
    again = shop.served("scores/ltv")
    assert again is not None
    assert again.content_hash == before.content_hash
    assert again.metrics["parameters"] == before.metrics["parameters"]


def test_trees_over_tags_can_be_pinned(shop: Shop) -> None:
    base = shop.rows("scores/ltv").set_index("person_id")
    boosted = replace(shop, files={**CATALOG, "scores/ltv.yaml": BOOSTED})
    boosted.write(customers(), bought())
    outcomes = boosted.run(select="+scores/ltv")
    assert outcomes["scores/ltv"] == "published", boosted.reason("scores/ltv")
    snapshot, rows = boosted.served("scores/ltv"), boosted.rows("scores/ltv").set_index("person_id")
    assert snapshot is not None
    assert snapshot.metrics["model"] == "boosted"
    assert snapshot.metrics["backtest"]["why"] == "pinned by the catalog"
    assert (rows["ltv_alive"] == base["ltv_alive"]).all()
    assert not (rows["ltv_orders_60d"] == base["ltv_orders_60d"]).all()
    found = explain(boosted.setting, Asked("C001", "ltv_orders_60d"))
    assert found.proof.equal is None and "trees" in (found.proof.why or "")
