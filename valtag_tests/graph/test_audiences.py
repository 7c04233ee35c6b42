"""Audiences made of facts, lists and other audiences, as the graph publishes and holds them."""

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from valtag_assets.engine.duckdb import open_duckdb
from valtag_assets.graph.segments import segment_plan
from valtag_assets.warehouse.snapshot import TableRef
from valtag_tests.graph.shop import AS_OF, PROJECT, Shop, customers, orders

LIST = """
source: staff
title: {zh: 员工名单, en: Staff}
kind: list
read: {path: data/staff.csv}
person: staff_no
fields: [{name: staff_no, from: 工号, type: text, required: true}]
"""
FIRST = {"set": "spring", "priority": 1}
TITLE = {"zh": "人群", "en": "Audience"}


def audience(code: str, rule: Any, **more: Any) -> dict[str, Any]:
    return {"code": code, "title": TITLE, "rule": rule, **more}


def write(shop: Shop, *audiences: dict[str, Any], project: str = PROJECT) -> None:
    """The shop's catalog with these audiences beside its own, and a list of two staff and a stranger."""
    catalog = shop.root / "catalog"
    (catalog / "segments/more.yaml").write_text(yaml.safe_dump({"segments": list(audiences)}, allow_unicode=True))
    (catalog / "sources/staff.yaml").write_text(LIST)
    (catalog / "project.yaml").write_text(project)
    staff = pd.DataFrame({"工号": ["C001", "C002", "Z999"]})
    staff.to_csv(catalog / "data/staff.csv", index=False)


def members(shop: Shop, code: str, as_of: date = AS_OF) -> set[str]:
    return set(shop.rows(f"segments/{code}", as_of)["person_id"])


def buyers(days: int) -> set[str]:
    rows = orders()
    when = pd.to_datetime(rows["ordered_at"]).dt.date
    return set(rows[[0 <= (AS_OF - day).days < days for day in when]]["customer_id"])


def everybody() -> set[str]:
    return set(customers()["顾客号"])


def test_audiences_of_facts_lists_and_other_audiences_are_published(ran: Shop) -> None:
    write(
        ran,
        audience("lapsed", "did_not(orders, within 3d)"),
        audience("staff_too", "in_list(staff)"),
        audience("others", "not in_segment(lapsed) and not in_list(staff)"),
    )
    outcomes = ran.run()
    assert outcomes["lists/staff"] == "published"
    lapsed = everybody() - buyers(3)
    assert members(ran, "lapsed") == lapsed
    assert members(ran, "staff_too") == {"C001", "C002"}
    assert members(ran, "others") == everybody() - lapsed - {"C001", "C002"}
    listed = ran.served("lists/staff", None)
    assert listed is not None and (listed.rows, listed.metrics["ids"], listed.metrics["unmatched"]) == (2, 3, 1)
    (warning,) = [verdict for verdict in listed.verdicts if verdict.check == "unmatched"]
    assert not warning.passed and warning.severity == "warn"
    assert (warning.unexpected, warning.evaluated) == (1, 3)


def test_exclusions_apply_to_every_audience_but_themselves(ran: Shop) -> None:
    write(
        ran,
        audience("barred", "city = '成都' and in_segment(deeper)"),
        audience("deeper", "gender = 'female'"),
        project=PROJECT + "exclusions: {lists: [staff], segments: [barred]}\n",
    )
    ran.run()
    table = customers()
    female = set(table[table["性别"] == "女"]["顾客号"]) - {"C001", "C002"}
    barred = female & set(table[table["城市"] == "成都"]["顾客号"])
    # A list is in no audience; of these two the barred are made.
    assert members(ran, "deeper") == female
    assert members(ran, "barred") == barred
    assert members(ran, "women") == female - barred


def test_a_waterfall_puts_everybody_into_one_audience_of_its_set(ran: Shop) -> None:
    write(
        ran,
        audience("third", "true", waterfall={"set": "spring", "priority": 3}),
        audience("second", "gender = 'female'", waterfall={"set": "spring", "priority": 2}),
        audience(
            "first", "city = '上海'", limit=5, order="total_spend desc", waterfall={"set": "spring", "priority": 1}
        ),
    )
    ran.run()
    first, second, third = (members(ran, code) for code in ("first", "second", "third"))
    table = customers()
    assert len(first) == 5 and first <= set(table[table["城市"] == "上海"]["顾客号"])
    assert second == set(table[table["性别"] == "女"]["顾客号"]) - first
    assert third == everybody() - first - second


def test_a_membership_that_jumps_is_held_and_the_last_good_one_stays(ran: Shop) -> None:
    small = {"jump": 1.5, "jump_from": 5}
    write(
        ran,
        audience("recent_buyers", "did(orders, within 3d)", size=small),
        audience("rest", "not in_segment(recent_buyers)"),
    )
    yesterday = date(2024, 3, 9)
    ran.run(yesterday, select="+segments/recent_buyers")
    before = members(ran, "recent_buyers", yesterday)
    rows = orders()
    lost = rows[pd.to_datetime(rows["ordered_at"]).dt.date < date(2024, 3, 8)].head(len(rows))
    few = rows[rows["customer_id"].isin(sorted(before)[: len(before) // 3])]
    ran.write(order_rows=pd.concat([lost, few]).drop_duplicates("order_id"))
    outcomes = ran.run(select="+segments/rest")
    assert outcomes["segments/recent_buyers"] == "refused"
    assert "segments/rest" not in outcomes  # not even tried
    assert ran.served("segments/recent_buyers") is None
    assert members(ran, "recent_buyers", yesterday) == before
    attempt = ran.setting.warehouse.blocked(TableRef("segments", "recent_buyers"), AS_OF)
    assert attempt is not None and "size" in str(attempt.reason)
    # The rule itself may change what it finds: then there is nothing to compare with.
    write(ran, audience("recent_buyers", "did(orders, within 2d)", size=small), audience("rest", "true"))
    assert ran.run(select="+segments/recent_buyers")["segments/recent_buyers"] == "published"


def test_a_refused_fact_holds_the_audiences_that_read_it(ran: Shop) -> None:
    write(ran, audience("lapsed", "did_not(orders, within 3d)"))
    ran.run(select="+segments/lapsed")
    ran.write(order_rows=orders().head(2))
    outcomes = ran.run(select="+segments/lapsed +segments/women")
    assert outcomes["clean/orders"] == "refused"
    assert outcomes["segments/lapsed"] == "refused"
    assert outcomes["segments/women"] in ("reused", "published")


def test_one_statement_answers_for_all_audiences_of_a_run(shop: Shop) -> None:
    write(shop, *[audience(f"a{number}", f"total_spend > {number}") for number in range(6)])
    shop.run(select="+segments/*")
    made = list(shop.setting.derived.entries("matches", str(AS_OF)))
    codes = [code for entry in made for code in entry.about["segments"]]
    assert {f"a{number}" for number in range(6)} <= set(codes)
    # In whatever order tables came, an audience is worked out a few times at most, not once per audience.
    assert len(made) <= 3
    full = {code: members(shop, code) for code in ("a0", "a5", "women", "spenders")}
    shop.setting.derived.remove("matches")
    shop.full = True
    shop.run(select="segments/*")
    assert {code: members(shop, code) for code in full} == full


def test_a_list_that_can_not_be_read_holds_the_audiences_that_read_it_or_leave_it_out(ran: Shop) -> None:
    write(
        ran,
        audience("others", "not in_list(staff)"),
        audience("ladies", "gender = 'female'"),
        project=PROJECT + "exclusions: {lists: [staff]}\n",
    )
    both = "+segments/others +segments/ladies"
    ran.run(select=both)
    staff = ran.root / "catalog/data/staff.csv"
    good = staff.read_text()
    staff.write_text(good.replace("工号", "编号"))
    before = AS_OF - timedelta(days=1)
    outcomes = ran.run(before, select=both)
    assert outcomes["clean/staff"] == "failed"
    assert {outcomes["segments/others"], outcomes["segments/ladies"]} == {"refused"}
    assert "clean/staff was failed" in ran.reason("segments/ladies")
    staff.write_text(good)
    outcomes = ran.run(before, select=both)
    assert {outcomes["segments/others"], outcomes["segments/ladies"]} == {"published"}


def test_an_audience_is_made_from_the_snapshots_it_records_whatever_is_published_meanwhile(
    ran: Shop, tmp_path: Path
) -> None:
    write(ran, audience("buyers", "did(orders, within 3d)"), audience("others", "did(orders, within 2d)"))
    ran.run(select="+segments/buyers +segments/others")
    before = members(ran, "buyers")
    setting = ran.setting
    plan = segment_plan(setting, setting.resolved.segments["buyers"], AS_OF)
    few = orders()
    ran.write(order_rows=few[few["customer_id"].isin(sorted(set(few["customer_id"]))[5:])])
    ran.run(select="+segments/buyers")
    assert members(ran, "buyers") < before
    (tmp_path / "late").mkdir()
    with open_duckdb() as engine:
        plan.write(engine, tmp_path / "late")
    assert set(pd.read_parquet(tmp_path / "late")["person_id"]) == before
