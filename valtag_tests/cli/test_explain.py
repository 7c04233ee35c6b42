"""valtag explain and valtag segment portrait, as commands."""

from decimal import Decimal
from pathlib import Path

from valtag_assets.console.opening import open_setting
from valtag_tests.cli.conftest import Shop, Valtag
from valtag_tests.console.planting import plant


def test_a_value_is_shown_with_its_definition_rows_and_proof(valtag: Valtag, served: Shop) -> None:
    said = valtag("explain", "C001", "total_spend", *served.options)
    assert said.code == 0
    assert said.out.startswith("total_spend = 199.00 CNY")
    for words in (
        "累计消费金额 · Cumulative spend",
        "defined at tags/transaction.yaml:6",
        "sum(amount) of orders",
        "orders.csv:1",
        "amount: column “金额” → unit → 元 by amount_unit",
        "proof: these rows alone give 199.00: equal",
    ):
        assert words in said.out


def test_the_json_has_the_same_and_whether_it_is_proven(valtag: Valtag, served: Shop) -> None:
    found = valtag("explain", "C001", "rfm_tier", *served.options, "--json").json
    assert found["proven"] is True and found["as_of"] == "2025-12-31"
    spend = next(tag for tag in found["tags"] if tag["code"] == "total_spend")
    assert spend["clean"]["rows"][0]["place"] == {"file": "orders.csv", "row": 1, "merged": []}
    assert valtag("explain", "C001", "rfm_tier", *served.options, "--json", "--deep", 0).json["tags"] == []


def test_a_lie_is_told_by_exit_code_2(valtag: Valtag, ran: Shop) -> None:
    plant(open_setting(str(ran.catalog), ran.data), "tags/transaction", "C001", "total_spend", Decimal("1.00"))
    said = valtag("explain", "C001", "total_spend", *ran.options)
    assert said.code == 2 and "NOT EQUAL: this gives 199.00, served is 1.00" in said.out
    assert valtag("explain", "C001", "spend_tier", *ran.options).code == 2
    assert valtag("explain", "C002", "total_spend", *ran.options).code == 0


def test_a_changed_definition_is_not_held_against_the_old_value(valtag: Valtag, ran: Shop) -> None:
    ran.edit("tags/transaction.yaml", "agg: sum, of: amount}", "agg: sum, of: amount * 2}")
    said = valtag("explain", "C001", "total_spend", *ran.options)
    assert said.code == 0 and "proof: none, the definition of total_spend has changed" in said.out
    ran.edit("scores/rfm.yaml", "where: order_count > 0", "where: order_count > 1")
    said = valtag("explain", "C001", "rfm_tier", *ran.options)
    assert said.code == 0 and "proof: none, the definition of rfm_tier has changed" in said.out


def test_held_tags_say_which_check_failed(valtag: Valtag, ran: Shop) -> None:
    ran.edit("tags/attribute.yaml", "domain: {min: 0, max: 120}", "domain: {min: 0, max: 30}")
    assert valtag("run", *ran.options, "--select", "tags/attribute").code == 2
    said = valtag("explain", "C001", "age", *ran.options)
    assert said.code == 0 and "HELD" in said.out.splitlines()[0]
    assert "the tag is held: " in said.out and "tags/attribute.yaml" in said.out


def test_masked_fields_stay_masked(valtag: Valtag, served: Shop) -> None:
    said = valtag("explain", "C001", "age", *served.options)
    assert "age = 22" in said.out and "***" in said.out and "2003" not in said.out
    assert "2003-04-12" in valtag("explain", "C001", "age", *served.options, "--role", "steward").out
    said = valtag("explain", "C001", "age", *served.options, "--role", "viewer")
    assert said.code == 1 and "may not read person_id" in said.err


def test_what_is_not_there_is_one_line(valtag: Valtag, served: Shop, shop: Shop) -> None:
    for arguments, words in {
        ("C999", "age"): "'C999' is no person",
        ("C001", "agee"): "did you mean 'age'?",
        ("C001", "age", "--as-of", "2025-01-01"): "there is 2025-12-31",
    }.items():
        said = valtag("explain", *arguments, *served.options)
        assert said.code == 1 and words in said.err and len(said.err.splitlines()) == 1
    said = valtag("explain", "C001", "age", *shop.options)
    assert said.code == 1 and "was never published" in said.err
    said = valtag("segment", "portrait", "high_value", *shop.options)
    assert said.code == 1 and "was never published" in said.err


def test_a_portrait_of_few_gives_no_figures(valtag: Valtag, served: Shop, tmp_path: Path) -> None:
    said = valtag("segment", "portrait", "high_value", *served.options, "--into", tmp_path)
    assert said.code == 0 and "too few to compare: 4 persons on one side" in said.out
    assert (tmp_path / "portrait.html").is_file()
    found = valtag("segment", "portrait", "high_value", *served.options, "--json").json
    assert (found["members"], found["rest"], found["differences"]) == (4, 15, [])
