"""The nightly check: incremental equals full, or the table is blocked and made anew from the clean rows."""

from datetime import timedelta

import duckdb
import pandas as pd
import pytest

from valtag_assets.graph.jobs import RECHECK
from valtag_tests.graph.shop import AS_OF, Shop, orders, results_of

TAGS = "tags/transaction"


def merged_how(shop: Shop) -> set[str]:
    snapshot = shop.served(TAGS)
    assert snapshot is not None
    return {layer["how"] for layer in snapshot.metrics["merging"]["layers"]}


def test_what_is_merged_from_tiles_passes(shop: Shop) -> None:
    shop.write()
    shop.run(AS_OF - timedelta(days=1), select="+tags/*")
    shop.run(select="tags/*")
    assert merged_how(shop) == {f"moved from {AS_OF - timedelta(days=1)}"}
    shop.run(job=RECHECK)
    for table in (TAGS, "tags/attribute"):
        assert results_of(shop.events, table)["equals_full_recompute"].passed


def test_a_wrong_checkpoint_is_found_blocks_the_table_and_the_next_run_repairs_it(shop: Shop) -> None:
    shop.write()
    shop.run(AS_OF - timedelta(days=1), select="+tags/transaction")
    spoil_checkpoints(shop)
    shop.run(select="+tags/transaction")
    wrong = shop.rows(TAGS)
    shop.run(job=RECHECK)
    found = results_of(shop.events, TAGS)["equals_full_recompute"]
    assert not found.passed
    assert "order_count of" in found.description
    blocked = shop.setting.warehouse.blocked(shop.served(TAGS).table, AS_OF)  # type: ignore[union-attr]
    assert blocked is not None and "differs from a full recompute" in (blocked.reason or "")
    outcomes = shop.run(select="+tags/transaction")
    assert outcomes[TAGS] == "published"
    right = shop.rows(TAGS)
    assert (right["order_count"] == wrong["order_count"] - 1).any()
    counted = orders().groupby("customer_id").size().reindex(right["person_id"]).fillna(0).astype(int)
    assert right["order_count"].tolist() == counted.tolist()
    shop.run(job=RECHECK)
    assert results_of(shop.events, TAGS)["equals_full_recompute"].passed


def spoil_checkpoints(shop: Shop) -> None:
    """Add an order to every count, in files of the same length: no damage that could be seen."""
    for path in (shop.root / "data/warehouse/shop/checkpoints").glob("*/*/state.parquet"):
        frame = pd.read_parquet(path)
        for column in (name for name in frame.columns if name.startswith("count_")):
            frame[column] += 1
        about = path.parent / "about.json"
        with duckdb.connect() as connection:
            connection.register("frame", frame)
            connection.sql("select * from frame").write_parquet(str(path))
        before = about.read_text()
        size = next(line for line in before.splitlines() if "state.parquet" in line)
        about.write_text(before.replace(size, f'  "state.parquet": {path.stat().st_size}'))


@pytest.mark.parametrize(("job", "select"), [("refresh", ""), ("daily", ""), ("refresh", TAGS)])
def test_a_refresh_of_everything_or_of_a_table_does_not_run_it(ran: Shop, job: str, select: str) -> None:
    ran.run(job=job, select=select)
    assert "equals_full_recompute" not in results_of(ran.events, TAGS)
