"""Stage *segments*: one asset per audience."""

from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg

from valtag_assets.engine.persons import PERSON, PERSONS
from valtag_assets.engine.rfm import scores_name
from valtag_assets.engine.segments import (
    changes_expression,
    segment_expression,
    segment_inputs,
    segments_name,
)
from valtag_assets.engine.session import Engine
from valtag_assets.engine.tags import tags_name
from valtag_assets.expression.lineage import meaning
from valtag_assets.expression.resolved import ResolvedRule, ResolvedSegment
from valtag_assets.graph.checks import check_specs
from valtag_assets.graph.gates import Wanted, ask
from valtag_assets.graph.metadata import PERSON_COLUMN, describe
from valtag_assets.graph.plots import size_history
from valtag_assets.graph.publishing import Plan, Results, Written, build, meaning_of
from valtag_assets.graph.session import EngineSession
from valtag_assets.graph.setting import Setting
from valtag_assets.graph.stages import as_of_partitions, asset_key, automation, freshness, run_as_of
from valtag_assets.graph.tags import data_until, wanted_tags
from valtag_assets.quality.plan import segment_expectations
from valtag_assets.spec.types import TEXT
from valtag_assets.warehouse.snapshot import Snapshot, TableRef

GROUP = "6_segments"


def segment_assets(setting: Setting) -> list[dg.AssetsDefinition]:
    """One asset per audience of the catalog."""
    return [_segment_asset(setting, segment) for segment in setting.resolved.segments.values()]


def _segment_asset(setting: Setting, segment: ResolvedSegment) -> dg.AssetsDefinition:
    catalog = setting.resolved.catalog
    refresh = catalog.project.refresh
    categories, scores = segment_inputs(setting.resolved, segment)
    key = asset_key(segments_name(segment.code))
    upstream = [PERSONS, *map(tags_name, categories), *map(scores_name, scores)]

    @dg.asset(
        key=key,
        deps=[asset_key(table) for table in upstream],
        group_name=GROUP,
        description=describe(segment.spec.title, segment.spec.meaning, f"```\n{rule_text(segment.rule)}\n```"),
        owners=[catalog.owner_of(segment.spec)],
        kinds={setting.engines.of(segments_name(segment.code)), "parquet"},
        code_version=meaning_of(segment.meaning),
        partitions_def=as_of_partitions(setting),
        freshness_policy=freshness(setting, refresh),
        automation_condition=automation(refresh),
        metadata={
            "dagster/column_schema": dg.TableSchema([PERSON_COLUMN]),
            "reads 读取": ", ".join(sorted(segment.tags | segment.scores)),
        },
        check_specs=check_specs(key, lambda _: segment_expectations(setting.resolved, segment), {}),
        output_required=False,
    )
    def members(context: dg.AssetExecutionContext, engine: EngineSession) -> Results:
        as_of = run_as_of(context, setting)
        yield from build(context, setting, engine, lambda: segment_plan(setting, segment, as_of))

    return members


def rule_text(rule: ResolvedRule, depth: int = 0) -> str:
    """The rule as an indented text."""
    indent = "  " * depth
    if rule.branch == "condition":
        assert rule.node is not None
        return indent + meaning(rule.node)
    return "\n".join([f"{indent}{rule.branch}:", *[rule_text(item, depth + 1) for item in rule.rules]])


def segment_plan(setting: Setting, segment: ResolvedSegment, as_of: date) -> Plan:
    """How the members at ``as_of`` are found."""
    resolved = setting.resolved
    categories, scores = segment_inputs(resolved, segment)
    wanted = [Wanted(PERSONS)]
    for code in categories:
        read = frozenset(tag for tag in segment.tags if resolved.category_of(tag) == code)
        wanted.append(wanted_tags(setting, code, as_of, read))
    wanted += [Wanted(scores_name(code), as_of, segment.scores) for code in scores]
    gate = ask(setting.warehouse, wanted)

    def write(engine: Engine, into: Path) -> Written:
        inputs = {key: snapshot.files for key, snapshot in gate.snapshots.items()}
        target = into / "part-0.parquet"
        expression = segment_expression(resolved, segment, as_of)
        engine.write(expression, inputs, target)
        changes = _changes(setting, segment, as_of, engine, target)
        everybody = gate.snapshots[PERSONS].rows
        metrics = {**changes, "population": everybody, "sql": engine.sql(expression)}
        return Written(metrics, data_until(gate, as_of))

    def picture(snapshot: Snapshot) -> dict[str, Any]:
        metrics = snapshot.metrics
        share = snapshot.rows / metrics["population"] if metrics["population"] else 0.0
        found: dict[str, Any] = {"size 人数": snapshot.rows, "share 占比": f"{share:.1%}"}
        found |= {
            f"{name} {zh}": metrics[name] for name, zh in (("entries", "进入"), ("exits", "离开")) if name in metrics
        }
        found["size history 规模走势"] = size_history(setting.warehouse.snapshots(snapshot.table))
        found["SQL"] = dg.MetadataValue.md(f"```sql\n{metrics.get('sql', '')}\n```")
        return found

    return Plan(
        table=TableRef("segments", segment.code),
        as_of=as_of,
        meaning=meaning_of(segment.meaning),
        gate=gate,
        key=(PERSON,),
        columns={PERSON: TEXT},
        private=frozenset({PERSON}),
        write=write,
        expectations=lambda written, previous: segment_expectations(resolved, segment),
        joined={PERSONS: gate.snapshots[PERSONS].files} if gate.open else {},
        picture=picture,
    )


def _changes(
    setting: Setting, segment: ResolvedSegment, as_of: date, engine: Engine, members: Path
) -> dict[str, Any]:
    """Entries and exits since the newest earlier as-of; none when this is the first."""
    yesterday = date.fromordinal(as_of.toordinal() - 1)
    table = TableRef("segments", segment.code)
    before = setting.warehouse.latest(table, on_or_before=yesterday)
    if before is None:
        return {}
    inputs = {segments_name(segment.code): [members], "previous": before.files}
    counts = engine.fetch(changes_expression(segment.code), inputs).to_pylist()[0]
    return {**counts, "previous": str(before.as_of), "previous size": before.rows}
