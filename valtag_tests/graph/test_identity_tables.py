"""With identity.yaml rows of several sources become persons, whose ids stay, and all that follows reads them."""

import re
from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import pytest

from valtag_assets.cli import main
from valtag_assets.console.identity import find_graphs, identity_report
from valtag_assets.console.identity_view import write_picture
from valtag_assets.graph import identity_tables
from valtag_assets.graph.jobs import INTAKE
from valtag_assets.site.page import render
from valtag_assets.spec.access import UNSAID, Asking
from valtag_assets.spec.mistake import Mistake
from valtag_tests.graph.shop import FILES, Shop, customers, orders

IDENTITY = """
kinds:
  - {code: member_no, title: {zh: 会员号, en: Member number}}
  - {code: phone, title: {zh: 手机号, en: Phone}, normalise: phone, limit: 5, block: ["13800000000"]}
  - {code: device, title: {zh: 设备, en: Device}, limit: 10}
sources:
  customers: {customer_id: member_no, phone: phone}
  orders: {customer_id: member_no, device: device}
channels: {customers: {name: 门店}, orders: {name: App}}
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
    """The orders of the shop: the first of each customer names the customer, later ones only the device; and one of
    the month before."""
    rows = orders()
    first = ~rows.duplicated("customer_id")
    rows = rows.assign(device="D" + rows["customer_id"], customer_id=rows["customer_id"].where(first))
    old = {"order_id": "OLD", "customer_id": "C060", "ordered_at": "2024-02-10 10:00:00", "amount": "5"}
    return pd.concat([rows, pd.DataFrame([old])])


@pytest.fixture
def linked(shop: Shop) -> Shop:
    shop.files = CATALOG
    return shop


def test_rows_find_their_person_by_any_identifier_and_a_second_run_changes_nothing(linked: Shop) -> None:
    linked.files = {**CATALOG, "access.yaml": "roles: {analyst: internal, service: pii}\ndefault_role: analyst\n"}
    shared = dict.fromkeys(range(1, 7), "13911111111") | {7: "13800000000", 9: "021-12345", 12: "+86 139-0000-0011"}
    linked.write(phones(shared), devices())

    assert set(linked.run().values()) == {"published"}

    keys = linked.rows("identity/keys", None)
    assert keys["person_id"].nunique() == 60
    person = keys[keys["kind"] == "member_no"].set_index("key")["person_id"]
    spent = linked.rows("tags/transaction").set_index("person_id")["order_count"]
    wanted = orders().groupby("customer_id").size()
    assert {name: spent[person[name]] for name in wanted.index} == wanted.to_dict() and spent[person["C060"]] == 1
    assert linked.rows("identity/strangers", None)["strangers"].tolist() == [0]
    assert linked.rows("identity/review", None)["key"].str.startswith("vault-").all()
    review = linked.opened("identity/review", None).sort_values("key")
    assert review[["key", "reason", "degree"]].values.tolist() == [
        ["021-12345", "malformed", pytest.approx(float("nan"), nan_ok=True)],
        ["13800000000", "blocked", pytest.approx(float("nan"), nan_ok=True)],
        ["13900000011", "conflict", 2],
        ["13911111111", "shared", 6],
    ]
    assert set(linked.run().values()) == {"reused"}
    told = identity_report(linked.setting, UNSAID)
    assert (told.persons, told.change, told.refused["shared"]) == (60, 1, {"phone": 1})
    assert [(item.source, item.rate) for item in told.matched] == [("customers", 1.0), ("orders", 1.0)]
    lines = len(orders()) + 1
    assert [(item.channel, item.rows, item.identified, item.known, item.persons) for item in told.channels] == [
        ("App", lines, lines, lines, len(wanted) + 1),
        ("门店", 60, 60, 60, 60),
    ]
    _is_on_the_page(linked)


def _is_on_the_page(linked: Shop) -> None:
    """Identities, without a person or a key for who may not read them."""
    page = render(linked.setting)[1]
    own = page[page.index('<section id="identity">') : page.index('<section id="tags">')]
    assert "60 <small>人 persons" in own and "<td>门店</td>" in own
    rows = re.findall(r"<td>([^<]*)</td><td>(shared|conflict|malformed|blocked)</td>", own)
    assert sorted(rows) == [("***", reason) for reason in ("blocked", "conflict", "malformed", "shared")]
    assert re.findall(r'<td class="n">1</td>(<td class="n">60</td>)', own), "60 were new at the first change"
    keys = linked.rows("identity/keys", None)
    assert [key for key in (*keys["person_id"], *keys["key"]) if key in own] == []
    assert "<td>13800000000</td><td>blocked</td>" in render(linked.setting, by=Asking(role="service"))[1]


def test_a_late_link_merges_persons_and_taking_it_back_splits_them(
    linked: Shop, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    linked.files = {**CATALOG, "identity.yaml": LOOSE, "access.yaml": "roles: {analyst: internal, service: pii}\n"}
    linked.write(phones(), devices())
    linked.run(job=INTAKE)
    before = linked.opened("identity/keys", None).set_index("key")["person_id"]
    parts = _months(linked)

    rows = phones({2: "+86 139-0000-0001"})
    rows.loc[1, "城市"] = None
    linked.write(rows, devices())
    linked.run(job=INTAKE)
    merged = linked.opened("identity/keys", None).set_index("key")["person_id"]
    one = merged["C001"]
    assert one == merged["C002"] and one in (before["C001"], before["C002"])
    others = before.drop(["C001", "C002", "DC001", "DC002", "13900000001", "13900000002"])
    assert merged[others.index].equals(others)
    (gone,) = linked.rows("identity/successors", None).to_dict("records")
    assert gone["now"] == one and {gone["was"], one} == {before["C001"], before["C002"]}
    counted = orders().groupby("customer_id").size()
    assert (linked.rows("keyed/orders", None)["_person"] == one).sum() == counted["C001"] + counted["C002"]
    # Nobody's rows of the month before have changed, so their part is still the same file.
    now = _months(linked)
    assert now["part-2024-02.parquet"] == parts["part-2024-02.parquet"]
    assert now["part-2024-03.parquet"] != parts["part-2024-03.parquet"]
    # The last row comes first, and what it lacks is taken from the row before.
    master = linked.rows("keyed/customers", None).set_index("_person").loc[one]
    assert (master["customer_id"], master["city"], master["gender"]) == ("C002", rows.loc[0, "城市"], "male")
    _shows_one_person(linked, gone["was"], one, tmp_path / "graph.svg")
    where = ["--catalog", str(linked.root / "catalog"), "--data", str(linked.root / "data")]
    capsys.readouterr()
    assert main(["identity", "show", one, "--role", "service", *where]) == 0
    assert "phone 1: 13900000001 (2 rows of customers)" in capsys.readouterr().out
    assert main(["identity", "report", *where]) == 0
    assert "59 人 persons" in capsys.readouterr().out

    linked.write(phones(), devices())
    linked.run(job=INTAKE)
    split = linked.opened("identity/keys", None).set_index("key")["person_id"]
    assert split.to_dict() == before.to_dict()
    assert linked.rows("identity/successors", None).empty
    told = linked.rows("identity/history", None)
    assert told[told["event"] != "new"][["ordinal", "event"]].values.tolist() == [[2, "merged"], [3, "split"]]


def test_a_change_that_no_identifier_is_in_finds_nobody_anew(linked: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    linked.write(phones(), devices())
    linked.run(job=INTAKE)
    before = linked.served("identity/identifiers", None)

    with monkeypatch.context() as patched:
        patched.setattr(identity_tables, "find_identifiers", None)
        linked.write(phones().assign(城市="Lhasa"), devices())
        done = linked.run(job=INTAKE)

    assert (done["clean/customers"], done["identity/identifiers"], done["identity/keys"]) == (
        "published",
        "published",
        "reused",
    )
    now = linked.served("identity/identifiers", None)
    assert before and now and [file.stat().st_ino for file in before.files] == [f.stat().st_ino for f in now.files]
    assert now.inputs["vault/_identity"] == before.inputs["vault/_identity"]

    linked.write(phones({2: "+86 139-0000-0077"}).assign(城市="Lhasa"), devices())
    linked.run(job=INTAKE)
    assert "13900000077" in linked.opened("identity/keys", None)["key"].tolist()


def _months(shop: Shop) -> dict[str, int]:
    """The file of each part of the keyed orders, as the disk knows it."""
    snapshot = shop.served("keyed/orders", None)
    assert snapshot is not None
    return {file.name: file.stat().st_ino for file in snapshot.files}


def _shows_one_person(shop: Shop, former: str, person: str, picture: Path) -> None:
    """By any identifier, by its id and by its former one; masked, and not searched, where a role may not read."""
    (seen,) = find_graphs(shop.setting, "+86 13900000001", Asking("service"))
    assert seen.person == person and [key.key for key in seen.keys] == [
        "C001",
        "C002",
        "13900000001",
        "DC001",
        "DC002",
    ]
    assert [(link.hub, link.other) for link in seen.links if link.source == "customers"] == [
        ("member_no 1", "phone 1"),
        ("member_no 2", "phone 1"),
    ]
    write_picture(shop.setting, seen, picture)
    assert "13900000001" in picture.read_text(encoding="utf-8")
    (hidden,) = find_graphs(shop.setting, former, UNSAID)
    assert hidden.person == person and {key.key for key in hidden.keys} == {"***"}
    with pytest.raises(Mistake, match="may not look for member_no, phone, device"):
        find_graphs(shop.setting, "C001", UNSAID)
