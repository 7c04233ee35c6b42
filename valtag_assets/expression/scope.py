"""The names an expression may use."""

import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from valtag_assets.expression.tree import Node
from valtag_assets.spec.spelling import Spellings
from valtag_assets.spec.types import DataType


@dataclass(frozen=True)
class Symbol:
    """One name: its type, the closed set of its values (None: open) and the titles people know it by. ``vaulted``: it
    holds tokens, of which nothing can be said but whether they are there and equal."""

    code: str
    type: DataType
    values: tuple[str, ...] | None = None
    titles: tuple[str, ...] = ()
    vaulted: bool = False


class Scope:
    """The symbols of one place. ``what`` names them in messages: 'field of orders', 'tag'.

    ``trees`` holds what ``parse`` made of a text here: many tags share one condition. ``token_of``: what a written
    text is among tokens; only a door knows it.
    """

    def __init__(self, symbols: Iterable[Symbol], what: str, token_of: Callable[[str], str] | None = None) -> None:
        self._symbols = {symbol.code: symbol for symbol in symbols}
        self.what, self.token_of = what, token_of
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
    def _spellings(self) -> Spellings:
        return Spellings(self._known)


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()
