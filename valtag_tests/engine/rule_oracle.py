"""Rules evaluated one person at a time in plain Python, straight from what the YAML says."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

Row = Mapping[str, Any]
Test = Callable[[Row], bool]


@dataclass(frozen=True)
class World:
    """Everything a rule may look at. ``conditions`` and ``wheres`` say in Python what a text says."""

    as_of: date
    tags: Mapping[str, Row]
    facts: Mapping[str, Sequence[Row]]
    times: Mapping[str, str]
    conditions: Mapping[str, Test]
    wheres: Mapping[str, Test]
    segments: Mapping[str, set[str]] = field(default_factory=dict)
    lists: Mapping[str, set[str]] = field(default_factory=dict)


def holds(rule: Any, person: str, world: World) -> bool:
    if isinstance(rule, str):
        return world.conditions[rule](world.tags.get(person, {}))
    rule = dict(rule)
    if "at_least" in rule:
        return sum(holds(item, person, world) for item in rule["of"]) >= rule["at_least"]
    (kind, below), *_ = rule.items()
    if kind == "all":
        return all(holds(item, person, world) for item in below)
    if kind == "any":
        return any(holds(item, person, world) for item in below)
    if kind == "none":
        return not any(holds(item, person, world) for item in below)
    if kind in ("in_segment", "in_list"):
        return person in (world.segments if kind == "in_segment" else world.lists)[below]
    if kind == "sequence":
        return follows(below, person, world)
    return happened(below, person, world) == (kind == "did")


def moment(fact: str, row: Row, world: World) -> datetime:
    found = row[world.times[fact]]
    return found if isinstance(found, datetime) else datetime.combine(found, time())


def in_dates(period: Row, day: date, as_of: date) -> bool:
    def ago(text: str) -> int:
        return int(text.removesuffix("d"))

    if day > as_of:
        return False
    if "within" in period:
        first = {"mtd": as_of.replace(day=1), "ytd": as_of.replace(month=1, day=1)}.get(period["within"])
        return day >= first if first else (as_of - day).days < ago(period["within"])
    if "before" in period:
        end = period["before"]
        return day < end if isinstance(end, date) else (as_of - day).days >= ago(end)
    if "between" in period:
        first, last = period["between"]
        return in_dates({"within": first} if isinstance(first, str) else {"since": first}, day, as_of) and (
            day <= last if isinstance(last, date) else (as_of - day).days >= ago(last)
        )
    return "since" not in period or day >= period["since"]


def rows_of(event: Row, person: str, world: World) -> list[Row]:
    rows = [row for row in world.facts[event["fact"]] if row["member"] == person]
    return [row for row in rows if "where" not in event or world.wheres[event["where"]](row)]


def happened(event: Row, person: str, world: World) -> bool:
    rows = [
        row
        for row in rows_of(event, person, world)
        if in_dates(event, moment(event["fact"], row, world).date(), world.as_of)
    ]
    measure: Any = len(rows)
    if "sum" in event:
        measure = sum(row[event["sum"]] for row in rows if row[event["sum"]] is not None)
    elif "distinct" in event:
        measure = len({row[event["distinct"]] for row in rows if row[event["distinct"]] is not None})
    # A number means the digits it is written with, not the nearest float.
    wanted = {name: Decimal(str(event[name])) for name in ("at_least", "at_most", "exactly") if name in event}
    if "at_most" in wanted:
        return bool(measure <= wanted["at_most"])
    if "exactly" in wanted:
        return bool(measure == wanted["exactly"])
    return bool(measure >= wanted.get("at_least", 1))


def follows(sequence: Row, person: str, world: World) -> bool:
    """Every chain of rows is tried."""
    first, *later = sequence["steps"]
    fact = first["did"]["fact"]
    starts = [
        (fact, row)
        for row in rows_of(first["did"], person, world)
        if in_dates(sequence, moment(fact, row, world).date(), world.as_of)
    ]
    return any(_goes_on(start, later, person, world) for start in starts)


def _goes_on(last: tuple[str, Row], later: Sequence[Row], person: str, world: World) -> bool:
    if not later:
        return True
    (kind, event), *_ = later[0].items()
    at = moment(*last, world)
    gap = int(event["within"].removesuffix("d")) if "within" in event else None
    after = []
    for row in rows_of(event, person, world):
        then = moment(event["fact"], row, world)
        if not at < then or then.date() > world.as_of or (gap is not None and (then.date() - at.date()).days > gap):
            continue
        pairs = [[part.strip() for part in item.split("=")] for item in event.get("same", ())]
        if all(row[pair[0]] is not None and row[pair[0]] == last[1][pair[-1]] for pair in pairs):
            after.append((event["fact"], row))
    if kind == "did":
        return any(_goes_on(row, later[1:], person, world) for row in after)
    over = gap is None or at.date() + timedelta(days=gap) <= world.as_of
    return over and not after and _goes_on(last, later[1:], person, world)
