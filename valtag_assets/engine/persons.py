"""The population: one row per person the catalog knows.

A clean table keeps the key its source uses; which person a key stands for is decided here and nowhere else.
At present the declared key *is* the person: ``person_id`` is its text.
"""

import ibis

from valtag_assets.engine.session import unbound
from valtag_assets.expression.ibis_types import to_ibis_type
from valtag_assets.expression.resolve_source import ORIGIN_COLUMNS
from valtag_assets.expression.resolved import Resolved, ResolvedSource

PERSON = "person_id"
PERSONS = "identity/persons"


def clean_name(source: str) -> str:
    """The table key of a source's clean rows."""
    return f"clean/{source}"


def clean_table(source: ResolvedSource) -> ibis.Table:
    """The clean rows of ``source`` as an unbound table: its columns, then ``_file`` and ``_row``."""
    schema = {name: to_ibis_type(kind) for name, kind in source.columns.items()}
    schema |= dict(zip(ORIGIN_COLUMNS, (ibis.dtype("string"), ibis.dtype("int64")), strict=True))
    return unbound(clean_name(source.code), schema)


def keyed(source: ResolvedSource) -> ibis.Table:
    """The clean rows of ``source`` with ``person_id`` in front."""
    table = clean_table(source)
    assert source.spec.person is not None
    return table.mutate(**{PERSON: table[source.spec.person].cast("string")})


def population(resolved: Resolved) -> ibis.Table:
    """Every person once, sorted: (person_id)."""
    found = [keyed(resolved.sources[code]).select(PERSON) for code in resolved.catalog.person_sources()]
    persons = ibis.union(*found, distinct=True) if len(found) > 1 else found[0].distinct()
    return persons.filter(persons[PERSON].notnull()).order_by(PERSON)


def strangers(resolved: Resolved, source: ResolvedSource) -> ibis.Table:
    """One row: how many rows of ``source`` belong to nobody in the population, and to how many keys."""
    rows = keyed(source)
    missing = rows.anti_join(persons_table(), PERSON)
    return missing.aggregate(rows=missing.count(), keys=missing[PERSON].nunique())


def persons_table() -> ibis.Table:
    """The published population as an unbound table."""
    return unbound(PERSONS, {PERSON: "string"})
