"""The spread of fields with an outlier rule: how often each value occurs in each file.

The rule compares with the median over all rows, of files that are not read again, too. So what the median needs
of a file is kept: its values with their counts. From those of all files follow the exact median, and the files
with a value that a moved median puts on the other side of the rule: these are judged anew.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import ibis
from ibis.expr.types import BooleanValue, Table

from valtag_assets.engine.cleaning.account import Restated
from valtag_assets.engine.cleaning.by_file import Rows, restate_by_file
from valtag_assets.engine.cleaning.judge import RAW, staged
from valtag_assets.engine.cleaning.limits import outlier_limit, spread_value
from valtag_assets.engine.cleaning.restate import Before, Parts, standing, union
from valtag_assets.engine.reading.tables import RawTable
from valtag_assets.engine.session import Engine, unbound
from valtag_assets.spec.project import Project
from valtag_assets.spec.source import Field, Source

# Of decimals and integers ``units`` are whole units of the last decimal; of floats ``number`` is the value.
COLUMNS = ibis.schema({"file": "string", "field": "string", "units": "int64", "number": "float64", "rows": "int64"})
_SPREAD = "spread"


@dataclass(frozen=True)
class Medians:
    """The medians of the absolute values, by field (None: there is no value), and the spread they follow from.

    ``turned``: the files that stay and have a value which is an outlier now and was none, or the reverse.
    """

    of: Mapping[str, Decimal | None] = field(default_factory=dict)
    spread: Restated | None = None
    turned: frozenset[str] = frozenset()


def find_medians(
    engine: Engine,
    source: Source,
    project: Project,
    raw: RawTable | None,
    into: Path,
    before: Before | None = None,
    leaving: Collection[str] = (),
) -> Medians:
    """Restate the spread in the folder ``into`` / spread, and find the medians of all rows there are now.

    ``raw``, ``before`` and ``leaving`` are those of ``clean_source``. Without outlier rules nothing is done.
    Costs reading the spread of all files: at most one value per row of history, in practice a few.
    """
    before = before or Before()
    fields = [item for item in source.fields if item.outlier]
    if not fields:
        return Medians()
    new = None if raw is None else _counted(source, project, raw, fields)
    with TemporaryDirectory(dir=into, prefix=".passing-") as work:
        order = ("file", "field", "units", "number")
        spread = restate_by_file(engine, new, COLUMNS, order, before.spread, leaving, into / _SPREAD, Path(work))
    parts = standing(spread, before.spread)
    medians = _medians(engine, fields, parts)
    arrived = set() if raw is None else set(raw.names)
    turned = _turned(engine, fields, parts, before.medians, medians) - arrived
    return Medians(medians, spread, frozenset(turned))


def _counted(source: Source, project: Project, raw: RawTable, fields: list[Field]) -> Rows:
    plans, table = staged(source, project, raw, {})
    found = []
    for item in fields:
        units, number = spread_value(plans[item.name], table)
        values = table.select(file=table["_file"], field=ibis.literal(item.name), units=units, number=number)
        found.append(values.filter(values["units"].notnull() | values["number"].notnull()))
    rows = union(found)
    counted = rows.group_by(["file", "field", "units", "number"]).aggregate(rows=rows.count())
    return Rows(counted, {RAW: [Path(file) for file in raw.files]}, raw.names)


def _medians(engine: Engine, fields: list[Field], parts: Parts) -> dict[str, Decimal | None]:
    """The middle value, or the mean of the two in the middle."""
    table = unbound(_SPREAD, COLUMNS)
    values = table.group_by(["field", "units", "number"]).aggregate(rows=table["rows"].sum())
    ordered = ibis.window(group_by="field", order_by=["units", "number"], following=0)
    ranked = values.mutate(upto=values["rows"].sum().over(ordered), of=values["rows"].sum().over(group_by="field"))
    middles = {
        f"{end}_{name}": ranked[name].min(where=holds)
        for end, holds in (("low", ranked["upto"] * 2 >= ranked["of"]), ("high", ranked["upto"] * 2 > ranked["of"]))
        for name in ("units", "number")
    }
    rows = engine.fetch(ranked.group_by("field").aggregate(**middles), {_SPREAD: list(parts.values())}).to_pylist()
    found = {row["field"]: row for row in rows}
    return {item.name: _middle(item, found[item.name]) if item.name in found else None for item in fields}


def _middle(item: Field, row: Mapping[str, Any]) -> Decimal:
    if item.type.kind == "float":
        return Decimal(str((row["low_number"] + row["high_number"]) / 2))
    return (Decimal(row["low_units"]) + Decimal(row["high_units"])) / 2 / 10 ** (item.type.scale or 0)


def _turned(
    engine: Engine,
    fields: list[Field],
    parts: Parts,
    before: Mapping[str, Decimal | None],
    now: Mapping[str, Decimal | None],
) -> set[str]:
    """The files with a value between the limits of before and of now."""
    table = unbound(_SPREAD, COLUMNS)
    moved = []
    for item in fields:
        old, new = (outlier_limit(item, medians.get(item.name)) for medians in (before, now))
        # Without a limit of before there was no value.
        if old is not None and new is not None and old != new:
            moved.append((table["field"] == item.name) & _between(item, table, min(old, new), max(old, new)))
    if not moved:
        return set()
    rows = table.filter(ibis.or_(*moved)).select("file").distinct()
    return set(engine.fetch(rows, {_SPREAD: list(parts.values())})["file"].to_pylist())


def _between(item: Field, table: Table, low: Decimal, high: Decimal) -> BooleanValue:
    """Above ``low`` and not above ``high``."""
    if item.type.kind == "float":
        return (table["number"] > float(low)) & (table["number"] <= float(high))
    ends = [int(end.scaleb(item.type.scale or 0)) for end in (low, high)]
    return (table["units"] > ends[0]) & (table["units"] <= ends[1])
