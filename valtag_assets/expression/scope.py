"""The names an expression may use."""

import difflib
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

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
        known: dict[str, str] = {}
        for symbol in self:
            for spelling in (symbol.code, *symbol.titles):
                known.setdefault(_plain(spelling), symbol.code)
        nearest = closest(_plain(word), known)
        return None if nearest is None else known[nearest]


def closest(word: str, known: Iterable[str]) -> str | None:
    """The entry of ``known`` most like ``word``, or None where nothing is near."""
    candidates = list(known)
    # A title of two or three characters has at most a ratio of 0.5–0.67 to itself with one character wrong.
    cutoff = 0.5 if len(word) <= 3 else 0.6
    found = difflib.get_close_matches(word, candidates, n=1, cutoff=cutoff)
    return found[0] if found else None


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()
