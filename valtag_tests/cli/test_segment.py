"""valtag segment: preview, rule, why."""

import pandas as pd
import pytest

from valtag_tests.cli.conftest import Shop, Valtag


def tags_of(shop: Shop) -> pd.DataFrame:
    """Everybody's tags, as published."""
    tables = [pd.read_parquet(file) for file in (shop.data / "warehouse").glob("*/tags/*/as_of=*/*/part-0.parquet")]
    found = tables[0]
    for table in tables[1:]:
        found = found.merge(table, on="person_id", how="outer")
    return found


def test_a_preview_counts_what_a_rule_finds_and_names_nobody(valtag: Valtag, served: Shop) -> None:
    tags = tags_of(served)
    rule = "city = '上海' and did(orders)"
    said = valtag("segment", "preview", rule, *served.options, "--json")
    assert said.code == 0
    wanted = tags[(tags["city"] == "上海") & (tags["order_count"] > 0)]
    assert said.json["size"] == len(wanted) > 0
    assert said.json["population"] == len(tags)
    assert said.json["text"] == "all(city = '上海', did(orders))"
    everybody = set(tags["person_id"])
    assert said.json["examples"] and not {row["person_id"] for row in said.json["examples"]} & everybody
    overlap = {item["segment"]: item for item in said.json["overlaps"]}
    assert overlap["never_bought"]["both"] == 0
    assert overlap["young_shanghai_lapsed"]["both"] <= overlap["young_shanghai_lapsed"]["members"]
    shown = valtag("segment", "preview", rule, *served.options)
    assert f"{len(wanted)} of {len(tags)} persons" in shown.out and "for example" in shown.out


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("citi = '上海'", "did you mean 'city'?"),
        ("did(ordres)", "did you mean 'orders'?"),
        ("age > 20 and age < 10", "never holds"),
        ("did(orders", "is not closed"),
        ("city = '上海'; drop table persons", "one expression only"),
        ("city = 'x'' or 1=1 --'", ""),
        ("", "is empty"),
        ("at_least(²,age > 3,age > 4)", "begins with how many"),
        ("did(orders, at least 1.2.3 times)", "a clause is one of"),
        ("age > 1000000000000000000000000000000.5 and age < 3", "never holds"),
        ("contains(city, '\0')", "is in no text"),
        ("contains(city, '\ud800')", "is in no text"),
        ("age * 9223372036854775807 > 1", "can't be computed"),
    ],
)
def test_a_rule_that_is_none_is_code_1_with_what_is_wrong(valtag: Valtag, served: Shop, rule: str, said: str) -> None:
    found = valtag("segment", "preview", rule, *served.options)
    assert found.code == 1
    assert said in found.err and "Traceback" not in found.err


def test_a_rule_is_printed_in_both_forms(valtag: Valtag, shop: Shop) -> None:
    said = valtag("segment", "rule", "city = '上海' and did_not(orders, within 30d)", "--catalog", shop.catalog)
    text, _, yaml = said.out.partition("\n")
    assert text == "all(city = '上海', did_not(orders, within 30d))"
    assert yaml == "rule:\n  all:\n  - city = '上海'\n  - did_not:\n      fact: orders\n      within: 30d\n"
    saved = valtag("segment", "rule", "high_value", "--catalog", shop.catalog, "--json")
    assert saved.json["text"] == "any(spend_tier = 'high', rfm_tier = 'best')"


def test_why_somebody_is_in_an_audience_or_not(valtag: Valtag, served: Shop) -> None:
    tags = tags_of(served).set_index("person_id")
    idle = tags["order_count_30d"] == 0
    buyer = tags[tags["order_count"] > 0].index[0]
    never = tags[tags["order_count"] == 0].index[0]
    inside = valtag("segment", "why", never, "never_bought", *served.options, "--json").json
    assert inside["member"] and inside["rule_holds"]
    assert inside["change"] == ["order_count = 0 would have to fail; now order_count = 0"]
    outside = valtag("segment", "why", buyer, "never_bought", *served.options, "--json").json
    assert not outside["member"] and not outside["stopped"]
    assert outside["conditions"][0]["seen"] == {"order_count": int(tags.loc[buyer, "order_count"])}
    near = tags[(tags["city"] == "上海") ^ (tags["age"].between(18, 25)) & idle].index[0]
    asked = valtag(
        "segment", "why", near, "young_shanghai_lapsed", *served.options, "--json", "--role", "steward"
    ).json
    row = tags.loc[near]
    held = [18 <= row["age"] <= 25, row["city"] == "上海", bool(idle[near])]
    assert [item["holds"] for item in asked["conditions"]] == [all(held), *held]
    assert len(asked["change"]) == 3 - sum(held)


@pytest.mark.parametrize(
    ("person", "segment", "said"),
    [
        ("nobody'; --", "high_value", "is nobody"),
        ("C001\0", "high_value", "a character that no text has"),
        ("\ud800", "high_value", "a character that no text has"),
        ("C001", "high_valu", "did you mean 'high_value'?"),
    ],
)
def test_whom_or_what_nobody_knows_is_code_1(
    valtag: Valtag, served: Shop, person: str, segment: str, said: str
) -> None:
    found = valtag("segment", "why", person, segment, *served.options)
    assert found.code == 1 and said in found.err


def test_an_as_of_that_was_never_published_is_code_1(valtag: Valtag, served: Shop) -> None:
    found = valtag("segment", "why", "C001", "high_value", *served.options, "--as-of", "2001-01-01")
    assert found.code == 1 and "never published" in found.err
    asked = valtag("segment", "preview", "age > 3", *served.options, "--as-of", "2001-01-01")
    assert asked.code == 1 and "can't be answered" in asked.err


def test_a_date_that_is_not_over_has_no_preview(valtag: Valtag, served: Shop) -> None:
    asked = valtag("segment", "preview", "did_not(orders)", *served.options, "--as-of", "9999-12-31")
    assert asked.code == 1 and "is not over" in asked.err


def test_a_changed_rule_is_not_explained_by_the_old_membership(valtag: Valtag, ran: Shop) -> None:
    ran.edit("segments/audiences.yaml", "order_count = 0", "order_count <= 0")
    found = valtag("segment", "why", "C001", "never_bought", *ran.options)
    assert found.code == 1 and "has changed since" in found.err


def test_who_is_kept_out_of_an_audience_whose_rule_holds_is_told_of_no_change(valtag: Valtag, ran: Shop) -> None:
    ran.edit("segments/audiences.yaml", "en: High value}", "en: High value}\n    limit: 1")
    assert valtag("run", *ran.options, "-s", "+segments/high_value").code == 0
    valued = sorted(tags_of(ran).query("spend_tier == 'high'")["person_id"])
    found = valtag("segment", "why", valued[-1], "high_value", *ran.options, "--json").json
    assert found["rule_holds"] and not found["member"] and found["stopped"]
    assert found["change"] == []
