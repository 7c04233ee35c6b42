"""What may be said of tokens: whether they are there, how many, and whether two are equal.

A personal text is known outside the vault by its token alone. Whoever wants to look into the text, or to compare it
with a written one, does so where its source is cleaned: there the values are.
"""

from valtag_assets.expression.errors import ExpressionError
from valtag_assets.expression.lineage import alternatives, carried
from valtag_assets.expression.scope import Scope
from valtag_assets.expression.tree import Call, Literal, Name, Node

_ANYTHING = frozenset({"is null", "size", "case", "if", "coalesce"})
_EQUALITY = frozenset({"=", "!=", "has", "nullif"})


def check_sealed(call: Call, scope: Scope) -> None:
    """ExpressionError where ``call`` asks more of a token than there is to know."""
    sealed = sorted(sealed_names(*call.arguments, scope=scope))
    if not sealed or call.function in _ANYTHING:
        return
    if call.function in _EQUALITY and all(_is_token(part, scope) for part in call.arguments):
        return
    raise ExpressionError(
        f"'{sealed[0]}' is personal (access: pii) and stands for its value as a token, which can be carried, counted,"
        f" tested for null and compared with another personal text, and nothing else: for {call.function}, compute a"
        " field in its source (compute:), where its values are"
    )


def sealed_names(*nodes: Node | None, scope: Scope) -> frozenset[str]:
    """The vaulted names of whose values the values of the trees may be."""
    names = frozenset[str]().union(*map(carried, nodes))
    return frozenset(name for name in names if (symbol := scope.get(name)) is not None and symbol.vaulted)


def _is_token(node: Node, scope: Scope) -> bool:
    """Whether the tree's value is a token, or nothing."""
    if isinstance(node, Literal):
        return node.value is None
    if isinstance(node, Name):
        symbol = scope.get(node.code)
        return symbol is not None and symbol.vaulted
    shown = node.arguments[:1] if node.function == "nullif" else alternatives(node)
    return node.function in ("case", "if", "coalesce", "nullif") and all(_is_token(part, scope) for part in shown)
