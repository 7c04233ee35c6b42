"""What an asset page shows: schema with units and meanings, lineage to source columns, coverage, SQL."""

from collections.abc import Iterable, Mapping
from datetime import datetime, time, timedelta
from typing import Any

import dagster as dg

from valtag_assets.engine.identity.tables import COLUMNS
from valtag_assets.engine.persons import keyed_name
from valtag_assets.expression.origins import lineage_texts
from valtag_assets.expression.resolved import (
    Resolved,
    ResolvedCategory,
    ResolvedScore,
    ResolvedSource,
    ResolvedTag,
)
from valtag_assets.graph.comments import score_comments
from valtag_assets.graph.setting import Setting
from valtag_assets.graph.stages import asset_key
from valtag_assets.spec.block import Title
from valtag_assets.warehouse.snapshot import Snapshot

PERSON_COLUMN = dg.TableColumn("person_id", "text", description="个人标识 · Person id")


def describe(title: Title, *more: str | None) -> str:
    """The bilingual description of an asset, as Markdown."""
    return "\n\n".join([f"**{title.zh} · {title.en}**", *[text for text in more if text]])


def source_schema(source: ResolvedSource) -> dg.TableSchema:
    """Columns of a clean table: type, title, where each comes from."""
    written = {field.name: field for field in source.spec.fields}
    columns = []
    for name, kind in source.columns.items():
        field = written.get(name)
        origin = f" ← {source.code}.“{field.source_name}”" if field else ""
        notes = [f"{source.titles[name].zh} · {source.titles[name].en}{origin}"]
        if field and field.unit:
            notes.append(f"unit {field.unit[-1].to}")
        if field:
            notes.append(f"{field.layer}, {field.access}")
        constraints = dg.TableColumnConstraints(nullable=not (field and field.required))
        columns.append(dg.TableColumn(name, str(kind), description="; ".join(notes), constraints=constraints))
    return dg.TableSchema(columns)


def identity_schema(table: str) -> dg.TableSchema:
    """Columns of a table of identifiers or their persons."""
    said = COLUMNS[table].items()
    return dg.TableSchema([dg.TableColumn(name, str(kind), description=str(title)) for name, (kind, title) in said])


def category_schema(resolved: Resolved, category: ResolvedCategory) -> dg.TableSchema:
    """Columns of a category: every tag with type, unit, meaning and the source columns it rests on."""
    order = [tag for code in resolved.tags for tag in category.tags if tag.code == code]
    return dg.TableSchema([PERSON_COLUMN, *[_tag_column(resolved, tag) for tag in order]])


def _tag_column(resolved: Resolved, tag: ResolvedTag) -> dg.TableColumn:
    spec = tag.spec
    notes = [f"{tag.title.zh} · {tag.title.en}"]
    notes += [text for text in (spec.meaning, f"unit {spec.unit}" if spec.unit else None) if text]
    notes.append("← " + (", ".join(lineage_texts(resolved, tag)) or "population"))
    notes.append(f"{tag.kind}, {spec.layer}, {spec.access}")
    return dg.TableColumn(
        tag.code,
        str(tag.type),
        description="; ".join(notes),
        constraints=dg.TableColumnConstraints(nullable=spec.empty is None, other=_domain(tag)),
    )


def _domain(tag: ResolvedTag) -> list[str]:
    domain, found = tag.spec.domain, []
    if domain.min is not None:
        found.append(f"≥ {domain.min:g}")
    if domain.max is not None:
        found.append(f"≤ {domain.max:g}")
    if tag.values:
        found.append("one of " + ", ".join(tag.values[:12]) + (" …" if len(tag.values) > 12 else ""))
    return found


def category_lineage(resolved: Resolved, category: ResolvedCategory) -> dg.TableColumnLineage:
    """Column lineage from each tag to the clean columns and tags it reads directly."""
    return dg.TableColumnLineage(
        {
            tag.code: [
                dg.TableColumnDep(asset_key(keyed_name(resolved.sources[source])), field)
                for source, field in sorted(tag.fields)
            ]
            + [
                dg.TableColumnDep(dg.AssetKey(["tags", resolved.category_of(code)]), code)
                for code in sorted(tag.tags)
                if resolved.category_of(code) != category.code
            ]
            for tag in category.tags
        }
    )


def tag_dictionary(resolved: Resolved, tags: Iterable[ResolvedTag]) -> str:
    """The tags of a category as a Markdown table."""
    lines = ["| 标签 tag | 名称 | name | type | unit | kind | 来源 from |", "|---|---|---|---|---|---|---|"]
    lines += [
        f"| `{tag.code}` | {tag.title.zh} | {tag.title.en} | {tag.type} | {tag.spec.unit or ''} | {tag.kind} "
        f"| {', '.join(lineage_texts(resolved, tag))} |"
        for tag in tags
    ]
    return "\n".join(lines)


def score_schema(score: ResolvedScore) -> dg.TableSchema:
    said = score_comments(score)
    columns = [dg.TableColumn(name, str(kind), description=said[name]) for name, kind in score.columns.items()]
    return dg.TableSchema([PERSON_COLUMN, *columns])


def materialization_metadata(setting: Setting, snapshot: Snapshot, *, reused: bool) -> dict[str, Any]:
    """Row count, coverage, data age and address of a published snapshot."""
    held = sorted(snapshot.held)
    shown: dict[str, Any] = {
        "dagster/row_count": snapshot.rows,
        "as of 统计截止日": snapshot.as_of.isoformat() if snapshot.as_of else "independent of time",
        "known at 发布时间": dg.MetadataValue.timestamp(snapshot.known_at),
        "snapshot 快照": snapshot.id,
        "content hash": snapshot.content_hash,
        "unchanged 未变化": reused,
    }
    if snapshot.data_until is not None:
        shown["data until 数据截至"] = snapshot.data_until.isoformat(sep=" ")
        age = data_age_days(snapshot)
        if age is not None:
            shown["data age (days) 数据年龄"] = age
    if held:
        shown["held tags 暂停的标签"] = ", ".join(held)
    columns = snapshot.metrics.get("profile", {}).get("columns", {})
    if columns:
        shown["coverage 覆盖率"] = dg.MetadataValue.table(_coverage_rows(columns))
    for stage, seconds in snapshot.metrics.get("seconds", {}).items():
        shown[f"seconds {stage}"] = float(seconds)
    account = snapshot.metrics.get("account")
    if account:
        shown["account 行数平衡"] = dg.MetadataValue.json(dict(account))
    return shown


def data_age_days(snapshot: Snapshot) -> int | None:
    """Days from the latest event seen to the end of the as-of; 0 when events reach it."""
    if snapshot.data_until is None or snapshot.as_of is None:
        return None
    return max(0, (snapshot.as_of - snapshot.data_until.date()).days)


def end_of(as_of_day: Any) -> datetime:
    """The last instant (microsecond) of a local date."""
    return datetime.combine(as_of_day + timedelta(days=1), time()) - timedelta(microseconds=1)


def _coverage_rows(columns: Mapping[str, Mapping[str, Any]]) -> list[dg.TableRecord]:
    return [
        dg.TableRecord(
            {
                "column": name,
                "coverage": f"{column['coverage']:.1%}" if column.get("coverage") is not None else "",
                "nulls": int(column.get("nulls", 0)),
                "min": str(column.get("min", "") if column.get("min") is not None else ""),
                "max": str(column.get("max", "") if column.get("max") is not None else ""),
                "mean": "" if column.get("mean") is None else f"{column['mean']:.4g}",
            }
        )
        for name, column in columns.items()
    ]
