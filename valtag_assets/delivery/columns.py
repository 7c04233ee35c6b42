"""The columns that travel, beside a table of persons."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import ibis
import ibis.expr.types as ir

from valtag_assets.engine.lookup import json_text
from valtag_assets.engine.persons import PERSON, beside
from valtag_assets.engine.rules import HOLDOUT, column_inputs, segment_table, segments_name, with_columns
from valtag_assets.expression.resolved import Resolved
from valtag_assets.expression.resolved_delivery import TravellingField
from valtag_assets.spec.types import BOOLEAN, DataType
from valtag_assets.warehouse.damage import damage
from valtag_assets.warehouse.errors import WarehouseError
from valtag_assets.warehouse.snapshot import Snapshot, TableRef
from valtag_assets.warehouse.store import Warehouse


def field_tables(resolved: Resolved, fields: Sequence[TravellingField]) -> dict[str, frozenset[str]]:
    """The tables that hold what travels, and which columns of each."""
    columns = {field.source for field in fields if field.kind != "segment"}
    segments = {segments_name(field.source) for field in fields if field.kind == "segment"}
    return column_inputs(resolved, columns) | dict.fromkeys(segments, frozenset())


def with_fields(resolved: Resolved, table: ibis.Table, fields: Sequence[TravellingField]) -> ibis.Table:
    """``table``, one row per person, with the source of every field as a column of its name."""
    table = with_columns(resolved, table, {field.source for field in fields if field.kind != "segment"})
    for code in sorted({field.source for field in fields if field.kind == "segment"}):
        members = segment_table(code)
        members = members.filter(~members[HOLDOUT].fill_null(False)).select(PERSON, **{code: ibis.literal(True)})
        table = beside(table, members)
        table = table.mutate(**{code: table[code].fill_null(False)})
    return table


def source_type(resolved: Resolved, field: TravellingField) -> DataType:
    """The type of what a field shows, before any mask."""
    if field.kind == "tag":
        return resolved.tags[field.source].type
    if field.kind == "score":
        return resolved.scores[str(resolved.score_of(field.source))].columns[field.source]
    return BOOLEAN


def json_object(resolved: Resolved, table: ibis.Table, fields: Sequence[TravellingField]) -> ir.StringValue:
    """A JSON object of the fields, by name, as text. Names are codes, so they need no escapes."""
    text: ir.StringValue = ibis.literal("{")
    for number, field in enumerate(fields):
        value = json_text(table[field.source], source_type(resolved, field))
        text = text.concat(f'{"," if number else ""}"{field.name}":', value)
    return text.concat("}")


def published_columns(
    resolved: Resolved, warehouse: Warehouse, persons: ibis.Table, fields: Sequence[TravellingField]
) -> tuple[ibis.Table, Mapping[str, Sequence[Path]]]:
    """(person_id, the JSON text of each field's source in turn) of ``persons``, and the files it reads.

    Each table is taken at its newest snapshot in which nothing that is read is held. WarehouseError if there is none.
    """
    inputs = {}
    for name, columns in field_tables(resolved, fields).items():
        inputs[name] = _newest_good(warehouse, TableRef.parse(name), columns).files
    table = with_fields(resolved, persons, fields)
    found = [
        json_text(table[field.source], source_type(resolved, field)).name(f"f{number}")
        for number, field in enumerate(fields)
    ]
    return table.select(table[PERSON], *found), inputs


def _newest_good(warehouse: Warehouse, table: TableRef, columns: frozenset[str]) -> Snapshot:
    history = sorted(warehouse.snapshots(table), key=lambda item: (str(item.as_of), item.known_at), reverse=True)
    for snapshot in history:
        if columns <= set(dict(snapshot.columns)) - snapshot.held and damage(snapshot) is None:
            return snapshot
    raise WarehouseError(f"{table} has no good snapshot with {', '.join(sorted(columns)) or 'members'}")
