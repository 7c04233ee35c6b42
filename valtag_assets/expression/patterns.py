"""Regular expressions that RE2 (DuckDB) and Java (Spark) read alike.

A pattern of the catalog is RE2. Most of what Java reads otherwise can be said so that both agree: ``$`` is the
very end, ``.`` is all but a line feed, ``\\s`` are five characters. What can't is refused where Spark computes.
"""

import re

_SPACES = r"\t\n\f\r "
_CATEGORY = re.compile(r"[pP](?:[LMNPSZC]|\{[LMNPSZC][a-z]?\})")
_HEX = re.compile(r"x(?:\{[0-9A-Fa-f]{1,6}\}|[0-9A-Fa-f]{2})")
_NAMED = re.compile(r"\(\?P?<\w+>")
_COUNT = re.compile(r"\{\d+(?:,\d*)?\}")


class NotPortable(ValueError):
    """A pattern that engines read differently; the message says what in it, and what to write."""


def engine_pattern(pattern: str) -> str:
    """``pattern`` so that every engine reads it alike; as it is where that can't be (see ``portable``)."""
    try:
        return portable(pattern)
    except NotPortable:
        return pattern


def portable(pattern: str) -> str:
    """``pattern`` (valid RE2) in words that RE2 and Java understand alike. Raises NotPortable."""
    found, place = [], 0
    dotall = pattern.startswith("(?s)")
    if dotall:
        found, place = ["(?s)"], 4
    while place < len(pattern):
        character = pattern[place]
        if character == "\\":
            text, place = _escape(pattern, place + 1, inside=False)
        elif character == "[":
            text, place = _class(pattern, place + 1)
        elif named := _NAMED.match(pattern, place):
            text, place = "(", named.end()
        elif pattern.startswith("(?", place) and not pattern.startswith("(?:", place):
            raise NotPortable("flags are read differently; write both cases as [aA]")
        elif count := _COUNT.match(pattern, place):
            text, place = count[0], count.end()
        else:
            text = {"$": r"\z", ".": "." if dotall else r"[^\n]", "{": r"\{"}.get(character, character)
            place += 1
        found.append(text)
    return "".join(found)


def _escape(pattern: str, place: int, *, inside: bool) -> tuple[str, int]:
    """What follows a backslash at ``place``, and where it ends."""
    character = pattern[place]
    if (longer := _CATEGORY.match(pattern, place) or _HEX.match(pattern, place)) is not None:
        return f"\\{longer[0]}", longer.end()
    if character in "sS":
        if inside and character == "S":
            raise NotPortable(r"\S inside of [] can't be said otherwise; list what is meant")
        spaces = _SPACES if inside else f"[{'^' if character == 'S' else ''}{_SPACES}]"
        return spaces, place + 1
    if character == "v":
        return r"\x0b", place + 1
    if character in "dDwWAzaftnr" or not character.isalnum():
        return f"\\{character}", place + 1
    raise NotPortable(rf"\{character} is read differently; write the characters themselves")


def _class(pattern: str, place: int) -> tuple[str, int]:
    """A class of characters whose ``[`` stands before ``place``, and where it ends."""
    found = ["["]
    if pattern.startswith("^", place):
        found, place = ["[^"], place + 1
    first = True
    while first or pattern[place] != "]":
        if pattern.startswith("[:", place):
            raise NotPortable("[:name:] is read differently; write the characters, as in [A-Za-z]")
        if pattern[place] == "\\":
            text, place = _escape(pattern, place + 1, inside=True)
        else:
            text = f"\\{pattern[place]}" if pattern[place] in "[]&" else pattern[place]
            place += 1
        found.append(text)
        first = False
    return f"{''.join(found)}]", place + 1
