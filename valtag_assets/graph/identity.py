"""Stage *identity*: who the persons are."""

from pathlib import Path

import dagster as dg

from valtag_assets.engine.persons import PERSON, clean_name, population
from valtag_assets.engine.session import Engine
from valtag_assets.graph.checks import check_specs
from valtag_assets.graph.gates import Wanted, ask
from valtag_assets.graph.metadata import PERSON_COLUMN, describe
from valtag_assets.graph.publishing import Plan, Results, Written, build, meaning_of
from valtag_assets.graph.session import EngineSession
from valtag_assets.graph.setting import Setting
from valtag_assets.graph.stages import asset_key
from valtag_assets.quality.plan import population_expectations
from valtag_assets.spec.types import TEXT
from valtag_assets.warehouse.snapshot import TableRef

GROUP = "3_identity"
TABLE = TableRef("identity", "persons")


def identity_assets(setting: Setting) -> list[dg.AssetsDefinition]:
    """The population."""
    resolved = setting.resolved
    sources = resolved.catalog.person_sources()
    title = resolved.catalog.project.persons.title
    key = asset_key(TABLE.key)

    @dg.asset(
        key=key,
        deps=[asset_key(clean_name(code)) for code in sources],
        group_name=GROUP,
        description=describe(title, f"来自 from {', '.join(sources)}"),
        owners=[resolved.catalog.project.owner],
        kinds={"duckdb", "parquet"},
        code_version=meaning_of("persons", sources),
        metadata={"dagster/column_schema": dg.TableSchema([PERSON_COLUMN])},
        automation_condition=dg.AutomationCondition.eager(),
        check_specs=check_specs(
            key, lambda previous: population_expectations(resolved, previous), {PERSON: TEXT}
        ),
        output_required=False,
    )
    def persons(context: dg.AssetExecutionContext, engine: EngineSession) -> Results:
        yield from build(context, setting, engine, persons_plan(setting))

    return [persons]


def persons_plan(setting: Setting) -> Plan:
    """How the population is made."""
    resolved = setting.resolved
    sources = resolved.catalog.person_sources()
    gate = ask(setting.warehouse, [Wanted(clean_name(code)) for code in sources])

    def write(engine: Engine, into: Path) -> Written:
        inputs = {key: snapshot.files for key, snapshot in gate.snapshots.items()}
        engine.write(population(resolved), inputs, into / "part-0.parquet")
        return Written()

    return Plan(
        table=TABLE,
        as_of=None,
        meaning=meaning_of("persons", sources),
        gate=gate,
        key=(PERSON,),
        columns={PERSON: TEXT},
        private=frozenset({PERSON}),
        write=write,
        expectations=lambda written, previous: population_expectations(resolved, previous),
    )
