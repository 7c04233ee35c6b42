"""Kept values: each as-of rests on exactly the one before, whichever as-ofs were computed when."""

import itertools
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest

from valtag_assets.definitions import build_definitions
from valtag_tests.graph.shop import AS_OF, FILES, PROJECT, Shop

START = AS_OF - timedelta(days=4)
KEPT = """
category: habit
title: {zh: 习惯类, en: Habit}
tags:
  - code: last_amount
    title: {zh: 最近一笔金额, en: Last amount}
    type: decimal(18,2)
    value: {fact: orders, agg: last, of: amount}
    windows: [2d]
    null_policy: keep_last
"""


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    with dg.DagsterInstance.ephemeral() as instance:
        files = {
            "project.yaml": PROJECT.replace("2024-01-01", str(START)),
            "sources/customers.yaml": FILES["sources/customers.yaml"],
            "sources/orders.yaml": FILES["sources/orders.yaml"],
            "tags/habit.yaml": KEPT,
        }
        made = Shop(tmp_path, instance, files)
        made.write()
        yield made


def test_an_as_of_without_the_day_before_is_refused_with_what_to_run(shop: Shop) -> None:
    assert shop.run(AS_OF)["tags/habit"] == "refused"
    assert f"rests on the day before: valtag run --from {START} --to {AS_OF}" in shop.reason("tags/habit")
    assert shop.run(START)["tags/habit"] == "published"
    assert shop.run(AS_OF)["tags/habit"] == "refused"
    assert f"--from {START + timedelta(days=1)} --to {AS_OF}" in shop.reason("tags/habit")


def test_a_value_is_kept_as_long_as_nothing_new_comes(shop: Shop) -> None:
    days = [START + timedelta(days=n) for n in range(5)]
    for day in days:
        shop.run(day)
    values = [shop.rows("tags/habit", day).set_index("person_id")["last_amount_2d"] for day in days]
    for before, after in itertools.pairwise(values):
        assert set(before.dropna().index) <= set(after.dropna().index)
    # Kept, not computed: by the last day most of those values have left the window of two days.
    assert values[-1].notna().sum() > values[0].notna().sum() > 0


def test_a_day_run_again_after_newer_ones_takes_nothing_from_them(shop: Shop) -> None:
    for number in range(5):
        shop.run(START + timedelta(days=number))
    before = {n: shop.served("tags/habit", START + timedelta(days=n)) for n in range(5)}
    for number in (3, 1, 4):
        assert shop.run(START + timedelta(days=number))["tags/habit"] == "reused"
    assert {n: shop.served("tags/habit", START + timedelta(days=n)) for n in range(5)} == before


def test_a_backfill_goes_through_the_days_in_order(shop: Shop) -> None:
    graph = build_definitions(shop.setting).resolve_asset_graph()
    habit = dg.AssetKey(["tags", "habit"])
    assert habit in graph.get(habit).parent_keys
    mapping = graph.get(habit).partition_mappings[habit]
    assert mapping == dg.TimeWindowPartitionMapping(start_offset=-1, end_offset=-1)
