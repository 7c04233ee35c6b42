"""What triggers brought: from entries and later orders to the table of effects, against a plain recount."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd
import pytest

from valtag_assets.definitions import build_definitions
from valtag_assets.graph.jobs import DERIVE, MESSAGES, TRIGGERS
from valtag_tests.graph.caring import RECEIVER, land, messages, with_files
from valtag_tests.graph.shop import AS_OF, PROJECT, SEGMENTS, Shop

BEFORE = AS_OF - timedelta(days=5)
CHANNEL = "channels: [{code: sms, title: {zh: 短信, en: SMS}, reachable: gender is not null}]\n"
CARE = """
trigger: care
title: {zh: 关怀, en: Care}
when: total_spend > 20
holdout: {share: 0.4, seed: 3}
effect: {fact: orders, where: amount > 20, value: amount, within: 3d, adjust: total_spend, keep: [city, gender]}
actions: [{step: sms, to: gateway}]
"""
JUDGED = {
    "project.yaml": PROJECT + CHANNEL,
    "segments/audiences.yaml": SEGMENTS,
    "triggers/care.yaml": CARE,
    "destinations/gateway.yaml": RECEIVER.format(code="gateway", channel="sms") + "cost: 0.5\n",
}


def made(shop: Shop, table: str, as_of: date = AS_OF) -> str:
    """Make one table of an as-of; the outcome."""
    shop.heard.clear()
    job = build_definitions(shop.setting).resolve_job_def(DERIVE)
    job.execute_in_process(
        instance=shop.instance,
        partition_key=as_of.isoformat(),
        raise_on_error=False,
        asset_selection=[dg.AssetKey(table.split("/"))],
        run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
    )
    return {done.table: done.outcome for done in shop.heard}[table]


def entered_and_over(ran: Shop, files: dict[str, str]) -> Shop:
    """A shop whose trigger ran five days before the as-of and again at it."""
    shop = with_files(ran, files)
    for day in (BEFORE, AS_OF):
        shop.clock = lambda day=day: datetime(day.year, day.month, day.day, 2, tzinfo=UTC) + timedelta(days=1)
        assert shop.run(day, TRIGGERS)["triggers/care"] == "published", shop.reason("triggers/care")
    return shop


def recount(shop: Shop) -> pd.DataFrame:
    """Persons who entered five days ago: arm, spend before, conversions and revenue in the three days after."""
    state = shop.rows("triggers/care")
    state = state[state["entered"] == BEFORE].set_index("person_id")
    orders = pd.read_csv(shop.root / "catalog" / "data" / "orders.csv", dtype={"customer_id": str})
    orders["day"] = pd.to_datetime(orders["ordered_at"]).dt.date
    won = orders[(orders.day > BEFORE) & (orders.day <= BEFORE + timedelta(days=3)) & (orders.amount > 20)]
    state["spend"] = orders[orders.day <= BEFORE].groupby("customer_id")["amount"].sum()
    state["revenue"] = won.groupby("customer_id")["amount"].sum()
    state["hit"] = state["revenue"].notna()
    state["revenue"] = state["revenue"].fillna(0.0)
    return state


def test_effects_are_those_of_a_plain_recount(ran: Shop) -> None:
    shop = entered_and_over(ran, JUDGED)
    sent = messages(shop, origin="care", state="sent")
    at = datetime(2024, 3, 11, 3, tzinfo=UTC).isoformat()
    clicked = [{"key": row["key"], "state": state, "at": at} for row in sent[:4] for state in ("clicked", "opened")]
    land(shop, "r.jsonl", [*clicked, *clicked])
    shop.run(job=MESSAGES)
    assert made(shop, "effects/care") == "published"
    rows = shop.rows("effects/care")
    whole, own = rows.iloc[0], recount(shop)
    arm = {side: own[(own["arm"] == "treated") == side] for side in (True, False)}
    assert [whole["treated"], whole["control"]] == [len(arm[True]), len(arm[False])]
    assert min(len(part) for part in arm.values()) > 5
    assert whole["not_over"] == (shop.rows("triggers/care")["entered"] == AS_OF).sum() > 0
    assert whole["treated_conversions"] == arm[True]["hit"].sum() > 0
    assert whole["control_conversions"] == arm[False]["hit"].sum() > 0
    assert whole["lift"] == pytest.approx(arm[True]["hit"].mean() - arm[False]["hit"].mean(), abs=1e-6)
    assert whole["lift_low"] < whole["lift"] < whole["lift_high"]
    assert whole["more_conversions"] == pytest.approx(whole["lift"] * len(arm[True]), abs=1e-4)
    theta = np.cov(own["spend"], own["revenue"])[0, 1] / own["spend"].var()
    adjusted = {s: (p["revenue"] - theta * (p["spend"] - own["spend"].mean())).mean() for s, p in arm.items()}
    assert whole["revenue_lift"] == pytest.approx(adjusted[True] - adjusted[False], abs=1e-5)
    assert (whole["evidence"], whole["adjusted"]) == ("randomised", "total_spend")
    assert (whole["sent"], whole["clicked"], whole["opened"]) == (len(sent), 4, 4)
    assert float(whole["cost"]) == 0.5 * len(sent)
    spent = 0.5 * len(arm[True])
    assert whole["roi"] == pytest.approx((whole["more_revenue"] - spent) / spent, abs=1e-4)
    assert set(rows["period"]) == {"all", "2024-03"}
    assert set(rows["step"]) == {"all", "sms"}
    assert made(shop, "effects/care") == "reused"


def test_without_anybody_held_out_there_is_no_lift(ran: Shop) -> None:
    text = CARE.replace("holdout: {share: 0.4, seed: 3}\n", "")
    shop = entered_and_over(ran, {**JUDGED, "triggers/care.yaml": text})
    assert made(shop, "effects/care") == "published"
    whole: Any = shop.rows("effects/care").iloc[0]
    assert (whole["evidence"], whole["control"]) == ("association", 0)
    assert whole["treated_conversions"] > 0
    assert whole[["lift", "revenue_lift", "more_revenue", "roi", "detectable"]].isna().all()


def test_a_refused_fact_holds_the_effects(ran: Shop) -> None:
    shop = entered_and_over(ran, JUDGED)
    (shop.root / "catalog" / "data" / "orders.csv").write_text("nothing\n1\n", encoding="utf-8")
    shop.run()
    assert made(shop, "effects/care") == "refused"
