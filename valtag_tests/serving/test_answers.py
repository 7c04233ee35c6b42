"""What is answered of a person: every type of value, filters, batches, segments, variants, and every refusal."""

import json
from typing import Any

import pandas as pd
import pytest
from starlette.testclient import TestClient

from valtag_tests.serving.desk import BANNER, PERSONS, Desk, attribute_rows, interest_rows, members


def test_a_person_is_answered_with_every_type_of_value(client: TestClient) -> None:
    answer = client.get("/persons/P03").json()
    assert answer["tags"] == {
        "city": 'a"b\\c\n',
        "birth_date": "***",
        "points": 9,
        "rate": "0.003",
        "is_vip": True,
        "top_brand": "兰蔻",
        "brands": ["兰蔻"],
        "last_order_at": "2024-03-01T08:03:00",
        "brand_share": "***",
    }
    assert (answer["as_of"], answer["segments"], answer["holdouts"]) == ("2024-03-10", ["vips"], [])
    assert answer["masked"] == ["birth_date", "brand_share", "segments/elders"]
    assert answer["held"] == {} and answer["missing"] == []
    assert answer["origins"]["tags/attribute"]["as_of"] == "2024-03-10"


def test_chinese_is_not_escaped(client: TestClient) -> None:
    answer = client.get("/persons/P00?tags=city")
    assert "上海".encode() in answer.content
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"


def test_every_person_has_the_values_that_were_published(client: TestClient) -> None:
    asked = client.post("/persons", json={"persons": PERSONS}).json()
    assert [person["person_id"] for person in asked["persons"]] == PERSONS
    for row, other, person in zip(attribute_rows(), interest_rows(), asked["persons"], strict=True):
        found = person["tags"]
        assert (found["city"], found["points"], found["is_vip"]) == (row["city"], row["points"], row["is_vip"])
        assert found["rate"] == f"{row['rate']:.3f}"
        assert (found["brands"], found["top_brand"]) == (other["brands"], other["top_brand"])


def test_a_filter_shows_only_what_it_names(client: TestClient) -> None:
    answer = client.get("/persons/P04", params={"tags": "points, city"}).json()
    assert answer["tags"] == {"points": 12, "city": "上海"}
    assert "segments" not in answer
    assert list(answer["origins"]) == ["tags/attribute"]


@pytest.mark.parametrize(
    ("path", "status", "says"),
    [
        ("/persons/P04?tags=citty", 422, "'citty' is no tag or score; did you mean 'city'?"),
        ("/persons/P04?tags=,", 422, "tags names no tag"),
        ("/persons/P04?tag=city", 422, "'tag' is no parameter of this question; did you mean 'tags'?"),
        ("/persons/P04?as_of=2024-02-30", 422, "is no date"),
        ("/persons/P04?as_of=yesterday", 422, "as_of: "),
        (
            "/persons/P04?as_of=2024-03-11",
            404,
            "no tags are published for 2024-03-11; the newest before it is 2024-03-10",
        ),
        ("/persons/P04?as_of=2020-01-01", 404, "no tags are published up to 2020-01-01"),
        ("/persons/nobody", 404, "no such person"),
        ("/persons/' or 1=1 --", 404, "no such person"),
        ("/persons/P04%00", 404, "no such person"),
        ("/persons/%FF%FE", 404, "no such person"),
        (f"/persons/{'x' * 201}", 422, "person_id: "),
        ("/persons/P04/variant/baner", 404, "'baner' is no placement; did you mean 'banner'?"),
        ("/segments/vip/persons/P04", 404, "'vip' is no segment; did you mean 'vips'?"),
        ("/segments/elders/persons/P04", 403, "may not know who is in elders"),
        ("/nothing", 404, "there is nothing at this address"),
    ],
)
def test_a_wrong_question_gets_a_clear_refusal(client: TestClient, path: str, status: int, says: str) -> None:
    answer = client.get(path)
    assert (answer.status_code, list(answer.json())) == (status, ["error"])
    assert says in answer.json()["error"]


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        (b"{", 422, ""),
        (b"[" * 100_000, 422, "no JSON"),
        (b'{"persons": ["\\ud800"]}', 422, "persons.0"),
        (b'{"persons": []}', 422, "at least 1"),
        (b'{"persons": [1]}', 422, "persons.0"),
        (b'{"persons": ["P01"], "tag": ["city"]}', 422, "tag: "),
        (json.dumps({"persons": ["P01"] * 1001}).encode(), 422, "at most 1000"),
        (json.dumps({"persons": ["x" * 201]}).encode(), 422, "at most 200"),
        (b'{"persons": ["' + b"x" * 2_000_001 + b'"]}', 413, "larger than"),
        ('{"persons": ["上海"]}'.encode("gb18030"), 422, "no JSON"),
    ],
)
def test_a_wrong_body_gets_a_clear_refusal(client: TestClient, body: bytes, status: int, says: str) -> None:
    answer = client.post("/persons", content=body, headers={"content-type": "application/json"})
    assert (answer.status_code, list(answer.json())) == (status, ["error"])
    assert says in answer.json()["error"]


def test_a_body_without_a_length_is_counted_as_it_comes(client: TestClient) -> None:
    answer = client.post("/persons", content=(b"x" * 100_000 for _ in range(30)))
    assert answer.status_code == 413


def test_another_method_is_refused_and_told_which_fits(client: TestClient) -> None:
    answer = client.delete("/persons/P01")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET"


def test_a_batch_says_who_is_unknown_and_asks_for_nobody_twice(client: TestClient) -> None:
    answer = client.post("/persons", json={"persons": ["P02", "P99", "P02", "P01"], "tags": ["city"]}).json()
    assert [person["person_id"] for person in answer["persons"]] == ["P02", "P01"]
    assert answer["unknown"] == ["P99"]


def test_memberships_are_those_that_were_published(client: TestClient) -> None:
    for code in ("vips", "loyal"):
        inside = {row["person_id"] for row in members(code)}
        for person in PERSONS:
            assert client.get(f"/segments/{code}/persons/{person}").json()["in"] == (person in inside)
    listed = client.get("/persons/P21/segments").json()
    assert [(item["code"], item["in"]) for item in listed["segments"]] == [("vips", True), ("loyal", True)]
    assert listed["masked"] == ["segments/elders"]


def test_variants_equal_the_rules_evaluated_by_pandas(client: TestClient) -> None:
    frame = pd.DataFrame(attribute_rows()).merge(pd.DataFrame(interest_rows()), on="person_id")
    inside = {code: frame.person_id.isin([row["person_id"] for row in members(code)]) for code in ("vips", "loyal")}
    rules = [
        inside["vips"] & (frame.top_brand == "兰蔻"),
        frame.brands.map(lambda brands: brands is not None and "母婴" in brands) & ~inside["loyal"],
        (frame.points.fillna(-1) >= 70) | (frame.city == "上海"),
    ]
    expected = pd.Series(0, index=frame.index)
    for number in (3, 2, 1):
        expected = expected.mask(rules[number - 1], number)
    assert set(expected) == {0, 1, 2, 3}
    for person, number in zip(frame.person_id, expected, strict=True):
        answer = client.get(f"/persons/{person}/variant/banner").json()
        assert answer["rule"] == (number or None)
        assert answer["variant"]["code"] == ["daily", "lancome", "baby", "many"][number]
        assert answer["when"] == (BANNER["variants"][number - 1]["when"] if number else None)


def test_the_dictionary_names_every_tag_in_both_languages(client: TestClient) -> None:
    rows: list[dict[str, Any]] = client.get("/tags").json()["tags"]
    assert [row["code"] for row in rows][:3] == ["city", "birth_date", "points"]
    birth = rows[1]
    assert (birth["type"], birth["access"], birth["masked"]) == ("date", "pii", True)
    assert set(birth["title"]) == {"zh", "en"}


def test_health_tells_how_old_the_data_are_table_by_table(desk: Desk) -> None:
    desk.publish_all()
    service = desk.service()
    with desk.client(service) as client:
        client.portal.call(service.look)  # type: ignore[union-attr]
        found = client.get("/health").json()
    assert (found["ready"], found["catalog"], found["as_of"], found["persons"]) == (True, "shop", "2024-03-10", 40)
    assert {row["table"]: row["state"] for row in found["tables"]}["tags/interest"] == "ok"
    assert all(row["data_age_days"] == 0 for row in found["tables"])
