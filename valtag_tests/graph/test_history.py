"""The past stays as it was: any as-of can be computed again, late data make new snapshots, kills leave no ruin."""

import multiprocessing
import os
import random
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path

import dagster as dg
import duckdb
import pandas as pd
import pytest

from valtag_assets.engine.duckdb import DuckDBEngine
from valtag_assets.graph.jobs import DERIVE, INTAKE
from valtag_assets.graph.segments import segment_plan
from valtag_assets.graph.setting import Setting
from valtag_assets.graph.tags import category_plan
from valtag_assets.warehouse.snapshot import Snapshot, TableRef
from valtag_tests.graph.shop import AS_OF, Shop, customers, orders

PAST_DAYS = int(os.environ.get("VALTAG_DAYS", "12"))

TITLE = "title: {zh: 人群, en: Audience}"
AUDIENCES = {
    "ranked": "did(orders, at most 2 times, within 7d) and not did(orders, sum(amount) at least 150)",
    "chain": "sequence(did(orders), did(orders, within 5d))",
}
CHOSEN = """
    order: total_spend desc
    caps: [{per: order_count, at_most: 12}]
    holdout: {share: 0.2, seed: 1}
"""
DAYS = [AS_OF - timedelta(days=n) for n in (1, 0)]
DERIVED = ("tags", "scores", "segments")
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["valtag_tests.graph.shop"])


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Shop]:
    """A second shop with the same tables in a warehouse of its own."""
    with dg.DagsterInstance.ephemeral() as instance:
        made = Shop(tmp_path / "other", instance)
        made.write()
        yield made


def contents(shop: Shop, days: list[date]) -> dict[tuple[str, date | None], str]:
    """The content hash of everything derived, by table and as-of."""
    warehouse = shop.setting.warehouse
    found: dict[tuple[str, date | None], str] = {}
    for table in warehouse.tables():
        for day in (None,) if table.key in ("tags/attribute", "identity/persons") else days:
            snapshot = warehouse.current(table, day) if day else warehouse.latest(table)
            if table.stage in (*DERIVED, "identity") and snapshot is not None:
                found[table.key, day] = snapshot.content_hash
    return found


def rows_of(snapshot: Snapshot) -> int:
    with duckdb.connect() as connection:
        return len(connection.read_parquet([str(file) for file in snapshot.files]).fetchall())


def test_an_as_of_computed_again_in_another_order_from_shuffled_files_is_the_same(ran: Shop, other: Shop) -> None:
    ran.run(DAYS[0], job=DERIVE)  # after DAYS[1]

    rows = orders().sample(frac=1, random_state=7)
    other.write(customers().sample(frac=1, random_state=8), rows.iloc[:20])
    rows.iloc[20:60].to_csv(other.root / "catalog/data/orders_more.csv", index=False)
    rows.iloc[60:].to_csv(other.root / "catalog/data/orders_yet_more.csv", index=False)
    other.run(job=INTAKE)
    for day in DAYS:
        other.run(day, job=DERIVE)

    assert len(contents(ran, DAYS)) == 2 + 7 * len(DAYS)
    assert contents(other, DAYS) == contents(ran, DAYS)


def make(setting: Setting, day: date, threads: int) -> list[str]:
    """Compute and publish the tags and an audience of ``day`` as a run does, without its audit; their hashes."""
    resolved = setting.resolved
    plans = [
        lambda: category_plan(setting, resolved.categories["transaction"], day),
        *(partial(segment_plan, setting, resolved.segments[code], day) for code in ("spenders", *AUDIENCES)),
    ]
    found = []
    with duckdb.connect(config={"threads": threads}) as connection:
        for plan in (planned() for planned in plans):
            assert plan.gate.open, plan.gate.faults
            with setting.warehouse.staging(plan.table) as staged:
                plan.write(DuckDBEngine(connection), staged.path)
                snapshot = setting.warehouse.publish(
                    staged,
                    as_of=day,
                    known_at=setting.clock(),
                    input_hash=plan.input_hash(),
                    catalog_hash="",
                    run_id="",
                    data_until=None,
                    inputs={},
                    verdicts=[],
                    metrics={},
                    key=plan.key,
                )
            found.append(snapshot.content_hash)
    return found


def test_past_days_rebuilt_in_any_order_have_equal_hashes(shop: Shop, other: Shop) -> None:
    chance = random.Random(20260930)
    days = [AS_OF - timedelta(days=n) for n in reversed(range(PAST_DAYS))]
    rows = orders().sample(frac=1, random_state=3)
    other.write(customers().sample(frac=1, random_state=4), rows.iloc[::2])
    rows.iloc[1::2].to_csv(other.root / "catalog/data/orders_more.csv", index=False)
    written = [f"  - code: {code}\n    {TITLE}\n    rule: {rule}{CHOSEN}" for code, rule in AUDIENCES.items()]
    for each in (shop, other):
        path = each.root / "catalog/segments/more.yaml"
        path.write_text("\n".join(["segments:", *written]), encoding="utf-8")
        each.run(job=INTAKE)
    one, two = shop.setting, other.setting
    in_order = {day: make(one, day, threads=1) for day in days}
    shuffled = {day: make(two, day, threads=chance.randint(2, 4)) for day in chance.sample(days, len(days))}
    assert list(shuffled) != days
    assert shuffled == in_order
    # The last ten days have orders, and each day's values differ from the day's before.
    assert len({hashes[0] for hashes in in_order.values()}) > 9


def test_values_change_by_time_alone(ran: Shop) -> None:
    ran.run(AS_OF + timedelta(days=5), select="tags/transaction")
    before, after = (ran.rows("tags/transaction", AS_OF + timedelta(days=n)) for n in (0, 5))
    aged = after["days_since_last_order"] - before["days_since_last_order"]
    assert (aged.dropna() == 5).all()
    assert (after["total_spend"] == before["total_spend"]).all()
    assert before["order_count_3d"].sum() > after["order_count_3d"].sum() == 0


def test_late_data_make_a_new_snapshot_of_the_same_as_of(shop: Shop) -> None:
    monday, tuesday = datetime(2024, 3, 11, 6, tzinfo=UTC), datetime(2024, 3, 12, 6, tzinfo=UTC)
    shop.clock = lambda: monday
    shop.run(select="+segments/spenders")
    first = shop.served("tags/transaction")
    late = pd.DataFrame(
        [{"order_id": "LATE", "customer_id": "C055", "ordered_at": f"{AS_OF} 23:59:59", "amount": "150.00"}]
    )
    shop.write(order_rows=pd.concat([orders(), late]))
    shop.clock = lambda: tuesday
    shop.run(select="+segments/spenders")

    warehouse, table = shop.setting.warehouse, TableRef("tags", "transaction")
    now, then = warehouse.at(table, AS_OF, tuesday), warehouse.at(table, AS_OF, tuesday - timedelta(seconds=1))
    assert now is not None and then is not None
    assert then == first
    assert [snapshot.known_at for snapshot in warehouse.snapshots(table)] == [monday, tuesday]
    spend = [
        pd.read_parquet(snapshot.files[0]).set_index("person_id").loc["C055", "total_spend"]
        for snapshot in (then, now)
    ]
    assert [float(value) for value in spend] == [0.0, 150.0]
    assert warehouse.at(table, AS_OF, monday - timedelta(seconds=1)) is None
    spenders = [warehouse.at(TableRef("segments", "spenders"), AS_OF, moment) for moment in (monday, tuesday)]
    members = [set(pd.read_parquet(found.files[0])["person_id"]) for found in spenders if found is not None]
    assert members[1] - members[0] == {"C055"}


def test_what_happens_after_the_as_of_is_invisible(ran: Shop, other: Shop) -> None:
    ran.run(AS_OF - timedelta(days=2), job=DERIVE)
    early = orders()
    other.write(order_rows=early[early["ordered_at"] < str(AS_OF - timedelta(days=1))])
    other.run(AS_OF - timedelta(days=2))
    assert contents(other, [AS_OF - timedelta(days=2)]) == contents(ran, [AS_OF - timedelta(days=2)])
