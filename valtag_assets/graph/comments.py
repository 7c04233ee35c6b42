"""What the tables and their columns mean, as one line each: in the views, and on asset pages. Nothing of Dagster."""

from collections.abc import Callable, Mapping
from typing import Any

from valtag_assets.engine.allocation import allocation_columns
from valtag_assets.engine.identity.tables import COLUMNS as IDENTITY_COLUMNS
from valtag_assets.engine.identity.tables import TITLES as IDENTITY_TITLES
from valtag_assets.engine.persons import OWNER
from valtag_assets.engine.rules import HOLDOUT
from valtag_assets.engine.trigger_state import ENTERED_AS, ENTERED_AS_TITLE, SEEN, STATE
from valtag_assets.expression.resolved import (
    PERSON,
    Resolved,
    ResolvedAllocation,
    ResolvedLtv,
    ResolvedReport,
    ResolvedRfm,
    ResolvedScore,
    ResolvedSource,
)
from valtag_assets.expression.resolved_delivery import ResolvedTrigger
from valtag_assets.spec.allocation import COLUMN_TITLES as ALLOCATION_TITLES
from valtag_assets.spec.block import Title
from valtag_assets.spec.effect import COLUMNS as EFFECT_COLUMNS
from valtag_assets.spec.insight import COLUMNS as INSIGHT_COLUMNS
from valtag_assets.spec.report import ROW, TOTAL
from valtag_assets.warehouse.snapshot import TableRef

OUTCOMES = {
    "operation": "操作：新增、变更、移出、无 · What was to be done",
    "state": "结果 · What came of it",
    "reason": "原因 · Why",
    "messages": "消息数 · Messages",
}
"""What each column of a delivery says."""


def table_comments(resolved: Resolved, table: TableRef) -> dict[str, Any]:
    """{"table": text, "columns": {name: text}}, of a table of the catalog; {} for any other."""
    said = _STAGES.get(table.stage)
    found = said(resolved, table.name) if said is not None else None
    return {} if found is None else {"table": found[0], "columns": dict(found[1])}


def in_one_line(title: Title, *more: str | None) -> str:
    """A title in both languages, and what else there is to say."""
    return "; ".join([str(title), *[" ".join(text.split()) for text in more if text]])


def unit_of(unit: str | None) -> str | None:
    return f"单位 unit: {unit}" if unit else None


def score_comments(score: ResolvedScore) -> dict[str, str]:
    """What each column of a score says."""
    return {name: in_one_line(title) for name, title in score.titles.items()}


_AGGREGATIONS = {"sum": Title(zh="合计", en="sum"), "avg": Title(zh="均值", en="mean")}
_THRESHOLDS = {"mean": Title(zh="均值", en="mean"), "median": Title(zh="中位数", en="median")}


def rfm_convention(resolved: Resolved, score: ResolvedRfm) -> Title:
    """How the scores are made: the choices the catalog has among those in use."""
    rfm = score.spec
    agg = resolved.tags[rfm.monetary].aggregate
    money = (
        Title(zh="运算", en="computed") if agg is None else _AGGREGATIONS.get(agg.agg, Title(zh=agg.agg, en=agg.agg))
    )
    threshold = Title(zh="固定值", en="fixed")
    if isinstance(rfm.quadrant_threshold, str):
        threshold = _THRESHOLDS[rfm.quadrant_threshold]
    nested, apart = rfm.scoring == "nested", rfm.one_order == "apart"
    cut = f"（{'、'.join(rfm.cuts)} 按固定切点）" if rfm.cuts else ""
    cut_en = f" ({', '.join(rfm.cuts)} at fixed cuts)" if rfm.cuts else ""
    zh = [
        f"以统计截止日为基准：R {rfm.recency} · F {rfm.frequency} · M {rfm.monetary}（{money.zh}）",
        f"1–{rfm.bins} 分，{rfm.bins} 分最好，按分位数切分{cut}，同值同分",
        "逐层打分：F 在各 R 分内切分，M 在各 R、F 分内切分" if nested else "三项各自独立打分",
        "仅一单者 F 固定为 1，其余人按分位数从 2 分起" if apart else "仅一单者与其余人一同切分",
        f"象限阈值：{threshold.zh}",
    ]
    en = [
        f"As seen from the as-of: R {rfm.recency} · F {rfm.frequency} · M {rfm.monetary} ({money.en})",
        f"scores 1–{rfm.bins}, {rfm.bins} is best, cut at quantiles{cut_en}, equal values share a score",
        "nested: F is cut within each R score, M within each R and F" if nested else "each measure is cut by itself",
        "one order is F 1, the others are cut from 2 up"
        if apart
        else "persons with one order are cut like the others",
        f"quadrant threshold: {threshold.en}",
    ]
    return Title(zh="；".join(zh), en="; ".join(en))


def report_comments(report: ResolvedReport) -> dict[str, str]:
    """What each column of a report says."""
    found = {ROW: "行号，0 为合计 · Line; 0 is all together", TOTAL: "是否合计 · Whether it is all together"}
    found |= {item.name: in_one_line(item.title) for item in report.dimensions}
    found |= {m.code: in_one_line(m.title, m.meaning, unit_of(m.unit)) for m in report.spec.measures}
    return found


def ltv_convention(score: ResolvedLtv) -> Title:
    """What is predicted from what, and when it is published."""
    ltv = score.spec
    less = f" − {ltv.refunds}" if ltv.refunds else ""
    money, models = f"{ltv.spend}{less}（{score.currency}）", ", ".join(ltv.models)
    return Title(
        zh=f"订单 {ltv.orders} · 消费 {money}；同日订单算一次；候选模型 {models}；留出期 {ltv.holdout} 天，"
        "优于朴素预测方可发布，否则沿用上次结果并暂停下游",
        en=f"orders of one day are one purchase; candidates {models}; held out {ltv.holdout} days; published only"
        " when it beats forecasts without a model there, else the last good table stays served and readers are held",
    )


def allocation_comments(resolved: Resolved, allocation: ResolvedAllocation) -> dict[str, str]:
    """What each column of an allocation says."""
    unit = unit_of(resolved.tags[allocation.monetary].spec.unit) if allocation.monetary is not None else None
    units = {"revenue": unit}
    return {name: in_one_line(ALLOCATION_TITLES[name], units.get(name)) for name in allocation_columns(allocation)}


Said = tuple[str, Mapping[str, str]] | None


def _clean(resolved: Resolved, name: str) -> Said:
    source = resolved.sources.get(name)
    if source is None:
        return None
    spec = source.spec
    return in_one_line(spec.title, spec.meaning), {
        **_fields(source),
        "_file": "来源文件 · File",
        "_row": "行号 · Row",
    }


def _fields(source: ResolvedSource) -> dict[str, str]:
    written = {field.name: field for field in source.spec.fields}
    found = {}
    for name in source.columns:
        field = written.get(name)
        unit = field.unit[-1].to if field is not None and field.unit else None
        found[name] = in_one_line(source.titles[name], unit_of(unit))
    return found


def _identity(resolved: Resolved, name: str) -> Said:
    persons, key = resolved.catalog.project.persons.title, f"identity/{name}"
    if resolved.identity is not None and key in IDENTITY_COLUMNS:
        return in_one_line(IDENTITY_TITLES[key]), {
            column: in_one_line(title) for column, (_, title) in IDENTITY_COLUMNS[key].items()
        }
    return (in_one_line(persons), _person(resolved)) if name == "persons" else None


def _keyed(resolved: Resolved, name: str) -> Said:
    clean = _clean(resolved, name)
    return None if clean is None else (clean[0], {**clean[1], OWNER: "所属的人 · Whose row it is"})


def _tags(resolved: Resolved, name: str) -> Said:
    if name not in resolved.categories:
        return None
    spec = resolved.catalog.categories[name].spec
    own = {
        tag.code: in_one_line(tag.title, tag.spec.meaning, unit_of(tag.spec.unit))
        for tag in resolved.categories[name].tags
    }
    return in_one_line(spec.title, spec.meaning), _person(resolved) | own


def _scores(resolved: Resolved, name: str) -> Said:
    score = resolved.scores.get(name)
    if score is None:
        return None
    return in_one_line(score.spec.title, score.spec.meaning), _person(resolved) | score_comments(score)


def _allocations(resolved: Resolved, name: str) -> Said:
    found = resolved.allocations.get(name)
    if found is None:
        return None
    return in_one_line(found.spec.title, found.spec.meaning), allocation_comments(resolved, found)


def _segments(resolved: Resolved, name: str) -> Said:
    segment = resolved.segments.get(name)
    if segment is None:
        return None
    held_out = {HOLDOUT: "留白对照组：不触达 · Held out: not to be contacted, so that an effect can be measured"}
    return in_one_line(segment.spec.title, segment.spec.meaning), _person(resolved) | held_out


def _lists(resolved: Resolved, name: str) -> Said:
    source = resolved.sources.get(name)
    return None if source is None else (in_one_line(source.spec.title, source.spec.meaning), _person(resolved))


def _reports(resolved: Resolved, name: str) -> Said:
    report = resolved.reports.get(name)
    return None if report is None else (in_one_line(report.spec.title, report.spec.meaning), report_comments(report))


def trigger_comments(resolved: Resolved, trigger: ResolvedTrigger) -> dict[str, str]:
    """What each column of a trigger's table says."""
    found = {name: in_one_line(title) for name, (_, title) in STATE.items()}
    found[ENTERED_AS] = in_one_line(ENTERED_AS_TITLE)
    return found | {f"{SEEN}{code}": f"进入时的值 · Value on entering: {code}" for code in trigger.columns}


def _triggers(resolved: Resolved, name: str) -> Said:
    trigger = resolved.triggers.get(name)
    if trigger is None:
        return None
    return in_one_line(trigger.spec.title, trigger.spec.meaning), trigger_comments(resolved, trigger)


def _deliveries(resolved: Resolved, name: str) -> Said:
    delivery = resolved.deliveries.get(name)
    return None if delivery is None else (in_one_line(delivery.spec.title, delivery.spec.meaning), OUTCOMES)


def effect_comments() -> dict[str, str]:
    """What each column of a table of effects says."""
    return {name: in_one_line(title) for name, (_, title) in EFFECT_COLUMNS.items()}


def _effects(resolved: Resolved, name: str) -> Said:
    trigger = resolved.triggers.get(name)
    return None if trigger is None else (in_one_line(trigger.spec.title, trigger.spec.meaning), effect_comments())


def insight_comments() -> dict[str, str]:
    """What each column of the table of usefulness says."""
    return {name: in_one_line(title) for name, (_, title) in INSIGHT_COLUMNS.items()}


def _insight(resolved: Resolved, name: str) -> Said:
    return in_one_line(Title(zh="标签价值评分", en="Usefulness of tags")), insight_comments()


def _person(resolved: Resolved) -> dict[str, str]:
    return {PERSON: in_one_line(resolved.catalog.project.persons.title)}


_STAGES: Mapping[str, Callable[[Resolved, str], Said]] = {
    "clean": _clean,
    "keyed": _keyed,
    "identity": _identity,
    "tags": _tags,
    "scores": _scores,
    "allocations": _allocations,
    "segments": _segments,
    "lists": _lists,
    "reports": _reports,
    "triggers": _triggers,
    "deliveries": _deliveries,
    "effects": _effects,
    "insight": _insight,
}
