"""Stage *reports*: one asset per report, reconciled with the tables it stands beside before it is published."""

from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg

from valtag_assets.engine.access import report_needs
from valtag_assets.engine.reports import (
    report_columns,
    report_expression,
    report_inputs,
    report_table,
    reports_name,
)
from valtag_assets.engine.session import Engine
from valtag_assets.engine.tags import tags_name
from valtag_assets.expression.resolved import ResolvedReport
from valtag_assets.expression.rule import rule_meaning
from valtag_assets.graph.agreement import Reconciling
from valtag_assets.graph.checks import check_specs
from valtag_assets.graph.comments import report_comments
from valtag_assets.graph.gates import Wanted, ask
from valtag_assets.graph.matches import wanted_by
from valtag_assets.graph.metadata import describe
from valtag_assets.graph.publishing import Plan, Results, Written, build, meaning_of
from valtag_assets.graph.session import EngineSession
from valtag_assets.graph.setting import Setting
from valtag_assets.graph.stages import as_of_partitions, asset_key, automation, freshness, run_as_of
from valtag_assets.graph.tags import data_until, wanted_tags
from valtag_assets.quality.column import HIDDEN_LEVELS
from valtag_assets.quality.outcome import plain
from valtag_assets.quality.report import agreement_verdicts, report_expectations
from valtag_assets.spec.report import ROW
from valtag_assets.warehouse.snapshot import Snapshot, TableRef

GROUP = "7_reports"
# An asset's page shows so many lines; the table itself has them all.
SHOWN = 20


def report_assets(setting: Setting) -> list[dg.AssetsDefinition]:
    """One asset per report of the catalog."""
    return [_report_asset(setting, report) for report in setting.resolved.reports.values()]


def _report_asset(setting: Setting, report: ResolvedReport) -> dg.AssetsDefinition:
    resolved, catalog = setting.resolved, setting.resolved.catalog
    refresh = catalog.project.refresh
    key = asset_key(reports_name(report.code))
    columns = report_columns(report)

    @dg.asset(
        key=key,
        deps=[asset_key(want.table) for want in wanted_inputs(setting, report, setting.last_as_of())],
        group_name=GROUP,
        description=describe(report.spec.title, report.spec.meaning, _chosen(report)),
        owners=[catalog.owner_of(report.spec)],
        kinds={setting.engines.of(reports_name(report.code)), "parquet"},
        code_version=_meaning(setting, report),
        partitions_def=as_of_partitions(setting),
        freshness_policy=freshness(setting, refresh),
        automation_condition=automation(refresh),
        metadata={"dagster/column_schema": _schema(report)},
        check_specs=check_specs(
            key,
            lambda _: report_expectations(resolved, report, columns),
            {},
            agreement_verdicts(resolved, report.entry, Reconciling.of(setting, report).agreements(), None),
        ),
        output_required=False,
    )
    def lines(context: dg.AssetExecutionContext, engine: EngineSession) -> Results:
        as_of = run_as_of(context, setting)
        yield from build(context, setting, engine, lambda: report_plan(setting, report, as_of))

    return lines


def wanted_inputs(setting: Setting, report: ResolvedReport, as_of: date) -> list[Wanted]:
    """Every table the report reads, and those it is compared with: where such a one is refused, the report can't be
    reconciled, and its last good snapshot stays."""
    wants = wanted_by(setting, report_inputs(setting.resolved, report), as_of)
    wanted = {want.table: want for want in wants}
    # A held tag that is only compared with holds nothing: there is no comparison then.
    for code in Reconciling.of(setting, report).categories:
        wanted.setdefault(tags_name(code), wanted_tags(setting, code, as_of, frozenset()))
    return list(wanted.values())


def report_plan(setting: Setting, report: ResolvedReport, as_of: date) -> Plan:
    """How the report's table of ``as_of`` is made."""
    resolved = setting.resolved
    reconciling = Reconciling.of(setting, report)
    gate = ask(setting.warehouse, wanted_inputs(setting, report, as_of))

    def write(engine: Engine, into: Path) -> Written:
        inputs = {key: snapshot.files for key, snapshot in gate.snapshots.items()}
        target = into / "part-0.parquet"
        expression = report_expression(resolved, report, as_of)
        engine.write(expression, inputs, target)
        compared = reconciling.compare(engine, gate, target, as_of)
        metrics: dict[str, Any] = {"agreements": compared, "sql": engine.sql(expression)}
        if not private:
            metrics["lines"] = _first_lines(engine, report, target)
        return Written(metrics, data_until(gate, as_of))

    needs = report_needs(resolved, report)
    private = frozenset(name for name, need in needs.items() if need.level in HIDDEN_LEVELS)
    return Plan(
        table=TableRef("reports", report.code),
        as_of=as_of,
        meaning=_meaning(setting, report),
        gate=gate,
        key=(ROW,),
        columns=report_columns(report),
        private=private,
        write=write,
        expectations=lambda written, previous: report_expectations(resolved, report, report_columns(report)),
        verdicts=lambda written, _: agreement_verdicts(
            resolved, report.entry, reconciling.agreements(), written.metrics["agreements"]
        ),
        picture=_picture,
    )


def _meaning(setting: Setting, report: ResolvedReport) -> str:
    return meaning_of(report.meaning, sorted(Reconciling.of(setting, report).tags.items()))


def _chosen(report: ResolvedReport) -> str | None:
    """Who is counted, as text; None: everybody."""
    parts = [] if report.where is None else [rule_meaning(report.where)]
    parts += [f"segment {code}" for code in report.spec.segments]
    return f"```\n{' and '.join(parts)}\n```" if parts else None


def _schema(report: ResolvedReport) -> dg.TableSchema:
    said = report_comments(report)
    return dg.TableSchema(
        [dg.TableColumn(name, str(kind), description=said[name]) for name, kind in report_columns(report).items()]
    )


def _first_lines(engine: Engine, report: ResolvedReport, file: Path) -> list[dict[str, Any]]:
    """The first lines of the written report, as JSON."""
    name = reports_name(report.code)
    lines = engine.fetch(report_table(report, name).order_by(ROW).limit(SHOWN), {name: [file]})
    return [{column: plain(value) for column, value in line.items()} for line in lines.to_pylist()]


def _picture(snapshot: Snapshot) -> dict[str, Any]:
    metrics = snapshot.metrics
    agreed = [
        dg.TableRecord({"what": what, "report": str(said), "other": str(other)})
        for what, (said, other) in metrics["agreements"].items()
    ]
    found: dict[str, Any] = {"reconciled 对账": dg.MetadataValue.table(agreed)} if agreed else {}
    if "lines" in metrics:
        found["lines 各行"] = dg.MetadataValue.table([dg.TableRecord(line) for line in metrics["lines"]])
    else:
        found["lines 各行"] = "a dimension is not for everybody: valtag show with a role that may see it"
    found["SQL"] = dg.MetadataValue.md(f"```sql\n{metrics.get('sql', '')}\n```")
    return found
