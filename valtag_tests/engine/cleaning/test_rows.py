from datetime import datetime
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from valtag_assets.engine.cleaning.judge import clean_schema
from valtag_assets.engine.cleaning.rows import LookupTable
from valtag_assets.spec.types import FLOAT, INTEGER, TEXT
from valtag_tests.engine.cleaning.cleaned import clean, source

ORDER_FIELDS = [
    {"name": "uid", "type": "text"},
    {"name": "order_id", "type": "text"},
    {"name": "paid_at", "type": "timestamp"},
    {"name": "amount", "type": "decimal(18,2)"},
]
ORDERS = {"kind": "fact", "person": "uid", "time": "paid_at", "key": "order_id"}


def orders(rows, **settings):
    """Clean (uid, order_id, paid_at, amount) rows of a fact."""
    columns = {field["name"]: [row[n] for row in rows] for n, field in enumerate(ORDER_FIELDS)}
    outcome = clean(source(ORDER_FIELDS, **{**ORDERS, **settings}), columns)
    assert outcome.account.balanced
    return outcome


def lookup(folder, types, **columns):
    file = folder / "lookup.parquet"
    pq.write_table(pa.table(columns), file)
    return LookupTable([file], "product", types)


def test_a_row_without_person_or_time_goes_to_quarantine():
    outcome = orders([("1", "a", "2024-01-01", "5"), (None, "b", "2024-01-01", "5"), ("1", "c", "", "5")])
    assert outcome.rules() == {2: "uid.required", 3: "paid_at.required"}
    assert outcome.column("order_id") == ["a"]


def test_a_drop_rule_may_filter_rows_without_a_person():
    guests = [{"name": "guests", "where": "uid is null"}]
    rows = [(None, "a", "2024-01-01", "5"), (None, "b", "2024-01-01", "x"), ("1", "c", "2024-01-01", "5")]
    outcome = orders(rows, drop=guests)
    assert outcome.rules() == {2: "amount.invalid"}
    assert outcome.account.filtered == 1
    assert outcome.column("order_id") == ["c"]


def test_a_fact_is_sorted_by_person_time_and_key():
    rows = [("2", "c", "2024-01-02", "1"), ("1", "b", "2024-01-03", "1"), ("1", "a", "2024-01-03", "1")]
    outcome = orders([*rows, ("10", "d", "2024-01-01", "1"), ("1", "z", "2024-01-01", "1")])
    assert outcome.column("order_id") == ["z", "a", "b", "d", "c"]
    assert outcome.data_until == datetime(2024, 1, 3)


def test_data_until_is_the_latest_time_of_clean_rows_only():
    outcome = orders([("1", "a", "2024-01-01 10:00", "1"), (None, "b", "2030-01-01", "1")])
    assert outcome.data_until == datetime(2024, 1, 1, 10)


def test_the_first_rule_that_catches_a_row_is_the_one_reported():
    refuse = [{"name": "big", "where": "amount > 100"}, {"name": "negative", "where": "amount < 0"}]
    drop = [{"name": "cancelled", "where": "order_id like 'C%'"}]
    rows = [("1", "C1", "2024-01-01", "x"), ("1", "C2", "2024-01-01", "500"), ("1", "C3", "2024-01-01", "5")]
    outcome = orders([*rows, ("1", "a", "2024-01-01", "-5"), ("1", "b", "2024-01-01", "5")], refuse=refuse, drop=drop)
    assert outcome.rules() == {1: "amount.invalid", 2: "refuse.big", 4: "refuse.negative"}
    assert outcome.column("order_id") == ["b"]
    account = outcome.account
    assert (account.rows_in, account.clean, account.quarantined, account.filtered) == (5, 1, 3, 1)
    assert account.by_rule == {
        "amount.invalid": 1,
        "drop.cancelled": 1,
        "refuse.big": 1,
        "refuse.negative": 1,
    }


def test_a_condition_on_a_missing_value_catches_nothing():
    outcome = orders([("1", "a", "2024-01-01", None)], refuse=[{"name": "big", "where": "amount > 100"}])
    assert outcome.column("amount") == [None]


def test_equal_keys_are_one_row_and_the_stated_order_says_which():
    rows = [("1", "a", "2024-01-01", "1"), ("1", "a", "2024-01-03", "3"), ("1", "a", "2024-01-02", "2")]
    first = orders(rows, deduplicate={"key": ["order_id"]})
    assert first.column("amount") == [Decimal(1)]
    latest = orders(rows, deduplicate={"key": ["order_id"], "order": ["paid_at desc"]})
    assert latest.column("amount") == [Decimal(3)]
    assert latest.account.merged == 2


def test_a_known_value_wins_over_a_missing_one_in_either_direction():
    rows = [("1", "a", "2024-01-01", None), ("1", "a", "2024-01-01", "3")]
    for order in ("amount", "amount asc", "amount desc"):
        outcome = orders(rows, deduplicate={"key": ["order_id"], "order": [order]})
        assert outcome.column("amount") == [Decimal(3)]


def test_rows_with_a_missing_key_are_never_merged():
    rows = [("1", None, "2024-01-01", "1"), ("1", None, "2024-01-01", "1")]
    assert orders(rows, deduplicate={"key": ["order_id"]}).account.merged == 0


def test_equal_rows_stay_apart_unless_a_key_says_they_are_one():
    rows = [("1", "a", "2024-01-01", "1")] * 2
    assert orders(rows).account.clean == 2


def test_a_refused_row_does_not_hide_a_good_one_with_the_same_key():
    rows = [("1", "a", "2024-01-01", "x"), ("1", "a", "2024-01-01", "2")]
    assert orders(rows, deduplicate={"key": ["order_id"]}).column("amount") == [Decimal(2)]


def test_an_order_that_names_no_field_is_a_mistake():
    with pytest.raises(ValueError, match="'when desc' is no field"):
        orders([("1", "a", "2024-01-01", "1")], deduplicate={"key": ["order_id"], "order": ["when desc"]})


def test_a_master_has_one_row_per_person():
    fields = [{"name": "uid", "type": "text"}, {"name": "city", "type": "text"}]
    spec = source(fields, kind="master", person="uid", key=[])
    outcome = clean(spec, {"uid": ["2", "1", "1", None], "city": ["x", "上海", "北京", "y"]})
    assert [(row["uid"], row["city"]) for row in outcome.rows] == [("1", "上海"), ("2", "x")]
    assert outcome.account.merged == 1
    assert outcome.data_until is None


def test_a_lookup_brings_its_columns_and_never_multiplies_rows(tmp_path):
    types = {"product": TEXT, "brand": TEXT, "weight": FLOAT}
    known = lookup(tmp_path, types, product=["p1", "p2"], brand=["华为", None], weight=[1.5, 2.0])
    fields = [{"name": "n", "type": "integer"}, {"name": "item", "type": "text"}]
    spec = source(fields, lookups=[{"source": "products", "on": "item", "take": ["brand", "weight"]}])
    columns = {"n": ["1", "2", "3", "4"], "item": ["p1", "p2", "p9", None]}
    outcome = clean(spec, columns, lookups={"products": known})
    assert outcome.column("brand") == ["华为", None, None, None]
    assert outcome.column("weight") == [1.5, 2.0, None, None]
    assert (
        outcome.schema.names == list(clean_schema(spec, types)) == ["n", "item", "brand", "weight", "_file", "_row"]
    )


def test_a_lookup_that_is_not_unique_after_all_stops_the_run(tmp_path):
    known = lookup(tmp_path, {"product": TEXT, "brand": TEXT}, product=["p1", "p1"], brand=["a", "b"])
    fields = [{"name": "n", "type": "integer"}, {"name": "item", "type": "text"}]
    spec = source(fields, lookups=[{"source": "products", "on": "item", "take": ["brand"]}])
    with pytest.raises(AssertionError, match="1 rows were read, but 2 judged"):
        clean(spec, {"n": ["1"], "item": ["p1"]}, lookups={"products": known})


def test_a_lookup_by_a_key_of_another_type_is_a_mistake(tmp_path):
    known = lookup(tmp_path, {"product": INTEGER, "brand": TEXT}, product=[1], brand=["a"])
    fields = [{"name": "n", "type": "integer"}, {"name": "item", "type": "text"}]
    spec = source(fields, lookups=[{"source": "products", "on": "item", "take": ["brand"]}])
    with pytest.raises(ValueError, match="give both fields the same type"):
        clean(spec, {"n": ["1"], "item": ["1"]}, lookups={"products": known})
    with pytest.raises(ValueError, match="has not been cleaned"):
        clean(spec, {"n": ["1"], "item": ["1"]}, lookups={})


def test_computed_fields_may_read_lookups_and_each_other_and_be_refused(tmp_path):
    known = lookup(tmp_path, {"product": TEXT, "price": FLOAT}, product=["p1"], price=[2.5])
    fields = [
        {"name": "n", "type": "integer"},
        {"name": "item", "type": "text"},
        {"name": "qty", "type": "integer"},
    ]
    spec = source(
        fields,
        lookups=[{"source": "products", "on": "item", "take": ["price"]}],
        compute=[
            {"name": "amount", "type": "decimal(4,2)", "value": "price * qty"},
            {"name": "twice", "type": "decimal(4,2)", "value": "amount * 2"},
        ],
        refuse=[{"name": "too_much", "where": "twice > 50"}],
    )
    columns = {"n": ["1", "2", "3"], "item": ["p1", "p1", "p1"], "qty": ["3", "11", "100"]}
    outcome = clean(spec, columns, lookups={"products": known})
    assert (outcome.column("amount"), outcome.column("twice")) == ([Decimal("7.50")], [Decimal("15.00")])
    assert outcome.rules() == {2: "refuse.too_much", 3: "amount.invalid"}
    assert outcome.schema.field("twice").type == pa.decimal128(4, 2)


def test_a_clean_row_cannot_depend_on_the_as_of_date():
    with pytest.raises(ValueError, match="must not depend on the as-of"):
        orders([("1", "a", "2024-01-01", "1")], drop=[{"name": "old", "where": "days_since(paid_at) > 30"}])


def test_the_person_may_be_a_computed_field():
    spec = source(
        [{"name": "phone", "type": "text"}, {"name": "at", "type": "date"}],
        kind="fact", person="uid", time="at", key=[],
        compute=[{"name": "uid", "type": "text", "value": "upper(phone)"}],
    )  # fmt: skip
    outcome = clean(spec, {"phone": ["a", None], "at": ["2024-01-01", "2024-01-02"]})
    assert outcome.column("uid") == ["A"]
    assert outcome.rules() == {2: "uid.required"}
    assert outcome.data_until == datetime(2024, 1, 1)


def test_repaired_values_are_counted_by_rule_in_rows_that_stay():
    fields = [
        {"name": "n", "type": "integer"},
        {"name": "age", "type": "integer", "invalid": "null", "bounds": {"min": 0, "otherwise": "null"}},
        {"name": "sex", "type": "text", "values": {"M": "male"}, "unknown": "null"},
        {"name": "paid", "type": "boolean"},
    ]
    columns = {
        "n": ["1", "2", "3", "4", "5"],
        "age": ["x", "-5", "30", "x", "y"],
        "sex": ["M", "?", "", "?", "M"],
        "paid": ["1", "1", "1", "maybe", "0"],
    }
    outcome = clean(source(fields), columns)
    assert outcome.account.repaired == {"age.invalid": 2, "age.bounds": 1, "sex.unknown_value": 1}
    assert outcome.account.by_rule == {"paid.invalid": 1}
    assert outcome.account.to_json()["repaired"]["age.bounds"] == 1


def test_a_field_that_the_table_does_not_have_is_a_mistake():
    with pytest.raises(ValueError, match="has no column 'amount'"):
        clean(source([{"name": "n", "type": "integer"}, {"name": "amount", "type": "text"}]), {"n": ["1"]})
