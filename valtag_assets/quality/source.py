"""What a source's clean table must satisfy before anything reads it. Every error holds the whole table."""

from collections.abc import Iterator, Mapping
from typing import Any

from valtag_assets.expression.resolve_source import ORIGIN_COLUMNS
from valtag_assets.expression.resolved import Resolved, ResolvedSource
from valtag_assets.quality.column import (
    Column,
    catalog_checks,
    not_vanished,
    present,
    rule_at,
    shown_of,
)
from valtag_assets.quality.expectation import (
    COMPOUND_UNIQUE,
    ROW_COUNT_EQUALS,
    UNIQUE,
    Expectation,
    with_unique_names,
)
from valtag_assets.quality.table import row_count
from valtag_assets.spec.block import Access, Title
from valtag_assets.spec.source import Field
from valtag_assets.warehouse.snapshot import Snapshot, Verdict


def sample_key(source: ResolvedSource) -> str:
    """The column that names a row of the clean table in samples."""
    key = source.spec.key
    return source.spec.person or (key[0] if key else ORIGIN_COLUMNS[1])


def source_expectations(
    resolved: Resolved,
    source: ResolvedSource,
    previous: Snapshot | None,
    clean: int | None = None,
) -> list[Expectation]:
    """What the clean table of ``source`` must satisfy; ``clean`` is how many rows cleaning says it wrote."""
    spec, entry, root = source.spec, source.entry, resolved.catalog.root
    found = [row_count(entry, resolved, spec.checks.min_rows, spec.checks.max_rows_drop, previous)]
    if clean is not None:
        title = Title(zh=f"正好 {clean} 行，与清洗账目一致", en=f"exactly the {clean} rows cleaning has counted")
        counted = {"value": clean}
        rule = rule_at(entry, root)
        found.append(Expectation("rows_counted", ROW_COUNT_EQUALS, None, counted, "error", "table", title, rule))
    metrics = previous.metrics if previous else {}
    columns = {item.name: _column(resolved, source, item, number, metrics) for number, item in enumerate(spec.fields)}
    found.extend(_key(resolved, source))
    found.extend(_time(resolved, source, columns, metrics))
    for item in spec.fields:
        column = columns[item.name]
        if item.required or item.name in (spec.person, spec.time):
            found.append(present(column))
        elif item.layer == "core":
            found.extend(not_vanished(column))
        found.extend(catalog_checks(column, item.checks))
    return with_unique_names(found)


def account_verdicts(
    resolved: Resolved,
    source: ResolvedSource,
    *,
    rows_in: int,
    clean: int,
    quarantined: int,
    merged: int,
    filtered: int,
    erased: int = 0,
    by_rule: Mapping[str, int] | None = None,
) -> list[Verdict]:
    """Whether every row read is accounted for, and whether few enough were refused (by which rules)."""
    root, most = resolved.catalog.root, source.spec.checks.max_quarantined
    accounted = clean + quarantined + merged + filtered + erased
    numbers = {"clean": clean, "quarantined": quarantined, "merged": merged, "filtered": filtered}
    numbers |= {"erased": erased} if erased else {}
    share = quarantined / rows_in if rows_in else 0.0
    balance = {
        "title": {
            "zh": "读入 = 清洁 + 隔离 + 合并 + 过滤 + 删除",
            "en": "rows in = clean + quarantined + merged + filtered + erased",
        },
        "rule": rule_at(source.entry, root),
        "observed": numbers,
        "expected": rows_in,
        "sample": [],
    }
    refused = {
        "title": {
            "zh": f"隔离比例不超过 {most:.2%}",
            "en": f"at most {most:.2%} of the rows are quarantined",
        },
        "rule": rule_at(source.entry, root, "checks", "max_quarantined"),
        "observed": share,
        "expected": most,
        "rules": dict(sorted((by_rule or {}).items(), key=lambda rule: (-rule[1], rule[0]))[:5]),
        "sample": [],
    }
    missing = abs(rows_in - accounted)
    return [
        Verdict("account", None, "error", missing == 0, "table", missing, rows_in, balance),
        Verdict("quarantined", None, "error", share <= most, "table", quarantined, rows_in, refused),
    ]


def _column(
    resolved: Resolved, source: ResolvedSource, item: Field, number: int, metrics: Mapping[str, Any]
) -> Column:
    return Column(
        item.name,
        item.type,
        source.titles[item.name],
        sample_key(source),
        "table",
        shown_of([item.access]),
        source.entry,
        ("fields", number),
        resolved.catalog.root,
        metrics,
        ORIGIN_COLUMNS,
    )


def _key(resolved: Resolved, source: ResolvedSource) -> Iterator[Expectation]:
    """What identifies a row: the key equal rows were merged by (rows with an empty key are never equal)."""
    merge = source.spec.merge
    if merge is None:
        return
    names = ", ".join(merge.key)
    title = Title(zh=f"每个 {names} 只有一行", en=f"one row per {names}")
    place = "deduplicate" if source.spec.deduplicate else "key"
    single = len(merge.key) == 1
    levels: dict[str, Access] = {item.name: item.access for item in source.spec.fields}
    arguments = {} if single else {"column_list": list(merge.key), "ignore_row_if": "any_value_is_missing"}
    yield Expectation(
        check="key",
        kind=UNIQUE if single else COMPOUND_UNIQUE,
        column=merge.key[0] if single else None,
        arguments=arguments,
        severity="error",
        holds="table",
        title=title,
        rule=rule_at(source.entry, resolved.catalog.root, place),
        shows=shown_of(levels.get(name, "internal") for name in merge.key),
    )


def _time(
    resolved: Resolved, source: ResolvedSource, columns: Mapping[str, Column], metrics: Mapping[str, Any]
) -> Iterator[Expectation]:
    """A fact's time may be computed, and then no field stands for it."""
    name = source.spec.time
    if name is not None and name not in columns:
        yield present(
            Column(
                name,
                source.columns[name],
                source.titles[name],
                sample_key(source),
                "table",
                "shapes",
                source.entry,
                ("time",),
                resolved.catalog.root,
                metrics,
                ORIGIN_COLUMNS,
            )
        )
