"""A whole catalog proposed from the whitelist: what a data team would want, each thing once."""

from datetime import date
from pathlib import Path

from valtag_assets.wizard.drafting import draft
from valtag_assets.wizard.fields import Figures
from valtag_assets.wizard.whole import Looked, left_out, propose
from valtag_tests.kit import ORDERS, make_catalog

MEMBERS = """\
source: members
title: {zh: 会员表, en: Members}
kind: master
person: member
read: {path: members.csv}
fields:
  - {name: member, type: text}
  - {name: name, type: text, access: pii, title: {zh: 姓名, en: Name}}
  - {name: city, type: text, title: {zh: 城市, en: City}}
  - {name: gender, type: text, values: {女: female, 男: male}, title: {zh: 性别, en: Gender}}
  - {name: birthday, type: date, access: sensitive, title: {zh: 生日, en: Birthday}}
  - {name: joined_on, type: date, title: {zh: 入会日期, en: Joined on}}
  - {name: points, type: integer, layer: auxiliary, title: {zh: 积分, en: Points}}
"""
LINES = """\
source: order_lines
title: {zh: 订单明细, en: Order lines}
kind: fact
family: transaction
person: member
time: ordered_at
key: [order_no, line]
read: {path: lines.csv}
fields:
  - {name: order_no, type: text, title: {zh: 订单号, en: Order number}}
  - {name: line, type: integer}
  - {name: member, type: text}
  - {name: ordered_at, type: timestamp}
  - {name: amount, type: "decimal(18,2)", bounds: {min: 0}, title: {zh: 金额, en: Amount}}
  - {name: discount_rate, type: float, title: {zh: 折扣率, en: Discount rate}}
  - {name: brand, type: text, title: {zh: 品牌, en: Brand}}
  - {name: shop_city, type: text, title: {zh: 门店城市, en: City of the shop}}
  - {name: status, type: text, values: {paid: [已支付], refunded: [已退款]}, title: {zh: 状态, en: Status}}
"""
EVENTS = """\
source: events
title: {zh: 行为日志, en: Events}
kind: fact
family: behavior
person: member
time: at
key: [event_no]
read: {path: events.csv}
fields:
  - {name: event_no, type: text}
  - {name: member, type: text}
  - {name: at, type: timestamp}
  - name: event_type
    type: text
    title: {zh: 事件类型, en: Event type}
    values: {view: [浏览], 加购: [cart], "9": []}
  - {name: brand, type: text, title: {zh: 品牌, en: Brand}}
"""
FILES = {
    "sources/members.yaml": MEMBERS,
    "sources/orders.yaml": None,
    "sources/order_lines.yaml": LINES,
    "sources/events.yaml": EVENTS,
}


def test_every_field_gives_what_its_part_is_good_for_and_the_catalog_checks(tmp_path: Path) -> None:
    resolved = make_catalog(tmp_path, FILES)
    found = propose(resolved, Looked())
    by_category: dict[str, set[str]] = {}
    for proposal in found:
        by_category.setdefault(proposal.category, set()).add(proposal.code)
    assert by_category == {
        "attribute": {"city", "gender", "age", "age_band"},
        "transaction": {"order_count", "spend", "avg_order_value", "refunded_order_count", "avg_discount_rate"},
        "behavior": {"event_count", "active_days", "view_count", "add_cart_count"},
        "lifecycle": {
            *("days_to_birthday", "days_since_joined", "days_since_last_order", "days_since_first_order"),
            *("days_since_last_event", "days_since_first_event"),
        },
        "interest": {
            *("top_brand", "top_brand_share", "brand_count", "top_shop_city", "first_shop_city"),
            *("top_event_brand", "top_event_brand_share", "event_brand_count"),
        },
    }
    made = draft(resolved, found).resolved
    assert made.tags["spend"].aggregate is not None and made.tags["spend"].spec.value is not None
    assert made.tags["spend"].spec.value.where == "status = 'paid'"
    assert (made.tags["age_band"].spec.access, made.tags["gender"].values) == ("sensitive", ("female", "male"))
    assert left_out(resolved) == {
        "members.name": "personal data: name it to have a tag of it",
        "members.points": "its layer is auxiliary",
    }


def test_figures_tell_levels_from_sums_names_from_kinds_and_persons_from_rows(tmp_path: Path) -> None:
    resolved = make_catalog(tmp_path, FILES)
    figures = {
        "members": {"city": Figures(1000, 900)},
        "order_lines": {
            "brand": Figures(1000, 40, persons=300, pairs=700),
            "shop_city": Figures(1000, 20, persons=300, pairs=301),
        },
    }
    spans = {"order_lines": (date(2024, 1, 1), date(2024, 5, 1))}
    looked = Looked(figures, spans, {"events": 0.01, "order_lines": 0.3}, date(2024, 5, 1))
    found = {proposal.code: proposal for proposal in propose(resolved, looked)}
    assert "city" not in found, "hardly any two persons share one: it is a name"
    assert found["shop_city"].tag["value"] == {"fact": "order_lines", "agg": "last", "of": "shop_city"}
    assert "top_shop_city" not in found and "top_brand" in found
    assert list(found["spend"].columns) == ["all", "90d", "30d"], "a year is longer than the history"
    assert {code for code in found if "event" in code} == {"event_count", "days_since_last_event"}, "few have any"


def test_a_catalog_that_has_tags_keeps_their_codes(tmp_path: Path) -> None:
    tag = {
        "code": "order_count",
        "title": {"zh": "订单", "en": "Orders"},
        "type": "integer",
        "value": {"fact": "orders", "agg": "count"},
    }
    there = {"category": "transaction", "title": {"zh": "交易", "en": "T"}, "tags": [tag]}
    resolved = make_catalog(tmp_path, {"sources/orders.yaml": ORDERS, "tags/transaction.yaml": there})
    codes = [proposal.code for proposal in propose(resolved, Looked())]
    assert "order_count" not in codes and len(codes) == len(set(codes))
    assert draft(resolved, [p for p in propose(resolved, Looked()) if "order_count" not in p.code]).changes


def test_what_was_looked_up_is_a_level_and_never_added_over_rows(tmp_path: Path) -> None:
    brands = (
        "source: brands\ntitle: {zh: 品牌, en: Brands}\nkind: lookup\nkey: [brand]\nread: {path: brands.csv}\n"
        "fields:\n  - {name: brand, type: text}\n  - {name: fans, type: integer, title: {zh: 粉丝, en: Fans}}\n"
    )
    with_fans = EVENTS + "lookups: [{source: brands, on: brand, take: [fans]}]\n"
    files = {**FILES, "sources/events.yaml": with_fans, "sources/brands.yaml": brands}
    codes = {proposal.code for proposal in propose(make_catalog(tmp_path, files), Looked())}
    assert "avg_fans" in codes and "total_fans" not in codes


def test_a_time_that_is_called_nothing_else_goes_by_its_table(tmp_path: Path) -> None:
    members = MEMBERS + "  - {name: at, type: timestamp}\n"
    resolved = make_catalog(tmp_path, {**FILES, "sources/members.yaml": members})
    found = propose(resolved, Looked())
    assert "days_since_members" in {proposal.code for proposal in found} and draft(resolved, found).changes
