"""The rows of a source with the person each belongs to: that of its strongest identifier that is a key.

A fact keeps its rows. A master has one row per person: of several, each field is the first that is not empty, in
the order of ``deduplicate``, else the newest first. A key that went on to somebody else is nobody's field any more.
"""

import ibis
import ibis.expr.types as ir

from valtag_assets.engine.identity.sealing import key_column, with_keys
from valtag_assets.engine.identity.sightings import moment_of, within
from valtag_assets.engine.identity.tables import KEYS, SUCCESSORS, identity_table
from valtag_assets.engine.persons import OWNER, PERSON, clean_table
from valtag_assets.expression.resolve_source import ORIGIN_COLUMNS
from valtag_assets.expression.resolved import ResolvedSource
from valtag_assets.expression.resolved_identity import ResolvedIdentity

_PLACE = "_place"


def keyed_rows(source: ResolvedSource, identity: ResolvedIdentity) -> ibis.Table:
    """The clean rows of ``source`` and whose each is, as OWNER; null where it is nobody's. In their order.

    Reads KEYS; of a source with ids that valtag gave also SUCCESSORS.
    """
    clean = clean_table(source)
    table, keys, found = with_keys(source, identity, clean), identity_table(KEYS), []
    for _, slot in identity.fields[source.code]:
        kind = identity.kinds[slot.rank]
        name, moment = key_column(slot.name), f"_at_{slot.name}"
        table = table.mutate(**{moment: moment_of(source, table).date()})
        mine = keys.filter(keys["kind"] == kind.code)
        own = mine.select(
            **{f"{name}_key": "key", f"{name}_since": "since", f"{name}_until": "until", f"{name}_person": PERSON}
        )
        fits: list[ir.BooleanValue] = [table[name] == own[f"{name}_key"]]
        if kind.days:
            fits.append(within(own[f"{name}_since"].date(), own[f"{name}_until"].date(), table[moment]))
        table = table.left_join(own, fits)
        found.append(f"{name}_person")
    field = identity.given.get(source.code)
    if field is not None:
        now = _present().rename(_given="was", _given_person="now")
        table = table.left_join(now, table[field].cast("string") == now["_given"])
        found.append("_given_person")
    owner = ibis.coalesce(*(table[name] for name in found))
    return table.select(*clean.columns, **{OWNER: owner})


def _present() -> ibis.Table:
    """(was, now): every id that is or was a person's, and whose it is now."""
    known, keys = identity_table(SUCCESSORS), identity_table(KEYS)
    living = keys.select(was=PERSON).distinct()
    living = living.mutate(now=living["was"])
    return ibis.union(known.filter(known["now"].notnull()).select("was", "now"), living)


def without_lost_keys(source: ResolvedSource, identity: ResolvedIdentity, rows: ibis.Table) -> ibis.Table:
    """The keyed ``rows`` of a master, where a key that is another person's by now is null: who is written to at a
    recycled number is the wrong one. Reads KEYS."""
    keys, table = identity_table(KEYS), rows
    for field, slot in identity.fields[source.code]:
        kind = identity.kinds[slot.rank]
        if kind.days:
            holders = keys.filter(keys["kind"] == kind.code, keys["until"].isnull())
            present = holders.select(_held="key", _holder=PERSON)
            table = with_keys(source, identity, table)
            table = table.left_join(present, table[key_column(slot.name)] == present["_held"])
            lost = table["_holder"].notnull() & (table["_holder"] != table[OWNER])
            kept = lost.fill_null(False).ifelse(ibis.null(table[field].type()), table[field])
            table = table.mutate(**{field: kept}).select(*rows.columns)
    return table


def one_row_each(source: ResolvedSource, rows: ibis.Table) -> ibis.Table:
    """One row per person of the keyed ``rows`` of a master; rows of nobody are left out. Sorted by person."""
    known = rows.filter(rows[OWNER].notnull())
    place = ibis.row_number().over(group_by=OWNER, order_by=_order(source, known))
    placed = known.mutate(**{_PLACE: place})
    values = {name: placed[name].argmin(placed[_PLACE], where=placed[name].notnull()) for name in source.columns}
    origin = {name: placed[name].argmin(placed[_PLACE]) for name in ORIGIN_COLUMNS}
    merged = placed.group_by(OWNER).aggregate(**values, **origin)
    return merged.select(*source.columns, *ORIGIN_COLUMNS, OWNER).order_by(OWNER)


def _order(source: ResolvedSource, rows: ibis.Table) -> list[ir.Value]:
    """Which row of a person comes first: as ``deduplicate`` says, then the newest, then the last row read."""
    declared = source.spec.deduplicate.order if source.spec.deduplicate else ()
    steps = [tuple(text.split()) for text in declared]
    if source.spec.time is not None and source.spec.time not in {step[0] for step in steps}:
        steps.append((source.spec.time, "desc"))
    steps += [(name, "desc") for name in ORIGIN_COLUMNS]
    return [
        rows[name].desc(nulls_first=False) if way == ["desc"] else rows[name].asc(nulls_first=False)
        for name, *way in steps
    ]
