"""Messages of triggers: what the state of a trigger says is to be sent, as rows for the outbox.

Also those that are not to be sent, held back with the reason: of the control arm, of a test. So the outbox alone
tells who was treated with what, and who was not.
"""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import ibis
import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.compute as pc

from valtag_assets.delivery.keys import key_column
from valtag_assets.engine.lookup import json_text
from valtag_assets.engine.trigger_state import COUNTED, ENTERED_AS, SEEN, entry_key
from valtag_assets.engine.triggers import state_table, triggers_name
from valtag_assets.expression.resolve_trigger import TriggerResolver
from valtag_assets.expression.resolved import Resolved
from valtag_assets.expression.resolved_delivery import ResolvedTrigger, TravellingField
from valtag_assets.spec.trigger import Action
from valtag_assets.spec.types import INTEGER, TEXT, DataType

TOO_LATE = "its time was over before it was planned"


def trigger_fields(resolved: Resolved, trigger: ResolvedTrigger, destination: str) -> list[TravellingField]:
    """Everything that travels to a destination from a trigger: the destination's own fields, then those of the steps
    that go there; a name that two steps give to different things is text."""
    types = {symbol.code: symbol.type for symbol in resolved.rules.columns}
    found = {field.name: field for field in resolved.destinations[destination].fields}
    for action in trigger.spec.actions:
        if action.to == destination:
            for name, code in action.fields.items():
                found[name] = TravellingField(
                    name, code, "tag" if code in resolved.tags else "score", types[code], None
                )
            for name, value in action.texts.items():
                found[name] = TravellingField(name, "", "text", INTEGER if isinstance(value, int) else TEXT, None)
    return list(found.values())


def messages_expression(
    resolved: Resolved,
    trigger: ResolvedTrigger,
    flying: Mapping[str, ResolvedTrigger],
    columns: Mapping[str, DataType],
    as_of: date,
    *,
    linked: bool = False,
) -> ibis.Table | None:
    """What the state of ``as_of`` decided lately, one row per message: those whose ttl may not be over, and all of
    the as-of itself. The outbox' columns that do not depend on the instant, ``hours`` (the ttl) and ``event_at``.

    ``flying``: the definitions in use, by version; ``columns``: the tags the state holds; ``linked``: it says under
    which id a person entered, by which a message is known for ever. None where nothing is done.
    """
    table = state_table(triggers_name(trigger.code), columns, linked=linked)
    parts = [
        _messages(resolved, item, version, action, table, columns, as_of)
        for version, item in flying.items()
        for action in item.spec.actions
    ]
    return ibis.union(*parts).order_by("key") if len(parts) > 1 else parts[0] if parts else None


def _messages(
    resolved: Resolved,
    trigger: ResolvedTrigger,
    version: str,
    action: Action,
    table: ibis.Table,
    columns: Mapping[str, DataType],
    as_of: date,
) -> ibis.Table:
    """The messages of one step of one version."""
    decided = table.entered if action.wait is None else table.stepped
    planned = ("," + table.steps + ",").contains(f",{action.step},")
    first = as_of - timedelta(days=-(-trigger.spec.ttl // 24))
    table = table.mutate(as_of=decided)
    rows = table.filter(table.version == version, table.decision.isin(COUNTED), planned, table.as_of >= first)
    who, _ = entry_key(linked=ENTERED_AS in rows.columns)
    entry = rows.entry.cast("string")
    parts = [action.to, trigger.code, version, action.step, rows[who], entry, "message"]
    sent = rows.decision == "planned"
    return rows.select(
        key=key_column(parts),
        kind=ibis.literal("message"),
        origin=ibis.literal(trigger.code),
        version=ibis.literal(version),
        step=ibis.literal(action.step),
        destination=ibis.literal(action.to),
        person_id=rows[who],
        entry=entry,
        arm=ibis.ifelse(rows.arm == "treated", "treated", "control"),
        operation=ibis.literal("message"),
        values=_values(resolved, action, rows, columns),
        priority=ibis.literal(trigger.spec.priority, "int64"),
        state=ibis.ifelse(sent, "pending", "held_back"),
        reason=ibis.ifelse(sent, "", ibis.ifelse(rows.decision == "control", rows.arm, rows.decision)),
        as_of=rows.as_of,
        event_at=rows.event_at,
        hours=ibis.literal(trigger.spec.ttl, "int64"),
    )


def _values(resolved: Resolved, action: Action, rows: ibis.Table, columns: Mapping[str, DataType]) -> ir.StringValue:
    """The fields that travel, as a JSON object: as they were when the person entered."""
    kept = TriggerResolver.of(resolved).kept_fields(action.to)
    sources = {field.name: field.source for field in kept} | dict(action.fields)
    found = {
        name: json_text(rows[f"{SEEN}{code}"], columns[code]) for name, code in sources.items() if code in columns
    }
    found |= {name: json_text(ibis.literal(value), _kind(value)) for name, value in action.texts.items()}
    text: ir.StringValue = ibis.literal("{")
    for number, (name, value) in enumerate(sorted(found.items())):
        text = text.concat(f'{", " if number else ""}"{name}": ', value)
    return text.concat("}")


def _kind(value: str | int) -> DataType:
    return INTEGER if isinstance(value, int) else TEXT


def as_plan(rows: pa.Table, *, snapshot: str, run: str, now: datetime, zone: ZoneInfo) -> pa.Table:
    """``rows`` of ``messages_expression`` as the outbox takes them, planned at the instant ``now``.

    A message is worth sending for the trigger's ttl, from the end of its as-of on, or from its event on. One whose
    time is over is held back: what was once true of somebody is not sent any more.
    """
    zoned = pa.timestamp("us", "UTC")
    ends = pc.add(rows["as_of"].cast(pa.timestamp("us")), pa.scalar(timedelta(days=1)))
    since = pc.assume_timezone(
        pc.coalesce(rows["event_at"].cast(pa.timestamp("us")), ends),
        str(zone),
        ambiguous="earliest",
        nonexistent="earliest",
    ).cast(zoned)
    hours = pc.multiply(rows["hours"], 3_600_000_000).cast(pa.duration("us"))
    expires = pc.add(since, hours)
    late = pc.and_(pc.equal(rows["state"], "pending"), pc.less_equal(expires, pa.scalar(now, zoned)))
    count = rows.num_rows
    columns = {name: rows[name] for name in rows.column_names if name not in ("event_at", "hours", "state", "reason")}
    return pa.table(
        columns
        | {
            "state": pc.if_else(late, "held_back", rows["state"]),
            "reason": pc.if_else(late, TOO_LATE, rows["reason"]),
            "snapshot": pa.array([snapshot] * count, pa.string()),
            "run": pa.array([run] * count, pa.string()),
            "created_at": pa.array([now] * count, zoned),
            "expires_at": expires,
        }
    )
