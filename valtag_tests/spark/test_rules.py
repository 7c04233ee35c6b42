"""Every operator of a segment rule, and every way of choosing among the matching, on both engines."""

from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from valtag_assets.engine.duckdb import DuckDBEngine
from valtag_assets.engine.rules import rule_table
from valtag_assets.engine.segments import MATCHES, matches_table, segment_expression
from valtag_assets.engine.spark import SparkEngine
from valtag_assets.spec.types import DataType
from valtag_tests import kit
from valtag_tests.engine.test_rules import AS_OF, FILES, inputs_of, rule_of, world_of
from valtag_tests.spark.cells import assert_equal

RULES: tuple[Any, ...] = (
    "city != '上海' or age between 18 and 25",
    {"at_least": 2, "of": ["age is null", {"did": "orders"}, {"none": [{"in_list": "staff"}]}]},
    "in_segment(known) and not in_list(staff)",
    *(
        f"{word}(orders, {measure}{period}{where})"
        for word, measure, period, where in (
            ("did", "", "within 30d", ""),
            ("did_not", "", "within 3d", ", where brand = 'x'"),
            ("did", "at most 2 times, ", "between 20d and 5d", ""),
            ("did", "exactly 1 times, ", "within mtd", ""),
            ("did", "sum(amount) at least 10.005, ", "before 2024-02-28", ""),
            ("did", "sum(amount * quantity) at most 3, ", "before 7d", ""),
            ("did", "distinct(brand) at least 2, ", "since 2024-02-01", ", where amount > 1"),
        )
    ),
    "sequence(did(orders), did(orders, within 10d, same brand), within ytd)",
    "sequence(did(visits), did_not(orders, within 7d, same brand = label), did(visits, within 20d))",
    "sequence(did(orders, where brand = 'x'), did_not(visits))",
)


def test_rules_hold_for_the_same_persons(tmp_path: Path, duck: DuckDBEngine, spark: SparkEngine) -> None:
    resolved = kit.make_catalog(tmp_path / "catalog", FILES)
    people = ["a", "b", "陈", None, "stranger"]
    orders = [
        {
            "member": people[number % 5],
            "paid_at": datetime(2024, 3, 2, number % 24) - timedelta(days=number * 7 % 40),
            "amount": [None, Decimal("0.01"), Decimal("10.00"), Decimal("-5.00")][number % 4],
            "quantity": number % 3,
            "brand": ["x", "y", "é", None][number * 3 % 4],
        }
        for number in range(40)
    ]
    visits = [
        {
            "member": people[number % 4],
            "visited_on": date(2024, 3, 2) - timedelta(days=number * 5 % 40),
            "brand": ["x", None][number % 2],
            "label": ["é", "x", None][number % 3],
        }
        for number in range(30)
    ]
    world = world_of(orders, visits)
    inputs = inputs_of(tmp_path, resolved, world)
    rules = {f"rule_{number}": rule_of(resolved, rule) for number, rule in enumerate(RULES)}
    table = rule_table(resolved, rules, AS_OF).order_by("person_id")
    for name, engine in (("duck", duck), ("spark", spark)):
        engine.write(table, inputs, tmp_path / f"{name}.parquet")
    assert_equal(tmp_path / "duck.parquet", tmp_path / "spark.parquet", "person_id")


def test_the_same_of_them_are_taken(tmp_path: Path, duck: DuckDBEngine, spark: SparkEngine) -> None:
    title = {"zh": "人群", "en": "Audience"}
    audiences = [
        {"caps": [{"per": "city", "at_most": 6}], "order": ["age desc", "city asc"], "limit": 11},
        {"sample": {"share": 0.3, "seed": 7}, "holdout": {"share": 0.25, "seed": 1}},
        {"sample": {"count": 9, "seed": 3}},
    ]
    segments = [{"code": f"s{n}", "title": title, "rule": "true", **more} for n, more in enumerate(audiences)]
    catalog = {**FILES, "segments/s.yaml": {"segments": segments}}
    resolved = kit.make_catalog(tmp_path / "catalog", catalog)
    persons = [f"p{number:02d}" for number in range(40)]
    tags = [
        {"person_id": p, "city": ["上海", "北京", None][n % 3], "age": n * 7 % 50 or None}
        for n, p in enumerate(persons)
    ]
    matches = [{"person_id": person, "s0": True, "s1": True, "s2": True} for person in persons]
    columns = {"person_id": DataType("text"), **{code: DataType("boolean") for code in ("s0", "s1", "s2")}}
    inputs = {
        "tags/who": [kit.write_rows(tmp_path / "who.parquet", kit.tag_columns(resolved, "who"), tags)],
        MATCHES: [kit.write_rows(tmp_path / "matches.parquet", columns, matches)],
    }
    for code, segment in resolved.segments.items():
        table = segment_expression(resolved, segment, AS_OF, matches_table([code]))
        for name, engine in (("duck", duck), ("spark", spark)):
            engine.write(table, inputs, tmp_path / f"{code}-{name}.parquet")
        assert_equal(tmp_path / f"{code}-duck.parquet", tmp_path / f"{code}-spark.parquet", "person_id")
