"""Parcels as a typed table, for receivers that keep tables.

mirror and upsert: one row per (origin, person_id), so that one table holds several audiences. append: one row per
message_key, with the operation and the as-of. Then the fields, each a column of its own type.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from valtag_assets.delivery.message import Parcel
from valtag_assets.delivery.parcel import about
from valtag_assets.expression.resolved_delivery import TravellingField
from valtag_assets.spec.types import DATE, TEXT, DataType

Fields = Callable[[str], Sequence[TravellingField]]
"""The fields that travel from an origin (a delivery or trigger)."""

_SIMPLE = {
    "text": pa.string(),
    "integer": pa.int64(),
    "float": pa.float64(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us"),
}


@dataclass(frozen=True)
class Shape:
    """The columns of a receiver's table, in order, and which of them name a row."""

    key: tuple[str, ...]
    columns: Mapping[str, DataType]

    @property
    def values(self) -> tuple[str, ...]:
        return tuple(name for name in self.columns if name not in self.key)


def shape_of(fields: Sequence[TravellingField], mode: str) -> Shape:
    """The table that ``fields`` make in that mode."""
    own = {field.name: field.type for field in fields}
    if mode == "append":
        named = {"message_key": TEXT, "origin": TEXT, "person_id": TEXT, "operation": TEXT, "as_of": DATE}
        return Shape(("message_key",), {**named, **own})
    return Shape(("origin", "person_id"), {"origin": TEXT, "person_id": TEXT, **own})


@dataclass(frozen=True)
class Change:
    """Rows to be put into a table of that shape, and the keys of those to be taken out."""

    shape: Shape
    put: pa.Table
    gone: pa.Table


def changes_of(parcels: Sequence[Parcel], fields: Fields, mode: str) -> dict[str, Change]:
    """What the parcels change, by origin."""
    found: dict[str, list[Parcel]] = {}
    for parcel in parcels:
        found.setdefault(parcel.message.origin, []).append(parcel)
    return {origin: _change(own, shape_of(fields(origin), mode), mode) for origin, own in found.items()}


def _change(parcels: Sequence[Parcel], shape: Shape, mode: str) -> Change:
    leaving = [mode != "append" and parcel.message.operation == "remove" for parcel in parcels]
    rows = [{**about(parcel), **parcel.fields} for parcel in parcels]
    put = [row for row, leaves in zip(rows, leaving, strict=True) if not leaves]
    gone = [row for row, leaves in zip(rows, leaving, strict=True) if leaves]
    keys = {name: shape.columns[name] for name in shape.key}
    return Change(shape, arrow_table(put, shape.columns), arrow_table(gone, keys))


def arrow_table(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, DataType]) -> pa.Table:
    """``rows``, whose values are as JSON has them, with these columns; what a row lacks is null."""
    return pa.table({name: _array([row.get(name) for row in rows], kind) for name, kind in columns.items()})


def _array(values: Sequence[Any], kind: DataType) -> pa.Array:
    # JSON carries these as text, which loses nothing.
    if kind.kind in ("decimal", "date", "timestamp"):
        return pa.array(values, pa.string()).cast(arrow_type(kind))
    if kind.kind == "text":
        values = [value if value is None or isinstance(value, str) else json.dumps(value) for value in values]
    return pa.array(values, arrow_type(kind))


def arrow_type(kind: DataType) -> pa.DataType:
    """The Arrow type that holds a catalog type."""
    if kind.kind == "decimal":
        return pa.decimal128(kind.precision, kind.scale)
    if kind.kind == "list":
        return pa.list_(_SIMPLE[str(kind.item)])
    return _SIMPLE[kind.kind]


def flat(table: pa.Table) -> pa.Table:
    """``table`` with its lists as JSON text, for formats that have none."""
    for number, field in enumerate(table.schema):
        if pa.types.is_list(field.type):
            lists = table[number].to_pylist()
            texts = [None if item is None else json.dumps(item, ensure_ascii=False) for item in lists]
            table = table.set_column(number, field.name, pa.array(texts, pa.string()))
    return table
