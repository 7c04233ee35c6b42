"""Stage *clean*: whitelisted, cleaned rows of each source, and the quarantine of what was refused."""

import tempfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import dagster as dg

from valtag_assets.engine.cleaning.account import Cleaned, Restated
from valtag_assets.engine.cleaning.clean import clean_source
from valtag_assets.engine.cleaning.rows import LookupTable, RowRules
from valtag_assets.engine.duckdb import open_duckdb
from valtag_assets.engine.persons import clean_name
from valtag_assets.engine.reading.origin import SourceError
from valtag_assets.engine.reading.read import combined, fingerprints, read_source
from valtag_assets.engine.reading.tables import RawTable
from valtag_assets.engine.session import Engine
from valtag_assets.expression.resolve_source import ORIGIN_COLUMNS
from valtag_assets.expression.resolved import ResolvedSource
from valtag_assets.graph.checks import check_specs
from valtag_assets.graph.earlier import MERGED, QUARANTINE, Earlier, find_earlier, place, remember, rules_of
from valtag_assets.graph.gates import Wanted, ask
from valtag_assets.graph.metadata import describe, source_schema
from valtag_assets.graph.publishing import Plan, Results, Written, build, meaning_of
from valtag_assets.graph.session import EngineSession
from valtag_assets.graph.setting import Setting
from valtag_assets.graph.sources import origin_of, source_name
from valtag_assets.graph.stages import asset_key
from valtag_assets.quality.column import HIDDEN_LEVELS
from valtag_assets.quality.source import account_verdicts, sample_key, source_expectations
from valtag_assets.spec.types import INTEGER, TEXT
from valtag_assets.warehouse.snapshot import Snapshot, TableRef, Verdict

GROUP = "2_clean"


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
            _account(setting, source),
        ),
        output_required=False,
    )
    def clean(context: dg.AssetExecutionContext, engine: EngineSession) -> Results:
        yield from build(context, setting, engine, lambda: clean_plan(setting, source, context.run_id))

    return clean


def _meaning(setting: Setting, source: ResolvedSource) -> str:
    project = setting.resolved.catalog.project
    checks = source.spec.checks.model_dump()
    return meaning_of(source.meaning, checks, project.timezone, project.missing)


@dataclass(frozen=True)
class Content:
    """What the files of a source hold, by name, and which run found it."""

    files: Mapping[str, str]
    run_id: str

    @property
    def digest(self) -> str:
        return combined(self.files)


def clean_plan(setting: Setting, source: ResolvedSource, run_id: str) -> Plan:
    """How the clean table of ``source`` is made."""
    gate = ask(setting.warehouse, [Wanted(clean_name(lookup.source)) for lookup in source.spec.lookups])
    content = Content({}, run_id)
    try:
        content = Content(fingerprints(origin_of(setting, source), setting.fingerprints), run_id)
    except SourceError as error:
        gate = replace(gate, faults=(*gate.faults, str(error)))

    def write(engine: Engine, into: Path) -> Written:
        return _write(setting, source, gate.snapshots, content, engine, into)

    spec = source.spec
    return Plan(
        table=TableRef("clean", source.code),
        as_of=None,
        meaning=_meaning(setting, source),
        gate=gate,
        key=(sample_key(source),),
        columns={**source.columns, ORIGIN_COLUMNS[0]: TEXT, ORIGIN_COLUMNS[1]: INTEGER},
        private=frozenset(field.name for field in spec.fields if field.access in HIDDEN_LEVELS)
        | {sample_key(source), *spec.key},
        write=write,
        expectations=lambda written, previous: source_expectations(
            setting.resolved, source, previous, written.metrics["account"]["clean"]
        ),
        verdicts=lambda written, _: _account(setting, source, written.metrics["account"]),
        fingerprint=content.digest,
        in_parts=spec.kind == "fact",
        drifting={item.name: item.type for item in spec.fields if any(check.stability for check in item.checks)},
        picture=_quarantine_picture,
    )


def _write(
    setting: Setting,
    source: ResolvedSource,
    lookups: Mapping[str, Snapshot],
    content: Content,
    engine: Engine,
    into: Path,
) -> Written:
    """Read and clean what changed, keep the quarantine and the merged rows; clean parts go into ``into``."""
    by = rules_of(_meaning(setting, source), lookups)
    full = Earlier(why="a full run was asked for")
    earlier = full if setting.full else find_earlier(setting, source, by, content.files)
    with tempfile.TemporaryDirectory(dir=setting.spill) as folder:
        raw = _read(setting, source, earlier.arriving(content.files), Path(folder) / "raw")
        if otherwise := earlier.reads_otherwise(raw):
            earlier = Earlier(why=otherwise)
            raw = _read(setting, source, content.files.keys(), Path(folder) / "all")
        cleaned = clean_source(
            engine,
            source.spec,
            setting.resolved.catalog.project,
            raw,
            {look.source: _lookup_table(setting, look.source, lookups) for look in source.spec.lookups},
            RowRules(source.compute, source.refuse, source.drop),
            Path(folder),
            earlier.before,
            earlier.leaving(content.files),
        )
        beside = [
            _publish_beside(setting, source, QUARANTINE, cleaned.quarantine, earlier.quarantine, cleaned, content)
        ]
        if cleaned.merged is not None:
            beside.append(_publish_beside(setting, source, MERGED, cleaned.merged, earlier.merged, cleaned, content))
        cleaning = remember(earlier, cleaned, content.files, raw, by)
        shared = place(cleaned.clean, earlier.clean, into)
    metrics = {"account": cleaned.account.to_json(), "cleaning": cleaning}
    return Written(metrics, cleaned.data_until, shared, {item.table.key: item.id for item in beside})


def _read(setting: Setting, source: ResolvedSource, files: Collection[str], into: Path) -> RawTable | None:
    """The raw rows of ``files``, by name; None for none."""
    if not files:
        return None
    origin = origin_of(setting, source)
    chosen = replace(origin, paths=tuple(path for path in origin.paths if origin.label(path) in files))
    columns = [*dict.fromkeys(item.source_name for item in source.spec.fields)]
    with open_duckdb(setting.spill) as reader:
        return read_source(reader.connection, chosen, columns, into)


def _lookup_table(setting: Setting, code: str, lookups: Mapping[str, Snapshot]) -> LookupTable:
    source = setting.resolved.sources[code]
    return LookupTable(lookups[clean_name(code)].files, source.spec.key[0], source.columns)


def _account(setting: Setting, source: ResolvedSource, account: Mapping[str, Any] | None = None) -> list[Verdict]:
    """Whether every row read is accounted for; of no account, only what is going to be asked."""
    parts = ("rows_in", "clean", "quarantined", "merged", "filtered")
    numbers = {name: account[name] if account else 0 for name in parts}
    return account_verdicts(setting.resolved, source, **numbers, by_rule=account["by_rule"] if account else None)


def _publish_beside(
    setting: Setting,
    source: ResolvedSource,
    stage: str,
    rows: Restated,
    before: Snapshot | None,
    cleaned: Cleaned,
    content: Content,
) -> Snapshot:
    """Publish refused or merged rows, whether or not the clean table will pass: that is when they are looked at."""
    warehouse = setting.warehouse
    with warehouse.staging(TableRef(stage, source.code)) as staged:
        for name, snapshot in place(rows, before, staged.path).items():
            warehouse.share(staged, snapshot, name)
        return warehouse.publish(
            staged,
            as_of=None,
            known_at=setting.clock(),
            input_hash=meaning_of(_meaning(setting, source), content.digest),
            catalog_hash=setting.resolved.catalog.digest,
            run_id=content.run_id,
            data_until=None,
            inputs={},
            verdicts=(),
            metrics={"account": cleaned.account.to_json()},
            key=("file", "row") if stage == QUARANTINE else ORIGIN_COLUMNS,
        )


def _quarantine_picture(snapshot: Snapshot) -> Mapping[str, Any]:
    """Counts per rule as a table on the asset page."""
    rules = snapshot.metrics.get("account", {}).get("by_rule", {})
    if not rules:
        return {}
    rows = [dg.TableRecord({"rule": rule, "rows": int(count)}) for rule, count in sorted(rules.items())]
    return {"refused and dropped by rule 按规则": dg.MetadataValue.table(rows)}
