"""Whose a row of a published table is: the columns of each table that name the person it is about."""

from collections.abc import Sequence

from valtag_assets.engine.access import QUARANTINE, field_levels
from valtag_assets.engine.persons import OWNER, PERSON
from valtag_assets.expression.resolved import Resolved, ResolvedSource
from valtag_assets.warehouse.rewriting import Whose
from valtag_assets.warehouse.snapshot import TableRef
from valtag_assets.warehouse.tokens import VAULT

PERSON_COLUMNS = (PERSON, OWNER, "was", "now", "other_id")
"""Columns of these names hold persons in every table; the last three where persons are beside each other."""


def whose(resolved: Resolved, table: TableRef, columns: Sequence[str]) -> Whose:
    """How the rows of ``table`` are known to be a person's; of a source the catalog has no more, by every column."""
    if table.stage in (QUARANTINE, VAULT):
        return Whose((), whole=True)
    # An identifier belongs to a person as a row does.
    known = (*PERSON_COLUMNS, "key") if table.stage == "identity" else PERSON_COLUMNS
    found = [name for name in known if name in columns]
    if table.stage in ("clean", "merged", "keyed"):
        source = resolved.sources.get(table.name)
        if source is None:
            return Whose(tuple(found), whole=True)
        found += [name for name in owner_fields(resolved, source) if name in columns and name not in found]
    return Whose(tuple(found))


def owner_fields(resolved: Resolved, source: ResolvedSource) -> list[str]:
    """The fields of a source that say whose a row is: its person's key, or with identity.yaml its identifiers."""
    if source.keyed and resolved.identity is not None:
        return [name for name, _ in resolved.identity.fields[source.code]]
    return [] if source.spec.person is None else [source.spec.person]


def passing_fields(resolved: Resolved, source: ResolvedSource) -> list[str]:
    """The identifiers of a source that go to somebody else when nobody has used them for a while."""
    identity = resolved.identity
    if identity is None or not source.keyed:
        return []
    return [name for name, slot in identity.fields[source.code] if identity.kinds[slot.rank].days is not None]


def personal_fields(resolved: Resolved, source: ResolvedSource) -> list[str]:
    """The fields of a source whose values may tell a person: personal ones that are texts or whole numbers."""
    levels, own = field_levels(resolved, source), owner_fields(resolved, source)
    return [
        name
        for name, kind in source.columns.items()
        if levels.get(name) == "pii" and kind.kind in ("text", "integer") and name not in own
    ]


def telling_fields(resolved: Resolved, source: ResolvedSource) -> list[str]:
    """The fields of a source that tell a person in one way or the other."""
    return [*owner_fields(resolved, source), *personal_fields(resolved, source)]
