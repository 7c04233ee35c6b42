"""The judged table as Spark SQL. That both engines agree on its cells is tested in valtag_tests/spark."""

from decimal import Decimal
from pathlib import Path

import pytest

from valtag_assets.engine.cleaning.judge import judge
from valtag_assets.engine.cleaning.rows import RowRules
from valtag_assets.engine.reading.tables import RawTable
from valtag_assets.engine.session import compile_sql
from valtag_tests.engine.cleaning.cleaned import project, source

FIELDS = [
    {"name": "n", "type": "integer", "bounds": {"min": 0, "otherwise": "clip"}, "outlier": {"times": 9}},
    {"name": "at", "type": "timestamp", "formats": ["iso", "D-MMM-YYYY", "epoch_s"], "timezone": "Europe/London"},
    {"name": "amount", "type": "decimal(18,2)", "unit": {"to": "x", "by": "cur", "factors": {"a": 1, "b": 7.1}}},
    {"name": "cur", "type": "text", "values": {"A": "a", "b": "b"}, "case": "lower", "from": '币"种'},
    {"name": "f", "type": "float"},
    {"name": "paid", "type": "boolean"},
]


def judged():
    spec = source(FIELDS)
    columns = tuple((field.source_name, "VARCHAR") for field in spec.fields)
    raw = RawTable(Path("raw"), columns, 0, None, 0, ())
    return judge(spec, project(), raw, {}, RowRules(), {"n": Decimal(5)})[0]


def test_the_judged_table_compiles_for_spark():
    sql = compile_sql(judged(), "spark")
    assert '`币"种`' in sql
    assert "TRY_CAST" in sql


@pytest.mark.parametrize("fields", [1, 6])
def test_the_text_of_the_sql_grows_with_the_steps_and_not_with_their_uses(fields):
    spec = source(FIELDS[:1] + [{**FIELDS[4], "name": f"f{n}"} for n in range(fields)])
    columns = tuple((field.source_name, "VARCHAR") for field in spec.fields)
    raw = RawTable(Path("raw"), columns, 0, None, 0, ())
    table, _ = judge(spec, project(), raw, {}, RowRules(), {})
    assert len(compile_sql(table, "duckdb")) < 12_000 * (fields + 1)
