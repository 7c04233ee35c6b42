"""An audience is kept at its destination: what changed is sent, what is wrong sends nothing."""

import csv
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path

import dagster as dg
import pandas as pd
import pytest

from valtag_assets.definitions import build_definitions
from valtag_assets.graph.health import table_health
from valtag_assets.graph.jobs import DERIVE
from valtag_tests.graph.caring import CHANNELS, RECEIVER, land, received, with_files
from valtag_tests.graph.shop import AS_OF, FILES, PROJECT, Shop, customers, results_of

DESTINATIONS = {
    "destinations/crm.yaml": """
destination: crm
title: {zh: 客户系统, en: CRM}
kind: file
path: crm
format: csv
cost: 0.05
fields: {city: city, spend: total_spend, is_recent: recent}
""",
    "destinations/bi.yaml": """
destination: bi
title: {zh: 看板, en: BI}
kind: database
path: bi.sqlite
table: audience
mode: upsert
""",
    "deliveries/all.yaml": """
deliveries:
  - {code: women_crm, title: {zh: 女性, en: Women}, segment: women, to: crm, patience: 0, jump_from: 20}
  - code: spenders_bi
    title: {zh: 高消费, en: Spenders}
    segment: spenders
    to: bi
    fields: [order_count]
    patience: 0
  - {code: off, title: {zh: 停用, en: Off}, segment: women, to: bi, enabled: false}
""",
}


@pytest.fixture(scope="module")
def delivered_once(run_once: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a shop that was run, got deliveries, and sent them. Not to be changed."""
    folder = tmp_path_factory.mktemp("delivered")
    shutil.copytree(run_once, folder, dirs_exist_ok=True)
    with dg.DagsterInstance.ephemeral() as instance:
        made = Shop(folder, instance, {**FILES, **DESTINATIONS})
        made.write()
        assert set(made.run(select="deliveries/*").values()) == {"published"}
    return folder


@pytest.fixture
def delivered(delivered_once: Path, tmp_path: Path) -> Iterator[Shop]:
    """Such a shop of one's own."""
    shutil.copytree(delivered_once, tmp_path, dirs_exist_ok=True)
    with dg.DagsterInstance.ephemeral() as instance:
        yield Shop(tmp_path, instance, {**FILES, **DESTINATIONS})


def crm(shop: Shop) -> dict[str, dict[str, str]]:
    """The rows of the CRM's file, by person."""
    path = shop.root / "data" / "deliveries" / "shop" / "crm" / "women_crm.csv"
    with path.open(encoding="utf-8", newline="") as file:
        return {row["person_id"]: row for row in csv.DictReader(file)}


def bi(shop: Shop) -> dict[str, int]:
    with closing(sqlite3.connect(shop.root / "data" / "deliveries" / "shop" / "bi.sqlite")) as connection:
        return dict(connection.execute("SELECT person_id, order_count FROM audience"))


def outcome(shop: Shop, code: str = "women_crm", as_of: date = AS_OF) -> dict[tuple[str, str], int]:
    rows = shop.rows(f"deliveries/{code}", as_of)
    return dict(zip(zip(rows["operation"], rows["state"], strict=True), rows["messages"], strict=True))


def women(rows: pd.DataFrame) -> set[str]:
    return set(rows[rows["性别"] == "女"]["顾客号"])


def test_a_destination_follows_what_is_published(delivered: Shop) -> None:
    spend, city = delivered.rows("tags/transaction"), delivered.rows("tags/attribute")
    published = city.merge(spend, on="person_id").set_index("person_id")
    recent = set(delivered.rows("segments/recent")["person_id"])
    found = crm(delivered)
    assert set(found) == women(customers())
    for person, row in found.items():
        assert row["city"] == published.loc[person, "city"]
        assert float(row["spend"]) == float(published.loc[person, "total_spend"])
        assert row["is_recent"] == str(person in recent).lower()
    spenders = delivered.rows("segments/spenders")["person_id"]
    assert bi(delivered) == {person: published.loc[person, "order_count"] for person in spenders}
    assert outcome(delivered) == {("add", "acknowledged"): 30}
    rows = customers()
    rows.loc[rows["顾客号"] == "C001", "性别"] = "男"
    rows.loc[rows["顾客号"] == "C002", "性别"] = "女"
    rows.loc[rows["顾客号"] == "C003", "城市"] = "北京"
    delivered.write(customer_rows=rows)
    assert delivered.run(select="+deliveries/*")["deliveries/spenders_bi"] == "reused"
    assert set(crm(delivered)) == women(rows) and crm(delivered)["C003"]["city"] == "北京"
    assert outcome(delivered) == {
        ("add", "acknowledged"): 1,
        ("remove", "acknowledged"): 1,
        ("change", "acknowledged"): 1,
        ("none", "unchanged"): 28,
    }
    snapshot = delivered.served("deliveries/women_crm")
    assert snapshot is not None and "C00" not in str(snapshot.metrics)


def test_a_mass_exit_sends_nothing_until_somebody_confirms_it(delivered: Shop) -> None:
    rows = customers()
    rows.loc[rows["顾客号"] <= "C040", "性别"] = "男"
    delivered.write(customer_rows=rows)
    before = crm(delivered)
    assert delivered.run(select="+deliveries/women_crm")["deliveries/women_crm"] == "refused"
    assert "mass_exit failed" in delivered.reason("deliveries/women_crm")
    assert not results_of(delivered.events, "deliveries/women_crm")["mass_exit"].passed
    assert crm(delivered) == before
    delivered.confirmed = True
    assert delivered.run(select="deliveries/women_crm")["deliveries/women_crm"] == "published"
    assert set(crm(delivered)) == women(rows)


def test_a_held_tag_holds_its_deliveries_and_no_others(delivered: Shop) -> None:
    rows = customers()
    rows.loc[rows["顾客号"] == "C001", "城市"] = "火星"
    delivered.write(customer_rows=rows)
    before = crm(delivered)
    heard = delivered.run(select="+deliveries/*")
    assert heard["deliveries/women_crm"] == "refused" and "held" in delivered.reason("deliveries/women_crm")
    assert heard["deliveries/spenders_bi"] == "reused"
    assert crm(delivered) == before
    health = {row.table: row.state for row in table_health(delivered.setting)}
    assert health["deliveries/women_crm"] == "refused, last good served"


def test_a_past_as_of_is_computed_and_not_sent(delivered: Shop) -> None:
    before = crm(delivered)
    day = AS_OF - timedelta(days=2)
    assert delivered.run(day, DERIVE, "+deliveries/women_crm")["deliveries/women_crm"] == "published"
    assert outcome(delivered, as_of=day) == {}
    assert crm(delivered) == before


def test_a_list_for_a_channel_holds_nobody_to_whom_it_is_closed_by_now(delivered: Shop) -> None:
    texts = "deliveries: [{code: texts, title: {zh: 短信, en: Texts}, segment: spenders, to: gateway, patience: 0}]"
    channel = {
        "project.yaml": PROJECT + CHANNELS,
        "destinations/gateway.yaml": RECEIVER.format(code="gateway", channel="sms").replace("mode: append\n", ""),
        "deliveries/texts.yaml": texts,
    }
    with_files(delivered, channel)
    members = set(delivered.rows("segments/spenders")["person_id"])
    first, second, third = sorted(members)[:3]

    def leave(person: str) -> None:
        at = "2024-03-10T12:00:00+08:00"
        said = {"person_id": person, "channel": "sms", "state": "unsubscribed", "at": at}
        land(delivered, f"{person}.jsonl", [said])

    def listed() -> set[str]:
        return {row["person_id"] for row in received(delivered, "gateway")}

    leave(first)  # the file has just landed when the list is made
    assert delivered.run(select="deliveries/texts")["deliveries/texts"] == "published"
    assert listed() == members - {first}
    leave(second)
    rows = customers()
    rows.loc[rows["顾客号"] == third, "性别"] = None  # out of the channel's reach, and a member still
    delivered.write(customer_rows=rows)
    # What is made before the list are the tags it is about, and those that say whom a message reaches.
    assert delivered.run(select="+deliveries/texts")["deliveries/texts"] == "published"
    assert set(delivered.rows("segments/spenders")["person_id"]) == members
    assert listed() == members - {first, second, third}


def test_a_disabled_delivery_is_no_asset(delivered: Shop) -> None:
    keys = build_definitions(delivered.setting).resolve_asset_graph().get_all_asset_keys()
    found = {key.path[1] for key in keys if key.path[0] == "deliveries"}
    assert found == {"women_crm", "spenders_bi"}
