"""What triggers brought: from entries and later orders to the table of effects, against a plain recount."""

import json
import shutil
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path

import dagster as dg
import numpy as np
import pandas as pd
import pytest

from valtag_assets.cli import main
from valtag_assets.graph.jobs import INTAKE, MESSAGES, TRIGGERS
from valtag_assets.site.page import render
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
    return shop.run(as_of, select=table)[table]


@pytest.fixture(scope="module")
def judged_once(run_once: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a shop whose trigger ran five days before the as-of and again at it, and some of whose messages
    were clicked. Not to be changed."""
    folder = tmp_path_factory.mktemp("judged")
    shutil.copytree(run_once, folder, dirs_exist_ok=True)
    with dg.DagsterInstance.ephemeral() as instance:
        shop = with_files(Shop(folder, instance), JUDGED)
        for day in (BEFORE, AS_OF):
            shop.clock = partial(morning_after, day)
            assert shop.run(day, TRIGGERS)["triggers/care"] == "published"
        sent, at = messages(shop, origin="care", state="sent"), morning_after(AS_OF).isoformat()
        told = [{"key": row["key"], "state": state, "at": at} for row in sent[:4] for state in ("clicked", "opened")]
        land(shop, "r.jsonl", [*told, *told])
        shop.run(job=MESSAGES)
        assert made(shop, "effects/care") == "published"
        assert made(shop, "insight/tags") == "published"
    return folder


@pytest.fixture
def judged(judged_once: Path, tmp_path: Path) -> Iterator[Shop]:
    """Such a shop of one's own."""
    shutil.copytree(judged_once, tmp_path, dirs_exist_ok=True)
    with dg.DagsterInstance.ephemeral() as instance:
        shop = with_files(Shop(tmp_path, instance), JUDGED)
        shop.clock = partial(morning_after, AS_OF)
        yield shop


def morning_after(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 2, tzinfo=UTC) + timedelta(days=1)


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


def test_effects_are_those_of_a_plain_recount(judged: Shop) -> None:
    shop, sent = judged, messages(judged, origin="care", state="sent")
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


def test_usefulness_counts_uses_messages_and_coverage(judged: Shop) -> None:
    rows = judged.rows("insight/tags").set_index("tag")
    assert rows["score"].is_monotonic_decreasing
    spend, quiet = rows.loc["total_spend"], rows.loc["total_spend_3d"]
    # The score, the audience, the trigger; through the score the audience of recent buyers.
    assert (spend["direct"], spend["indirect"], spend["automations"]) == (3, 1, 1)
    assert spend["messages"] == len(messages(judged, origin="care", state="sent"))
    assert (quiet["direct"], quiet["messages"]) == (0, 0)
    coverage = judged.rows("tags/transaction")["days_since_last_order"].notna().mean()
    assert rows.loc["days_since_last_order"]["coverage"] == pytest.approx(coverage, abs=1e-4)
    assert set(rows["evidence"]) == {"insufficient"}, "thirty persons are too few"
    assert made(judged, "insight/tags") == "reused"


def test_a_score_is_shown_beside_that_of_a_month_before(judged: Shop) -> None:
    month = AS_OF - timedelta(days=28)
    assert made(judged, "insight/tags", month) == "published"
    assert made(judged, "insight/tags") == "published"
    then, now = judged.served("insight/tags", month), judged.served("insight/tags")
    assert then is not None and now is not None
    before = {line["tag"]: line["score"] for line in then.metrics["lines"]}
    assert {line["tag"]: line["score_before"] for line in now.metrics["lines"]} == before
    assert {line["before"] for line in now.metrics["lines"]} == {str(month)}


def test_what_was_learnt_later_makes_a_new_snapshot(judged: Shop) -> None:
    key = messages(judged, origin="care", state="sent")[-1]["key"]
    at = morning_after(AS_OF + timedelta(days=2))
    land(judged, "late.jsonl", [{"key": key, "state": "clicked", "at": at.isoformat()}])
    judged.clock = lambda: at
    judged.run(job=MESSAGES)
    assert made(judged, "effects/care") == "published"
    assert judged.rows("effects/care").iloc[0]["clicked"] == 5


def test_commands_and_the_page_show_both(judged: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--catalog", str(judged.root / "catalog"), "--data", str(judged.root / "data"), "--json"]
    assert main(["effect", "care", *options]) == 0
    (shown,) = json.loads(capsys.readouterr().out)
    assert shown["lines"][0]["evidence"] == "randomised"
    assert main(["insight", "total_spend", *options]) == 0
    told = json.loads(capsys.readouterr().out)
    assert "trigger care" in told["read_by"]["direct"]
    assert "segment recent" in told["read_by"]["indirect"]
    page = render(judged.setting)[1]
    assert 'id="effect-care"' in page and "Held out by lot" in page and 'id="usefulness"' in page
    assert main(["effect", *options[:-1]]) == main(["insight", *options[:-1]]) == 0
    assert main(["insight", "totl_spend", *options]) == main(["effect", "cara", *options]) == 1
    assert "did you mean" in capsys.readouterr().err


def test_a_refused_fact_holds_the_effects(judged: Shop) -> None:
    (judged.root / "catalog" / "data" / "orders.csv").write_text("nothing\n1\n", encoding="utf-8")
    judged.run(job=INTAKE)
    assert made(judged, "effects/care") == "refused"
