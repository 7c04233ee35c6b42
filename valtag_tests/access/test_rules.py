"""Mistakes of access.yaml, and destinations that may not have what they are sent: all found by ``valtag check``."""

from typing import Any

import pytest

from valtag_assets.graph.catalog import checked_catalog
from valtag_assets.spec.problem import CatalogError
from valtag_tests.access.house import ALL, CATALOG, House, brand_rules

CLERK = {"level": "internal", "may": ["show"]}


def problems(house: House, access: dict[str, Any], **files: str) -> list[str]:
    house.rules(access)
    for name, text in files.items():
        (house.root / "catalog" / name.replace("__", "/")).with_suffix(".yaml").write_text(text, encoding="utf-8")
    try:
        checked_catalog(house.root / "catalog")
    except CatalogError as error:
        return [str(problem).removeprefix(f"{house.root / 'catalog'}/") for problem in error.problems]
    return []


def rules(**roles: Any) -> dict[str, Any]:
    return {"roles": {"sender": ALL, **roles}, "default_role": "sender"}


@pytest.mark.parametrize(
    ("access", "said"),
    [
        (rules(a={"level": "pubic"}), "'pubic' is none of public, internal, sensitive, pii"),
        (rules(a="pubic"), "'pubic' is none of public, internal, sensitive, pii"),
        (rules(a={**CLERK, "may": ["shwo"]}), "'shwo' is none of select, preview, show"),
        (rules(a={**CLERK, "categories": ["contct"]}), "'contct' is no category; did you mean 'contact'?"),
        (rules(a={**CLERK, "tags": {"deny": ["fone"]}}), "'fone' is no tag; did you mean 'phone'?"),
        (rules(a={**CLERK, "sources": ["order"]}), "'order' is no source; did you mean 'orders'?"),
        (rules(a={**CLERK, "destinations": ["dsk"]}), "'dsk' is no destination; did you mean 'desk'?"),
        (rules(a={**CLERK, "purposes": ["sales"]}), "'sales' is no purpose"),
        (rules(a={**CLERK, "brands": ["amber"]}), "'amber' is no brand"),
        ({**rules(), "users": {"li": {"role": "sendr"}}}, "'sendr' is no role; did you mean 'sender'?"),
        ({**rules(), "users": {"li": {}}}, "a user has a role, or roles to choose from"),
        ({**rules(), "masks": {"levels": {"pii": "hmac"}}}, "a mask hmac needs key"),
        ({**rules(), "masks": {"tags": {"fone": "drop"}}}, "'fone' is no tag; did you mean 'phone'?"),
        ({**rules(), "brands": {"tag": "brnds", "values": ["a"]}}, "'brnds' is no tag; did you mean 'brands'?"),
        ({**rules(), "brands": {"tag": "order_count", "values": ["a"]}}, "a brand is a text, or a list of texts"),
        (
            {**rules(), "brands": {"tag": "brands", "values": ["a"], "fields": {"orders": "brnd"}}},
            "'brnd' is no field of orders; did you mean 'brand'?",
        ),
        (
            {**rules(clerk=CLERK), "keys": {"shop": {"role": "clerk", "env": "SHOP_KEY"}}},
            "serve: role clerk may not go through this door",
        ),
    ],
)
def test_every_mistake_is_told_with_its_place(house: House, access: dict[str, Any], said: str) -> None:
    found = problems(house, access)[0]
    assert said in found and found.startswith("access.yaml:")


def test_a_sound_catalog_has_none(house: House) -> None:
    assert problems(house, {"roles": {"viewer": "public", "sender": "internal"}, "default_role": "viewer"}) == []
    assert problems(house, brand_rules(a={**ALL, "brands": ["amber"]})) == []


@pytest.mark.parametrize(
    ("sender", "said"),
    [
        ({**ALL, "may": ["show"]}, "deliver: role sender may not go through this door"),
        ({**ALL, "destinations": []}, "deliver: role sender has no right to the destination desk"),
        ({**ALL, "categories": ["transaction"]}, "'city' is internal, and desk has the role sender (pii)"),
        ({**ALL, "categories": ["attribute"]}, "may not read who is in spenders"),
        ({**ALL, "level": "public"}, "'city' is internal, and desk has the role sender (public)"),
    ],
)
def test_a_destination_s_role_covers_what_travels(house: House, sender: dict[str, Any], said: str) -> None:
    found = problems(house, {"roles": {"sender": sender}, "default_role": "sender"})
    assert any(said in problem for problem in found)


def test_a_destination_s_purpose_covers_what_travels(house: House) -> None:
    title = {"zh": "用途", "en": "Purpose"}
    access = {
        "roles": {"sender": {**ALL, "purposes": ["sales", "study"]}},
        "default_role": "sender",
        "purposes": {"sales": {"title": title}, "study": {"title": title, "level": "public"}},
    }
    desk = CATALOG["destinations/desk.yaml"]
    assert "has to say what for" in "".join(problems(house, access))
    assert problems(house, access, destinations__desk=desk + "purpose: sales\n") == []
    found = problems(house, access, destinations__desk=desk + "purpose: study\n")
    assert any("'city' is internal, and desk has the role sender (public)" in problem for problem in found)


def test_a_trigger_sends_to_no_destination_of_some_brands(house: House) -> None:
    (found,) = problems(house, brand_rules(sender={**ALL, "brands": ["amber"]}))
    assert "a trigger names those of every brand" in found and found.startswith("triggers/care.yaml:")
