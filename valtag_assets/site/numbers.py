"""BI reports 报表 as they were published: their lines as a table, and the largest as bars."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from valtag_assets.engine.access import report_needs
from valtag_assets.engine.duckdb import open_duckdb
from valtag_assets.engine.reports import report_columns, report_table, reports_name
from valtag_assets.expression.resolved import ReportColumn, Resolved, ResolvedReport
from valtag_assets.expression.rule import rule_meaning
from valtag_assets.graph.figures import Bars, bars_figure, inline_svg
from valtag_assets.site.published import Found, Published
from valtag_assets.site.wording import labelled, number, value_titles
from valtag_assets.spec.block import Title
from valtag_assets.spec.report import ROW, TOTAL, ReportMeasure
from valtag_assets.warehouse.snapshot import Snapshot

MOST_LINES = 60
MOST_BARS = 12


@dataclass(frozen=True)
class Line:
    """One line of a table, as texts; ``total``: all together."""

    total: bool
    labels: tuple[str, ...]
    numbers: tuple[str, ...]


@dataclass(frozen=True)
class ReportEntry:
    """One report. ``hidden``: a dimension shows what is above the default role, so its lines are left out."""

    code: str
    title: Title
    meaning: str | None
    owner: str
    used_for: tuple[str, ...]
    chosen: str
    found: Found
    dimensions: tuple[Title, ...]
    measures: tuple[ReportMeasure, ...]
    lines: tuple[Line, ...]
    more: int
    agreements: tuple[tuple[str, bool], ...]
    hidden: bool
    plot: str | None
    search: str


def reports(published: Published) -> list[ReportEntry]:
    """Every report of the catalog."""
    return [_report(published, code) for code in published.resolved.reports]


def _report(published: Published, code: str) -> ReportEntry:
    report, found = published.resolved.reports[code], published.found(f"reports/{code}")
    spec = report.spec
    needs = report_needs(published.resolved, report)
    hidden = not published.readable(*needs.values())
    rows = [] if hidden or found.snapshot is None else _rows(published, report, found.snapshot)
    titles = [_titles(published.resolved, item) for item in report.dimensions]
    verdicts = found.snapshot.verdicts if found.snapshot else ()
    said = [code, str(spec.title), spec.meaning or "", *(str(item.title) for item in report.dimensions)]
    said += [f"{measure.code} {measure.title}" for measure in spec.measures]
    return ReportEntry(
        code=code,
        title=spec.title,
        meaning=spec.meaning,
        owner=published.resolved.catalog.owner_of(spec),
        used_for=spec.used_for,
        chosen=_chosen(report),
        found=found,
        dimensions=tuple(item.title for item in report.dimensions),
        measures=spec.measures,
        lines=tuple(_line(report, row, titles) for row in rows[: MOST_LINES + 1]),
        more=max(0, len(rows) - MOST_LINES - 1),
        agreements=tuple((v.detail["title"], v.passed) for v in verdicts if v.check.startswith("agrees.")),
        hidden=hidden,
        plot=_plot(report, rows, titles) if len(rows) > 1 else None,
        search=" ".join([*said, *spec.used_for]),
    )


def _chosen(report: ResolvedReport) -> str:
    parts = [] if report.where is None else [rule_meaning(report.where)]
    parts += [f"segment {code}" for code in report.spec.segments]
    return " and ".join(parts)


def _rows(published: Published, report: ResolvedReport, snapshot: Snapshot) -> list[dict[str, Any]]:
    """The lines in their order; where the report has changed since it was published, only what both know."""
    if {name for name, _ in snapshot.columns} != set(report_columns(report)):
        return []
    name = reports_name(report.code)
    with open_duckdb(published.setting.spill) as engine:
        return engine.fetch(report_table(report, name).order_by(ROW), {name: snapshot.files}).to_pylist()


def _titles(resolved: Resolved, item: ReportColumn) -> Mapping[str, Title]:
    return value_titles(resolved.tags[item.source].spec) if item.source in resolved.tags else {}


def _labels(report: ResolvedReport, row: Mapping[str, Any], titles: Sequence[Mapping[str, Title]]) -> tuple[str, ...]:
    return tuple(labelled(row[item.name], own) for item, own in zip(report.dimensions, titles, strict=True))


def _line(report: ResolvedReport, row: Mapping[str, Any], titles: Sequence[Mapping[str, Title]]) -> Line:
    labels = ("合计 · total", *[""] * (len(titles) - 1)) if row[TOTAL] else _labels(report, row, titles)
    return Line(row[TOTAL], labels, tuple(_number(measure, row) for measure in report.spec.measures))


def _number(measure: ReportMeasure, row: Mapping[str, Any]) -> str:
    return number(row[measure.code], share=measure.agg is None and measure.unit is None)


def _plot(report: ResolvedReport, rows: Sequence[dict[str, Any]], titles: Sequence[Mapping[str, Title]]) -> str:
    """The lines with most of the first measure, in the order of the calendar where there is one."""
    measures = report.spec.measures
    first = next(measure for measure in measures if measure.agg is not None)
    follows = next((measure for measure in measures if measure.agg is None), None)
    shown = [measure for measure in (first, follows) if measure is not None]
    lines = [row for row in rows if not row[TOTAL]]
    if any(item.kind == "date" for item in report.dimensions):
        lines = lines[-MOST_BARS:]
    else:
        lines = sorted(lines, key=lambda row: (-(row[first.code] or 0), row[ROW]))[:MOST_BARS]
    labels = [" / ".join(_labels(report, row, titles))[:22] for row in lines]
    panels = [
        Bars(
            f"{measure.title.zh} {measure.title.en}",
            [None if row[measure.code] is None else float(row[measure.code]) for row in lines],
            [_number(measure, row) for row in lines],
        )
        for measure in shown
    ]
    return inline_svg(bars_figure(labels, panels))
