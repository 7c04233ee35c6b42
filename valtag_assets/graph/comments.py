"""What the tables and their columns mean, as one line each: in the views, and on asset pages. Nothing of Dagster."""

from collections.abc import Callable, Mapping
from typing import Any

from valtag_assets.engine.rules import HOLDOUT
from valtag_assets.engine.trigger_state import SEEN, STATE
from valtag_assets.expression.resolved import (
    PERSON,
    Resolved,
    ResolvedReport,
    ResolvedScore,
    ResolvedSource,
    ResolvedTrigger,
)
from valtag_assets.spec.block import Title
from valtag_assets.spec.report import ROW, TOTAL
from valtag_assets.spec.score import COLUMN_TITLES
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
    return {name: in_one_line(COLUMN_TITLES[name.removeprefix(f"{score.code}_")]) for name in score.columns}


def report_comments(report: ResolvedReport) -> dict[str, str]:
    """What each column of a report says."""
    found = {ROW: "行号，0 为合计 · Line; 0 is all together", TOTAL: "是否合计 · Whether it is all together"}
    found |= {item.name: in_one_line(item.title) for item in report.dimensions}
    found |= {m.code: in_one_line(m.title, m.meaning, unit_of(m.unit)) for m in report.spec.measures}
    return found


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
    persons = resolved.catalog.project.persons.title
    return (in_one_line(persons), _person(resolved)) if name == "persons" else None


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
    return found | {f"{SEEN}{code}": f"进入时的值 · Value on entering: {code}" for code in trigger.columns}


def _triggers(resolved: Resolved, name: str) -> Said:
    trigger = resolved.triggers.get(name)
    if trigger is None:
        return None
    return in_one_line(trigger.spec.title, trigger.spec.meaning), trigger_comments(resolved, trigger)


def _deliveries(resolved: Resolved, name: str) -> Said:
    delivery = resolved.deliveries.get(name)
    return None if delivery is None else (in_one_line(delivery.spec.title, delivery.spec.meaning), OUTCOMES)


def _person(resolved: Resolved) -> dict[str, str]:
    return {PERSON: in_one_line(resolved.catalog.project.persons.title)}


_STAGES: Mapping[str, Callable[[Resolved, str], Said]] = {
    "clean": _clean,
    "identity": _identity,
    "tags": _tags,
    "scores": _scores,
    "segments": _segments,
    "lists": _lists,
    "reports": _reports,
    "triggers": _triggers,
    "deliveries": _deliveries,
}
