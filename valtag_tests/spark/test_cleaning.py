"""Cleaning on both engines: every step of every type over nasty texts, and the quarantine of what is refused."""

import math
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from valtag_assets.engine.cleaning.clean import clean_source
from valtag_assets.engine.cleaning.spread import find_medians
from valtag_assets.engine.duckdb import DuckDBEngine
from valtag_assets.engine.spark import SparkEngine
from valtag_assets.spec.source import Source
from valtag_tests.engine.cleaning.cleaned import project, raw_table, row_rules, source
from valtag_tests.engine.cleaning.test_restate import FEBRUARY, JANUARY, NOTHING, Shelf, orders
from valtag_tests.expression.test_patterns import SAME
from valtag_tests.spark.cells import assert_equal

# fmt: off
TEXTS = [
    None, "", " ", "NA", "n/a", "未知", "-", "0", "-0", "+7", "007.10", "1.005", "-1.005", "2.675", "0.5", "-0.5",
    "1.5", "2.5", ".5", "12.", "12.50", "￥1,360.50", "１，３６０", "$ -5", "-€5", "5 €", "−3.5", "1.36e3", "5e-3",
    "9e-10", "-8.881784e-16", "1e30", "1e999", "nan", "inf", "-Infinity", "1 234 567.891",
    "1.00499999999999999999999999", "9999999999999999.99", "99999999999999999999", "-9223372036854775808",
    "9223372036854775807", "9223372036854775808", "1.0", "17850.0", "1.23E+11", "0x10", "1_000", "1,5", "(12.50)",
    "12%", "1d", "2f", "3L", "true", "T", "yes", "是", "否", "N", "f", "off", "on", "2024-02-29", "2023-02-29",
    "2024-02-29 08:05", "2024-02-29T08:05:09", "2024-02-29 08:05:09.1234567", "2024-02-29 08:05:09.9999999",
    "2024-02-29T16:30:00Z", "2024-02-29 16:30:00 UTC", "2024-02-29T11:30-05:00", "2024-02-29 22:00:00+0530",
    "2024-03-31 01:30:00", "2024-10-27 01:30:00", "2024-13-01", "2024-1-1", "2024-01-01 24:00",
    "2024-01-01 23:59:60", "0000-00-00", "0001-01-01", "9999-12-31 23:59:59", "1582-10-10", "1900-01-01",
    "1970-01-01", "epoch", "today", "now", "infinity", "12024-01-01", "2024/1/9 8:05", "2024年12月3日", "20240229",
    "3-JAN-2024", "31-feb-2024", "9-sep-99", "1/2/24", "1706659200", "1706659200.5", "1706659200123", "-1",
    "1706659200123456", "17066592001234567890", "\ufeff a\u3000", "\xa0a b\u200b", "\t\r\na\u2003", "a\nb",
    "a\x0bb", "\x0bvf\x0c", "f", "v", "ＡＢ\u3000１２（ｘ）～", "苹果，手机", "Straße", "ﬁ", "İstanbul", "ΑΣ",
    "ΌΣΟΣ", "ǆ", "\x00", "a\x00b", "\x01\x1f\x7f", "\"quoted\" \\back\\ /slash", "'; drop table x; --",
    "${x} $1 \\1", "😀 b", "é", "e\u0301", "👨\u200d👩\u200d👧", "50%_off", "+86 138 0013 8000", "(010) 8888-8888",
    "M", "男", "female", "x" * 300, "\u2028", "\x85", "a.b.c", "$", "^a$", "[a]{2}",
]
# fmt: on

EPOCHS = ["epoch_s", "epoch_ms"]
FIELDS: list[dict[str, Any]] = [
    {"name": "plain", "type": "text"},
    {"name": "as_is", "type": "text", "trim": False, "half_width": False, "missing": ["0"]},
    {"name": "lowered", "type": "text", "case": "lower"},
    {"name": "uppered", "type": "text", "case": "upper"},
    {"name": "whole", "type": "integer", "missing": ["-1"]},
    {"name": "money", "type": "decimal(18,2)"},
    {"name": "narrow", "type": "decimal(4,1)"},
    {"name": "wide", "type": "decimal(38,10)"},
    {"name": "real", "type": "float"},
    {"name": "flag", "type": "boolean"},
    {"name": "day", "type": "date"},
    {"name": "moment", "type": "timestamp"},
    {"name": "london", "type": "timestamp", "timezone": "Europe/London"},
    {
        "name": "many",
        "type": "timestamp",
        "formats": ["iso", "YYYY/M/D H:mm", "YYYY年M月D日", "D-MMM-YYYY", "D-MMM-YY", "M/D/YY", *EPOCHS],
        "two_digit_years": True,
        "timezone": "America/New_York",
    },
    {"name": "epoch", "type": "timestamp", "formats": ["epoch_s", "epoch_ms", "epoch_us"]},
    {"name": "epoch_day", "type": "date", "formats": ["epoch_ms", "YYYYMMDD"]},
    {"name": "code", "type": "text", "values": {"male": ["M", "男"], "female": ["f", "Ｆ"]}, "unknown": "null"},
    {"name": "kept", "type": "text", "values": {"yes": ["是", "T", "true"]}, "unknown": "keep"},
    {"name": "fen", "type": "decimal(18,2)", "unit": {"to": "元", "factor": 0.01}},
    {"name": "thirds", "type": "float", "unit": {"to": "x", "factor": "0.3333"}},
    {"name": "seconds", "type": "integer", "unit": {"to": "s", "factor": "0.001"}},
    {"name": "clipped", "type": "decimal(18,3)", "bounds": {"min": -0.5, "max": 12.5, "otherwise": "clip"}},
    {
        "name": "bounded",
        "type": "date",
        "bounds": {"min": date(1970, 1, 1), "max": date(2024, 2, 29), "otherwise": "null"},
    },
    {"name": "usual", "type": "decimal(18,2)", "outlier": {"times": 3, "otherwise": "null"}},
    {"name": "usual_real", "type": "float", "outlier": {"times": 3, "otherwise": "null"}},
    {"name": "digits", "type": "text", "replace": [{"pattern": r"[^0-9]", "by": ""}]},
    {
        "name": "phone",
        "type": "text",
        "replace": [{"pattern": r"^\+?86\s*", "by": ""}, {"pattern": r"(\d{3}) (\d+)", "by": r"\2-\1$"}],
    },
    {"name": "dots", "type": "text", "replace": {"pattern": ".b$", "by": "<$1>"}},
]


def cleaned(engine: DuckDBEngine | SparkEngine, folder: Path, spec: Source, raw: Any, **settings: Any) -> Any:
    into = folder / engine.name
    into.mkdir()
    medians = find_medians(engine, spec, project(**settings), raw, into)
    return clean_source(engine, spec, project(**settings), raw, {}, row_rules(spec), medians, into)


def assert_equal_parts(one: Path, other: Path, key: str) -> None:
    names = [sorted(file.name for file in folder.iterdir()) for folder in (one, other)]
    assert names[0] == names[1]
    for name in names[0]:
        assert_equal(one / name, other / name, key)


def both(duck: DuckDBEngine, spark: SparkEngine, folder: Path, spec: Source, raw: Any, **settings: Any) -> Any:
    one, other = (cleaned(engine, folder, spec, raw, **settings) for engine in (duck, spark))
    assert_equal_parts(one.quarantine.folder, other.quarantine.folder, "row")
    assert_equal_parts(one.clean.folder, other.clean.folder, "_row")
    assert one.account == other.account
    assert one.data_until == other.data_until
    return one


def test_every_step_of_every_type_gives_equal_cells(tmp_path: Path, duck: DuckDBEngine, spark: SparkEngine) -> None:
    texts = pa.array(TEXTS, pa.string())
    raw = raw_table(
        tmp_path / "raw", {"n": pa.array(map(str, range(len(TEXTS)))), "x": texts}, dict.fromkeys("nx", "VARCHAR")
    )
    fields = [{"from": "x", "invalid": "null", **field} for field in FIELDS]
    spec = source([{"name": "n", "type": "integer"}, *fields])
    found = both(duck, spark, tmp_path, spec, raw)
    assert found.account.clean == len(TEXTS)


def test_what_is_refused_is_refused_by_the_same_rule_with_the_same_words(
    tmp_path: Path, duck: DuckDBEngine, spark: SparkEngine
) -> None:
    texts = pa.array(TEXTS, pa.string())
    raw = raw_table(tmp_path / "raw", {"x": texts, "y": texts}, dict.fromkeys("xy", "VARCHAR"))
    fields = [
        {"name": "n", "type": "text", "from": "x"},
        {"name": "y", "type": "decimal(18,2)", "bounds": {"min": 0}},
    ]
    spec = source(
        fields,
        refuse=[{"name": "long", "where": "length(n) > 100"}],
        drop=[{"name": "round", "where": "y = floor(y)"}],
    )
    found = both(duck, spark, tmp_path, spec, raw)
    assert found.account.quarantined and found.account.filtered


# DuckDB's type of a raw column, Arrow's, and six values; times are microseconds since 1970, days likewise.
MOMENTS = [1_711_848_600_000_000, -62_135_596_800_000_000, None, -1, 1_729_992_600_000_000, 0]
TYPED: dict[str, tuple[str, pa.DataType, list[Any]]] = {
    "whole": ("BIGINT", pa.int64(), [0, -1, 2**63 - 1, -(2**63), None, 17850]),
    "small": ("SMALLINT", pa.int16(), [0, -1, 32767, -32768, None, 7]),
    "real": ("DOUBLE", pa.float64(), [0.1, -0.0, 17850.0, 1.005, None, 1234567.25]),
    "nasty": ("DOUBLE", pa.float64(), [math.nan, math.inf, -math.inf, 1e300, None, 1.1e-300]),
    "far": ("DOUBLE", pa.float64(), [1e7, 1.5e16, 123456789012.5, 1e-5, -2.5e-4, -1.25e22]),
    "exact": (
        "DECIMAL(18,4)",
        pa.decimal128(18, 4),
        [*map(Decimal, ("0", "1.2345", "-0.005", "0.0049", "9e13")), None],
    ),
    "day": ("DATE", pa.date32(), [-719_162, 2_932_896, 19_782, None, 0, -25_567]),
    "moment": ("TIMESTAMP", pa.timestamp("us"), MOMENTS),
    "instant": ("TIMESTAMP WITH TIME ZONE", pa.timestamp("us", "UTC"), MOMENTS),
    "flag": ("BOOLEAN", pa.bool_(), [True, False, None, True, False, None]),
}


@pytest.mark.parametrize("invalid", ["null", "quarantine"])
def test_typed_columns_become_every_type_alike(
    tmp_path: Path, duck: DuckDBEngine, spark: SparkEngine, invalid: str
) -> None:
    columns = {name: pa.array(values, kind) for name, (_, kind, values) in TYPED.items()}
    columns["n"] = pa.array(range(6), pa.int64())
    raw = raw_table(tmp_path / "raw", columns, {name: kind for name, (kind, _, _) in TYPED.items()} | {"n": "BIGINT"})
    wanted = ["text", "integer", "decimal(18,2)", "float", "boolean", "date", "timestamp"]
    fields = [
        {"name": f"{name}_{place}", "from": name, "type": kind, "invalid": invalid}
        for name in TYPED
        for place, kind in enumerate(wanted)
        if invalid == "null" or kind == "decimal(18,2)"
    ]
    both(duck, spark, tmp_path, source([{"name": "n", "type": "integer"}, *fields]), raw)


def test_patterns_replace_alike(tmp_path: Path, duck: DuckDBEngine, spark: SparkEngine) -> None:
    raw = raw_table(
        tmp_path / "raw",
        {"n": pa.array(map(str, range(len(TEXTS)))), "x": pa.array(TEXTS, pa.string())},
        dict.fromkeys("nx", "VARCHAR"),
    )
    fields = [
        {
            "name": f"f{place}",
            "from": "x",
            "type": "text",
            "trim": False,
            "replace": {"pattern": pattern, "by": "<\\0$>"},
        }
        for place, pattern in enumerate(SAME)
    ]
    both(duck, spark, tmp_path, source([{"name": "n", "type": "integer"}, *fields]), raw)


@pytest.mark.long
def test_files_that_come_change_and_go_are_restated_alike(
    tmp_path: Path, duck: DuckDBEngine, spark: SparkEngine
) -> None:
    spec = orders({"outlier": {"times": 3}}, deduplicate={"key": ["order_id"], "order": ["amount desc"]})
    history = [
        {"a.csv": JANUARY, "b.csv": FEBRUARY},
        {
            "a.csv": JANUARY,
            "b.csv": FEBRUARY,
            "c.csv": (("a", "3", "2024-02-07", "9"), ("f", "4", "2024-03-01", "90")),
        },
        {"a.csv": JANUARY, "c.csv": (("f", "4", "2024-03-01", "40"), ("c", "2", "2024-02-05", "80"))},
    ]
    found = []
    for engine in (duck, spark):
        (tmp_path / engine.name).mkdir()
        shelf, state, files = Shelf(tmp_path / engine.name, engine, spec), NOTHING, {}
        for after in history:
            state, files = shelf.follow(state, files, after), after
            found.append((engine.name, state))
    for (_, one), (_, other) in zip(found[:3], found[3:], strict=True):
        assert one.rows() == other.rows()
        assert (one.files, one.account, one.medians) == (other.files, other.account, other.medians)
