"""With identity.yaml rows of several sources become persons, whose ids stay, and all that follows reads them."""

from collections.abc import Mapping

import pandas as pd
import pytest

from valtag_assets.graph.jobs import INTAKE
from valtag_tests.graph.shop import FILES, Shop, customers, orders

IDENTITY = """
kinds:
  - {code: member_no, title: {zh: 会员号, en: Member number}}
  - {code: phone, title: {zh: 手机号, en: Phone}, normalise: phone, limit: 5, block: ["13800000000"]}
  - {code: device, title: {zh: 设备, en: Device}, limit: 10}
sources:
  customers: {customer_id: member_no, phone: phone}
  orders: {customer_id: member_no, device: device}
apart:
  member_no: {}
"""
LOOSE = IDENTITY.replace("apart:\n  member_no: {}\n", "")
CATALOG = {
    **FILES,
    "identity.yaml": IDENTITY,
    "sources/customers.yaml": FILES["sources/customers.yaml"].replace(
        "fields:", "fields:\n  - {name: phone, from: 手机, type: text, access: pii}"
    ),
    "sources/orders.yaml": FILES["sources/orders.yaml"]
    .replace("person: customer_id\n", "")
    .replace("type: text, required: true}\n  - {name: ordered_at", "type: text}\n  - {name: ordered_at")
    .replace("fields:", "fields:\n  - {name: device, from: device, type: text}"),
}


def phones(shared: Mapping[int, str] = {}) -> pd.DataFrame:
    """The customers of the shop, each with a phone of its own but those whose number is ``shared``."""
    rows = customers()
    numbers = [shared.get(n, f"+86 139-0000-{n:04d}") for n in range(1, len(rows) + 1)]
    return rows.assign(手机=numbers)


def devices() -> pd.DataFrame:
    """The orders of the shop: the first of each customer names the customer, later ones only the device."""
    rows = orders()
    first = ~rows.duplicated("customer_id")
    return rows.assign(device="D" + rows["customer_id"], customer_id=rows["customer_id"].where(first))


@pytest.fixture
def linked(shop: Shop) -> Shop:
    shop.files = CATALOG
    return shop


def test_rows_find_their_person_by_whatever_identifier_they_bear_and_a_second_run_changes_nothing(
    linked: Shop,
) -> None:
    linked.write(phones(), devices())

    outcomes = linked.run()

    assert set(outcomes.values()) == {"published"}, linked.heard
    keys = linked.rows("identity/keys", None)
    assert len(keys) == 60 + 60 + 50 and keys["person_id"].nunique() == 60
    person = keys[keys["kind"] == "member_no"].set_index("key")["person_id"]
    spent = linked.rows("tags/transaction").set_index("person_id")["order_count"]
    wanted = orders().groupby("customer_id").size()
    assert {name: spent[person[name]] for name in wanted.index} == wanted.to_dict()
    assert linked.rows("identity/strangers", None)["strangers"].tolist() == [0]
    assert set(linked.run().values()) == {"reused"}


def test_a_late_link_merges_persons_and_taking_it_back_splits_them(linked: Shop) -> None:
    linked.files = {**CATALOG, "identity.yaml": LOOSE}
    linked.write(phones(), devices())
    linked.run(job=INTAKE)
    before = linked.rows("identity/keys", None).set_index("key")["person_id"]

    linked.write(phones({2: "+86 139-0000-0001"}), devices())
    linked.run(job=INTAKE)
    merged = linked.rows("identity/keys", None).set_index("key")["person_id"]
    assert merged["C001"] == merged["C002"]
    assert merged.drop(["C002", "DC002"]).equals(before.drop(["C002", "DC002", "13900000002"]))
    (gone,) = linked.rows("identity/successors", None).to_dict("records")
    assert gone == {"was": before["C002"], "now": before["C001"]} or gone["now"] == merged["C001"]
    rows = linked.rows("keyed/orders", None)["_person"].value_counts()
    counted = orders().groupby("customer_id").size()
    assert rows[merged["C001"]] == counted["C001"] + counted["C002"]

    linked.write(phones(), devices())
    linked.run(job=INTAKE)
    split = linked.rows("identity/keys", None).set_index("key")["person_id"]
    assert split.to_dict() == before.to_dict()
    assert linked.rows("identity/successors", None).empty
    told = linked.rows("identity/history", None)
    assert told[told["event"] != "new"][["ordinal", "event"]].values.tolist() == [[2, "merged"], [3, "split"]]


def test_numbers_of_many_and_made_up_ones_identify_nobody(linked: Shop) -> None:
    shared = dict.fromkeys(range(1, 7), "13911111111") | {7: "13800000000", 8: "13800000000", 9: "021-12345"}
    linked.write(phones(shared), devices())
    linked.run(job=INTAKE)
    review = linked.rows("identity/review", None)[["kind", "key", "reason"]].values.tolist()
    assert sorted(review) == [
        ["phone", "021-12345", "malformed"],
        ["phone", "13800000000", "blocked"],
        ["phone", "13911111111", "shared"],
    ]
    assert linked.rows("identity/keys", None)["person_id"].nunique() == 60


def test_member_numbers_are_not_joined_by_a_phone_of_two(linked: Shop) -> None:
    linked.write(phones({2: "+86 139-0000-0001"}), devices())
    linked.run(job=INTAKE)
    (row,) = linked.rows("identity/review", None).to_dict("records")
    assert (row["key"], row["reason"], row["degree"]) == ("13900000001", "conflict", 2)
    assert linked.rows("identity/keys", None)["person_id"].nunique() == 60


def test_a_master_has_a_row_per_person_made_of_all_its_rows(linked: Shop) -> None:
    linked.files = {**CATALOG, "identity.yaml": LOOSE}
    rows = phones({2: "+86 139-0000-0001"})
    rows.loc[1, "城市"] = None
    linked.write(rows, devices())
    linked.run(job=INTAKE)
    master = linked.rows("keyed/customers", None)
    assert len(master) == 59
    (row,) = master[master["phone"] == "+86 139-0000-0001"].to_dict("records")
    assert (row["customer_id"], row["city"], row["gender"]) == ("C002", rows.loc[0, "城市"], "male")
