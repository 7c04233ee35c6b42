"""Whom a text names: a person's id, one that was, or one of the person's identifiers."""

import re
from collections.abc import Iterable

import ibis

from valtag_assets.engine.identity.keys import normalised
from valtag_assets.engine.identity.tables import KEYS, SUCCESSORS, identity_table
from valtag_assets.engine.persons import PERSON, persons_table
from valtag_assets.spec.identity import IdentifierKind, Normalise

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


def present_keys() -> ibis.Table:
    """(kind, key, person_id) of every key and who has it now, sorted."""
    keys = identity_table(KEYS)
    return keys.filter(keys["until"].isnull()).select("kind", "key", PERSON).order_by("kind", "key")


def key_of(said: str, how: Normalise) -> str | None:
    """``keys.normalised`` of one text, without an engine; None where it is no key."""
    text = said.strip(" \t\n\r\v\f")
    if how == "phone":
        return _phone(text)
    if how == "email":
        return text.lower() if re.fullmatch(r"[^@ ]+@[^@ ]+[.][^@ ]+", text) else None
    return ({"upper": text.upper, "lower": text.lower}[how]() if how in ("upper", "lower") else text) or None


def _phone(text: str) -> str | None:
    if re.search(r"[^0-9+()\-. /]", text):
        return None
    digits = re.sub(r"[^0-9]", "", text)
    if re.fullmatch(r"(0086|86)?1[3-9][0-9]{9}", digits):
        return digits[-11:]
    abroad = digits if text.startswith("+") else digits[2:] if digits.startswith("00") else ""
    return f"+{abroad}" if re.fullmatch(r"[1-9][0-9]{6,14}", abroad) and not abroad.startswith("86") else None
