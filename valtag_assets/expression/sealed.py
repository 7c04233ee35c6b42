"""What may be said of tokens: whether they are there, how many, and whether two are equal.

A personal text is known outside the vault by its token alone. Whoever wants to look into the text, or to compare it
with a written one, does so where its source is cleaned: there the values are.
"""

from dataclasses import replace

from valtag_assets.expression.errors import ExpressionError
from valtag_assets.expression.lineage import alternatives, carried
from valtag_assets.expression.scope import Scope
from valtag_assets.expression.tree import Call, Literal, Name, Node

_ANYTHING = frozenset({"is null", "size", "case", "if", "coalesce"})
_EQUALITY = frozenset({"=", "!=", "has", "nullif"})


def sealed(call: Call, scope: Scope) -> Call:
    """``call``, with the tokens of written texts where ``scope`` knows them. ExpressionError where it asks more of a
    token than there is to know."""
    names = sorted(sealed_names(*call.arguments, scope=scope))
    if not names or call.function in _ANYTHING:
        return call
    written = scope.token_of is not None and call.function in (*_EQUALITY, "in")
    parts = tuple(_with_token(part, scope) if written else part for part in call.arguments)
    if (written or call.function in _EQUALITY) and all(_is_token(part, scope) for part in parts):
        return replace(call, arguments=parts)
    raise ExpressionError(
        f"'{names[0]}' is personal (access: pii) and stands for its value as a token, which can be carried, counted,"
        f" tested for null and compared with another personal text, and nothing else: for {call.function}, compute a"
        " field in its source (compute:), where its values are"
    )


def sealed_names(*nodes: Node | None, scope: Scope) -> frozenset[str]:
    """The vaulted names of whose values the values of the trees may be."""
    names = frozenset[str]().union(*map(carried, nodes))
    return frozenset(name for name in names if (symbol := scope.get(name)) is not None and symbol.vaulted)


def _with_token(node: Node, scope: Scope) -> Node:
    """A written text as its token."""
    if isinstance(node, Literal) and isinstance(node.value, str) and scope.token_of is not None:
        return replace(node, value=scope.token_of(node.value))
    return node


def _is_token(node: Node, scope: Scope) -> bool:
    """Whether the tree's value is a token, or nothing."""
    if isinstance(node, Literal):
        return node.value is None or scope.token_of is not None
    if isinstance(node, Name):
        symbol = scope.get(node.code)
        return symbol is not None and symbol.vaulted
    shown = node.arguments[:1] if node.function == "nullif" else alternatives(node)
    return node.function in ("case", "if", "coalesce", "nullif") and all(_is_token(part, scope) for part in shown)
