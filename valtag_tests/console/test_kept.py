"""A kept value is explained back to the day on which rows gave it."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pandas as pd
import pytest

from valtag_assets.console.explain import Asked, explain
from valtag_tests.graph.shop import AS_OF, FILES, PROJECT, Shop

START = AS_OF - timedelta(days=2)
KEPT = """
category: habit
title: {zh: 习惯类, en: Habit}
tags:
  - code: last_amount
    title: {zh: 最近一笔金额, en: Last amount}
    type: decimal(18,2)
    value: {fact: orders, agg: last, of: amount}
    windows: [1d]
    null_policy: keep_last
  - code: double_amount
    title: {zh: 两倍金额, en: Double amount}
    type: decimal(18,2)
    value: last_amount_1d * 2
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
        order = {"order_id": "O1", "customer_id": "C001", "ordered_at": f"{START} 09:00:00", "amount": "12.50"}
        made.write(order_rows=pd.DataFrame([order]))
        yield made


def test_a_kept_value_is_explained_by_the_day_it_came_from(shop: Shop) -> None:
    for day in range(3):
        shop.run(START + timedelta(days=day))
    found = explain(shop.setting, Asked("C001", "last_amount_1d"))
    assert found.value == pytest.approx(12.5) and found.proven
    assert found.clean is not None and found.clean.counted == 0
    assert found.how[-1] == f"so the value of {AS_OF - timedelta(days=1)} is kept (null_policy: keep_last)"
    [before] = found.tags
    [first] = before.tags
    assert (before.as_of, first.as_of) == (AS_OF - timedelta(days=1), START)
    assert first.clean is not None and [row.place.row for row in first.clean.rows] == [1] and first.tags == []
    doubled = explain(shop.setting, Asked("C001", "double_amount"))
    assert doubled.value == 25 and doubled.proven
    # The day before is out of reach of this depth, but its value is still what is kept.
    assert explain(shop.setting, Asked("C001", "last_amount_1d", deep=0)).proven
    nobody = explain(shop.setting, Asked("C002", "last_amount_1d"))
    assert nobody.value is None and nobody.proven
