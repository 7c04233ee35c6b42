"""Stage *identity*, where identity.yaml asks for it: who may be one person, for people to look at."""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import dagster as dg

from valtag_assets.engine.identity.suggesting import require_splink, write_suggestions
from valtag_assets.engine.identity.tables import SUGGESTIONS, TITLES, identity_columns
from valtag_assets.engine.identity.work import Work
from valtag_assets.engine.persons import PERSON, keyed_name
from valtag_assets.engine.session import Engine
from valtag_assets.engine.vault import VAULT
from valtag_assets.graph.checks import check_specs
from valtag_assets.graph.gates import Wanted, ask
from valtag_assets.graph.identity_tables import GROUP
from valtag_assets.graph.metadata import describe, identity_schema
from valtag_assets.graph.publishing import Plan, Results, Written, build, meaning_of
from valtag_assets.graph.session import EngineSession
from valtag_assets.graph.setting import Setting
from valtag_assets.graph.stages import asset_key
from valtag_assets.graph.vaults import every_vault
from valtag_assets.quality.identity import table_expectations
from valtag_assets.spec.identity import Suggest
from valtag_assets.spec.mistake import Mistake
from valtag_assets.warehouse.snapshot import TableRef

# Raised when pairs are judged otherwise, so that they are found anew.
FORM = 1


def suggestion_assets(setting: Setting) -> list[dg.AssetsDefinition]:
    """The table of pairs; none unless identity.yaml asks for suggestions."""
    suggest = _suggest(setting)
    return [] if suggest is None else [_asset(setting, suggest)]


def suggestion_plans(setting: Setting) -> Iterator[Plan]:
    """How it is made."""
    suggest = _suggest(setting)
    if suggest is not None:
        yield _plan(setting, suggest)


def _suggest(setting: Setting) -> Suggest | None:
    identity = setting.resolved.identity
    return None if identity is None else identity.entry.spec.suggest


def _asset(setting: Setting, suggest: Suggest) -> dg.AssetsDefinition:
    resolved, key, columns = setting.resolved, asset_key(SUGGESTIONS), identity_columns(SUGGESTIONS)

    @dg.asset(
        key=key,
        deps=[asset_key(keyed_name(resolved.sources[suggest.source]))],
        group_name=GROUP,
        description=describe(
            TITLES[SUGGESTIONS], "供人复核，从不自动合并 · For people to look at; nothing is merged by it"
        ),
        owners=[resolved.catalog.project.owner],
        kinds={setting.engines.of(SUGGESTIONS), "parquet"},
        code_version=_meaning(suggest),
        metadata={"dagster/column_schema": identity_schema(SUGGESTIONS)},
        automation_condition=dg.AutomationCondition.eager(),
        check_specs=check_specs(key, lambda _: table_expectations(resolved, columns), columns),
        output_required=False,
    )
    def suggestions(context: dg.AssetExecutionContext, engine: EngineSession) -> Results:
        yield from build(context, setting, engine, lambda: _plan(setting, suggest))

    return suggestions


def _meaning(suggest: Suggest) -> str:
    return meaning_of(SUGGESTIONS, FORM, repr(suggest))


def _plan(setting: Setting, suggest: Suggest) -> Plan:
    source = setting.resolved.sources[suggest.source]
    gate = ask(setting.warehouse, [Wanted(keyed_name(source))])
    try:
        require_splink()
    except Mistake as mistake:
        gate = replace(gate, faults=(*gate.faults, str(mistake)))

    def write(engine: Engine, into: Path) -> Written:
        with tempfile.TemporaryDirectory(dir=setting.spill) as folder:
            files: dict[str, Sequence[Path]] = {name: snapshot.files for name, snapshot in gate.snapshots.items()}
            work = Work(engine, Path(folder), files | {VAULT: every_vault(setting)})
            return Written({"pairs": write_suggestions(work, source, suggest, into / "part-0.parquet")})

    columns = identity_columns(SUGGESTIONS)
    return Plan(
        table=TableRef.parse(SUGGESTIONS),
        as_of=None,
        meaning=_meaning(suggest),
        gate=gate,
        key=(PERSON,),
        columns=columns,
        private=frozenset({PERSON, "other_id"}),
        write=write,
        expectations=lambda _, __: table_expectations(setting.resolved, columns),
    )
