"""Keys with rights: brands, masks and purposes over HTTP, and the record of who was told what."""

import hashlib
import hmac
from pathlib import Path
from typing import Any

import pytest

from valtag_tests.serving.desk import ACCESS, PERSONS, SECRETS, Desk, attribute_rows, interest_rows

KEY = "a-key-of-the-desk"
ALL = {"level": "internal", **dict.fromkeys(("may", "categories", "sources", "brands", "purposes"), "all")}
MINE = {row["person_id"] for row in interest_rows() if "母婴" in (row["brands"] or ())}


def desk_of(folder: Path, shop: dict[str, Any], **more: Any) -> Desk:
    access = {**ACCESS, **more, "roles": {**ACCESS["roles"], "shop": {**ALL, **shop}}}
    desk = Desk.at(folder, {"access.yaml": access})
    desk.secrets = {**SECRETS, "MASK_KEY": KEY}
    desk.publish_all()
    return desk


@pytest.fixture(scope="module")
def branded(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    brands = {"tag": "brands", "values": ["兰蔻", "母婴", "雅诗兰黛"]}
    return desk_of(tmp_path_factory.mktemp("branded"), {"brands": ["母婴"]}, brands=brands)


def test_a_key_of_a_brand_is_told_of_its_persons_alone(branded: Desk) -> None:
    assert 0 < len(MINE) < len(PERSONS)
    stranger = min(set(PERSONS) - MINE)
    with branded.client(key="SHOP_KEY") as client:
        told = client.post("/persons", json={"persons": PERSONS}).json()
        assert {item["person_id"] for item in told["persons"]} == MINE and set(told["unknown"]) == set(PERSONS) - MINE
        for path in (
            "/persons/{}",
            "/persons/{}/segments",
            "/segments/vips/persons/{}",
            "/persons/{}/variant/banner",
        ):
            answers = [client.get(path.format(name)) for name in (stranger, "nobody")]
            assert [(answer.status_code, answer.json()) for answer in answers] == [(404, answers[1].json())] * 2
        assert client.get("/health").json()["persons"] is None and "tables" not in client.get("/health").json()
    with branded.client(key="DESK_KEY") as client:
        assert client.get(f"/persons/{stranger}").status_code == 200
        assert client.get("/health").json()["persons"] == len(PERSONS)


def test_what_was_told_and_refused_is_on_record(branded: Desk) -> None:
    before = len(list(branded.place.audit.entries()))
    with branded.client(key="SHOP_KEY") as client:
        person = min(MINE)
        assert client.get(f"/persons/{person}?tags=city,birth_date").status_code == 200
        assert client.get(f"/segments/elders/persons/{person}").status_code == 403
    told, refused = list(branded.place.audit.entries())[before:]
    assert (told.action, told.actor, told.role, told.rows) == ("serve", "key shop", "shop", 1)
    assert told.tags == ("city", "birth_date") and told.person is None and person not in told.line()
    assert refused.refused is not None and "may not know who is in elders" in refused.refused


def test_many_answers_of_a_kind_are_counted_and_none_is_lost_when_the_service_ends(branded: Desk) -> None:
    before = len(list(branded.place.audit.entries()))
    with branded.client(key="SHOP_KEY") as client:
        assert {client.get(f"/persons/{person}/segments").status_code for person in sorted(MINE) * 3} == {200}
    found = list(branded.place.audit.entries())[before:]
    assert len(found) == 2 and sum(entry.rows or 0 for entry in found) == 3 * len(MINE)


def test_who_reads_personal_data_is_on_record_with_every_person(branded: Desk) -> None:
    before = len(list(branded.place.audit.entries()))
    with branded.client(key="DESK_KEY") as client:
        for person in PERSONS[:3]:
            assert client.get(f"/persons/{person}").status_code == 200
    found = list(branded.place.audit.entries())[before:]
    assert len({entry.person for entry in found} - {None}) == 3


def test_nothing_is_told_that_can_t_be_recorded(branded: Desk, tmp_path: Path) -> None:
    service = branded.service()
    service.place.audit.root = tmp_path
    (tmp_path / "audit").write_text("in the way", encoding="utf-8")
    with branded.client(service, key="DESK_KEY") as client:
        answer = client.get(f"/persons/{PERSONS[0]}")
    assert answer.status_code == 503 and "can't be recorded" in answer.json()["error"]


@pytest.mark.parametrize("how", ["hmac", "last4", "drop"])
def test_masks_are_those_of_every_other_door(tmp_path: Path, how: str) -> None:
    desk = desk_of(tmp_path, {}, masks={"levels": {"pii": how}, "key": "MASK_KEY"})
    born = str(attribute_rows()[1]["birth_date"])
    left = {"hmac": hmac.new(KEY.encode(), born.encode(), hashlib.sha256).hexdigest(), "last4": f"***{born[-4:]}"}
    with desk.client(key="SHOP_KEY") as client:
        told = client.get(f"/persons/{PERSONS[1]}").json()
    assert told["tags"].get("birth_date") == left.get(how)
    assert ("birth_date" in told["tags"]) == (how != "drop") and "birth_date" in told["masked"]


def test_a_key_reads_the_categories_of_its_role(tmp_path: Path) -> None:
    desk = desk_of(tmp_path, {"categories": ["attribute"]})
    with desk.client(key="SHOP_KEY") as client:
        told = client.get(f"/persons/{PERSONS[1]}").json()
        assert told["tags"]["points"] == 3 and told["tags"]["top_brand"] == "***"
        assert client.get(f"/persons/{PERSONS[1]}/variant/banner").status_code == 403
