"""Stage *insight*: one asset that says of every tag how useful it is (标签价值评分)."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import dagster as dg
from matplotlib.figure import Figure

from valtag_assets.delivery.outbox import ledger_file
from valtag_assets.delivery.outcomes import sent_between
from valtag_assets.engine.contribution import contributions
from valtag_assets.engine.duckdb import data_type
from valtag_assets.engine.likeness import closest, sample_expression
from valtag_assets.engine.persons import PERSONS
from valtag_assets.engine.session import Engine
from valtag_assets.engine.tags import tags_name
from valtag_assets.engine.trigger_effect import effects_name
from valtag_assets.engine.usefulness import Known, Seen, usefulness, write_usefulness
from valtag_assets.expression.resolved import Resolved
from valtag_assets.expression.uses import automations, tag_uses
from valtag_assets.graph.checks import check_specs
from valtag_assets.graph.comments import insight_comments
from valtag_assets.graph.deliveries import deliveries_name, delivering
from valtag_assets.graph.effects import GROUP, interval_text, judged_triggers
from valtag_assets.graph.figures import Bars, bars_figure
from valtag_assets.graph.gates import Wanted, ask
from valtag_assets.graph.messages import MESSAGES
from valtag_assets.graph.metadata import data_age_days
from valtag_assets.graph.plots import as_image
from valtag_assets.graph.publishing import Plan, Results, Written, build, meaning_of
from valtag_assets.graph.session import EngineSession
from valtag_assets.graph.setting import Setting
from valtag_assets.graph.stages import as_of_partitions, asset_key, automation, freshness, run_as_of
from valtag_assets.graph.tags import data_until
from valtag_assets.quality.expectation import Expectation
from valtag_assets.quality.lines import line_expectations
from valtag_assets.quality.outcome import plain
from valtag_assets.spec.block import Title
from valtag_assets.spec.catalog import Entry
from valtag_assets.spec.insight import COLUMNS
from valtag_assets.spec.types import DataType
from valtag_assets.warehouse.damage import damage
from valtag_assets.warehouse.snapshot import Snapshot, TableRef

INSIGHT = TableRef("insight", "tags")
TITLE = Title(zh="标签价值评分", en="Usefulness of tags")
COLUMN_TYPES = {name: kind for name, (kind, _) in COLUMNS.items()}
# The days of messages that are looked back on, and how old the score is that it is compared with.
MESSAGE_DAYS, MONTH = 30, 28
SHOWN_BARS = 20


def insight_assets(setting: Setting) -> list[dg.AssetsDefinition]:
    """The asset, for a catalog that has tags."""
    return [_insight_asset(setting)] if setting.resolved.tags else []


def _insight_asset(setting: Setting) -> dg.AssetsDefinition:
    project = setting.resolved.catalog.project
    key, said = asset_key(INSIGHT.key), insight_comments()
    judged = [effects_name(trigger.code) for trigger in judged_triggers(setting)]
    sending = [
        *([MESSAGES] if setting.resolved.triggers else []),
        *(deliveries_name(d.code) for d in delivering(setting)),
    ]
    weights = "\n".join(f"| {name} | {weight:g} |" for name, weight in project.insight.weights.model_dump().items())

    @dg.asset(
        key=key,
        deps=[asset_key(name) for name in (PERSONS, *map(tags_name, setting.resolved.categories), *judged, *sending)],
        group_name=GROUP,
        description=f"**{TITLE.zh} · {TITLE.en}**\n\n使用、触达、覆盖、转化贡献、质量、新鲜度的加权平均 · "
        f"The weighted mean of these parts:\n\n| part | weight |\n|---|---|\n{weights}",
        owners=[project.owner],
        kinds={setting.engines.of(INSIGHT.key), "parquet"},
        code_version=_meaning(setting),
        partitions_def=as_of_partitions(setting),
        freshness_policy=freshness(setting, project.refresh),
        automation_condition=automation(project.refresh),
        metadata={
            "dagster/column_schema": dg.TableSchema(
                [dg.TableColumn(name, str(kind), description=said[name]) for name, kind in COLUMN_TYPES.items()]
            )
        },
        check_specs=check_specs(key, lambda _: _expectations(setting), {}),
        output_required=False,
    )
    def insight(context: dg.AssetExecutionContext, engine: EngineSession) -> Results:
        as_of = run_as_of(context, setting)
        yield from build(context, setting, engine, lambda: insight_plan(setting, as_of))

    return insight


def _expectations(setting: Setting) -> list[Expectation]:
    catalog = setting.resolved.catalog
    project = Entry(catalog.project, catalog.root / "project.yaml", {})
    return line_expectations(setting.resolved, project, "tag", COLUMNS["tag"][1], COLUMN_TYPES)


def _meaning(setting: Setting) -> str:
    """Who reads what, and how it is weighed."""
    resolved = setting.resolved
    uses = sorted((code, own.direct, own.indirect) for code, own in tag_uses(resolved).items())
    tags = sorted((code, tag.category) for code, tag in resolved.tags.items())
    return meaning_of("insight", repr(resolved.catalog.project.insight), uses, tags)


def insight_plan(setting: Setting, as_of: date) -> Plan:
    """How the table of ``as_of`` is made: from what is served of tags and effects, held or not, since that is part of
    what is told; and from the ledger as it stands now."""
    resolved = setting.resolved
    gate = ask(setting.warehouse, [Wanted(PERSONS)])
    served = {code: _newest(setting, TableRef("tags", code), as_of) for code in resolved.categories}
    tables = {code: snapshot for code, snapshot in served.items() if snapshot is not None}
    effects = [
        snapshot
        for trigger in judged_triggers(setting)
        if (snapshot := _newest(setting, TableRef("effects", trigger.code), as_of)) is not None
    ]
    since = as_of - timedelta(days=MESSAGE_DAYS)
    sent = sent_between(ledger_file(setting.warehouse), automations(resolved), since, as_of)
    before = setting.warehouse.latest(INSIGHT, on_or_before=as_of - timedelta(days=MONTH))

    def write(engine: Engine, into: Path) -> Written:
        known = Known(
            seen=_seen(setting, tables),
            sent=sent,
            contributions=contributions([item.metrics for item in effects], resolved.catalog.project.insight),
            twins=_twins(setting, engine, gate.snapshots[PERSONS], tables),
        )
        rows = usefulness(resolved, known)
        write_usefulness(rows, into / "part-0.parquet")
        beside = _beside(setting, tables, before)
        metrics = {
            "lines": [{name: plain(value) for name, value in (row | beside[row["tag"]]).items()} for row in rows],
            "scores": {row["tag"]: row["score"] for row in rows},
            "weights": resolved.catalog.project.insight.weights.model_dump(),
        }
        inputs = {snapshot.table.key: snapshot.id for snapshot in (*tables.values(), *effects)}
        return Written(metrics, data_until(gate, as_of), inputs=inputs)

    read = [snapshot.id for snapshot in (*tables.values(), *effects, *([before] if before is not None else []))]
    return Plan(
        table=INSIGHT,
        as_of=as_of,
        meaning=_meaning(setting),
        gate=gate,
        key=("tag",),
        columns=COLUMN_TYPES,
        private=frozenset(),
        write=write,
        expectations=lambda written, previous: _expectations(setting),
        fingerprint=repr((read, sorted(sent.items()))),
        counted=True,
        picture=partial(_picture, resolved),
    )


def _newest(setting: Setting, table: TableRef, as_of: date) -> Snapshot | None:
    """What is served of a table at the as-of, unless it is damaged."""
    snapshot = setting.warehouse.latest(table, on_or_before=as_of)
    return snapshot if snapshot is None or damage(snapshot) is None else None


def _seen(setting: Setting, tables: Mapping[str, Snapshot]) -> dict[str, Seen]:
    found = {}
    for code, snapshot in tables.items():
        columns = snapshot.metrics["profile"]["columns"]
        for tag in setting.resolved.categories[code].tags:
            passed = [verdict.passed for verdict in snapshot.verdicts if verdict.column == tag.code]
            found[tag.code] = Seen(
                coverage=_rounded(columns.get(tag.code, {}).get("coverage")),
                quality=_rounded(sum(passed) / len(passed)) if passed else None,
                age_days=data_age_days(snapshot),
                distinct=columns.get(tag.code, {}).get("distinct"),
            )
    return found


def _beside(setting: Setting, tables: Mapping[str, Snapshot], before: Snapshot | None) -> dict[str, dict[str, Any]]:
    """What depends on when and where was run: the seconds of each tag, its score about a month ago."""
    scores = before.metrics["scores"] if before is not None else {}
    found: dict[str, dict[str, Any]] = {}
    for code, category in setting.resolved.categories.items():
        seconds = tables[code].metrics.get("seconds", {}).get("compute") if code in tables else None
        for tag in category.tags:
            found[tag.code] = {
                "seconds": _rounded(seconds / len(category.tags)) if seconds is not None else None,
                "score_before": scores.get(tag.code),
                "before": before.as_of if before is not None and tag.code in scores else None,
            }
    return found


def _twins(
    setting: Setting, engine: Engine, persons: Snapshot, tables: Mapping[str, Snapshot]
) -> dict[str, tuple[str, float]]:
    """The most like tag of each that is not held."""
    insight, types = setting.resolved.catalog.project.insight, dict[str, dict[str, DataType]]()
    for code, snapshot in tables.items():
        own = {tag.code for tag in setting.resolved.categories[code].tags} - snapshot.held
        types[tags_name(code)] = {name: data_type(text) for name, text in snapshot.columns if name in own}
    if not any(types.values()):
        return {}
    files = {tags_name(code): snapshot.files for code, snapshot in tables.items()} | {PERSONS: persons.files}
    sample = engine.fetch(sample_expression(types, insight.sample, insight.seed), files)
    return closest(sample, {code: kind for columns in types.values() for code, kind in columns.items()})


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


SHOWN = (
    "tag", "score", "advice", "direct", "indirect", "automations", "messages", "coverage",
    "quality", "age_days", "seconds", "evidence",
)  # fmt: skip


def contribution_text(line: Mapping[str, Any]) -> str:
    """The contribution with its interval where it was measured."""
    if line["contribution"] is None:
        return ""
    measured = line["contribution_low"] is not None
    return interval_text(line, "contribution") if measured else f"{line['contribution']:.4g} (IV)"


def trend(line: Mapping[str, Any]) -> float | None:
    """How the score has changed since about a month ago."""
    return None if line["score_before"] is None else round(line["score"] - line["score_before"], 4)


def title_of(resolved: Resolved, tag: str) -> Title:
    """What a tag is called; one the catalog does not know any more by its code."""
    return resolved.tags[tag].title if tag in resolved.tags else Title(zh=tag, en=tag)


def usefulness_figure(resolved: Resolved, lines: Sequence[Mapping[str, Any]]) -> Figure:
    """Bars of the most useful tags."""
    return bars_figure(*_usefulness(resolved, lines))


def _usefulness(resolved: Resolved, lines: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[Bars]]:
    shown = lines[:SHOWN_BARS]
    scores = [float(line["score"]) for line in shown]
    labels = [f"{title_of(resolved, line['tag']).zh} {line['tag']}"[:26] for line in shown]
    return labels, [Bars("价值评分 score", scores, [f"{score:.2f}" for score in scores])]


def _picture(resolved: Resolved, snapshot: Snapshot) -> dict[str, Any]:
    lines: Sequence[Mapping[str, Any]] = snapshot.metrics["lines"]
    records = [dg.TableRecord(_record(resolved, line)) for line in lines]
    found: dict[str, Any] = {"usefulness 价值评分": dg.MetadataValue.table(records)} if records else {}
    for word, zh in (("keep", "保留"), ("improve", "改进"), ("merge", "合并"), ("retire", "下线")):
        found[f"{word} {zh}"] = sum(line["advice"] == word for line in lines)
    found["plot 图"] = as_image(f"{snapshot.table} {snapshot.as_of}", bars_figure, *_usefulness(resolved, lines))
    return found


def _record(resolved: Resolved, line: Mapping[str, Any]) -> dict[str, Any]:
    shown = {name: "" if line[name] is None else line[name] for name in SHOWN}
    shown["title"] = str(title_of(resolved, line["tag"]))
    changed, twin = trend(line), line["twin"]
    return shown | {
        "contribution": contribution_text(line),
        "twin": f"{twin} {line['likeness']:.2f}" if twin else "",
        "trend": "" if changed is None else f"{changed:+.3f}",
    }
