"""The session on Spark: files as DuckDB writes them, in order, whole or not there, nothing left beside them."""

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import ibis
import pyarrow.parquet as pq
import pytest

from valtag_assets.engine.duckdb import DuckDBEngine
from valtag_assets.engine.session import EngineError, unbound
from valtag_assets.engine.spark import SparkEngine
from valtag_assets.expression.ibis_types import to_ibis_type
from valtag_assets.spec.types import BOOLEAN, DATE, FLOAT, INTEGER, TEXT, TIMESTAMP, DataType, decimal, list_of
from valtag_tests import kit
from valtag_tests.spark.cells import assert_equal, differences

COLUMNS = {
    "n": INTEGER,
    "text": TEXT,
    "money": decimal(18, 2),
    "wide": decimal(38, 10),
    "real": FLOAT,
    "flag": BOOLEAN,
    "day": DATE,
    "moment": TIMESTAMP,
    "texts": list_of("text"),
    "numbers": list_of("integer"),
}
MONTHS = {"month": TEXT, "n": INTEGER}
ROWS = [
    dict.fromkeys(COLUMNS),
    {
        "n": -(2**63),
        "text": "é 茅台 😀 'x' \x00",
        "money": Decimal("-9999999999999999.99"),
        "wide": Decimal("1e-10"),
        "real": float("nan"),
        "flag": False,
        "day": date(1, 1, 1),
        "moment": datetime(1900, 1, 1, 0, 0, 0, 1),
        "texts": [],
        "numbers": [1, 2**62],
    },
    {
        "n": 2**63 - 1,
        "text": "",
        "money": Decimal("0.01"),
        "wide": Decimal("9" * 28 + "." + "9" * 10),
        "real": -0.0,
        "flag": True,
        "day": date(9999, 12, 31),
        "moment": datetime(2024, 3, 10, 2, 30, 0, 999999),
        "texts": ["b", "a", ""],
        "numbers": None,
    },
]


def table(
    rows: list[dict[str, Any]], folder: Path, columns: Mapping[str, DataType] = COLUMNS
) -> tuple[ibis.Table, dict[str, list[Path]]]:
    """The rows in two files under a folder whose name would be a column or a pattern, as table ``the/rows``."""
    places = [folder / "as_of=2024-01-31" / f"part [{number}]{{x}}*.parquet" for number in range(2)]
    files = [kit.write_rows(place, columns, rows[number::2]) for number, place in enumerate(places)]
    return unbound("the/rows", {name: to_ibis_type(kind) for name, kind in columns.items()}), {"the/rows": files}


def test_every_type_is_written_as_duckdb_writes_it(tmp_path: Path, duck: DuckDBEngine, spark: SparkEngine) -> None:
    rows, inputs = table(ROWS, tmp_path)
    for engine in (duck, spark):
        engine.write(rows.order_by("n"), inputs, tmp_path / f"{engine.name}.parquet")
    assert_equal(tmp_path / "duckdb.parquet", tmp_path / "spark.parquet")


def test_what_is_fetched_has_the_same_types_and_values(
    tmp_path: Path, duck: DuckDBEngine, spark: SparkEngine
) -> None:
    rows, inputs = table(ROWS, tmp_path)
    for engine in (duck, spark):
        pq.write_table(engine.fetch(rows.order_by("n"), inputs), tmp_path / f"{engine.name}.parquet")
    assert differences(tmp_path / "duckdb.parquet", tmp_path / "spark.parquet") == []


def test_a_file_is_sorted_as_the_expression_says_and_nothing_is_left_beside_it(
    tmp_path: Path, spark: SparkEngine
) -> None:
    keyed = [{"month": f"k{n * 7919 % 5000:05}", "n": n} for n in range(20_000)]
    rows, inputs = table(keyed, tmp_path, MONTHS)
    into = tmp_path / "out"
    into.mkdir()
    spark.write(rows.order_by(["month", ibis.desc("n")]), inputs, into / "part-0.parquet")
    written = pq.read_table(into / "part-0.parquet").to_pylist()
    assert written == sorted(written, key=lambda row: (row["month"], -row["n"]))
    assert [path.name for path in into.iterdir()] == ["part-0.parquet"]


def test_no_rows_are_a_file_with_the_columns(tmp_path: Path, spark: SparkEngine) -> None:
    rows, inputs = table(ROWS, tmp_path)
    spark.write(rows.filter(rows.n == 5), inputs, tmp_path / "none.parquet")
    written = pq.read_table(tmp_path / "none.parquet")
    assert (written.num_rows, written.column_names) == (0, list(COLUMNS))


def test_each_bucket_has_one_file_with_its_rows_in_order(
    tmp_path: Path, duck: DuckDBEngine, spark: SparkEngine
) -> None:
    rows, inputs = table([{"month": f"2024-{n % 5:02}", "n": n * 7919 % 1000} for n in range(3000)], tmp_path, MONTHS)
    found = {}
    for engine in (duck, spark):
        (tmp_path / engine.name).mkdir()
        parts = engine.write_parts(rows.order_by(["month", "n"]), inputs, tmp_path / engine.name, "month")
        assert sorted(tmp_path.glob(f"{engine.name}/*")) == parts
        found[engine.name] = parts
    assert [part.name for part in found["duckdb"]] == [part.name for part in found["spark"]]
    for one, other in zip(found["duckdb"], found["spark"], strict=True):
        assert_equal(one, other)


def test_what_spark_logs_of_a_fault_names_no_value(tmp_path: Path, spark: SparkEngine, spark_log: Path) -> None:
    rows, inputs = table([{"month": "欧阳无忌 13877770070", "n": 13877770070}], tmp_path, MONTHS)
    with pytest.raises(EngineError, match="CAST_INVALID_INPUT"):
        spark.write(rows.select(n=rows.month.cast("int64")), inputs, tmp_path / "out.parquet")
    said = spark_log.read_text(encoding="utf-8")
    assert "CAST_INVALID_INPUT" in said and "13877770070" not in said and "欧阳无忌" not in said


@pytest.mark.parametrize("value", ["../escape", "", "a b", None])
def test_a_bucket_that_is_no_file_name_is_refused(tmp_path: Path, spark: SparkEngine, value: str | None) -> None:
    rows, inputs = table([{"month": value, "n": 1}], tmp_path, MONTHS)
    with pytest.raises(ValueError, match="can't be part of a file's name"):
        spark.write_parts(rows.order_by("month"), inputs, tmp_path, "month")


def test_a_fault_of_the_data_is_an_error_with_its_reason_and_leaves_the_old_file(
    tmp_path: Path, spark: SparkEngine
) -> None:
    rows, inputs = table(ROWS, tmp_path)
    out = tmp_path / "out.parquet"
    out.write_text("old")
    with pytest.raises(EngineError, match=r"Spark: .*(overflow|OVERFLOW)"):
        spark.write(rows.select(n=rows.n + 1), inputs, out)
    assert out.read_text() == "old"
    assert not list(tmp_path.glob(".*"))
    with pytest.raises(EngineError, match="nobody"):
        spark.fetch(unbound("nobody", {"n": "int64"}), {})


def test_each_character_has_the_case_duckdb_gives_it(tmp_path: Path, duck: DuckDBEngine, spark: SparkEngine) -> None:
    """All characters of Unicode 13, which is what Java 17 knows."""
    new = set("ƛɤ") | {
        chr(code) for code in (*range(0x1C89, 0x1C8B), *range(0xA7C0, 0xA7DD), *range(0x10570, 0x105C0))
    }
    new |= {chr(code) for code in range(0x10D50, 0x10D86)} | {"\u2c2f", "\u2c5f"}
    points = [code for code in range(1, 0x1E944) if not 0xD800 <= code <= 0xDFFF and chr(code) not in new]
    texts = [chr(code) for code in points] + ["ΌΣΟΣ", "STRASSE straße", "ﬁﬂ İi ǆ", "a\x0bv\x0cf "]
    rows, inputs = table(
        [{"n": n, "text": text} for n, text in enumerate(texts)], tmp_path, {"n": INTEGER, "text": TEXT}
    )
    cases = rows.select(
        "n",
        up=rows.text.upper(),
        low=rows.text.lower(),
        long=rows.text.length().cast("int64"),
        bare=rows.text.strip(),
    )
    for engine in (duck, spark):
        engine.write(cases.order_by("n"), inputs, tmp_path / f"{engine.name}.parquet")
    assert_equal(tmp_path / "duckdb.parquet", tmp_path / "spark.parquet", "n")
