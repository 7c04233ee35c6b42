"""Persons whose id is no more, and who holds their biggest piece now.

Two persons may turn out to be one. Tags, scores and audiences are made of rows as they are keyed now, so they follow
by themselves. What an earlier run left by person (the state of triggers, members of before, tiers of before, kept
values) is read through here. It is never rewritten: a person who turns out to be two after all has the own back.
"""

import ibis

from valtag_assets.engine.identity.history import SPLIT
from valtag_assets.engine.identity.tables import HISTORY, SUCCESSORS, identity_table
from valtag_assets.engine.persons import PERSON
from valtag_assets.expression.resolved import Resolved


def linked(resolved: Resolved) -> bool:
    """Whether the catalog says which identifiers make a person, so that ids may come and go."""
    return resolved.identity is not None


def successors() -> ibis.Table:
    """(was, now) as an unbound table: every id that once was a person's and is no more, and whose it is now. Ids that
    are nobody's now are left out."""
    known = identity_table(SUCCESSORS)
    return known.filter(known["now"].notnull()).select("was", "now")


def parts() -> ibis.Table:
    """(whole, person_id): every person who was once thought to be one with others, under the id of the whole."""
    told = identity_table(HISTORY)
    split = told.filter(told["event"] == SPLIT)
    return split.select(whole="was", person_id="now").distinct().order_by("person_id", "whole")


def renamed(table: ibis.Table, column: str = PERSON) -> ibis.Table:
    """``table`` with the ids in ``column`` as they are now. No row is lost; two may be of one person from then on."""
    known = successors().rename(_was="was", _now="now")
    found = table.left_join(known, table[column] == known["_was"])
    return found.mutate(**{column: ibis.coalesce(found["_now"], found[column])}).select(*table.columns)


def renamed_once(table: ibis.Table) -> ibis.Table:
    """``table``, which has one row per person, with the ids as they are now and one row per person again.

    Where two have become one, every value is the person's own; where that is null, that of the former id that sorts
    first and has one.
    """
    known = successors().rename(_was="was", _now="now")
    ids = ibis.union(known.select(**{PERSON: "_was"}), known.select(**{PERSON: "_now"})).distinct()
    alone, moved = table.anti_join(ids, PERSON), table.semi_join(ids, PERSON)
    moved = moved.left_join(known, moved[PERSON] == known["_was"])
    # False sorts before True: the person's own row comes first.
    order = ibis.struct({"other": moved["_now"].notnull().cast("int64"), "id": moved[PERSON]})
    values = {
        name: moved[name].argmin(order, where=moved[name].notnull()) for name in table.columns if name != PERSON
    }
    owner = ibis.coalesce(moved["_now"], moved[PERSON])
    together = moved.group_by(owner.name("_owner")).aggregate(**values)
    together = together.select(**{PERSON: "_owner"}, **{name: name for name in values})
    return ibis.union(alone, together.select(*table.columns))
