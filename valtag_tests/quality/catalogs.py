"""A small catalog with every kind of rule the plan reads."""

from pathlib import Path

from valtag_assets.expression.resolve import resolve_catalog
from valtag_assets.expression.resolved import Resolved

FILES = {
    "project.yaml": """
name: shop
title: {zh: 商店, en: Shop}
start: 2024-01-01
persons: {sources: [members]}
""",
    "sources/members.yaml": """
source: members
title: {zh: 会员, en: Members}
kind: master
person: member_id
read: {path: members.csv}
fields:
  - {name: member_id, type: text}
  - {name: city, type: text, values: {沪: 上海, 京: 北京}, unknown: 'null', checks: [{coverage: 0.5}]}
  - {name: phone, type: text, access: pii, checks: [{matches: '^1[0-9]{2}', severity: warn}]}
  - {name: ends_date, type: date, layer: auxiliary}
  - {name: level, type: integer, required: true, checks: [{mean_change: 0.5}, {stability: 0.25}]}
""",
    "sources/orders.yaml": """
source: orders
title: {zh: 订单, en: Orders}
kind: fact
person: member_id
time: paid_at
deduplicate: {key: [order_id, line]}
read: {path: orders.csv}
fields:
  - {name: order_id, type: text}
  - {name: line, type: integer}
  - {name: member_id, type: text}
  - {name: paid_at, type: timestamp}
  - {name: amount, type: 'decimal(18,2)'}
  - {name: brand, type: text, checks: [{unique: true, severity: warn}]}
checks: {min_rows: 2, max_quarantined: 0.1, max_rows_drop: 0.5}
""",
    "tags/attribute.yaml": """
category: attribute
title: {zh: 属性, en: Attribute}
checks: {min_rows: 1, max_rows_drop: 0.2}
tags:
  - code: city
    title: {zh: 城市, en: City}
    type: text
    value: {master: members, of: city}
    empty: 未知
  - code: member_phone
    title: {zh: 手机, en: Phone}
    type: text
    access: pii
    value: {master: members, of: phone}
    checks: [{coverage: 0.9}, {coverage: 0.1, severity: warn}]
  - code: member_ends_date
    title: {zh: 到期日, en: Membership ends}
    type: date
    value: {master: members, of: ends_date}
  - code: member_level
    title: {zh: 等级, en: Level}
    type: integer
    value: {master: members, of: level}
    domain: {min: 1, max: 5}
    checks: [{mean_change: 0.1}, {stability: 0.2}]
""",
    "tags/transaction.yaml": """
category: transaction
title: {zh: 交易, en: Transaction}
tags:
  - code: total_spend
    title: {zh: 累计消费, en: Total spend}
    type: decimal(18,2)
    value: {fact: orders, agg: sum, of: amount}
    windows: [all, 30d]
    domain: {min: 0}
  - code: order_count
    title: {zh: 订单数, en: Orders}
    type: integer
    value: {fact: orders, agg: count}
    empty: 0
  - code: last_paid_at
    title: {zh: 最近支付, en: Last paid}
    type: timestamp
    value: {fact: orders, agg: max, of: paid_at}
  - code: days_since_last_order
    title: {zh: 距今天数, en: Days since}
    type: integer
    value: {fact: orders, agg: days_since_last}
  - code: top_brands
    title: {zh: 品牌, en: Brands}
    type: list(text)
    value: {fact: orders, agg: top_k, of: brand}
    domain: {values: [a, b]}
  - code: brand_share
    title: {zh: 品牌占比, en: Brand share}
    type: float
    value: {fact: orders, agg: share, of: brand}
  - code: avg_order_value
    title: {zh: 客单价, en: Average order}
    type: float
    value: total_spend / order_count
  - code: spend_band
    title: {zh: 消费档, en: Spend band}
    type: text
    band:
      of: total_spend
      steps: [{code: low, title: {zh: 低, en: Low}}, {code: high, from: 100, title: {zh: 高, en: High}}]
laws:
  - {name: window_le_total, law: total_spend_30d <= total_spend}
  - {name: level_of_buyers, law: order_count = 0 or member_level >= 2, severity: error}
  - {name: known_phone, law: "order_count < 100 or member_phone is not null", severity: warn}
""",
    "scores/rfm.yaml": """
score: rfm
title: {zh: RFM, en: RFM}
recency: days_since_last_order
frequency: order_count
monetary: total_spend
""",
    "segments/all.yaml": """
segments:
  - {code: buyers, title: {zh: 买家, en: Buyers}, rule: order_count > 0}
""",
}


def small_catalog(folder: Path) -> Resolved:
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.lstrip(), encoding="utf-8")
    return resolve_catalog(folder)
