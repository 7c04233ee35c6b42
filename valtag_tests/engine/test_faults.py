"""Errors are told without the values they are about."""

import duckdb
import pyarrow as pa
import pytest

from valtag_assets.engine.faults import impersonal, impersonal_trace
from valtag_assets.engine.session import EngineError
from valtag_assets.warehouse.errors import WarehouseError


@pytest.mark.parametrize(
    "query",
    [
        "SELECT '13877770070x'::INT",
        "SELECT 9223372036854775807 * x FROM (VALUES (13877770070::BIGINT)) AS t (x)",
        "SELECT ('张三丰' || 13877770070)::INT",
        "SELECT strptime('13877770070', '%Y-张三丰')",
        "SELECT '{\"a\": 13877770070 张三丰}'::JSON",
        "SELECT 'it''s 张三丰'::DATE",
        "SELECT chr(x::INT) FROM (VALUES (13877770070)) AS t (x)",
    ],
)
def test_no_error_of_the_engine_says_a_value(query):
    with duckdb.connect() as connection, pytest.raises(duckdb.Error) as error:
        connection.execute(query).fetchall()
    for told in (impersonal(error.value), impersonal_trace(error.value)):
        assert "1387777" not in told and "张三丰" not in told, told
        assert type(error.value).__name__ in told


def test_no_error_of_a_library_says_a_value():
    with pytest.raises(pa.ArrowInvalid) as error:
        pa.array(["张三丰 13877770070"]).cast(pa.int64())
    assert "张三丰" not in impersonal(error.value) and "1387" not in impersonal(error.value)
    assert "C007" not in impersonal(KeyError("C007")) and "1387" not in impersonal(EngineError("got 13877770070"))


def test_names_of_files_and_tables_are_told():
    error = WarehouseError("/data/2024/orders.csv: tags/spend of 20240310 is damaged")
    assert impersonal(error) == f"WarehouseError: {error}"


def test_a_trace_tells_where_and_what_it_came_of():
    name = chr(0x5F20) + "三丰"

    def inner():
        raise ValueError(f"bad value '{name}'")

    try:
        try:
            inner()
        except ValueError as error:
            raise EngineError(f"it failed for '{name}'") from error
    except EngineError as error:
        told = impersonal_trace(error)
    assert "in inner" in told and "EngineError" in told and "ValueError" in told and name not in told
