"""Stage *identity*: uploaded lists, and which of their ids are persons."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg

from valtag_assets.engine.identity.tables import HISTORY, SUCCESSORS
from valtag_assets.engine.lists import lists_name, matched, unmatched
from valtag_assets.engine.persons import PERSON, PERSONS, keyed_name
from valtag_assets.engine.session import Engine
from valtag_assets.expression.resolved import ResolvedSource
from valtag_assets.graph.checks import check_specs
from valtag_assets.graph.gates import Wanted, ask
from valtag_assets.graph.identity import GROUP
from valtag_assets.graph.metadata import PERSON_COLUMN, describe
from valtag_assets.graph.publishing import Plan, Results, Written, build, meaning_of
from valtag_assets.graph.session import EngineSession
from valtag_assets.graph.setting import Setting
from valtag_assets.graph.stages import asset_key
from valtag_assets.quality.plan import list_expectations, unmatched_verdict
from valtag_assets.spec.types import TEXT
from valtag_assets.warehouse.snapshot import Snapshot, TableRef


def list_sources(setting: Setting) -> list[ResolvedSource]:
    """The catalog's uploaded lists."""
    return [source for source in setting.resolved.sources.values() if source.spec.kind == "list"]


def list_assets(setting: Setting) -> list[dg.AssetsDefinition]:
    """One asset per uploaded list."""
    return [_list_asset(setting, source) for source in list_sources(setting)]


def _list_asset(setting: Setting, source: ResolvedSource) -> dg.AssetsDefinition:
    resolved, key = setting.resolved, asset_key(lists_name(source.code))
    about = source.spec.meaning or "名单与人群总体匹配 · The ids of the list that are persons"

    @dg.asset(
        key=key,
        deps=[asset_key(want.table) for want in _wanted(setting, source)],
        group_name=GROUP,
        description=describe(source.spec.title, about),
        owners=[resolved.catalog.owner_of(source.spec)],
        kinds={setting.engines.of(lists_name(source.code)), "parquet"},
        code_version=meaning_of("list", source.code),
        automation_condition=dg.AutomationCondition.eager(),
        metadata={"dagster/column_schema": dg.TableSchema([PERSON_COLUMN])},
        check_specs=check_specs(
            key,
            lambda _: list_expectations(resolved, source),
            {PERSON: TEXT},
            [unmatched_verdict(resolved, source, 0, 0)],
        ),
        output_required=False,
    )
    def persons_of_list(context: dg.AssetExecutionContext, engine: EngineSession) -> Results:
        yield from build(context, setting, engine, lambda: list_plan(setting, source))

    return persons_of_list


def _is_given(setting: Setting, source: ResolvedSource) -> bool:
    """Whether the list holds ids that valtag gave."""
    identity = setting.resolved.identity
    return identity is not None and source.code in identity.given


def _wanted(setting: Setting, source: ResolvedSource) -> list[Wanted]:
    found = [Wanted(PERSONS), Wanted(keyed_name(source))]
    return [*found, Wanted(SUCCESSORS), Wanted(HISTORY)] if _is_given(setting, source) else found


def list_plan(setting: Setting, source: ResolvedSource) -> Plan:
    """How the persons of a list are found."""
    gate = ask(setting.warehouse, _wanted(setting, source))

    def write(engine: Engine, into: Path) -> Written:
        inputs = {key: snapshot.files for key, snapshot in gate.snapshots.items()}
        engine.write(matched(source, given=_is_given(setting, source)), inputs, into / "part-0.parquet")
        return Written(engine.fetch(unmatched(source), inputs).to_pylist()[0])

    def picture(snapshot: Snapshot) -> Mapping[str, Any]:
        metrics = snapshot.metrics
        return {
            "ids 名单人数": metrics["ids"],
            "matched 匹配": snapshot.rows,
            "unmatched 未匹配": metrics["unmatched"],
        }

    return Plan(
        table=TableRef("lists", source.code),
        as_of=None,
        meaning=meaning_of("list", source.code),
        gate=gate,
        key=(PERSON,),
        columns={PERSON: TEXT},
        private=frozenset({PERSON}),
        write=write,
        expectations=lambda written, _: list_expectations(setting.resolved, source),
        verdicts=lambda written, _: [unmatched_verdict(setting.resolved, source, **written.metrics)],
        joined={PERSONS: gate.snapshots[PERSONS].files} if gate.open else {},
        picture=picture,
    )
