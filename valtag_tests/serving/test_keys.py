"""Who may ask what: keys, roles, masking, and what an open service does not let in."""

import hashlib
from pathlib import Path
from typing import Any

import pytest

from valtag_assets.engine.access import segment_need
from valtag_assets.serving.keys import read_keys
from valtag_assets.spec.mistake import Mistake
from valtag_tests.kit import ORDERS, make_catalog, problems
from valtag_tests.serving.desk import ACCESS, BANNER, FILES, OUTSIDE, SECRETS, Desk

DIGEST = hashlib.sha256(OUTSIDE.encode()).hexdigest()
LOCKED = {**ACCESS, "keys": {**ACCESS["keys"], "outside": {"role": "outside", "sha256": DIGEST}}}


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    made = Desk.at(tmp_path_factory.mktemp("locked"), {"access.yaml": LOCKED})
    made.publish_all()
    return made


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


def test_nobody_is_answered_without_a_known_key(locked: Desk) -> None:
    with locked.client() as client:
        for headers in (
            {},
            bearer("wrong"),
            bearer(""),
            {"Authorization": "Basic c2hvcDo="},
            {"Authorization": "Bearer 秘密".encode()},
        ):
            for path in ("/persons/P01", "/persons/nobody", "/tags", "/no/such/page"):
                answer = client.get(path, headers=headers)
                assert answer.status_code == 401
                assert answer.headers["www-authenticate"] == "Bearer"
                # What is there and what is not looks the same from outside.
                assert answer.json() == {"error": "send a key that access.yaml knows, as Authorization: Bearer …"}
        assert client.post("/persons", content=b"{").status_code == 401


def test_masks_follow_the_role_of_the_key(locked: Desk) -> None:
    with locked.client() as client:
        for secret, masked in (
            (SECRETS["SHOP_KEY"], ["birth_date", "brand_share", "segments/elders"]),
            (SECRETS["DESK_KEY"], []),
        ):
            answer = client.get("/persons/P03", headers=bearer(secret)).json()
            assert answer["masked"] == masked
            assert (answer["tags"]["birth_date"] == "***") == ("birth_date" in masked)
            assert ("elders" in answer["segments"]) == (not masked)


def test_a_role_that_may_not_know_persons_is_forbidden_to_ask_about_one(locked: Desk) -> None:
    with locked.client() as client:
        answer = client.get("/persons/P03", headers=bearer(OUTSIDE))
        assert answer.status_code == 403
        dictionary = client.get("/tags", headers=bearer(OUTSIDE)).json()["tags"]
    assert [row["code"] for row in dictionary if not row["masked"]] == ["city"]


def test_a_variant_needs_the_level_of_what_its_rules_read_unless_it_says_otherwise(tmp_path: Path) -> None:
    secret = {**BANNER, "variants": [{**BANNER["variants"][0], "when": "elders"}]}
    free = {**secret, "placement": "free", "access": "internal"}
    desk = Desk.at(tmp_path, {"placements/banner.yaml": secret, "placements/free.yaml": free})
    desk.publish_all()
    with desk.client() as client:
        assert client.get("/persons/P01/variant/banner").status_code == 403
        answer = client.get("/persons/P01/variant/free").json()
    # The content may be known, the birth date behind it may not.
    assert (answer["variant"]["code"], answer["rule"], answer["when"]) == ("lancome", 1, None)


def test_being_in_a_segment_has_the_level_of_all_that_decides_it(tmp_path: Path) -> None:
    rules = {
        "anybody": "did(orders)",
        "brand_fans": "did(orders, where brand = 'a')",
        "returning": "sequence(did(orders, where gift), did(orders, same brand))",
        "fans_again": "in_segment(brand_fans) and points > 3",
        "rich": "points > 3",
    }
    title = {"zh": "人群", "en": "Audience"}
    blocks = [{"code": code, "title": title, "rule": rule} for code, rule in rules.items()]
    hidden = ORDERS.replace("{name: brand, type: text}", "{name: brand, type: text, access: sensitive}")
    files = {**FILES, "placements/banner.yaml": None, "segments/audiences.yaml": {"segments": blocks}}
    resolved = make_catalog(tmp_path, {**files, "sources/orders.yaml": hidden})
    assert {code: segment_need(resolved, code).level for code in rules} == {
        "anybody": "public",
        "brand_fans": "sensitive",
        "returning": "sensitive",
        "fans_again": "sensitive",
        "rich": "internal",
    }


def test_health_without_a_key_tells_no_more_than_that_it_is_ready(locked: Desk) -> None:
    with locked.client() as client:
        assert client.get("/health").json()["ready"] is True
        assert "tables" not in client.get("/health").json()
        assert client.get("/health", headers=bearer("wrong")).status_code == 401
        assert "tables" in client.get("/health", headers=bearer(OUTSIDE)).json()


def test_secrets_are_told_nowhere(locked: Desk, capfd: pytest.CaptureFixture[str]) -> None:
    keys = read_keys(locked.resolved, SECRETS, is_open=False)
    with locked.client() as client:
        client.get("/persons/P01", headers=bearer(SECRETS["SHOP_KEY"]))
        said = client.get("/openapi.json").text
    texts = [said, str(keys), repr(vars(keys)), *capfd.readouterr()]
    assert not any(secret in text for secret in (*SECRETS.values(), OUTSIDE) for text in texts)


@pytest.mark.parametrize(
    ("access", "environment", "is_open", "says"),
    [
        ({}, {}, False, "names no keys"),
        (ACCESS, SECRETS, True, "--open would let everybody in"),
        (ACCESS, {"SHOP_KEY": SECRETS["SHOP_KEY"]}, False, "key desk has its secret in the variable DESK_KEY"),
        (ACCESS, {**SECRETS, "DESK_KEY": "short"}, False, "is shorter than 16"),
        (ACCESS, {**SECRETS, "DESK_KEY": SECRETS["SHOP_KEY"]}, False, "keys desk and shop have the same secret"),
    ],
)
def test_a_service_whose_keys_protect_nothing_does_not_start(
    tmp_path: Path, access: dict[str, Any], environment: dict[str, str], is_open: bool, says: str
) -> None:
    desk = Desk.at(tmp_path, {"access.yaml": access})
    with pytest.raises(Mistake, match=says) as caught:
        read_keys(desk.resolved, environment, is_open=is_open)
    assert not any(secret in str(caught.value) for secret in SECRETS.values())


@pytest.mark.parametrize(
    ("key", "says"),
    [
        ({"role": "shp", "env": "X"}, "keys.shop.role: 'shp' is no role; did you mean 'shop'?"),
        ({"role": "shop"}, "has either env"),
        ({"role": "shop", "env": "X", "sha256": "a" * 64}, "has either env"),
        ({"role": "shop", "sha256": "secret"}, "sha256 is no digest"),
        ({"role": "shop", "env": "not a name"}, "no name of an environment variable"),
        ({"role": "shop", "secret": "hunter2"}, "unknown key 'secret'"),
    ],
)
def test_a_wrong_key_is_a_mistake_of_the_catalog(tmp_path: Path, key: dict[str, str], says: str) -> None:
    found = problems(tmp_path, {**FILES, "access.yaml": {**ACCESS, "keys": {"shop": key}}})
    assert len(found) == 1
    assert found[0].startswith("access.yaml:") and says in found[0]


def test_an_open_service_answers_to_this_machine_by_its_own_names_only(served: Desk) -> None:
    with served.client() as client:
        for host, status in (
            ("127.0.0.1:8000", 200),
            ("localhost", 200),
            ("[::1]:8000", 200),
            ("evil.example", 403),
            ("127.0.0.1.evil.example", 403),
            ("", 403),
        ):
            assert client.get("/tags", headers={"host": host}).status_code == status, host
