"""Suggestions are a table to look at: nobody is merged by them, and who may not read a field does not see it."""

import shutil
import sys
from dataclasses import replace
from pathlib import Path

import dagster as dg
import pandas as pd
import pytest

from valtag_assets.cli import main
from valtag_assets.console.identity import identity_report
from valtag_assets.graph.identity_suggestions import suggestion_plans
from valtag_assets.graph.jobs import INTAKE
from valtag_assets.spec.access import UNSAID
from valtag_tests.graph.shop import FILES, Shop, customers

IDENTITY = """
kinds: [{code: member_no, title: {zh: 会员号, en: Member number}}]
sources: {customers: {customer_id: member_no}, orders: {customer_id: member_no}}
suggest:
  source: customers
  fields: {name: name, city: equal, gender: equal}
  among: [[name], [city, gender]]
  expected: 0.1
"""
CATALOG = {
    **FILES,
    "identity.yaml": IDENTITY,
    "access.yaml": "roles: {desk: pii, office: internal}\ndefault_role: office\n",
    "sources/customers.yaml": FILES["sources/customers.yaml"].replace(
        "fields:", "fields:\n  - {name: name, from: 姓名, type: text, access: pii}"
    ),
}


def named() -> pd.DataFrame:
    """The customers, no two of one name but the first and the seventh, who differ in a letter."""
    rows = customers()
    names = [chr(0x4E00 + 3 * n) + chr(0x5E00 + 5 * n) + chr(0x6E00 + 7 * n) for n in range(len(rows))]
    return rows.assign(姓名=[*names[:6], names[0][:2] + "乙", *names[7:]])


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """The shop with its persons, and who may be one."""
    with dg.DagsterInstance.ephemeral() as instance:
        made = Shop(tmp_path_factory.mktemp("suggesting"), instance, CATALOG)
        made.write(named())
        assert set(made.run(job=INTAKE).values()) == {"published"}
    return made


def asked(shop: Shop, *words: str) -> int:
    return main(["identity", *words, "--catalog", str(shop.root / "catalog"), "--data", str(shop.root / "data")])


def test_two_who_may_be_one_are_suggested_and_stay_two(shop: Shop) -> None:
    keys = shop.rows("identity/keys", None).set_index("key")["person_id"]
    assert keys.nunique() == 60
    first = shop.rows("identity/suggestions", None).iloc[0]
    assert {first["person_id"], first["other_id"]} == {keys["C001"], keys["C007"]}
    assert first["evidence"] == "name ≈, city =, gender ="
    served = [shop.served(done.table, None) for done in shop.heard]
    assert not [one for one in served if one is not None and "identity/suggestions" in one.inputs], (
        "none is made of it"
    )


def test_the_fields_of_both_are_for_who_may_read_them(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    name = named()["姓名"][0]
    assert asked(shop, "suggestions", "--json", "--limit", "1") == 0
    said = capsys.readouterr().out
    assert name not in said and "***" in said and "北京" in said
    assert asked(shop, "suggestions", "--json", "--limit", "1", "--role", "desk") == 0
    assert name in capsys.readouterr().out
    assert asked(shop, "suggestions") == 0 and "nothing is merged by it" in capsys.readouterr().out
    assert asked(shop, "report") == 0
    pairs = identity_report(shop.setting, UNSAID).suggestions
    assert pairs and f"may be one: {pairs} pairs" in capsys.readouterr().out


def test_without_the_extra_it_says_what_to_install(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "splink", None)
    (plan,) = suggestion_plans(shop.setting)
    (fault,) = plan.gate.faults
    assert 'pip install "valtag[suggestions]"' in fault
    shutil.copytree(shop.root / "catalog", tmp_path / "catalog")
    assert asked(replace(shop, root=tmp_path), "suggestions") == 1
    assert 'pip install "valtag[suggestions]"' in capsys.readouterr().err
