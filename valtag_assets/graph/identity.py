"""Stage *identity*: who the persons are, and which rows belong to nobody among them."""

from dataclasses import replace
from pathlib import Path

import dagster as dg
import ibis

from valtag_assets.engine.persons import (
    PERSON,
    PERSONS,
    STRANGER_COLUMNS,
    STRANGERS,
    keyed_names,
    population,
    strangers,
)
from valtag_assets.engine.session import Engine
from valtag_assets.graph.checks import check_specs
from valtag_assets.graph.gates import Wanted, ask
from valtag_assets.graph.metadata import PERSON_COLUMN, describe
from valtag_assets.graph.publishing import Plan, Results, Written, build, meaning_of
from valtag_assets.graph.session import EngineSession
from valtag_assets.graph.setting import Setting
from valtag_assets.graph.stages import asset_key
from valtag_assets.quality.plan import population_expectations, stranger_expectations
from valtag_assets.spec.types import TEXT
from valtag_assets.warehouse.snapshot import Snapshot, TableRef

GROUP = "3_identity"
_GONE = (
    "identity.yaml is gone, so everybody would have another id and be written to again: put it back. With one kind in"
    " it nobody is joined with anybody, and all keep their ids"
)


def identity_assets(setting: Setting) -> list[dg.AssetsDefinition]:
    """The population, and the strangers."""
    return [_persons_asset(setting), *([_strangers_asset(setting)] if _facts(setting) else [])]


def _persons_asset(setting: Setting) -> dg.AssetsDefinition:
    resolved = setting.resolved
    sources = resolved.catalog.person_sources()
    title = resolved.catalog.project.persons.title
    key = asset_key(PERSONS)

    @dg.asset(
        key=key,
        deps=[asset_key(name) for name in keyed_names(resolved, sources)],
        group_name=GROUP,
        description=describe(title, f"来自 from {', '.join(sources)}"),
        owners=[resolved.catalog.project.owner],
        kinds={setting.engines.of(PERSONS), "parquet"},
        code_version=meaning_of("persons", sources),
        metadata={"dagster/column_schema": dg.TableSchema([PERSON_COLUMN])},
        automation_condition=dg.AutomationCondition.eager(),
        check_specs=check_specs(key, lambda previous: population_expectations(resolved, previous), {PERSON: TEXT}),
        output_required=False,
    )
    def persons(context: dg.AssetExecutionContext, engine: EngineSession) -> Results:
        yield from build(context, setting, engine, lambda: persons_plan(setting))

    return persons


def named_by_keys(persons: Snapshot) -> bool:
    """Whether these persons are the texts of their keys, as they are without identity.yaml."""
    return all(TableRef.parse(table).stage == "clean" for table in persons.inputs)


def persons_plan(setting: Setting) -> Plan:
    """How the population is made."""
    resolved = setting.resolved
    sources = resolved.catalog.person_sources()
    gate = ask(setting.warehouse, list(map(Wanted, keyed_names(resolved, sources))))
    before = setting.warehouse.current(TableRef.parse(PERSONS))
    if resolved.identity is None and before is not None and not named_by_keys(before):
        gate = replace(gate, faults=(*gate.faults, _GONE))

    def write(engine: Engine, into: Path) -> Written:
        inputs = {key: snapshot.files for key, snapshot in gate.snapshots.items()}
        engine.write(population(resolved), inputs, into / "part-0.parquet")
        return Written()

    return Plan(
        table=TableRef.parse(PERSONS),
        as_of=None,
        meaning=meaning_of("persons", sources),
        gate=gate,
        key=(PERSON,),
        columns={PERSON: TEXT},
        private=frozenset({PERSON}),
        write=write,
        expectations=lambda written, previous: population_expectations(resolved, previous),
    )


def _facts(setting: Setting) -> list[str]:
    return [code for code, source in setting.resolved.sources.items() if source.spec.kind == "fact"]


def _strangers_asset(setting: Setting) -> dg.AssetsDefinition:
    """Rows of facts whose person is not in the population count for nobody: they are counted here."""
    resolved, facts = setting.resolved, _facts(setting)
    key = asset_key(STRANGERS)

    @dg.asset(
        key=key,
        deps=[asset_key(PERSONS), *map(asset_key, keyed_names(resolved, facts))],
        group_name=GROUP,
        description="**总体之外的行 · Strangers**\n\n行为与交易中不属于总体的人 · "
        "Rows of facts that belong to nobody in the population; no tag counts them",
        owners=[resolved.catalog.project.owner],
        kinds={setting.engines.of(STRANGERS), "parquet"},
        code_version=meaning_of("strangers", facts),
        automation_condition=dg.AutomationCondition.eager(),
        check_specs=check_specs(key, lambda _: stranger_expectations(resolved), STRANGER_COLUMNS),
        output_required=False,
    )
    def strangers_table(context: dg.AssetExecutionContext, engine: EngineSession) -> Results:
        yield from build(context, setting, engine, lambda: strangers_plan(setting))

    return strangers_table


def strangers_plan(setting: Setting) -> Plan:
    """How the rows of nobody are counted."""
    resolved, facts = setting.resolved, _facts(setting)
    gate = ask(setting.warehouse, [Wanted(PERSONS), *map(Wanted, keyed_names(resolved, facts))])

    def write(engine: Engine, into: Path) -> Written:
        inputs = {key: snapshot.files for key, snapshot in gate.snapshots.items()}
        counted = [strangers(resolved.sources[code]) for code in facts]
        table = ibis.union(*counted) if len(counted) > 1 else counted[0]
        engine.write(table.order_by("source"), inputs, into / "part-0.parquet")
        return Written()

    return Plan(
        table=TableRef.parse(STRANGERS),
        as_of=None,
        meaning=meaning_of("strangers", facts),
        gate=gate,
        key=("source",),
        columns=STRANGER_COLUMNS,
        private=frozenset(),
        write=write,
        expectations=lambda _, __: stranger_expectations(resolved),
    )
