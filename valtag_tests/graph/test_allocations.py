"""Tiers over time and what they are given, through the graph: compared, published, held."""

from dataclasses import replace
from datetime import timedelta

import pandas as pd
import pytest

from valtag_assets.console.explain import Asked, explain
from valtag_assets.graph.allocations import allocation_plan
from valtag_assets.graph.publishing import unchanged
from valtag_assets.graph.score_pages import concentration_of, snapshot_before
from valtag_assets.graph.scores import score_plan
from valtag_assets.spec.score import COMMON_TIERS
from valtag_assets.warehouse.snapshot import TableRef
from valtag_tests.graph.shop import AS_OF, FILES, RFM, Shop, orders

YESTERDAY = AS_OF - timedelta(days=1)
SHARES = {tier.code: 0.5 if tier.code in ("champions", "lost") else 0 for tier in COMMON_TIERS}
MONEY = """
allocation: money
title: {zh: 预算, en: Budget}
of: rfm_tier
budget: {amount: 1000}
tiers:
""" + "".join(
    f"  - {{tier: {tier}, share: {share}, offer: {{zh: 券, en: Coupon}}}}\n" for tier, share in SHARES.items()
)


def moves(before: pd.DataFrame, now: pd.DataFrame) -> dict[tuple[str, str], int]:
    both = before.merge(now, on="person_id", how="outer", suffixes=("_before", "_now"))
    pairs = both[["rfm_tier_before", "rfm_tier_now"]].fillna("nowhere").value_counts()
    return {(b, n): int(count) for (b, n), count in pairs.items()}


def test_tiers_are_compared_with_a_sound_snapshot_of_the_same_meaning_that_is_old_enough(ran: Shop) -> None:
    warehouse, table, served = ran.setting.warehouse, TableRef("scores", "rfm"), ran.served("scores/rfm")
    assert served is not None
    meaning, month = served.metrics["meaning"], AS_OF + timedelta(days=28)
    assert snapshot_before(warehouse, table, month, meaning, 28) == served
    assert snapshot_before(warehouse, table, month - timedelta(days=1), meaning, 28) is None
    assert snapshot_before(warehouse, table, month, "another", 28) is None
    served.files[0].unlink()
    assert snapshot_before(warehouse, table, month, meaning, 28) is None


@pytest.fixture
def compared(ran: Shop) -> Shop:
    """The shop on two days: scores nested, tiers compared with the day before, money split among them."""
    rfm = f"{RFM}compare_days: 1\nscoring: nested\n"
    ran.files = {**FILES, "scores/rfm.yaml": rfm, "allocations/money.yaml": MONEY}
    ran.write()
    for day in (YESTERDAY, AS_OF):
        outcomes = ran.run(day, select="+allocations/money")
        assert outcomes["scores/rfm"] == outcomes["allocations/money"] == "published"
    return ran


def test_tiers_are_compared_and_given_money_until_an_input_is_held(compared: Shop) -> None:
    before, now = compared.served("scores/rfm", YESTERDAY), compared.served("scores/rfm")
    assert before is not None and now is not None
    assert "transitions" not in before.metrics, "there is nothing a day older"
    found = now.metrics["transitions"]
    assert (found["as_of"], found["snapshot"]) == (str(YESTERDAY), before.id)
    scores = compared.rows("scores/rfm")
    wanted = moves(compared.rows("scores/rfm", YESTERDAY), scores)
    assert {(b or "nowhere", n or "nowhere"): persons for b, n, persons in found["moves"]} == wanted
    concentration = concentration_of(now)
    assert concentration is not None and concentration.persons == len(scores)

    person = scores.iloc[0]
    explained = explain(compared.setting, Asked(person["person_id"], "rfm_m", limit=1))
    assert explained.value == person["rfm_m"] and explained.proven
    assert f"among those with R {person['rfm_r']} and F {person['rfm_f']}" in explained.how[2]

    spent = scores.merge(compared.rows("tags/transaction"), on="person_id")
    money = compared.rows("allocations/money").set_index("tier")
    sizes = spent.groupby("rfm_tier")["total_spend"].agg(["size", "sum"]).reindex(money.index, fill_value=0)
    assert list(money.index) == list(SHARES)
    assert (money["persons"] == sizes["size"]).all() and (money["revenue"] == sizes["sum"]).all()
    assert money["budget_amount"].sum() == 1000 and money["budget_share"].sum() == 1

    # A comparison that would come out the same is no reason to compute again; another one is.
    setting = compared.setting
    assert unchanged(setting, score_plan(setting, setting.resolved.scores["rfm"], AS_OF)) is not None
    plan = score_plan(setting, setting.resolved.scores["rfm"], AS_OF)
    assert unchanged(setting, replace(plan, fingerprint="")) is None

    poisoned = orders()
    poisoned["amount"] = poisoned["amount"].astype(float) * 1000
    compared.write(order_rows=poisoned)
    given = compared.served("allocations/money")
    assert compared.run(select="+allocations/money")["scores/rfm"] == "refused"
    assert compared.served("allocations/money") == given, "the last good one stays"
    gate = allocation_plan(setting, setting.resolved.allocations["money"], AS_OF).gate
    assert [fault for fault in gate.faults if "scores/rfm was refused" in fault] and "total_spend" in gate.held
