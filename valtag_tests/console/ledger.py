"""A shop with a tag for every aggregation over orders that lie in several dirty files, and what pandas makes of them.

``Ledger`` reads the raw files with pandas and knows nothing of the product: which rows there are, by file and number,
which were refused or merged, and who they belong to.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd

from valtag_tests.graph.shop import AS_OF, FILES, PROJECT, Shop

ORDERS = """
source: orders
title: {zh: 订单, en: Orders}
kind: fact
read: {path: "data/orders*.csv"}
person: customer_id
time: ordered_at
key: [order_id]
fields:
  - {name: order_id, from: 订单号, type: text, required: true}
  - {name: customer_id, from: 会员, type: text, case: upper, required: true}
  - {name: ordered_at, from: 时间, type: timestamp}
  - {name: amount, from: 金额, type: "decimal(18,2)", bounds: {min: 0}}
  - {name: quantity, from: 数量, type: integer}
  - {name: sku, from: 商品, type: text}
  - {name: phone, from: 电话, type: text, access: pii}
lookups:
  - {source: products, on: sku, take: [brand]}
deduplicate: {key: [order_id]}
checks: {max_quarantined: 0.5}
"""
PRODUCTS = """
source: products
title: {zh: 商品, en: Products}
kind: lookup
read: {path: data/products.csv}
key: [sku]
fields:
  - {name: sku, type: text, required: true}
  - {name: brand, type: text}
"""
SEGMENTS = """
segments:
  - code: women
    title: {zh: "女性 <b>", en: "Women <script>alert(1)</script>"}
    rule: gender = 'female'
  - code: buyers
    title: {zh: 买家, en: Buyers}
    rule: order_count > 0
  - code: everybody
    title: {zh: 全体, en: Everybody}
    rule: order_count >= 0
"""
WHERE = "quantity >= 2"
# Code → how it is written, and its type.
VALUES: Mapping[str, tuple[dict[str, Any], str]] = {
    "order_count": ({"agg": "count"}, "integer"),
    "paid_count": ({"agg": "count", "where": WHERE}, "integer"),
    "brand_count": ({"agg": "count_distinct", "of": "brand"}, "integer"),
    "spend": ({"agg": "sum", "of": "amount"}, "decimal(18,2)"),
    "big_spend": ({"agg": "sum", "of": "amount", "where": WHERE}, "decimal(18,2)"),
    "mean_amount": ({"agg": "avg", "of": "amount"}, "float"),
    "least_amount": ({"agg": "min", "of": "amount"}, "decimal(18,2)"),
    "most_quantity": ({"agg": "max", "of": "quantity"}, "integer"),
    "first_brand": ({"agg": "first", "of": "brand"}, "text"),
    "last_brand": ({"agg": "last", "of": "brand"}, "text"),
    "top_brand": ({"agg": "top", "of": "brand", "ties": ["sum(amount) desc"]}, "text"),
    "top_brands": ({"agg": "top_k", "of": "brand", "k": 2, "by": "sum(amount)"}, "list(text)"),
    "top_share": ({"agg": "share", "of": "brand"}, "float"),
    "a_share": ({"agg": "share", "of": "brand", "by": "sum(amount)", "equals": "a"}, "float"),
    "brands": ({"agg": "list", "of": "brand", "k": 3}, "list(text)"),
    "days_since_first_order": ({"agg": "days_since_first"}, "integer"),
    "days_since_last_order": ({"agg": "days_since_last"}, "integer"),
    "median_amount": ({"agg": "median", "of": "amount"}, "float"),
    "high_amount": ({"agg": "quantile", "of": "amount", "q": 0.9}, "float"),
    "phone_count": ({"agg": "count_distinct", "of": "phone"}, "integer"),
}
WINDOWS = ("all", "5d", "before 5d", "mtd")
RATIO = "coalesce(spend, 0) / order_count"


def catalog() -> dict[str, str]:
    """The files of the catalog."""
    import yaml

    tags = [
        {"code": code, "title": {"zh": code, "en": code}, "type": kind, "value": {"fact": "orders", **value},
         "windows": list(WINDOWS)}
        for code, (value, kind) in VALUES.items()
    ]  # fmt: skip
    steps = [{"code": "low", "title": {"zh": "低", "en": "Low"}}]
    steps += [{"code": "high", "from": 100, "title": {"zh": "高", "en": "High"}}]
    over = [
        {"code": "spend_per_order", "title": {"zh": "单均", "en": "Per order"}, "type": "float", "value": RATIO},
        {"code": "spend_tier", "title": {"zh": "档", "en": "Tier"}, "type": "text",
         "band": {"of": "spend", "steps": steps}},
    ]  # fmt: skip
    rfm = FILES["scores/rfm.yaml"].replace("total_spend", "spend")
    return {
        "project.yaml": PROJECT,
        "access.yaml": "roles: {analyst: internal, steward: pii}\ndefault_role: analyst\n",
        "sources/customers.yaml": FILES["sources/customers.yaml"],
        "sources/orders.yaml": ORDERS,
        "sources/products.yaml": PRODUCTS,
        "tags/attribute.yaml": FILES["tags/attribute.yaml"],
        "tags/every.yaml": yaml.safe_dump(
            {"category": "every", "title": {"zh": "全部", "en": "All"}, "tags": [*tags, *over]}, allow_unicode=True
        ),
        "scores/rfm.yaml": rfm,
        "segments/audiences.yaml": SEGMENTS,
    }


def raw_orders() -> dict[str, pd.DataFrame]:
    """Three overlapping exports: equal rows, negative amounts, empty cells, one order after the as-of, strangers."""
    rows = []
    for n in range(240):
        customer = f"C{1 + (n * 7) % 12:03d}" if n % 31 else "X999"
        moment = AS_OF - timedelta(days=(n * 5) % 17) if n % 19 else AS_OF + timedelta(days=1)
        rows.append(
            {
                "订单号": f"O{n:04d}",
                "会员": customer.lower() if n % 9 == 0 else customer,
                "时间": "" if n % 23 == 5 else f"{moment} {8 + n % 12:02d}:{n % 60:02d}:00",
                "金额": "" if n % 13 == 3 else f"{'-' if n % 17 == 4 else ''}{3 + (n * 37) % 90}.{n % 100:02d}",
                "数量": "" if n % 11 == 6 else str(1 + n % 4),
                "商品": "" if n % 15 == 7 else f"S{n % 5}",
                "电话": f"138{n % 7:08d}",
            }
        )
    whole = pd.DataFrame(rows)
    return {
        "orders_1.csv": whole[:100],
        "orders_2.csv": whole[90:180],
        "orders_3.csv": pd.concat([whole[180:], whole[5:15]]),
    }


def write(shop: Shop) -> None:
    """The catalog and its raw tables."""
    shop.write(order_rows=pd.DataFrame({"订单号": []}))
    data = shop.root / "catalog" / "data"
    (data / "orders.csv").unlink()
    products = pd.DataFrame({"sku": [f"S{n}" for n in range(4)], "brand": ["a", "b", "a", "ü"]})
    products.to_csv(data / "products.csv", index=False)
    for name, rows in raw_orders().items():
        rows.to_csv(data / name, index=False)


@dataclass(frozen=True)
class Ledger:
    """Every raw order with ``file``, ``row``, its ``person`` and what becomes of it: ``fate``."""

    rows: pd.DataFrame

    @classmethod
    def read(cls, data: Path) -> "Ledger":
        found = []
        for path in sorted(data.glob("orders_*.csv")):
            table = pd.read_csv(path, dtype=str)
            found.append(table.assign(file=path.name, row=range(1, len(table) + 1)))
        rows = pd.concat(found, ignore_index=True)
        rows["person"] = rows["会员"].str.upper()
        rows["moment"] = pd.to_datetime(rows["时间"])
        rows["amount"] = [None if pd.isna(text) else Decimal(text) for text in rows["金额"]]
        rows["quantity"] = [None if pd.isna(text) else int(text) for text in rows["数量"]]
        brands = {"S0": "a", "S1": "b", "S2": "a", "S3": "ü"}
        rows["brand"] = [brands.get(sku) for sku in rows["商品"]]
        rows["phone"] = rows["电话"]
        # A negative amount is out of bounds, and a row of a fact without a time can't be dated.
        refused = (rows["amount"].map(lambda amount: amount is not None and amount < 0)) | rows["moment"].isna()
        fates = refused.map({True: "refused", False: "clean"})
        rows["fate"] = fates.where(refused | ~rows.duplicated("订单号"), "merged")
        return cls(rows.astype(object).where(rows.notna(), None))

    def of(self, person: str, fate: str = "clean") -> list[dict[str, Any]]:
        rows = self.rows[(self.rows["person"] == person) & (self.rows["fate"] == fate)]
        return rows.to_dict("records")


def reason(row: Mapping[str, Any], value: Mapping[str, Any], window: str) -> str:
    """Why a clean row does not count for a tag written so, or ``counted``."""
    day: date = row["moment"].date()
    if day > AS_OF:
        return "after the as-of"
    age = (AS_OF - day).days
    inside = {"all": True, "5d": age < 5, "before 5d": age >= 5, "mtd": day >= AS_OF.replace(day=1)}
    if not inside[window]:
        return "outside the window"
    if "where" in value and not (row["quantity"] is not None and row["quantity"] >= 2):
        return "where not met"
    if "of" in value and row[value["of"]] is None:
        return "empty"
    return "counted"
