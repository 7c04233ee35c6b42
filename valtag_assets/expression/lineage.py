"""What a tree reads, and its one canonical text."""

from datetime import date, datetime
from decimal import Decimal

from valtag_assets.expression.tree import Call, Literal, Name, Node, Scalar, walk
from valtag_assets.spec.types import BOOLEAN

_OR, _AND, _NOT, _COMPARE, _ADD, _MULTIPLY, _NEGATE, _ATOM = range(1, 9)

_INFIX = {
    **dict.fromkeys(("=", "!=", "<", "<=", ">", ">="), _COMPARE),
    **dict.fromkeys(("+", "-"), _ADD),
    **dict.fromkeys(("*", "/", "//", "%"), _MULTIPLY),
}
_STRENGTH = {
    **_INFIX,
    **dict.fromkeys(("between", "in", "is null", "like"), _COMPARE),
    **{"or": _OR, "and": _AND, "not": _NOT, "negate": _NEGATE},
}

_NUMBERS_OF_TEXTS = ("length", "size")


def names_read(node: Node) -> frozenset[str]:
    """The codes of all fields or tags the tree reads."""
    return frozenset(part.code for part in walk(node) if isinstance(part, Name))


def carried(node: Node | None) -> frozenset[str]:
    """The names whose values, or parts of them, the tree's value may show."""
    if node is None or isinstance(node, Literal):
        return frozenset()
    if isinstance(node, Name):
        return frozenset({node.code})
    if node.type == BOOLEAN or node.function in _NUMBERS_OF_TEXTS:
        return frozenset()
    return frozenset().union(*(carried(part) for part in alternatives(node)))


def alternatives(call: Call) -> tuple[Node, ...]:
    """The arguments of which one may be the call's value; all of them for what chooses none."""
    if call.function == "case":
        *branches, otherwise = call.arguments
        return (*branches[1::2], otherwise)
    return call.arguments[1:] if call.function == "if" else call.arguments


def meaning(node: Node) -> str:
    """The canonical text of a tree: the same for every spelling of it. It parses back to an equal tree."""
    if isinstance(node, Name):
        return node.code
    if isinstance(node, Literal):
        return _written(node.value)
    if node.function in _INFIX:
        strength = _INFIX[node.function]
        left, right = node.arguments
        # Comparisons do not chain; arithmetic of one strength goes from left to right.
        loosest = _ADD if strength == _COMPARE else strength
        return f"{_inside(left, loosest)} {node.function} {_inside(right, strength + 1)}"
    if node.function in ("and", "or"):
        strength = _STRENGTH[node.function]
        return f" {node.function} ".join(_inside(part, strength + 1) for part in node.arguments)
    if node.function == "not":
        return _negated(node.arguments[0])
    if node.function == "negate":
        return f"-{_inside(node.arguments[0], _ATOM)}"
    if node.function == "case":
        return _case(node)
    if node.function in _STRENGTH:
        return _condition(node, "")
    return f"{node.function}({', '.join(meaning(part) for part in node.arguments)})"


def _inside(node: Node, loosest: int) -> str:
    """``node`` in a place that takes operators of at least this strength without parentheses."""
    text = meaning(node)
    strength = _STRENGTH.get(node.function, _ATOM) if isinstance(node, Call) else _ATOM
    if isinstance(node, Literal) and text.startswith("-"):
        strength = _NEGATE
    return text if strength >= loosest else f"({text})"


def _negated(node: Node) -> str:
    if isinstance(node, Call) and node.function in ("between", "in", "is null", "like"):
        return _condition(node, "not ")
    return f"not {_inside(node, _COMPARE)}"


def _condition(node: Call, negation: str) -> str:
    first = _inside(node.arguments[0], _ADD)
    rest = [_inside(part, _ADD) for part in node.arguments[1:]]
    if node.function == "between":
        return f"{first} {negation}between {rest[0]} and {rest[1]}"
    if node.function == "in":
        return f"{first} {negation}in ({', '.join(rest)})"
    if node.function == "is null":
        return f"{first} is {negation}null"
    return f"{first} {negation}like {rest[0]}"


def _case(node: Call) -> str:
    *branches, otherwise = (meaning(part) for part in node.arguments)
    pairs = zip(branches[::2], branches[1::2], strict=True)
    whens = " ".join(f"when {condition} then {value}" for condition, value in pairs)
    return f"case {whens} else {otherwise} end"


def _written(value: Scalar) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    if isinstance(value, datetime):
        return f"timestamp('{value.isoformat(sep=' ')}')"
    if isinstance(value, date):
        return f"date('{value.isoformat()}')"
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, float):
        text = repr(value)
        return text if "e" in text else f"{text}e0"
    return str(value)
