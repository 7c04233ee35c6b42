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
from valtag_assets.engine.identity.sealing import VAULT_NAME, kept_keys, sealed_keys
from valtag_assets.engine.identity.tables import (
    HISTORY,
    IDENTIFIERS,
    KEYS,
    REVIEW,
    SUCCESSORS,
    TITLES,
    identity_columns,
    identity_table,
    typed,
)
from valtag_assets.engine.identity.work import Work
from valtag_assets.engine.persons import PERSON, PERSONS, clean_name
from valtag_assets.engine.session import Engine
from valtag_assets.engine.vault import KEY, VAULT, values_of
from valtag_assets.expression.resolved_identity import ResolvedIdentity
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
from valtag_assets.graph.vaults import every_vault, publish_vault, vault_of
from valtag_assets.quality.expectation import Expectation
from valtag_assets.quality.identity import key_table_expectations, successor_expectations, table_expectations
from valtag_assets.spec.identity import IdentifierKind
from valtag_assets.spec.types import DataType
from valtag_assets.warehouse.damage import damage
from valtag_assets.warehouse.errors import WarehouseError
from valtag_assets.warehouse.snapshot import Snapshot, TableRef

GROUP = "3_identity"
# Raised when the rules change by which persons are found, so that everything is found anew.
FORM = 2
_IDENTITY_VAULT = TableRef(VAULT, VAULT_NAME)
_PART = "part-0.parquet"
Write = Callable[[Work, Path, Gate, str], Written]
"""Into a folder, from what the gate let through, in the run of that id."""


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
    return (_plan(setting, table, "") for table in _tables(setting))


def _tables(setting: Setting) -> list[_Table]:
    identity = setting.resolved.identity
    if identity is None:
        return []
    of_key, of_person = frozenset({"key", "piece", PERSON}), frozenset({"was", "now"})
    return [
        _Table(
            IDENTIFIERS,
            [clean_name(code) for code in identity.fields],
            lambda *given: _write_identifiers(setting, *given),
            ("piece",),
            of_key,
            "各来源的标识，规范化后按强度归并 · Identifiers of all sources, normalised and joined by strength",
        ),
        _Table(
            KEYS,
            [IDENTIFIERS],
            lambda work, into, *_: _write_keys(setting, work, into),
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
            lambda work, into, gate, _: _write_history(setting, work, into, gate),
            ("ordinal",),
            of_person,
            "合并、拆分、新增、消失 · Who was merged, split, new or gone; earlier events stay",
        ),
        _Table(
            SUCCESSORS,
            [KEYS, HISTORY],
            lambda work, into, *_: _write_successors(setting, work, into),
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
        yield from build(context, setting, engine, lambda: _plan(setting, table, context.run_id))

    return made


def _plan(setting: Setting, table: _Table, run_id: str) -> Plan:
    gate = ask(setting.warehouse, list(map(Wanted, table.reads)))
    columns: Mapping[str, DataType] = identity_columns(table.name)

    def write(engine: Engine, into: Path) -> Written:
        with _working(setting, engine, gate) as work:
            return table.write(work, into, gate, run_id)

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
    identity = _identity(setting)
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
        files: dict[str, Sequence[Path]] = {name: snapshot.files for name, snapshot in gate.snapshots.items()}
        if _identity(setting).sealed:
            known = vault_of(setting, *gate.snapshots.values())
            files |= {KEY: [setting.tokens.table(Path(folder))], VAULT: known or every_vault(setting)}
        yield Work(engine, Path(folder), files)


def _write_identifiers(setting: Setting, work: Work, into: Path, gate: Gate, run_id: str) -> Written:
    """Found anew only if something has changed that identity reads."""
    earlier = _standing_identifiers(setting)
    known: Sighted = {} if earlier is None else earlier.metrics["sighted"]
    found = sighted(work, setting.resolved, gate, known)
    shared, inputs = dict[str, Snapshot](), dict[str, str]()
    if earlier is not None and same_sightings(known, found):
        work.files[IDENTIFIERS], shared = earlier.files, {part.name: earlier for part in earlier.parts}
        inputs = {name: kept for name, kept in earlier.inputs.items() if name == _IDENTITY_VAULT.key}
    else:
        inputs = _find_identifiers(setting, work, into, gate, run_id)
        work.files[IDENTIFIERS] = [into / _PART]
    told = {**identifier_figures(work), "sighted": found, "sealed": _sealed(setting)}
    return Written(told, shared=shared, inputs=inputs)


def _standing_identifiers(setting: Setting) -> Snapshot | None:
    """The identifiers of before, if they are whole, of the same rules and with the same tokens."""
    earlier = None if setting.full else setting.warehouse.current(TableRef.parse(IDENTIFIERS))
    if earlier is None or damage(earlier) or earlier.metrics["meaning"] != _meaning(setting, IDENTIFIERS):
        return None
    same = earlier.metrics["sealed"] == _sealed(setting)
    kept = _IDENTITY_VAULT.key not in earlier.inputs or setting.warehouse.find(
        _IDENTITY_VAULT, earlier.inputs[_IDENTITY_VAULT.key]
    )
    return earlier if same and kept else None


def _find_identifiers(setting: Setting, work: Work, into: Path, gate: Gate, run_id: str) -> dict[str, str]:
    """What is linked are the identifiers themselves; what is published of personal ones are tokens, and these beside
    them in the vault. Gives the snapshot of that table, as an input."""
    identity = _identity(setting)
    found, inputs = find_identifiers(work, setting.resolved), dict[str, str]()
    if identity.sealed:
        found = work.keep("identifiers", found)
        kept = work.folder / _PART
        work.write(kept_keys(identity, found), kept)
        clean = sorted(snapshot.content_hash for snapshot in gate.snapshots.values())
        sealed = publish_vault(setting, VAULT_NAME, [kept], input_hash=meaning_of(*clean), run_id=run_id)
        inputs[sealed.table.key] = sealed.id
        found = typed(sealed_keys(identity, found), IDENTIFIERS)
        found = found.order_by(["piece", "kind", "key", found["since"].asc(nulls_first=True), "reason"])
    work.write(found, into / _PART)
    return inputs


def _write_keys(setting: Setting, work: Work, into: Path) -> Written:
    """Against the keys published before, so that persons keep their ids. These are no input of the snapshot, for it
    would hold them, and they those before them: ``before`` names them, as long as they are kept."""
    before = setting.warehouse.current(TableRef.parse(KEYS))
    generation = 1 if before is None else before.metrics["generation"] + 1
    if before is not None:
        _keep_before(setting, work, before)
    work.write(keys(generation, before=before is not None), into / _PART)
    work.files[KEYS] = [into / _PART]
    named = {"before": before.id} if before is not None else {}
    return Written({"generation": generation, "sealed": _sealed(setting), **named, **key_figures(work)})


def _keep_before(setting: Setting, work: Work, before: Snapshot) -> None:
    """The keys of before as BEFORE, with the tokens of now: other fields may be personal by now, or the key of tokens
    another."""
    work.files[BEFORE] = before.files
    if before.metrics.get("sealed", "") != _sealed(setting):
        work.files[VAULT] = every_vault(setting)
        identity, told = _identity(setting), identity_table(KEYS, BEFORE)
        opened = values_of(told, ["key"]) if work.files[VAULT] else told
        work.files[BEFORE] = work.files[work.keep("before", sealed_keys(identity, opened)).get_name()]


def _sealed(setting: Setting) -> str:
    """Stands for the kinds whose keys are published as tokens and for the key of tokens; empty without any."""
    identity = _identity(setting)
    kinds = [identity.kinds[rank].code for rank in sorted(identity.sealed)]
    return f"{','.join(kinds)} {setting.tokens.state[:16]}" if kinds else ""


def _write_review(work: Work, into: Path, *_: object) -> Written:
    work.write(review(identity_table(IDENTIFIERS)), into / _PART)
    return Written()


def _write_history(setting: Setting, work: Work, into: Path, gate: Gate) -> Written:
    """What happened since the keys that the last history knew: one part more, beside those of before."""
    told, warehouse = setting.warehouse.current(TableRef.parse(HISTORY)), setting.warehouse
    identity, named = _identity(setting), _named_in(setting)
    if told is None:
        work.write(history.first_events(_naming(setting, work, named), identity), into / _part(1))
        return Written({"changes": 1, "named": named})
    before = warehouse.find(TableRef.parse(KEYS), told.inputs[KEYS])
    if before is None:
        raise WarehouseError(f"{KEYS} has lost its snapshot {told.inputs[KEYS]}, which {HISTORY} goes on from")
    _keep_before(setting, work, before)
    changes, shared = told.metrics["changes"], {part.name: told for part in told.parts}
    kinds = _naming(setting, work, named if named != told.metrics.get("named", "") else "")
    found = work.keep("events", history.events(changes + 1, kinds, identity))
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
    resolved, identity = setting.resolved, _identity(setting)
    persons = [resolved.sources[code] for code in resolved.catalog.person_sources()]
    ranks = {
        slot.rank for source in persons for name, slot in identity.fields[source.code] if name == source.spec.person
    }
    return [identity.kinds[rank] for rank in sorted(ranks)]


def _write_successors(setting: Setting, work: Work, into: Path) -> Written:
    work.write(history.successors(work, _calling(setting), _identity(setting)), into / _PART)
    return Written()


def _identity(setting: Setting) -> ResolvedIdentity:
    identity = setting.resolved.identity
    assert identity is not None
    return identity


def _part(ordinal: int) -> str:
    return f"part-{ordinal:06d}.parquet"
