"""Uploaded lists: which of their ids are persons."""

import ibis

from valtag_assets.engine.persons import OWNER, PERSON, keyed, persons_table
from valtag_assets.engine.session import unbound
from valtag_assets.expression.resolved import ResolvedSource


def lists_name(code: str) -> str:
    """The table key of a list's persons."""
    return f"lists/{code}"


def list_table(code: str) -> ibis.Table:
    """The published persons of a list as an unbound table."""
    return unbound(lists_name(code), {PERSON: "string"})


def matched(source: ResolvedSource) -> ibis.Table:
    """(person_id) of the ids of the list that are persons, sorted."""
    ids, persons = keyed(source, ()), persons_table()
    return persons.semi_join(ids, persons[PERSON] == ids[OWNER]).select(PERSON).order_by(PERSON)


def unmatched(source: ResolvedSource) -> ibis.Table:
    """One row (ids, unmatched): how many ids the list has, and how many of them are nobody's."""
    ids, persons = keyed(source, ()), persons_table()
    missing = ids.anti_join(persons, ids[OWNER] == persons[PERSON])
    return ids.aggregate(ids=ids.count()).cross_join(missing.aggregate(unmatched=missing.count()))
