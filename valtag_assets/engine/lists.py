"""Uploaded lists: which of their ids are persons."""

import ibis

from valtag_assets.engine.persons import OWNER, PERSON, keyed, persons_table
from valtag_assets.engine.session import unbound
from valtag_assets.engine.successors import parts, renamed
from valtag_assets.expression.resolved import ResolvedSource


def lists_name(code: str) -> str:
    """The table key of a list's persons."""
    return f"lists/{code}"


def list_table(code: str) -> ibis.Table:
    """The published persons of a list as an unbound table."""
    return unbound(lists_name(code), {PERSON: "string"})


def matched(source: ResolvedSource, *, given: bool = False) -> ibis.Table:
    """(person_id) of the ids of the list that are persons, sorted.

    ``given``: these are ids that valtag gave (reads identity/successors and identity/history). Who was thought to be
    one with a person on the list is on it, too: nobody knows who of them was meant.
    """
    rows, persons = keyed(source, ()), persons_table()
    ids = rows.select(_id=rows[OWNER])
    if given:
        split = renamed(renamed(parts(), "whole"))
        ids = ibis.union(ids, split.semi_join(ids, split["whole"] == ids["_id"]).select(_id=PERSON))
    return persons.semi_join(ids, persons[PERSON] == ids["_id"]).select(PERSON).order_by(PERSON)


def unmatched(source: ResolvedSource) -> ibis.Table:
    """One row (ids, unmatched): how many ids the list has, and how many of them are nobody's."""
    ids, persons = keyed(source, ()), persons_table()
    missing = ids.anti_join(persons, ids[OWNER] == persons[PERSON])
    return ids.aggregate(ids=ids.count()).cross_join(missing.aggregate(unmatched=missing.count()))
