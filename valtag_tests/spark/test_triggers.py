"""Triggers decide on Spark as they do on DuckDB, which agrees with the plain reference."""

import random
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from valtag_assets.engine.spark import SparkEngine
from valtag_tests.engine.test_triggers import CASES, ORDER, START, Company, catalog, days_of, trigger_of

MORE = {
    "a journey": CASES["a journey"],
    "budget of cost, a test": CASES["budget of cost, a test"],
    "an event": {**ORDER, "again": {"cooldown": "2d"}},
}


@pytest.mark.parametrize("name", MORE)
def test_a_trigger_decides_the_same_on_spark(name: str, spark: SparkEngine, tmp_path: Path) -> None:
    company = Company(tmp_path, catalog(tmp_path / "catalog", trigger_of(**MORE[name])))
    lots, days, persons = random.Random(name), None, [f"P{n}" for n in range(40)]
    for number in range(2):
        days = days_of(lots, persons, days)
        at = datetime(2024, 3, 1 + number, 8)
        events = [
            {"number": n, "member": persons[n % 40], "paid_at": at, "amount": Decimal(n % 30)} for n in range(50)
        ]
        company.evaluate(START + timedelta(days=number), days, events)
        spark.write(*company.asked, tmp_path / "spark.parquet")
        assert pq.read_table(tmp_path / "spark.parquet").to_pylist() == company.rows
        company.next()
    assert company.rows
