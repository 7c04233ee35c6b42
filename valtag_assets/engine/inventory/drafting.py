"""Drafts of sources/*.yaml and project.yaml from an inventory, as plain data: what `valtag check` reads, no more."""

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from valtag_assets.engine.inventory.profile import Column, Inventory, Join, Table
from valtag_assets.engine.inventory.words import words
from valtag_assets.spec.block import Title
from valtag_assets.spec.mistake import Mistake
from valtag_assets.spec.naming_law import code_of
from valtag_assets.spec.source import SUFFIXES, Field

KNOWN = 0.9  # of the persons of a fact: with fewer among those of a master, the fact names persons of its own
_TAKEN = 12  # columns that one lookup brings
_ALLOWED = 0.05  # quarantined, by default


@dataclass(frozen=True)
class Draft:
    """One source as data, and for each of its fields (by code) why it is as it is."""

    table: Table
    data: dict[str, Any]
    reasons: dict[str, list[Title]]
    quarantined: float


def draft_sources(inventory: Inventory, root: Path) -> list[Draft]:
    """A draft of every table that can be a source of the catalog folder ``root``."""
    tables = [table for table in inventory.tables if table.role.kind is not None]
    return [_source(table, inventory, root) for table in tables]


def draft_project(inventory: Inventory, root: Path, today: date) -> dict[str, Any]:
    """project.yaml for the drafts: its first day from the data, its persons from masters and what they lack."""
    tables = [table for table in inventory.tables if table.role.kind is not None]
    times = [
        (table, table.column(table.role.time)) for table in tables if table.role.kind == "fact" and table.role.time
    ]
    lows = [column.measured.low for _, column in times if column.measured.low is not None]
    highs = [column.measured.high for _, column in times if column.measured.high is not None]
    name = code_of(root.resolve().name)
    data: dict[str, Any] = {
        "name": name,
        "title": {"zh": root.resolve().name, "en": name.replace("_", " ").capitalize()},
        "timezone": "Asia/Shanghai",
        "currency": "CNY",
        # Without a fact there are only persons as they are now.
        "start": min(map(_day, lows)) if lows else today - timedelta(days=1),
        "owner": "team:data",
        "persons": {"sources": _person_sources(tables, inventory.joins)},
    }
    if highs and _day(max(highs, key=_day)) == data["start"]:
        # All events are of one day: it is the one as-of there can be, complete or not.
        last = max(high for high in highs if isinstance(high, datetime)) if isinstance(highs[0], datetime) else None
        data["day_complete_after"] = f"{last.hour:02}:{last.minute // 30 * 30:02}" if last else "00:00"
    return data


def _day(moment: date | datetime) -> date:
    return moment.date() if isinstance(moment, datetime) else moment


def _person_sources(tables: Sequence[Table], joins: Sequence[Join]) -> list[str]:
    masters = [table for table in tables if table.role.kind == "master"]
    known = {join.table for join in joins if join.share >= KNOWN and join.master in {m.code for m in masters}}
    facts = [table for table in tables if table.role.kind == "fact" and table.code not in known]
    return [table.code for table in [*masters, *facts]]


def _source(table: Table, inventory: Inventory, root: Path) -> Draft:
    role = table.role
    columns = _taken(table)
    fields = [_field(column, table) for column in columns]
    data: dict[str, Any] = {
        "source": table.code,
        "title": {"zh": table.title.zh, "en": table.title.en},
        "kind": role.kind,
        "family": _family(table),
        "read": _read(table, root),
    }
    data |= {"person": role.person} if role.person else {}
    data |= {"time": role.time} if role.time else {}
    data |= {"key": list(role.key)} if role.key and role.kind != "master" else {}
    data["fields"] = fields
    if lookups := _lookups(table, columns, inventory):
        data["lookups"] = lookups
    share = _quarantined(table, columns)
    if role.kind == "fact" and role.person and table.column(role.person).measured.missing:
        reason = {"zh": f"没有 {role.person}", "en": f"Has no {role.person}"}
        data["drop"] = [{"name": "no_person", "where": f"{role.person} is null", "reason": reason}]
    if role.merged:
        data["deduplicate"] = {"key": list(role.merged)} | ({"order": [f"{role.newest} desc"]} if role.newest else {})
    if share > _ALLOWED / 2:
        data["checks"] = {"max_quarantined": min(1.0, math.ceil(share * 150) / 100)}
    reasons = {column.code: _reasons(column) for column in table.columns}
    return Draft(table, data, reasons, share)


def _taken(table: Table) -> list[Column]:
    """The columns a draft takes; a lookup that says one thing by having a row keeps the column that says it."""
    needed = {table.role.person, table.role.time, table.role.newest, *table.role.key}
    taken = [column for column in table.columns if not column.left_out or column.code in needed]
    if table.role.kind == "lookup" and len(taken) == len(table.role.key):
        taken += [column for column in table.columns if column.left_out and column.counted.present]
    return taken


def _field(column: Column, table: Table) -> dict[str, Any]:
    field, role = column.guess.field, table.role
    found: dict[str, Any] = {"name": field.name}
    found |= {"from": field.source_name} if field.source_name != field.name else {}
    found["type"] = str(field.type)
    if column.code in (role.person if role.kind != "fact" else None, role.time, *role.merged):
        found["required"] = True
    found |= {"layer": field.layer} if field.layer == "auxiliary" else {}
    found |= {"access": field.access} if field.access != "internal" else {}
    found |= {name: list(many) for name in ("missing", "formats") if (many := getattr(field, name))}
    found |= _cleaning(field)
    found["title"] = {"zh": field.title.zh, "en": field.title.en} if field.title else {}
    return found


def _cleaning(field: Field) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if field.replace:
        found["replace"] = [{"pattern": rule.pattern} for rule in field.replace]
    found |= {"case": field.case} if field.case else {}
    if field.values:
        by_code: dict[str, list[str]] = {}
        for spelling, code in field.values.items():
            by_code.setdefault(code, []).extend([spelling] if spelling != code else [])
        found |= {"values": by_code, "unknown": field.unknown}
    found |= {"invalid": field.invalid} if field.invalid != "quarantine" else {}
    if field.unit:
        found["unit"] = [{"to": unit.to, "by": unit.by, "factors": dict(unit.factors)} for unit in field.unit]
    if field.bounds:
        found["bounds"] = {"min": field.bounds.min, "otherwise": field.bounds.otherwise}
    found |= {"outlier": {"times": int(field.outlier.times)}} if field.outlier else {}
    return found


def _read(table: Table, root: Path) -> dict[str, Any]:
    origin = table.place.origin
    found: dict[str, Any] = {}
    if table.place.pattern is None:
        return {"format": "postgres", "url_env": origin.url_env, "table": origin.table}
    path = Path(table.place.pattern).absolute()
    inside = path.is_relative_to(root.absolute())
    found["path"] = os.path.relpath(path, root.absolute()) if inside else str(path)
    if "${" in found["path"]:
        raise Mistake(f"{table.place.label}: ${{…}} in a file's name is a variable in a catalog; rename the file")
    suffix = Path(path.name.lower().removesuffix(".gz")).suffix
    found |= {"format": origin.format} if SUFFIXES.get(suffix) != origin.format else {}
    found |= {"encoding": origin.encoding} if origin.encoding != "utf-8" else {}
    found |= {"delimiter": origin.delimiter} if origin.delimiter else {}
    found |= {"header": False} if not origin.header else {}
    found |= {"sheet": origin.sheet} if origin.sheet else {}
    found |= {"table": origin.table} if origin.table else {}
    return found


def _family(table: Table) -> str:
    if table.role.kind == "master":
        return "master"
    every = frozenset().union(*(words(column.name) for column in table.columns), words(table.place.name))
    named = words(table.place.name)
    if named & {"campaign", "campaigns", "response", "responses", "coupon", "coupons", "channel", "channels"}:
        return "channel"
    if table.role.kind == "fact" and every & {"order", "orders", "trade", "transaction", "buy", "paid", "invoice"}:
        return "transaction"
    if table.role.kind == "fact" and every & {
        "event",
        "action",
        "page",
        "session",
        "visit",
        "behavior",
        "click",
        "type",
    }:
        return "behavior"
    return "other"


def _lookups(table: Table, columns: Sequence[Column], inventory: Inventory) -> list[dict[str, Any]]:
    if table.role.kind == "lookup":
        return []
    tables = {other.code: other for other in inventory.tables}
    types = {column.code: column.type for column in columns}
    names = set(types)
    found: list[dict[str, Any]] = []
    for join in inventory.joins:
        other = tables[join.master]
        if join.table != table.code or other.role.kind != "lookup" or join.column not in types:
            continue
        if types[join.column] != other.column(join.key).type or any(item["on"] == join.column for item in found):
            continue
        able = [c for c in _taken(other) if c.code != join.key and c.code not in names]
        taken = [c.code for c in able if c.guess.field.layer == "core" or len(able) == 1][:_TAKEN]
        if taken:
            names |= set(taken)
            found.append({"source": other.code, "on": join.column, "take": taken})
    return found


def _quarantined(table: Table, columns: Sequence[Column]) -> float:
    """The share of the rows that the draft's rules refuse, at most: a row with two faults counts twice."""
    role, refused = table.role, 0
    for column in columns:
        field, measured = column.guess.field, column.measured
        refused += measured.unread if field.invalid == "quarantine" and field.unknown == "quarantine" else 0
        refused += measured.early if field.bounds and field.bounds.otherwise == "quarantine" else 0
        refused += measured.beyond if field.outlier else 0
        needed = (role.time, *role.merged, role.person if role.kind != "fact" else None)
        refused += measured.missing if column.code in needed else 0
        if column.code in needed and field.invalid == "null":
            refused += measured.unread
    rows = table.rows + table.broken
    return min(1.0, (refused + table.broken) / rows) if rows else 0.0


def _reasons(column: Column) -> list[Title]:
    found = [*column.guess.evidence, *column.anomalies]
    if column.reason:
        found.insert(0, column.reason)
    if column.suspicion:
        found.insert(0, Title(zh=f"疑似{column.suspicion.what.zh}", en=f"may be {column.suspicion.what.en}"))
    return found
