"""Personal values are published by tags that say so, and by nothing else."""

from typing import Any

import pytest

from valtag_tests.kit import MEMBERS, ORDERS, category, problems, tag

FILES = {
    "access.yaml": {"roles": {"analyst": "internal", "keeper": "pii"}},
    "sources/members.yaml": MEMBERS + "  - {name: phone, type: text, access: pii}\n",
    "sources/orders.yaml": ORDERS + "  - {name: address, type: text, access: pii}\n",
}


def said(*tags: dict[str, Any], tmp_path: Any) -> list[str]:
    return problems(tmp_path, {**FILES, "tags/contact.yaml": category("contact", *tags)})


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("text", {"master": "members", "of": "phone"}),
        ("text", {"master": "members", "of": "concat('+86', phone)"}),
        ("text", {"master": "members", "of": "case when is_vip then phone else city end"}),
        ("text", {"fact": "orders", "agg": "last", "of": "address"}),
        ("text", {"fact": "orders", "agg": "top", "of": "address"}),
    ],
)
def test_a_tag_that_shows_a_personal_value_says_so(tmp_path: Any, kind: str, value: Any) -> None:
    open_one = said(tag("shown", kind, value), tmp_path=tmp_path / "open")
    assert len(open_one) == 1 and "is personal (access: pii)" in open_one[0], open_one
    assert said(tag("shown", kind, value, access="pii"), tmp_path=tmp_path / "told") == []


@pytest.mark.parametrize(
    ("code", "kind", "value"),
    [
        ("has_phone", "boolean", {"master": "members", "of": "phone is not null"}),
        ("reach", "text", {"master": "members", "of": "case when phone is null then 'no' else 'yes' end"}),
        ("address_count", "integer", {"fact": "orders", "agg": "count_distinct", "of": "address"}),
        ("town", "text", {"master": "members", "of": "city"}),
    ],
)
def test_a_tag_that_shows_no_value_of_it_may_read_it(tmp_path: Any, code: str, kind: str, value: Any) -> None:
    assert said(tag(code, kind, value), tmp_path=tmp_path) == []


def test_what_is_computed_of_a_personal_tag_is_personal(tmp_path: Any) -> None:
    phone = tag("phone", "text", {"master": "members", "of": "phone"}, access="pii")
    copied = "case when phone is null then 'none' else phone end"
    assert "'copy' publishes values of 'phone'" in str(said(phone, tag("copy", "text", copied), tmp_path=tmp_path))
