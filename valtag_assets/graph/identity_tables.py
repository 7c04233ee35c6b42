"""Stage *identity*, with identity.yaml: every identifier, the keys and their persons, and what became of persons."""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import dagster as dg

from valtag_assets.engine.identity import history
from valtag_assets.engine.identity.figures import identifier_figures, key_figures
from valtag_assets.engine.identity.identifiers import BEFORE, find_identifiers, keys, review
from valtag_assets.engine.identity.tables import (
    HISTORY,
    IDENTIFIERS,
    KEYS,
    REVIEW,
    SUCCESSORS,
    TITLES,
    identity_columns,
    identity_table,
)
from valtag_assets.engine.identity.work import Work
from valtag_assets.engine.persons import PERSON, PERSONS, clean_name
from valtag_assets.engine.session import Engine
from valtag_assets.graph.checks import check_specs
from valtag_assets.graph.gates import Gate, Wanted, ask
from valtag_assets.graph.identity import named_by_keys
from valtag_assets.graph.identity_page import identity_picture
from valtag_assets.graph.metadata import describe, identity_schema
from valtag_assets.graph.publishing import Plan, Results, Written, build, meaning_of
from valtag_assets.graph.session import EngineSession
from valtag_assets.graph.setting import Setting
from valtag_assets.graph.sighted import Sighted, same_sightings, sighted
from valtag_assets.graph.stages import asset_key
from valtag_assets.quality.expectation import Expectation
from valtag_assets.quality.identity import key_table_expectations, successor_expectations, table_expectations
from valtag_assets.spec.identity import IdentifierKind
from valtag_assets.spec.types import DataType
from valtag_assets.warehouse.damage import damage
from valtag_assets.warehouse.errors import WarehouseError
from valtag_assets.warehouse.snapshot import Snapshot, TableRef

GROUP = "3_identity"
# Raised when the rules change by which persons are found, so that everything is found anew.
FORM = 1
_PART = "part-0.parquet"
Write = Callable[[Work, Path, Gate], Written]


@dataclass(frozen=True)
class _Table:
    """One table of the stage: what it reads, how it is written, what names a row and what no page may show."""

    name: str
    reads: Sequence[str]
    write: Write
    key: tuple[str, ...]
    private: frozenset[str]
    about: str


def identity_table_assets(setting: Setting) -> list[dg.AssetsDefinition]:
    """The tables of identity.yaml; none without it."""
    return [_asset(setting, table) for table in _tables(setting)]


def identity_table_plans(setting: Setting) -> Iterator[Plan]:
    """How each of them is made, in the order of the flow."""
    return (_plan(setting, table) for table in _tables(setting))


def _tables(setting: Setting) -> list[_Table]:
    identity = setting.resolved.identity
    if identity is None:
        return []
    of_key, of_person = frozenset({"key", "piece", PERSON}), frozenset({"was", "now"})
    return [
        _Table(
            IDENTIFIERS,
            [clean_name(code) for code in identity.fields],
            lambda work, into, gate: _write_identifiers(setting, work, into, gate),
            ("piece",),
            of_key,
            "各来源的标识，规范化后按强度归并 · Identifiers of all sources, normalised and joined by strength",
        ),
        _Table(
            KEYS,
            [IDENTIFIERS],
            lambda work, into, _: _write_keys(setting, work, into),
            (PERSON,),
            of_key,
            "可用标识及其归属 · Usable identifiers and whose they are; ids stay as long as anything of a person does",
        ),
        _Table(
            REVIEW,
            [IDENTIFIERS],
            _write_review,
            ("key",),
            of_key,
            "被停用的标识及原因 · Identifiers that identify nobody, and why",
        ),
        _Table(
            HISTORY,
            [KEYS],
            lambda work, into, gate: _write_history(setting, work, into, gate),
            ("ordinal",),
            of_person,
            "合并、拆分、新增、消失 · Who was merged, split, new or gone; earlier events stay",
        ),
        _Table(
            SUCCESSORS,
            [KEYS, HISTORY],
            lambda work, into, _: _write_successors(setting, work, into),
            ("was",),
            of_person,
            "失效编号现归属何人 · For every id that is no more, who it is now",
        ),
    ]


def _asset(setting: Setting, table: _Table) -> dg.AssetsDefinition:
    key, columns = asset_key(table.name), identity_columns(table.name)

    @dg.asset(
        key=key,
        deps=[asset_key(name) for name in table.reads],
        group_name=GROUP,
        description=describe(TITLES[table.name], table.about),
        owners=[setting.resolved.catalog.project.owner],
        kinds={setting.engines.of(table.name), "parquet"},
        code_version=_meaning(setting, table.name),
        metadata={"dagster/column_schema": identity_schema(table.name)},
        automation_condition=dg.AutomationCondition.eager(),
        check_specs=check_specs(key, lambda previous: _expectations(setting, table, previous), columns),
        output_required=False,
    )
    def made(context: dg.AssetExecutionContext, engine: EngineSession) -> Results:
        yield from build(context, setting, engine, lambda: _plan(setting, table))

    return made


def _plan(setting: Setting, table: _Table) -> Plan:
    gate = ask(setting.warehouse, list(map(Wanted, table.reads)))
    columns: Mapping[str, DataType] = identity_columns(table.name)

    def write(engine: Engine, into: Path) -> Written:
        with _working(setting, engine, gate) as work:
            return table.write(work, into, gate)

    return Plan(
        table=TableRef.parse(table.name),
        as_of=None,
        meaning=_meaning(setting, table.name),
        gate=gate,
        key=table.key,
        columns=columns,
        private=table.private,
        write=write,
        expectations=lambda _, previous: _expectations(setting, table, previous),
        fingerprint=_named_in(setting) if table.name == HISTORY else "",
        picture=lambda snapshot: identity_picture(setting.resolved, snapshot),
    )


def _meaning(setting: Setting, table: str) -> str:
    identity = setting.resolved.identity
    assert identity is not None
    called = [(kind.code, kind.normalise) for kind in _calling(setting)] if table in (HISTORY, SUCCESSORS) else []
    return meaning_of(table, FORM, identity.meaning if table == IDENTIFIERS else "", *called)


def _expectations(setting: Setting, table: _Table, previous: Snapshot | None) -> list[Expectation]:
    columns = identity_columns(table.name)
    if table.name == KEYS:
        return key_table_expectations(setting.resolved, columns, previous)
    if table.name == SUCCESSORS:
        return successor_expectations(setting.resolved, columns)
    return table_expectations(setting.resolved, columns)


@contextmanager
def _working(setting: Setting, engine: Engine, gate: Gate) -> Iterator[Work]:
    """Working tables on the warehouse's own disk; gone afterwards."""
    with tempfile.TemporaryDirectory(dir=setting.spill) as folder:
        yield Work(engine, Path(folder), {name: snapshot.files for name, snapshot in gate.snapshots.items()})


def _write_identifiers(setting: Setting, work: Work, into: Path, gate: Gate) -> Written:
    """Found anew only if something has changed that identity reads."""
    earlier = None if setting.full else setting.warehouse.current(TableRef.parse(IDENTIFIERS))
    if earlier is not None and (damage(earlier) or earlier.metrics["meaning"] != _meaning(setting, IDENTIFIERS)):
        earlier = None
    known: Sighted = {} if earlier is None else earlier.metrics.get("sighted", {})
    found = sighted(work, setting.resolved, gate, known)
    shared: dict[str, Snapshot] = {}
    if earlier is not None and same_sightings(known, found):
        work.files[IDENTIFIERS], shared = earlier.files, {part.name: earlier for part in earlier.parts}
    else:
        work.write(find_identifiers(work, setting.resolved), into / _PART)
        work.files[IDENTIFIERS] = [into / _PART]
    return Written({**identifier_figures(work), "sighted": found}, shared=shared)


def _write_keys(setting: Setting, work: Work, into: Path) -> Written:
    """Against the keys published before, so that persons keep their ids. These are no input of the snapshot, for it
    would hold them, and they those before them: ``before`` names them, as long as they are kept."""
    before = setting.warehouse.current(TableRef.parse(KEYS))
    generation = 1 if before is None else before.metrics["generation"] + 1
    if before is not None:
        work.files[BEFORE] = before.files
    work.write(keys(generation, before=before is not None), into / _PART)
    work.files[KEYS] = [into / _PART]
    named = {"before": before.id} if before is not None else {}
    return Written({"generation": generation, **named, **key_figures(work)})


def _write_review(work: Work, into: Path, _: Gate) -> Written:
    work.write(review(identity_table(IDENTIFIERS)), into / _PART)
    return Written()


def _write_history(setting: Setting, work: Work, into: Path, gate: Gate) -> Written:
    """What happened since the keys that the last history knew: one part more, beside those of before."""
    told, warehouse = setting.warehouse.current(TableRef.parse(HISTORY)), setting.warehouse
    named = _named_in(setting)
    if told is None:
        work.write(history.first_events(_naming(setting, work, named)), into / _part(1))
        return Written({"changes": 1, "named": named})
    before = warehouse.find(TableRef.parse(KEYS), told.inputs[KEYS])
    if before is None:
        raise WarehouseError(f"{KEYS} has lost its snapshot {told.inputs[KEYS]}, which {HISTORY} goes on from")
    work.files[BEFORE] = before.files
    changes, shared = told.metrics["changes"], {part.name: told for part in told.parts}
    kinds = _naming(setting, work, named if named != told.metrics.get("named", "") else "")
    found = work.keep("events", history.events(changes + 1, kinds))
    same = before.content_hash == gate.snapshots[KEYS].content_hash and not kinds
    if same or not work.number(found):
        return Written({"changes": changes, "named": named}, shared=shared)
    work.write(found, into / _part(changes + 1))
    return Written({"changes": changes + 1, "named": named}, shared=shared)


def _named_in(setting: Setting) -> str:
    """The newest population from before identity.yaml, by its snapshot; where that is no longer kept, the one that
    the history tells of; "" where there was none."""
    known = setting.warehouse.snapshots(TableRef.parse(PERSONS))
    plain = [persons for persons in known if named_by_keys(persons)]
    if plain:
        return plain[-1].id
    told = setting.warehouse.current(TableRef.parse(HISTORY))
    return "" if told is None else str(told.metrics.get("named", ""))


def _naming(setting: Setting, work: Work, named: str) -> list[IdentifierKind]:
    """The kinds of keys by which the persons of that population are to be named, and the population as PERSONS for
    ``work``; none where it is gone, or nothing says what kind of key they were called by."""
    plain = setting.warehouse.find(TableRef.parse(PERSONS), named) if named else None
    if plain is None:
        return []
    work.files[PERSONS] = plain.files
    return _calling(setting)


def _calling(setting: Setting) -> list[IdentifierKind]:
    """The kinds of keys that persons were called by without identity.yaml, the strongest first."""
    resolved, identity = setting.resolved, setting.resolved.identity
    assert identity is not None
    persons = [resolved.sources[code] for code in resolved.catalog.person_sources()]
    ranks = {
        slot.rank for source in persons for name, slot in identity.fields[source.code] if name == source.spec.person
    }
    return [identity.kinds[rank] for rank in sorted(ranks)]


def _write_successors(setting: Setting, work: Work, into: Path) -> Written:
    work.write(history.successors(work, _calling(setting)), into / _PART)
    return Written()


def _part(ordinal: int) -> str:
    return f"part-{ordinal:06d}.parquet"
