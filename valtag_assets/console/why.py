"""``valtag segment why``: why a person is in an audience, or is not."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from valtag_assets.console.doors import Visit, require_visible, through
from valtag_assets.console.opened import opened_rows
from valtag_assets.console.person import whom
from valtag_assets.console.screen import table
from valtag_assets.engine.access import segment_need, served_need
from valtag_assets.engine.brands import brand_field
from valtag_assets.engine.duckdb import DuckDBEngine, open_duckdb
from valtag_assets.engine.persons import PERSON, PERSONS, one_person
from valtag_assets.engine.reader import Reader
from valtag_assets.engine.rules import HOLDOUT, leaf_table, segment_table
from valtag_assets.engine.segments import barriers, stages_expression
from valtag_assets.engine.vault import vaulted_tags
from valtag_assets.expression.flip import answer, joined, nearest_change
from valtag_assets.expression.lineage import names_read
from valtag_assets.expression.never import comparisons
from valtag_assets.expression.resolved import Resolved, ResolvedSegment
from valtag_assets.expression.rule import (
    Condition,
    Did,
    Joined,
    ResolvedRule,
    columns_read,
    facts_read,
    leaves,
    rule_meaning,
)
from valtag_assets.graph.publishing import meaning_of
from valtag_assets.graph.setting import Setting
from valtag_assets.spec.access import Asking
from valtag_assets.spec.masking import MASK
from valtag_assets.spec.mistake import Mistake
from valtag_assets.spec.problem import did_you_mean
from valtag_assets.warehouse.snapshot import Snapshot, TableRef


@dataclass(frozen=True)
class Seen:
    """One condition of the rule: whether it holds, and the values it saw."""

    depth: int
    text: str
    holds: bool | None
    seen: Mapping[str, Any]


@dataclass(frozen=True)
class Why:
    """A person and an audience. ``stopped``: why the person is not in although the rule holds; ``change``: the
    nearest change that would turn the rule's answer, all of it together, none for who is kept out; ``notes``: what
    else to know."""

    person: str
    segment: str
    as_of: date | None
    snapshot: str
    known_at: datetime
    member: bool
    holdout: bool
    rule_holds: bool
    conditions: Sequence[Seen]
    stopped: Sequence[str]
    change: Sequence[str]
    notes: Sequence[str]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def find_why(setting: Setting, person: str, code: str, as_of: date | None, by: Asking) -> Why:
    """Evaluate the audience's rule for one person over the very snapshots its membership was made from.

    Raises Mistake for an unknown person or audience, and where those snapshots have left history.
    """
    with through(setting, "select", by, f"segments/{code}", person=person) as visit:
        visit.person = whom(setting, visit.reader, person)
        found = _why(setting, visit.person, code, as_of, visit)
        visit.rows, visit.tags = 1, [code]
    return found


def _why(setting: Setting, person: str, code: str, as_of: date | None, visit: Visit) -> Why:
    resolved, reader = setting.resolved, visit.reader
    if code not in resolved.segments:
        raise Mistake(f"'{code}' is no segment{did_you_mean(code, list(resolved.segments))}")
    segment, ref = resolved.segments[code], TableRef("segments", code)
    # About one person the answer of a rule is a value like any other: there is no count to hide in.
    reader.require_persons()
    reader.require(segment_need(resolved, code), f"who is in {code}")
    require_visible(setting, reader, person)
    served = setting.warehouse.latest(ref) if as_of is None else setting.warehouse.current(ref, as_of)
    if served is None:
        blocked = setting.warehouse.blocked(ref, as_of) if as_of is not None else None
        reason = f": {blocked.outcome}, {blocked.reason}" if blocked is not None else "; valtag run makes it"
        raise Mistake(f"{ref} was never published{f' for {as_of}' if as_of else ''}{reason}")
    assert served.as_of is not None
    if served.metrics.get("meaning") != meaning_of(segment.meaning):
        raise Mistake(
            f"the rule of {code} has changed since {served.id} of {served.as_of} was made; valtag run makes it anew"
        )
    inputs = inputs_of(setting, served)
    with open_duckdb(setting.spill) as engine:
        row = _row(engine, resolved, segment, served.as_of, person, inputs)
    row, hidden = opened_seen(setting, reader, segment.rule, row), hidden_seen(reader, segment.rule)
    numbered = list(leaves(segment.rule))
    holds = [row[f"_leaf{number}"] for number in range(len(numbered))]
    costs = [_distance(leaf, row, number) for number, leaf in enumerate(numbered)]
    # Who is kept out although the rule holds would not come in by another answer of the rule.
    kept_out = row["_rule"] and not row["_member"]
    change = () if kept_out else nearest_change(segment.rule, holds, costs, list(map(_subject, numbered)))
    return Why(
        person=person,
        segment=code,
        as_of=served.as_of,
        snapshot=served.id,
        known_at=served.known_at,
        member=row["_member"],
        holdout=row["_holdout"],
        rule_holds=row["_rule"],
        conditions=list(conditions_of(segment.rule, row, hidden)),
        stopped=list(_stopped(segment, row)),
        change=[
            f"{rule_meaning(numbered[item.leaf])} would have to {'hold' if item.to else 'fail'}"
            f"{_now(numbered[item.leaf], item.leaf, row, hidden)}"
            for item in change
        ],
        notes=_notes(setting, served),
    )


def inputs_of(setting: Setting, served: Snapshot) -> dict[str, Sequence[Path]]:
    """The files of the snapshots the membership was made from, and the membership itself."""
    files: dict[str, Sequence[Path]] = {served.table.key: served.files}
    for name, snapshot_id in served.inputs.items():
        found = setting.warehouse.find(TableRef.parse(name), snapshot_id)
        if found is None:
            raise Mistake(
                f"{served.table} of {served.as_of} was made from {name} {snapshot_id}, which has left history;"
                f" valtag run --as-of {served.as_of} makes it anew"
            )
        files[name] = found.files
    return files


def _row(
    engine: DuckDBEngine,
    resolved: Resolved,
    segment: ResolvedSegment,
    as_of: date,
    person: str,
    inputs: Mapping[str, Sequence[Path]],
) -> dict[str, Any]:
    """Everything there is to say about the person, in one row."""
    one = one_person(person)
    leaf = engine.fetch(leaf_table(resolved, segment.rule, as_of, one), inputs).to_pylist()
    if not leaf:
        raise Mistake(f"'{person}' is nobody in {PERSONS}")
    stages = engine.fetch(stages_expression(segment, one), inputs).to_pylist()[0]
    members = segment_table(segment.code)
    member = engine.fetch(members.filter(members[PERSON] == person), inputs).to_pylist()
    holds = [leaf[0][f"_leaf{number}"] for number, _ in enumerate(leaves(segment.rule))]
    return {
        **leaf[0],
        **stages,
        "_member": bool(member),
        "_holdout": bool(member) and member[0][HOLDOUT],
        "_rule": answer(segment.rule, holds),
    }


def opened_seen(setting: Setting, reader: Reader, rule: ResolvedRule, row: Mapping[str, Any]) -> dict[str, Any]:
    """What the rule saw, with what the reader may see of the personal texts in it."""
    tokens = columns_read(rule) & vaulted_tags(reader.resolved)
    needs = {name: served_need(reader.resolved, name) for name in tokens}
    return opened_rows(setting, reader, [row], needs)[0] if needs else dict(row)


def hidden_seen(reader: Reader, rule: ResolvedRule) -> dict[str, Any]:
    """What may not be shown of ``opened_seen``, and how a value of it is masked: columns that are not for the reader
    (but tokens, which are masked there), and facts with rows of brands that are not his."""
    needs = {name: served_need(reader.resolved, name) for name in columns_read(rule)}
    masks: dict[str, Any] = {
        name: partial(reader.masked, name, need)
        for name, need in needs.items()
        if not reader.may(need) and name not in vaulted_tags(reader.resolved)
    }
    return masks | {fact: lambda _: MASK for fact in facts_read(rule) if brand_field(reader, fact) is not None}


def conditions_of(rule: ResolvedRule, row: Mapping[str, Any], hidden: Mapping[str, Any]) -> Iterator[Seen]:
    """The rule line by line, branches before what they join."""
    numbers = count()

    def lines(part: ResolvedRule, depth: int) -> tuple[bool, list[Seen]]:
        if not isinstance(part, Joined):
            number = next(numbers)
            holds = bool(row[f"_leaf{number}"])
            return holds, [Seen(depth, rule_meaning(part), holds, _seen(part, number, row, hidden))]
        below = [lines(item, depth + 1) for item in part.rules]
        holds = joined(part, [held for held, _ in below])
        head = f"at least {part.least} of" if part.how == "at_least" else f"{part.how} of"
        return holds, [Seen(depth, head, holds, {}), *(line for _, found in below for line in found)]

    yield from lines(rule, 0)[1]


def _seen(leaf: ResolvedRule, number: int, row: Mapping[str, Any], hidden: Mapping[str, Any]) -> dict[str, Any]:
    """The values a condition looked at."""
    if isinstance(leaf, Condition):
        names = sorted(names_read(leaf.node))
        return {name: hidden[name](row[name]) if name in hidden else row[name] for name in names}
    if isinstance(leaf, Did):
        fact, seen = leaf.event.fact, row[f"_seen{number}"]
        return {f"{leaf.event.measure} of {fact}": hidden[fact](seen) if fact in hidden else seen}
    return {}


def _now(leaf: ResolvedRule, number: int, row: Mapping[str, Any], hidden: Mapping[str, Any]) -> str:
    seen = _seen(leaf, number, row, hidden)
    return f"; now {', '.join(f'{name} = {_plain(value)}' for name, value in seen.items())}" if seen else ""


def _plain(value: Any) -> str:
    return "empty" if value is None else str(value)


def _subject(leaf: ResolvedRule) -> str:
    """The same for conditions that turn together: one said twice, and having done a thing and not having done it."""
    return rule_meaning(replace(leaf, absent=False) if isinstance(leaf, Did) else leaf)


def _distance(leaf: ResolvedRule, row: Mapping[str, Any], number: int) -> float:
    """How far the value is from the constant it is compared with, from 0 to 1; 1 where that can't be said."""
    pairs: list[tuple[Any, Any]] = []
    if isinstance(leaf, Did):
        pairs = [(row[f"_seen{number}"], leaf.event.value)]
    elif isinstance(leaf, Condition):
        pairs = [(row.get(name), value) for name, _, value, _ in comparisons(leaf.node)]
    found = [
        abs(Decimal(str(seen)) - Decimal(str(wanted)))
        for seen, wanted in pairs
        if isinstance(seen, int | float | Decimal)
        and isinstance(wanted, int | float | Decimal)
        and math.isfinite(seen)
    ]
    return float(min(found) / (1 + min(found))) if found else 1.0


def _stopped(segment: ResolvedSegment, row: Mapping[str, Any]) -> list[str]:
    """Why somebody for whom the rule holds is not a member."""
    if not row["_rule"] or row["_member"]:
        return []
    found = [
        f"is in the {member.kind} {member.code}"
        + (
            ", which project.yaml excludes from every audience"
            if number < len(segment.excluded)
            else ", which comes before this audience in its waterfall"
        )
        for number, member in enumerate(barriers(segment))
        if row[f"_barred{number}"]
    ]
    if not row["_drawn"]:
        found.append("was not drawn into the sample")
    spec = segment.spec
    if not found and (spec.caps or spec.limit is not None or spec.sample is not None):
        found.append("comes behind the last one that the sample, caps or limit let in")
    return found


def _notes(setting: Setting, served: Snapshot) -> list[str]:
    assert served.as_of is not None
    blocked = setting.warehouse.blocked(served.table, served.as_of)
    if blocked is not None:
        return [f"a newer membership was {blocked.outcome}: {blocked.reason}; this is the last good one"]
    newest = setting.warehouse.newest_attempt(served.table)
    if newest is None or not newest.blocks or newest.as_of is None or newest.as_of < served.as_of:
        return []
    return [f"for {newest.as_of} it was {newest.outcome}: {newest.reason}"]


def print_why(console: Console, found: Why) -> None:
    """In or out, each condition with what it saw, and what would turn it."""
    word = "is in" if found.member else "is not in"
    style = "green" if found.member else "red"
    held = " (held out: not contacted)" if found.holdout else ""
    console.print(Text(f"{found.person} {word} {found.segment} at {found.as_of}{held}", style=f"bold {style}"))
    console.print(Text(f"snapshot {found.snapshot}, known at {found.known_at:%Y-%m-%d %H:%M:%S} UTC", style="dim"))
    rows = [
        [
            Text(f"{'  ' * item.depth}{item.text}"),
            Text("holds", style="green") if item.holds else Text("fails", style="red"),
            ", ".join(f"{name} = {_plain(value)}" for name, value in item.seen.items()),
        ]
        for item in found.conditions
    ]
    console.print(table("", ["condition 条件", "result 结果", "seen 所见"], rows))
    for line in found.stopped:
        console.print(Text(f"the rule holds, but {found.person} {line}", style="yellow"), soft_wrap=True)
    for number, line in enumerate(found.change):
        console.print(Text(f"{'and 并且' if number else 'nearest change 最近的改变'}: {line}"), soft_wrap=True)
    for line in found.notes:
        console.print(Text(line, style="yellow"), soft_wrap=True)
