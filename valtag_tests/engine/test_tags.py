"""A category's table: who is in it, what stands where nothing is known, tags over tags."""

from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from valtag_assets.engine.persons import PERSONS, clean_name, population, strangers
from valtag_assets.engine.tags import PREVIOUS, category_expression, tag_expression
from valtag_tests import kit
from valtag_tests.kit import category, compute, make_catalog, tag

AS_OF = date(2024, 2, 29)
MONEY = "decimal(18,2)"


def order(member: str, **more: Any) -> dict[str, Any]:
    return {"member": member, "paid_at": datetime(2024, 2, 1), **more}


def spend(**more: Any) -> dict[str, Any]:
    return tag("spend", MONEY, {"fact": "orders", "agg": "sum", "of": "amount"}, **more)


def one_tag(folder: Path, block: dict[str, Any], orders: list[Any], **more: Any) -> dict[str, Any]:
    """The values of one tag, by person."""
    resolved = make_catalog(folder, {"tags/t.yaml": category("t", block)})
    rows = compute(folder, resolved, "t", AS_OF, {"orders": orders}, **more)
    return {row["person_id"]: row[block["code"]] for row in rows}


def test_a_person_in_no_fact_has_a_row_and_a_stranger_has_none(tmp_path: Path) -> None:
    found = one_tag(tmp_path, spend(), [order("a", amount=Decimal(1)), order("stranger", amount=Decimal(9))])
    assert found == {"a": Decimal("1.00"), "b": None, "c": None}


def test_a_count_of_nothing_is_zero_for_everybody(tmp_path: Path) -> None:
    block = tag("gift_count", "integer", {"fact": "orders", "agg": "count", "where": "gift"})
    assert one_tag(tmp_path, block, [order("a", gift=True), order("b", gift=None)]) == {"a": 1, "b": 0, "c": 0}


def test_a_distinct_count_of_nothing_is_what_empty_says(tmp_path: Path) -> None:
    block = tag("brand_count", "integer", {"fact": "orders", "agg": "count_distinct", "of": "brand"}, empty=-1)
    assert one_tag(tmp_path, block, [order("a", brand="x"), order("b")]) == {"a": 1, "b": -1, "c": -1}


@pytest.mark.parametrize(
    ("kind", "value", "empty", "expected"),
    [
        ("text", {"fact": "orders", "agg": "last", "of": "brand"}, "未知'\"😀", "未知'\"😀"),
        ("text", {"fact": "orders", "agg": "last", "of": "brand"}, 5, "5"),
        (MONEY, {"fact": "orders", "agg": "sum", "of": "amount"}, 0.1, Decimal("0.10")),
        ("float", {"fact": "orders", "agg": "avg", "of": "ratio"}, 0, 0.0),
        ("list(text)", {"fact": "orders", "agg": "list", "of": "brand"}, [], []),
        ("list(integer)", {"fact": "orders", "agg": "top_k", "of": "quantity"}, [1, 2], [1, 2]),
    ],
)
def test_empty_stands_where_there_is_nothing(
    tmp_path: Path, kind: str, value: Any, empty: Any, expected: Any
) -> None:
    assert one_tag(tmp_path, tag("x", kind, value, empty=empty), [])["a"] == expected


def test_empty_may_be_a_date_a_time_or_a_boolean(tmp_path: Path) -> None:
    tags = category(
        "t",
        tag("last_date", "date", {"fact": "orders", "agg": "last", "of": "due"}, empty="1970-01-01"),
        tag("last_at", "timestamp", {"fact": "orders", "agg": "last", "of": "paid_at"}, empty="1970-01-01 08:00"),
        tag("is_gift", "boolean", {"fact": "orders", "agg": "last", "of": "gift"}, empty=False),
    )
    row = compute(tmp_path, make_catalog(tmp_path, {"tags/t.yaml": tags}), "t", AS_OF, {})[0]
    assert row == {
        "person_id": "a",
        "last_date": date(1970, 1, 1),
        "last_at": datetime(1970, 1, 1, 8),
        "is_gift": False,
    }


# --- null_policy: keep_last ----------------------------------------------------------------------------------


def kept(folder: Path, previous: list[Any] | None, orders: list[Any], **more: Any) -> dict[str, Any]:
    block = tag("brand", "text", {"fact": "orders", "agg": "last", "of": "brand"}, null_policy="keep_last", **more)
    return one_tag(folder, block, orders, previous=previous)


def test_a_kept_tag_takes_its_last_value_where_it_would_lose_it(tmp_path: Path) -> None:
    before = [
        {"person_id": "a", "brand": "old"},
        {"person_id": "b", "brand": "old"},
        {"person_id": "gone", "brand": "x"},
    ]
    assert kept(tmp_path, before, [order("a", brand="new")]) == {"a": "new", "b": "old", "c": None}


def test_a_kept_value_comes_before_empty(tmp_path: Path) -> None:
    before = [{"person_id": "b", "brand": "old"}]
    assert kept(tmp_path, before, [], empty="none") == {"a": "none", "b": "old", "c": "none"}


def test_tags_over_a_kept_tag_see_the_kept_value(tmp_path: Path) -> None:
    tags = category(
        "t",
        tag("brand", "text", {"fact": "orders", "agg": "last", "of": "brand"}, null_policy="keep_last"),
        tag("is_loyal", "boolean", "brand = 'old'"),
    )
    resolved = make_catalog(tmp_path, {"tags/t.yaml": tags})
    previous = [{"person_id": "b", "brand": "old", "is_loyal": True}]
    rows = compute(tmp_path, resolved, "t", AS_OF, {}, previous=previous)
    assert [row["is_loyal"] for row in rows] == [None, True, None]


def test_a_snapshot_from_before_the_tag_existed_has_nothing_to_keep(tmp_path: Path) -> None:
    tags = category(
        "t", tag("brand", "text", {"fact": "orders", "agg": "last", "of": "brand"}, null_policy="keep_last")
    )
    resolved = make_catalog(tmp_path, {"tags/t.yaml": tags})
    inputs = {
        PERSONS: kit.write_persons(tmp_path, ["a"]),
        clean_name("orders"): kit.write_clean(tmp_path, resolved, "orders", []),
        PREVIOUS: kit.write_persons(tmp_path / "previous", ["a"]),
    }
    expression = category_expression(resolved, resolved.categories["t"], AS_OF, previous=["person_id"])
    assert kit.run(expression, inputs, tmp_path / "out.parquet").to_pylist() == [{"person_id": "a", "brand": None}]


# --- masters ----------------------------------------------------------------------------------------------------


def test_master_tags_read_one_row_per_person_from_any_number_of_masters(tmp_path: Path) -> None:
    shops = (
        kit.MEMBERS.replace("source: members", "source: shops")
        .replace("person: member", "person: owner")
        .replace("name: member,", "name: owner,")
    )
    tags = category(
        "t",
        tag("city", "text", {"master": "members", "of": "city"}, empty="未知"),
        tag("born_date", "date", {"master": "members", "of": "born"}),
        tag("age", "integer", {"master": "members", "of": "years_since(born)"}),
        tag("is_vip", "boolean", {"master": "members", "of": "is_vip"}),
        tag("shop_rate", "decimal(9,1)", {"master": "shops", "of": "rate / 2"}),
    )
    resolved = make_catalog(tmp_path, {"sources/shops.yaml": shops, "tags/t.yaml": tags})
    clean = {
        "members": [
            {"member": "a", "city": "上海", "born": date(2004, 2, 29), "is_vip": True},
            {"member": None, "city": "北京"},
            {"member": "b", "born": date(2004, 3, 1)},
        ],
        "shops": [{"owner": "b", "rate": Decimal("2.5")}, {"owner": "b2", "rate": Decimal("9")}],
    }
    a, b, c = compute(tmp_path, resolved, "t", AS_OF, clean)
    assert (a["city"], a["born_date"], a["age"], a["is_vip"]) == ("上海", date(2004, 2, 29), 20, True)
    assert (b["city"], b["age"], b["is_vip"], b["shop_rate"]) == ("未知", 19, None, Decimal("1.3"))
    assert c == {"person_id": "c", "city": "未知", "born_date": None, "age": None, "is_vip": None, "shop_rate": None}


def test_a_field_called_person_id_keeps_its_own_values_and_type(tmp_path: Path) -> None:
    orders = kit.ORDERS.replace("name: quantity,", "name: person_id,")
    tags = category("t", tag("person_sum", "integer", {"fact": "orders", "agg": "sum", "of": "person_id"}))
    resolved = make_catalog(tmp_path, {"sources/orders.yaml": orders, "tags/t.yaml": tags})
    rows = compute(tmp_path, resolved, "t", AS_OF, {"orders": [order("a", person_id=3), order("a", person_id=4)]})
    assert [row["person_sum"] for row in rows] == [7, None, None]


def test_tags_may_be_called_like_arguments_of_ibis(tmp_path: Path) -> None:
    value = {"fact": "orders", "agg": "sum", "of": "quantity"}
    tags = category("t", *[tag(code, "integer", value) for code in ("by", "having", "metrics", "select", "order")])
    resolved = make_catalog(tmp_path, {"tags/t.yaml": tags})
    row = compute(tmp_path, resolved, "t", AS_OF, {"orders": [order("a", quantity=2)]})[0]
    assert row == {"person_id": "a", "by": 2, "having": 2, "metrics": 2, "select": 2, "order": 2}


# --- bands and computed tags --------------------------------------------------------------------------------------


def steps(*edges: Any) -> dict[str, Any]:
    found = []
    for number, edge in enumerate(edges):
        step = {"code": f"s{number}", "title": {"zh": "档", "en": "step"}}
        found.append(step if edge is None else {**step, "from": edge})
    return {"of": "spend", "steps": found}


def band_of(folder: Path, amount: str | None, *edges: Any) -> str | None:
    band = {**tag("tier", "text", None), "band": steps(*edges)}
    del band["value"]
    resolved = make_catalog(folder, {"tags/t.yaml": category("t", spend(), band)})
    rows = [] if amount is None else [order("a", amount=Decimal(amount))]
    return compute(folder, resolved, "t", AS_OF, {"orders": rows})[0]["tier"]


@pytest.mark.parametrize(
    ("amount", "tier"), [("0.09", None), ("0.10", "s0"), ("0.29", "s0"), ("0.30", "s1"), ("1e9", "s2"), (None, None)]
)
def test_a_value_on_an_edge_is_in_the_higher_band(tmp_path: Path, amount: str | None, tier: str | None) -> None:
    assert band_of(tmp_path, amount, 0.1, 0.3, 1000) == tier


def test_a_first_step_without_from_takes_everything_below_but_not_the_unknown(tmp_path: Path) -> None:
    assert band_of(tmp_path, "-5", None, -1) == "s0"
    assert band_of(tmp_path, None, None, -1) is None


def test_computed_tags_chain_across_categories_in_any_order_of_writing(tmp_path: Path) -> None:
    files = {
        "tags/a.yaml": category(
            "a", tag("is_rich", "boolean", "doubled >= 20"), tag("doubled", MONEY, "spend * 2"), spend(empty=0)
        ),
        "tags/b.yaml": category("b", tag("label", "text", "if(is_rich, 'rich', 'poor')", empty="?")),
    }
    resolved = make_catalog(tmp_path, files)
    rows = compute(tmp_path, resolved, "a", AS_OF, {"orders": [order("b", amount=Decimal(10))]})
    assert [(row["spend"], row["doubled"], row["is_rich"]) for row in rows] == [
        (0, 0, False),
        (10, 20, True),
        (0, 0, False),
    ]
    labels = compute(tmp_path, resolved, "b", AS_OF, {}, others={"a": rows[:2]})
    assert [row["label"] for row in labels] == ["poor", "rich", "poor"]


def test_one_tag_alone_has_the_same_values_as_in_its_category(tmp_path: Path) -> None:
    files = {"tags/a.yaml": category("a", spend(), tag("doubled", MONEY, "spend * 2"), tag("idle", MONEY, "doubled"))}
    resolved = make_catalog(tmp_path, files)
    inputs = {
        PERSONS: kit.write_persons(tmp_path, ["a"]),
        clean_name("orders"): kit.write_clean(tmp_path, resolved, "orders", [order("a", amount=Decimal("1.5"))]),
    }
    alone = kit.run(tag_expression(resolved, "doubled", AS_OF), inputs, tmp_path / "out.parquet")
    assert alone.to_pylist() == [{"person_id": "a", "doubled": Decimal("3.00")}]


# --- population ---------------------------------------------------------------------------------------------------


def test_the_population_is_every_key_once_as_text_in_binary_order(tmp_path: Path) -> None:
    project = kit.PROJECT.replace("[members]", "[members, orders]")
    resolved = make_catalog(tmp_path, {"project.yaml": project})
    inputs = {
        clean_name("members"): kit.write_clean(tmp_path, resolved, "members", [{"member": "b"}, {"member": None}]),
        clean_name("orders"): kit.write_clean(
            tmp_path, resolved, "orders", [order(m) for m in ["b", "B", "陈 😀", "'x'"]]
        ),
    }
    found = kit.run(population(resolved), inputs, tmp_path / "out.parquet")
    assert found["person_id"].to_pylist() == ["'x'", "B", "b", "陈 😀"]


def test_strangers_are_counted_by_rows_and_keys(tmp_path: Path) -> None:
    resolved = make_catalog(tmp_path, {})
    inputs = {
        PERSONS: kit.write_persons(tmp_path, ["a"]),
        clean_name("orders"): kit.write_clean(
            tmp_path, resolved, "orders", [order("a"), order("x"), order("x"), order("y")]
        ),
    }
    found = kit.run(strangers(resolved.sources["orders"]), inputs, tmp_path / "out.parquet").to_pylist()
    assert found == [{"source": "orders", "rows": 4, "strangers": 3, "keys": 2}]


def test_a_category_may_hold_more_tags_over_tags_than_sql_can_be_nested_deep(tmp_path: Path) -> None:
    plenty = [tag(f"times_{n}", MONEY, f"spend * {n}") for n in range(2, 152)]
    last = tag("difference", MONEY, "times_150 - times_149")
    resolved = make_catalog(tmp_path, {"tags/t.yaml": category("t", spend(), last, *plenty)})
    row = compute(tmp_path, resolved, "t", AS_OF, {"orders": [order("a", amount=Decimal(3))]}, ["a"])[0]
    assert (row["times_2"], row["times_151"], row["difference"]) == (Decimal(6), Decimal(453), Decimal(3))
