"""Stage *effects*: one asset per judged trigger: what was sent, what came back, what it brought (触达效果)."""

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import dagster as dg

from valtag_assets.delivery.outbox import ledger_file
from valtag_assets.delivery.outcomes import outcomes_mark, write_outcomes
from valtag_assets.engine.duckdb import data_type
from valtag_assets.engine.effect_lines import effect_lines, write_lines
from valtag_assets.engine.persons import keyed_name
from valtag_assets.engine.session import Engine
from valtag_assets.engine.trigger_effect import (
    ALL,
    OUTCOMES,
    arms_expression,
    effects_name,
    funnel_expression,
    levels_expression,
)
from valtag_assets.engine.trigger_state import ENTERED_AS, SEEN
from valtag_assets.engine.triggers import triggers_name
from valtag_assets.expression.resolved_delivery import ResolvedTrigger
from valtag_assets.graph.checks import check_specs
from valtag_assets.graph.comments import effect_comments
from valtag_assets.graph.effect_figures import effect_figure
from valtag_assets.graph.gates import Wanted, ask
from valtag_assets.graph.messages import MESSAGES
from valtag_assets.graph.metadata import describe
from valtag_assets.graph.plots import as_image
from valtag_assets.graph.publishing import Plan, Results, Written, build, meaning_of
from valtag_assets.graph.session import EngineSession
from valtag_assets.graph.setting import Setting
from valtag_assets.graph.stages import as_of_partitions, asset_key, automation, freshness, run_as_of
from valtag_assets.graph.tags import data_until
from valtag_assets.quality.expectation import Expectation
from valtag_assets.quality.lines import line_expectations
from valtag_assets.quality.outcome import plain
from valtag_assets.spec.effect import COLUMNS, ROW
from valtag_assets.spec.types import DataType
from valtag_assets.warehouse.snapshot import Snapshot, TableRef

GROUP = "9_effects"
CROSSED = "crossed"
COLUMN_TYPES = {name: kind for name, (kind, _) in COLUMNS.items()}


def judged_triggers(setting: Setting) -> list[ResolvedTrigger]:
    """The triggers of which the catalog says what they are judged by."""
    return [trigger for trigger in setting.resolved.triggers.values() if trigger.effect is not None]


def effect_assets(setting: Setting) -> list[dg.AssetsDefinition]:
    """One asset per judged trigger."""
    return [_effect_asset(setting, trigger) for trigger in judged_triggers(setting)]


def _effect_asset(setting: Setting, trigger: ResolvedTrigger) -> dg.AssetsDefinition:
    catalog = setting.resolved.catalog
    refresh, key = catalog.project.refresh, asset_key(effects_name(trigger.code))
    said = effect_comments()
    assert trigger.effect is not None
    spec = trigger.effect.spec
    fact = keyed_name(setting.resolved.sources[spec.fact])
    looked_for = f"{spec.fact}{f', where {spec.where}' if spec.where else ''}, within {spec.within} days"

    @dg.asset(
        key=key,
        deps=[asset_key(name) for name in (triggers_name(trigger.code), fact, MESSAGES)],
        group_name=GROUP,
        description=describe(trigger.spec.title, "触达效果 · Effect of the trigger", f"`{looked_for}`"),
        owners=[catalog.owner_of(trigger.spec)],
        kinds={setting.engines.of(effects_name(trigger.code)), "parquet"},
        code_version=_meaning(setting, trigger),
        partitions_def=as_of_partitions(setting),
        freshness_policy=freshness(setting, refresh),
        automation_condition=automation(refresh),
        metadata={
            "dagster/column_schema": dg.TableSchema(
                [dg.TableColumn(name, str(kind), description=said[name]) for name, kind in COLUMN_TYPES.items()]
            )
        },
        check_specs=check_specs(key, lambda _: _expectations(setting, trigger), {}),
        output_required=False,
    )
    def effects(context: dg.AssetExecutionContext, engine: EngineSession) -> Results:
        as_of = run_as_of(context, setting)
        yield from build(context, setting, engine, lambda: effect_plan(setting, trigger, as_of))

    return effects


def _expectations(setting: Setting, trigger: ResolvedTrigger) -> list[Expectation]:
    return line_expectations(setting.resolved, trigger.entry, ROW, COLUMNS[ROW][1], COLUMN_TYPES)


def _meaning(setting: Setting, trigger: ResolvedTrigger) -> str:
    """What is looked for, what messages cost, and whether somebody is held out."""
    assert trigger.effect is not None
    costs = sorted((code, str(cost)) for code, cost in _costs(setting).items())
    steps = [(action.step, trigger.channels.get(action.step)) for action in trigger.spec.actions]
    return meaning_of("effect", trigger.effect.meaning, costs, steps, _held_out(setting, trigger))


def _costs(setting: Setting) -> dict[str, Decimal]:
    """What one message to each destination costs."""
    return {code: Decimal(str(to.spec.cost)) for code, to in setting.resolved.destinations.items()}


def _held_out(setting: Setting, trigger: ResolvedTrigger) -> bool:
    return trigger.spec.holdout is not None or setting.resolved.catalog.project.contact.holdout is not None


def effect_plan(setting: Setting, trigger: ResolvedTrigger, as_of: date) -> Plan:
    """How the trigger's effects of ``as_of`` are made: entries and conversions up to it, messages as they are now."""
    assert trigger.effect is not None
    fact = keyed_name(setting.resolved.sources[trigger.effect.spec.fact])
    wanted = [Wanted(triggers_name(trigger.code), as_of), Wanted(fact)]
    gate, ledger = ask(setting.warehouse, wanted), ledger_file(setting.warehouse)

    def write(engine: Engine, into: Path) -> Written:
        state = gate.snapshots[triggers_name(trigger.code)]
        columns = _kept(trigger, state)
        inputs: dict[str, Sequence[Path]] = {key: snapshot.files for key, snapshot in gate.snapshots.items()}
        asked, says = (setting.resolved, trigger, columns, as_of), ENTERED_AS in dict(state.columns)
        counting = arms_expression(*asked, linked=says)
        with TemporaryDirectory(dir=setting.spill) as folder:
            told = Path(folder) / "outcomes.parquet"
            write_outcomes(ledger, trigger.code, as_of, told)
            funnel = engine.fetch(funnel_expression(*asked, linked=says), {**inputs, OUTCOMES: [told]}).to_pylist()
        arms = engine.fetch(counting, inputs).to_pylist()
        levels = levels_expression(*asked, linked=says)
        held_out = _held_out(setting, trigger)
        lines = effect_lines(trigger, arms, funnel, _costs(setting), held_out=held_out)
        write_lines(lines, into / "part-0.parquet")
        metrics: dict[str, Any] = {
            "lines": [{name: plain(value) for name, value in line.items()} for line in lines],
            # By number, not by value: what a value is may not be for everybody.
            "levels": [] if levels is None else engine.fetch(levels, inputs).to_pylist(),
            "sql": engine.sql(counting),
            **({CROSSED: _crossed(arms)} if says else {}),
        }
        return Written(metrics, data_until(gate, as_of))

    return Plan(
        table=TableRef("effects", trigger.code),
        as_of=as_of,
        meaning=_meaning(setting, trigger),
        gate=gate,
        key=(ROW,),
        columns=COLUMN_TYPES,
        private=frozenset(),
        write=write,
        expectations=lambda written, previous: _expectations(setting, trigger),
        fingerprint=outcomes_mark(ledger, trigger.code, as_of),
        counted=True,
        picture=_picture,
    )


def _crossed(arms: Sequence[Mapping[str, Any]]) -> int:
    """How many persons are in both arms: those of either arm are the same persons."""
    return max((row["crossed"] for row in arms if row["period"] == ALL), default=0)


def _kept(trigger: ResolvedTrigger, state: Snapshot) -> dict[str, DataType]:
    """The values kept on entering that the trigger's table holds, of tags and scores there still are."""
    stored = {n.removeprefix(SEEN): data_type(text) for n, text in state.columns if n.startswith(SEEN)}
    return {code: kind for code, kind in stored.items() if code in trigger.columns}


SHOWN = (
    "period", "step", "planned", "sent", "delivered", "clicked", "converted", "unsubscribed", "bounced", "cost",
    "entered", "not_over", "treated", "control", "treated_conversions", "control_conversions", "evidence",
)  # fmt: skip
INTERVALS = ("lift", "more_conversions", "revenue_lift", "more_revenue", "roi")


def _picture(snapshot: Snapshot) -> dict[str, Any]:
    lines: Sequence[Mapping[str, Any]] = snapshot.metrics["lines"]
    whole = lines[0]
    found: dict[str, Any] = {
        "effect 效果": dg.MetadataValue.table([_record(line) for line in lines]),
        "evidence 证据": said_of(whole),
        "not over yet 观察期未满": int(whole["not_over"] or 0),
    }
    if snapshot.metrics.get(CROSSED):
        # Thought to be two, drawn into both arms, and one after all: they count in neither.
        found["persons of both arms, left out 合并后跨组、未计入"] = snapshot.metrics[CROSSED]
    if whole["lift"] is not None:
        found["lift 转化率提升"] = float(whole["lift"])
        found["plot 图"] = as_image(f"{snapshot.table} {snapshot.as_of}", effect_figure, lines)
    found["SQL"] = dg.MetadataValue.md(f"```sql\n{snapshot.metrics['sql']}\n```")
    return found


def _record(line: Mapping[str, Any]) -> dg.TableRecord:
    shown = {name: "" if line[name] is None else line[name] for name in SHOWN}
    return dg.TableRecord(shown | {name: interval_text(line, name) for name in INTERVALS})


def interval_text(line: Mapping[str, Any], name: str) -> str:
    """``0.031 [0.012, 0.050]``; nothing where there is none."""
    if line[name] is None:
        return ""
    value, low, high = (_short(line[end]) for end in (name, f"{name}_low", f"{name}_high"))
    return f"{value} [{low}, {high}]"


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def said_of(line: Mapping[str, Any]) -> str:
    """What the numbers of a line can say, in both languages."""
    words = {
        "randomised": "随机对照：差异可归因于触达 · Held out by lot: the difference is what the trigger did",
        "association": "无随机对照：仅为关联，不给出提升 · Nobody was held out: an association, so no lift is given",
        "insufficient": "数据不足 · Not enough data yet",
    }
    return words[line["evidence"]]
