"""Personal values are published by tags that say so, and by nothing else."""

from typing import Any

import pytest

from valtag_tests.kit import MEMBERS, ORDERS, category, problems, tag

FILES = {
    "access.yaml": {"roles": {"analyst": "internal", "keeper": "pii"}},
    "sources/members.yaml": MEMBERS
    + "  - {name: phone, type: text, access: pii}\n  - {name: other_phone, type: text, access: pii}\n",
    "sources/orders.yaml": ORDERS + "  - {name: address, type: text, access: pii}\n",
}


def said(*tags: dict[str, Any], tmp_path: Any) -> list[str]:
    return problems(tmp_path, {**FILES, "tags/contact.yaml": category("contact", *tags)})


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("text", {"master": "members", "of": "phone"}),
        ("text", {"master": "members", "of": "coalesce(phone, city)"}),
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


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("text", {"master": "members", "of": "concat('+86', phone)"}),
        ("integer", {"master": "members", "of": "length(phone)"}),
        ("boolean", {"master": "members", "of": "phone = '13800000001'"}),
        ("boolean", {"master": "members", "of": "phone = city"}),
        ("boolean", {"master": "members", "of": "phone < other_phone"}),
        ("boolean", {"master": "members", "of": "starts_with(coalesce(phone, other_phone), '138')"}),
        ("integer", {"fact": "orders", "agg": "count", "where": "address like '%号'"}),
    ],
)
def test_nobody_looks_into_a_personal_text_outside_the_vault(tmp_path: Any, kind: str, value: Any) -> None:
    code = {"boolean": "is_shown", "integer": "shown_count"}.get(kind, "shown")
    (found,) = said(tag(code, kind, value, access="pii"), tmp_path=tmp_path)
    assert "stands for its value as a token" in found and "compute a field in its source (compute:)" in found


@pytest.mark.parametrize(
    "value",
    [
        {"fact": "orders", "agg": "min", "of": "address"},
        {"fact": "orders", "agg": "share", "of": "address", "equals": "人民路"},
    ],
)
def test_tokens_have_no_order_and_equal_no_written_text(tmp_path: Any, value: Any) -> None:
    kind = "float" if value["agg"] == "share" else "text"
    (found,) = said(tag("shown", kind, value, access="pii"), tmp_path=tmp_path)
    assert "personal texts, of which tokens are known only" in found


def test_two_personal_texts_are_compared_and_what_the_source_computes_is_free(tmp_path: Any) -> None:
    files = {
        **FILES,
        "sources/members.yaml": FILES["sources/members.yaml"]
        + "compute:\n"
        + "  - {name: has_mobile, type: boolean, value: \"starts_with(phone, '1')\"}\n"
        + '  - {name: area, type: text, value: "substring(phone, 1, 3)", access: sensitive}\n',
    }
    tags = (
        tag("phone", "text", {"master": "members", "of": "phone"}, access="pii"),
        tag("address", "text", {"fact": "orders", "agg": "last", "of": "address"}, access="pii"),
        tag("is_same", "boolean", "phone = address or nullif(phone, address) is null"),
        tag("has_mobile", "boolean", {"master": "members", "of": "has_mobile"}),
        tag("is_138", "boolean", {"master": "members", "of": "area = '138'"}),
    )
    assert problems(tmp_path, {**files, "tags/contact.yaml": category("contact", *tags)}) == []


def test_what_is_computed_of_a_personal_tag_is_personal(tmp_path: Any) -> None:
    phone = tag("phone", "text", {"master": "members", "of": "phone"}, access="pii")
    copied = "case when phone is null then 'none' else phone end"
    assert "'copy' publishes values of 'phone'" in str(said(phone, tag("copy", "text", copied), tmp_path=tmp_path))
