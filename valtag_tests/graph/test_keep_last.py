"""Kept values: each as-of rests on exactly the one before, whichever as-ofs were computed when."""

import itertools
import shutil
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import dagster as dg
import pytest

from valtag_assets.definitions import build_definitions
from valtag_assets.graph.jobs import INTAKE
from valtag_tests.graph.shop import AS_OF, FILES, PROJECT, Shop

START = AS_OF - timedelta(days=4)
DAYS = [START + timedelta(days=n) for n in range(5)]
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


CATALOG = {
    "project.yaml": PROJECT.replace("2024-01-01", str(START)),
    "sources/customers.yaml": FILES["sources/customers.yaml"],
    "sources/orders.yaml": FILES["sources/orders.yaml"],
    "tags/habit.yaml": KEPT,
}


@pytest.fixture(scope="module")
def read_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a shop whose tables were read. Not to be changed."""
    folder = tmp_path_factory.mktemp("read")
    with dg.DagsterInstance.ephemeral() as instance:
        made = Shop(folder, instance, CATALOG)
        made.write()
        made.run(job=INTAKE)
    return folder


@pytest.fixture
def shop(read_once: Path, tmp_path: Path) -> Iterator[Shop]:
    shutil.copytree(read_once, tmp_path, dirs_exist_ok=True)
    with dg.DagsterInstance.ephemeral() as instance:
        yield Shop(tmp_path, instance, CATALOG)


@pytest.fixture(scope="module")
def days_once(read_once: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of such a shop after five days. Not to be changed."""
    folder = tmp_path_factory.mktemp("days")
    shutil.copytree(read_once, folder, dirs_exist_ok=True)
    with dg.DagsterInstance.ephemeral() as instance:
        made = Shop(folder, instance, CATALOG)
        for day in DAYS:
            assert derive(made, day) == "published"
    return folder


@pytest.fixture
def after_days(days_once: Path, tmp_path: Path) -> Iterator[Shop]:
    shutil.copytree(days_once, tmp_path, dirs_exist_ok=True)
    with dg.DagsterInstance.ephemeral() as instance:
        yield Shop(tmp_path, instance, CATALOG)


def derive(shop: Shop, day: date) -> str:
    return shop.run(day, select="tags/habit")["tags/habit"]


def test_an_as_of_without_the_day_before_is_refused_with_what_to_run(shop: Shop) -> None:
    assert derive(shop, AS_OF) == "refused"
    assert f"rests on the day before: valtag run --from {START} --to {AS_OF}" in shop.reason("tags/habit")
    assert derive(shop, START) == "published"
    assert derive(shop, AS_OF) == "refused"
    assert f"--from {START + timedelta(days=1)} --to {AS_OF}" in shop.reason("tags/habit")


def test_a_value_is_kept_as_long_as_nothing_new_comes(after_days: Shop) -> None:
    values = [after_days.rows("tags/habit", day).set_index("person_id")["last_amount_2d"] for day in DAYS]
    for before, after in itertools.pairwise(values):
        assert set(before.dropna().index) <= set(after.dropna().index)
    # Kept, not computed: by the last day most of those values have left the window of two days.
    assert values[-1].notna().sum() > values[0].notna().sum() > 0


def test_a_day_run_again_after_newer_ones_takes_nothing_from_them(after_days: Shop) -> None:
    before = [after_days.served("tags/habit", day) for day in DAYS]
    for number in (3, 1, 4):
        assert derive(after_days, DAYS[number]) == "reused"
    assert [after_days.served("tags/habit", day) for day in DAYS] == before


def test_a_backfill_goes_through_the_days_in_order(shop: Shop) -> None:
    graph = build_definitions(shop.setting).resolve_asset_graph()
    habit = dg.AssetKey(["tags", "habit"])
    assert habit in graph.get(habit).parent_keys
    mapping = graph.get(habit).partition_mappings[habit]
    assert mapping == dg.TimeWindowPartitionMapping(start_offset=-1, end_offset=-1)
