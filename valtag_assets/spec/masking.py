"""What samples and messages tell: enough to find the row for those who have the data, nothing for those who don't."""

import re

MASK = "***"
LONGEST_SHAPE = 24
_DIGITS_OF_A_NUMBER = 7
"""The shortest telephone numbers have so many digits."""
_QUOTED = re.compile(r"(?P<quote>[\"'`]).*(?P=quote)")
_NUMBER = re.compile(r"\d[\d.,]{3,}\d")
_HIDDEN = "…"
# Telephone and card numbers, written together or in groups, and e-mail addresses.
_OF_SOMEBODY = re.compile(r"(?:\d[ ()-]{0,2}){9}[\dXx]|[^\s@]@[^\s@]+\.[^\s@]")


def mask_key(key: str) -> str:
    """The first and the last two characters (``M***45``); keys of fewer than six characters vanish whole."""
    return MASK if len(key) < 6 else f"{key[0]}{MASK}{key[-2:]}"


def shape(text: str) -> str:
    """How a text is built: ``#`` for a digit, ``a``, ``A`` and ``字`` for letters, other marks as they are.

    Of a long one the beginning, and how many characters it has: ``####-## (1000000 characters)``.
    """
    built = "".join(map(_kind, text[:LONGEST_SHAPE]))
    return built if len(text) <= LONGEST_SHAPE else f"{built}… ({len(text)} characters)"


def is_long_number(text: str) -> bool:
    """Whether a number, as text, has as many digits as a telephone number."""
    return sum(character.isdigit() for character in text) >= _DIGITS_OF_A_NUMBER


def tells_somebody(text: str) -> bool:
    """Whether a text looks like a telephone, identity or card number (ten digits or more), or an e-mail address."""
    return _OF_SOMEBODY.search(text) is not None


def without_values(message: str) -> str:
    """The first line of a message, without what is quoted in it and without long numbers."""
    first = next(iter(message.splitlines()), "")
    return _NUMBER.sub(_HIDDEN, _QUOTED.sub(_HIDDEN, first))


def _kind(character: str) -> str:
    if character.isdigit():
        return "#"
    if not character.isalpha():
        return character if character.isprintable() else "\N{REPLACEMENT CHARACTER}"
    if character.isupper():
        return "A"
    return "a" if character.islower() else "字"
