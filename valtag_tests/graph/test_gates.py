"""Wrong data never reaches an audience; the last good data stay served."""

from datetime import timedelta

import pandas as pd

from valtag_assets.graph.health import table_health
from valtag_assets.graph.jobs import DAILY, DERIVE, INTAKE, REFRESH
from valtag_tests.graph.shop import AS_OF, FILES, Shop, customers, orders, results_of


def poisoned_orders() -> pd.DataFrame:
    """An export gone wrong: every second amount is negative, so half the rows are refused."""
    rows = orders()
    rows.loc[rows.index % 2 == 0, "amount"] = "-5"
    return rows


def inflated_orders() -> pd.DataFrame:
    """Amounts in fen instead of yuan: each row is plausible, the table is not."""
    rows = orders()
    rows["amount"] = (rows["amount"].astype(float) * 100).round(2).astype(str)
    return rows


def poisoned_cities() -> pd.DataFrame:
    rows = customers()
    rows.loc[3, "城市"] = "Atlantis'; DROP TABLE x; --"
    return rows


def test_sound_tables_publish_everything(ran: Shop) -> None:
    assert {row.state for row in table_health(ran.setting)} == {"ok"}
    assert set(ran.rows("segments/shanghai")["person_id"]) == {f"C{n:03d}" for n in range(1, 61) if n % 3 == 0}
    assert len(ran.rows("tags/transaction")) == 60


def test_a_refused_source_keeps_the_last_good_tags_and_stops_what_reads_them(ran: Shop) -> None:
    before = ran.served("tags/transaction")
    ran.write(order_rows=poisoned_orders())

    outcomes = ran.run()

    assert outcomes["clean/orders"] == "refused"
    assert "quarantined" in ran.reason("clean/orders")
    for table in ("tags/transaction", "scores/rfm", "segments/spenders", "segments/recent", "segments/quiet_women"):
        assert outcomes.get(table) in ("refused", None), table
    assert outcomes["segments/women"] in ("published", "reused")
    assert outcomes["segments/shanghai"] in ("published", "reused")
    assert ran.served("tags/transaction") == before


def test_a_refused_source_stops_its_readers_in_later_runs_too(ran: Shop) -> None:
    ran.write(order_rows=poisoned_orders())
    ran.run(job=INTAKE)

    outcomes = ran.run(job=DERIVE)

    assert outcomes["tags/transaction"] == "refused"
    assert "clean/orders was refused" in ran.reason("tags/transaction")
    assert "segments/spenders" not in outcomes or outcomes["segments/spenders"] == "refused"
    assert outcomes["segments/women"] == "reused"


def test_one_run_of_everything_lets_attribute_audiences_go_on(ran: Shop) -> None:
    ran.write(order_rows=poisoned_orders(), customer_rows=customers().assign(性别="女"))

    outcomes = ran.run(job=REFRESH)

    assert outcomes["clean/orders"] == "refused"
    assert outcomes["segments/women"] == "published"
    assert len(ran.rows("segments/women")) == 60
    assert outcomes.get("segments/spenders") in (None, "refused")


def test_a_tag_whose_level_jumps_is_held_and_so_are_its_readers_only(ran: Shop) -> None:
    spenders = ran.served("segments/spenders")
    ran.write(order_rows=inflated_orders())

    outcomes = ran.run()

    assert outcomes["tags/transaction"] == "published"
    held = ran.served("tags/transaction")
    assert held is not None
    assert held.held == {"total_spend", "total_spend_3d"}
    assert outcomes["segments/spenders"] == "refused"
    assert outcomes["scores/rfm"] == "refused"
    assert "total_spend" in ran.reason("segments/spenders")
    assert outcomes["segments/quiet_women"] in ("published", "reused")
    assert ran.served("segments/spenders") == spenders


def test_a_poisoned_city_holds_exactly_the_segments_reading_city(ran: Shop) -> None:
    ran.write(customer_rows=poisoned_cities())

    outcomes = ran.run()

    held = ran.served("tags/attribute")
    assert held is not None
    assert held.held == {"city"}
    assert outcomes["segments/shanghai"] == "refused"
    others = ("women", "spenders", "recent", "quiet_women")
    assert all(outcomes[f"segments/{code}"] in ("published", "reused") for code in others)


def test_a_warning_holds_nothing(ran: Shop) -> None:
    ran.write(customer_rows=customers().assign(性别=["女"] * 20 + [None] * 40))

    outcomes = ran.run(select="+segments/women")

    snapshot = ran.served("tags/attribute")
    assert snapshot is not None
    assert [v.check for v in snapshot.verdicts if not v.passed] == ["gender.coverage"]
    assert snapshot.held == frozenset()
    assert outcomes["tags/attribute"] == outcomes["segments/women"] == "published"
    assert len(ran.rows("segments/women")) == 20


def test_repaired_data_release_everything_without_manual_steps(ran: Shop) -> None:
    ran.write(order_rows=poisoned_orders(), customer_rows=poisoned_cities())
    ran.run()
    ran.write()

    outcomes = ran.run()

    assert set(outcomes.values()) <= {"published", "reused"}
    assert ran.setting.warehouse.blocked(ran.served("tags/transaction").table, None) is None  # type: ignore[union-attr]


def test_nothing_is_recomputed_when_nothing_changed(ran: Shop) -> None:
    assert set(ran.run().values()) == {"reused"}


def test_rewording_the_catalog_recomputes_nothing(ran: Shop) -> None:
    ran.files = {**FILES, "tags/attribute.yaml": FILES["tags/attribute.yaml"].replace("Gender", "Sex")}
    ran.write()
    assert set(ran.run().values()) == {"reused"}


def test_a_changed_rule_recomputes_what_it_touches(ran: Shop) -> None:
    changed = FILES["segments/audiences.yaml"].replace("total_spend > 100", "total_spend > 10")
    ran.files = {**FILES, "segments/audiences.yaml": changed}
    ran.write()
    outcomes = ran.run()
    assert [table for table, outcome in outcomes.items() if outcome == "published"] == ["segments/spenders"]


def test_a_missing_source_file_is_refused_by_name_and_the_rest_goes_on(ran: Shop) -> None:
    (ran.root / "catalog/data/orders.csv").unlink()

    outcomes = ran.run()

    assert outcomes["clean/orders"] == "refused"
    assert "orders*.csv" in ran.reason("clean/orders")
    assert outcomes["tags/transaction"] == "refused"
    assert outcomes["segments/women"] == "reused"


def test_a_vanished_column_is_refused_by_name(ran: Shop) -> None:
    ran.write(customer_rows=customers().rename(columns={"城市": "City"}))

    outcomes = ran.run(job=INTAKE)

    assert outcomes["clean/customers"] == "failed"
    assert "城市" in ran.reason("clean/customers")


def test_an_emptied_table_is_refused(ran: Shop) -> None:
    ran.write(order_rows=orders().iloc[:0])
    outcomes = ran.run(job=INTAKE)
    assert outcomes["clean/orders"] == "refused"
    assert "rows" in ran.reason("clean/orders")


def test_the_gate_says_in_dagster_which_input_is_at_fault(ran: Shop) -> None:
    ran.write(customer_rows=poisoned_cities())
    ran.run(select="+segments/shanghai")

    gate = results_of(ran.events, "segments/shanghai")["inputs"]
    city = results_of(ran.events, "tags/attribute")["city"]

    assert not gate.passed
    assert "tag city of tags/attribute is held" in gate.description
    assert not city.passed
    assert city.metadata["unexpected_count"].value == 1
    sample = city.metadata["sample (masked)"].value
    assert "C004" not in sample
    assert sample


def test_the_daily_job_leaves_on_demand_categories_alone_and_reads_their_newest(ran: Shop) -> None:
    next_day = AS_OF + timedelta(days=1)

    outcomes = ran.run(next_day, job=DAILY, select="+segments/quiet_women")

    assert "tags/attribute" not in outcomes
    assert outcomes["segments/quiet_women"] == "published"
    quiet = ran.served("segments/quiet_women", next_day)
    attribute = ran.served("tags/attribute", AS_OF)
    assert quiet is not None
    assert attribute is not None
    assert quiet.inputs["tags/attribute"] == attribute.id


def test_what_rests_on_a_refused_table_is_stale_in_the_health_table(ran: Shop) -> None:
    ran.write(order_rows=poisoned_orders())
    ran.run(job=INTAKE)

    states = {row.table: row for row in table_health(ran.setting)}

    assert states["clean/orders"].state == "refused, last good served"
    for table in ("tags/transaction", "scores/rfm", "segments/spenders", "segments/quiet_women"):
        assert states[table].state == "stale", table
    assert "clean/orders" in states["tags/transaction"].reason
    assert states["segments/women"].state == "ok"


DERIVED = """
  - code: spend_tier
    title: {zh: 消费档, en: Spend tier}
    type: text
    band:
      of: total_spend
      steps:
        - {code: low, title: {zh: 低, en: Low}}
        - {code: high, from: 100, title: {zh: 高, en: High}}
  - code: is_big_spender
    title: {zh: 大额客户, en: Big spender}
    type: boolean
    value: spend_tier = 'high'
laws:"""
VALUE = """
category: value
title: {zh: 价值类, en: Value}
tags:
  - code: spend_per_order
    title: {zh: 单均消费金额, en: Spend per order}
    type: decimal(18,2)
    value: round(total_spend / order_count, 2)
  - code: is_buyer
    title: {zh: 已购, en: Buyer}
    type: boolean
    value: order_count > 0
"""


def test_a_held_tag_holds_every_tag_that_rests_on_it_in_any_category(ran: Shop) -> None:
    transaction = FILES["tags/transaction.yaml"].replace("\nlaws:", DERIVED)
    segments = FILES["segments/audiences.yaml"] + (
        "  - {code: big, title: {zh: 大额, en: Big}, rule: is_big_spender}\n"
        "  - {code: dear, title: {zh: 高客单, en: Dear}, rule: spend_per_order > 50}\n"
        "  - {code: buyers, title: {zh: 已购, en: Buyers}, rule: is_buyer}\n"
    )
    files = {"tags/transaction.yaml": transaction, "tags/value.yaml": VALUE, "segments/audiences.yaml": segments}
    ran.files = {**FILES, **files}
    ran.write()
    audiences = "+segments/big +segments/dear +segments/buyers"
    assert set(ran.run(select=audiences).values()) == {"published", "reused"}
    ran.write(order_rows=inflated_orders())

    outcomes = ran.run(select=audiences)

    transactions, value = ran.served("tags/transaction"), ran.served("tags/value")
    assert transactions is not None
    assert value is not None
    assert transactions.held == {"total_spend", "total_spend_3d", "spend_tier", "is_big_spender"}
    assert value.held == {"spend_per_order"}
    assert outcomes["segments/big"] == "refused"
    assert outcomes["segments/dear"] == "refused"
    assert outcomes["segments/buyers"] in ("published", "reused")


def test_a_held_level_is_never_what_the_repaired_one_is_measured_by(ran: Shop) -> None:
    ran.write(order_rows=inflated_orders())
    assert ran.run(select="+segments/spenders")["segments/spenders"] == "refused"
    ran.write()

    outcomes = ran.run(select="+segments/spenders")

    repaired = ran.served("tags/transaction")
    assert repaired is not None
    assert repaired.held == frozenset()
    assert outcomes["segments/spenders"] in ("published", "reused")


def test_the_account_is_of_this_load_even_when_the_quarantine_stays_empty(shop: Shop) -> None:
    shop.write(order_rows=orders().iloc[:40])
    shop.run(job=INTAKE)
    shop.write()
    shop.run(job=INTAKE)
    quarantine = shop.served("quarantine/orders", None)
    assert quarantine is not None
    assert quarantine.metrics["account"]["rows_in"] == len(orders())
