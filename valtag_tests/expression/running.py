"""What the tests of the language share: one scope, a table of awkward rows, ways to run a text on it."""

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import duckdb
import ibis

from valtag_assets.expression.compile import compile_condition, compile_value
from valtag_assets.expression.ibis_types import to_ibis_type
from valtag_assets.expression.parse import parse
from valtag_assets.expression.scope import Scope, Symbol
from valtag_assets.expression.tree import Node
from valtag_assets.spec.types import (
    BOOLEAN,
    DATE,
    FLOAT,
    INTEGER,
    TEXT,
    TIMESTAMP,
    DataType,
    decimal,
    list_of,
)

AS_OF = date(2024, 6, 30)

SYMBOLS = (
    Symbol("age", INTEGER, titles=("年龄", "Age")),
    Symbol("orders", INTEGER, titles=("订单数",)),
    Symbol("spend", decimal(9, 2), titles=("消费金额", "Spend")),
    Symbol("share", FLOAT),
    Symbol("city", TEXT, values=("上海", "北京", "广州"), titles=("城市",)),
    Symbol("name", TEXT),
    Symbol("vip", BOOLEAN),
    Symbol("born", DATE, titles=("出生日期",)),
    Symbol("paid_at", TIMESTAMP),
    Symbol("brands", list_of("text"), values=("a", "b", "茅台")),
)
SCOPE = Scope(SYMBOLS, "tag")
NAMES = tuple(symbol.code for symbol in SYMBOLS)
TABLE = ibis.table({symbol.code: to_ibis_type(symbol.type) for symbol in SYMBOLS}, name="person")

Row = dict[str, Any]


def _row(*values: Any) -> Row:
    return dict(zip(NAMES, values, strict=True))


ROWS: tuple[Row, ...] = (
    _row(18, 0, Decimal("0.00"), 0.0, "上海", "李雷", True, date(2006, 6, 30), datetime(2024, 1, 31), ["a"]),
    _row(-7, 2, Decimal("-2.50"), -2.5, "北京", "O'Brien", False, date(2000, 2, 29), None, []),
    _row(25, 3, Decimal("1.25"), 0.5, None, "50%_\\off", None, None, datetime(2024, 2, 29, 23, 59, 59), None),
    _row(
        None,
        None,
        None,
        None,
        "广州",
        None,
        True,
        date(2024, 7, 1),
        datetime(2024, 6, 30, 8, 1),
        ["a", "茅台"],
    ),
    _row(7, -1, Decimal("99999.99"), 1e9, "上海", "😀 b", None, date(1970, 1, 1), None, ["b", "a"]),
    _row(
        None,
        5,
        Decimal("-0.01"),
        2.675,
        None,
        "",
        False,
        date(1999, 12, 31),
        datetime(1999, 12, 31, 12),
        None,
    ),
    _row(0, None, Decimal("0.05"), -1.5, None, " A ", True, None, datetime(2023, 3, 1, 0, 0, 0, 1), ["茅台"]),
)


def connect(rows: Sequence[Row] = ROWS) -> duckdb.DuckDBPyConnection:
    """An in-memory database with the rows, numbered, in table person."""
    connection = duckdb.connect()
    columns = ", ".join(f'"{symbol.code}" {_duckdb_type(symbol.type)}' for symbol in SYMBOLS)
    connection.execute(f"create table person ({columns})")
    marks = ", ".join("?" for _ in NAMES)
    connection.executemany(f"insert into person values ({marks})", [[row[name] for name in NAMES] for row in rows])
    return connection


def _duckdb_type(data_type: DataType) -> str:
    names = {"text": "varchar", "integer": "bigint", "float": "double", "list": "varchar[]"}
    return names.get(data_type.kind, str(data_type))


def evaluate(connection: duckdb.DuckDBPyConnection, node: Node, to: DataType | None = None) -> list[Any]:
    """The value of the tree on each row, in the order of the rows."""
    sql = ibis.to_sql(TABLE.select(value=compile_value(node, TABLE, AS_OF, to)), dialect="duckdb")
    return [value for (value,) in connection.execute(sql).fetchall()]


def values(text: str, **changes: Any) -> Any:
    """The value of ``text`` on a row that has only the given fields."""
    with connect([{**dict.fromkeys(NAMES), **changes}]) as connection:
        return evaluate(connection, parse(text, SCOPE))[0]


def holds(text: str, **changes: Any) -> bool:
    """Whether the condition ``text`` holds on a row that has only the given fields."""
    with connect([{**dict.fromkeys(NAMES), **changes}]) as connection:
        condition = compile_condition(parse(text, SCOPE, BOOLEAN), TABLE, AS_OF)
        sql = ibis.to_sql(TABLE.select(value=condition), dialect="duckdb")
        (answer,) = connection.execute(sql).fetchone() or (None,)
        assert answer is not None, "a condition is never unknown"
        return bool(answer)
