"""Identifiers that lie in the vault: opened to be normalised and linked, and published as tokens of their keys.

A key is personal where a field that bears one of its kind is vaulted. What is linked are keys, in files that are gone
afterwards; what is published and compared from then on are their tokens.
"""

import ibis
import ibis.expr.types as ir

from valtag_assets.engine.identity.keys import usable
from valtag_assets.engine.vault import is_token, token, values_of
from valtag_assets.expression.resolved import ResolvedSource
from valtag_assets.expression.resolved_identity import ResolvedIdentity

VAULT_NAME = "_identity"
"""The table of the vault with the keys; no source is called so."""


def unsealed(source: ResolvedSource, identity: ResolvedIdentity, table: ibis.Table) -> ibis.Table:
    """Rows of ``source`` with the values of their identifiers; reads the vault where there are vaulted ones."""
    return values_of(table, [field for field, _ in identity.fields[source.code] if field in source.vaulted])


def sealed_key(identity: ResolvedIdentity, code: str, key: ir.StringValue) -> ir.StringValue:
    """A key of the kind ``code`` as it is published."""
    return token(key) if identity.ranks[code] in identity.sealed else key


def sealed_keys(identity: ResolvedIdentity, table: ibis.Table) -> ibis.Table:
    """A table with ``kind`` and ``key``, the keys as they are published; those that are so already stay."""
    if not identity.sealed:
        return table
    key = (of_sealed_kinds(identity, table) & ~is_token(table["key"])).ifelse(token(table["key"]), table["key"])
    return table.mutate(key=key)


def kept_keys(identity: ResolvedIdentity, table: ibis.Table) -> ibis.Table:
    """(file, token, value) of every personal key of a table with ``kind`` and ``key``, as they are not published."""
    mine = table.filter(of_sealed_kinds(identity, table)).select("key").distinct()
    return mine.select(file=ibis.null("string"), token=token(mine["key"]), value="key").order_by("token")


def of_sealed_kinds(identity: ResolvedIdentity, table: ibis.Table) -> ir.BooleanValue:
    return table["kind"].isin([identity.kinds[rank].code for rank in sorted(identity.sealed)])


def with_keys(source: ResolvedSource, identity: ResolvedIdentity, table: ibis.Table) -> ibis.Table:
    """Rows of ``source`` with the key, as it is published, in each of its slots (``key_column``); the same key in two
    slots of a kind counts in the first."""
    borne = identity.fields[source.code]
    found = table.mutate(**{f"_v{slot.name}": table[field] for field, slot in borne})
    found = values_of(found, [f"_v{slot.name}" for field, slot in borne if field in source.vaulted])
    keys: dict[str, ir.StringValue] = {}
    for place, (_, slot) in enumerate(borne):
        key = usable(found[f"_v{slot.name}"], identity.kinds[slot.rank])
        for _, other in borne[:place]:
            if other.rank == slot.rank:
                key = key.nullif(usable(found[f"_v{other.name}"], identity.kinds[other.rank]))
        keys[key_column(slot.name)] = sealed_key(identity, identity.kinds[slot.rank].code, key)
    return found.mutate(**keys).drop(*(f"_v{slot.name}" for _, slot in borne))


def key_column(slot: str) -> str:
    return f"_{slot}"
