"""Every function compiles for Spark too. That the cells are equal is the parity test's business."""

import pytest

from valtag_assets.engine.session import compile_sql
from valtag_assets.expression.compile import compile_value
from valtag_assets.expression.parse import parse
from valtag_tests.expression.running import AS_OF, SCOPE, TABLE
from valtag_tests.expression.test_compile import CASES


@pytest.mark.parametrize("function", CASES)
def test_a_function_has_a_spark_form(function: str) -> None:
    for text, _, _ in CASES[function]:
        sql = compile_sql(TABLE.select(value=compile_value(parse(text, SCOPE), TABLE, AS_OF)), "spark")
        assert "`person`" in sql
