"""Upkeep: what the rules of retention don't keep leaves history, and so does what crashes left behind."""

import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import dagster as dg

from valtag_assets.engine.incremental import layers, unneeded
from valtag_assets.engine.persons import keyed_name
from valtag_assets.graph.matches import FOLDER as MATCHES
from valtag_assets.graph.merging import merged_groups
from valtag_assets.graph.setting import Setting
from valtag_assets.graph.stages import after_deadline
from valtag_assets.warehouse.snapshot import TableRef
from valtag_assets.warehouse.sweeping import touched
from valtag_assets.warehouse.vacuum import GRACE, Vacuumed, vacuum

VACUUM = "vacuum"


def run_vacuum(setting: Setting, *, dry_run: bool = False) -> Vacuumed:
    """Vacuum the catalog's warehouse by project.yaml: retention, at the present instant. Raises WarehouseError."""
    retention = setting.resolved.catalog.project.retention
    done = vacuum(setting.warehouse, retention, setting.clock(), dry_run=dry_run)
    with setting.warehouse.undisturbed():
        gone = _vacuum_merging(setting, dry_run=dry_run)
    freed = sum(gone.values())
    return replace(done, removed=(*done.removed, *gone), removed_bytes=done.removed_bytes + freed)


def _vacuum_merging(setting: Setting, *, dry_run: bool) -> dict[Path, int]:
    """Remove tiles and checkpoints of tags and rows that are no more, while nobody is at work; folders and bytes.

    What is kept by mistake only takes place, and what is removed by mistake is made again.
    """
    warehouse, files = setting.warehouse, setting.derived
    used = {layer.name for group in merged_groups(setting) for layer in layers(files, group)}
    facts = [TableRef.parse(keyed_name(source)) for source in setting.resolved.sources.values()]
    digests = {part.digest for fact in facts for snapshot in warehouse.snapshots(fact) for part in snapshot.parts}
    folders = [files.root.joinpath(*name) for name in unneeded(files, used, digests)]
    old = (setting.clock() - GRACE).timestamp()
    folders += [folder for name in files.names(MATCHES) if touched(folder := files.root / MATCHES / name) < old]
    sizes = {folder: sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) for folder in folders}
    for folder in () if dry_run else folders:
        shutil.rmtree(folder)
    return sizes


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
    says = "每日截止时间后一小时清理 · An hour after the deadline"
    return after_deadline(setting, 1, "daily_vacuum", VACUUM, says)
