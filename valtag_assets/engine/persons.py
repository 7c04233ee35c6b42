"""The population: one row per person the catalog knows.

A clean table keeps the key its source uses; which person a key stands for is decided here and nowhere else.
Without identity.yaml the declared key *is* the person: ``person_id`` is its text. With it the rows are read from
``keyed/<source>``, where each stands with the person its identifiers lead to (engine.identity).
"""

from collections.abc import Collection, Iterable

import ibis
import ibis.expr.datatypes as dt

from valtag_assets.engine.session import unbound
from valtag_assets.expression.ibis_types import to_ibis_type
from valtag_assets.expression.resolve_source import ORIGIN_COLUMNS
from valtag_assets.expression.resolved import PERSON, Resolved, ResolvedSource
from valtag_assets.spec.types import INTEGER, TEXT

PERSONS = "identity/persons"
STRANGERS = "identity/strangers"
STRANGER_COLUMNS = {"source": TEXT, "rows": INTEGER, "strangers": INTEGER, "keys": INTEGER}
# The person of a clean row. Not ``person_id``: a source may have a field of that name. No code starts with _.
OWNER = "_person"


def clean_name(source: str) -> str:
    """The table key of a source's clean rows."""
    return f"clean/{source}"


def keyed_name(source: ResolvedSource) -> str:
    """The key of the table that everything about persons reads the rows of ``source`` from."""
    return f"keyed/{source.code}" if source.keyed else clean_name(source.code)


def keyed_names(resolved: Resolved, sources: Iterable[str]) -> list[str]:
    """``keyed_name`` of each of ``sources``, in their order."""
    return [keyed_name(resolved.sources[code]) for code in sources]


def clean_table(source: ResolvedSource) -> ibis.Table:
    """The clean rows of ``source`` as an unbound table: its columns, then ``_file`` and ``_row``."""
    return unbound(clean_name(source.code), _row_schema(source))


def rows_table(source: ResolvedSource) -> ibis.Table:
    """The rows of ``source``, unbound under its ``keyed_name``: its columns, ``_file``, ``_row``; with identity.yaml
    also ``OWNER``."""
    schema = _row_schema(source)
    return unbound(keyed_name(source), schema | {OWNER: dt.string} if source.keyed else schema)


def owner_column(source: ResolvedSource) -> str:
    """The column of ``rows_table`` that says the person."""
    if source.keyed:
        return OWNER
    assert source.spec.person is not None
    return source.spec.person


def _row_schema(source: ResolvedSource) -> dict[str, dt.DataType]:
    schema = {name: to_ibis_type(kind) for name, kind in source.columns.items()}
    return schema | dict(zip(ORIGIN_COLUMNS, (dt.string, dt.int64), strict=True))


def keyed(source: ResolvedSource, fields: Collection[str] | None = None) -> ibis.Table:
    """The rows of ``source``, ``fields`` of them or all, with the person each belongs to as ``OWNER``."""
    table = rows_table(source)
    person = table[owner_column(source)].cast("string").name(OWNER)
    return table.select(person, *[name for name in source.columns if fields is None or name in fields])


def population(resolved: Resolved) -> ibis.Table:
    """Every person once, sorted: (person_id)."""
    rows = [keyed(resolved.sources[code], ()) for code in resolved.catalog.person_sources()]
    found = [table.select(**{PERSON: table[OWNER]}) for table in rows]
    persons = ibis.union(*found, distinct=True) if len(found) > 1 else found[0].distinct()
    return persons.filter(persons[PERSON].notnull()).order_by(PERSON)


def strangers(source: ResolvedSource) -> ibis.Table:
    """One row (source, rows, strangers, keys): how many rows, and of how many keys, belong to nobody."""
    rows, persons = keyed(source, ()), persons_table()
    missing = rows.anti_join(persons, rows[OWNER] == persons[PERSON])
    counted = missing.aggregate(strangers=missing.count(), keys=missing[OWNER].nunique())
    table = rows.aggregate(rows=rows.count()).cross_join(counted)
    return table.select(source=ibis.literal(source.code), rows="rows", strangers="strangers", keys="keys")


def persons_table() -> ibis.Table:
    """The published population as an unbound table."""
    return unbound(PERSONS, {PERSON: "string"})


def one_person(person: str, name: str = PERSONS) -> ibis.Table:
    """(person_id) of that person alone in the table ``name``; no row for nobody."""
    table = unbound(name, {PERSON: "string"})
    return table.filter(table[PERSON] == ibis.literal(person))


def beside(table: ibis.Table, part: ibis.Table) -> ibis.Table:
    """``table`` with the columns of ``part``, which has a person at most once; null where it has none."""
    renamed = part.rename({f"_{PERSON}": PERSON})
    return table.left_join(renamed, table[PERSON] == renamed[f"_{PERSON}"]).drop(f"_{PERSON}")
