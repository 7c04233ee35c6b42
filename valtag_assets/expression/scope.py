"""The names an expression may use."""

import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cached_property

from valtag_assets.expression.tree import Node
from valtag_assets.spec.types import DataType


@dataclass(frozen=True)
class Symbol:
    """One name: its type, the closed set of its values (None: open) and the titles people know it by."""

    code: str
    type: DataType
    values: tuple[str, ...] | None = None
    titles: tuple[str, ...] = ()


class Scope:
    """The symbols of one place. ``what`` names them in messages: 'field of orders', 'tag'.

    ``trees`` holds what ``parse`` made of a text here: many tags share one condition.
    """

    def __init__(self, symbols: Iterable[Symbol], what: str) -> None:
        self._symbols = {symbol.code: symbol for symbol in symbols}
        self.what = what
        self.trees: dict[str, Node] = {}

    def __iter__(self) -> Iterator[Symbol]:
        return iter(self._symbols.values())

    def get(self, code: str) -> Symbol | None:
        return self._symbols.get(code)

    def suggest(self, word: str) -> str | None:
        """The code that ``word``, a misspelt code or a title in any language, most probably means."""
        nearest = self._spellings.closest(_plain(word))
        return None if nearest is None else self._known[nearest]

    @cached_property
    def _known(self) -> dict[str, str]:
        """The codes by every spelling people know them by."""
        known: dict[str, str] = {}
        for symbol in self:
            for spelling in (symbol.code, *symbol.titles):
                known.setdefault(_plain(spelling), symbol.code)
        return known

    @cached_property
    def _spellings(self) -> "Spellings":
        return Spellings(self._known)


class Spellings:
    """Words among which to look for the one that a misspelt word means, fast even among very many.

    The measure is difflib's ratio; it is worked out only for words that may beat the best so far. What a ratio
    can reach at most follows from the characters two words share, each counted as often as it occurs: one bit
    stands for one occurrence, so that is one AND.
    """

    def __init__(self, known: Iterable[str]) -> None:
        self._bits: dict[tuple[str, int], int] = {}
        self._known = [(word, self._characters(word)) for word in known]

    def closest(self, word: str) -> str | None:
        """The word most like ``word``, or None where nothing is near."""
        # A title of two or three characters has at most a ratio of 0.5–0.67 to itself with one character wrong.
        ratio, nearest = 0.5 if len(word) <= 3 else 0.6, None
        own = self._characters(word)
        bounds = [
            (2 * (own & other).bit_count() / (len(word) + len(known) or 1), known) for known, other in self._known
        ]
        matcher = SequenceMatcher(b=word)
        for bound, known in sorted((item for item in bounds if item[0] >= ratio), reverse=True):
            if bound < ratio:
                break
            matcher.set_seq1(known)
            found = matcher.ratio()
            if found > ratio or (found == ratio and known > (nearest or "")):
                ratio, nearest = found, known
        return nearest

    def _characters(self, word: str) -> int:
        """A set of the occurrences of characters in ``word``: the first a, the second a, the first b, …"""
        seen: dict[str, int] = {}
        found = 0
        for character in word:
            seen[character] = seen.get(character, 0) + 1
            found |= self._bits.setdefault((character, seen[character]), 1 << len(self._bits))
        return found


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()
