"""What a field of a clean table is good for: its part in a proposal, told by type, names, layer and, where there is
data, by figures of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from valtag_assets.engine.access import field_levels
from valtag_assets.expression.resolved import Resolved, ResolvedSource
from valtag_assets.spec.block import Access, Layer
from valtag_assets.spec.types import DataType
from valtag_assets.wizard import words

Part = Literal[
    "person", "time", "entity", "session", "id", "money", "price", "additive", "rate", "flag", "type", "status",
    "dimension", "birth", "changed", "date", "text",
]  # fmt: skip
# A text with more values than this names things, unless each of them stands in so many rows, and they are fewer than
# half of the persons.
MOST_VALUES, ROWS_EACH = 500, 10
# So many kinds of rows there are at most.
KINDS = 12
# Persons hardly ever have two values of what is theirs, and does not vary with what they do.
STEADY = 1.02


@dataclass(frozen=True)
class Figures:
    """What the rows of some persons show of one field: rows with a value, distinct values, the smallest and largest
    number, the persons who have a value, and (person, value) pairs; of a field that tells kinds of rows its
    ``values``, the most frequent first."""

    rows: int
    distinct: int
    low: float | None = None
    high: float | None = None
    persons: int = 0
    pairs: int = 0
    values: tuple[str, ...] = ()

    @property
    def steady(self) -> bool:
        """Whether a person has one value, whatever the row."""
        return self.persons > 0 and self.pairs / self.persons <= STEADY and self.rows / self.persons > STEADY


@dataclass(frozen=True)
class Column:
    """One column of a source's clean table, and its part."""

    source: ResolvedSource
    name: str
    type: DataType
    part: Part
    layer: Layer
    access: Access
    figures: Figures | None = None

    @property
    def values(self) -> tuple[str, ...] | None:
        """The closed list of its values, or the few there are."""
        seen = self.figures.values if self.figures is not None else ()
        return self.source.values.get(self.name) or seen or None


def columns_of(
    resolved: Resolved, source: ResolvedSource, figures: Mapping[str, Figures] | None = None
) -> list[Column]:
    """Every column of the clean table in its order. ``figures``: by column, where rows have been looked at."""
    levels, layers = field_levels(resolved, source), _layers(resolved, source)
    figures, identity = figures or {}, resolved.identity
    identifiers = {name for name, _ in identity.fields.get(source.code, ())} if identity is not None else set()
    return [
        Column(source, name, kind, "id" if name in identifiers else _part(source, name, kind, figures.get(name)),
               layers[name], levels[name], figures.get(name))
        for name, kind in source.columns.items()
    ]  # fmt: skip


def _layers(resolved: Resolved, source: ResolvedSource) -> dict[str, Layer]:
    spec = source.spec
    found: dict[str, Layer] = {field.name: field.layer for field in spec.fields}
    found |= {item.name: "core" for item in spec.compute}
    for lookup in spec.lookups:
        below = _layers(resolved, resolved.sources[lookup.source])
        found |= {name: below[name] for name in lookup.take}
    return found


def _part(source: ResolvedSource, name: str, kind: DataType, seen: Figures | None) -> Part:
    spec, said = source.spec, words.said(source, name)
    if name == spec.person:
        return "person"
    if name == spec.time:
        return "time"
    if kind.kind == "boolean":
        return "flag"
    if kind.temporal:
        return "birth" if words.BIRTH.search(said) else "changed" if words.CHANGED.search(said) else "date"
    if words.ENTITY.search(said):
        return "entity"
    if words.SESSION.search(said):
        return "session"
    values = source.values.get(name)
    if tells_kinds(source, name) and 2 <= len(values or (seen.values if seen is not None else ())) <= KINDS:
        return "status" if words.STATUS.search(said) else "type"
    if name in spec.key or words.ID.search(name):
        return "id"
    if not kind.numeric:
        return _text(values is not None, seen)
    part = _number(said, seen)
    # What was looked up is of the thing, however many rows name it: it is no quantity of theirs.
    return "rate" if part == "additive" and any(name in lookup.take for lookup in spec.lookups) else part


def tells_kinds(source: ResolvedSource, name: str) -> bool:
    """Whether the field, a text, is called as one that says which kind of row this is, or what became of it."""
    if source.spec.kind != "fact" or source.columns[name].kind != "text":
        return False
    if words.STATUS.search(words.said(source, name)):
        return True
    return source.spec.family != "transaction" and words.is_type(source, name)


def _number(said: str, seen: Figures | None) -> Part:
    small = seen is not None and seen.high is not None and seen.high <= 1
    if words.RATE.search(said) or (small and words.DISCOUNT.search(said)):
        return "rate"
    if words.PRICE.search(said):
        return "price"
    return "money" if words.MONEY.search(said) and not words.DISCOUNT.search(said) else "additive"


def _text(closed: bool, seen: Figures | None) -> Part:
    if closed or seen is None:
        return "dimension"
    if seen.rows > 100 and (seen.distinct > seen.rows / 2 or 0 < seen.persons < 2 * seen.distinct):
        return "text"
    return "dimension" if seen.distinct <= MOST_VALUES or seen.rows >= ROWS_EACH * seen.distinct else "text"
