"""How types meet: what may be compared or mixed, and what comes out.

Numbers mix freely. With decimals the arithmetic is exact:
``+ -``  scale = the larger scale, one more digit before the point than either side; ``*`` adds scales and
precisions. Precision stops at 38; a result that would then need more than 6 decimals is refused, because the
engines round it differently. An integer counts as decimal(19,0). A float makes everything float.

A text literal next to a date or timestamp is read as one ('2024-01-31', '2024-01-31 08:00'). A timestamp
compared with a date is compared by its day, so ``paid_at <= '2024-01-31'`` includes that whole day.
"""

import re
from collections.abc import Sequence
from datetime import date, datetime

from valtag_assets.expression.errors import ExpressionError
from valtag_assets.expression.lineage import meaning
from valtag_assets.expression.tree import Call, Literal, Node
from valtag_assets.spec.types import DATE, FLOAT, INTEGER, TIMESTAMP, DataType, decimal

MAX_PRECISION = 38
_SAFE_SCALE = 6
_INTEGER_DIGITS = 19

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_TIMESTAMP = re.compile(r"\d{4}-\d{2}-\d{2}[ T]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?", re.ASCII)


def describe(node: Node) -> str:
    """A piece of an expression with its type, as messages show it."""
    kind = "null" if node.type is None else str(node.type)
    return f"{meaning(node)} ({kind})"


def is_text_literal(node: Node) -> bool:
    return isinstance(node, Literal) and isinstance(node.value, str)


def as_time(node: Node, kind: str | None = None) -> Node:
    """A text literal as a date or timestamp; any other node as it is. ``kind`` forces one of the two."""
    if not isinstance(node, Literal) or not isinstance(node.value, str):
        return node
    text = node.value
    try:
        if _DATE.fullmatch(text):
            day = date.fromisoformat(text)
            if kind == "timestamp":
                return Literal(datetime(day.year, day.month, day.day), TIMESTAMP)
            return Literal(day, DATE)
        if _TIMESTAMP.fullmatch(text) and kind != "date":
            return Literal(datetime.fromisoformat(text), TIMESTAMP)
    except ValueError as error:
        raise ExpressionError(f"{meaning(node)} is no date: {error}") from error
    wanted = {"date": "'2024-01-31'", "timestamp": "'2024-01-31 08:00:00'"}.get(
        kind or "", "'2024-01-31' or '2024-01-31 08:00:00'"
    )
    raise ExpressionError(f"{meaning(node)} is no {kind or 'date or timestamp'}: write it like {wanted}")


def comparable(nodes: Sequence[Node]) -> tuple[Node, ...]:
    """The nodes made ready to be compared with each other; ExpressionError where they cannot be."""
    for node in nodes:
        if node.type is None:
            raise ExpressionError("nothing compares with null: write 'is null' or 'is not null'")
        if node.type.kind == "list":
            raise ExpressionError(f"{describe(node)} is a list: use has(list, value) or size(list)")
    if not any(_temporal(node) for node in nodes):
        common_type(nodes, "be compared")
        return tuple(nodes)
    nodes = [as_time(node) for node in nodes]
    common = {node.type.kind for node in nodes if node.type}
    if common == {"date", "timestamp"}:
        nodes = [_day(node) for node in nodes]
    common_type(nodes, "be compared")
    return tuple(nodes)


def _day(node: Node) -> Node:
    if node.type != TIMESTAMP:
        return node
    if isinstance(node, Literal):
        raise ExpressionError(f"{meaning(node)} has a time of day and cannot be compared with a date")
    return Call("date", (node,), DATE)


def mixable(nodes: Sequence[Node], doing: str) -> tuple[tuple[Node, ...], DataType | None]:
    """Nodes that are alternatives of one value, and its type (None when all are null)."""
    kinds = {node.type.kind for node in nodes if node.type}
    if "timestamp" in kinds:
        nodes = [as_time(node, "timestamp") for node in nodes]
    elif "date" in kinds:
        nodes = [as_time(node, "date") for node in nodes]
    return tuple(nodes), common_type(nodes, doing)


def common_type(nodes: Sequence[Node], doing: str) -> DataType | None:
    """The one type that holds all of the nodes; nulls fit anything. ``doing`` finishes 'cannot …'."""
    typed = [node for node in nodes if node.type is not None]
    result: DataType | None = None
    for node in typed:
        assert node.type is not None
        if result is None or result == node.type:
            result = node.type
        elif result.numeric and node.type.numeric:
            result = widest(result, node.type)
        else:
            raise _clash(typed[0], node, doing)
    return result


def widest(left: DataType, right: DataType) -> DataType:
    """The numeric type that holds the values of both."""
    if left == right:
        return left
    if FLOAT in (left, right):
        return FLOAT
    (left_digits, left_scale), (right_digits, right_scale) = _digits(left), _digits(right)
    scale = max(left_scale, right_scale)
    return decimal(min(MAX_PRECISION, max(left_digits, right_digits) + scale), scale)


def sum_type(left: DataType, right: DataType) -> DataType:
    """The type of ``left + right`` and ``left - right``."""
    if FLOAT in (left, right):
        return FLOAT
    if left == right == INTEGER:
        return INTEGER
    (left_digits, left_scale), (right_digits, right_scale) = _digits(left), _digits(right)
    scale = max(left_scale, right_scale)
    precision = max(left_digits, right_digits) + scale + 1
    return _exact(precision, scale, precision)


def product_type(left: DataType, right: DataType) -> DataType:
    """The type of ``left * right``."""
    if FLOAT in (left, right):
        return FLOAT
    if left == right == INTEGER:
        return INTEGER
    needed, scale = (sum(parts) for parts in zip(_size(left), _size(right), strict=True))
    taken = sum(_size(operand)[0] for operand in product_operands(left, right))
    return _exact(needed, scale, taken)


def product_operands(left: DataType, right: DataType) -> tuple[DataType, DataType]:
    """The types two decimals are multiplied as: their own scales, and one precision where Ibis wants to see
    which of two decimals contains the other."""
    (left_precision, left_scale), (right_precision, right_scale) = _size(left), _size(right)
    if (left_precision - right_precision) * (left_scale - right_scale) >= 0:
        return left, right
    precision = max(left_precision, right_precision)
    return decimal(precision, left_scale), decimal(precision, right_scale)


def _exact(precision: int, scale: int, taken: int) -> DataType:
    # One digit of reserve: Spark counts a product one digit longer before it starts to cut decimals off.
    if taken + 1 > MAX_PRECISION and scale > _SAFE_SCALE:
        raise ExpressionError(
            f"the result needs {precision} digits with {scale} decimals, more than {MAX_PRECISION}: "
            "round(x, n) a part of it first"
        )
    return decimal(min(MAX_PRECISION, precision), scale)


def _digits(data_type: DataType) -> tuple[int, int]:
    """Digits before and behind the decimal point."""
    if data_type.kind == "integer":
        return _INTEGER_DIGITS, 0
    assert data_type.precision is not None
    assert data_type.scale is not None
    return data_type.precision - data_type.scale, data_type.scale


def _size(data_type: DataType) -> tuple[int, int]:
    """Precision and scale."""
    digits, scale = _digits(data_type)
    return digits + scale, scale


def _temporal(node: Node) -> bool:
    return node.type is not None and node.type.temporal


def _clash(left: Node, right: Node, doing: str) -> ExpressionError:
    hint = ""
    for one, other in ((left, right), (right, left)):
        if is_text_literal(one) and other.type is not None and other.type.numeric:
            hint = "; write a number without quotes"
        elif isinstance(one, Literal) and one.type and one.type.numeric and other.type and other.type.kind == "text":
            hint = f"; write a text in quotes: '{meaning(one)}'"
    if {node.type.kind for node in (left, right) if node.type} == {"date", "timestamp"}:
        hint = "; write date(…) around the timestamp"
    return ExpressionError(f"{describe(left)} and {describe(right)} cannot {doing}{hint}")
