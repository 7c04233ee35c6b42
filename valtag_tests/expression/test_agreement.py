"""Random expressions: the engine gives what the reference gives; the canonical text gives the same tree."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import duckdb
import ibis
import pytest
from hypothesis import HealthCheck, given, settings

from valtag_assets.expression.compile import compile_condition
from valtag_assets.expression.lineage import meaning
from valtag_assets.expression.parse import parse
from valtag_tests.chance import MORE
from valtag_tests.expression.evaluator import value_of
from valtag_tests.expression.running import AS_OF, ROWS, SCOPE, TABLE, connect, evaluate
from valtag_tests.expression.texts import conditions, expressions

SLOW_TO_DRAW = (HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture)


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with connect() as opened:
        yield opened


def _cell(value: Any) -> Any:
    """A cell with its Python type and scale, so that 1, 1.0, True and 1.00 differ; minus zero is zero."""
    zero = not isinstance(value, bool) and isinstance(value, int | float | Decimal) and value == 0
    return type(value), str(abs(value) if zero else value)


@settings(max_examples=200 * MORE, suppress_health_check=SLOW_TO_DRAW)
@given(text=expressions())
def test_the_engine_and_the_reference_agree_on_every_row(connection: duckdb.DuckDBPyConnection, text: str) -> None:
    node = parse(text, SCOPE)
    found = evaluate(connection, node)
    assert [_cell(value) for value in found] == [_cell(value_of(node, row)) for row in ROWS]


@settings(max_examples=80 * MORE, suppress_health_check=SLOW_TO_DRAW)
@given(text=conditions())
def test_a_condition_holds_exactly_where_the_reference_says_true(
    connection: duckdb.DuckDBPyConnection, text: str
) -> None:
    node = parse(text, SCOPE)
    sql = ibis.to_sql(TABLE.select(value=compile_condition(node, TABLE, AS_OF)), dialect="duckdb")
    found = [value for (value,) in connection.execute(sql).fetchall()]
    assert found == [value_of(node, row) is True for row in ROWS]


@settings(max_examples=300 * MORE, suppress_health_check=SLOW_TO_DRAW)
@given(text=expressions())
def test_the_meaning_parses_back_to_an_equal_tree(text: str) -> None:
    node = parse(text, SCOPE)
    assert parse(meaning(node), SCOPE) == node
    assert meaning(parse(meaning(node), SCOPE)) == meaning(node)
