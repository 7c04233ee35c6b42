"""What a tree means, said a second time in plain Python: the reference the engine is compared with."""

import calendar
import math
from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Context, Decimal
from typing import Any

from valtag_assets.expression.tree import Call, Literal, Name, Node
from valtag_tests.expression.running import AS_OF, Row

_EXACT = Context(prec=80)


def value_of(node: Node, row: Row) -> Any:
    """The value of ``node`` on one row; decimals have the scale of their type."""
    if isinstance(node, Literal):
        return node.value
    if isinstance(node, Name):
        return row[node.code]
    given = [value_of(part, row) for part in node.arguments]
    result = LAZY[node.function](*given) if node.function in LAZY else _strict(node, given)
    return _typed(result, node)


def _strict(node: Call, given: list[Any]) -> Any:
    """A function of which any empty argument makes an empty result."""
    if any(value is None for value in given):
        return None
    kinds = {part.type.kind for part in node.arguments if part.type}
    if "float" in kinds and node.function != "round":
        given = [float(value) if isinstance(value, int | Decimal) else value for value in given]
    return STRICT[node.function](*given)


def _typed(value: Any, node: Call) -> Any:
    if value is None or node.type is None:
        return value
    if node.type.kind == "float":
        return float(value)
    if node.type.kind == "decimal":
        return Decimal(value).quantize(Decimal(1).scaleb(-(node.type.scale or 0)), context=_EXACT)
    return value


def _and(*parts: bool | None) -> bool | None:
    return False if False in parts else None if None in parts else True


def _or(*parts: bool | None) -> bool | None:
    return True if True in parts else None if None in parts else False


def _case(*parts: Any) -> Any:
    for condition, value in zip(parts[:-1:2], parts[1::2], strict=True):
        if condition:
            return value
    return parts[-1]


def _first(*parts: Any) -> Any:
    return next((part for part in parts if part is not None), None)


def _different(left: Any, right: Any) -> bool:
    if left is None or right is None:
        return left is not right
    return bool(_same_kind(left, right)[0] != _same_kind(left, right)[1])


def _at_most(left: Any, right: Any) -> bool | None:
    if left is None or right is None:
        return None
    left, right = _same_kind(left, right)
    return bool(left <= right)


def _same_kind(left: Any, right: Any) -> tuple[Any, Any]:
    floats = isinstance(left, float) or isinstance(right, float)
    return (float(left), float(right)) if floats else (left, right)


def _skipping(how: Callable[..., Any]) -> Callable[..., Any]:
    def extreme(*parts: Any) -> Any:
        present = [part for part in parts if part is not None]
        return how(present) if present else None

    return extreme


def _round(value: Any, digits: int = -1) -> Any:
    if isinstance(value, float):
        size = abs(value) * 10.0 ** max(digits, 0)
        if size < 2.0**53:
            whole = math.floor(size)
            size = (whole + (size - whole >= 0.5)) / 10.0 ** max(digits, 0)
            value = math.copysign(size, value)
    elif isinstance(value, Decimal) and digits < -int(value.as_tuple().exponent):
        value = value.quantize(Decimal(1).scaleb(-max(digits, 0)), ROUND_HALF_UP, _EXACT)
    return int(value) if digits < 0 else value


def _whole(rounding: str, of_float: Callable[[float], int]) -> Callable[[Any], int]:
    return lambda x: of_float(x) if isinstance(x, float) else int(Decimal(x).to_integral_value(rounding))


def _day(value: date) -> date:
    return value.date() if isinstance(value, datetime) else value


def _years(born: date) -> int:
    return AS_OF.year - born.year - ((born.month, born.day) > (AS_OF.month, AS_OF.day))


def _to_anniversary(born: date) -> int:
    """Day after day until it returns."""
    day = AS_OF
    while True:
        same = (day.month, day.day) == (born.month, born.day)
        moved = (born.month, born.day) == (2, 29) and (day.month, day.day) == (3, 1) and not calendar.isleap(day.year)
        if same or moved:
            return (day - AS_OF).days
        day += timedelta(days=1)


def _like(text: str, pattern: str) -> bool:
    if not pattern:
        return not text
    if pattern[0] == "%":
        return any(_like(text[start:], pattern[1:]) for start in range(len(text) + 1))
    literal = pattern[1] if pattern[0] == "\\" else pattern[0]
    rest = pattern[2:] if pattern[0] == "\\" else pattern[1:]
    return bool(text) and (pattern[0] == "_" or text[0] == literal) and _like(text[1:], rest)


LAZY: dict[str, Callable[..., Any]] = {
    "and": _and,
    "or": _or,
    "not": lambda x: not x,
    "between": lambda x, low, high: _and(_at_most(low, x), _at_most(x, high)),
    "!=": _different,
    "is null": lambda x: x is None,
    "case": _case,
    "if": lambda c, a, b: a if c else b,
    "coalesce": _first,
    "nullif": lambda a, b: None if a is not None and b is not None and a == b else a,
    "least": _skipping(min),
    "greatest": _skipping(max),
}

STRICT: dict[str, Callable[..., Any]] = {
    "=": lambda a, b: a == b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "in": lambda x, *items: x in items,
    "like": _like,
    "+": lambda a, b: _EXACT.add(a, b) if isinstance(a, Decimal) or isinstance(b, Decimal) else a + b,
    "-": lambda a, b: _EXACT.subtract(a, b) if isinstance(a, Decimal) or isinstance(b, Decimal) else a - b,
    "*": lambda a, b: _EXACT.multiply(a, b) if isinstance(a, Decimal) or isinstance(b, Decimal) else a * b,
    "/": lambda a, b: float(a) / float(b) if b else None,
    "//": lambda a, b: a // b if b else None,
    "%": lambda a, b: a - b * int(a / b) if b else None,
    "negate": lambda x: _EXACT.minus(x) if isinstance(x, Decimal) else -x,
    "abs": abs,
    "round": _round,
    "floor": _whole(ROUND_FLOOR, math.floor),
    "ceil": _whole(ROUND_CEILING, math.ceil),
    "lower": str.lower,
    "upper": str.upper,
    "length": len,
    "trim": lambda text: text.strip(" \t\n\r\v\f"),
    "concat": lambda *texts: "".join(texts),
    "contains": lambda text, part: part in text,
    "starts_with": str.startswith,
    "ends_with": str.endswith,
    "substring": lambda text, start, length: text[start - 1 : start - 1 + length],
    "year": lambda x: x.year,
    "month": lambda x: x.month,
    "day": lambda x: x.day,
    "weekday": lambda x: x.isoweekday(),
    "hour": lambda x: x.hour,
    "date": _day,
    "as_of": lambda: AS_OF,
    "days_between": lambda later, earlier: (_day(later) - _day(earlier)).days,
    "days_since": lambda x: (AS_OF - _day(x)).days,
    "years_since": _years,
    "days_to_anniversary": lambda x: _to_anniversary(_day(x)),
    "has": lambda items, value: value in items,
    "size": len,
}
