"""A shop of three brands: what each person bought, by whom they are served, and who may know it."""

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import yaml

from valtag_assets.cli import main
from valtag_assets.expression.resolve import resolve_catalog
from valtag_assets.graph.jobs import TRIGGERS
from valtag_assets.graph.setting import Setting
from valtag_tests.graph.caring import MORNING
from valtag_tests.graph.shop import CITIES, CUSTOMERS, FILES, ORDERS, PROJECT, SEGMENTS, TRANSACTION, Shop, orders

BRANDS = ("amber", "birch", "cedar")
EVERY = ("may", "categories", "sources", "destinations", "brands", "purposes")
ALL: dict[str, Any] = {"level": "pii", **dict.fromkeys(EVERY, "all")}
MASK_KEY = "a-key-of-the-house"

CATALOG = {
    **FILES,
    "project.yaml": PROJECT + "channels: [{code: sms, title: {zh: 短信, en: SMS}, reachable: order_count > 0}]\n",
    "sources/customers.yaml": CUSTOMERS + "  - {name: phone, from: 手机, type: text, access: pii}\n",
    "sources/orders.yaml": ORDERS.replace(
        "deduplicate:", "  - {name: brand, type: text, required: true}\ndeduplicate:"
    ),
    "tags/contact.yaml": """
category: contact
title: {zh: 联系类, en: Contact}
refresh: {schedule: on_demand}
tags:
  - code: phone
    title: {zh: 手机号, en: Phone}
    type: text
    access: pii
    value: {master: customers, of: phone}
""",
    "tags/transaction.yaml": TRANSACTION.replace(
        "laws:",
        """  - code: brands
    title: {zh: 品牌, en: Brands}
    type: list(text)
    value: {fact: orders, agg: list, of: brand, k: 3}
laws:""",
    ),
    "segments/audiences.yaml": SEGMENTS
    + """  - code: callable
    title: {zh: 可致电, en: Callable}
    rule: phone is not null and order_count > 0
""",
    "destinations/desk.yaml": """
destination: desk
title: {zh: 柜台, en: Desk}
kind: file
path: desk
format: jsonl
channel: sms
access: sender
fields: [city]
""",
    "deliveries/audiences.yaml": """
deliveries:
  - {code: spenders_to_desk, title: {zh: 高消费, en: Spenders}, segment: spenders, to: desk}
""",
    "triggers/care.yaml": """
trigger: care
title: {zh: 关怀, en: Care}
when: total_spend > 50
actions: [{step: call, to: desk}]
""",
    "access.yaml": yaml.safe_dump({"roles": {"keeper": ALL, "sender": ALL}, "default_role": "keeper"}),
}


def customer_rows() -> pd.DataFrame:
    """As in the shop, with a phone each; the last ten have never ordered, so they are of no brand."""
    return pd.DataFrame(
        {
            "顾客号": [f"C{n:03d}" for n in range(1, 61)],
            "城市": [CITIES[n % 3] for n in range(1, 61)],
            "性别": ["女" if n % 2 else "男" for n in range(1, 61)],
            "手机": [f"1380000{n:04d}" for n in range(1, 61)],
        }
    )


def order_rows() -> pd.DataFrame:
    """The shop's orders; who has several has bought of several brands."""
    rows = orders()
    numbers = rows["order_id"].str[1:4].astype(int) + rows["order_id"].str[4:].astype(int)
    rows["brand"] = [BRANDS[number % 3] for number in numbers]
    return rows


def of_brand(*brands: str) -> set[str]:
    """Whoever bought of one of them."""
    rows = order_rows()
    return set(rows[rows["brand"].isin(brands)]["customer_id"])


def brand_rules(**roles: Any) -> dict[str, Any]:
    """access.yaml with brands, as data."""
    return {
        "roles": {"keeper": ALL, "sender": ALL, **roles},
        "default_role": "keeper",
        "brands": {"tag": "brands", "values": list(BRANDS), "fields": {"orders": "brand"}},
    }


@dataclass(frozen=True)
class House:
    """The catalog and the data of the shop, after a run."""

    root: Path

    @property
    def setting(self) -> Setting:
        return Setting(resolve_catalog(self.root / "catalog"), self.root / "data", lambda: MORNING)

    @property
    def options(self) -> tuple[str, ...]:
        return ("--catalog", str(self.root / "catalog"), "--data", str(self.root / "data"))

    def rules(self, access: Mapping[str, Any]) -> "House":
        """With another access.yaml."""
        text = yaml.safe_dump(dict(access), allow_unicode=True)
        (self.root / "catalog" / "access.yaml").write_text(text, encoding="utf-8")
        return self

    def copy(self, into: Path) -> "House":
        shutil.copytree(self.root, into, dirs_exist_ok=True)
        return House(into)


def build(folder: Path) -> None:
    """Fill the folder with a house after one run of everything."""
    with dg.DagsterInstance.ephemeral() as instance:
        shop = Shop(folder, instance, CATALOG, clock=lambda: MORNING)
        shop.write(customer_rows(), order_rows())
        outcomes = {**shop.run(), **shop.run(job=TRIGGERS)}
    assert set(outcomes.values()) <= {"published", "reused"}, outcomes


def check(folder: Path) -> int:
    """The exit code of ``valtag check``."""
    os.environ.pop("VALTAG_USER", None)
    return int(main(["check", "--catalog", str(folder)]))
