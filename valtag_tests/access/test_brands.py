"""A reader of one brand sees its persons and their rows, and nothing of the others: at every door."""

from decimal import Decimal

import pandas as pd
import pytest

from valtag_assets.console.deliveries import forecast
from valtag_assets.engine.reader import Denied
from valtag_assets.spec.access import Asking
from valtag_tests.access.house import ALL, House, brand_rules, of_brand, order_rows
from valtag_tests.cli.conftest import Valtag

AMBER = of_brand("amber")
STRANGER = min(of_brand("birch", "cedar") - AMBER)
SPENT = order_rows().assign(amount=lambda rows: rows["amount"].map(Decimal)).groupby("customer_id")["amount"].sum()


@pytest.fixture
def branded(house: House) -> House:
    return house.rules(brand_rules(amber={**ALL, "brands": ["amber"]}, nobody={**ALL, "brands": []}))


@pytest.mark.parametrize(
    ("table", "everybody"),
    [
        ("identity/persons", {f"C{n:03d}" for n in range(1, 61)}),
        ("tags/transaction", {f"C{n:03d}" for n in range(1, 61)}),
        ("segments/spenders", {person for person, spent in SPENT.items() if spent > 100}),
        ("triggers/care", {person for person, spent in SPENT.items() if spent > 50}),
    ],
)
def test_tables_show_the_persons_of_the_brand(
    branded: House, valtag: Valtag, table: str, everybody: set[str]
) -> None:
    for role, persons in (("keeper", everybody), ("amber", everybody & AMBER)):
        found = valtag("show", table, *branded.options, "--role", role, "--json", "-n", 100).json
        assert ({row["person_id"] for row in found["rows"]}, found["total"]) == (persons, len(persons))


def test_facts_show_the_rows_of_the_brand(branded: House, valtag: Valtag) -> None:
    found = valtag("show", "clean/orders", *branded.options, "--role", "amber", "--json", "-n", 200).json
    own = order_rows().query("brand == 'amber'")
    assert {row["order_id"] for row in found["rows"]} == set(own["order_id"])
    assert found["total"] == len(own)


def test_what_can_t_be_told_apart_is_not_shown(branded: House, valtag: Valtag) -> None:
    for table in ("quarantine/orders", "identity/strangers", "insight/tags"):
        said = valtag("show", table, *branded.options, "--role", "amber")
        assert said.code == 1 and "persons of every brand" in said.err and "ask team:data" in said.err
    for command in (["insight"], ["report"], ["trigger", "list"], ["status"], ["snapshots", "tags/attribute"]):
        rules = brand_rules(amber={**ALL, "brands": ["amber"]})
        branded.rules({**rules, "default_role": "amber"})
        said = valtag(*command, *branded.options)
        assert said.code == 1 and "persons of every brand" in said.err


def test_a_rule_is_asked_of_the_persons_and_rows_of_the_brand(branded: House, valtag: Valtag) -> None:
    def preview(rule: str) -> dict[str, object]:
        found = valtag("segment", "preview", rule, *branded.options, "--role", "amber", "--json").json
        return {name: found[name] for name in ("size", "population")}

    several = order_rows().groupby(["customer_id", "brand"]).size()
    twice = several[several >= 2].reset_index().query("brand == 'amber'")
    assert preview("order_count > 0") == {"size": len(AMBER), "population": len(AMBER)}
    assert preview("did(orders, at least 2 times)") == {"size": len(twice), "population": len(AMBER)}
    assert preview("did(orders, where brand = 'birch')") == {"size": 0, "population": len(AMBER)}


def test_overlaps_and_portraits_count_the_persons_of_the_brand(branded: House, valtag: Valtag) -> None:
    spenders = {person for person, spent in SPENT.items() if spent > 100} & AMBER
    as_amber = (*branded.options, "--role", "amber", "--json")
    found = valtag("segment", "preview", "order_count > 0", *as_amber).json
    assert {item["segment"]: item["members"] for item in found["overlaps"]}["spenders"] == len(spenders)
    found = valtag("segment", "portrait", "spenders", *as_amber).json
    assert (found["members"], found["rest"]) == (len(spenders), len(AMBER - spenders))


@pytest.mark.parametrize("command", ["segment why {} women", "explain {} city", "trigger log {}"])
def test_somebody_of_other_brands_is_nobody(branded: House, valtag: Valtag, command: str) -> None:
    def said(person: str) -> str:
        asked = valtag(*[word.format(person) for word in command.split()], *branded.options, "--role", "amber")
        assert asked.code == 1
        return asked.err.replace(person, "?")

    assert said(STRANGER) == said("C999")


def test_an_explanation_shows_the_rows_of_the_brand(branded: House, valtag: Valtag) -> None:
    rows = order_rows()
    mixed = rows.groupby("customer_id")["brand"].nunique()
    person = min(set(mixed[mixed > 1].index) & AMBER)
    found = valtag("explain", person, "total_spend", *branded.options, "--role", "amber", "--json")
    own = rows[(rows["customer_id"] == person) & (rows["brand"] == "amber")]
    assert {row["fields"]["order_id"] for row in found.json["clean"]["rows"]} == set(own["order_id"])
    assert Decimal(str(found.json["value"])) == SPENT[person] and found.json["proof"]["equal"] is None


def test_a_destination_of_a_brand_gets_its_persons(branded: House) -> None:
    spenders = {person for person, spent in SPENT.items() if spent > 100}
    done = forecast(branded.setting, "spenders_to_desk", None, Asking()).done
    assert done is not None and done.difference.desired == len(spenders)
    branded.rules(brand_rules(sender={**ALL, "brands": ["amber", "birch"]}, amber={**ALL, "brands": ["amber"]}))
    done = forecast(branded.setting, "spenders_to_desk", None, Asking()).done
    assert done is not None and done.difference.desired == len(spenders & of_brand("amber", "birch"))
    with pytest.raises(Denied, match="the destination desk counts persons of every brand"):
        forecast(branded.setting, "spenders_to_desk", None, Asking("amber"))


def test_a_role_without_brands_and_a_user_of_others_see_nothing(branded: House, valtag: Valtag) -> None:
    said = valtag("show", "tags/attribute", *branded.options, "--role", "nobody")
    assert said.code == 1 and "reads no brand" in said.err
    rules = brand_rules()
    users = {"li": {"role": "keeper", "brands": ["amber"]}, "wang": {"roles": ["keeper", "sender"]}}
    branded.rules({**rules, "users": users})
    found = valtag("show", "identity/persons", *branded.options, "--user", "li", "--json", "-n", 100).json
    assert {row["person_id"] for row in found["rows"]} == AMBER
    assert valtag("show", "identity/persons", *branded.options, "--user", "wang", "--json").json["total"] == 60


def test_the_tag_of_brands_has_to_be_served(branded: House, valtag: Valtag) -> None:
    folder = branded.root / "data" / "warehouse" / "shop" / "tags" / "transaction"
    for file in folder.rglob("*.parquet"):
        file.unlink()
    said = valtag("show", "tags/attribute", *branded.options, "--role", "amber")
    assert said.code == 1 and "which says of which brand a person is, is not served" in said.err


def test_the_house_has_persons_of_several_brands_and_of_none() -> None:
    brands = order_rows().groupby("customer_id")["brand"].nunique()
    assert isinstance(brands, pd.Series) and brands.max() > 1 and len(brands) == 50
