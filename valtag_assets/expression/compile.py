"""Typed tree → Ibis expression, from constructs that give equal cells on DuckDB and Spark.

Empty values (NULL)
- Comparisons, ``in``, ``like``, ``and``, ``or`` follow SQL: with an empty operand the answer is unknown,
  unless the other operand of ``and`` / ``or`` decides alone. ``between`` is two comparisons and an ``and``.
- ``a != b`` is never unknown: an empty value differs from every value and equals an empty one. So
  ``city != '上海'`` holds for a person without a city.
- ``not`` of unknown is true; so are ``not in``, ``not between``, ``not like`` for an empty value.
- A whole condition (``compile_condition``) that is unknown does not hold.
- ``case`` and ``if`` take unknown as false. ``coalesce``, ``least``, ``greatest`` skip empty arguments. All
  other functions of an empty argument are empty.

Numbers
- ``/`` divides as float; a zero divisor gives empty, in ``/``, ``//`` and ``%``. ``//`` is exact up to 2^53.
- ``round`` goes half away from zero: exactly for decimals and for the quotient of two of them
  (``round(spend / orders, 2)``); for other floats on x * 10^n as floats compute it.
- A result outside its type (int64, the digits of a decimal) is an error of the engine, never a wrong number.
- Floats are expected to be finite; cleaning refuses NaN and infinity.
"""

import operator
import re
from collections.abc import Callable
from datetime import date
from functools import reduce
from operator import and_, or_
from typing import Any

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.operations as ops
import ibis.expr.types as ir

from valtag_assets.expression.anniversary import days_to_anniversary
from valtag_assets.expression.coercion import MAX_PRECISION, product_operands, widest
from valtag_assets.expression.ibis_types import to_ibis_type
from valtag_assets.expression.tree import Call, Literal, Name, Node
from valtag_assets.spec.types import DataType, decimal

# An Ibis value; Ibis chooses its class, and so its methods, by type, which only the tree knows.
Value = Any
Compiler = Callable[["_Context", Call, list[Value]], Value]

# From here on every float is whole.
_WHOLE = 2.0**53


class _Context:
    def __init__(self, table: ir.Table, as_of: date) -> None:
        self.table = table
        self.as_of = ibis.literal(as_of, type=dt.date)
        self.today = as_of


def compile_value(node: Node, table: ir.Table, as_of: date, to: DataType | None = None) -> ir.Value:
    """The value of ``node`` on each row of ``table``, of exactly the type ``to`` (default: the node's own).

    ``table`` has a column of the symbol's type for every name read. A float or longer decimal becomes a
    decimal ``to`` by rounding half away from zero.
    """
    value = _compile(node, _Context(table, as_of))
    wanted = to or node.type
    if wanted is None:
        return value
    if node.type is not None and node.type.kind == "float" and wanted.kind == "decimal":
        value = _round_float(value, wanted.scale or 0)
    if isinstance(node, Name) and node.type == wanted:
        return value
    return _cast(value, wanted)


def compile_condition(node: Node, table: ir.Table, as_of: date) -> ir.BooleanValue:
    """Whether ``node``, a boolean tree, holds on each row: true or false, never NULL."""
    return _holds(_compile(node, _Context(table, as_of)))


def _compile(node: Node, context: _Context) -> Value:
    if isinstance(node, Name):
        return context.table[node.code]
    if isinstance(node, Literal):
        return ibis.null() if node.type is None else ibis.literal(node.value, type=to_ibis_type(node.type))
    return COMPILERS[node.function](context, node, [_compile(part, context) for part in node.arguments])


def _cast(value: Value, data_type: DataType) -> Value:
    # Ibis drops a cast to the type it believes a value has; DuckDB's own type is often another (int32, a
    # wider decimal), so the cast is built by hand.
    return ops.Cast(value, to_ibis_type(data_type)).to_expr()


def _alike(values: list[Value], nodes: tuple[Node, ...], data_type: DataType | None) -> list[Value]:
    """The values cast to one type where their own differs."""
    if data_type is None:
        return values
    return [
        value if node.type == data_type else _cast(value, data_type)
        for value, node in zip(values, nodes, strict=True)
    ]


def _holds(condition: Value) -> Value:
    return ibis.coalesce(condition, ibis.literal(False))


def _balanced(join: Callable[[Value, Value], Value], values: list[Value]) -> Value:
    """``values`` joined as a shallow tree: a rule of a thousand parts must not exhaust the stack."""
    if len(values) == 1:
        return values[0]
    half = len(values) // 2
    return join(_balanced(join, values[:half]), _balanced(join, values[half:]))


def _comparable(call: Call, values: list[Value]) -> list[Value]:
    """Numbers compared as float if one is a float, and decimals at one scale; everything else as it is."""
    types = {node.type for node in call.arguments if node.type and node.type.numeric}
    decimals = [data_type for data_type in types if data_type.kind == "decimal"]
    if len(types) > 1 and (DataType("float") in types or len(decimals) > 1):
        return _alike(values, call.arguments, reduce(widest, types))
    return [_closed(value, node) for value, node in zip(values, call.arguments, strict=True)]


def _closed(value: Value, node: Node) -> Value:
    """A condition as operand of an operator. Ibis writes NOT without parentheses there: NOT a IS NULL."""
    condition = isinstance(node, Call) and node.type == DataType("boolean")
    return _cast(value, DataType("boolean")) if condition else value


def _compare(how: Callable[[Value, Value], Value]) -> Compiler:
    def compiler(_: _Context, call: Call, values: list[Value]) -> Value:
        return how(*_comparable(call, values))

    return compiler


def _between(_: _Context, call: Call, values: list[Value]) -> Value:
    value, low, high = _comparable(call, values)
    return (value >= low) & (value <= high)


def _is_in(_: _Context, call: Call, values: list[Value]) -> Value:
    value, *items = _comparable(call, values)
    return value.isin(items)


def _like(_: _Context, call: Call, values: list[Value]) -> Value:
    pattern = call.arguments[1]
    assert isinstance(pattern, Literal)
    written = str(pattern.value)
    # The engines agree on LIKE, but not on how its escape is written; then a regular expression says it.
    return values[0].re_search(_as_regex(written)) if "\\" in written else values[0].like(written)


def _as_regex(pattern: str) -> str:
    r"""The LIKE pattern as a regular expression RE2 and Java read alike: \x{…} for all but ASCII words."""
    parts = []
    for found in re.finditer(r"\\(.)|(.)", pattern, re.DOTALL):
        character = found[1] or found[2]
        if found[1] is None and character in "%_":
            parts.append(".*" if character == "%" else ".")
        else:
            plain = character.isascii() and character.isalnum()
            parts.append(character if plain else rf"\x{{{ord(character):x}}}")
    return rf"(?s)\A{''.join(parts)}\z"


def _arithmetic(how: Callable[[Value, Value], Value]) -> Compiler:
    def compiler(_: _Context, call: Call, values: list[Value]) -> Value:
        assert call.type is not None
        wanted = _operand_types(call)
        operands = [
            # A literal would else be int32 or decimal in DuckDB, whatever type the tree gave it.
            _cast(value, own) if isinstance(node, Literal) or own != node.type else value
            for node, value, own in zip(call.arguments, values, wanted, strict=True)
        ]
        result = how(*operands)
        return _cast(result, call.type) if call.type.kind == "decimal" else result

    return compiler


def _operand_types(call: Call) -> tuple[DataType, DataType]:
    left, right = (node.type for node in call.arguments)
    assert left is not None
    assert right is not None
    if call.type == DataType("float"):
        return call.type, call.type
    if left.kind != "decimal" or right.kind != "decimal":
        return left, right
    return product_operands(left, right) if call.function == "*" else (widest(left, right),) * 2


def _nonzero(value: Value) -> Value:
    return value.nullif(0)


def _divide(_: _Context, call: Call, values: list[Value]) -> Value:
    dividend, divisor = (_cast(value, DataType("float")) for value in values)
    return dividend / _nonzero(divisor)


def _floor_divide(context: _Context, call: Call, values: list[Value]) -> Value:
    return _divide(context, call, values).floor()


def _remainder(_: _Context, call: Call, values: list[Value]) -> Value:
    dividend, divisor = (_cast(value, DataType("integer")) for value in values)
    return dividend % _nonzero(divisor)


def _quotient_in_units(context: _Context, node: Node, digits: int) -> Value | None:
    """The quotient of two exact numbers in units of its last decimal; None for any other node.

    The dividend is shifted before it is divided: a half of the last unit is then exact, where 307.15 / 2 as a
    float is a little less than 153.575.
    """
    if not isinstance(node, Call) or node.function != "/":
        return None
    types = [part.type for part in node.arguments]
    if any(kind is None or kind.kind == "float" for kind in types) or digits < 0:
        return None
    dividend, divisor = (_compile(part, context) for part in node.arguments)
    wide = DataType("decimal", precision=38, scale=types[0].scale or 0)  # type: ignore[union-attr]
    shifted = _cast(_cast(dividend, wide) * ibis.literal(10**digits, "int64"), DataType("float"))
    return shifted / _nonzero(_cast(divisor, DataType("float")))


def _round(context: _Context, call: Call, values: list[Value]) -> Value:
    node = call.arguments[0]
    assert node.type is not None
    assert call.type is not None
    digits = call.arguments[1].value if len(call.arguments) == 2 else 0  # type: ignore[union-attr]
    assert isinstance(digits, int)
    if node.type.kind == "float":
        units = _quotient_in_units(context, node, digits)
        if units is None:
            rounded = _round_float(values[0], digits)
        else:
            rounded = _round_float(units, 0) / _cast(ibis.literal(10.0**digits), DataType("float"))
    elif node.type.kind == "decimal" and digits < (node.type.scale or 0):
        rounded = values[0].round(digits)
    else:
        rounded = values[0]
    return _cast(rounded, call.type)


def _round_float(value: Value, digits: int) -> Value:
    """Half away from zero, in operations on doubles that all engines do alike (their ROUND differs)."""
    shift = _cast(ibis.literal(10.0**digits), DataType("float"))
    one = _cast(ibis.literal(1.0), DataType("float"))
    shifted = value.abs() * shift
    fraction = shifted % one
    size = (shifted - fraction + ibis.ifelse(fraction >= 0.5, one, one - one)) / shift
    return ibis.ifelse(shifted < _WHOLE, ibis.ifelse(value < 0, -size, size), value)


def _floor_or_ceil(how: str) -> Compiler:
    def compiler(_: _Context, call: Call, values: list[Value]) -> Value:
        node = call.arguments[0]
        if node.type is not None and node.type.kind == "integer":
            return values[0]
        value = values[0]
        if node.type is not None and node.type.kind == "decimal":
            # Ibis casts the result back to the argument's type, where ceil(0.5) of decimal(1,1) has no room.
            precision, scale = node.type.precision or 0, node.type.scale or 0
            value = _cast(value, decimal(min(MAX_PRECISION, precision + 1), scale))
        return _cast(getattr(value, how)(), DataType("integer"))

    return compiler


def _case(_: _Context, call: Call, values: list[Value]) -> Value:
    conditions = values[:-1:2]
    nodes = (*call.arguments[1::2], call.arguments[-1])
    *results, otherwise = _alike([*values[1::2], values[-1]], nodes, call.type)
    return ibis.cases(*zip(conditions, results, strict=True), else_=otherwise)


def _if(_: _Context, call: Call, values: list[Value]) -> Value:
    return ibis.ifelse(values[0], *_alike(values[1:], call.arguments[1:], call.type))


def _of_alike(how: Callable[..., Value]) -> Compiler:
    def compiler(_: _Context, call: Call, values: list[Value]) -> Value:
        return how(*_alike(values, call.arguments, call.type))

    return compiler


def _substring(_: _Context, call: Call, values: list[Value]) -> Value:
    start, length = (node.value for node in call.arguments[1:] if isinstance(node, Literal))
    assert isinstance(start, int)
    assert isinstance(length, int)
    return values[0].substr(start - 1, length)


def _simple(how: Callable[..., Value]) -> Compiler:
    return lambda _, call, values: how(*values)


def _integer(how: Callable[[Value], Value]) -> Compiler:
    return lambda _, call, values: _cast(how(*values), DataType("integer"))


def _day_of(node: Node, value: Value) -> Value:
    return value.date() if node.type is not None and node.type.kind == "timestamp" else value


def _days_between(_: _Context, call: Call, values: list[Value]) -> Value:
    later, earlier = map(_day_of, call.arguments, values)
    return later.delta(earlier, unit="day")


def _days_since(context: _Context, call: Call, values: list[Value]) -> Value:
    return context.as_of.delta(_day_of(call.arguments[0], values[0]), unit="day")


def _years_since(context: _Context, call: Call, values: list[Value]) -> Value:
    born, today = values[0], context.today
    month_day = born.month() * 100 + born.day()
    early = ibis.ifelse(month_day > today.month * 100 + today.day, 1, 0)
    return _cast(today.year - born.year() - early, DataType("integer"))


def _has(_: _Context, call: Call, values: list[Value]) -> Value:
    items, value = values
    found = _holds(items.contains(value))
    unknown = items.isnull() if isinstance(call.arguments[1], Literal) else items.isnull() | value.isnull()
    return ibis.ifelse(unknown, ibis.null(dt.boolean), found)


def _size(_: _Context, call: Call, values: list[Value]) -> Value:
    size = _cast(values[0].length(), DataType("integer"))
    return ibis.ifelse(values[0].isnull(), ibis.null(dt.int64), size)


COMPILERS: dict[str, Compiler] = {
    "and": lambda _, call, values: _balanced(and_, values),
    "or": lambda _, call, values: _balanced(or_, values),
    "not": lambda _, call, values: ~_holds(values[0]),
    "=": _compare(operator.eq),
    "!=": _compare(lambda left, right: ~left.identical_to(right)),
    "<": _compare(operator.lt),
    "<=": _compare(operator.le),
    ">": _compare(operator.gt),
    ">=": _compare(operator.ge),
    "between": _between,
    "in": _is_in,
    "is null": lambda _, call, values: _closed(values[0], call.arguments[0]).isnull(),
    "like": _like,
    "+": _arithmetic(operator.add),
    "-": _arithmetic(operator.sub),
    "*": _arithmetic(operator.mul),
    "/": _divide,
    "//": _floor_divide,
    "%": _remainder,
    "negate": _simple(operator.neg),
    "case": _case,
    "if": _if,
    "coalesce": _of_alike(ibis.coalesce),
    "nullif": _of_alike(lambda value, other: value.nullif(other)),
    "least": _of_alike(ibis.least),
    "greatest": _of_alike(ibis.greatest),
    "abs": _simple(lambda value: value.abs()),
    "round": _round,
    "floor": _floor_or_ceil("floor"),
    "ceil": _floor_or_ceil("ceil"),
    "lower": _simple(lambda text: text.lower()),
    "upper": _simple(lambda text: text.upper()),
    "length": _integer(lambda text: text.length()),
    "trim": _simple(lambda text: text.strip()),
    "concat": _simple(lambda *texts: reduce(operator.add, texts)),
    "contains": _simple(lambda text, part: text.contains(part)),
    "starts_with": _simple(lambda text, part: text.startswith(part)),
    "ends_with": _simple(lambda text, part: text.endswith(part)),
    "substring": _substring,
    "year": _integer(lambda time: time.year()),
    "month": _integer(lambda time: time.month()),
    "day": _integer(lambda time: time.day()),
    "weekday": _integer(lambda time: time.day_of_week.index() + 1),
    "hour": _integer(lambda time: time.hour()),
    "date": _simple(lambda time: time.date()),
    "as_of": lambda context, call, values: context.as_of,
    "days_between": _days_between,
    "days_since": _days_since,
    "days_to_anniversary": lambda context, _, values: days_to_anniversary(values[0], context.today),
    "years_since": _years_since,
    "has": _has,
    "size": _size,
}
