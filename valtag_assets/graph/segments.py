"""Stage *segments*: one asset per audience."""

from collections.abc import Collection, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg

from valtag_assets.engine.persons import PERSON, PERSONS
from valtag_assets.engine.rules import HOLDOUT, segments_name
from valtag_assets.engine.segments import MATCHES, changes_expression, matches_table, segment_expression
from valtag_assets.engine.session import Engine, Inputs
from valtag_assets.engine.successors import linked
from valtag_assets.expression.resolved import ResolvedSegment
from valtag_assets.expression.rule import Joined, ResolvedRule, rule_meaning
from valtag_assets.graph.checks import check_specs
from valtag_assets.graph.gates import ask
from valtag_assets.graph.matches import find_matches, segment_tables, wanted_by
from valtag_assets.graph.metadata import PERSON_COLUMN, describe
from valtag_assets.graph.publishing import Plan, Results, Written, build, meaning_of
from valtag_assets.graph.session import EngineSession
from valtag_assets.graph.setting import Setting
from valtag_assets.graph.stages import as_of_partitions, asset_key, automation, freshness, run_as_of
from valtag_assets.graph.successors import successor_deps, successor_inputs, wanted_successors
from valtag_assets.graph.tags import data_until
from valtag_assets.quality.plan import segment_expectations
from valtag_assets.spec.types import BOOLEAN, TEXT
from valtag_assets.warehouse.snapshot import Snapshot, TableRef

GROUP = "6_segments"
DAYS_SHOWN = 30
_HOLDOUT_COLUMN = dg.TableColumn(
    HOLDOUT,
    "boolean",
    description="留白对照组：不触达 · Held out: not to be contacted, so that an effect can be measured",
)


def segment_assets(setting: Setting) -> list[dg.AssetsDefinition]:
    """One asset per audience of the catalog."""
    return [_segment_asset(setting, segment) for segment in setting.resolved.segments.values()]


def _segment_asset(setting: Setting, segment: ResolvedSegment) -> dg.AssetsDefinition:
    catalog = setting.resolved.catalog
    refresh = catalog.project.refresh
    meaning = meaning_of(segment.meaning)
    key = asset_key(segments_name(segment.code))
    upstream = [PERSONS, *segment_tables(setting, segment)]

    @dg.asset(
        key=key,
        deps=[*map(asset_key, upstream), *successor_deps(setting)],
        group_name=GROUP,
        description=describe(segment.spec.title, segment.spec.meaning, f"```\n{segment_lines(segment)}\n```"),
        owners=[catalog.owner_of(segment.spec)],
        kinds={setting.engines.of(segments_name(segment.code)), "parquet"},
        code_version=meaning,
        partitions_def=as_of_partitions(setting),
        freshness_policy=freshness(setting, refresh),
        automation_condition=automation(refresh),
        metadata={
            "dagster/column_schema": dg.TableSchema([PERSON_COLUMN, _HOLDOUT_COLUMN]),
            "reads 读取": ", ".join(sorted(segment.tags | segment.scores | segment.facts)),
        },
        check_specs=check_specs(
            key, lambda previous: segment_expectations(setting.resolved, segment, previous, meaning), {}
        ),
        output_required=False,
    )
    def members(context: dg.AssetExecutionContext, engine: EngineSession) -> Results:
        as_of = run_as_of(context, setting)
        among = _segments_of(context)
        yield from build(context, setting, engine, lambda: segment_plan(setting, segment, as_of, among))

    return members


def _segments_of(context: dg.AssetExecutionContext) -> Collection[str]:
    """The audiences of this run."""
    return [key.path[1] for key in context.job_def.asset_layer.selected_asset_keys if key.path[0] == "segments"]


def rule_lines(rule: ResolvedRule, depth: int = 0) -> str:
    """The rule as an indented text."""
    indent = "  " * depth
    if not isinstance(rule, Joined):
        return indent + rule_meaning(rule)
    head = f"at least {rule.least} of" if rule.how == "at_least" else rule.how
    return "\n".join([f"{indent}{head}:", *[rule_lines(item, depth + 1) for item in rule.rules]])


def segment_lines(segment: ResolvedSegment) -> str:
    """The rule, and who of those it finds are taken, in the order in which that is decided."""
    spec, lines = segment.spec, [rule_lines(segment.rule)]
    lines += [f"without {member.kind} {member.code}" for member in segment.excluded]
    if spec.waterfall is not None:
        above = f"without {', '.join(segment.above)}" if segment.above else "first"
        lines.append(f"{above} (waterfall {spec.waterfall.set})")
    if spec.sample is not None:
        part = f"{spec.sample.share:.0%}" if spec.sample.share is not None else f"{spec.sample.count} persons"
        lines.append(f"sample: {part}, seed {spec.sample.seed}")
    lines += [f"at most {cap.at_most} per {cap.per}" for cap in spec.caps]
    if spec.limit is not None:
        lines.append(f"at most {spec.limit}")
    if spec.order:
        lines.append(f"first by {', '.join(spec.order)}")
    if spec.holdout is not None:
        lines.append(f"held out: {spec.holdout.share:.0%}, seed {spec.holdout.seed}")
    return "\n".join(lines)


def segment_plan(
    setting: Setting, segment: ResolvedSegment, as_of: date, among: Collection[str] | None = None
) -> Plan:
    """How the members at ``as_of`` are found; ``among``: the audiences of the same run (None: all)."""
    resolved, meaning = setting.resolved, meaning_of(segment.meaning)
    wanted = [*wanted_by(setting, segment_tables(setting, segment), as_of), *wanted_successors(setting)]
    gate = ask(setting.warehouse, wanted)

    def write(engine: Engine, into: Path) -> Written:
        inputs = {key: snapshot.files for key, snapshot in gate.snapshots.items()}
        target = into / "part-0.parquet"
        alone = segment_expression(resolved, segment, as_of)
        matches = find_matches(setting, engine, segment, as_of, among, gate.snapshots)
        if matches is None:
            engine.write(alone, inputs, target)
        else:
            found = segment_expression(resolved, segment, as_of, matches_table([segment.code]))
            engine.write(found, {**inputs, MATCHES: [matches]}, target)
        now = {segments_name(segment.code): [target], **successor_inputs(gate)}
        changes = _changes(setting, segment, as_of, engine, now)
        metrics = {**changes, "population": gate.snapshots[PERSONS].rows, "sql": engine.sql(alone)}
        return Written(metrics, data_until(gate, as_of))

    def picture(snapshot: Snapshot) -> dict[str, Any]:
        metrics = snapshot.metrics
        share = snapshot.rows / metrics["population"] if metrics["population"] else 0.0
        found: dict[str, Any] = {"size 人数": snapshot.rows, "share 占比": f"{share:.1%}"}
        found |= {
            f"{name} {zh}": metrics[name] for name, zh in (("entries", "进入"), ("exits", "离开")) if name in metrics
        }
        found["size history 规模走势"] = _history(setting.warehouse.snapshots(snapshot.table))
        found["SQL"] = dg.MetadataValue.md(f"```sql\n{metrics.get('sql', '')}\n```")
        return found

    return Plan(
        table=TableRef("segments", segment.code),
        as_of=as_of,
        meaning=meaning,
        gate=gate,
        key=(PERSON,),
        columns={PERSON: TEXT, HOLDOUT: BOOLEAN},
        private=frozenset({PERSON}),
        write=write,
        expectations=lambda written, previous: segment_expectations(resolved, segment, previous, meaning),
        joined={PERSONS: gate.snapshots[PERSONS].files} if gate.open else {},
        counted=True,
        picture=picture,
    )


def _history(snapshots: Sequence[Snapshot]) -> dg.MetadataValue:
    """The newest sizes, one line per as-of; Dagster plots ``size`` itself."""
    served = {snapshot.as_of: snapshot for snapshot in sorted(snapshots, key=lambda item: item.known_at)}
    days = sorted((day for day in served if day is not None), reverse=True)[:DAYS_SHOWN]
    records = [
        dg.TableRecord(
            {
                "as-of": str(day),
                "size 人数": served[day].rows,
                "entries 进入": served[day].metrics.get("entries"),
                "exits 离开": served[day].metrics.get("exits"),
            }
        )
        for day in days
    ]
    kinds = {"as-of": "string", "size 人数": "int", "entries 进入": "int", "exits 离开": "int"}
    columns = [dg.TableColumn(name, kind) for name, kind in kinds.items()]
    return dg.MetadataValue.table(records, dg.TableSchema(columns))


def _changes(setting: Setting, segment: ResolvedSegment, as_of: date, engine: Engine, now: Inputs) -> dict[str, Any]:
    """Entries and exits since the newest earlier as-of; none when this is the first. ``now``: the members' files, and
    whose ids are no more."""
    yesterday = date.fromordinal(as_of.toordinal() - 1)
    table = TableRef("segments", segment.code)
    before = setting.warehouse.latest(table, on_or_before=yesterday)
    if before is None:
        return {}
    changes = changes_expression(segment.code, linked=linked(setting.resolved))
    counts = engine.fetch(changes, {**now, "previous": before.files}).to_pylist()[0]
    return {**counts, "previous": str(before.as_of), "previous size": before.rows}
