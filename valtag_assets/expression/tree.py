"""What an expression is: a tree of three kinds of node, each with its type.

Only ``parse`` makes trees; a tree that exists is therefore well typed. ``type`` is None for a NULL that no
neighbour gives a type.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from valtag_assets.spec.types import DataType

Scalar = str | int | float | Decimal | bool | date | datetime | None


@dataclass(frozen=True)
class Literal:
    """A constant. Decimals keep the digits they were written with (``1.50`` is decimal(3,2))."""

    value: Scalar
    type: DataType | None


@dataclass(frozen=True)
class Name:
    """A field or tag, by its code."""

    code: str
    type: DataType | None


@dataclass(frozen=True)
class Call:
    """An operator or function of ``functions.FUNCTIONS`` applied to its arguments.

    ``case`` holds ``when, then, when, then, …, else`` flat; ``in`` holds the value and then the items;
    ``and`` / ``or`` hold all operands of one chain.
    """

    function: str
    arguments: "tuple[Node, ...]"
    type: DataType | None


Node = Literal | Name | Call


def walk(node: Node) -> Iterator[Node]:
    """The node and everything below it, without recursion."""
    waiting: list[Node] = [node]
    while waiting:
        current = waiting.pop()
        yield current
        if isinstance(current, Call):
            waiting.extend(reversed(current.arguments))
