"""The shop with personal data whose every value can be told again, deliveries, triggers, and rows that go wrong."""

import hashlib
import re
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

import dagster as dg
import pandas as pd
import pyarrow.parquet as pq

from valtag_tests.graph.caring import CHANNELS, MORNING, TRIGGERED, land
from valtag_tests.graph.shop import CUSTOMERS, FILES, PROJECT, Shop, customers, orders, vault_values

ACCESS = """
roles: {analyst: internal, keeper: pii}
default_role: analyst
"""
CONTACT = """
category: contact
title: {zh: 联系方式, en: Contact}
tags:
  - {code: phone, title: {zh: 手机, en: Phone}, type: text, access: pii, value: {master: customers, of: phone}}
  - code: remark
    title: {zh: 备注, en: Remark}
    type: text
    domain: {values: [fine]}
    value: {master: customers, of: remark}
"""
PLACES = {
    "destinations/crm.yaml": """
destination: crm
title: {zh: 客户系统, en: CRM}
kind: file
path: crm
format: csv
access: keeper
fields: {city: city, phone: phone}
""",
    "destinations/bi.yaml": """
destination: bi
title: {zh: 看板, en: BI}
kind: database
path: bi.sqlite
table: audience
mode: upsert
""",
    "destinations/lake.yaml": """
destination: lake
title: {zh: 数据湖, en: Lake}
kind: database
path: lake.duckdb
table: audience
mode: mirror
""",
    "deliveries/all.yaml": """
deliveries:
  - {code: women_crm, title: {zh: 女性, en: Women}, segment: women, to: crm, patience: 0}
  - {code: women_bi, title: {zh: 女, en: Women}, segment: women, to: bi, fields: [order_count], patience: 0}
  - {code: women_lake, title: {zh: 女, en: Women}, segment: women, to: lake, fields: [order_count], patience: 0}
""",
}
PERSONAL = """
  - {name: phone, type: text, access: pii}
  - {name: nickname, type: text, access: pii}
  - {name: email, type: text, access: pii}
  - {name: friend, type: text, access: pii}
  - {name: remark, type: text, checks: [{matches: "^fine$", severity: warn}]}
"""
MARKED = {
    **FILES,
    **TRIGGERED,
    **PLACES,
    "project.yaml": PROJECT + CHANNELS,
    "access.yaml": ACCESS,
    "sources/customers.yaml": CUSTOMERS + PERSONAL.lstrip("\n") + "checks: {max_quarantined: 0.2}\n",
    "tags/contact.yaml": CONTACT,
}
PERSON = "C007"
"""A woman of Beijing with orders, one of which is refused; a friend of C009, with whom she shares the e-mail."""


def phone(person: str) -> str:
    return f"1387777{person[1:]}0"


def marks_of(person: str) -> list[str]:
    """What tells a person; her e-mail address is somebody else's, too."""
    return [person, phone(person), f"欧阳无忌{person[1:]}"]


def marked_customers() -> pd.DataFrame:
    rows = customers()
    names = rows["顾客号"]
    rows["phone"] = [phone(name) for name in names]
    rows["nickname"] = [f"欧阳无忌{name[1:]}" for name in names]
    rows["email"] = [f"shared{int(name[1:]) % 2}@example.com" for name in names]
    # Nobody has declared that it is personal, and its checks fail.
    rows["remark"] = [f"call {phone(name)}" for name in names]
    rows["friend"] = [{"C009": PERSON, "C012": "C009"}.get(name, "") for name in names]
    # Without an id nobody can say whose it is: it is refused as it came, her phone in it.
    nobody = {
        "顾客号": "",
        "城市": "北京",
        "性别": "女",
        "phone": phone(PERSON),
        "nickname": "",
        "email": "",
        "friend": "",
        "remark": f"{phone(PERSON)}?",
    }
    return pd.concat([rows, pd.DataFrame([nobody])], ignore_index=True)


def marked_orders() -> pd.DataFrame:
    rows = orders()
    bad = {"order_id": "OBAD", "customer_id": PERSON, "ordered_at": "2024-03-09 08:00:00", "amount": "much"}
    again = rows[rows["customer_id"] == PERSON].head(1)
    return pd.concat([rows, again, pd.DataFrame([bad])], ignore_index=True)


def told_receipts(shop: Shop) -> None:
    """Receivers tell of her, and of another."""
    lines = [
        {"person_id": who, "channel": "sms", "state": "unsubscribed", "at": "2024-03-10T08:00:00+08:00"}
        for who in (PERSON, "C008")
    ]
    land(shop, "one.jsonl", lines)


def others_rows(root: Path, persons: Iterable[str]) -> dict[str, list[str]]:
    """Hashes of every row of every published file that is nobody of the ``persons``, by table, as-of and part.

    Of quarantined rows, and of those of the vault, those that don't name them; the column ``friend`` names others and
    is left out.
    """
    known, values = set(persons), vault_values(root)
    found: dict[str, list[str]] = {}

    def opened(text: object) -> str:
        return re.sub("vault-[0-9a-f]{32}", lambda found: values.get(found.group(), ""), str(text))

    for file in sorted(root.glob("*/*/as_of=*/*/*.parquet")):
        rows = pq.read_table(file, partitioning=None).to_pylist()
        owners = ("person_id", "customer_id")
        kept = [
            {name: value for name, value in row.items() if name != "friend"}
            for row in rows
            if not any(str(row.get(name)) in known for name in owners)
            and not any(
                mark in opened(row.get("record") or row.get("value")) for who in known for mark in marks_of(who)
            )
        ]
        hashes = sorted(hashlib.sha256(repr(row).encode()).hexdigest() for row in kept)
        snapshot = file.parent.name.partition(".")[0]
        found[f"{file.parent.parent.relative_to(root)}/{snapshot}/{file.name}"] = hashes
    return found


def shop_in(folder: Path, instance: dg.DagsterInstance) -> Shop:
    return Shop(folder, instance, MARKED, clock=lambda: MORNING)


def plant_in_home(home: Path) -> None:
    """What should not have got into Dagster's files, and has to go from there too."""
    home.mkdir(parents=True)
    (home / "valtag.log").write_text(f"failed for {phone(PERSON)}, C0070 is fine\n", encoding="utf-8")
    with closing(sqlite3.connect(home / "runs.db")) as connection:
        connection.execute("CREATE TABLE event (body TEXT)")
        connection.executemany("INSERT INTO event VALUES (?)", [(f"of {mark}",) for mark in marks_of(PERSON)])
        connection.execute("DELETE FROM event WHERE rowid = 1")  # its bytes stay in the file
        connection.commit()


def telling(folder: Path, person: str = PERSON) -> list[Path]:
    """The files whose bytes tell the person, in plain Python."""
    found = []
    for file in folder.rglob("*"):
        if file.is_file():
            content = file.read_bytes()
            forms = [mark.encode(code) for mark in marks_of(person) for code in ("utf-8", "utf-16-le")]
            if re.search(b"(" + b"|".join(forms) + rb")(?!\d)", content):
                found.append(file)
    return found
