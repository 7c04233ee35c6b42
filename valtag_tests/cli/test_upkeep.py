"""valtag vacuum, repair, and what status says of damage."""

import json

from valtag_assets.warehouse.snapshot import TableRef
from valtag_assets.warehouse.store import Warehouse
from valtag_tests.cli.conftest import Shop, Valtag

TABLE = TableRef("tags", "transaction")


def warehouse_of(shop: Shop) -> Warehouse:
    return Warehouse(shop.data / "warehouse/shop")


def state_of(valtag: Valtag, shop: Shop, table: str) -> tuple[str, str]:
    rows = valtag("status", *shop.options, "--json").json
    row = next(row for row in rows if row["table"] == table)
    return row["state"], row["reason"]


def test_a_vacuum_says_what_it_takes_and_takes_it_unless_it_is_a_dry_run(valtag: Valtag, ran: Shop) -> None:
    ran.edit("project.yaml", "start:", "retention: {days: 1, month_ends: false, replaced_days: 1}\nstart:")
    valtag("run", *ran.options, "--as-of", "2025-12-30", "-s", "tags/transaction")
    warehouse = warehouse_of(ran)
    before = warehouse.snapshots(TABLE)
    assert [snapshot.as_of.isoformat() for snapshot in before if snapshot.as_of] == ["2025-12-30", "2025-12-31"]
    assert valtag("vacuum", *ran.options, "--json").json["expired"] == []  # published just now

    path = warehouse.root / "tags/transaction/manifest.json"
    data = json.loads(path.read_text(encoding="utf-8"))
    for entry in data["snapshots"]:
        entry["known_at"] = "2026-01-01T00:00:00+00:00"
    path.write_text(json.dumps(data), encoding="utf-8")
    for dry in (["--dry-run"], []):
        assert len(warehouse.snapshots(TABLE)) == 2
        (item,) = valtag("vacuum", *ran.options, *dry, "--json").json["expired"]
        assert (item["table"], item["as_of"]) == ("tags/transaction", "2025-12-30")
        assert item["why"] == "its as-of is no longer kept"
    assert warehouse.snapshots(TABLE) == [warehouse.latest(TABLE)]
    said = valtag(
        "show", "tags/transaction", *ran.options, "--as-of", "2025-12-30", "--known-at", "2999-01-01T00:00Z"
    )
    assert said.code == 1 and "as-ofs before 2025-12-31 were thinned out" in said.err
    assert "0 snapshots left history" in valtag("vacuum", *ran.options).out


def test_damage_is_a_state_not_a_traceback(valtag: Valtag, ran: Shop) -> None:
    (ran.data / "warehouse/shop/tags/transaction/manifest.json").write_text("{", encoding="utf-8")
    (ran.data / "warehouse/shop/quarantine/orders/manifest.json").unlink()
    said = valtag("status", *ran.options)
    assert said.code == 2 and "Traceback" not in said.out + said.err
    state, reason = state_of(valtag, ran, "tags/transaction")
    assert state == "damaged" and "manifest.json is damaged" in reason and "valtag repair" in reason
    assert state_of(valtag, ran, "quarantine/orders")[0] == "damaged"
    assert state_of(valtag, ran, "scores/rfm")[0] == "stale"
    refused = valtag("run", *ran.options)
    assert refused.code == 3 and "valtag repair" in refused.err

    said = valtag("repair", *ran.options)
    assert said.code == 0 and "made anew with 1 snapshots" in said.out
    assert state_of(valtag, ran, "tags/transaction")[0].startswith("failed")
    assert valtag("run", *ran.options, "-s", "+tags/transaction").code == 0
    assert state_of(valtag, ran, "tags/transaction")[0] == "ok"
    assert valtag("repair", *ran.options).out == "nothing is damaged\n"


def test_a_run_makes_tables_with_damaged_files_anew(valtag: Valtag, ran: Shop) -> None:
    warehouse = warehouse_of(ran)
    before = warehouse.latest(TABLE)
    assert before is not None
    clean = warehouse.latest(TableRef("clean", "orders"))
    assert clean is not None
    clean.files[0].write_bytes(b"PAR1")
    before.files[0].unlink()
    assert state_of(valtag, ran, "clean/orders")[0] == "damaged"
    said = valtag("run", *ran.options, "-s", "+tags/transaction")
    assert said.code == 0, said.out + said.err
    after = warehouse.latest(TABLE)
    assert after is not None
    assert after.id != before.id and after.content_hash == before.content_hash
    assert state_of(valtag, ran, "clean/orders")[0] == "ok"
