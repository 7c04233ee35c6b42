"""valtag show: rows as a role may see them, conditions, and the three forms of output."""

import csv
import io
import json

from valtag_tests.cli.conftest import Shop, Valtag


def test_the_header_says_which_snapshot_is_shown(valtag: Valtag, served: Shop) -> None:
    said = valtag("show", "tags/transaction", *served.options, "--limit", 2)
    assert said.code == 0
    assert "tags/transaction: as-of 2025-12-31, known at " in said.out
    assert "2 of 19 rows" in said.out


def test_rows_as_json_have_their_types(valtag: Valtag, served: Shop) -> None:
    found = valtag("show", "tags/transaction", *served.options, "--person", "C001", "--json").json
    assert found["as_of"] == "2025-12-31" and found["total"] == 1 and found["held"] == []
    row = found["rows"][0]
    assert (row["person_id"], row["total_spend"], row["order_count"]) == ("C001", 199, 1)
    assert row["top_category"] == "护肤"


def test_a_condition_is_the_catalogs_own_language(valtag: Valtag, served: Shop) -> None:
    where = "city = '上海' and age between 18 and 25"
    rows = valtag("show", "tags/attribute", *served.options, "--where", where, "--json").json["rows"]
    assert {row["person_id"] for row in rows} == {"C001", "C003", "C006", "C010", "C013", "C016", "C018"}


def test_a_condition_is_checked_against_the_table(valtag: Valtag, served: Shop) -> None:
    said = valtag("show", "tags/attribute", *served.options, "--where", "ctiy = '上海'")
    assert said.code == 1
    assert "did you mean 'city'?" in said.err
    assert valtag("show", "tags/attribute", *served.options, "--where", "age > 'x'").code == 1


def test_a_condition_never_is_sql(valtag: Valtag, served: Shop) -> None:
    for text in ("1=1; drop table x", "age in (select 1)", "read_csv('/etc/passwd') is not null"):
        assert valtag("show", "tags/attribute", *served.options, "--where", text).code == 1


def test_columns_above_the_roles_level_are_masked_in_every_form(valtag: Valtag, served: Shop) -> None:
    found = valtag("show", "clean/customers", *served.options, "--json").json
    assert found["masked"] == ["name", "birth_date"]
    assert {row["name"] for row in found["rows"]} == {"***"}
    for form in ((), ("--csv",)):
        said = valtag("show", "clean/customers", *served.options, *form)
        assert "林晓" not in said.out and "2003-04-12" not in said.out
    steward = valtag("show", "clean/customers", *served.options, "--role", "steward", "--json").json
    assert steward["masked"] == [] and steward["rows"][0]["name"] == "林晓"


def test_a_condition_can_not_ask_for_masked_values(valtag: Valtag, served: Shop) -> None:
    said = valtag("show", "clean/customers", *served.options, "--where", "name = '林晓'")
    assert said.code == 1
    assert "this role may not read name" in said.err


def test_a_role_that_may_not_read_persons_can_not_look_one_up(valtag: Valtag, served: Shop) -> None:
    said = valtag("show", "tags/attribute", *served.options, "--role", "viewer", "--person", "C001")
    assert said.code == 1
    assert "may not read person_id" in said.err


def test_refused_rows_show_rule_and_reason_but_no_hidden_value(valtag: Valtag, ran: Shop) -> None:
    bad = "C020,钱多多,女,2003-13-45,上海,2025-12-02 12:30:00\n"
    with (ran.catalog / "data/customers.csv").open("a", encoding="utf-8") as file:
        file.write(bad)
    ran.edit("sources/customers.yaml", "deduplicate:", "checks: {max_quarantined: 0.2}\ndeduplicate:")
    valtag("run", *ran.options, "--select", "clean/customers")
    row = valtag("show", "quarantine/customers", *ran.options, "--json").json["rows"][0]
    assert row["rule"] == "birth_date.invalid" and row["row"] == 21
    assert row["value"] == "***"
    record = json.loads(row["record"])
    assert record["会员号"] == "C020" and record["姓名"] == record["生日"] == "***"
    steward = valtag("show", "quarantine/customers", *ran.options, "--role", "steward", "--json").json["rows"][0]
    assert steward["value"] == "2003-13-45"
    oracle = valtag("show", "quarantine/customers", *ran.options, "--where", "contains(record, '钱多多')")
    assert oracle.code == 1


def test_csv_cells_are_no_formulas(valtag: Valtag, ran: Shop) -> None:
    ran.edit("data/orders.csv", "D0005,C004,2025-05-01 11:00:00,香水", "D0005,C004,2025-05-01 11:00:00,=1+1")
    valtag("run", *ran.options, "--select", "clean/orders")
    said = valtag("show", "clean/orders", *ran.options, "--csv", "--limit", 100)
    rows = {row["order_no"]: row for row in csv.DictReader(io.StringIO(said.out))}
    assert rows["D0005"]["category"] == "'=1+1"
    assert rows["D0005"]["amount"] == "720.00"


def test_scores_and_audiences_can_be_shown(valtag: Valtag, served: Shop) -> None:
    scores = valtag("show", "scores/rfm", *served.options, "--where", "rfm_tier = 'best'", "--json").json
    assert scores["total"] > 0
    members = valtag("show", "segments/never_bought", *served.options, "--json").json
    assert [row["person_id"] for row in members["rows"]] == ["C018"]


def test_what_is_not_there_is_named(valtag: Valtag, served: Shop, shop: Shop) -> None:
    said = valtag("show", "tags/transactions", *served.options)
    assert said.code == 1 and "did you mean 'tags/transaction'?" in said.err
    said = valtag("show", "tags/transaction", *served.options, "--as-of", "2025-11-30")
    assert said.code == 1 and "there is 2025-12-31" in said.err
    said = valtag("show", "tags/transaction", *served.options, "--role", "stuard")
    assert said.code == 1 and "did you mean 'steward'?" in said.err
    said = valtag("show", "tags/transaction", *shop.options)
    assert said.code == 1 and "run valtag run first" in said.err


STAFF = """
source: staff
title: {zh: 员工, en: Staff}
kind: list
read: {path: data/staff.csv}
person: number
fields: [{name: number, type: text, required: true}]
"""
HALF = """
  - code: half
    title: {zh: 半数, en: Half}
    rule: not in_list(staff)
    holdout: {share: 0.5, seed: 1}
"""


def test_who_is_held_out_strangers_and_unknown_ids_of_a_list_are_told(valtag: Valtag, ran: Shop) -> None:
    (ran.catalog / "sources/staff.yaml").write_text(STAFF, encoding="utf-8")
    (ran.catalog / "data/staff.csv").write_text("number\nC001\nnobody\n", encoding="utf-8")
    with (ran.catalog / "segments/audiences.yaml").open("a", encoding="utf-8") as file:
        file.write(HALF)
    said = valtag("run", *ran.options, "-s", "+segments/half")
    assert "lists/staff: unmatched: 1 of 2" in said.out
    assert "lists/staff: warned: unmatched" in valtag("status", *ran.options).out
    held_out = valtag("show", "segments/half", *ran.options, "--json").json
    assert held_out["masked"] == []
    assert {row["is_holdout"] for row in held_out["rows"]} == {True, False}
    strangers = valtag("show", "identity/strangers", *ran.options, "--json").json
    assert strangers["masked"] == [] and strangers["rows"][0]["source"] == "orders"
