"""Stage *triggers*: one asset per trigger: who entered, who waits, what was decided about each and why."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import dagster as dg

from valtag_assets.delivery.outbox import Outbox, ledger_file
from valtag_assets.delivery.triggered import as_plan, messages_expression
from valtag_assets.engine.duckdb import data_type, open_duckdb
from valtag_assets.engine.persons import PERSON, PERSONS, keyed_name
from valtag_assets.engine.rules import column_inputs, rule_inputs
from valtag_assets.engine.session import Engine
from valtag_assets.engine.successors import linked
from valtag_assets.engine.trigger_state import ENTERED_AS, SEEN, Planning, entry_key, state_columns
from valtag_assets.engine.triggers import (
    KEPT,
    PRIOR,
    decisions_expression,
    trigger_expression,
    triggers_name,
    versions_expression,
)
from valtag_assets.expression.resolve_trigger import TriggerResolver, with_spec
from valtag_assets.expression.resolved import code_version
from valtag_assets.expression.resolved_delivery import ResolvedTrigger
from valtag_assets.expression.rule import rule_meaning
from valtag_assets.graph.checks import check_specs
from valtag_assets.graph.comments import trigger_comments
from valtag_assets.graph.gates import Gate, Wanted, ask
from valtag_assets.graph.matches import wanted_by
from valtag_assets.graph.metadata import describe
from valtag_assets.graph.publishing import Plan, Results, Written, build, meaning_of
from valtag_assets.graph.segments import rule_lines
from valtag_assets.graph.session import EngineSession
from valtag_assets.graph.setting import Setting
from valtag_assets.graph.stages import as_of_partitions, asset_key, automation, freshness, run_as_of
from valtag_assets.graph.successors import successor_deps, successor_inputs, wanted_successors
from valtag_assets.graph.tags import data_until
from valtag_assets.quality.plan import trigger_expectations
from valtag_assets.spec.problem import Problem
from valtag_assets.spec.trigger import Trigger
from valtag_assets.spec.types import DataType
from valtag_assets.warehouse.damage import damage
from valtag_assets.warehouse.snapshot import Snapshot, TableRef

GROUP = "7_triggers"
VERSIONS = "versions"


def trigger_assets(setting: Setting) -> list[dg.AssetsDefinition]:
    """One asset per trigger of the catalog."""
    return [_trigger_asset(setting, trigger) for trigger in setting.resolved.triggers.values()]


def _trigger_asset(setting: Setting, trigger: ResolvedTrigger) -> dg.AssetsDefinition:
    catalog = setting.resolved.catalog
    refresh, key = catalog.project.refresh, asset_key(triggers_name(trigger.code))
    said = trigger_comments(setting.resolved, trigger)
    columns = [
        dg.TableColumn(name, str(kind), description=said[name])
        for name, kind in state_columns(trigger.columns, linked=linked(setting.resolved)).items()
    ]
    upstream = [asset_key(table) for table in dict.fromkeys([PERSONS, *trigger_inputs(setting, trigger)])]

    @dg.asset(
        key=key,
        deps=[*upstream, *successor_deps(setting)],
        group_name=GROUP,
        description=describe(trigger.spec.title, trigger.spec.meaning, f"```\n{trigger_lines(trigger)}\n```"),
        owners=[catalog.owner_of(trigger.spec)],
        kinds={setting.engines.of(triggers_name(trigger.code)), "parquet"},
        code_version=trigger_meaning(setting, trigger),
        partitions_def=as_of_partitions(setting),
        freshness_policy=freshness(setting, refresh),
        automation_condition=automation(refresh),
        metadata={
            "dagster/column_schema": dg.TableSchema(columns),
            "reads 读取": ", ".join(sorted(trigger.columns)),
            "version 版本": version_of(trigger),
        },
        check_specs=check_specs(key, lambda _: trigger_expectations(setting.resolved, trigger), {}),
        output_required=False,
    )
    def entries(context: dg.AssetExecutionContext, engine: EngineSession) -> Results:
        as_of = run_as_of(context, setting)
        yield from build(context, setting, engine, lambda: trigger_plan(setting, trigger, as_of))
        # Here, too: whatever happens to other triggers, what this one decided is in the outbox and will be noticed.
        with Outbox.open(ledger_file(setting.warehouse)) as outbox:
            plan_messages(setting, trigger, outbox, context.run_id)

    return entries


def version_of(trigger: ResolvedTrigger) -> str:
    """The version of a definition: equal for definitions that mean the same."""
    return code_version(trigger.meaning)


def trigger_meaning(setting: Setting, trigger: ResolvedTrigger) -> str:
    """Everything in the catalog that decides: the trigger, the channels, who is excluded, the global holdout."""
    rules = sorted((name, rule_meaning(rule)) for name, rule in trigger.rules.items())
    kept = sorted(trigger.columns) if trigger.effect is not None else []
    return meaning_of(
        trigger.meaning, rules, setting.resolved.catalog.project.contact.holdout, _costs(setting, trigger), kept
    )


def trigger_lines(trigger: ResolvedTrigger) -> str:
    """The trigger as an indented text: when, for whom not, what is done."""
    spec, lines = trigger.spec, list[str]()
    if trigger.event is not None:
        lines.append(f"on a row of {trigger.event}")
    elif spec.on.each is not None:
        lines.append(f"on becoming true, and each {spec.on.each} days while it is")
    else:
        lines.append("on becoming true")
    for name in ("when", "exclude", "unless"):
        if name in trigger.rules:
            lines += [f"{name}:", rule_lines(trigger.rules[name], 1)]
    for action in spec.actions:
        after = f"after {action.wait} days, " if action.wait else ""
        lines.append(f"{after}{action.step} → {action.to} ({trigger.channels[action.step]})")
    return "\n".join(lines)


def trigger_inputs(setting: Setting, trigger: ResolvedTrigger) -> dict[str, frozenset[str]]:
    """Every table the trigger reads beside the population, and which columns of tags and scores."""
    found = rule_inputs(setting.resolved, trigger.rules.values())
    for name, columns in column_inputs(setting.resolved, trigger.columns).items():
        found[name] = found.get(name, frozenset()) | columns
    if trigger.event is not None:
        found.setdefault(keyed_name(setting.resolved.sources[trigger.event]), frozenset())
    return dict(sorted(found.items()))


@dataclass(frozen=True)
class _Past:
    """What an evaluation rests on: the state of the as-of before, what this as-of decided already, why it can't be
    read; the definitions persons are under way on, by version, and what became unreadable of them."""

    prior: Snapshot | None
    kept: Snapshot | None
    faults: tuple[str, ...]
    flying: Mapping[str, ResolvedTrigger]
    raw: Mapping[str, Any]
    lost: tuple[str, ...]

    @classmethod
    def of(cls, setting: Setting, trigger: ResolvedTrigger, as_of: date) -> "_Past":
        table = TableRef("triggers", trigger.code)
        prior = setting.warehouse.latest(table, on_or_before=date.fromordinal(as_of.toordinal() - 1))
        kept = setting.warehouse.current(table, as_of)
        known = [snapshot for snapshot in (prior, kept) if snapshot is not None]
        faults = tuple(f"{table} is damaged: {why}" for snapshot in known if (why := damage(snapshot)) is not None)
        raw: dict[str, Any] = {}
        for snapshot in known:
            raw |= snapshot.metrics[VERSIONS]
        flying, lost = readable_versions(setting, trigger, raw)
        version = version_of(trigger)
        raw = {name: raw[name] for name in flying} | {version: json.loads(json.dumps(trigger.entry.raw, default=str))}
        return cls(prior, kept, faults, {**flying, version: trigger}, raw, lost)

    def carried(self, setting: Setting, name: str) -> dict[str, DataType] | None:
        """The tags whose values that snapshot holds; None where there is none."""
        snapshot = self.prior if name == PRIOR else self.kept
        if snapshot is None:
            return None
        return {n.removeprefix(SEEN): data_type(text) for n, text in snapshot.columns if n.startswith(SEEN)}

    def said(self) -> frozenset[str]:
        """Which of the two say under which id a person entered."""
        known = {PRIOR: self.prior, KEPT: self.kept}
        return frozenset(n for n, snapshot in known.items() if snapshot and ENTERED_AS in dict(snapshot.columns))


def readable_versions(
    setting: Setting, trigger: ResolvedTrigger, raw: Mapping[str, Any]
) -> tuple[dict[str, ResolvedTrigger], tuple[str, ...]]:
    """Earlier definitions as the present catalog reads them; the versions it can't read any more."""
    resolver = TriggerResolver.of(setting.resolved)
    found, lost = {}, []
    for version, written in raw.items():
        problems: list[Problem] = []
        try:
            earlier = resolver.resolve(with_spec(trigger, Trigger.model_validate(written)), problems)
        except ValueError:
            problems = [Problem(setting.resolved.catalog.root, 1, "", "is no trigger any more")]
        if problems:
            lost.append(version)
        else:
            found[version] = earlier
    return found, tuple(lost)


def _costs(setting: Setting, trigger: ResolvedTrigger) -> dict[str, Decimal]:
    """What one message of each step costs."""
    to = setting.resolved.destinations
    return {action.step: Decimal(str(to[action.to].spec.cost)) for action in trigger.spec.actions}


def planning_of(setting: Setting, trigger: ResolvedTrigger, as_of: date) -> tuple[Planning, _Past]:
    """One evaluation of the trigger, and what it rests on."""
    past = _Past.of(setting, trigger, as_of)
    stored = {name: past.carried(setting, name) for name in (PRIOR, KEPT)}
    known = {symbol.code: symbol.type for symbol in setting.resolved.rules.columns}
    carried: dict[str, DataType] = {}
    for columns in (*stored.values(), *(item.columns for item in past.flying.values())):
        carried |= {code: kind for code, kind in (columns or {}).items() if known.get(code) == kind}
    costs: dict[str, Decimal] = {}
    for item in past.flying.values():
        costs |= _costs(setting, item)
    planning = Planning(
        resolved=setting.resolved,
        trigger=trigger,
        as_of=as_of,
        version=version_of(trigger),
        carried=carried,
        stored=stored,
        flying=past.flying,
        costs=costs,
        first=past.prior is None,
        linked=linked(setting.resolved),
        said=past.said(),
    )
    return planning, past


def trigger_plan(setting: Setting, trigger: ResolvedTrigger, as_of: date) -> Plan:
    """How the trigger's table of ``as_of`` is made."""
    planning, past = planning_of(setting, trigger, as_of)
    gate = trigger_gate(setting, past.flying, as_of)
    gate = replace(gate, faults=(*gate.faults, *past.faults))

    def write(engine: Engine, into: Path) -> Written:
        target = into / "part-0.parquet"
        expression = trigger_expression(planning)
        engine.write(expression, state_inputs(gate, past.prior, past.kept), target)
        own = {triggers_name(trigger.code): [target]}
        # The state of before is no input by name: what is kept keeps what it names, and each day would the last.
        rests_on = {"prior": past.prior.id} if past.prior is not None else {}
        metrics = {
            **rests_on,
            "sql": engine.sql(expression),
            "decided": engine.fetch(decisions_expression(planning), own).to_pylist(),
            VERSIONS: _still_used(planning, past, engine.fetch(versions_expression(planning), own).to_pylist()),
            "lost versions": list(past.lost),
        }
        return Written(metrics, data_until(gate, as_of))

    return Plan(
        table=TableRef("triggers", trigger.code),
        as_of=as_of,
        meaning=trigger_meaning(setting, trigger),
        gate=gate,
        key=entry_key(linked=planning.linked),
        columns=state_columns(planning.carried, linked=planning.linked),
        private=frozenset({PERSON, ENTERED_AS, "event"}) | {f"{SEEN}{code}" for code in planning.carried},
        write=write,
        expectations=lambda written, previous: trigger_expectations(setting.resolved, trigger),
        fingerprint=past.prior.content_hash if past.prior is not None else "",
        joined=successor_inputs(gate),
        counted=True,
        picture=_picture,
    )


def plan_messages(setting: Setting, trigger: ResolvedTrigger, outbox: Outbox, run: str) -> int:
    """Write what the trigger's newest state decided into the outbox; how many messages were new."""
    served = setting.warehouse.latest(TableRef("triggers", trigger.code))
    if served is None:
        return 0
    assert served.as_of is not None
    columns = {n.removeprefix(SEEN): data_type(text) for n, text in served.columns if n.startswith(SEEN)}
    versions, _ = readable_versions(setting, trigger, served.metrics[VERSIONS])
    says = ENTERED_AS in dict(served.columns)
    expression = messages_expression(setting.resolved, trigger, versions, columns, served.as_of, linked=says)
    if expression is None:
        return 0
    with open_duckdb(setting.spill) as engine:
        rows = engine.fetch(expression, {triggers_name(trigger.code): served.files})
    zone = setting.resolved.catalog.project.zone
    return outbox.plan(as_plan(rows, snapshot=served.id, run=run, now=setting.clock(), zone=zone))


def trigger_gate(setting: Setting, flying: Mapping[str, ResolvedTrigger], as_of: date) -> Gate:
    """What the trigger and its earlier versions read, and whether it may be read."""
    inputs: dict[str, frozenset[str]] = {}
    for item in flying.values():
        for name, columns in trigger_inputs(setting, item).items():
            inputs[name] = inputs.get(name, frozenset()) | columns
    wanted: list[Wanted] = [*wanted_by(setting, inputs, as_of), *wanted_successors(setting)]
    return ask(setting.warehouse, wanted)


def state_inputs(gate: Gate, prior: Snapshot | None, kept: Snapshot | None) -> dict[str, Any]:
    """The files of every table an evaluation reads."""
    found: dict[str, Any] = {key: snapshot.files for key, snapshot in gate.snapshots.items()}
    return found | {n: s.files for n, s in ((PRIOR, prior), (KEPT, kept)) if s is not None}


def _still_used(planning: Planning, past: _Past, entered: list[dict[str, Any]]) -> dict[str, Any]:
    """The definitions that persons may be under way on, as they were written, by version."""
    last = {row["version"]: row["last"] for row in entered}
    found = {planning.version: past.raw[planning.version]}
    for version, trigger in past.flying.items():
        waits = [action.wait or 0 for action in trigger.spec.actions]
        # Long enough for an evaluation that comes late, and for messages that were not planned at once.
        if version in last and (planning.as_of - last[version]).days <= max(waits) + 31:
            found[version] = past.raw[version]
    return found


def _picture(snapshot: Snapshot) -> dict[str, Any]:
    metrics = snapshot.metrics
    rows = [
        dg.TableRecord({"decision": row["decision"], "reason": row["reason"], "arm": row["arm"], "today": row["n"]})
        for row in metrics["decided"]
    ]
    found: dict[str, Any] = {
        "entered 进入": sum(row["n"] for row in metrics["decided"] if row["decision"] != "waiting"),
        "planned 计划触达": sum(row["n"] for row in metrics["decided"] if row["decision"] == "planned"),
    }
    if rows:
        found["decisions 决定"] = dg.MetadataValue.table(rows)
    found["versions 在用版本"] = ", ".join(metrics[VERSIONS])
    if metrics["lost versions"]:
        found["unreadable versions 无法读取的版本"] = ", ".join(metrics["lost versions"])
    found["SQL"] = dg.MetadataValue.md(f"```sql\n{metrics['sql']}\n```")
    return found
