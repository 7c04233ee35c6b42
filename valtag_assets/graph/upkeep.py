"""Upkeep: what the rules of retention don't keep leaves history, and so does what crashes left behind."""

from collections import Counter

import dagster as dg

from valtag_assets.graph.setting import Setting
from valtag_assets.warehouse.vacuum import Vacuumed, vacuum

VACUUM = "vacuum"


def run_vacuum(setting: Setting, *, dry_run: bool = False) -> Vacuumed:
    """Vacuum the catalog's warehouse by project.yaml: retention, at the present instant. Raises WarehouseError."""
    retention = setting.resolved.catalog.project.retention
    return vacuum(setting.warehouse, retention, setting.clock(), dry_run=dry_run)


def vacuum_job(setting: Setting) -> dg.JobDefinition:
    """The job that vacuums."""

    @dg.op(name="vacuum_warehouse", description="按保留规则移除过期快照 · Remove what retention does not keep")
    def vacuum_warehouse(context: dg.OpExecutionContext) -> None:
        done = run_vacuum(setting)
        tables = Counter(item.table.key for item in done.expired)
        context.add_output_metadata(
            {
                "snapshots out of history 移出历史": len(done.expired),
                "by table 按表": dg.MetadataValue.json(dict(sorted(tables.items()))),
                "bytes to be freed 将释放": done.expired_bytes,
                "folders removed 已删除目录": len(done.removed),
                "bytes freed 已释放": done.removed_bytes,
            }
        )

    @dg.job(
        name=VACUUM,
        description="清理过期快照与中断残留 · Old snapshots and what crashes left",
        executor_def=dg.in_process_executor,
    )
    def vacuum_warehouse_job() -> None:
        vacuum_warehouse()

    return vacuum_warehouse_job


def vacuum_schedule(setting: Setting) -> dg.ScheduleDefinition:
    """Every day an hour after the deadline, when the refresh is through."""
    project = setting.resolved.catalog.project
    hour, minute = project.refresh.hour_minute
    return dg.ScheduleDefinition(
        name="daily_vacuum",
        job_name=VACUUM,
        cron_schedule=f"{minute} {(hour + 1) % 24} * * *",
        execution_timezone=project.timezone,
        default_status=dg.DefaultScheduleStatus.STOPPED,
        description="每日截止时间后一小时清理 · An hour after the deadline",
    )
