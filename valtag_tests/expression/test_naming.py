"""The naming law: what a code must say about its tag."""

import pytest

from valtag_assets.expression.naming import naming_faults
from valtag_assets.spec.tag import Tag
from valtag_tests.kit import tag

COUNT = {"fact": "orders", "agg": "count"}
LAST = {"fact": "orders", "agg": "last", "of": "x"}
MASTER = {"master": "members", "of": "x"}


def faults(code: str, kind: str, value: object) -> list[str]:
    return list(naming_faults(Tag.model_validate(tag(code, kind, value))))


@pytest.mark.parametrize(
    ("code", "kind", "value", "better"),
    [
        ("last_order", "timestamp", LAST, "call it 'last_order_at'"),
        ("order_time", "timestamp", LAST, "call it 'order_at'"),
        ("order_date", "timestamp", LAST, "call it 'order_at'"),
        ("birthday_at", "date", MASTER, "call it 'birthday_date'"),
        ("vip", "boolean", MASTER, "call it 'is_vip'"),
        ("update_at", "integer", MASTER, "must not end in _at or _date"),
        ("orders", "integer", COUNT, "call it 'orders_count'"),
        ("idle_days", "integer", {"fact": "orders", "agg": "days_since_last"}, "starts with days_since_"),
        ("x_count_30d", "integer", COUNT, "write code: x_count with windows: [30d]"),
        ("spend_before_30d", "integer", LAST, "write code: spend with windows: [before 30d]"),
        ("spend_mtd", "integer", LAST, "write code: spend with windows: [mtd]"),
        ("person_id", "text", MASTER, "is the key of every table of tags"),
    ],
)
def test_a_code_against_the_law_gets_a_better_one(code: str, kind: str, value: object, better: str) -> None:
    found = faults(code, kind, value)
    assert any(better in fault for fault in found), found
    assert all(f"'{code}'" in fault for fault in found)


@pytest.mark.parametrize(
    ("code", "kind", "value"),
    [
        ("last_order_at", "timestamp", LAST),
        ("birth_date", "date", MASTER),
        ("is_vip", "boolean", MASTER),
        ("has_app", "boolean", "x > 0"),
        ("active_days", "integer", COUNT),
        ("order_count", "integer", COUNT),
        ("days_since_last_order", "integer", {"fact": "orders", "agg": "days_since_last"}),
        ("avg_spend_30d", "integer", "spend_30d / order_count_30d"),
        ("category", "text", LAST),
    ],
)
def test_a_lawful_code_is_left_alone(code: str, kind: str, value: object) -> None:
    assert faults(code, kind, value) == []
