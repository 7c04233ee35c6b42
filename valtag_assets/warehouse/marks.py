"""What tells one person: their ids, and the texts that are nobody else's, looked for in columns, texts and bytes.

A short text of digits can't be told from any other number, so it is looked for in columns of persons only. What is
*distinctive* is looked for everywhere: eleven bytes and more anywhere (a phone with a prefix is still that phone),
less as a word of its own (``C001`` is not ``C0010``).
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import IO

from valtag_assets.spec.masking import MASK

_LONG_BYTES, _SHORTEST, _SHORTEST_NUMBER = 11, 4, 9
_BLOCK = 1 << 20
# Characters. RE2 compiles no pattern of some hundred thousand.
_LONGEST, _PATTERN = 10_000, 50_000
_NOWHERE = r"[^\s\S]"
"""A pattern that matches nothing, in every dialect of regular expressions."""


def is_distinctive(text: str) -> bool:
    """Whether it can be told from other values wherever it stands."""
    number = all(character.isdigit() or character in "+-. " for character in text)
    return len(text) >= (_SHORTEST_NUMBER if number else _SHORTEST)


@dataclass(frozen=True)
class Marks:
    """The ``persons``' ids, and all distinctive ``texts`` that tell them, ids included."""

    persons: tuple[str, ...]
    texts: tuple[str, ...]

    @classmethod
    def of(cls, persons: Iterable[str], identifiers: Iterable[str]) -> "Marks":
        """Those of the identifiers that are distinctive; the others tell a person in columns of persons only."""
        ids = sorted(set(persons))
        return cls(tuple(ids), tuple(sorted({text for text in (*ids, *identifiers) if is_distinctive(text)})))

    @cached_property
    def anywhere(self) -> tuple[str, ...]:
        """Patterns (RE2) of the long texts, wherever they stand; each of a size that an engine takes."""
        return _patterns_of(text for text in self.texts if _is_long(text) and text not in self.longest)

    @cached_property
    def words(self) -> tuple[str, ...]:
        """Patterns of the short texts with one character of what is around them: groups 1 and 2."""
        return tuple(map(_as_word, _patterns_of(text for text in self.texts if not _is_long(text))))

    @cached_property
    def longest(self) -> tuple[str, ...]:
        """The texts that are too long for a pattern."""
        return tuple(text for text in self.texts if len(text) > _LONGEST)

    def stand_in(self, text: str) -> bool:
        return any(pattern.search(text) for pattern in self._patterns)

    def without(self, text: str) -> str:
        """The text with every mark masked."""
        anywhere, words = self._patterns
        text = anywhere.sub(MASK, text)
        # Two words that share the character between them need two turns.
        return words.sub(rf"\1{MASK}\2", words.sub(rf"\1{MASK}\2", text))

    def stand_in_bytes(self, stream: IO[bytes]) -> bool:
        """Whether bytes hold a mark, written as UTF-8, UTF-16 or in JSON's escapes."""
        if not self.texts:
            return False
        overlap, before = 4 * max(len(form) for form in self._forms) + 2, b""
        while block := stream.read(_BLOCK):
            held = before + block
            if self._bytes.search(held):
                return True
            before = held[-overlap:]
        return False

    @cached_property
    def _patterns(self) -> tuple[re.Pattern[str], re.Pattern[str]]:
        long = _tree([text for text in self.texts if _is_long(text)])
        short = _tree([text for text in self.texts if not _is_long(text)])
        return re.compile(long, re.IGNORECASE), re.compile(_as_word(short), re.IGNORECASE)

    @cached_property
    def _forms(self) -> list[bytes]:
        return [form for text in self.texts for form in _written(text)]

    @cached_property
    def _bytes(self) -> re.Pattern[bytes]:
        either, word = (
            _tree(
                [form.decode("latin-1") for text in self.texts if _is_long(text) is long for form in _written(text)]
            )
            for long in (True, False)
        )
        pattern = f"(?:{either})|(?<![0-9A-Za-z])(?:{word})(?![0-9A-Za-z])"
        return re.compile(pattern.encode("latin-1"), re.IGNORECASE)


def _is_long(text: str) -> bool:
    return len(text.encode()) >= _LONG_BYTES


def _patterns_of(texts: Iterable[str]) -> tuple[str, ...]:
    """Patterns of so many texts each that they are no longer than _PATTERN."""
    groups, size = list[list[str]](), _PATTERN
    for text in texts:
        size += len(text)
        if size > _PATTERN:
            groups.append([])
            size = len(text)
        groups[-1].append(text)
    return tuple(map(_either, groups))


def _as_word(pattern: str) -> str:
    return f"(^|[^0-9A-Za-z])(?:{pattern})($|[^0-9A-Za-z])"


def _tree(texts: Iterable[str], depth: int = 6) -> str:
    """``_either`` for Python, which tries one alternative after the other: what texts begin with alike is tried
    once."""
    groups: dict[str, set[str]] = {}
    for text in texts:
        groups.setdefault(text[:1], set()).add(text[1:])
    if not groups:
        return _NOWHERE
    found = []
    # The longer first; nothing last.
    for first, rest in sorted(groups.items(), reverse=True):
        ends = (
            _tree(rest, depth - 1) if depth and rest != {""} else "|".join(map(re.escape, sorted(rest, reverse=True)))
        )
        found.append(f"{re.escape(first)}(?:{ends})" if len(rest) > 1 else re.escape(first) + ends)
    return "|".join(found)


def _either(texts: Iterable[str]) -> str:
    return "|".join(map(re.escape, texts)) or _NOWHERE


def _written(text: str) -> Iterator[bytes]:
    yield text.encode("utf-8", "surrogatepass")
    yield text.encode("utf-16-le", "surrogatepass")
    yield text.encode("utf-16-be", "surrogatepass")
    escaped = json.dumps(text)[1:-1]
    if escaped != text:
        yield escaped.encode()
