"""The types a catalog may give to a field or a tag.

Written as text in YAML: ``text``, ``integer``, ``decimal(18,2)``, ``float``, ``boolean``, ``date``,
``timestamp``, ``list(text)``. A *timestamp* is local wall-clock time in the catalog's time zone; it carries
no zone of its own.
"""

import re
from dataclasses import dataclass
from typing import Literal

Kind = Literal["text", "integer", "decimal", "float", "boolean", "date", "timestamp", "list"]

SCALAR_KINDS: tuple[Kind, ...] = ("text", "integer", "decimal", "float", "boolean", "date", "timestamp")
_WRITTEN = re.compile(r"^\s*([a-z]+)\s*(?:\(\s*(.*?)\s*\))?\s*$")


@dataclass(frozen=True)
class DataType:
    """One type. ``precision``/``scale`` only for decimals, ``item`` only for lists."""

    kind: Kind
    precision: int | None = None
    scale: int | None = None
    item: Kind | None = None

    @property
    def numeric(self) -> bool:
        return self.kind in ("integer", "decimal", "float")

    @property
    def temporal(self) -> bool:
        return self.kind in ("date", "timestamp")

    def __str__(self) -> str:
        if self.kind == "decimal":
            return f"decimal({self.precision},{self.scale})"
        if self.kind == "list":
            return f"list({self.item})"
        return self.kind


TEXT = DataType("text")
INTEGER = DataType("integer")
FLOAT = DataType("float")
BOOLEAN = DataType("boolean")
DATE = DataType("date")
TIMESTAMP = DataType("timestamp")


def decimal(precision: int, scale: int) -> DataType:
    return DataType("decimal", precision=precision, scale=scale)


def list_of(item: Kind) -> DataType:
    return DataType("list", item=item)


def parse_type(text: str) -> DataType:
    """Read a written type; ValueError names what is wrong and what is allowed."""
    match = _WRITTEN.match(text)
    kind, inside = (match.group(1), match.group(2)) if match else (text, None)
    if kind == "decimal":
        parts = [part.strip() for part in (inside or "").split(",")]
        if len(parts) != 2 or not all(part.isdigit() for part in parts):
            raise ValueError(f"'{text}' needs precision and scale, as in decimal(18,2)")
        precision, scale = int(parts[0]), int(parts[1])
        if not 1 <= precision <= 38 or scale > precision:
            raise ValueError(f"'{text}': precision is 1 to 38 and scale at most the precision")
        return decimal(precision, scale)
    if kind == "list":
        if inside not in ("text", "integer"):
            raise ValueError(f"'{text}': a list holds text or integer, as in list(text)")
        return list_of(inside)  # type: ignore[arg-type]
    if kind in SCALAR_KINDS and inside is None:
        return DataType(kind)  # type: ignore[arg-type]
    allowed = "text, integer, decimal(p,s), float, boolean, date, timestamp, list(text), list(integer)"
    quotes = '; inside { } write it in quotes: type: "decimal(18,2)"' if text.startswith("decimal(") else ""
    raise ValueError(f"unknown type '{text}'; types are {allowed}{quotes}")
