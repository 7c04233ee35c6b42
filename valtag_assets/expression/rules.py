"""The type rule of every function: arguments in, typed call out, or an ExpressionError that says why not."""

import re
from collections.abc import Callable
from decimal import Decimal

from valtag_assets.expression.coercion import (
    as_time,
    comparable,
    describe,
    is_text_literal,
    mixable,
    product_type,
    sum_type,
)
from valtag_assets.expression.errors import ExpressionError
from valtag_assets.expression.functions import FUNCTIONS
from valtag_assets.expression.lineage import meaning
from valtag_assets.expression.tree import Call, Literal, Node
from valtag_assets.spec.types import BOOLEAN, DATE, FLOAT, INTEGER, TEXT, TIMESTAMP, DataType, decimal

Arguments = tuple[Node, ...]
Rule = Callable[[str, Arguments], Node]

MAX_ROUND_DIGITS = 15
_PATTERN = re.compile(r"(?:[^\\]|\\[%_\\])*")


def apply(function: str, arguments: Arguments) -> Node:
    """The typed node of a call; ``function`` is a key of FUNCTIONS."""
    return RULES[function](function, arguments)


def _need(function: str, arguments: Arguments, least: int, most: int | None) -> None:
    if len(arguments) < least or (most is not None and len(arguments) > most):
        signature = FUNCTIONS[function].signature
        raise ExpressionError(f"{function} is written {signature}; here it has {len(arguments)} arguments")


def _require(function: str, node: Node, allowed: tuple[str, ...], called: str, hint: str = "") -> DataType:
    if node.type is None or node.type.kind not in allowed:
        raise ExpressionError(f"{function} needs {called}, not {describe(node)}{hint}")
    return node.type


_NUMBERS = ("integer", "decimal", "float")


def _logic(function: str, arguments: Arguments) -> Node:
    for argument in arguments:
        _require(
            function,
            argument,
            ("boolean",),
            "conditions on both sides" if function != "not" else "a condition",
        )
    return Call(function, arguments, BOOLEAN)


def _equality(function: str, arguments: Arguments) -> Node:
    return Call(function, comparable(arguments), BOOLEAN)


def _order(function: str, arguments: Arguments) -> Node:
    ready = comparable(arguments)
    for argument in ready:
        if argument.type == BOOLEAN:
            raise ExpressionError(f"{describe(argument)} has no order: conditions are joined with and / or")
    return Call(function, ready, BOOLEAN)


def _is_in(function: str, arguments: Arguments) -> Node:
    for item in arguments[1:]:
        if not isinstance(item, Literal):
            raise ExpressionError(f"in takes written values, not {meaning(item)}; use or for anything else")
        if item.type is None:
            raise ExpressionError("null cannot stand in a list of values: write 'or … is null'")
    return Call(function, comparable(arguments), BOOLEAN)


def _is_null(function: str, arguments: Arguments) -> Node:
    if arguments[0].type is None:
        raise ExpressionError("'null is null' says nothing: name a field or tag")
    return Call(function, arguments, BOOLEAN)


def _like(function: str, arguments: Arguments) -> Node:
    _require(function, arguments[0], ("text",), "a text")
    if not is_text_literal(arguments[1]):
        raise ExpressionError(
            f"like takes a written pattern, not {meaning(arguments[1])}; or use contains(text, part)"
        )
    if not _PATTERN.fullmatch(str(arguments[1].value)):  # type: ignore[union-attr]
        raise ExpressionError(
            rf"in {meaning(arguments[1])} a \ stands before none of % _ \: write \\ for a backslash"
        )
    return Call(function, arguments, BOOLEAN)


def _arithmetic(function: str, arguments: Arguments) -> Node:
    for argument in arguments:
        hint = ""
        if argument.type is not None and argument.type.temporal:
            hint = "; for dates use days_between, days_since or years_since"
        elif argument.type == TEXT and function == "+":
            hint = "; to join texts use concat(a, b)"
        _require(function, argument, _NUMBERS, "numbers", hint)
    left, right = (argument.type for argument in arguments)
    assert left is not None
    assert right is not None
    if function == "/":
        return Call(function, arguments, FLOAT)
    if function in ("//", "%"):
        if not left == right == INTEGER:
            raise ExpressionError(
                f"{function} is for integers, not {describe(arguments[0])} and {describe(arguments[1])}"
            )
        return Call(function, arguments, INTEGER)
    return Call(function, arguments, (product_type if function == "*" else sum_type)(left, right))


def _negate(function: str, arguments: Arguments) -> Node:
    node = arguments[0]
    data_type = _require("-", node, _NUMBERS, "a number")
    if isinstance(node, Literal):
        # Unary minus on a Decimal would round to Python's 28 digits.
        exact = isinstance(node.value, Decimal)
        return Literal(node.value.copy_negate() if exact else -node.value, data_type)  # type: ignore
    return Call(function, arguments, data_type)


def _case(function: str, arguments: Arguments) -> Node:
    conditions, values = arguments[:-1:2], (*arguments[1::2], arguments[-1])
    for condition in conditions:
        _require("case when", condition, ("boolean",), "a condition")
    values, data_type = mixable(values, "be values of one case")
    flat: list[Node] = []
    for condition, value in zip(conditions, values[:-1], strict=True):
        flat += [condition, value]
    return Call(function, (*flat, values[-1]), data_type)


def _if(function: str, arguments: Arguments) -> Node:
    _need(function, arguments, 3, 3)
    _require(function, arguments[0], ("boolean",), "a condition first")
    values, data_type = mixable(arguments[1:], "be values of one if")
    return Call(function, (arguments[0], *values), data_type)


def _coalesce(function: str, arguments: Arguments) -> Node:
    _need(function, arguments, 2, None)
    values, data_type = mixable(arguments, "stand in for each other")
    return Call(function, values, data_type)


def _nullif(function: str, arguments: Arguments) -> Node:
    _need(function, arguments, 2, 2)
    values, data_type = mixable(arguments, "be compared")
    comparable(values)
    return Call(function, values, data_type)


def _extreme(function: str, arguments: Arguments) -> Node:
    _need(function, arguments, 2, None)
    values, data_type = mixable(arguments, "be compared")
    return Call(function, _order(function, values).arguments, data_type)  # type: ignore[union-attr]


def _abs(function: str, arguments: Arguments) -> Node:
    _need(function, arguments, 1, 1)
    return Call(function, arguments, _require(function, arguments[0], _NUMBERS, "a number"))


def _to_integer(function: str, arguments: Arguments) -> Node:
    _need(function, arguments, 1, 1)
    _require(function, arguments[0], _NUMBERS, "a number")
    return Call(function, arguments, INTEGER)


def _round(function: str, arguments: Arguments) -> Node:
    _need(function, arguments, 1, 2)
    if len(arguments) == 1:
        return _to_integer(function, arguments)
    data_type = _require(function, arguments[0], _NUMBERS, "a number")
    digits = _written_integer(function, arguments[1], 0, MAX_ROUND_DIGITS)
    if data_type.kind == "decimal":
        assert data_type.precision is not None
        assert data_type.scale is not None
        if digits < data_type.scale:
            data_type = decimal(data_type.precision - data_type.scale + digits + 1, digits)
    return Call(function, arguments, data_type)


def _written_integer(function: str, node: Node, least: int, most: int | None) -> int:
    value = node.value if isinstance(node, Literal) and node.type == INTEGER else None
    if not isinstance(value, int) or value < least or (most is not None and value > most):
        limit = f"from {least} to {most}" if most is not None else f"of at least {least}"
        raise ExpressionError(
            f"{FUNCTIONS[function].signature} needs a written whole number {limit}, not {meaning(node)}"
        )
    return value


def _texts(least: int, most: int | None, result: DataType) -> Rule:
    def rule(function: str, arguments: Arguments) -> Node:
        _need(function, arguments, least, most)
        for argument in arguments:
            _require(function, argument, ("text",), "text")
        return Call(function, arguments, result)

    return rule


def _substring(function: str, arguments: Arguments) -> Node:
    _need(function, arguments, 3, 3)
    _require(function, arguments[0], ("text",), "text")
    _written_integer(function, arguments[1], 1, None)
    _written_integer(function, arguments[2], 0, None)
    return Call(function, arguments, TEXT)


def _part_of_time(function: str, arguments: Arguments) -> Node:
    _need(function, arguments, 1, 1)
    allowed = ("timestamp",) if function == "hour" else ("date", "timestamp")
    argument = as_time(arguments[0])
    _require(function, argument, allowed, f"a {' or '.join(allowed)}")
    return Call(function, (argument,), INTEGER)


def _days(count: int) -> Rule:
    def rule(function: str, arguments: Arguments) -> Node:
        _need(function, arguments, count, count)
        times = tuple(as_time(argument) for argument in arguments)
        for time in times:
            _require(function, time, ("date", "timestamp"), "dates or timestamps")
        return Call(function, times, INTEGER)

    return rule


def _date(function: str, arguments: Arguments) -> Node:
    _need(function, arguments, 1, 1)
    if is_text_literal(arguments[0]):
        return as_time(arguments[0], "date")
    if _require(function, arguments[0], ("date", "timestamp"), "a timestamp or a written date") == DATE:
        return arguments[0]
    return Call(function, arguments, DATE)


def _timestamp(function: str, arguments: Arguments) -> Node:
    _need(function, arguments, 1, 1)
    if not is_text_literal(arguments[0]):
        raise ExpressionError(f"timestamp takes a written point in time, not {meaning(arguments[0])}")
    return as_time(arguments[0], TIMESTAMP.kind)


def _as_of(function: str, arguments: Arguments) -> Node:
    _need(function, arguments, 0, 0)
    return Call(function, arguments, DATE)


def _has(function: str, arguments: Arguments) -> Node:
    _need(function, arguments, 2, 2)
    of = _require(function, arguments[0], ("list",), "a list first", "; for a text use contains(text, part)")
    _require(function, arguments[1], (of.item or "",), f"a value of type {of.item}")
    return Call(function, arguments, BOOLEAN)


def _size(function: str, arguments: Arguments) -> Node:
    _need(function, arguments, 1, 1)
    _require(function, arguments[0], ("list",), "a list", "; for a text use length(text)")
    return Call(function, arguments, INTEGER)


RULES: dict[str, Rule] = {
    **dict.fromkeys(("and", "or", "not"), _logic),
    **dict.fromkeys(("=", "!="), _equality),
    **dict.fromkeys(("<", "<=", ">", ">=", "between"), _order),
    **{"in": _is_in, "is null": _is_null, "like": _like},
    **dict.fromkeys(("+", "-", "*", "/", "//", "%"), _arithmetic),
    **{"negate": _negate, "case": _case, "if": _if, "coalesce": _coalesce, "nullif": _nullif},
    **dict.fromkeys(("least", "greatest"), _extreme),
    **dict.fromkeys(("floor", "ceil"), _to_integer),
    **{"abs": _abs, "round": _round},
    **dict.fromkeys(("lower", "upper", "trim"), _texts(1, 1, TEXT)),
    **{"length": _texts(1, 1, INTEGER), "concat": _texts(2, None, TEXT), "substring": _substring},
    **dict.fromkeys(("contains", "starts_with", "ends_with"), _texts(2, 2, BOOLEAN)),
    **dict.fromkeys(("year", "month", "day", "weekday", "hour"), _part_of_time),
    **dict.fromkeys(("days_since", "days_to_anniversary", "years_since"), _days(1)),
    **{"days_between": _days(2), "date": _date, "timestamp": _timestamp, "as_of": _as_of},
    **{"has": _has, "size": _size},
}


def fit(node: Node, expect: DataType) -> Node:
    """``node`` where a value of type ``expect`` is wanted; ExpressionError where it is of another kind.

    Integers and decimals widen to decimal and float; a float or a longer decimal becomes a shorter decimal by
    rounding (compile does it). An integer takes no fraction unasked.
    """
    if expect.temporal:
        node = as_time(node, expect.kind)
    given = node.type
    if given is None or given == expect:
        return node
    if given.numeric and expect.numeric:
        if expect.kind != "integer" or given.scale == 0:
            return node
        raise ExpressionError(f"{describe(node)} where an integer is wanted: use round(x), floor(x) or ceil(x)")
    if expect == BOOLEAN:
        raise ExpressionError(f"{describe(node)} is no condition: compare it with something, as in … > 0")
    hint = ": use date(…)" if expect == DATE and given == TIMESTAMP else ""
    raise ExpressionError(f"{describe(node)} where {expect} is wanted{hint}")
