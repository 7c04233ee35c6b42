"""identity.yaml: every name in it is met, and its rules can be kept."""

from pathlib import Path
from typing import Any

import pytest

from valtag_tests.kit import make_catalog, problems

MEMBER = {"code": "member", "title": {"zh": "会员", "en": "Member"}}
PHONE = {"code": "phone", "title": {"zh": "手机", "en": "Phone"}, "normalise": "phone", "limit": 5}
SOURCES = {"members": {"member": "member"}, "orders": {"member": "member", "brand": "phone"}}
SUGGEST = {"source": "members", "fields": {"city": "name", "born": "date"}, "among": [["city"]]}


def identity(**more: Any) -> dict[str, Any]:
    return {"identity.yaml": {"kinds": [MEMBER, PHONE], "sources": SOURCES, **more}}


def test_identifiers_are_in_order_of_strength_and_a_source_needs_no_person(tmp_path: Path) -> None:
    orders = {"sources/orders.yaml": None}
    visits = "source: visits\ntitle: {zh: v, en: v}\nkind: fact\ntime: at\nread: {path: v.csv}\nfields:\n"
    visits += "".join(f"  - {{name: {name}, type: text}}\n" for name in "abc") + "  - {name: at, type: timestamp}\n"
    sources = {"members": {"member": "member"}, "visits": {"a": "phone", "b": "member", "c": "phone"}}
    resolved = make_catalog(tmp_path, {**identity(sources=sources), **orders, "sources/visits.yaml": visits})
    assert resolved.identity is not None and resolved.sources["visits"].keyed
    named = [(field, slot.name) for field, slot in resolved.identity.fields["visits"]]
    assert named == [("b", "k0_0"), ("a", "k1_0"), ("c", "k1_1")]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"sources": {**SOURCES, "order": {"x": "phone"}}}, "'order' is no source; did you mean 'orders'?"),
        (
            {"sources": {"members": {"membr": "member"}, "orders": SOURCES["orders"]}},
            "'membr' is no field of members",
        ),
        (
            {"sources": {"members": {"born": "member"}, "orders": SOURCES["orders"]}},
            "an identifier is text or integer",
        ),
        ({"sources": {**SOURCES, "members": {"member": "phon"}}}, "'phon' is no kind of identifier; did you mean"),
        ({"sources": {"members": {"member": "member"}}}, "source 'orders' has persons: name its identifiers"),
        ({"apart": {"membr": {}}}, "'membr' is no kind of identifier"),
        ({"apart": {"phone": {}}}, "'member' is stronger than 'phone' and would join its keys"),
        ({"kinds": [{**MEMBER, "limit": 3}, PHONE]}, "'member' is the strongest kind"),
        ({"kinds": [MEMBER, PHONE, {**PHONE, "code": "full_name"}]}, "names never make two rows one person"),
        ({"kinds": [MEMBER, {**PHONE, "code": "person"}]}, "stands for the ids that valtag gives"),
        (
            {"sources": {**SOURCES, "members": {"member": "person", "points": "person"}}},
            "'members' says twice which person a row is of",
        ),
        ({"channels": {"order": "channel"}}, "'order' has no identifiers here; did you mean 'orders'?"),
        ({"channels": {"orders": "chanel"}}, "'chanel' is no field of orders; did you mean 'channel'?"),
        ({"channels": {"orders": "amount"}}, "name a text field that is public or internal"),
        ({"channels": {"orders": {}}}, "a channel is a field of the source, or {name: …}"),
        ({"suggest": {**SUGGEST, "source": "orders"}}, "'orders' is no master with identifiers"),
        (
            {"suggest": {**SUGGEST, "fields": {"city": "name", "borm": "date"}}},
            "'borm' is no field of members; did you mean 'born'?",
        ),
        ({"suggest": {**SUGGEST, "fields": {"city": "date", "born": "date"}}}, "it can't be compared as a date"),
        ({"suggest": {**SUGGEST, "among": [["points"]]}}, "'points' is none of its fields"),
        ({"kinds": [MEMBER, {**PHONE, "valid_for": "half a year"}]}, "write so many days as 180d"),
        ({"kinds": [MEMBER, {**PHONE, "normalize": "phone"}]}, "unknown key 'normalize'; did you mean 'normalise'?"),
    ],
)
def test_a_mistake_is_told_with_what_was_probably_meant(tmp_path: Path, more: dict[str, Any], said: str) -> None:
    (found,) = problems(tmp_path, identity(**more))
    assert found.startswith("identity.yaml:") and said in found


def test_without_identity_a_source_of_persons_needs_their_key(tmp_path: Path) -> None:
    text = "source: visits\ntitle: {zh: v, en: v}\nkind: fact\ntime: at\nread: {path: v.csv}\nfields:\n"
    found = problems(tmp_path, {"sources/visits.yaml": text + "  - {name: at, type: timestamp}\n"})
    assert any("a fact needs person" in line for line in found)
