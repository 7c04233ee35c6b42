"""Every aggregation in every window, on both engines, from rows and from tiles."""

import random
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from valtag_assets.engine.duckdb import DuckDBEngine
from valtag_assets.engine.persons import PERSONS, clean_name
from valtag_assets.engine.spark import SparkEngine
from valtag_assets.engine.tags import category_expression
from valtag_tests import kit
from valtag_tests.engine import test_incremental as incremental
from valtag_tests.engine.test_facts import PERSONS_THERE, every_tag
from valtag_tests.spark.cells import assert_equal

AS_OF = date(2024, 2, 29)
EDGES = (-1, 0, 1, 28, 29, 30, 31, 59, 60, 365)


def history(
    seed: int, rows: int, ages: Sequence[int] = (-1, 0, 1, 28, 29, 30, 31, 59, 60, 365)
) -> list[dict[str, Any]]:
    """Rows with ties, nulls, repeated rows, and days on both sides of every window's edge."""
    chance = random.Random(seed)
    edges = [AS_OF - timedelta(days=n) for n in ages]
    found = [
        {
            "member": chance.choice([*PERSONS_THERE[:-1], "stranger", None]),
            "number": chance.choice([None, 8, 9, 10]),
            "paid_at": datetime.combine(chance.choice(edges), datetime.min.time())
            + timedelta(microseconds=chance.choice([0, 1, 43_200_000_000, 86_399_999_999])),
            "amount": chance.choice([None, *(Decimal(cents) / 100 for cents in range(-300, 300, 7))]),
            "ratio": chance.choice([None, *(part / 8 for part in range(-16, 17))]),
            "quantity": chance.choice([None, -1, 0, 1, 2, 2**40]),
            "brand": chance.choice(["a", "B", "b", "é", "茅台", "😀", "'; --", "", None]),
            "channel": chance.choice(["app", "web", None]),
            "gift": chance.choice([True, False, None]),
            "due": chance.choice([None, *edges]),
        }
        for _ in range(rows)
    ]
    return found + found[:5]


def test_every_aggregation_from_rows(tmp_path: Path, duck: DuckDBEngine, spark: SparkEngine) -> None:
    inputs = {
        PERSONS: kit.write_persons(tmp_path, [*PERSONS_THERE, "7"]),
        clean_name("orders"): kit.write_clean(tmp_path, every_tag(), "orders", history(1, 300), 2),
    }
    # Each aggregation in one window or two, all windows among them.
    category = every_tag().categories["everything"]
    some = category_expression(every_tag(), replace(category, tags=category.tags[::5]), AS_OF)
    for engine in (duck, spark):
        engine.write(some, inputs, tmp_path / f"{engine.name}.parquet")
    assert_equal(tmp_path / "duckdb.parquet", tmp_path / "spark.parquet", "person_id")


def test_tiles_and_checkpoints_of_either_engine_serve_the_other(
    tmp_path: Path, duck: DuckDBEngine, spark: SparkEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    tags = every_tag().categories["everything"].tags[::23]
    shop = incremental.Shop(tmp_path, every_tag())
    rows = history(2, 120, (0, 1, 29, 30))
    late = history(3, 10, (1, 30))
    # Tiles by one engine, moved by the other to the next day, and again after rows came late.
    days = [(duck, AS_OF - timedelta(days=1), rows), (spark, AS_OF, rows), (spark, AS_OF, rows + late)]
    for engine, as_of, known in days:
        shop.write(known)
        monkeypatch.setattr(incremental, "engine", partial(nullcontext, engine))
        merged = shop.merged(tags, as_of)
        monkeypatch.setattr(incremental, "engine", partial(nullcontext, duck))
        assert merged.to_pylist() == shop.full(tags, as_of).to_pylist()
