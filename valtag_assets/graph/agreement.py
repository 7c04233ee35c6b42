"""What a report is reconciled with: its own lines, the population and audiences it counts, and tags that count the
same."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Any

from valtag_assets.engine.persons import PERSONS
from valtag_assets.engine.reports import (
    adding_up,
    members_expression,
    reports_name,
    sum_name,
    sums_expression,
    tag_totals,
)
from valtag_assets.engine.rules import segments_name
from valtag_assets.engine.session import Engine
from valtag_assets.engine.tags import tags_name
from valtag_assets.expression.lineage import meaning
from valtag_assets.expression.resolved import Aggregate, Counting, Resolved, ResolvedReport, ResolvedTag
from valtag_assets.expression.tree import Name, Node
from valtag_assets.graph.gates import Gate
from valtag_assets.graph.setting import Setting
from valtag_assets.graph.stages import is_partitioned, refresh_of
from valtag_assets.quality.report import Agreement
from valtag_assets.spec.block import Title

# A number of the report, and the same from elsewhere: whole numbers, or decimals as exact texts.
Compared = dict[str, tuple[Any, Any]]


@dataclass(frozen=True)
class Reconciling:
    """One report and, by measure, the tag of a daily category that counts the very same rows person by person."""

    resolved: Resolved
    report: ResolvedReport
    tags: Mapping[str, str]

    @classmethod
    def of(cls, setting: Setting, report: ResolvedReport) -> "Reconciling":
        resolved = setting.resolved
        # A category on demand may be of an earlier as-of, where it says something else.
        daily = [
            tag
            for tag in resolved.tags.values()
            if is_partitioned(refresh_of(setting, resolved.category_of(tag.code)))
        ]
        found = {}
        for code, item in report.counted.items():
            twin = next((tag.code for tag in daily if counts_the_same(resolved, item, tag)), None)
            if twin is not None:
                found[code] = twin
        return cls(resolved, report, found)

    @property
    def categories(self) -> list[str]:
        """The categories of the tags compared with."""
        return sorted({self.resolved.category_of(tag) for tag in self.tags.values()})

    @cached_property
    def sized(self) -> tuple[str, str] | None:
        """A measure that counts everybody in the report, and the published table that must have as many rows."""
        whole = next((code for code, item in self.report.counted.items() if item.fact is None), None)
        chosen = self.report.spec.segments
        if whole is None or self.report.where is not None or len(chosen) > 1:
            return None
        return whole, segments_name(chosen[0]) if chosen else PERSONS

    @property
    def memberships(self) -> dict[str, str]:
        """The dimensions that split everybody into members of an audience and others: column → segment."""
        if self.sized is None or self.sized[1] != PERSONS:
            return {}
        return {item.name: item.source for item in self.report.dimensions if item.kind == "segment"}

    def agreements(self) -> list[Agreement]:
        """Everything that is compared."""
        places = {measure.code: ("measures", n) for n, measure in enumerate(self.report.spec.measures)}
        found = []
        for code in adding_up(self.report):
            title = Title(zh=f"{code}：各行之和等于合计", en=f"{code}: the lines add up to the line of all")
            found.append(Agreement(f"lines.{code}", title, places[code]))
        if self.sized is not None:
            code, table = self.sized
            title = Title(zh=f"{code}：合计等于 {table} 的行数", en=f"{code}: as many as {table} has rows")
            found.append(Agreement(f"size.{code}", title, places[code]))
        for column, segment in self.memberships.items():
            title = Title(zh=f"成员人数等于人群 {segment} 的规模", en=f"as many members as segment {segment} has")
            found.append(Agreement(f"members.{column}", title, ("dimensions",)))
        for code, tag in self.tags.items():
            title = Title(zh=f"{code}：合计等于标签 {tag} 的合计", en=f"{code}: the same as by way of tag {tag}")
            found.append(Agreement(f"tag.{code}", title, places[code]))
        return found

    def compare(self, engine: Engine, gate: Gate, lines: Path, as_of: date) -> Compared:
        """What the written ``lines`` say, and what the tables of ``gate`` say, by agreement; no held tag."""
        name = reports_name(self.report.code)
        inputs = {name: [lines]}
        row = engine.fetch(sums_expression(self.report, name), inputs).to_pylist()[0]
        found: Compared = {}
        for code in adding_up(self.report):
            found[f"lines.{code}"] = (_exact(row[sum_name(code)]), _exact(row[code]))
        if self.sized is not None:
            code, table = self.sized
            found[f"size.{code}"] = (row[code], gate.snapshots[table].rows)
            for column, segment in self.memberships.items():
                counted = engine.fetch(members_expression(self.report, name, column, code), inputs).to_pylist()[0]
                found[f"members.{column}"] = (counted["members"], gate.snapshots[segments_name(segment)].rows)
        good = {
            code: tag
            for code, tag in self.tags.items()
            if tag not in gate.snapshots[tags_name(self.resolved.category_of(tag))].held
        }
        if good:
            files = {key: snapshot.files for key, snapshot in gate.snapshots.items()}
            others = engine.fetch(tag_totals(self.resolved, self.report, good, as_of), files).to_pylist()[0]
            found |= {f"tag.{code}": (_exact(row[code]), _exact(others[code])) for code in good}
        return found


def counts_the_same(resolved: Resolved, item: Counting, tag: ResolvedTag) -> bool:
    """Whether the tag's values of all persons together give what ``item`` counts: their sum, or of ``persons``
    how many are more than 0."""
    aggregate, spec = tag.aggregate, tag.spec
    if aggregate is None or item.fact != aggregate.fact or spec.null_policy != "clear" or spec.empty not in (None, 0):
        return False
    if item.window != aggregate.window or _said(item.where) != _said(aggregate.where):
        return False
    if item.agg == "persons":
        return aggregate.agg == "count" or (aggregate.agg == "count_distinct" and _never_empty(resolved, aggregate))
    if item.agg not in ("sum", "count") or item.agg != aggregate.agg or _said(item.of) != _said(aggregate.of):
        return False
    kind = item.of.type if item.of is not None else None
    rounds = kind is not None and (kind.kind == "float" or (kind.scale or 0) > (tag.type.scale or 0))
    return not rounds


def _never_empty(resolved: Resolved, aggregate: Aggregate) -> bool:
    """Whether what is counted is a field that every row has."""
    fields = {field.name: field for field in resolved.sources[aggregate.fact].spec.fields}
    field = fields.get(aggregate.of.code) if isinstance(aggregate.of, Name) else None
    return field is not None and field.required


def _said(node: Node | None) -> str | None:
    return None if node is None else meaning(node)


def _exact(value: Any) -> Any:
    return str(value) if isinstance(value, Decimal) else value
