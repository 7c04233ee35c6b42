"""Text → typed tree. The only door: everything that is not listed here is refused.

sqlglot reads the syntax; its nodes are then turned one kind at a time into this package's tree, which is the
only thing that goes on. No text of the user ever reaches an engine.
"""

import re
from decimal import Decimal

from sqlglot import expressions as sge
from sqlglot.errors import ParseError
from sqlglot.tokens import TokenType

from valtag_assets.expression.coercion import MAX_PRECISION
from valtag_assets.expression.errors import ExpressionError
from valtag_assets.expression.functions import FOREIGN, FUNCTIONS
from valtag_assets.expression.lineage import meaning
from valtag_assets.expression.reading import KEYWORDS, Reading, dialect, read
from valtag_assets.expression.rules import apply, fit
from valtag_assets.expression.scope import Scope, Symbol
from valtag_assets.expression.sealed import sealed
from valtag_assets.expression.tree import Call, Literal, Name, Node
from valtag_assets.spec.spelling import Spellings
from valtag_assets.spec.types import BOOLEAN, FLOAT, INTEGER, TEXT, DataType, decimal

__all__ = ["ExpressionError", "number_literal", "parse"]

MAX_DEPTH = 60
_LARGEST_INTEGER = 2**63 - 1
_NUMBER = re.compile(r"(?P<whole>\d+)(?P<fraction>\.\d+)?(?P<exponent>[eE][+-]?\d+)?", re.ASCII)

_BINARY: dict[type[sge.Expr], str] = {
    sge.EQ: "=",
    sge.NEQ: "!=",
    sge.LT: "<",
    sge.LTE: "<=",
    sge.GT: ">",
    sge.GTE: ">=",
    sge.Add: "+",
    sge.Sub: "-",
    sge.Mul: "*",
    sge.Div: "/",
    sge.IntDiv: "//",
    sge.Mod: "%",
}
_CHAINS: dict[type[sge.Expr], str] = {sge.And: "and", sge.Or: "or"}


def parse(text: str, scope: Scope, expect: DataType | None = None) -> Node:
    """The typed tree of ``text`` over the names of ``scope``.

    ``expect`` is the type the place wants (BOOLEAN for a where). Numbers widen to it; ``compile_value`` makes
    the exact type. Raises ExpressionError with what is wrong, where, and what was probably meant.
    """
    node = scope.trees.get(text)
    if node is None:
        node = scope.trees[text] = _bare_name(text, scope) or _tree(text, scope)
    return node if expect is None else fit(node, expect)


def number_literal(written: str) -> Literal:
    """The constant that an unsigned number stands for; ExpressionError where it is none or too large."""
    match = _NUMBER.fullmatch(written)
    if match is None:
        raise ExpressionError(f"'{written}' is no number")
    if match["exponent"]:
        value = float(written)
        if value == float("inf"):
            raise ExpressionError(f"{written} is too large")
        return Literal(value, FLOAT)
    if match["fraction"] is None:
        if len(written.lstrip("0")) > 19 or int(written) > _LARGEST_INTEGER:
            raise ExpressionError(f"{written[:40]} is too large for an integer ({_LARGEST_INTEGER})")
        return Literal(int(written), INTEGER)
    scale = len(match["fraction"]) - 1
    precision = max(len(match["whole"].lstrip("0")) + scale, 1)
    if precision > MAX_PRECISION:
        raise ExpressionError(f"{written} has more than {MAX_PRECISION} digits")
    return Literal(Decimal(written), decimal(precision, scale))


def _bare_name(text: str, scope: Scope) -> Name | None:
    """What most texts are, one code and nothing else, needs no parser."""
    symbol = scope.get(text)
    return None if symbol is None or text.upper() in KEYWORDS else Name(symbol.code, symbol.type)


def _tree(text: str, scope: Scope) -> Node:
    reading = read(text, scope)
    try:
        syntax = dialect().parser().parse_into(sge.Condition, reading.tokens)[0]
        if syntax is None:
            raise ExpressionError(f"'{text}' is no expression")
        return _Builder(reading, scope).build(syntax, 0)
    except ParseError as error:
        raise _unreadable(error, reading) from error
    except RecursionError as error:
        raise ExpressionError("nested too deep: split it into tags that build on each other") from error


def _unreadable(error: ParseError, reading: Reading) -> ExpressionError:
    """sqlglot's complaint in plain words: which token does not fit."""
    found = error.errors[0] if error.errors else {}
    end = int(found.get("col") or 0)
    at = next((token for token in reading.tokens if token.end + 1 >= end), reading.tokens[-1])
    shown = f"'{reading.literals[int(at.text)]}'" if at.token_type == TokenType.STRING else at.text
    return ExpressionError(f"something is missing or too much at: {shown}", reading.place(at.start))


class _Builder:
    """One walk from sqlglot's nodes to typed nodes; errors get the place of the piece they are about."""

    def __init__(self, reading: Reading, scope: Scope) -> None:
        self._reading = reading
        self._scope = scope

    def build(self, syntax: sge.Expr, depth: int) -> Node:
        if depth > MAX_DEPTH:
            raise ExpressionError(f"more than {MAX_DEPTH} steps deep: split it into tags that build on each other")
        try:
            node = self._node(syntax, depth + 1)
            if isinstance(node, Call):
                self._check_domains(node)
                node = sealed(node, self._scope)
        except ExpressionError as error:
            raise error.located(self._place(syntax)) from error.__cause__
        return node

    def _node(self, syntax: sge.Expr, depth: int) -> Node:
        kind = type(syntax)
        if kind is sge.Paren:
            return self.build(syntax.this, depth)
        if kind is sge.Literal:
            return self._literal(syntax)
        if kind is sge.Null:
            return Literal(None, None)
        if kind is sge.Boolean:
            return Literal(bool(syntax.this), BOOLEAN)
        if kind is sge.Column and set(_given(syntax)) == {"this"}:
            return self._name(syntax.name)
        if kind in _CHAINS:
            return apply(_CHAINS[kind], tuple(self.build(part, depth) for part in _chain(syntax, kind)))
        if kind in _BINARY:
            return self._apply(_BINARY[kind], (syntax.this, syntax.expression), depth)
        if kind is sge.Not:
            return self._apply("not", (syntax.this,), depth)
        if kind is sge.Neg:
            return self._apply("negate", (syntax.this,), depth)
        if kind is sge.Anonymous:
            return self._function(str(syntax.this), syntax.expressions, depth)
        return self._special(syntax, depth)

    def _special(self, syntax: sge.Expr, depth: int) -> Node:
        """The constructs that have their own syntax."""
        given = set(_given(syntax))
        if isinstance(syntax, sge.Is) and isinstance(syntax.expression, sge.Null):
            return self._apply("is null", (syntax.this,), depth)
        if isinstance(syntax, sge.Like) and given <= {"this", "expression", "negate"}:
            found = self._apply("like", (syntax.this, syntax.expression), depth)
            return apply("not", (found,)) if syntax.args.get("negate") else found
        if isinstance(syntax, sge.Between) and given == {"this", "low", "high"}:
            return self._apply("between", (syntax.this, syntax.args["low"], syntax.args["high"]), depth)
        if isinstance(syntax, sge.In) and given == {"this", "expressions"}:
            return self._apply("in", (syntax.this, *syntax.expressions), depth)
        if isinstance(syntax, sge.Case):
            return self._case(syntax, depth)
        raise ExpressionError(_refusal(syntax))

    def _apply(self, function: str, parts: tuple[sge.Expr, ...], depth: int) -> Node:
        return apply(function, tuple(self.build(part, depth) for part in parts))

    def _case(self, syntax: sge.Case, depth: int) -> Node:
        if syntax.this is not None:
            raise ExpressionError("case x when … is not used here: write case when x = … then … end")
        arguments: list[Node] = []
        for branch in syntax.args["ifs"]:
            arguments += [self.build(branch.this, depth), self.build(branch.args["true"], depth)]
        otherwise = syntax.args.get("default")
        arguments.append(Literal(None, None) if otherwise is None else self.build(otherwise, depth))
        return apply("case", tuple(arguments))

    def _literal(self, syntax: sge.Expr) -> Literal:
        if syntax.is_string:
            return Literal(self._reading.literals[int(syntax.this)], TEXT)
        return number_literal(str(syntax.this))

    def _name(self, word: str) -> Name:
        symbol = self._scope.get(word)
        if symbol is None:
            suggestion, hint = self._scope.suggest(word), ""
            if suggestion is not None:
                raise ExpressionError(f"unknown {self._scope.what} '{word}'", None, suggestion)
            if word.lower() in FUNCTIONS:
                hint = f"; the function is written {FUNCTIONS[word.lower()].signature}"
            elif word.lower() in FOREIGN:
                hint = f"; write {FOREIGN[word.lower()]}"
            raise ExpressionError(f"unknown {self._scope.what} '{word}'{hint}")
        return Name(symbol.code, symbol.type)

    def _function(self, word: str, parts: list[sge.Expr], depth: int) -> Node:
        name = word.lower()
        known = [key for key, function in FUNCTIONS.items() if not function.operator]
        if name in FOREIGN:
            raise ExpressionError(f"there is no function '{word}': write {FOREIGN[name]}")
        if name not in known:
            raise ExpressionError(f"there is no function '{word}'", None, Spellings(known).closest(name))
        return self._apply(name, tuple(parts), depth)

    def _check_domains(self, call: Call) -> None:
        """A text compared with a name that has a closed set of values must be one of them."""
        if call.function not in ("=", "!=", "in", "has"):
            return
        symbols = [self._scope.get(part.code) for part in call.arguments if isinstance(part, Name)]
        closed = [symbol for symbol in symbols if symbol is not None and symbol.values is not None]
        for part in call.arguments:
            if closed and isinstance(part, Literal):
                _check_domain(part, closed[0])

    def _place(self, syntax: sge.Expr) -> int | None:
        starts = [part.meta["start"] for part in syntax.walk() if "start" in part.meta]
        return self._reading.place(min(starts)) if starts else None


def _check_domain(literal: Literal, symbol: Symbol) -> None:
    allowed = symbol.values or ()
    if str(literal.value) in allowed:
        return
    shown = ", ".join(f"'{value}'" for value in allowed[:8]) + (", …" if len(allowed) > 8 else "")
    nearest = Spellings(allowed).closest(str(literal.value))
    raise ExpressionError(f"{meaning(literal)} is no value of {symbol.code}; its values are {shown}", None, nearest)


def _given(syntax: sge.Expr) -> list[str]:
    return [key for key, value in syntax.args.items() if value not in (None, [], False)]


def _chain(syntax: sge.Expr, kind: type[sge.Expr]) -> list[sge.Expr]:
    """The operands of ``a and b and c``, left to right, whichever of them stand in parentheses."""
    operands: list[sge.Expr] = []
    waiting = [syntax]
    while waiting:
        part = waiting.pop()
        bare = part
        while type(bare) is sge.Paren:
            bare = bare.this
        if type(bare) is kind:
            waiting += [bare.expression, bare.this]
        else:
            operands.append(part)
    return operands


def _refusal(syntax: sge.Expr) -> str:
    if isinstance(syntax, sge.Is):
        return "is goes with null only: write x is null, or x = true"
    if isinstance(syntax, sge.Tuple):
        return "a list of values stands behind in only: write x in ('a', 'b')"
    if isinstance(syntax, sge.In):
        return "in takes a list of written values, as in x in ('a', 'b')"
    if isinstance(syntax, sge.Between):
        return "between is written a between low and high"
    if isinstance(syntax, sge.AtTimeZone):
        return "times are local already: the time zone is set in project.yaml"
    if isinstance(syntax, sge.Concat):
        return "two texts side by side: an operator or comma is missing between them"
    if isinstance(syntax, sge.Alias):
        return f"'{syntax.alias}' does not fit here: an operator or comma is missing before it"
    return f"{type(syntax).__name__.lower()} is not part of the expression language"
