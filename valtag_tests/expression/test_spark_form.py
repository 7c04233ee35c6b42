"""Every function compiles for Spark too. That the cells are equal is the parity test's business."""

import ibis
import pytest

from valtag_assets.expression.compile import compile_value
from valtag_assets.expression.parse import parse
from valtag_tests.expression.running import AS_OF, SCOPE, TABLE
from valtag_tests.expression.test_compile import CASES


class SparkOptions(ibis.config.Config):  # type: ignore[misc]
    """What importing Ibis's Spark backend registers; compiling needs no more of pyspark than this."""

    treat_nan_as_null: bool = False


@pytest.mark.parametrize("function", CASES)
def test_a_function_has_a_spark_form(function: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ibis.options, "pyspark", SparkOptions())
    for text, _, _ in CASES[function]:
        sql = ibis.to_sql(TABLE.select(value=compile_value(parse(text, SCOPE), TABLE, AS_OF)), dialect="pyspark")
        assert "`person`" in sql
