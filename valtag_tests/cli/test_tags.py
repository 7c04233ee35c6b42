"""valtag tags, sql and status."""

from valtag_tests.cli.conftest import Shop, Valtag


def test_the_tag_tree_without_a_warehouse(valtag: Valtag, shop: Shop) -> None:
    rows = valtag("tags", *shop.options, "--json").json
    spend = next(row for row in rows if row["code"] == "total_spend_30d")
    assert spend["title"]["zh"] == "累计消费金额（近30天）"
    assert (spend["category"], spend["kind"], spend["unit"]) == ("transaction", "value", "CNY")
    assert spend["sources"] == ["orders.amount", "orders.ordered_at"]
    assert spend["refresh"] == "daily by 06:00" and spend["owner"] == "team:data"
    assert spend["as_of"] is None and spend["coverage"] is None


def test_the_tag_tree_knows_what_is_served(valtag: Valtag, served: Shop) -> None:
    rows = {row["code"]: row for row in valtag("tags", *served.options, "--json").json}
    assert rows["total_spend"]["as_of"] == "2025-12-31" and rows["total_spend"]["coverage"] == 1
    assert rows["city"]["coverage"] == 17 / 19
    assert rows["spend_tier"]["sources"] == ["orders.amount", "orders.ordered_at"]


def test_the_tag_tree_says_what_a_tag_is_worth_and_why_it_is_not_simply_kept(valtag: Valtag, served: Shop) -> None:
    rows = {row["code"]: row for row in valtag("tags", *served.options, "--json").json}
    judged = valtag("insight", *served.options, "--json").json
    assert {row["tag"]: (row["score"], row["advice"]) for row in judged["tags"]} == {
        code: (row["usefulness"], row["advice"]) for code, row in rows.items()
    }
    assert all((row["advice"] == "keep") == (row["reasons"] == []) for row in judged["tags"])
    reasons = {row["tag"]: [reason["en"] for reason in row["reasons"]] for row in judged["tags"]}
    assert "nothing reads it" in reasons["gender"] and "nothing reads it" not in reasons["city"]
    assert judged["automated"]["report"] == {"on_tags": 1, "all": 2}
    assert "automated on tags: 80% of 5 (segment 3 of 3, report 1 of 2)" in valtag("insight", *served.options).out


def test_what_to_retire_or_merge_is_listed_alone(valtag: Valtag, served: Shop) -> None:
    judged = valtag("insight", *served.options, "--json").json["tags"]
    listed = valtag("insight", "--give-up", *served.options, "--json").json
    assert [row["tag"] for row in listed] == [row["tag"] for row in judged if row["advice"] in ("retire", "merge")]
    assert f"{len(listed)} of 13 tags" in valtag("insight", "--give-up", *served.options).out


def test_tags_are_found_by_text_in_either_language(valtag: Valtag, shop: Shop) -> None:
    def codes(text: str) -> set[str]:
        return {row["code"] for row in valtag("tags", text, *shop.options, "--json").json}

    assert codes("消费档") == {"spend_tier"}
    assert codes("favourite") == {"top_category"}
    assert codes("ＡＧＥ") >= {"age"}
    assert codes("completed years") == {"age"}
    assert codes("nothing like it") == set()


def test_the_tree_is_printed_by_category(valtag: Valtag, served: Shop) -> None:
    said = valtag("tags", *served.options)
    assert "属性类 · Attribute (attribute): as-of 2025-12-31" in said.out
    assert "13 of 13 tags" in said.out


def test_the_sql_of_a_tag_holds_only_what_it_needs(valtag: Valtag, served: Shop) -> None:
    said = valtag("sql", "avg_order_value", *served.options)
    assert said.code == 0
    assert said.out.startswith("-- avg_order_value: 单均消费金额 · Average order value\n")
    assert "as-of 2025-12-31" in said.out and '"amount"' in said.out
    assert '"category"' not in said.out


def test_an_unknown_tag_or_engine_is_refused(valtag: Valtag, shop: Shop) -> None:
    said = valtag("sql", "avg_order_valu", *shop.options)
    assert said.code == 1 and "did you mean 'avg_order_value'?" in said.err
    assert valtag("sql", "age", *shop.options, "--engine", "oracle").code == 1


def test_status_is_well_after_a_good_run(valtag: Valtag, served: Shop) -> None:
    said = valtag("status", *served.options, "--json")
    assert said.code == 0
    states = {row["table"]: row["state"] for row in said.json}
    assert states["tags/transaction"] == "ok" and states["segments/high_value"] == "ok"
    assert "clean/orders" in valtag("status", *served.options).out


def test_status_before_any_run_holds_nothing(valtag: Valtag, shop: Shop) -> None:
    said = valtag("status", *shop.options, "--json")
    assert said.code == 0
    assert {row["state"] for row in said.json} == {"never published"}


def test_status_is_code_2_when_a_table_was_refused(valtag: Valtag, ran: Shop) -> None:
    ran.edit("sources/orders.yaml", "checks: {max_quarantined: 0.2}", "checks: {max_quarantined: 0.01}")
    assert valtag("run", *ran.options).code == 2
    said = valtag("status", *ran.options, "--json")
    assert said.code == 2
    orders = next(row for row in said.json if row["table"] == "clean/orders")
    assert orders["state"] == "refused, last good served"
