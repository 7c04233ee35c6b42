"""A person is erased from everything, nobody else is touched, and it is proven."""

import gzip
import json
import re
import sqlite3
from contextlib import closing

import duckdb
import pandas as pd
import pytest

from valtag_assets.graph.certificate import certify
from valtag_assets.graph.erasing import Orderer, carry_out, order_erasure
from valtag_assets.graph.jobs import INTAKE
from valtag_assets.graph.receipts import receipts_folder
from valtag_assets.spec.mistake import Mistake
from valtag_assets.warehouse.journal import begun
from valtag_tests.graph.caring import messages
from valtag_tests.graph.marked import (
    ACCESS,
    PERSON,
    marks_of,
    others_rows,
    phone,
    telling,
)
from valtag_tests.graph.shop import Shop
from valtag_tests.graph.shop import orders as shop_orders
from valtag_tests.graph.test_identity_tables import CATALOG as LINKED
from valtag_tests.graph.test_identity_tables import LOOSE, devices, phones

BY = Orderer("ann", "keeper", "erasure", "asked by letter")


def erase(shop: Shop, *asked: str):
    done = carry_out(shop.setting, order_erasure(shop.setting, asked or [PERSON], BY))
    return done


def test_nothing_of_the_person_is_left_and_nobody_else_has_changed(marked: Shop) -> None:
    data, root = marked.root / "data", marked.setting.warehouse.root
    before = others_rows(root, [PERSON])
    spend = marked.served("tags/transaction")
    receipts = receipts_folder(marked.setting) / "broken.jsonl"
    others = ['{"person_id": "C008", "sta', "C0070 \udcff", '{"person_id": "C008", "reason": "C0071"}', "[" * 9999]
    hers = ['{"person_id": "C007", "sta', f"call {phone(PERSON)}", '{"person_id": "C007"}\udcff']
    about = f'{{"person_id": "C008", "reason": "not {phone(PERSON)}"}}'
    lines = "\n".join([*others, *hers, about])
    receipts.write_bytes(lines.encode("utf-8", "surrogateescape"))
    (root / "packed.gz").write_bytes(gzip.compress(b"C0070 is fine"))
    (root / "strange.7z").write_bytes(b"7z\xbc\xaf\x27\x1c")
    assert len(telling(data)) > 10
    done = erase(marked)
    assert done.complete, (done.scanned.hits, done.withdrawn)
    file = certify(marked.setting, done)
    assert telling(data) == []
    assert {name: rows for name, rows in others_rows(root, [PERSON]).items() if rows} == {
        name: rows for name, rows in before.items() if rows
    }
    left = receipts.read_bytes().decode("utf-8", "surrogateescape").splitlines()
    assert left == [*others, about.replace(phone(PERSON), "***")] and done.receipts >= 4
    said = json.loads(file.read_text(encoding="utf-8"))
    assert said["scan"]["closed"] == ["strange.7z"]
    assert said["scan"]["found"] == 0 and begun(root) is None
    assert said["identifiers_left_to_others"] == 1  # the e-mail address she shares
    held = {name: len(rows) for name, rows in said["company_files"].items()}
    assert held == {"customers.csv": 2, "orders.csv": 4}
    assert "删除证明" in file.with_suffix(".txt").read_text(encoding="utf-8")
    assert not any(mark in file.read_text(encoding="utf-8") for mark in marks_of(PERSON))
    log = marked.setting.audit
    assert [entry.action for entry in log.entries()][-2:] == ["erase", "erased"] and log.verify().sound
    rewritten = marked.served("tags/transaction")
    assert (rewritten.id, rewritten.rows) == (spend.id, spend.rows - 1)
    (note,) = json.loads((rewritten.files[0].parent / "_snapshot.json").read_text(encoding="utf-8"))["erased"]
    assert (note["erasure"], note["content_hash"], note["rows"]) == (done.order.id, spend.content_hash, 1)


def test_destinations_and_the_ledger_forget_her_and_keep_the_others(marked: Shop) -> None:
    place = marked.root / "data/deliveries/shop"

    def held() -> list[set[str]]:
        with closing(sqlite3.connect(place / "bi.sqlite")) as bi, duckdb.connect(str(place / "lake.duckdb")) as lake:
            in_bi = {row[0] for row in bi.execute("SELECT person_id FROM audience")}
            in_lake = {row[0] for row in lake.execute("SELECT person_id FROM audience").fetchall()}
        return [set(pd.read_csv(place / "crm/women_crm.csv", dtype=str)["person_id"]), in_bi, in_lake]

    before = held()
    ledger = [row for row in messages(marked) if row["person_id"] != PERSON]
    assert all(PERSON in persons for persons in before)
    done = erase(marked)
    assert done.complete
    assert held() == [persons - {PERSON} for persons in before]
    assert messages(marked) == ledger
    assert done.withdrawn.states["crm"] == {"acknowledged": 1}


def test_imported_again_she_stays_away_and_every_row_is_accounted_for(marked: Shop) -> None:
    certify(marked.setting, erase(marked))
    erased = {name: marked.served(name, None).metrics["account"] for name in ("clean/customers", "clean/orders")}
    outcomes = marked.run(job=INTAKE)
    assert set(outcomes.values()) == {"published"}
    assert telling(marked.root / "data") == []
    for name, account in erased.items():
        again = marked.served(name, None).metrics["account"]
        assert again == account and account["erased"] >= 2
    assert PERSON not in set(marked.rows("identity/persons", None)["person_id"])
    friend = marked.rows("clean/customers", None).set_index("customer_id")["friend"]
    assert friend["C009"] is None


def test_several_persons_are_found_by_what_tells_them_and_errors_name_nobody(marked: Shop) -> None:
    order = order_erasure(marked.setting, [phone(PERSON), "C011"], BY)
    assert order.persons == ("C007", "C011") and phone(PERSON) in order.identifiers
    with pytest.raises(Mistake, match="number 2") as error:
        order_erasure(marked.setting, [PERSON, "13999999999"], BY)
    assert "13999999999" not in str(error.value)
    with pytest.raises(Mistake, match="of several persons") as error:
        order_erasure(marked.setting, ["shared1@example.com"], BY)
    assert "shared1" not in str(error.value)


def test_with_linked_identities_every_identifier_of_the_person_goes(shop: Shop) -> None:
    passing = LINKED["identity.yaml"].replace("limit: 10}", "limit: 10, valid_for: 20d}")
    shop.files = {**LINKED, "identity.yaml": passing, "access.yaml": ACCESS}
    shop.write(phones(), devices())
    assert set(shop.run(job=INTAKE).values()) == {"published"}
    root = shop.setting.warehouse.root
    before = len(shop.rows("clean/orders", None))
    order = order_erasure(shop.setting, ["+86 139-0000-0007"], BY)
    told = {"C007", "DC007", "13900000007", "+86 139-0000-0007"}
    assert told <= {*order.persons, *order.identifiers}
    certify(shop.setting, carry_out(shop.setting, order))
    keys = shop.rows("identity/keys", None)
    assert not told & set(keys["key"]) and not set(order.persons) & set(keys["person_id"])
    assert before - len(shop.rows("clean/orders", None)) == len(shop_orders()[shop_orders()["customer_id"] == "C007"])
    assert set(shop.run(job=INTAKE).values()) == {"published"}
    mark = re.compile(rb"(C007|139-?0000-?0007)(?!\d)")
    assert [file for file in root.rglob("*") if file.is_file() and mark.search(file.read_bytes())] == []
    # Her device goes to somebody else when nobody has used it for twenty days: his order is his.
    later = {"order_id": "LATER", "ordered_at": "2024-06-01 10:00:00", "amount": "7", "device": "DC007"}
    soon = {**later, "order_id": "SOON", "ordered_at": "2024-03-20 10:00:00"}
    shop.write(phones(), pd.concat([devices(), pd.DataFrame([later, soon])]))
    assert set(shop.run(job=INTAKE).values()) <= {"published", "reused"}
    bought = shop.rows("clean/orders", None)
    assert bought[bought["device"] == "DC007"]["order_id"].tolist() == ["LATER"]
    assert "DC007" in by_key(shop) and "C007" not in by_key(shop)


def test_of_two_who_were_one_for_a_while_only_the_one_goes(shop: Shop) -> None:
    shop.files = {**LINKED, "identity.yaml": LOOSE, "access.yaml": ACCESS}
    for shared in ({}, {2: "+86 139-0000-0001"}):
        shop.write(phones(shared), devices())
        shop.run(job=INTAKE)
    merged = order_erasure(shop.setting, ["C001"], BY)
    assert {"C001", "C002", "DC001", "DC002", "13900000001"} <= {*merged.persons, *merged.identifiers}
    assert order_erasure(shop.setting, ["C002"], BY).persons == merged.persons
    shop.write(phones(), devices())
    shop.run(job=INTAKE)
    other = by_key(shop)["C002"]
    before = [len(shop.rows(table, None)) for table in ("clean/customers", "clean/orders")]
    order = order_erasure(shop.setting, ["C001"], BY)
    assert not {other, "C002", "DC002", "13900000002"} & {*order.persons, *order.identifiers}
    assert carry_out(shop.setting, order).complete
    assert by_key(shop)["C002"] == other and not {"C001", "DC001", "13900000001"} & set(by_key(shop))
    ordered = (shop_orders()["customer_id"] == "C001").sum()
    after = [len(shop.rows(table, None)) for table in ("clean/customers", "clean/orders")]
    assert after == [before[0] - 1, before[1] - ordered]
    assert set(shop.run(job=INTAKE).values()) <= {"published", "reused"}
    assert by_key(shop)["C002"] == other


def by_key(shop: Shop) -> dict[str, str]:
    keys: pd.Series = shop.opened("identity/keys", None).set_index("key")["person_id"]
    return keys.to_dict()


def test_a_receiver_that_can_not_be_reached_leaves_the_erasure_open(
    marked: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(*_: object) -> None:
        raise Mistake("the driver is missing")

    with monkeypatch.context() as patch:
        patch.setattr("valtag_assets.delivery.route.open_database", unreachable)
        done = erase(marked)
    assert not done.complete and set(done.withdrawn.waiting) == {"bi", "lake"}
    order = begun(marked.setting.warehouse.root)
    assert order is not None
    with pytest.raises(Mistake, match="--resume"):
        order_erasure(marked.setting, ["C011"], BY)
    assert carry_out(marked.setting, order).complete
    assert telling(marked.root / "data", PERSON) == [marked.setting.warehouse.root / "erased/open.json"]
