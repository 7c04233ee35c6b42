"""``valtag segment portrait``: a saved audience against everybody, or against another audience."""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

from valtag_assets.console.doors import Visit, through, visible_persons
from valtag_assets.console.history import find_snapshot
from valtag_assets.engine.access import segment_need, served_needs
from valtag_assets.engine.brands import of_visible
from valtag_assets.engine.duckdb import open_duckdb
from valtag_assets.engine.persons import PERSON, PERSONS
from valtag_assets.engine.portrait import Column, Comparison, Difference, Histogram, Portrait, compare, portrait
from valtag_assets.engine.portrait import histogram as spread
from valtag_assets.engine.reader import Reader
from valtag_assets.engine.rules import segments_name
from valtag_assets.engine.scores import scores_name
from valtag_assets.engine.session import unbound
from valtag_assets.engine.tags import tags_name
from valtag_assets.engine.vault import vaulted_tags
from valtag_assets.expression.resolved import Resolved
from valtag_assets.expression.value_titles import column_title, value_titles
from valtag_assets.graph.setting import Setting
from valtag_assets.spec.access import Asking
from valtag_assets.spec.block import Title
from valtag_assets.spec.mistake import Mistake
from valtag_assets.spec.problem import did_you_mean
from valtag_assets.spec.types import DataType
from valtag_assets.warehouse.damage import damage
from valtag_assets.warehouse.snapshot import Snapshot, TableRef

MEMBERS, AGAINST = "members", "against"


@dataclass(frozen=True)
class Pictured:
    """A portrait with what people need to read it.

    ``skipped``: columns that are not compared, and why. ``in_rule``: those that the audience's own rule reads, and
    that differ by definition. ``stale``: why the audience was not chosen anew.
    """

    segment: str
    title: Title
    against: Title | None
    stale: str | None
    as_of: date
    snapshot: str
    portrait: Portrait
    titles: Mapping[str, Title]
    units: Mapping[str, str]
    value_titles: Mapping[str, Mapping[str, Title]]
    skipped: Mapping[str, str]
    in_rule: frozenset[str]
    histograms: Mapping[str, Histogram]

    def to_json(self) -> dict[str, Any]:
        found = self.portrait
        return {
            "segment": self.segment,
            "title": self.title.model_dump(),
            "against": None if self.against is None else self.against.model_dump(),
            "stale": self.stale,
            "as_of": self.as_of,
            "snapshot": self.snapshot,
            "members": found.members,
            "rest": found.rest,
            "comparable": found.comparable,
            "differences": [self._difference(item) for item in found.differences],
            "too_few": dict(found.too_few),
            "skipped": dict(self.skipped),
        }

    def _difference(self, item: Difference) -> dict[str, Any]:
        titles = self.value_titles.get(item.code, {})
        values = [
            {**asdict(share), "title": titles[share.value].model_dump() if share.value in titles else None}
            for share in item.values
        ]
        title = self.titles[item.code].model_dump()
        more = {"in_rule": item.code in self.in_rule, "unit": self.units.get(item.code)}
        return {**asdict(item), "title": title, **more, "values": values}


def picture(
    setting: Setting,
    segment: str,
    as_of: date | None,
    against: str | None,
    by: Asking,
    *,
    histograms: int = 0,
) -> Pictured:
    """The portrait of a published audience, with the distributions of its ``histograms`` strongest numbers.

    Raises Mistake for an audience that does not exist or was never published, and for tables it needs.
    """
    with through(setting, "select", by, f"segments/{segment}") as visit:
        found = _picture(setting, segment, as_of, against, visit, histograms)
        compared = {item.code for item in found.portrait.differences}
        visit.rows, visit.tags = len(compared), [segment, *sorted(compared)]
    return found


def _picture(
    setting: Setting, segment: str, as_of: date | None, against: str | None, visit: Visit, histograms: int
) -> Pictured:
    resolved, reader = setting.resolved, visit.reader
    for code in (segment, against):
        if code in resolved.segments:
            reader.require_asked(segment_need(resolved, str(code)), f"who is in {code}")
    members = _members(setting, segment, as_of)
    day = members.as_of
    assert day is not None
    inputs: dict[str, Sequence[Path]] = {MEMBERS: members.files, PERSONS: _population(setting, members).files}
    if against is not None:
        inputs[AGAINST] = _members(setting, against, day).files
    tables = _tables(setting, day)
    inputs |= {key: snapshot.files for key, snapshot in tables.items()}
    columns, skipped = _columns(reader, tables)
    with _comparing(setting, reader, inputs, day, against=against is not None) as comparison:
        found = portrait(comparison, columns)
        drawn = _spreads(comparison, columns, found, histograms)
    codes = dict.fromkeys(item.code for item in found.differences)
    return Pictured(
        segment=segment,
        title=resolved.segments[segment].spec.title,
        against=None if against is None else resolved.segments[against].spec.title,
        stale=_stale(setting, members),
        as_of=day,
        snapshot=members.id,
        portrait=found,
        titles={code: column_title(resolved, code) for code in codes},
        units={code: unit for code in codes if (unit := _unit(resolved, code)) is not None},
        value_titles={code: value_titles(resolved, code) for code in codes},
        skipped=skipped,
        in_rule=resolved.segments[segment].tags | resolved.segments[segment].scores,
        histograms=drawn,
    )


@contextmanager
def _comparing(
    setting: Setting, reader: Reader, inputs: dict[str, Sequence[Path]], as_of: date, *, against: bool
) -> Iterator[Comparison]:
    persons = {PERSON: "string"}
    other = unbound(AGAINST, persons) if against else None
    with open_duckdb(setting.spill) as engine, tempfile.TemporaryDirectory(dir=setting.spill) as space:
        folder = Path(space)
        if visible := visible_persons(setting, reader, engine, folder):
            for name in (MEMBERS, AGAINST, PERSONS) if against else (MEMBERS, PERSONS):
                own = folder / f"{name.replace('/', '.')}.parquet"
                engine.write(of_visible(unbound(name, persons)), {name: inputs[name], **visible}, own)
                inputs[name] = [own]
        yield compare(engine, inputs, as_of, unbound(MEMBERS, persons), other, folder)


def _members(setting: Setting, segment: str, as_of: date | None) -> Snapshot:
    known = setting.resolved.segments
    if segment not in known:
        raise Mistake(f"'{segment}' is no audience{did_you_mean(segment, list(known))}")
    ref = TableRef.parse(segments_name(segment))
    if ref not in setting.warehouse.tables():
        raise Mistake(f"{segment} was never published: {ref} has no snapshot; valtag run computes it")
    return _sound(find_snapshot(setting, ref.key, as_of))


def _stale(setting: Setting, members: Snapshot) -> str | None:
    blocked = setting.warehouse.blocked(members.table, members.as_of)
    return None if blocked is None else f"a later try of {members.table} was {blocked.outcome}: {blocked.reason}"


def _population(setting: Setting, members: Snapshot) -> Snapshot:
    """Everybody there was when the audience was chosen."""
    ref = TableRef.parse(PERSONS)
    found = setting.warehouse.find(ref, members.inputs.get(PERSONS, ""))
    if found is None:
        raise Mistake(f"{ref}, which {members.table} {members.as_of} was made of, has been removed")
    return _sound(found)


def _sound(snapshot: Snapshot) -> Snapshot:
    if fault := damage(snapshot):
        raise Mistake(f"{snapshot.table} {snapshot.id} is damaged: {fault}")
    return snapshot


def _tables(setting: Setting, as_of: date) -> dict[str, Snapshot]:
    """The tags and scores served for the as-of; of categories that are not daily, the newest up to it."""
    resolved, warehouse, found = setting.resolved, setting.warehouse, {}
    catalog = resolved.catalog
    for code in resolved.categories:
        ref, refresh = (
            TableRef.parse(tags_name(code)),
            catalog.categories[code].spec.refresh or catalog.project.refresh,
        )
        daily = refresh.schedule == "daily"
        found[ref.key] = warehouse.current(ref, as_of) if daily else warehouse.latest(ref, on_or_before=as_of)
    for code in resolved.scores:
        ref = TableRef.parse(scores_name(code))
        found[ref.key] = warehouse.current(ref, as_of)
    return {key: _sound(snapshot) for key, snapshot in found.items() if snapshot is not None}


def _columns(reader: Reader, tables: Mapping[str, Snapshot]) -> tuple[list[Column], dict[str, str]]:
    """The columns to compare, and why others are not."""
    columns, skipped = [], {}
    needs = served_needs(reader.resolved)
    for table, code, kind, closed in _every_column(reader.resolved):
        snapshot = tables.get(table)
        if not reader.may(needs[code]):
            skipped[code] = f"this role may not read it ({needs[code].level})"
        elif code in vaulted_tags(reader.resolved):
            skipped[code] = "a personal text: it names persons, and sets no audience apart"
        elif snapshot is None or code not in dict(snapshot.columns):
            skipped[code] = "not published for this as-of"
        elif code in snapshot.held:
            skipped[code] = "held by its checks"
        else:
            columns.append(Column(table, code, kind, closed))
    return columns, skipped


def _every_column(resolved: Resolved) -> Iterator[tuple[str, str, DataType, bool]]:
    for code, tag in resolved.tags.items():
        yield tags_name(tag.category), code, tag.type, tag.values is not None
    for name, score in resolved.scores.items():
        for code, kind in score.columns.items():
            yield scores_name(name), code, kind, code in score.values


def _unit(resolved: Resolved, code: str) -> str | None:
    tag = resolved.tags.get(code)
    return None if tag is None else tag.spec.unit


def _spreads(comparison: Comparison, columns: Sequence[Column], found: Portrait, most: int) -> dict[str, Histogram]:
    known = {column.code: column for column in columns}
    spread_out: dict[str, Histogram] = {}
    for item in found.differences:
        if len(spread_out) >= most:
            break
        if item.kind in ("number", "date") and (drawn := spread(comparison, known[item.code])) is not None:
            spread_out[item.code] = drawn
    return spread_out
