"""What a text names, without an engine: for those who look up many."""

import re

import ibis

from valtag_assets.engine.identity.tables import KEYS, identity_table
from valtag_assets.engine.persons import PERSON
from valtag_assets.engine.vault import values_of
from valtag_assets.spec.identity import Normalise


def present_keys(*, opened: bool = False) -> ibis.Table:
    """(kind, key, person_id) of every key and who has it now, sorted; ``opened``: the keys themselves, for which the
    vault is read."""
    keys = identity_table(KEYS)
    keys = keys.filter(keys["until"].isnull()).select("kind", "key", PERSON)
    if opened:
        keys = values_of(keys, ["key"]).filter(lambda table: table["key"].notnull())
    return keys.order_by("kind", "key")


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
