"""A small shop whose tables a test can poison and repair: 60 customers, their orders of ten days."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import pyarrow.parquet as pq

from valtag_assets.definitions import build_definitions
from valtag_assets.expression.resolve import resolve_catalog
from valtag_assets.graph.jobs import DERIVE, INTAKE, MESSAGES, RECHECK, part_of
from valtag_assets.graph.selection import select_tables
from valtag_assets.graph.setting import Setting, TableDone
from valtag_assets.warehouse.snapshot import Snapshot, TableRef

AS_OF = date(2024, 3, 10)
CITIES = ("上海", "北京", "成都")

PROJECT = """
name: shop
title: {zh: 小店, en: Shop}
timezone: Asia/Shanghai
start: 2024-01-01
persons: {sources: [customers]}
"""

CUSTOMERS = """
source: customers
title: {zh: 顾客, en: Customers}
kind: master
read: {path: data/customers.csv}
person: customer_id
fields:
  - {name: customer_id, from: 顾客号, type: text, required: true}
  - {name: city, from: 城市, type: text}
  - {name: gender, from: 性别, type: text, values: {female: [女], male: [男]}, unknown: "null"}
"""

ORDERS = """
source: orders
title: {zh: 订单, en: Orders}
kind: fact
read: {path: "data/orders*.csv"}
person: customer_id
time: ordered_at
key: [order_id]
fields:
  - {name: order_id, from: order_id, type: text, required: true}
  - {name: customer_id, from: customer_id, type: text, required: true}
  - {name: ordered_at, from: ordered_at, type: timestamp, required: true}
  - {name: amount, from: amount, type: "decimal(18,2)", required: true, bounds: {min: 0}}
deduplicate: {key: [order_id]}
checks: {max_quarantined: 0.1}
"""

ATTRIBUTE = """
category: attribute
title: {zh: 属性类, en: Attribute}
refresh: {schedule: on_demand}
tags:
  - code: city
    title: {zh: 城市, en: City}
    type: text
    domain: {values: [上海, 北京, 成都]}
    value: {master: customers, of: city}
  - code: gender
    title: {zh: 性别, en: Gender}
    type: text
    value: {master: customers, of: gender}
    checks: [{coverage: 0.9, severity: warn}]
"""

TRANSACTION = """
category: transaction
title: {zh: 交易类, en: Transaction}
tags:
  - code: total_spend
    title: {zh: 累计消费金额, en: Cumulative spend}
    type: decimal(18,2)
    value: {fact: orders, agg: sum, of: amount}
    windows: [all, 3d]
    empty: 0
    checks: [{mean_change: 0.5}]
  - code: order_count
    title: {zh: 累计订单数, en: Orders}
    type: integer
    value: {fact: orders, agg: count}
    windows: [all, 3d]
    empty: 0
  - code: days_since_last_order
    title: {zh: 上次购买距今天数, en: Days since last order}
    type: integer
    value: {fact: orders, agg: days_since_last}
laws:
  - {name: windows_nest, law: total_spend_3d <= total_spend}
"""

RFM = """
score: rfm
title: {zh: RFM, en: RFM}
recency: days_since_last_order
frequency: order_count
monetary: total_spend
where: order_count > 0
"""

SEGMENTS = """
segments:
  - code: shanghai
    title: {zh: 上海, en: Shanghai}
    rule: city = '上海'
  - code: women
    title: {zh: 女性, en: Women}
    rule: gender = 'female'
  - code: spenders
    title: {zh: 高消费, en: Spenders}
    rule: total_spend > 100
  - code: recent
    title: {zh: 最近下单, en: Recent}
    rule: rfm_r = 5
  - code: quiet_women
    title: {zh: 沉默女性, en: Quiet women}
    rule: {all: [gender = 'female', order_count_3d = 0]}
"""

FILES = {
    "project.yaml": PROJECT,
    "sources/customers.yaml": CUSTOMERS,
    "sources/orders.yaml": ORDERS,
    "tags/attribute.yaml": ATTRIBUTE,
    "tags/transaction.yaml": TRANSACTION,
    "scores/rfm.yaml": RFM,
    "segments/audiences.yaml": SEGMENTS,
}


def customers() -> pd.DataFrame:
    numbers = range(1, 61)
    return pd.DataFrame(
        {
            "顾客号": [f"C{n:03d}" for n in numbers],
            "城市": [CITIES[n % 3] for n in numbers],
            "性别": ["女" if n % 2 else "男" for n in numbers],
        }
    )


def orders() -> pd.DataFrame:
    """One to three orders of every customer but the last ten, in the ten days up to the as-of."""
    rows = [
        {
            "order_id": f"O{n:03d}{k}",
            "customer_id": f"C{n:03d}",
            "ordered_at": f"{AS_OF - timedelta(days=(n * 7 + k * 3) % 10)} {8 + k:02d}:30:00",
            "amount": f"{10 + (n * 13 + k * 7) % 90}.{n % 100:02d}",
        }
        for n in range(1, 51)
        for k in range(1 + n % 3)
    ]
    return pd.DataFrame(rows)


@dataclass
class Shop:
    """The shop's catalog, tables and warehouse in one folder, and a Dagster instance to run it with."""

    root: Path
    instance: dg.DagsterInstance
    files: Mapping[str, str] = field(default_factory=lambda: FILES)
    heard: list[TableDone] = field(default_factory=list)
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    full: bool = False
    confirmed: bool = False

    def write(self, customer_rows: pd.DataFrame | None = None, order_rows: pd.DataFrame | None = None) -> None:
        for name, text in self.files.items():
            path = self.root / "catalog" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        data = self.root / "catalog" / "data"
        data.mkdir(exist_ok=True)
        tables = {"customers": customer_rows, "orders": order_rows}
        for name, made in (("customers", customers), ("orders", orders)):
            rows = tables[name]
            (made() if rows is None else rows).to_csv(data / f"{name}.csv", index=False)

    @property
    def setting(self) -> Setting:
        setting = Setting(resolve_catalog(self.root / "catalog"), self.root / "data", self.clock)
        return replace(setting, listen=self.heard.append, full=self.full, confirmed=self.confirmed)

    def run(self, as_of: date = AS_OF, job: str | None = None, select: str = "") -> dict[str, str]:
        """Run intake and derive (or one ``job``), or no more of them than ``select`` takes, which is written as
        for ``valtag run --select``; the outcome of every table, by name."""
        self.heard.clear()
        definitions = build_definitions(self.setting)
        for name in (INTAKE, DERIVE) if job is None else (job,):
            made = definitions.resolve_job_def(name)
            if select:
                tables = selected(definitions, made, select)
                if not tables:
                    continue
                made = part_of(made, tables)
            result = made.execute_in_process(
                instance=self.instance,
                partition_key=None if name in (INTAKE, RECHECK, MESSAGES) else as_of.isoformat(),
                raise_on_error=False,
                run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
            )
            self.events = result.all_events
        return {done.table: done.outcome for done in self.heard}

    def reason(self, table: str) -> str:
        return next(done.reason or "" for done in self.heard if done.table == table)

    def served(self, table: str, as_of: date | None = AS_OF) -> Snapshot | None:
        return self.setting.warehouse.current(TableRef.parse(table), as_of)

    def rows(self, table: str, as_of: date | None = AS_OF) -> pd.DataFrame:
        snapshot = self.served(table, as_of)
        assert snapshot is not None, f"{table} is not published"
        return pd.concat(map(pd.read_parquet, snapshot.files), ignore_index=True)

    def opened(self, table: str, as_of: date | None = AS_OF) -> pd.DataFrame:
        """``rows`` with what stands in the vault in the place of tokens."""
        return opened(self.rows(table, as_of), self.setting.warehouse.root)


def opened(rows: pd.DataFrame, root: Path) -> pd.DataFrame:
    """``rows`` with what stands in the vault of the warehouse ``root`` in the place of tokens."""
    values = vault_values(root)
    texts = rows.select_dtypes(object).map(lambda cell: values.get(cell, cell) if isinstance(cell, str) else cell)
    return rows.assign(**texts)


def vault_values(root: Path) -> dict[str, str]:
    """What the tokens of the warehouse ``root`` stand for, in plain Python."""
    rows = [
        row
        for file in root.glob("vault/*/as_of=*/*/*.parquet")
        for row in pq.read_table(file, partitioning=None).to_pylist()
    ]
    return {row["token"]: row["value"] for row in rows}


def selected(definitions: dg.Definitions, job: dg.JobDefinition, select: str) -> set[str]:
    """What a job makes of a selection."""
    tables = ["/".join(key.path) for key in definitions.resolve_asset_graph().get_all_asset_keys()]
    made = {"/".join(key.path) for key in job.asset_layer.executable_asset_keys}
    return made & select_tables([select], definitions, tables)


def results_of(events: list[Any], asset: str) -> dict[str, Any]:
    """The asset check evaluations of one asset in a run, by check name."""
    found = {}
    for event in events:
        if event.event_type_value == "ASSET_CHECK_EVALUATION":
            evaluation = event.event_specific_data
            if evaluation.asset_key.path == asset.split("/"):
                found[evaluation.check_name] = evaluation
    return found
