"""Personal texts lie in the vault alone; what works on them works on tokens, and doors open these for who may see."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from valtag_assets.cli import main
from valtag_assets.console.parity import sides_of
from valtag_assets.console.rows import Asked, find_rows
from valtag_assets.graph.jobs import INTAKE
from valtag_assets.spec.access import Asking
from valtag_assets.warehouse.errors import WarehouseError
from valtag_assets.warehouse.store import Warehouse
from valtag_assets.warehouse.tokens import KEY_FILE, KEY_VARIABLE, Tokens
from valtag_tests.graph.shop import ATTRIBUTE, CUSTOMERS, FILES, ORDERS, Shop, customers, orders

KEEPER, ANALYST = Asking("keeper"), Asking("analyst")
STORES = """
source: stores
title: {zh: 门店, en: Stores}
kind: lookup
read: {path: data/stores.csv}
key: [store]
fields:
  - {name: store, type: text, access: pii}
  - {name: manager, type: text, access: pii}
"""
CATALOG = {
    **FILES,
    "access.yaml": "roles: {analyst: internal, keeper: pii}\ndefault_role: analyst\n",
    "sources/stores.yaml": STORES,
    "sources/customers.yaml": CUSTOMERS.replace(
        "type: text, required: true", "type: text, access: pii, required: true"
    )
    + '  - {name: phone, type: text, access: pii, checks: [{matches: "^138[0-9]{8}$"}]}\n'
    + "compute:\n  - {name: area, type: text, value: 'substring(phone, 4, 4)', access: sensitive}\n",
    "sources/orders.yaml": ORDERS.replace(
        "from: customer_id, type: text", "from: customer_id, type: text, access: pii"
    ).replace("deduplicate:", "  - {name: store, type: text}\ndeduplicate:")
    + "lookups: [{source: stores, on: store, take: [manager]}]\n",
    "tags/attribute.yaml": ATTRIBUTE
    + """
  - {code: phone, title: {zh: 手机, en: Phone}, type: text, access: pii, value: {master: customers, of: phone}}
  - code: managers
    title: {zh: 店长, en: Managers}
    type: list(text)
    access: pii
    value: {fact: orders, agg: list, of: manager, k: 5}
""",
}


def write(shop: Shop, phones: dict[int, str] | None = None) -> None:
    rows = customers()
    rows["phone"] = [(phones or {}).get(n, f"1380000{n:04d}") for n in range(1, len(rows) + 1)]
    sold = orders()
    sold["store"] = [f"S{n % 3}" for n in range(len(sold))]
    shop.write(rows, sold)
    shelf = shop.root / "catalog/data/stores.csv"
    shelf.write_text("store,manager\nS0,王店长\nS1,李店长\n", encoding="utf-8")


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A shop whose customers are called by something personal, after one run."""
    with dg.DagsterInstance.ephemeral() as instance:
        made = Shop(tmp_path_factory.mktemp("sealed"), instance, CATALOG)
        write(made)
        assert set(made.run().values()) == {"published"}
        yield made


def test_persons_lookups_and_computed_fields_work_on_tokens(sealed: Shop) -> None:
    of = sealed.setting.tokens.of
    counts = sealed.rows("tags/transaction").set_index("person_id")["order_count"]
    wanted = orders().groupby("customer_id").size()
    assert {of(name): count for name, count in wanted.items()} == counts[counts > 0].to_dict()
    sold = sealed.rows("clean/orders", None).drop_duplicates("store").set_index("store")["manager"].to_dict()
    assert sold == {"S0": of("王店长"), "S1": of("李店长"), "S2": None}
    master = sealed.rows("clean/customers", None).set_index("customer_id")
    assert (master.loc[of("C007"), "phone"], master.loc[of("C007"), "area"]) == (of("13800000007"), "0000")


def test_who_may_sees_values_and_nobody_else_touches_the_vault(sealed: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Asked("tags/attribute", person="C007", by=KEEPER)
    (row,) = find_rows(sealed.setting, asked).rows
    assert row["phone"] == "13800000007" and set(row["managers"]) <= {"王店长", "李店长"} and row["managers"]
    found = find_rows(sealed.setting, Asked("clean/customers", where="phone = '13800000009'", by=KEEPER))
    assert [(row["customer_id"], row["phone"]) for row in found.rows] == [("C009", "13800000009")]
    monkeypatch.setattr("valtag_assets.engine.vault.Vault.shown", None)
    masked = find_rows(sealed.setting, Asked("tags/attribute", by=ANALYST, limit=100)).rows
    assert {row["phone"] for row in masked} == {"***"} and len(masked) == 60


def test_a_check_sees_the_text_and_a_bad_one_is_refused(sealed: Shop, tmp_path: Path) -> None:
    write(sealed, {5: "+86 138 0000 0005"})
    outcomes = sealed.run(job=INTAKE)
    assert outcomes["clean/customers"] == "refused" and "phone" in sealed.reason("clean/customers")
    # What was published before still opens, though the vault has gone on.
    (row,) = find_rows(sealed.setting, Asked("tags/attribute", person="C005", by=KEEPER)).rows
    assert row["phone"] == "13800000005"
    write(sealed)
    assert sealed.run(job=INTAKE)["clean/customers"] in ("published", "reused")


def test_explain_shows_the_rows_with_their_values(sealed: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    where = ["--catalog", str(sealed.root / "catalog"), "--data", str(sealed.root / "data")]
    assert main(["explain", "C007", "phone", "--role", "keeper", *where]) == 0
    said = capsys.readouterr().out
    assert "13800000007" in said and "vault-" not in said.replace(sealed.setting.tokens.of("C007"), "")
    assert main(["show", "vault/customers", "--role", "keeper", *where]) == 1


def test_a_cut_between_the_vault_and_its_table_leaves_what_was(sealed: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    publish = Warehouse.publish

    def cut(self: Warehouse, staged: Any, **given: Any) -> Any:
        if staged.table.key == "clean/customers":
            raise WarehouseError("the disk is full")
        return publish(self, staged, **given)

    write(sealed, {9: "13899999999"})
    with monkeypatch.context() as patch:
        patch.setattr(Warehouse, "publish", cut)
        assert sealed.run(job=INTAKE)["clean/customers"] == "failed"
    found = find_rows(sealed.setting, Asked("clean/customers", where="phone = '13800000009'", by=KEEPER))
    assert [row["phone"] for row in found.rows] == ["13800000009"]
    assert sealed.run(job=INTAKE)["clean/customers"] == "published"
    found = find_rows(sealed.setting, Asked("clean/customers", where="phone = '13899999999'", by=KEEPER))
    assert [row["phone"] for row in found.rows] == ["13899999999"]


def test_what_was_built_step_by_step_is_what_is_built_at_once(sealed: Shop) -> None:
    step = {name: sealed.served(f"vault/{name}", None) for name in ("customers", "orders", "stores")}
    sealed.full = True
    assert set(sealed.run(job=INTAKE).values()) == {"published"}
    sealed.full = False
    for name, before in step.items():
        now = sealed.served(f"vault/{name}", None)
        assert now is not None and before is not None and now.content_hash == before.content_hash


def test_a_catalog_without_personal_texts_has_no_vault(ran: Shop) -> None:
    root = ran.setting.warehouse.root
    assert not (root / "vault").exists() and not (root / KEY_FILE).exists()


def test_two_warehouses_with_one_key_have_the_same_tokens(tmp_path: Path) -> None:
    one, other = (Tokens(tmp_path / name, {KEY_VARIABLE: "a key for both of them"}) for name in ("one", "other"))
    assert one.of("13800000001") == other.of("13800000001") and one.state == other.state
    own = Tokens(tmp_path, {})
    assert own.of("13800000001") == Tokens(tmp_path, {}).of("13800000001") != one.of("13800000001")
    assert (tmp_path / KEY_FILE).stat().st_mode & 0o077 == 0


def test_two_engines_that_are_compared_have_one_key(sealed: Shop, tmp_path: Path) -> None:
    one, other = sides_of(sealed.setting, tmp_path / "parity")
    assert one.tokens.of("13800000007") == other.tokens.of("13800000007") != sealed.setting.tokens.of("13800000007")
    assert all((side.warehouse.root / KEY_FILE).stat().st_mode & 0o077 == 0 for side in (one, other))
