"""Of which brands a person, and a row, is: several brands in one warehouse, and readers who see their own alone.

Whether somebody is of a brand is said by the tag that access.yaml names, as it is now, whatever as-of is looked at.
"""

from collections.abc import Collection, Mapping

import ibis
import ibis.expr.types as ir

from valtag_assets.engine.persons import OWNER, PERSON
from valtag_assets.engine.reader import Reader
from valtag_assets.engine.session import unbound
from valtag_assets.engine.tags import category_table, tags_name
from valtag_assets.expression.resolved import Resolved
from valtag_assets.spec.access import Brands
from valtag_assets.warehouse.snapshot import TableRef

VISIBLE = "brands/visible"
"""The unbound table (person_id) of those whom a reader of some brands may know of."""
_BY_PERSON = ("tags", "scores", "segments", "triggers")


def declared(resolved: Resolved) -> Brands:
    """What access.yaml says of brands. Only to be asked where it says something."""
    brands = resolved.catalog.access.brands
    assert brands is not None, "only a catalog that declares brands has readers of some"
    return brands


def brand_tag(resolved: Resolved) -> tuple[str, str]:
    """The table and the column that say of which brands a person is."""
    tag = declared(resolved).tag
    return tags_name(resolved.category_of(tag)), tag


def persons_of_brands(resolved: Resolved, brands: Collection[str]) -> ibis.Table:
    """(person_id) of everybody who is of one of the brands, over the unbound table of the tag's category."""
    tag = declared(resolved).tag
    table = category_table(resolved, resolved.category_of(tag))
    return table.filter(_is_of(table[tag], brands)).select(PERSON)


def of_visible(table: ibis.Table, column: str = PERSON) -> ibis.Table:
    """The rows of ``table`` whose ``column`` is one of the persons in ``VISIBLE``."""
    visible = unbound(VISIBLE, {PERSON: "string"})
    return table.semi_join(visible, table[column].cast("string") == visible[PERSON])


def rows_for(reader: Reader, ref: TableRef, table: ibis.Table) -> ibis.Table:
    """The rows of a published table that are for the reader; those of some brands need ``VISIBLE`` beside it.

    Raises Denied for a table of which nobody can say of which brand a row is.
    """
    if reader.brands is None:
        return table
    if ref.stage in _BY_PERSON or ref.key == "identity/persons":
        return of_visible(table)
    source = reader.resolved.sources.get(ref.name) if ref.stage in ("clean", "merged", "keyed") else None
    if source is None or (source.spec.person is None and source.spec.kind != "lookup"):
        reader.require_every_brand(ref.key)
    if source is None or source.spec.person is None:
        return table
    if ref.stage != "keyed" and reader.resolved.sources[ref.name].keyed:
        # A source's key is not the person any more; the keyed table says who is.
        reader.require_every_brand(ref.key)
    return of_visible(of_own_brands(reader, ref.name, table), OWNER if ref.stage == "keyed" else source.spec.person)


def of_own_brands(reader: Reader, source: str, table: ibis.Table) -> ibis.Table:
    """The rows of a fact that are of the reader's brands, where a field of it says so."""
    field = brand_field(reader, source)
    return table if field is None else table.filter(table[field].isin(sorted(reader.brands or ())))


def brand_field(reader: Reader, source: str) -> str | None:
    """The field that says of which brand a row of ``source`` is, for a reader who does not see all of them."""
    return None if reader.brands is None else declared(reader.resolved).fields.get(source)


def is_of_brands(value: object, brands: Collection[str]) -> bool:
    """Whether a person whose brand tag has this value is of one of the brands."""
    return bool(set(value) & set(brands)) if isinstance(value, list) else value in brands


def _is_of(value: ir.Value, brands: Collection[str]) -> ir.BooleanValue:
    if not value.type().is_array():
        return value.isin(sorted(brands)).fill_null(False)
    found: ir.BooleanValue = ibis.literal(False)
    for brand in sorted(brands):
        found = found | value.contains(brand).fill_null(False)
    return found


def brand_inputs(resolved: Resolved) -> Mapping[str, frozenset[str]]:
    """The table that ``persons_of_brands`` reads, and its column, as what a gate asks for."""
    table, column = brand_tag(resolved)
    return {table: frozenset({column})}
