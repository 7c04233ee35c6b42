"""Daily categories through the graph: tiles of what changed, checkpoints that move, and what a vacuum leaves."""

import shutil
from datetime import timedelta
from pathlib import Path

from valtag_assets.graph.upkeep import run_vacuum
from valtag_tests.graph.shop import AS_OF, Shop, orders

TAGS = "tags/transaction"


def layers(shop: Shop) -> list[dict]:
    snapshot = shop.served(TAGS)
    assert snapshot is not None
    return snapshot.metrics["merging"]["layers"]


def entries(shop: Shop, stage: str) -> list[Path]:
    return sorted(path.parent for path in (shop.root / "data/warehouse/shop" / stage).glob("*/*/about.json"))


def test_a_late_row_restates_its_month_and_the_rest_is_kept(shop: Shop) -> None:
    shop.write()
    shop.run(AS_OF - timedelta(days=1), select="+tags/transaction")
    rows = orders()
    late = rows.iloc[[0]].assign(order_id="LATE", ordered_at="2024-01-15 09:00:00", amount="7.77")
    both = rows._append(late)
    shop.write(order_rows=both)
    shop.run(select="+tags/transaction")
    (layer,) = layers(shop)
    assert layer["how"] == f"moved from {AS_OF - timedelta(days=1)}"
    assert layer["tiles_made"] == ["2024-01"]
    spend = both.assign(amount=both["amount"].astype(float)).groupby("customer_id")["amount"].sum()
    shown = shop.rows(TAGS).set_index("person_id")["total_spend"].astype(float)
    assert shown[spend.index].round(2).tolist() == spend.round(2).tolist()


def test_a_daily_category_of_masters_alone_has_nothing_to_merge_and_is_told_to_dagster(shop: Shop) -> None:
    attribute = shop.files["tags/attribute.yaml"].replace("schedule: on_demand", "schedule: daily")
    shop.files = {**shop.files, "tags/attribute.yaml": attribute}
    shop.write()
    shop.run(select="+tags/attribute")
    told = [event.step_key for event in shop.events if event.event_type_value == "ASSET_MATERIALIZATION"]
    assert "tags__attribute" in told


def test_without_tiles_and_checkpoints_the_same_table_is_made(ran: Shop) -> None:
    first = ran.served(TAGS)
    for stage in ("tiles", "checkpoints"):
        shutil.rmtree(ran.root / "data/warehouse/shop" / stage)
    ran.full = True
    ran.run(select="+tags/transaction")
    assert not entries(ran, "tiles"), "a full run reads the clean rows alone"
    ran.full = False
    ran.run(AS_OF - timedelta(days=1), select="+tags/transaction")
    ran.run(select="+tags/transaction")
    again = ran.served(TAGS)
    assert first is not None and again is not None
    assert again.content_hash == first.content_hash


def test_a_vacuum_removes_tiles_of_tags_and_rows_that_are_no_more(ran: Shop) -> None:
    kept = entries(ran, "tiles")
    assert run_vacuum(ran.setting).removed == ()
    left = ran.root / "data/warehouse/shop/tiles/orders.rows.000000000000/columns"
    left.mkdir(parents=True)
    (left / "about.json").write_text('{"files": {}, "ids": ["count_x"], "recipe": 1}')
    dry = run_vacuum(ran.setting, dry_run=True)
    assert dry.removed == (left.parent,) and left.exists()
    done = run_vacuum(ran.setting)
    assert done.removed_bytes > 0 and not left.exists()
    assert entries(ran, "tiles") == kept
