"""Stage *deliveries*: one asset per audience at a destination. The table of each says what came of its messages."""

import os
from collections.abc import Collection, Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq

from valtag_assets.delivery.access import receiver
from valtag_assets.delivery.breaker import NOTHING, after_sending, before_sending
from valtag_assets.delivery.columns import field_tables
from valtag_assets.delivery.delivering import Delivered, Terms, deliver, forecast, ledger_file, ledger_salt
from valtag_assets.delivery.gateway import Gateway
from valtag_assets.delivery.outbox import Outbox
from valtag_assets.delivery.route import Place
from valtag_assets.delivery.standing import standing_tables
from valtag_assets.delivery.sync import Occasion, delivery_version
from valtag_assets.engine.brands import brand_inputs
from valtag_assets.engine.rules import segments_name
from valtag_assets.engine.session import Engine
from valtag_assets.expression.resolved_delivery import ResolvedDelivery, ResolvedDestination
from valtag_assets.graph.as_of import choose_as_of
from valtag_assets.graph.checks import check_specs
from valtag_assets.graph.comments import OUTCOMES
from valtag_assets.graph.gates import Gate, ask
from valtag_assets.graph.matches import wanted_by
from valtag_assets.graph.metadata import describe
from valtag_assets.graph.publishing import Plan, Results, Written, build, meaning_of
from valtag_assets.graph.receipts import take_in_receipts
from valtag_assets.graph.session import EngineSession
from valtag_assets.graph.setting import Setting
from valtag_assets.graph.stages import as_of_partitions, asset_key, automation, freshness, run_as_of
from valtag_assets.graph.tags import data_until
from valtag_assets.spec.types import INTEGER, TEXT
from valtag_assets.warehouse.snapshot import Snapshot, TableRef, Verdict

GROUP = "8_deliveries"
COLUMNS = {"operation": TEXT, "state": TEXT, "reason": TEXT, "messages": INTEGER}
_SCHEMA = pa.schema([(name, pa.int64() if kind == INTEGER else pa.string()) for name, kind in COLUMNS.items()])


def deliveries_name(delivery: str) -> str:
    """The table key of a delivery."""
    return f"deliveries/{delivery}"


def delivering(setting: Setting) -> Iterator[ResolvedDelivery]:
    """The deliveries that are enabled, as their destinations are."""
    for delivery in setting.resolved.deliveries.values():
        if delivery.spec.enabled and delivery.destination.spec.enabled:
            yield delivery


def delivery_assets(setting: Setting) -> list[dg.AssetsDefinition]:
    """One asset per enabled delivery."""
    return [_delivery_asset(setting, delivery) for delivery in delivering(setting)]


def _delivery_asset(setting: Setting, delivery: ResolvedDelivery) -> dg.AssetsDefinition:
    resolved, spec, to = setting.resolved, delivery.spec, delivery.destination
    refresh, key = resolved.catalog.project.refresh, asset_key(deliveries_name(delivery.code))
    schema = [dg.TableColumn(name, str(kind), description=OUTCOMES[name]) for name, kind in COLUMNS.items()]

    @dg.asset(
        key=key,
        deps=[asset_key(table) for table in _made_before(setting, delivery)],
        group_name=GROUP,
        description=describe(spec.title, spec.meaning, f"{spec.segment} → {to.spec.title}"),
        owners=[resolved.catalog.owner_of(spec)],
        kinds={to.spec.kind if to.spec.kind != "database" else "table"},
        code_version=_meaning(setting, delivery),
        partitions_def=as_of_partitions(setting),
        freshness_policy=freshness(setting, refresh),
        automation_condition=automation(refresh),
        metadata={
            "dagster/column_schema": dg.TableSchema(schema),
            "travels 随行字段": ", ".join(_travels(delivery)) or "person_id alone",
            "mode 方式": to.spec.mode,
        },
        check_specs=check_specs(key, lambda _: (), {}, _every_check(delivery)),
        output_required=False,
    )
    def outcomes(context: dg.AssetExecutionContext, engine: EngineSession) -> Results:
        as_of = run_as_of(context, setting)
        take_in_receipts(setting, sending_place(setting))
        yield from build(context, setting, engine, lambda: delivery_plan(setting, delivery, as_of, context.run_id))

    return outcomes


def delivery_tables(setting: Setting, delivery: ResolvedDelivery) -> dict[str, frozenset[str]]:
    """Every table the delivery reads, and which columns: the members, what travels, whom the project excludes."""
    segment = setting.resolved.segments[delivery.spec.segment]
    found: dict[str, frozenset[str]] = {segments_name(segment.code): frozenset()}
    found |= field_tables(setting.resolved, delivery.fields)
    found |= {f"{item.kind}s/{item.code}": frozenset[str]() for item in segment.excluded}
    if receiver(setting.resolved, delivery.destination).brands is not None:
        for table, columns in brand_inputs(setting.resolved).items():
            found[table] = found.get(table, frozenset()) | columns
    return dict(sorted(found.items()))


def _made_before(setting: Setting, delivery: ResolvedDelivery) -> list[str]:
    """What it reads; given a channel also what the gateway asks right before sending, so that it knows today's."""
    asked = [] if delivery.destination.spec.channel is None else standing_tables(setting.resolved)
    return sorted({*delivery_tables(setting, delivery), *asked})


def delivery_plan(setting: Setting, delivery: ResolvedDelivery, as_of: date, run_id: str = "") -> Plan:
    """How the delivery of ``as_of`` is made. An as-of that is past publishes that nothing was sent."""
    gate = ask(setting.warehouse, wanted_by(setting, delivery_tables(setting, delivery), as_of))
    judged: list[Verdict] = []
    sends = gate.open and not is_past(setting, as_of)

    def write(_: Engine, into: Path) -> Written:
        rows: list[Mapping[str, Any]] = []
        metrics: dict[str, Any] = {"past": is_past(setting, as_of)}
        if not metrics["past"]:
            members = gate.snapshots[segments_name(delivery.spec.segment)].rows
            fields = [field.source for field in delivery.fields if field.kind != "text"]
            record_sending(setting, run_id, deliveries_name(delivery.code), delivery.destination, fields, members)
            done = deliver(*_terms(setting, delivery, as_of, gate, run_id), setting.clock)
            judged.extend(done.verdicts)
            rows = list(done.rows)
            metrics |= {"difference": done.difference.to_json(), "cost": done.cost}
        pq.write_table(pa.Table.from_pylist(rows, _SCHEMA), into / "part-0.parquet")
        return Written({**metrics, "outcomes": rows}, data_until(gate, as_of))

    return Plan(
        table=TableRef("deliveries", delivery.code),
        as_of=as_of,
        meaning=_meaning(setting, delivery),
        gate=gate,
        key=("operation", "state", "reason"),
        columns=COLUMNS,
        private=frozenset(),
        write=write,
        expectations=lambda *_: (),
        verdicts=lambda *_: judged,
        fingerprint=_left_to_do(setting, delivery) if sends else "",
        picture=_picture,
    )


def record_sending(
    setting: Setting,
    run: str,
    what: str,
    to: ResolvedDestination,
    fields: Collection[str] = (),
    members: int | None = None,
) -> None:
    """Put on record, before anything is sent, what goes out by a run in the name of a destination's role: to at
    most ``members`` persons. AuditError where that can't be written: then nothing is sent."""
    reader, tags = receiver(setting.resolved, to), tuple(sorted(set(fields)))
    who: dict[str, Any] = {"actor": f"run {run}", "role": reader.role, "purpose": reader.purpose}
    setting.audit.record(reader.door, what=what, rows=members, tags=tags, details={"to": to.code}, **who)


def expected(setting: Setting, delivery: ResolvedDelivery, as_of: date) -> tuple[Gate, Delivered | None]:
    """What a delivery would do now, and the gate of its inputs; nothing is sent. None where the gate is closed."""
    gate = ask(setting.warehouse, wanted_by(setting, delivery_tables(setting, delivery), as_of))
    if not gate.open:
        return gate, None
    return gate, forecast(*_terms(setting, delivery, as_of, gate, ""))


def is_past(setting: Setting, as_of: date) -> bool:
    """Whether there are newer data: what was once true of somebody is not sent any more."""
    return as_of < choose_as_of(setting)


def sending_place(setting: Setting) -> Place:
    """Where senders of this setting work."""
    files = setting.data / "deliveries" / setting.name
    return Place(setting.resolved, setting.warehouse, setting.spill, files, os.environ)


def _terms(
    setting: Setting, delivery: ResolvedDelivery, as_of: date, gate: Gate, run_id: str
) -> tuple[Place, ResolvedDelivery, Occasion, Terms]:
    occasion = Occasion(
        as_of=as_of,
        run=run_id,
        now=setting.clock(),
        inputs={key: snapshot.files for key, snapshot in gate.snapshots.items()},
        ids={key: snapshot.id for key, snapshot in gate.snapshots.items()},
        salt=ledger_salt(setting.warehouse),
    )
    last = setting.warehouse.latest(TableRef("deliveries", delivery.code))
    coverage = last.metrics.get("difference", {}).get("coverage", {}) if last is not None else {}
    place = sending_place(setting)
    gateway = Gateway.of(place)
    terms = Terms(coverage, setting.confirmed, setting.afresh, gateway, gateway.closed)
    return place, delivery, occasion, terms


def _meaning(setting: Setting, delivery: ResolvedDelivery) -> str:
    brands = receiver(setting.resolved, delivery.destination).brands
    own = [] if brands is None else [sorted(brands)]
    return meaning_of("delivery", delivery_version(delivery), delivery.spec.segment, *own)


def _left_to_do(setting: Setting, delivery: ResolvedDelivery) -> str:
    """Stands for what the delivery's tables do not tell: messages that have come to no end, persons at the
    destination to whom its channel was closed since, and what was asked for."""
    if setting.afresh:
        return meaning_of("afresh", setting.clock())
    file, to = ledger_file(setting.warehouse), delivery.destination.spec
    if not file.exists():
        return ""
    with Outbox.open(file) as outbox:
        keys = outbox.under_way(to.destination, delivery.code)["key"].to_pylist()
        held = outbox.acknowledged(to.destination, delivery.code)["person_id"].to_pylist()
    closed = Gateway.of(sending_place(setting)).closed(to.channel, held) if to.channel is not None else ()
    return meaning_of(sorted(keys), sorted(closed)) if keys or closed else ""


def _travels(delivery: ResolvedDelivery) -> list[str]:
    return [
        field.name
        if field.mask is None
        else f"{field.name} ({field.mask if isinstance(field.mask, str) else 'hmac'})"
        for field in delivery.fields
    ]


def _every_check(delivery: ResolvedDelivery) -> list[Verdict]:
    return [*before_sending(delivery, NOTHING, {}), *after_sending(delivery, {}, "")]


def _picture(snapshot: Snapshot) -> dict[str, Any]:
    metrics = snapshot.metrics
    if metrics["past"]:
        return {"not sent 未发送": "there are newer data: a past as-of is never sent"}
    found = metrics["difference"]
    names = {
        "add": "新增",
        "change": "变更",
        "remove": "移出",
        "unchanged": "不变",
        "desired": "应有",
        "held": "原有",
    }
    shown: dict[str, Any] = {f"{name} {zh}": found[name] for name, zh in names.items()}
    shown["cost 费用"] = float(metrics["cost"])
    records = [dg.TableRecord(dict(row)) for row in metrics["outcomes"]]
    shown["outcomes 结果"] = dg.MetadataValue.table(records) if records else "nothing was to be said"
    return shown
