"""Cleaning the dirty tables of the mall gives the truth they were made from, and accounts for every row."""

import duckdb
import pytest

from valtag_assets.delivery.outbox import Outbox, ledger_file
from valtag_tests.golden.published import Published, differences

# What a visitor is known by depends on where.
VISITORS = ", ".join(
    f"CASE WHEN channel = '{channel}' THEN visitor_id END AS {kind}"
    for channel, kind in (("MINI", "openid"), ("APP", "device_id"), ("WEB", "cookie"))
)
# Clean table → the truth, in the clean table's own columns.
TRUTH = {
    "members": """
        SELECT member_no, name, gender, birth_date, city, phone, channel, registered_at, level, points, updated_at
        FROM true_members""",
    "orders": """
        SELECT order_id, line_no, member_no, phone, order_time AS ordered_at, channel, store, sku, qty AS quantity,
            amount, currency, status, campaign_id, brand, category
        FROM true_lines""",
    "events": f"""
        SELECT event_id, member_no, visitor_id, event_time AS happened_at, event_type, category, brand, channel,
            session_id, dwell_seconds, {VISITORS}
        FROM true_events""",
    "events_legacy": f"""
        SELECT event_id, member_no, visitor_id, event_time AS happened_at, event_type, category, brand, channel,
            session_id, dwell_seconds, {VISITORS}
        FROM true_legacy_events""",
    "campaign_responses": """
        SELECT campaign_id, member_no, touch, action, action_time AS responded_at, type AS campaign_type
        FROM true_responses JOIN campaigns USING (campaign_id)""",
    "logins": """
        SELECT channel, member_no, phone, openid, device_id, cookie, seen_at
        FROM true_logins""",
    "products": """
        SELECT sku, name AS product, brand, category, price AS list_price, launched_on
        FROM products""",
}
# What the systems say about a value, and which product row is the latest: of use to cleaning alone.
NOT_IN_THE_TRUTH = {"orders": {"amount_unit"}, "products": {"updated_on"}}

# (table of the truth, kind of dirt) → the rows of the quarantine that are of this kind.
REFUSED = {
    ("crm_members", "missing_member_no"): "rule = 'member_no.required'",
    ("orders", "malformed_time"): r"rule = 'ordered_at.invalid' AND NOT regexp_matches(value, '^\d\d-')",
    ("orders", "two_digit_year"): r"rule = 'ordered_at.invalid' AND regexp_matches(value, '^\d\d-')",
    ("orders", "cut_line"): "rule = 'unreadable'",
    ("orders", "amount_outlier"): "rule = 'amount.outlier'",
    ("orders", "unknown_unit"): "rule = 'amount.unit' AND json_extract_string(record, '$.amount_unit') = '厘'",
    ("orders", "unknown_status"): "rule = 'status.unknown_value' AND value = 'ERR99'",
    ("orders", "missing_amount"): "rule = 'amount.required'",
    ("events", "zero_time"): "rule = 'refuse.before_2000'",
    ("events_legacy", "zero_time"): "rule = 'refuse.before_2000'",
    ("campaign_responses", "malformed_time"): "rule = 'responded_at.invalid'",
}
FILTERED = {
    ("crm_members", "test_member"): "drop.test_accounts",
    ("orders", "guest_order"): "drop.guests",
    ("orders", "test_store"): "drop.test_store",
    ("events", "heartbeat"): "drop.heartbeats",
    ("events_legacy", "heartbeat"): "drop.heartbeats",
    ("campaign_responses", "missing_member"): "drop.no_member",
}
SOURCES = {"crm_members": "members", "web_members": "logins"}
"""Where a source of the catalog is not called as the table of the truth."""


def injected(truth: duckdb.DuckDBPyConnection, action: str) -> dict[tuple[str, str], int]:
    rows = truth.execute('SELECT "table", kind, rows FROM dirt WHERE action = ?', [action]).fetchall()
    return {(table, kind): count for table, kind, count in rows}


def test_every_table_is_published_and_every_check_passes(mall: Published) -> None:
    assert {table: done for table, done in mall.done.items() if done.outcome != "published"} == {}
    failed = [v for table in mall.done for v in mall.snapshot(table).verdicts if not v.passed]
    assert {(v.check, v.severity) for v in failed} == {("strangers", "warn")}  # visitors who never signed in


def test_the_trigger_enters_its_audience_and_both_of_its_actions_are_planned(mall: Published) -> None:
    entries = mall.rows("triggers/silent_valuable").set_index("person_id")
    assert set(entries.index) == set(mall.rows("segments/high_value_silent")["person_id"])
    planned = set(entries[entries["decision"] == "planned"].index)
    with Outbox.open(ledger_file(mall.setting.warehouse)) as outbox:
        messages = outbox.read(origin="silent_valuable").to_pandas()
    treated = messages[messages["arm"] == "treated"]
    reached = {step: set(own["person_id"]) for step, own in treated.groupby("step")}
    assert reached == {"sms": planned, "adviser": planned}
    assert set(treated["state"]) == {"sent"}


@pytest.mark.parametrize("source", sorted(TRUTH))
def test_clean_rows_are_the_truth_cell_for_cell(
    mall: Published, truth: duckdb.DuckDBPyConnection, source: str
) -> None:
    expected = truth.sql(TRUTH[source])
    own = {name for name, _ in mall.snapshot(f"clean/{source}").columns if not name.startswith("_")}
    assert own - NOT_IN_THE_TRUTH.get(source, set()) == set(expected.columns)
    columns = ", ".join(expected.columns)
    published = f"SELECT {columns} FROM {mall.scan(f'clean/{source}')}"
    assert truth.sql(published).count("*").fetchall() != [(0,)]
    assert differences(truth, published, TRUTH[source]) == []


def test_every_person_is_a_member_of_the_truth(mall: Published, truth: duckdb.DuckDBPyConnection) -> None:
    persons = f"SELECT person_id FROM {mall.scan('identity/persons')}"
    assert differences(truth, persons, "SELECT person_id FROM persons") == []


def test_the_accounts_are_those_of_the_generator(mall: Published, truth: duckdb.DuckDBPyConnection) -> None:
    expected = truth.sql("FROM row_counts").fetchall()
    assert len(expected) == 7
    for table, *counts in expected:
        account = mall.account(SOURCES.get(table, table))
        found = [account[name] for name in ("rows_in", "clean", "quarantined", "filtered", "merged")]
        assert found == counts, table


def test_the_quarantine_holds_each_kind_of_dirt_as_often_as_it_was_injected(
    mall: Published, truth: duckdb.DuckDBPyConnection
) -> None:
    expected = injected(truth, "quarantine")
    assert set(REFUSED) == set(expected)
    assert [kind for kind, count in expected.items() if count == 0] == [("events_legacy", "zero_time")]
    found = {}
    for (table, kind), condition in REFUSED.items():
        rows = mall.scan(f"quarantine/{SOURCES.get(table, table)}")
        found[table, kind] = truth.execute(f"SELECT count(*) FROM {rows} WHERE {condition}").fetchall()[0][0]
    assert found == expected


def test_unwanted_rows_are_counted_by_the_rule_that_dropped_them(
    mall: Published, truth: duckdb.DuckDBPyConnection
) -> None:
    expected = injected(truth, "filter")
    assert set(FILTERED) == set(expected)
    found = {
        (table, kind): mall.account(SOURCES.get(table, table))["by_rule"].get(rule, 0)
        for (table, kind), rule in FILTERED.items()
    }
    assert found == expected
