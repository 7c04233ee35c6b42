"""Health: one table that says of every table what is served, how old its data are, and what is held and why."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

import dagster as dg

from valtag_assets.engine.persons import PERSONS, STRANGERS, clean_name
from valtag_assets.engine.rfm import scores_name
from valtag_assets.engine.segments import segments_name
from valtag_assets.engine.tags import tags_name
from valtag_assets.graph.gates import why_held
from valtag_assets.graph.metadata import data_age_days
from valtag_assets.graph.setting import Setting
from valtag_assets.graph.stages import asset_key
from valtag_assets.graph.tags import refresh_of
from valtag_assets.warehouse.snapshot import Snapshot, TableRef

GROUP = "9_health"


@dataclass(frozen=True)
class Health:
    """One table's state. ``state``: ok, warned, tags held, refused, failed, stale, or never published."""

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
    yield PERSONS, "on_change"
    if any(source.spec.kind == "fact" for source in resolved.sources.values()):
        yield STRANGERS, "on_change"
    for code in resolved.categories:
        refresh = refresh_of(setting, code)
        yield tags_name(code), _policy(refresh.schedule, refresh.deadline, refresh.max_age)
    for code, score in resolved.scores.items():
        refresh = score.spec.refresh or default
        yield scores_name(code), _policy(refresh.schedule, refresh.deadline, refresh.max_age)
    for code in resolved.segments:
        yield segments_name(code), _policy(default.schedule, default.deadline, default.max_age)


def _policy(schedule: str, deadline: str, max_age: int | None) -> str:
    words = f"daily by {deadline}" if schedule == "daily" else schedule
    return f"{words}, data ≤ {max_age} d" if max_age is not None else words


def table_health(setting: Setting) -> list[Health]:
    """The health of every table."""
    rows = [_health(setting, name, policy) for name, policy in served_tables(setting)]
    return [row for row in rows if row is not None]


def _health(setting: Setting, name: str, policy: str) -> Health:
    table = TableRef.parse(name)
    warehouse = setting.warehouse
    good = warehouse.latest(table)
    tried = newest_attempt(setting, table)
    blocked = tried is not None and tried.blocks and (good is None or tried.at > good.known_at)
    reason = (tried.reason or "") if tried is not None and blocked else _held_reason(good)
    return Health(
        table=name,
        state=_state(good, tried.outcome if tried is not None and blocked else None),
        as_of=str(good.as_of) if good and good.as_of else "",
        rows=good.rows if good else None,
        data_until=good.data_until.isoformat(sep=" ", timespec="seconds") if good and good.data_until else "",
        data_age_days=data_age_days(good) if good else None,
        policy=policy,
        last_good=good.id if good else "",
        last_tried=f"{tried.at:%Y-%m-%d %H:%M:%S}Z {tried.outcome} {tried.as_of or ''}".strip()
        if tried
        else "",
        held=", ".join(sorted(good.held)) if good else "",
        reason=reason,
    )


def newest_attempt(setting: Setting, table: TableRef) -> Any:
    """The newest try of a table over all as-ofs."""
    return setting.warehouse.newest_attempt(table)


def _state(good: Snapshot | None, refused: str | None) -> str:
    if refused is not None:
        return refused if good is None else f"{refused}, last good served"
    if good is None:
        return "never published"
    if good.held:
        return "tags held"
    return "warned" if any(not verdict.passed for verdict in good.verdicts) else "ok"


def _held_reason(good: Snapshot | None) -> str:
    if good is None:
        return ""
    if good.held:
        return "; ".join(f"{code}: {why_held(good, code)}" for code in sorted(good.held))
    return "; ".join(f"{v.check} (warn)" for v in good.verdicts if not v.passed)


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
        sick = [row for row in rows if row.state not in ("ok", "warned")]
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
