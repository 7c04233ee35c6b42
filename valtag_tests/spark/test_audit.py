"""The audit: Great Expectations on DuckDB, and the same expectations counted by either engine."""

import math
import sys
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa

from valtag_assets.engine.duckdb import DuckDBEngine
from valtag_assets.engine.spark import SparkEngine
from valtag_assets.quality import expectation as kinds
from valtag_assets.quality import queries
from valtag_assets.quality.audit import audit
from valtag_assets.quality.expectation import Expectation
from valtag_assets.spec.types import DATE, FLOAT, INTEGER, TEXT, TIMESTAMP, decimal, list_of
from valtag_assets.warehouse.snapshot import Verdict
from valtag_tests.quality.frames import expect, write

TYPES = {
    "person_id": TEXT,
    "city": TEXT,
    "spend": decimal(18, 2),
    "ratio": FLOAT,
    "phone": TEXT,
    "born": DATE,
    "last_at": TIMESTAMP,
    "brands": list_of("text"),
    "level": INTEGER,
}


def people(folder: Path, rows: int = 12) -> list[Path]:
    nan, inf = math.nan, math.inf
    columns = {
        "person_id": [f"M{number:05d}" for number in range(11)] + ["M00003"],
        "city": [
            "上海",
            "北京",
            "O'Hare",
            '"quoted"',
            "'; --",
            "{off} :now",
            "a\\b",
            "",
            None,
            "上海 ",
            "火星",
            "火星",
        ],
        "spend": [None if n == 3 else Decimal(n * 125).scaleb(-2) for n in range(-2, 10)],
        "ratio": [0.5, nan, inf, -inf, None, 1, 2, 3, 4, 5, 6, 7],
        "phone": ["138", "138", "x", None, "139", "139", "139", "é", "é", "", "", None],
        "born": [date(1990, 1, 1), date(2024, 6, 30), date(2024, 7, 1), *[None] * 9],
        "last_at": [datetime(2024, 6, 30, 23, 59, 59, 999999), datetime(2024, 7, 1), *[None] * 10],
        "brands": [["a", "b"], [], None, ["a", "x'y"], ["z"], *[["b"]] * 7],
        "level": [1, 2, 3, 4, 5, 6, 7, 8, 9, None, 11, 12],
    }
    arrow = {"spend": pa.decimal128(18, 2), "last_at": pa.timestamp("us"), "brands": pa.list_(pa.string())}
    arrow |= {"level": pa.int64(), "born": pa.date32(), "city": pa.string(), "phone": pa.string()}
    arrow |= {"person_id": pa.string(), "ratio": pa.float64()}
    return write(folder / "people.parquet", {name: values[:rows] for name, values in columns.items()}, **arrow)


def every_kind() -> list[Expectation]:
    """Each kind of expectation, kept and broken; and two that can't be evaluated."""
    matching, matched = queries.unmatched("city", "^[上北]|b$", ["person_id"])
    listed, items = queries.items_outside("brands", list_of("text"), ["a", "b"], ["person_id"])
    typed, counted = queries.wrong_types({**TYPES, "level": TEXT})
    histogram = {"edges": [2.0, 8.0], "counts": [5, 5, 2]}
    moved, measure = queries.shifted("level", INTEGER, histogram, 0.01)
    pair = {"column_list": ["city", "phone"], "ignore_row_if": "any_value_is_missing"}
    return [
        expect("rows", kinds.ROW_COUNT, None, min_value=20),
        expect("rows_enough", kinds.ROW_COUNT, None, min_value=0),
        expect("rows_counted", kinds.ROW_COUNT_EQUALS, None, value=15),
        expect("columns", kinds.COLUMNS, None, column_set=[*TYPES, "more"], exact_match=True),
        expect("columns_there", kinds.COLUMNS, None, column_set=[*TYPES], exact_match=True),
        expect("types", kinds.ROWS, None, unexpected_rows_query=typed, measure=counted),
        expect("person_id.unique", kinds.UNIQUE, "person_id"),
        expect("level.unique", kinds.UNIQUE, "level"),
        expect("phone.unique", kinds.UNIQUE, "phone"),
        expect("pair", kinds.COMPOUND_UNIQUE, None, **pair),
        expect("city.present", kinds.NOT_NULL, "city"),
        expect("city.coverage", kinds.NOT_NULL, "city", mostly=0.9),
        expect("born.coverage", kinds.NOT_NULL, "born", mostly=0.9),
        expect("city.values", kinds.IN_SET, "city", value_set=["上海", "O'Hare", '"quoted"', "'; --", "", "a\\b"]),
        expect("level.values", kinds.IN_SET, "level", value_set=[1, 2, 3]),
        expect("spend.values", kinds.IN_SET, "spend", value_set=[1.25, -2.5, 0.0]),
        expect("spend.range", kinds.BETWEEN, "spend", min_value=-1.25, max_value=8.755),
        expect("spend.least", kinds.BETWEEN, "spend", min_value=0),
        expect("ratio.range", kinds.BETWEEN, "ratio", min_value=-sys.float_info.max, max_value=sys.float_info.max),
        expect("level.range", kinds.BETWEEN, "level", min_value=2, max_value=11, strict_min=True, strict_max=True),
        expect("born.not_future", kinds.BETWEEN, "born", max_value=date(2024, 6, 30)),
        expect("last_at.not_future", kinds.BETWEEN, "last_at", max_value=datetime(2024, 7, 1), strict_max=True),
        expect("level.mean", kinds.MEAN, "level", min_value=5, max_value=6),
        expect("spend.mean", kinds.MEAN, "spend", min_value=100, max_value=200),
        expect("city.vanished", kinds.NON_NULL_SHARE, "city", min_value=0, strict_min=True),
        expect("city.matches", kinds.ROWS, "city", unexpected_rows_query=matching, measure=matched),
        expect("brands.values", kinds.ROWS, "brands", unexpected_rows_query=listed, measure=items),
        expect("level.stability", kinds.ROWS, "level", unexpected_rows_query=moved, measure=measure),
        expect("members", kinds.ROWS, None, unexpected_rows_query=queries.not_among("person_id", "identity/persons")),
        expect("nobody", kinds.ROWS, None, unexpected_rows_query=queries.not_among("person_id", "absent")),
        expect("absent.range", kinds.BETWEEN, "absent", min_value=0),
    ]


def told(verdicts: list[Verdict]) -> dict[str, tuple[Any, ...]]:
    return {
        v.check: (v.passed, v.unexpected, v.evaluated, v.detail["observed"], "error" in v.detail) for v in verdicts
    }


def test_counted_by_either_engine_the_verdicts_are_those_of_great_expectations(
    tmp_path: Path, duck: DuckDBEngine, spark: SparkEngine
) -> None:
    joined = {"identity/persons": write(tmp_path / "persons.parquet", {"person_id": ["M00001", "M00002"]})}
    for rows, engines in ((12, (duck, spark)), (0, (duck,))):
        files = people(tmp_path / str(rows), rows)
        wanted = told(audit(files, every_kind(), "person_id", joined))
        for engine in engines:
            found = audit(files, every_kind(), "person_id", joined, engine=engine)
            assert told(found) == wanted
            if rows:
                samples = {verdict.check: verdict.detail["sample"] for verdict in found}
                assert samples["spend.least"] == [
                    {"person_id": "M***00", "spend": -2.5},
                    {"person_id": "M***01", "spend": -1.25},
                ]
                assert samples["brands.values"][0]["brands"] == ["a", "x'y"]
