"""Reports in the graph: made from the snapshots that audiences read, and never published when they disagree."""

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import duckdb
import pytest

from valtag_assets.warehouse.snapshot import TableRef
from valtag_tests.graph.shop import AS_OF, FILES, Shop, customers, orders, results_of

REPORTS = """
reports:
  - code: city_conversion
    title: {zh: 城市转化, en: Conversion by city}
    window: 3d
    dimensions: [{tag: city}, {segment: women}]
    measures:
      - {code: people, title: {zh: 人数, en: People}, agg: persons}
      - {code: buyers, title: {zh: 下单人数, en: Buyers}, fact: orders, agg: persons}
      - {code: spend, title: {zh: 金额, en: Spend}, fact: orders, agg: sum, of: amount}
      - {code: conversion, title: {zh: 转化率, en: Conversion}, ratio: [buyers, people]}
  - code: women_by_day
    title: {zh: 女性每日消费, en: Spend of women by day}
    fact: orders
    segments: [women]
    dimensions: [{date: day}]
    measures:
      - {code: spend, title: {zh: 金额, en: Spend}, agg: sum, of: amount}
      - {code: order_rows, title: {zh: 订单, en: Orders}, agg: count}
"""
BOTH = ("reports/city_conversion", "reports/women_by_day")


REPORTING = {**FILES, "reports/r.yaml": REPORTS}


@pytest.fixture(scope="module")
def reported_once(run_once: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a shop that was run, got reports, and made them."""
    folder = tmp_path_factory.mktemp("reporting")
    shutil.copytree(run_once, folder, dirs_exist_ok=True)
    with dg.DagsterInstance.ephemeral() as instance:
        made = Shop(folder, instance, REPORTING)
        made.write()
        assert made.run(select="reports/*") == dict.fromkeys(BOTH, "published")
    return folder


@pytest.fixture
def shop(reported_once: Path, tmp_path: Path) -> Iterator[Shop]:
    """A copy of it."""
    shutil.copytree(reported_once, tmp_path, dirs_exist_ok=True)
    with dg.DagsterInstance.ephemeral() as instance:
        yield Shop(tmp_path, instance, REPORTING)


def plant(shop: Shop, table: str, change: str, as_of: object = AS_OF) -> None:
    """Publish ``table`` again with rows changed by ``change``, a SELECT over ``served``."""
    warehouse = shop.setting.warehouse
    ref = TableRef.parse(table)
    before = warehouse.current(ref, as_of)  # type: ignore[arg-type]
    assert before is not None
    with warehouse.staging(ref) as staged, duckdb.connect() as con:
        con.read_parquet([str(file) for file in before.files], hive_partitioning=False).create_view("served")
        con.sql(change).write_parquet(str(staged.path / "part-0.parquet"))
        warehouse.publish(
            staged,
            as_of=before.as_of,
            known_at=datetime.now(UTC),
            input_hash=before.input_hash,
            catalog_hash=before.catalog_hash,
            run_id="planted",
            data_until=before.data_until,
            inputs=before.inputs,
            verdicts=before.verdicts,
            metrics=before.metrics,
            key=before.key,
        )


def test_a_report_says_what_pandas_says_of_the_same_files(shop: Shop) -> None:
    people, bought = customers().set_index("顾客号"), orders()
    bought["day"] = bought["ordered_at"].str[:10]
    new = bought[bought["day"] >= "2024-03-08"].assign(cents=lambda t: (t["amount"].astype(float) * 100).round())
    new = new.join(people, on="customer_id")
    lines = shop.rows("reports/city_conversion")
    whole, groups = lines[lines["is_total"]].iloc[0], lines[~lines["is_total"]]
    assert len(groups) == people.groupby(["城市", "性别"]).ngroups
    for line in groups.to_dict("records"):
        gender = "女" if line["in_women"] else "男"
        own = new[(new["城市"] == line["city"]) & (new["性别"] == gender)]
        size = len(people[(people["城市"] == line["city"]) & (people["性别"] == gender)])
        assert (line["people"], line["buyers"]) == (size, own["customer_id"].nunique())
        assert (line["spend"] * 100, line["conversion"]) == (own["cents"].sum(), own["customer_id"].nunique() / size)
    assert (whole["people"], whole["spend"]) == (60, groups["spend"].sum())
    women = shop.rows("reports/women_by_day")
    joined = bought.join(people, on="customer_id")
    by_day = joined[joined["性别"] == "女"].groupby("day").size()
    days = women[~women["is_total"]]
    assert dict(zip(days["day"].astype(str), days["order_rows"], strict=True)) == by_day.to_dict()


def test_every_agreement_is_a_check_of_the_asset(shop: Shop) -> None:
    shop.run(select="reports/*")
    checks = results_of(shop.events, "reports/city_conversion")
    wanted = {"lines_people", "lines_spend", "size_people", "members_in_women", "tag_buyers", "tag_spend"}
    assert {name.removeprefix("agrees_") for name in checks if name.startswith("agrees_")} == wanted | {
        "lines_buyers"
    }
    assert all(check.passed for check in checks.values())


def test_a_tag_that_says_otherwise_keeps_the_report_from_being_published(shop: Shop) -> None:
    before = shop.served(BOTH[0])
    plant(
        shop,
        "tags/transaction",
        "SELECT * REPLACE (CAST(total_spend_3d + 1 AS DECIMAL(18,2)) AS total_spend_3d) FROM served",
    )
    outcomes = shop.run(select="reports/*")
    assert outcomes[BOTH[0]] == "refused"
    assert "agrees.tag.spend failed" in shop.reason(BOTH[0])
    assert "reports/r.yaml:" in shop.reason(BOTH[0])
    assert shop.served(BOTH[0]) == before


def test_a_person_counted_twice_is_noticed(shop: Shop) -> None:
    plant(shop, "tags/attribute", "SELECT * FROM served UNION ALL SELECT * FROM served WHERE person_id = 'C001'")
    assert shop.run(select="reports/*")[BOTH[0]] == "refused"
    assert "agrees.size.people failed: found 61, expected 60" in shop.reason(BOTH[0])


def test_an_audience_of_another_size_is_noticed(shop: Shop) -> None:
    plant(shop, "segments/women", "SELECT * FROM served UNION ALL BY NAME SELECT 'C999' AS person_id")
    assert shop.run(select="reports/*")[BOTH[0]] == "refused"
    assert "agrees.members.in_women failed: found 30, expected 31" in shop.reason(BOTH[0])


def test_a_held_tag_holds_the_reports_that_read_it_and_no_other(shop: Shop) -> None:
    rows = customers()
    rows.loc[3, "城市"] = "Atlantis"
    shop.write(customer_rows=rows)
    outcomes = shop.run(select="+reports/*")
    assert "tag city of tags/attribute is held" in shop.reason(BOTH[0])
    assert (outcomes[BOTH[0]], outcomes[BOTH[1]]) == ("refused", "reused")


def test_an_unchanged_report_is_not_computed_again_and_stands_in_the_views(shop: Shop) -> None:
    assert shop.run(select="reports/*") == dict.fromkeys(BOTH, "reused")
    with duckdb.connect(str(shop.setting.warehouse.root / "valtag.duckdb"), read_only=True) as con:
        assert con.sql("SELECT people FROM reports.city_conversion WHERE is_total").fetchall() == [(60,)]


def test_titles_meanings_and_units_are_comments_of_the_views(shop: Shop) -> None:
    with duckdb.connect(str(shop.setting.warehouse.root / "valtag.duckdb"), read_only=True) as con:
        tables = dict(con.sql("SELECT schema_name || '/' || view_name, comment FROM duckdb_views()").fetchall())
        rows = con.sql("SELECT schema_name, table_name, column_name, comment FROM duckdb_columns()").fetchall()
    columns = {(schema, table, column): said for schema, table, column, said in rows}
    assert tables["tags/transaction"] == "交易类 · Transaction"
    assert (
        columns["tags", "transaction", "total_spend_3d"] == "累计消费金额（近3天） · Cumulative spend (last 3 days)"
    )
    assert columns["reports", "city_conversion", "conversion"] == "转化率 · Conversion"
    assert columns["scores", "rfm", "rfm_tier"] == "分层 · Tier"
    assert columns["clean", "customers", "city"] == "城市 · city"


def test_other_words_reach_the_views_without_computing_anything_again(shop: Shop) -> None:
    before = shop.served("tags/transaction")
    path = shop.root / "catalog" / "tags" / "transaction.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("en: Orders", "en: Purchases"), encoding="utf-8")
    assert shop.run(select="tags/transaction")["tags/transaction"] == "reused"
    assert shop.served("tags/transaction") == before
    with duckdb.connect(str(shop.setting.warehouse.root / "valtag.duckdb"), read_only=True) as con:
        said = con.sql("SELECT comment FROM duckdb_columns() WHERE column_name = 'order_count'").fetchall()
    assert said == [("累计订单数 · Purchases",)]
