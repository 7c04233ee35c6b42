"""Health: one table that says of every table what is served, how old its data are, and what is held and why."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

import dagster as dg

from valtag_assets.engine.allocation import allocations_name
from valtag_assets.engine.identity.tables import identity_names
from valtag_assets.engine.lists import lists_name
from valtag_assets.engine.persons import PERSONS, STRANGERS, clean_name, keyed_names
from valtag_assets.engine.reports import reports_name
from valtag_assets.engine.rules import segments_name
from valtag_assets.engine.scores import scores_name
from valtag_assets.engine.tags import tags_name
from valtag_assets.engine.trigger_effect import effects_name
from valtag_assets.engine.triggers import triggers_name
from valtag_assets.graph.deliveries import deliveries_name, delivering
from valtag_assets.graph.effects import judged_triggers
from valtag_assets.graph.gates import why_held
from valtag_assets.graph.insight import INSIGHT
from valtag_assets.graph.metadata import data_age_days
from valtag_assets.graph.setting import Setting
from valtag_assets.graph.stages import asset_key, refresh_of
from valtag_assets.warehouse.repair import fault
from valtag_assets.warehouse.snapshot import Attempt, Snapshot, TableRef

GROUP = "9_health"
WELL = ("ok", "warned")
HELD, STALE, DAMAGED = "tags held", "stale", "damaged"


@dataclass(frozen=True)
class Health:
    """One table's state. ``state``: ok, warned, tags held, refused, failed, stale, damaged, or never published."""

    table: str
    state: str
    held: str
    reason: str
    as_of: str
    data_age_days: int | None
    policy: str
    rows: int | None
    data_until: str
    last_good: str
    last_tried: str


def served_tables(setting: Setting) -> Iterator[tuple[str, str]]:
    """Every table of the catalog with its refresh policy, in the order of the flow."""
    resolved = setting.resolved
    default = resolved.catalog.project.refresh
    for code in resolved.sources:
        yield clean_name(code), "on_change"
    if resolved.identity is not None:
        yield from (
            (name, "on_change")
            for name in (*identity_names(resolved.identity), *keyed_names(resolved, resolved.identity.fields))
        )
    yield PERSONS, "on_change"
    if any(source.spec.kind == "fact" for source in resolved.sources.values()):
        yield STRANGERS, "on_change"
    for code, source in resolved.sources.items():
        if source.spec.kind == "list":
            yield lists_name(code), "on_change"
    for code in resolved.categories:
        refresh = refresh_of(setting, code)
        yield tags_name(code), _policy(refresh.schedule, refresh.deadline, refresh.max_age)
    for code, score in resolved.scores.items():
        refresh = score.spec.refresh or default
        yield scores_name(code), _policy(refresh.schedule, refresh.deadline, refresh.max_age)
    for code in resolved.allocations:
        yield allocations_name(code), _policy(default.schedule, default.deadline, default.max_age)
    for code in resolved.segments:
        yield segments_name(code), _policy(default.schedule, default.deadline, default.max_age)
    for code in resolved.reports:
        yield reports_name(code), _policy(default.schedule, default.deadline, default.max_age)
    for code in resolved.triggers:
        yield triggers_name(code), _policy(default.schedule, default.deadline, default.max_age)
    for delivery in delivering(setting):
        yield deliveries_name(delivery.code), _policy(default.schedule, default.deadline, default.max_age)
    for trigger in judged_triggers(setting):
        yield effects_name(trigger.code), _policy(default.schedule, default.deadline, default.max_age)
    if resolved.tags:
        yield INSIGHT.key, _policy(default.schedule, default.deadline, default.max_age)


def _policy(schedule: str, deadline: str, max_age: int | None) -> str:
    words = f"daily by {deadline}" if schedule == "daily" else schedule
    return f"{words}, data ≤ {max_age} d" if max_age is not None else words


def table_health(setting: Setting) -> list[Health]:
    """The health of every table. What rests on a table that was refused since is stale, however well it was made."""
    rows: list[Health] = []
    sick: dict[str, str] = {}
    for name, policy in served_tables(setting):
        wrong = fault(setting.warehouse, TableRef.parse(name))
        row = _health(setting, name, policy, sick) if wrong is None else _damaged(name, policy, wrong)
        if row.state not in WELL:
            sick[name] = row.state
        rows.append(row)
    return [*rows, *_damaged_others(setting, {row.table for row in rows})]


def _damaged_others(setting: Setting, shown: Collection[str]) -> Iterator[Health]:
    """Tables that stand for nothing in the catalog (quarantines, and those of a former one), if they are damaged."""
    for table in setting.warehouse.tables():
        wrong = fault(setting.warehouse, table) if table.key not in shown else None
        if wrong is not None:
            yield _damaged(table.key, "", wrong)


def _damaged(name: str, policy: str, wrong: str) -> Health:
    """A table of which nothing can be told but what is wrong with it."""
    return Health(name, DAMAGED, "", wrong, "", None, policy, None, "", "", "")


def _health(setting: Setting, name: str, policy: str, sick: Mapping[str, str]) -> Health:
    table = TableRef.parse(name)
    good = setting.warehouse.latest(table)
    tried = setting.warehouse.newest_attempt(table)
    blocked = tried is not None and tried.blocks and (good is None or tried.at >= good.known_at)
    state, reason = _state(good, tried if blocked else None)
    if state in WELL and tried is not None and tried.reason:
        state, reason = "warned", tried.reason
    upstream = [key for key in (good.inputs if good else ()) if sick.get(key, HELD) != HELD]
    if state in WELL and upstream:
        state, reason = STALE, f"rests on {', '.join(sorted(upstream))}"
    return Health(
        table=name,
        state=state,
        as_of=str(good.as_of) if good and good.as_of else "",
        rows=good.rows if good else None,
        data_until=good.data_until.isoformat(sep=" ", timespec="seconds") if good and good.data_until else "",
        data_age_days=data_age_days(good) if good else None,
        policy=policy,
        last_good=good.id if good else "",
        last_tried=f"{tried.at:%Y-%m-%d %H:%M:%S}Z {tried.outcome} {tried.as_of or ''}".strip() if tried else "",
        held=", ".join(sorted(good.held)) if good else "",
        reason=reason,
    )


def _state(good: Snapshot | None, blocked: Attempt | None) -> tuple[str, str]:
    """The state of a table by itself, and the reason for it."""
    if blocked is not None:
        served = "" if good is None else ", last good served"
        return f"{blocked.outcome}{served}", blocked.reason or ""
    if good is None:
        return "never published", ""
    if good.held:
        return HELD, "; ".join(f"{code}: {why_held(good, code)}" for code in sorted(good.held))
    failed = [verdict.check for verdict in good.verdicts if not verdict.passed]
    return ("warned", "; ".join(f"{check} (warn)" for check in failed)) if failed else ("ok", "")


def health_assets(setting: Setting) -> list[dg.AssetsDefinition]:
    """The health page: recomputed whenever somebody asks, and after every refresh."""

    @dg.asset(
        key=asset_key("health/status"),
        group_name=GROUP,
        description="**健康状况 · Health**\n\n每张表：已发布的快照、数据年龄、暂停原因 · "
        "Every table: what is served, how old its data are, what is held and why",
        owners=[setting.resolved.catalog.project.owner],
        kinds={"table"},
    )
    def status(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        rows = table_health(setting)
        sick = [row for row in rows if row.state not in WELL]
        records = [dg.TableRecord(_printable(asdict(row))) for row in rows]
        return dg.MaterializeResult(
            metadata={
                "health 健康": dg.MetadataValue.table(records) if records else "no table yet",
                "tables 表": len(rows),
                "not well 异常": len(sick),
                "as of": str(max((row.as_of for row in rows), default="") or date.min),
            }
        )

    return [status]


def _printable(row: dict[str, Any]) -> dict[str, Any]:
    return {name: "" if value is None else value for name, value in row.items()}
