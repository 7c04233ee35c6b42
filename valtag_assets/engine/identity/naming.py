"""Whom a text names: a person's id, one that was, or one of the person's identifiers."""

from collections.abc import Iterable

import ibis

from valtag_assets.engine.identity.keys import normalised
from valtag_assets.engine.identity.tables import KEYS, SUCCESSORS, identity_table
from valtag_assets.engine.persons import PERSON, persons_table
from valtag_assets.spec.identity import IdentifierKind

ITSELF, FORMER = "", "successors"


def named_by(said: str, kinds: Iterable[IdentifierKind]) -> ibis.Table:
    """(person_id, by) of everybody whom the text names now: ``by`` is ITSELF for an id, FORMER for one that was, else
    the kind of the identifier, of those of ``kinds``, whose key the text is once it is normalised."""
    persons, known, keys = persons_table(), identity_table(SUCCESSORS), identity_table(KEYS)
    text = ibis.literal(said)
    found = [
        persons.filter(persons[PERSON] == text).select(PERSON, by=ibis.literal(ITSELF)),
        known.filter(known["was"] == text, known["now"].notnull()).select(**{PERSON: "now"}, by=ibis.literal(FORMER)),
    ]
    for kind in kinds:
        mine = keys.filter(keys["kind"] == kind.code, keys["key"] == normalised(text, kind.normalise))
        # A key that went to somebody else names who has it now.
        found.append(mine.filter(mine["until"].isnull()).select(PERSON, by=ibis.literal(kind.code)))
    return ibis.union(*found, distinct=True).order_by("by", PERSON)
