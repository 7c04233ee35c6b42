"""Stage *clean*: whitelisted, cleaned rows of each source, and the quarantine of what was refused."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import dagster as dg

from valtag_assets.engine.cleaning.account import account_of
from valtag_assets.engine.persons import clean_name
from valtag_assets.engine.reading.origin import SourceError
from valtag_assets.engine.reading.read import combined, fingerprints
from valtag_assets.expression.resolve_source import ORIGIN_COLUMNS
from valtag_assets.expression.resolved import ResolvedSource
from valtag_assets.graph.checks import check_specs
from valtag_assets.graph.cleaning import Cleaning, write_clean
from valtag_assets.graph.gates import Wanted, ask
from valtag_assets.graph.metadata import describe, source_schema
from valtag_assets.graph.publishing import Plan, Results, build, meaning_of
from valtag_assets.graph.session import EngineSession
from valtag_assets.graph.setting import Setting
from valtag_assets.graph.sources import origin_of, source_name
from valtag_assets.graph.stages import asset_key
from valtag_assets.quality.column import HIDDEN_LEVELS
from valtag_assets.quality.reexport import reexport_verdicts
from valtag_assets.quality.source import account_verdicts, sample_key, source_expectations
from valtag_assets.spec.types import INTEGER, TEXT
from valtag_assets.warehouse.snapshot import Snapshot, TableRef, Verdict
from valtag_assets.warehouse.tombstones import Tombstones

GROUP = "2_clean"
# What a source that was never read has to say of itself: for the list of its checks.
_NOTHING_YET: Mapping[str, Any] = {
    "account": account_of([], clean=0, merged=0).to_json(),
    "cleaning": {"files": {}, "shrunk": []},
}


def clean_assets(setting: Setting) -> list[dg.AssetsDefinition]:
    """One asset per source."""
    return [_clean_asset(setting, source) for source in setting.resolved.sources.values()]


def _clean_asset(setting: Setting, source: ResolvedSource) -> dg.AssetsDefinition:
    key = asset_key(clean_name(source.code))
    lookups = [asset_key(clean_name(lookup.source)) for lookup in source.spec.lookups]

    @dg.asset(
        key=key,
        deps=[asset_key(source_name(source.code)), *lookups],
        group_name=GROUP,
        description=describe(source.spec.title, source.spec.meaning),
        owners=[setting.resolved.catalog.owner_of(source.spec)],
        kinds={setting.engines.of(clean_name(source.code)), "parquet"},
        tags={"family": source.spec.family, "kind": source.spec.kind},
        code_version=_meaning(setting, source),
        metadata={"dagster/column_schema": source_schema(source)},
        automation_condition=dg.AutomationCondition.eager(),
        check_specs=check_specs(
            key,
            lambda previous: source_expectations(setting.resolved, source, previous, clean=0),
            source.columns,
            _verdicts(setting, source, _NOTHING_YET),
        ),
        output_required=False,
    )
    def clean(context: dg.AssetExecutionContext, engine: EngineSession) -> Results:
        yield from build(context, setting, engine, lambda: clean_plan(setting, source, context.run_id))

    return clean


def _meaning(setting: Setting, source: ResolvedSource) -> str:
    project = setting.resolved.catalog.project
    checks = source.spec.checks.model_dump()
    # What a field is checked for, and whether its values may be kept in profiles, decide what is recorded of it.
    judged = [(item.name, item.access, item.checks) for item in source.spec.fields]
    return meaning_of(source.meaning, checks, judged, project.timezone, project.missing)


def clean_plan(setting: Setting, source: ResolvedSource, run_id: str) -> Plan:
    """How the clean table of ``source`` is made."""
    gate = ask(setting.warehouse, [Wanted(clean_name(lookup.source)) for lookup in source.spec.lookups])
    contents: Mapping[str, str] = {}
    try:
        contents = fingerprints(origin_of(setting, source), setting.fingerprints)
    except SourceError as error:
        gate = replace(gate, faults=(*gate.faults, str(error)))
    meaning = _meaning(setting, source)
    tokens = setting.tokens if _has_tokens(setting, source) else None
    cleaning = Cleaning(meaning, contents, gate.snapshots, run_id, Tombstones(setting.warehouse.root), tokens)
    spec = source.spec
    return Plan(
        table=TableRef("clean", source.code),
        as_of=None,
        meaning=meaning,
        gate=gate,
        key=(sample_key(source),),
        columns={**source.columns, ORIGIN_COLUMNS[0]: TEXT, ORIGIN_COLUMNS[1]: INTEGER},
        private=frozenset(field.name for field in spec.fields if field.access in HIDDEN_LEVELS)
        | {sample_key(source), *spec.key},
        write=lambda engine, into: write_clean(setting, source, cleaning, engine, into),
        expectations=lambda written, previous: source_expectations(
            setting.resolved, source, previous, written.metrics["account"]["clean"]
        ),
        verdicts=lambda written, _: _verdicts(setting, source, written.metrics),
        fingerprint=combined(contents) + cleaning.state,
        in_parts=spec.kind == "fact",
        drifting={item.name: item.type for item in spec.fields if any(check.stability for check in item.checks)},
        tokens=source.vaulted,
        picture=_quarantine_picture,
    )


def _has_tokens(setting: Setting, source: ResolvedSource) -> bool:
    """Whether a column of the source is vaulted, or a key by which it looks something up."""
    others = [setting.resolved.sources[lookup.source].spec for lookup in source.spec.lookups]
    return bool(source.spec.vaulted) or any(other.key[0] in other.vaulted for other in others)


def _verdicts(setting: Setting, source: ResolvedSource, metrics: Mapping[str, Any]) -> list[Verdict]:
    """Whether every row read is accounted for, and whether a re-export lost rows or changed the person's key."""
    account, cleaning = metrics["account"], metrics["cleaning"]
    numbers = {name: account[name] for name in ("rows_in", "clean", "quarantined", "merged", "filtered", "erased")}
    types = {name: item["person"] for name, item in cleaning["files"].items() if "person" in item}
    return [
        *account_verdicts(setting.resolved, source, **numbers, by_rule=account["by_rule"]),
        *reexport_verdicts(setting.resolved, source, cleaning["shrunk"], types),
    ]


def _quarantine_picture(snapshot: Snapshot) -> Mapping[str, Any]:
    """Counts per rule as a table on the asset page."""
    rules = snapshot.metrics.get("account", {}).get("by_rule", {})
    if not rules:
        return {}
    rows = [dg.TableRecord({"rule": rule, "rows": int(count)}) for rule, count in sorted(rules.items())]
    return {"refused and dropped by rule 按规则": dg.MetadataValue.table(rows)}
