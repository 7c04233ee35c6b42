"""What a role that is a level alone learns of what it may not read: counts of many, and nothing about one."""

from decimal import Decimal
from pathlib import Path

import pytest

from valtag_tests.access.house import ALL, House, order_rows
from valtag_tests.cli.conftest import Valtag

PHONE = "13800000001"


@pytest.fixture
def counted(house: House) -> House:
    """Clerks count over phones, and read none."""
    return house.rules({"roles": {"clerk": "internal", "sender": ALL, "keeper": ALL}, "default_role": "clerk"})


def test_of_one_person_the_answer_of_a_rule_is_a_value_like_any_other(counted: House, valtag: Valtag) -> None:
    said = valtag("segment", "why", "C001", "callable", *counted.options)
    assert said.code == 1 and "may not read who is in callable: it takes the level pii" in said.err and said.out == ""
    assert valtag("segment", "why", "C001", "spenders", *counted.options).code == 0
    assert valtag("segment", "why", "C001", "callable", *counted.options, "--role", "keeper").code == 0


@pytest.mark.parametrize(
    "rule", [f"phone = '{PHONE}'", "phone = '13800009999'", f"phone != '{PHONE}'", "phone is not null"]
)
def test_nothing_is_counted_of_what_is_hidden_that_few_have_or_have_not(
    counted: House, valtag: Valtag, rule: str
) -> None:
    said = valtag("segment", "preview", rule, *counted.options)
    assert said.code == 1 and "fewer than 5 persons" in said.err and said.out == ""
    assert valtag("segment", "preview", rule, *counted.options, "--role", "keeper").code == 0


def test_of_many_there_is_a_count(counted: House, valtag: Valtag) -> None:
    found = valtag("segment", "preview", "phone is not null and order_count > 0", *counted.options, "--json")
    assert (found.json["size"], found.json["population"]) == (50, 60)


def test_overlaps_with_what_is_hidden_are_those_of_many(counted: House, valtag: Valtag) -> None:
    def overlaps(rule: str) -> set[str]:
        found = valtag("segment", "preview", rule, *counted.options, "--json").json
        return {item["segment"] for item in found["overlaps"]}

    assert "callable" in overlaps("city != '上海'")
    every_one = overlaps("total_spend > 100")
    assert "spenders" in every_one and "callable" not in every_one


def test_what_a_trigger_saw_in_a_person_takes_what_its_condition_reads(counted: House, valtag: Valtag) -> None:
    care = counted.root / "catalog" / "triggers" / "care.yaml"
    care.write_text(care.read_text(encoding="utf-8").replace("total_spend > 50", "phone is not null"), "utf-8")
    log = ("trigger", "log", "C001", *counted.options, "--json")
    assert valtag(*log).json["entries"] == []
    assert valtag(*log, "--role", "keeper").json["entries"] != []


def test_a_trigger_tells_no_count_of_few_over_what_is_hidden(counted: House, valtag: Valtag) -> None:
    care = counted.root / "catalog" / "triggers" / "care.yaml"
    few = care.read_text(encoding="utf-8").replace("trigger: care", "trigger: few")
    spent = (
        order_rows().assign(amount=lambda rows: rows["amount"].map(Decimal)).groupby("customer_id")["amount"].sum()
    )
    few = few.replace("total_spend > 50", f"total_spend >= {sorted(spent)[-3]}")
    counted.rules({"roles": {"clerk": "internal", "viewer": "public", "sender": ALL}, "default_role": "clerk"})
    care.with_name("few.yaml").write_text(few, encoding="utf-8")
    dry = ("trigger", "dry-run", "few", "--as-of", "2024-03-10", *counted.options, "--json")
    assert {row["n"] for row in valtag(*dry, "--role", "viewer").json["rows"]} == {None}
    assert {row["n"] for row in valtag(*dry).json["rows"]} == {3}
    # What the old condition decided of many is told, and to a role of rights nothing of it.
    assert list(valtag("trigger", "list", *counted.options, "--json").json[0]["decided"].values()) == [40]
    rights = {**ALL, "level": "internal", "categories": ["attribute"]}
    counted.rules({"roles": {"clerk": rights, "sender": ALL, "keeper": ALL}, "default_role": "keeper"})
    for line in (dry, ("trigger", "show", "few", *counted.options)):
        said = valtag(*line, "--role", "clerk")
        assert said.code == 1 and "may not read whom few" in said.err and said.out == ""
    care.write_text(few.replace("trigger: few", "trigger: care"), encoding="utf-8")
    care.with_name("few.yaml").unlink()
    (listed,) = valtag("trigger", "list", *counted.options, "--role", "clerk", "--json").json
    assert set(listed["decided"].values()) == {None} and listed["title"]["en"] == "Care"


def test_the_page_counts_no_audience_that_rests_on_what_a_role_of_rights_may_not_read(
    counted: House, valtag: Valtag, tmp_path: Path
) -> None:
    rights = {**ALL, "level": "internal", "categories": ["attribute", "transaction"]}
    roles = {"clerk": rights, "sender": ALL, "keeper": ALL, "short": "internal"}
    counted.rules({"roles": roles, "default_role": "keeper"})
    hidden, sizes = {}, {}
    for role in ("clerk", "short", "keeper"):
        page = tmp_path / f"{role}.html"
        assert valtag("report", *counted.options, "--into", page, "--role", role).code == 0
        text = page.read_text(encoding="utf-8")
        hidden[role] = text.count("its size is not shown")
        (_, card, *_) = text.split('id="segment-callable"')
        sizes[role] = card.split("</article>")[0].count('<p class="big">50 ')
    assert hidden == {"clerk": 1, "short": 0, "keeper": 0}
    assert sizes == {"clerk": 0, "short": 1, "keeper": 1}


def test_a_new_tag_tells_no_role_what_its_rule_would_not(counted: House, valtag: Valtag) -> None:
    orders = counted.root / "catalog" / "sources" / "orders.yaml"
    text = orders.read_text(encoding="utf-8")
    orders.write_text(text.replace("from: amount, type", "from: amount, access: pii, type"), "utf-8")
    tag = ("new", "tag", "orders.amount", "--dry-run")
    one = (*tag, "--agg", "max", "--code", "most", "--where", "amount >= 99")
    found = valtag(*one, *counted.options, "--json").json
    assert found["tags"][0]["tag"]["access"] == "pii" and found["tags"][0]["columns"] == {"most": {}}
    assert "coverage" in valtag(*one, *counted.options, "--role", "keeper").out
    roles = {"narrow": {**ALL, "sources": ["customers"]}, "sender": ALL}
    counted.rules({"roles": roles, "default_role": "narrow"})
    said = valtag(*tag, "--agg", "avg", *counted.options)
    assert said.code == 1 and "may not read what avg_amount reads" in said.err and said.out == ""
