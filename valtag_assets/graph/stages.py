"""What the stages of the graph share: keys, groups, partitions, freshness, automation."""

from datetime import date, timedelta

import dagster as dg

from valtag_assets.graph.setting import Setting
from valtag_assets.spec.block import Refresh

ON_DEMAND_MAX_AGE_DAYS = 90
PARTITION_TAG = "dagster/partition"


def asset_key(table: str) -> dg.AssetKey:
    """The asset key of a warehouse table: ``tags/transaction`` → ["tags", "transaction"]."""
    return dg.AssetKey(table.split("/"))


def as_of_partitions(setting: Setting) -> dg.DailyPartitionsDefinition:
    """One partition per as-of, from project.start to yesterday in the catalog's time zone."""
    project = setting.resolved.catalog.project
    return dg.DailyPartitionsDefinition(start_date=project.start.isoformat(), timezone=project.timezone)


# Tables of these stages hold for every as-of.
TIMELESS = ("clean", "keyed", "quarantine", "identity", "lists")


def is_partitioned(refresh: Refresh) -> bool:
    """Daily categories are partitioned by as-of; the others hold the newest as-of they were asked for."""
    return refresh.schedule == "daily"


def refresh_of(setting: Setting, category: str) -> Refresh:
    """The category's own refresh, or the project's."""
    catalog = setting.resolved.catalog
    return catalog.categories[category].spec.refresh or catalog.project.refresh


def after_deadline(setting: Setting, hours: int, name: str, job: str, says: str) -> dg.ScheduleDefinition:
    """A schedule for what follows the daily refresh: so many hours after its deadline; stopped until started."""
    project = setting.resolved.catalog.project
    hour, minute = project.refresh.hour_minute
    return dg.ScheduleDefinition(
        name=name,
        job_name=job,
        cron_schedule=f"{minute} {(hour + hours) % 24} * * *",
        execution_timezone=project.timezone,
        default_status=dg.DefaultScheduleStatus.STOPPED,
        description=says,
    )


def run_as_of(context: dg.AssetExecutionContext, setting: Setting) -> date:
    """The as-of of this run: its partition, or the last date that is over."""
    partition = context.run.tags.get(PARTITION_TAG)
    return date.fromisoformat(partition) if partition else setting.last_as_of()


def freshness(setting: Setting, refresh: Refresh) -> dg.FreshnessPolicy:
    """The freshness policy a refresh stands for."""
    hour, minute = refresh.hour_minute
    if refresh.schedule == "daily":
        return dg.FreshnessPolicy.cron(
            deadline_cron=f"{minute} {hour} * * *",
            lower_bound_delta=timedelta(hours=20),
            timezone=setting.resolved.catalog.project.timezone,
        )
    days = refresh.max_age or ON_DEMAND_MAX_AGE_DAYS
    return dg.FreshnessPolicy.time_window(fail_window=timedelta(days=days), warn_window=timedelta(days=days) / 2)


def automation(refresh: Refresh) -> dg.AutomationCondition | None:
    """Recompute when inputs changed and passed their checks; on-demand tables only show as stale."""
    if refresh.schedule == "on_demand":
        return None
    ready = dg.AutomationCondition.eager().without(~dg.AutomationCondition.any_deps_missing())
    return ready & dg.AutomationCondition.all_deps_blocking_checks_passed()


def refuse_as_of(setting: Setting, as_of: date) -> str | None:
    """Why ``as_of`` can't be computed, or None."""
    project = setting.resolved.catalog.project
    if as_of > setting.last_as_of():
        return f"as-of {as_of} is not over yet: the newest is {setting.last_as_of()} ({project.timezone})"
    if as_of < project.start:
        return f"as-of {as_of} lies before the catalog's start {project.start} (project.yaml: start)"
    return None
