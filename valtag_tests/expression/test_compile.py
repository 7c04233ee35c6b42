"""What each function and operator means, on DuckDB."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any

import ibis
import pytest

from valtag_assets.expression.compile import COMPILERS, compile_value
from valtag_assets.expression.functions import FUNCTIONS
from valtag_assets.expression.parse import parse
from valtag_assets.expression.rules import RULES
from valtag_assets.expression.tree import Call, walk
from valtag_assets.spec.types import decimal
from valtag_tests.expression.running import AS_OF, SCOPE, TABLE, connect, evaluate, holds, values

# function: (expression, fields, value)
CASES: dict[str, list[tuple[str, dict[str, Any], Any]]] = {
    "and": [("vip and age > 1", {"vip": True, "age": 2}, True), ("vip and age > 1", {"vip": False}, False)],
    "or": [("vip or age > 1", {"vip": True}, True), ("vip or age > 1", {"vip": False}, None)],
    "not": [("not vip", {"vip": True}, False), ("not vip", {}, True)],
    "=": [("age == 3", {"age": 3}, True), ("age = 3", {}, None)],
    "!=": [("age != 3", {"age": 3}, False), ("age <> 3", {}, True), ("age != orders", {}, False)],
    "<": [("name < 'b'", {"name": "a"}, True)],
    "<=": [("spend <= 2", {"spend": Decimal("2.00")}, True)],
    ">": [("share > 0.5", {"share": 0.5}, False)],
    ">=": [("age >= 1.5", {"age": 1}, False)],
    "between": [("age between 18 and 25", {"age": 25}, True), ("age not between 1 and 2", {}, True)],
    "in": [("age in (1, 2)", {"age": 2}, True), ("age not in (1, 2)", {}, True), ("age in (1)", {}, None)],
    "is null": [("age is null", {}, True), ("age is not null", {}, False)],
    "like": [
        ("name like 'a_c%'", {"name": "abcd"}, True),
        (r"name like '50\%%'", {"name": "50% off"}, True),
        (r"name like '50\%%'", {"name": "500"}, False),
        (r"name like '%\_\\_'", {"name": "x\n_\\😀"}, True),
        ("name like '%\n%'", {"name": "a\nb"}, True),
    ],
    "+": [("spend + 1", {"spend": Decimal("0.10")}, Decimal("1.10")), ("2147483647 + 1", {}, 2147483648)],
    "-": [("spend - 0.001", {"spend": Decimal("1.00")}, Decimal("0.999"))],
    "*": [
        ("spend * 1.5", {"spend": Decimal("0.01")}, Decimal("0.015")),
        ("age * share", {"age": 3, "share": 0.5}, 1.5),
    ],
    "/": [("spend / age", {"spend": Decimal("1.00"), "age": 4}, 0.25), ("1 / age", {"age": 0}, None)],
    "//": [("age // 2", {"age": -7}, -4), ("age // orders", {"age": 1, "orders": 0}, None)],
    "%": [("age % 3", {"age": -7}, -1), ("1 + age % 3", {"age": 5}, 3), ("5 % age", {"age": 0}, None)],
    "negate": [("-spend", {"spend": Decimal("1.50")}, Decimal("-1.50")), ("-age * 2", {"age": 3}, -6)],
    "case": [
        ("case when age > 5 then 'old' when vip then 'vip' else 'new' end", {"vip": True}, "vip"),
        ("case when age > 5 then 1 end", {}, None),
        ("case when age > 5 then 1 else 0.5 end", {"age": 6}, Decimal("1.0")),
    ],
    "if": [("if(vip, 1, 2)", {}, 2), ("if(vip, born, '2024-01-01')", {}, date(2024, 1, 1))],
    "coalesce": [("coalesce(spend, 0)", {}, Decimal("0.00")), ("coalesce(age, orders, 9)", {"orders": 2}, 2)],
    "nullif": [("nullif(age, 0)", {"age": 0}, None), ("nullif(age, 0)", {"age": 1}, 1)],
    "least": [("least(age, orders)", {"age": 3}, 3), ("least(born, '2024-01-01')", {}, date(2024, 1, 1))],
    "greatest": [("greatest(age, 2.5)", {"age": 3}, Decimal("3.0")), ("greatest(age, orders)", {}, None)],
    "abs": [("abs(spend)", {"spend": Decimal("-1.50")}, Decimal("1.50"))],
    "round": [
        ("round(spend, 1)", {"spend": Decimal("0.25")}, Decimal("0.3")),
        ("round(spend, 1)", {"spend": Decimal("-0.25")}, Decimal("-0.3")),
        ("round(spend)", {"spend": Decimal("2.50")}, 3),
        ("round(share)", {"share": -2.5}, -3),
        ("round(share)", {"share": 0.49999999999999994}, 0),
        ("round(share, 1)", {"share": 0.25}, 0.3),
        ("round(share, 2)", {"share": 1e300}, 1e300),
        ("round(age, 2)", {"age": 3}, 3),
    ],
    "floor": [("floor(share)", {"share": -0.5}, -1), ("floor(spend)", {"spend": Decimal("-1.01")}, -2)],
    "ceil": [
        ("ceil(share)", {"share": 0.1}, 1),
        ("ceil(spend)", {"spend": Decimal("1.01")}, 2),
        ("ceil(0.5)", {}, 1),
    ],
    "lower": [("lower(name)", {"name": "ÀB上"}, "àb上")],
    "upper": [("upper(name)", {"name": "àb上"}, "ÀB上")],
    "length": [("length(name)", {"name": "上海😀"}, 3), ("length(name)", {}, None)],
    "trim": [("trim(name)", {"name": " \ta b\n"}, "a b")],
    "concat": [
        ("concat(name, '-', city)", {"name": "a", "city": "上海"}, "a-上海"),
        ("concat(name, 'x')", {}, None),
    ],
    "contains": [("contains(name, '%')", {"name": "50%"}, True), ("contains(name, 'x')", {}, None)],
    "starts_with": [("starts_with(name, '上')", {"name": "上海"}, True)],
    "ends_with": [("ends_with(name, '上')", {"name": "上海"}, False)],
    "substring": [
        ("substring(name, 2, 2)", {"name": "上😀海天"}, "😀海"),
        ("substring(name, 9, 2)", {"name": "a"}, ""),
    ],
    "year": [("year(born)", {"born": date(1999, 12, 31)}, 1999)],
    "month": [("month(paid_at)", {"paid_at": datetime(1999, 12, 31)}, 12)],
    "day": [("day('2024-02-29')", {}, 29)],
    "weekday": [
        ("weekday(born)", {"born": date(2024, 7, 1)}, 1),
        ("weekday(born)", {"born": date(2024, 6, 30)}, 7),
    ],
    "hour": [("hour(paid_at)", {"paid_at": datetime(2024, 1, 1, 23, 59)}, 23)],
    "date": [("date(paid_at)", {"paid_at": datetime(2024, 1, 1, 23, 59)}, date(2024, 1, 1))],
    "timestamp": [("timestamp('2024-01-01 08:00:00.000001')", {}, datetime(2024, 1, 1, 8, 0, 0, 1))],
    "as_of": [("as_of()", {}, date(2024, 6, 30))],
    "days_between": [("days_between(paid_at, '2024-01-01')", {"paid_at": datetime(2024, 1, 3, 1)}, 2)],
    "days_since": [("days_since(paid_at)", {"paid_at": datetime(2024, 6, 29, 23, 59)}, 1)],
    "days_to_anniversary": [
        ("days_to_anniversary(born)", {"born": date(1990, 6, 30)}, 0),
        ("days_to_anniversary(born)", {"born": date(1990, 7, 7)}, 7),
        ("days_to_anniversary(born)", {"born": date(1990, 6, 29)}, 364),
        ("days_to_anniversary(born)", {"born": date(2000, 2, 29)}, 244),
        ("days_to_anniversary(paid_at)", {"paid_at": datetime(2024, 1, 1, 23)}, 185),
        ("days_to_anniversary(born)", {}, None),
    ],
    "years_since": [
        ("years_since(born)", {"born": date(2006, 6, 30)}, 18),
        ("years_since(born)", {"born": date(2006, 7, 1)}, 17),
        ("years_since(born)", {"born": date(2024, 7, 1)}, -1),
        ("years_since(born)", {}, None),
    ],
    "has": [
        ("has(brands, 'a')", {"brands": ["b", "a"]}, True),
        ("has(brands, 'a')", {"brands": []}, False),
        ("has(brands, 'a')", {}, None),
        ("has(brands, name)", {"brands": ["a", None]}, None),
    ],
    "size": [("size(brands)", {"brands": []}, 0), ("size(brands)", {}, None)],
}


def test_every_function_has_a_rule_an_engine_form_and_a_case_here() -> None:
    assert set(CASES) == set(FUNCTIONS) == set(RULES)
    # A timestamp written out is a constant; nothing is left to compile.
    assert set(COMPILERS) == set(FUNCTIONS) - {"timestamp"}


@pytest.mark.parametrize("function", CASES)
def test_a_function_gives_its_stated_value(function: str) -> None:
    for text, fields, expected in CASES[function]:
        found = values(text, **fields)
        assert found == expected, text
        assert type(found) is type(expected), text


def test_a_leap_day_birthday_counts_on_the_first_of_march_in_common_years() -> None:
    node = parse("years_since('2000-02-29')", SCOPE)
    ages = []
    for as_of in (date(2023, 2, 28), date(2023, 3, 1), date(2024, 2, 28), date(2024, 2, 29)):
        sql = ibis.to_sql(TABLE.select(value=compile_value(node, TABLE, as_of)), dialect="duckdb")
        with connect([dict.fromkeys(symbol.code for symbol in SCOPE)]) as connection:
            ages.append(connection.execute(sql).fetchall()[0][0])
    assert ages == [22, 23, 23, 24]


def test_a_condition_with_an_unknown_answer_does_not_hold() -> None:
    assert not holds("age > 18")
    assert not holds("age = orders")
    assert holds("not age > 18")
    assert holds("city != '上海'")
    assert holds("city not in ('上海', '北京')")
    assert not holds("not (age > 18 or true)")


def test_a_timestamp_compared_with_a_date_includes_the_whole_day() -> None:
    evening = datetime(2024, 1, 31, 23, 59, 59)
    assert holds("paid_at between '2024-01-01' and '2024-01-31'", paid_at=evening)
    assert holds("paid_at = '2024-01-31'", paid_at=evening)
    assert holds("born = paid_at", paid_at=evening, born=date(2024, 1, 31))
    assert not holds("paid_at <= '2024-01-31 00:00'", paid_at=evening)


@pytest.mark.parametrize(
    "value",
    [
        "'; drop table person; --",
        "😀 上海",
        'say "hi"',
        "it's",
        "a\\b\\",
        "/* x */ -- y",
        "%_?",
        "tab\tline\n",
        "ｆｕｌｌ＞",
        "\u200b",
    ],
)
def test_a_literal_comes_back_exactly_as_written(value: str) -> None:
    single, double = value.replace("'", "''"), value.replace('"', '""')
    assert values(f"coalesce(name, '{single}')") == value
    assert values(f'coalesce(name, "{double}")') == value
    assert holds(f"name = '{single}' and name in ('x', '{single}') and contains(name, '{single}')", name=value)


def test_a_float_becomes_the_declared_decimal_by_rounding_half_away_from_zero() -> None:
    node = parse("spend / orders", SCOPE, decimal(18, 2))
    rows = [
        {**dict.fromkeys(symbol.code for symbol in SCOPE), "spend": Decimal(spend), "orders": 8}
        for spend in ("1.00", "-1.00", "0.04")
    ]
    with connect(rows) as connection:
        assert [str(value) for value in evaluate(connection, node, decimal(18, 2))] == [
            "0.13",
            "-0.13",
            "0.01",
        ]


@pytest.mark.parametrize(
    ("text", "duckdb_type"),
    [
        ("1", "BIGINT"),
        ("if(vip, 1, 2)", "BIGINT"),
        ("year(born)", "BIGINT"),
        ("length(name)", "BIGINT"),
        ("1.5", "DECIMAL(2,1)"),
        ("spend * age", "DECIMAL(28,2)"),
        ("spend * spend", "DECIMAL(18,4)"),
        ("spend + age", "DECIMAL(22,2)"),
        ("1e0", "DOUBLE"),
        ("share + spend", "DOUBLE"),
        ("orders / 2", "DOUBLE"),
        ("case when vip then 1 else 2.25 end", "DECIMAL(21,2)"),
        ("date(paid_at)", "DATE"),
        ("coalesce(paid_at, '2024-01-01')", "TIMESTAMP"),
        ("brands", "VARCHAR[]"),
    ],
)
def test_a_value_has_exactly_the_type_of_its_tree(text: str, duckdb_type: str) -> None:
    sql = ibis.to_sql(TABLE.select(value=compile_value(parse(text, SCOPE), TABLE, AS_OF)), dialect="duckdb")
    with connect() as connection:
        assert [str(kind) for kind in connection.sql(sql).types] == [duckdb_type]


def test_a_rule_of_a_thousand_parts_runs() -> None:
    text = " or ".join(f"age = {number}" for number in range(1000))
    assert holds(text, age=999)
    assert not holds(text, age=1000)


def test_an_expression_at_the_limits_of_depth_still_runs() -> None:
    assert values(" + ".join(["age"] * 60), age=1) == 60
    assert values("(" * 30 + "age" + ")" * 30, age=1) == 1
    assert holds("not (" * 15 + "vip" + ")" * 15, vip=False)


def test_walk_reaches_every_node_of_a_tree() -> None:
    node = parse("if(vip, age + 1, -orders) > 2", SCOPE)
    assert [part.function for part in walk(node) if isinstance(part, Call)] == [">", "if", "+", "negate"]
