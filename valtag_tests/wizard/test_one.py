"""What a wish for one tag becomes: its name, type and place, and what is refused."""

from pathlib import Path

import pytest

from valtag_assets.expression.resolved import Resolved
from valtag_assets.spec.mistake import Mistake
from valtag_assets.wizard.drafting import draft
from valtag_assets.wizard.making import Proposal
from valtag_assets.wizard.one import Wish, propose_one
from valtag_tests.kit import MEMBERS, make_catalog

SECRET = MEMBERS.replace("{name: born, type: date}", "{name: born, type: date, access: sensitive}")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Resolved:
    return make_catalog(tmp_path_factory.mktemp("shop"), {"sources/members.yaml": SECRET})


def made(shop: Resolved, field: str, *rest: object, **more: object) -> Proposal:
    return propose_one(shop, Wish(field, *rest, **more))  # type: ignore[arg-type]


NAMED = {
    ("orders", "count"): ("order_count", "integer", "订单数", "Orders"),
    ("orders", "days_since_last"): ("days_since_last_order", "integer", "最近订单距今天数", "Days since last order"),
    ("orders.amount", "sum"): ("spend", "decimal(18,2)", "消费金额", "Spend"),
    ("orders.amount", "avg"): ("avg_amount", "decimal(18,2)", "平均amount", "Average amount"),
    ("orders.amount", "max"): ("max_amount", "decimal(18,2)", "最大amount", "Largest amount"),
    ("orders.amount", "median"): ("median_amount", "decimal(18,2)", "中位amount", "Median amount"),
    ("orders.amount", "first"): ("first_amount", "decimal(18,2)", "首次amount", "First amount"),
    ("orders.quantity", "sum"): ("total_quantity", "integer", "quantity合计", "Total quantity"),
    ("orders.ratio", "avg"): ("avg_ratio", "decimal(18,4)", "平均ratio", "Average ratio"),
    ("orders.gift", "count"): ("gift_count", "integer", "gift次数", "Gifts"),
    ("orders.brand", "top"): ("top_brand", "text", "brand偏好", "Favourite brand"),
    ("orders.brand", "top_k"): ("top_brands", "list(text)", "brand偏好前几", "Favourite brands"),
    ("orders.brand", "list"): ("brands", "list(text)", "brand列表", "All brands"),
    ("orders.brand", "share"): ("top_brand_share", "decimal(7,4)", "首选brand占比", "Share of the favourite brand"),
    ("orders.brand", "count_distinct"): ("brand_count", "integer", "brand数", "Different brands"),
    ("orders.brand", "last"): ("last_brand", "text", "最近brand", "Latest brand"),
    ("orders.paid_at", "max"): ("last_order_at", "timestamp", "最近订单时间", "Last order"),
    ("orders.paid_at", "min"): ("first_order_at", "timestamp", "首次订单时间", "First order"),
    ("orders.paid_at", "count_distinct"): ("order_days", "integer", "订单天数", "Days with orders"),
    ("orders.due", "max"): ("last_due_date", "date", "最近due", "Last due"),
    ("members.city", "value"): ("city", "text", "城市", "City"),
    ("members.is_vip", "value"): ("is_vip", "boolean", "is_vip", "is_vip"),
    ("members.born", "value"): ("born_date", "date", "born", "born"),
    ("members.born", "years_since"): ("age", "integer", "年龄", "Age"),
    ("members.born", "days_to_anniversary"): (
        *("days_to_birthday", "integer", "距下一个生日天数", "Days to the next birthday"),
    ),
}  # fmt: skip


def test_names_types_and_titles_follow_one_law_and_all_of_it_checks(shop: Resolved) -> None:
    found = {asked: made(shop, *asked) for asked in NAMED}
    told = {
        asked: (one.code, one.tag["type"], one.tag["title"]["zh"], one.tag["title"]["en"])
        for asked, one in found.items()
    }
    assert told == NAMED
    resolved = draft(shop, list(found.values())).resolved
    assert set(resolved.tags) == {code for code, *_ in NAMED.values()}
    assert resolved.tags["age"].spec.access == "sensitive" and resolved.tags["city"].spec.access == "internal"


def test_a_window_follows_the_code_and_the_title(shop: Resolved) -> None:
    wished = made(shop, "orders.amount", "sum", ("30d",))
    assert wished.columns == {"30d": "spend_30d"}
    tag = draft(shop, [wished]).resolved.tags["spend_30d"]
    assert (tag.title.zh, tag.title.en) == ("消费金额（近30天）", "Spend (last 30 days)")


def test_what_is_left_out_is_what_is_most_often_wanted(shop: Resolved) -> None:
    usual = {field: made(shop, f"orders.{field}").code for field in ("amount", "ratio", "brand", "paid_at", "gift")}
    assert usual == {
        "amount": "spend",
        "ratio": "avg_ratio",
        "brand": "top_brand",
        "paid_at": "days_since_last_order",
        "gift": "gift_count",
    }
    assert made(shop, "members.born").code == "age"


def test_a_condition_is_part_of_the_name(shop: Resolved) -> None:
    stores = made(shop, "orders.amount", "sum", where="channel = 'store'")
    assert (stores.code, stores.tag["title"]) == ("store_spend", {"zh": "门店消费金额", "en": "Spend, store"})
    assert stores.tag["value"]["where"] == "channel = 'store'"
    large = made(shop, "orders", "count", where="amount > 100")
    assert large.code == "amount_order_count"
    assert large.tag["title"] == {"zh": "订单数（amount > 100）", "en": "Orders where amount > 100"}
    assert made(shop, "orders", "count", where="amount > 100", code="large_order_count").code == "large_order_count"


def test_equal_counts_are_told_apart_by_money(shop: Resolved) -> None:
    assert made(shop, "orders.brand", "top").tag["value"] == {
        "fact": "orders",
        "agg": "top",
        "of": "brand",
        "by": "count()",
        "ties": ["sum(amount) desc"],
    }


def test_a_wish_overrules_what_follows_from_the_field(shop: Resolved) -> None:
    wished = made(
        shop, "orders.amount", "quantile", q=0.9, category="basket", group="价", owner="team:crm", access="pii"
    )
    assert wished.code == "p90_amount" and wished.category == "basket" and wished.tag["value"]["q"] == 0.9
    made_of = draft(shop, [wished])
    (change,) = made_of.changes
    assert change.before is None and change.file.name == "basket.yaml"
    assert made_of.resolved.tags["p90_amount"].spec.owner == "team:crm"


@pytest.mark.parametrize(
    ("wish", "why"),
    [
        (Wish("orders.amont"), "did you mean 'amount'"),
        (Wish("goods.amount"), "'goods' is no master or fact"),
        (Wish("members"), "a tag of a master is one of its fields"),
        (Wish("members.city", "years_since"), "years_since is for dates, and 'city' is text"),
        (Wish("members.city", where="points > 1"), "--where and --window are for facts"),
        (Wish("orders", "sum"), "agg sum needs a field"),
        (Wish("orders.amount", where="amount >"), "--where amount >"),
        (Wish("orders.amount", windows=("30",)), "unknown window '30'"),
    ],
)
def test_a_wish_that_makes_no_sense_is_refused(shop: Resolved, wish: Wish, why: str) -> None:
    with pytest.raises(Mistake, match=why.replace("(", r"\(")):
        propose_one(shop, wish)


def test_files_keep_what_they_begin_with_and_are_not_written_over_a_change(shop: Resolved, tmp_path: Path) -> None:
    lines = (
        "\ufeffcategory: basket",
        "title: {zh: 篮, en: Basket}",
        "tags:",
        "  - {code: order_count, title: {zh: 单, en: O}, type: integer, value: {fact: orders, agg: count}}",
        "",
    )
    text = "\r\n".join(lines)
    resolved = make_catalog(tmp_path, {"tags/basket.yaml": text.encode()})
    wished = draft(resolved, [made(resolved, "orders.amount", "max", category="basket")])
    (change,) = wished.changes
    assert change.after.startswith(text.encode()) and b"\r\n" in change.after.removeprefix(text.encode())
    change.file.write_bytes(text.encode() + b"# somebody was here\r\n")
    with pytest.raises(Mistake, match="was changed meanwhile"):
        wished.write()
    change.file.write_bytes(text.encode())
    assert wished.write() == [change.file] and change.file.read_bytes() == change.after
