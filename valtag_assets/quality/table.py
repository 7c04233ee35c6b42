"""What every table must satisfy: its key, its columns, and about as many rows as before."""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from valtag_assets.expression.resolved import Resolved
from valtag_assets.quality import queries
from valtag_assets.quality.column import Column, present, rule_at, shown_of
from valtag_assets.quality.expectation import COLUMNS, ROW_COUNT, ROWS, UNIQUE, Expectation
from valtag_assets.spec.block import Severity, Title
from valtag_assets.spec.catalog import Entry
from valtag_assets.spec.segment import Size
from valtag_assets.spec.types import TEXT, DataType
from valtag_assets.warehouse.snapshot import Snapshot

KEY = "person_id"


def key_expectations(entry: Entry[Any], resolved: Resolved, *place: str) -> list[Expectation]:
    """One row per person, and none without one. ``place`` is the rule's place in the entry."""
    column = Column(
        KEY,
        TEXT,
        resolved.catalog.project.persons.title,
        KEY,
        "table",
        shown_of([resolved.catalog.project.persons.access]),
        entry,
        place,
        resolved.catalog.root,
        {},
    )
    once = Title(zh="每人一行", en="one row per person")
    return [present(column), column.expectation("unique", UNIQUE, {}, once)]


def row_count(
    entry: Entry[Any],
    resolved: Resolved,
    at_least: int,
    most_drop: float,
    previous: Snapshot | None,
    severity: Severity = "error",
) -> Expectation:
    """At least ``at_least`` rows, and no more than the share ``most_drop`` lost since the last snapshot."""
    least = at_least
    if previous is not None:
        # Rounded before ceil: (1 − 0.2) × 5 is a little more than 4 in floats.
        least = max(least, math.ceil(round((1 - most_drop) * previous.rows, 6)))
    before = Title(zh="", en="")
    if previous is not None:
        before = Title(zh=f"（上次 {previous.rows}）", en=f" (before: {previous.rows})")
    return Expectation(
        check="rows",
        kind=ROW_COUNT,
        column=None,
        arguments={"min_value": least},
        severity=severity,
        holds="table" if severity == "error" else "nothing",
        title=Title(zh=f"至少 {least} 行{before.zh}", en=f"at least {least} rows{before.en}"),
        rule=rule_at(entry, resolved.catalog.root, "checks"),
    )


def size_between(entry: Entry[Any], root: Path, size: Size, previous: Snapshot | None) -> Expectation:
    """A size within ``size``'s bounds, and no jump since the ``previous`` snapshot (of the same rule)."""
    least, most = size.min, size.max
    before = Title(zh="", en="")
    if previous is not None and size.jump:
        before = Title(zh=f"（上次 {previous.rows}）", en=f" (before: {previous.rows})")
        grown = max(math.floor(previous.rows * size.jump), size.jump_from)
        most = grown if most is None else min(most, grown)
        if previous.rows >= size.jump_from:
            least = max(least, math.ceil(round(previous.rows / size.jump, 6)))
    upto = Title(zh="", en="") if most is None else Title(zh=f"、至多 {most} 人", en=f" and at most {most}")
    return Expectation(
        check="size",
        kind=ROW_COUNT,
        column=None,
        arguments={"min_value": least, **({} if most is None else {"max_value": most})},
        severity="error",
        holds="table",
        title=Title(zh=f"至少 {least}{upto.zh}{before.zh}", en=f"at least {least}{upto.en} members{before.en}"),
        rule=rule_at(entry, root, "size"),
    )


def schema(entry: Entry[Any], resolved: Resolved, columns: Mapping[str, DataType]) -> Iterator[Expectation]:
    rule = rule_at(entry, resolved.catalog.root)
    names = {"column_set": sorted(columns), "exact_match": True}
    title = Title(zh="列与目录一致", en="the columns are those of the catalog")
    yield Expectation("columns", COLUMNS, None, names, "error", "table", title, rule)
    query, measure = queries.wrong_types(columns)
    yield Expectation(
        "types",
        ROWS,
        None,
        {"unexpected_rows_query": query},
        "error",
        "table",
        Title(zh="列的类型与目录一致", en="the columns have the types of the catalog"),
        rule,
        expected={name: str(kind) for name, kind in columns.items()},
        measure=measure,
        shows="values",  # names of columns and types
    )
