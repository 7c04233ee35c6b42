"""Stage *scores*: allocations, one asset for each: what every tier is given."""

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg

from valtag_assets.engine.access import allocation_needs
from valtag_assets.engine.allocation import (
    TIER,
    allocation_columns,
    allocation_inputs,
    allocation_rows,
    allocations_name,
    read_sizes,
    sizes_expression,
    summed_up,
    write_allocation,
)
from valtag_assets.engine.persons import PERSONS
from valtag_assets.engine.session import Engine
from valtag_assets.expression.resolved import ResolvedAllocation
from valtag_assets.expression.value_titles import value_titles
from valtag_assets.graph.checks import check_specs
from valtag_assets.graph.comments import allocation_comments
from valtag_assets.graph.gates import Wanted, ask
from valtag_assets.graph.matches import wanted_by
from valtag_assets.graph.metadata import describe
from valtag_assets.graph.plots import as_image
from valtag_assets.graph.publishing import Plan, Results, Written, build, meaning_of
from valtag_assets.graph.score_figures import allocation_figure
from valtag_assets.graph.scores import GROUP
from valtag_assets.graph.session import EngineSession
from valtag_assets.graph.setting import Setting
from valtag_assets.graph.stages import as_of_partitions, asset_key, automation, freshness, run_as_of
from valtag_assets.graph.tags import data_until
from valtag_assets.quality.allocation import allocation_expectations, allocation_verdicts
from valtag_assets.quality.column import HIDDEN_LEVELS
from valtag_assets.quality.outcome import plain
from valtag_assets.warehouse.snapshot import Snapshot, TableRef


def allocation_assets(setting: Setting) -> list[dg.AssetsDefinition]:
    """One asset per allocation of the catalog."""
    return [_allocation_asset(setting, allocation) for allocation in setting.resolved.allocations.values()]


def _allocation_asset(setting: Setting, allocation: ResolvedAllocation) -> dg.AssetsDefinition:
    resolved, catalog = setting.resolved, setting.resolved.catalog
    refresh = catalog.project.refresh
    key, columns = asset_key(allocations_name(allocation.code)), allocation_columns(allocation)
    said = allocation_comments(resolved, allocation)

    @dg.asset(
        key=key,
        deps=[asset_key(want.table) for want in _wanted(setting, allocation, setting.last_as_of())],
        group_name=GROUP,
        description=describe(allocation.spec.title, allocation.spec.meaning, f"`{allocation.spec.of}`"),
        owners=[catalog.owner_of(allocation.spec)],
        kinds={setting.engines.of(allocations_name(allocation.code)), "parquet"},
        code_version=_meaning(setting, allocation),
        partitions_def=as_of_partitions(setting),
        freshness_policy=freshness(setting, refresh),
        automation_condition=automation(refresh),
        metadata={
            "dagster/column_schema": dg.TableSchema(
                [dg.TableColumn(name, str(kind), description=said[name]) for name, kind in columns.items()]
            )
        },
        check_specs=check_specs(
            key,
            lambda _: allocation_expectations(resolved, allocation, columns),
            {},
            allocation_verdicts(resolved, allocation, None),
        ),
        output_required=False,
    )
    def shares(context: dg.AssetExecutionContext, engine: EngineSession) -> Results:
        as_of = run_as_of(context, setting)
        yield from build(context, setting, engine, lambda: allocation_plan(setting, allocation, as_of))

    return shares


def _wanted(setting: Setting, allocation: ResolvedAllocation, as_of: date) -> list[Wanted]:
    wanted = wanted_by(setting, allocation_inputs(setting.resolved, allocation), as_of)
    return [want for want in wanted if want.table != PERSONS]


def _meaning(setting: Setting, allocation: ResolvedAllocation) -> str:
    """The titles of the tiers stand in the table, too."""
    titles = value_titles(setting.resolved, allocation.spec.of)
    return meaning_of(allocation.meaning, sorted((code, str(title)) for code, title in titles.items()))


def allocation_plan(setting: Setting, allocation: ResolvedAllocation, as_of: date) -> Plan:
    """How the allocation's table of ``as_of`` is made."""
    resolved = setting.resolved
    gate = ask(setting.warehouse, _wanted(setting, allocation, as_of))
    columns = allocation_columns(allocation)
    needs = allocation_needs(resolved, allocation)
    private = frozenset(name for name in columns if needs[name].level in HIDDEN_LEVELS)

    def write(engine: Engine, into: Path) -> Written:
        expression = sizes_expression(resolved, allocation)
        inputs = {key: snapshot.files for key, snapshot in gate.snapshots.items()}
        sizes = read_sizes(engine.fetch(expression, inputs).to_pylist(), allocation.spec.tiers)
        rows = allocation_rows(resolved, allocation, sizes)
        write_allocation(allocation, rows, into / "part-0.parquet")
        metrics: dict[str, Any] = {**summed_up(rows), "untiered": sizes.untiered, "sql": engine.sql(expression)}
        if not private:
            metrics["lines"] = [{name: plain(value) for name, value in row.items()} for row in rows]
        return Written(metrics, data_until(gate, as_of))

    return Plan(
        table=TableRef("allocations", allocation.code),
        as_of=as_of,
        meaning=_meaning(setting, allocation),
        gate=gate,
        key=(TIER,),
        columns=columns,
        private=private,
        write=write,
        expectations=lambda written, previous: allocation_expectations(resolved, allocation, columns),
        verdicts=lambda written, _: allocation_verdicts(resolved, allocation, written.metrics),
        picture=_picture,
    )


def _picture(snapshot: Snapshot) -> dict[str, Any]:
    lines: Sequence[Mapping[str, Any]] | None = snapshot.metrics.get("lines")
    if lines is None:
        return {"tiers 分层": "the tier is not for everybody: valtag show with a role that may see it"}
    return {
        "allocation 资源倾斜": as_image(f"{snapshot.table} {snapshot.as_of}", allocation_figure, lines),
        "tiers 分层": dg.MetadataValue.table([dg.TableRecord(dict(line)) for line in lines]),
        "persons without a tier 未分层人数": snapshot.metrics["untiered"],
        "SQL": dg.MetadataValue.md(f"```sql\n{snapshot.metrics['sql']}\n```"),
    }
