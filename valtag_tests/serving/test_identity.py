"""Persons asked for by a former id or an identifier, as far as the key's level reads."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from valtag_tests.serving.desk import ACCESS, AS_OF, BEFORE, Desk, attribute_rows

IDENTITY = {
    "kinds": [
        {"code": "member", "title": {"zh": "会员号", "en": "Member"}, "access": "internal"},
        {"code": "phone", "title": {"zh": "手机号", "en": "Phone"}, "normalise": "phone"},
    ],
    "sources": {"members": {"member": "member", "city": "phone"}, "orders": {"member": "member"}},
}
OLD = "0" * 32


def key(kind: str, text: str, person: str, until: datetime | None = None) -> dict[str, Any]:
    return {"kind": kind, "key": text, "since": None, "until": until, "person_id": person}


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    made = Desk.at(tmp_path, {"identity.yaml": IDENTITY, "access.yaml": ACCESS})
    made.publish("tags/attribute", attribute_rows(), BEFORE)
    made.publish_all()
    made.publish("identity/successors", [{"was": OLD, "now": "P03"}, {"was": "gone", "now": None}], None)
    keys = [key("member", "M3", "P03"), key("phone", "13912345678", "P04")]
    made.publish("identity/keys", [*keys, key("phone", "13900000000", "P05", datetime(2024, 1, 1))], None)
    return made


@pytest.fixture
def ask(desk: Desk) -> Iterator[TestClient]:
    with desk.client(key="DESK_KEY") as client:
        yield client


def test_a_former_id_is_answered_with_the_person_of_now(ask: TestClient) -> None:
    assert ask.get(f"/persons/{OLD}").json() == ask.get("/persons/P03").json()
    assert ask.get(f"/persons/{OLD}").json()["person_id"] == "P03"
    for path in ("segments", "variant/banner"):
        assert ask.get(f"/persons/{OLD}/{path}").json()["person_id"] == "P03"
    assert ask.get("/persons/gone").status_code == 404
    then = ask.get(f"/persons/{OLD}", params={"as_of": BEFORE.isoformat()}).json()
    assert (then["person_id"], then["as_of"]) == ("P03", BEFORE.isoformat())


def test_an_identifier_finds_whose_it_is_now(ask: TestClient) -> None:
    for named in ("phone:13912345678", "phone:+86 139-1234-5678", "phone:0086 13912345678"):
        assert ask.get(f"/persons/{named}").json()["person_id"] == "P04"
    for named in ("phone:13900000000", "phone:nobody", "13912345678", "kind:M3", "member:"):
        assert ask.get(f"/persons/{named}").status_code == 404
    names = ["P04", OLD, "member:M3", "phone:1"]
    found = ask.post("/persons", json={"persons": names, "tags": ["points"]}).json()
    assert [(row["person_id"], row.get("asked")) for row in found["persons"]] == [
        ("P04", None),
        ("P03", OLD),
        ("P03", "member:M3"),
    ]
    assert found["unknown"] == ["phone:1"] and found["as_of"] == AS_OF.isoformat()


def test_a_key_whose_level_may_not_read_an_identifier_finds_nobody_by_it(desk: Desk) -> None:
    with desk.client(key="SHOP_KEY") as client:
        assert client.get("/persons/member:M3").json()["person_id"] == "P03"
        assert client.get("/persons/phone:13912345678").status_code == 404


def test_what_names_persons_belongs_to_what_is_served(desk: Desk) -> None:
    before = desk.store().name
    desk.publish("identity/successors", [{"was": OLD, "now": "P05"}], None)
    assert desk.store().name != before
    with desk.client(key="DESK_KEY") as client:
        assert client.get(f"/persons/{OLD}").json()["person_id"] == "P05"
