"""What starts the graph by itself: the daily schedule, the landing sensor, the sensor that reports trouble.

All are stopped by default; one click in the UI starts each.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from datetime import date, timedelta

import dagster as dg

from valtag_assets.engine.reading.origin import SourceError
from valtag_assets.engine.reading.read import fingerprint
from valtag_assets.graph.health import WELL, Health, table_health
from valtag_assets.graph.jobs import DAILY, HEALTH, RECHECK
from valtag_assets.graph.setting import Setting
from valtag_assets.graph.sources import file_state, origin_of, source_name
from valtag_assets.graph.stages import after_deadline, asset_key
from valtag_assets.graph.trigger_sensors import trigger_sensors
from valtag_assets.graph.upkeep import vacuum_schedule

LEAD = timedelta(hours=2)
DATA_VERSION_TAG = "dagster/data_version"


def schedules(setting: Setting) -> list[dg.ScheduleDefinition]:
    """The daily refresh, the vacuum after it, and the nightly recheck of what it made."""
    return [_daily(setting), vacuum_schedule(setting), _nightly(setting)]


def sensors(setting: Setting) -> list[dg.SensorDefinition]:
    """Landing files, health, Dagster's automation conditions; of a catalog with triggers, what starts these."""
    automation = dg.AutomationConditionSensorDefinition(
        "automation",
        target=dg.AssetSelection.all(),
        default_status=dg.DefaultSensorStatus.STOPPED,
        description="按自动化条件重算 · Recompute what its automation condition asks for",
    )
    found = [_landing(setting), _health(setting), automation]
    return [*found, *trigger_sensors(setting)] if setting.resolved.triggers else found


def _daily(setting: Setting) -> dg.ScheduleDefinition:
    """Refresh yesterday's as-of two hours before the project's deadline."""
    project = setting.resolved.catalog.project
    hour, minute = project.refresh.hour_minute

    @dg.schedule(
        name="daily_refresh",
        job_name=DAILY,
        cron_schedule=f"{minute} {(hour - LEAD.seconds // 3600) % 24} * * *",
        execution_timezone=project.timezone,
        default_status=dg.DefaultScheduleStatus.STOPPED,
        description=f"每日 {project.refresh.deadline} 前两小时刷新前一天 · Two hours before the deadline",
    )
    def daily_refresh(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        due = context.scheduled_execution_time.astimezone(project.zone)
        as_of = due.date() - timedelta(days=1)
        return dg.RunRequest(run_key=f"daily {as_of}", partition_key=as_of.isoformat())

    return daily_refresh


def _nightly(setting: Setting) -> dg.ScheduleDefinition:
    """When the machines are idle: what is served against the clean rows."""
    says = "抽样全量重算，与已发布的标签逐格比对 · A sample recomputed in full and compared"
    return after_deadline(setting, 2, "nightly_recheck", RECHECK, says)


def _landing(setting: Setting) -> dg.SensorDefinition:
    """New or changed source files: observe the source, refresh the newest as-of."""

    @dg.sensor(
        name="landing",
        job_name=DAILY,
        minimum_interval_seconds=30,
        default_status=dg.DefaultSensorStatus.STOPPED,
        description="源文件到达或变化时刷新 · Refresh when source files arrive or change",
    )
    def landing(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        before = json.loads(context.cursor) if context.cursor else None
        now = {code: file_state(setting, source) for code, source in setting.resolved.sources.items()}
        cursor = json.dumps(now, sort_keys=True)
        changed = sorted(code for code in now if before is None or now[code] != before.get(code))
        if not changed:
            return dg.SkipReason("no source file has changed")
        events = list(_observations(setting, changed))
        as_of = setting.last_as_of()
        runs = [dg.RunRequest(run_key=f"landing {cursor}", partition_key=as_of.isoformat())]
        return dg.SensorResult(asset_events=events, run_requests=runs, cursor=cursor)

    return landing


def _observations(setting: Setting, codes: Sequence[str]) -> Iterator[dg.AssetObservation]:
    for code in codes:
        try:
            digest = fingerprint(origin_of(setting, setting.resolved.sources[code]), setting.fingerprints)
        except SourceError:
            continue  # The run that follows fails on this source with the same message.
        yield dg.AssetObservation(asset_key(source_name(code)), tags={DATA_VERSION_TAG: digest})


def _health(setting: Setting) -> dg.SensorDefinition:
    """Keep the health page in step with the warehouse, and log what is refused, held or stale."""

    @dg.sensor(
        name="health_watch",
        job_name=HEALTH,
        minimum_interval_seconds=60,
        default_status=dg.DefaultSensorStatus.STOPPED,
        description="报告被拒绝、暂停或过期的表 · Reports refused, held and stale tables",
    )
    def health_watch(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        rows = table_health(setting)
        cursor = hashlib.sha256(repr(rows).encode()).hexdigest()
        if cursor == context.cursor:
            return dg.SkipReason("no table has changed")
        for table, why in troubles(rows, setting.last_as_of()).items():
            context.log.warning(f"{table}: {why}")
        return dg.SensorResult(run_requests=[dg.RunRequest(run_key=cursor)], cursor=cursor)

    return health_watch


def troubles(rows: Sequence[Health], newest: date) -> dict[str, str]:
    """Every table that is not well, with the reason in words. ``newest`` is the as-of that is due."""
    found = {}
    for row in rows:
        why = _why(row, newest)
        if why:
            found[row.table] = why
    return found


def _why(row: Health, newest: date) -> str | None:
    if row.state not in WELL:
        return f"{row.state}: {row.reason or 'no reason recorded'}"
    if row.policy.startswith("daily") and row.as_of and date.fromisoformat(row.as_of) < newest:
        return f"stale: as-of {row.as_of} is served, {newest} is due"
    return None
