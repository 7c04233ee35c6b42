"""`valtag inventory`: from a folder of files to a catalog that checks; hostile files; nobody's values on the page."""

import json
import re
from pathlib import Path

import pandas as pd
import pytest

from valtag_assets.console.inventory import to_json
from valtag_tests.cli.conftest import Valtag
from valtag_tests.engine.inventory.stock import id_card, inventory_of, members, phone, write_stock


@pytest.fixture(scope="module")
def stock(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_stock(tmp_path_factory.mktemp("company") / "landing")


def test_a_folder_becomes_a_catalog_and_no_value_of_a_person_is_shown(
    valtag: Valtag, stock: Path, tmp_path: Path
) -> None:
    shop = tmp_path / "shop"
    said = valtag("inventory", stock, "--out", shop)
    assert said.code == 0, said.err
    assert "orders_*: 920 rows" in said.out and "may be phone" in said.out
    assert valtag("check", "--catalog", shop).out == "shop: 3 sources; no mistake\n"
    written = [path.read_text(encoding="utf-8") for path in shop.rglob("*.*") if path.is_file()]
    as_json = json.dumps(to_json(inventory_of(stock / "会员表.csv")), default=str, ensure_ascii=False)
    everything = "\n".join([said.out, said.err, as_json, *written])
    secrets = {phone(n) for n in range(120)} | {id_card(n) for n in range(120)} | set(members()["姓名"])
    secrets |= set(members()["会员号"])
    assert [secret for secret in secrets if secret in everything] == []


def test_the_page_needs_nothing_else_and_runs_nothing_from_the_data(valtag: Valtag, tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "user_id": [str(n) for n in range(60)],
            "<script>alert(1)</script>": ["<img src=x onerror=alert(2)>"] * 59 + ["&"],
            "{{ 7 * 7 }}": ["{% raw %}", "x"] * 30,
        }
    )
    frame.to_csv(tmp_path / "a.csv", index=False)
    said = valtag("inventory", tmp_path / "a.csv", "--html", tmp_path / "page.html")
    assert said.code == 0, said.err
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert len(re.findall("<script", page)) == 1 and "<img" not in page
    assert "&lt;script&gt;alert(1)" in page and "{{ 7 * 7 }}" in page
    assert not re.search(r"(src|href)=[\"'](?!#)", page)


HOSTILE = {
    'quo"ted': [f"a'{n}; drop table x" for n in range(60)],
    "control\x01\x1b[31m": [f"x\x00{n % 3}\x07" for n in range(60)],
    "../../up": [f"v{n % 2}" for n in range(60)],
    "${HOME}": ["{}: &a *a !!python"] * 30 + ["- x # y"] * 30,
    "long": ["z" * 1_000_000 if n == 5 else f"word {n % 7}" for n in range(60)],
    "select": [str(n % 5) for n in range(60)],
    "case": [f"{n % 4}.5" for n in range(60)],
}


def test_hostile_names_and_values_end_up_as_data(valtag: Valtag, tmp_path: Path) -> None:
    folder = tmp_path / "land; rm -rf"
    folder.mkdir()
    frame = pd.DataFrame({"user_id": [str(n) for n in range(60)], **HOSTILE})
    frame.to_parquet(folder / "%2e%2e%2fetc 'x' \"y\".parquet")
    (folder / "twice.csv").write_text(
        "user_id,name,name,Name,city,CITY,,_row\n" + "1,a,b,c,d,e,f,g\n2,a,b,c,d,e,f,g\n"
    )
    (folder / "header only.csv").write_text("user_id,city\n")
    (folder / "changing.csv").write_text(
        "user_id,city,born\n"
        + "".join(f"{n},上海,2000-01-{1 + n % 28:02}\n" for n in range(40))
        + "".join(f"{n},2000-01-01\n" for n in range(40, 43))
    )
    out = tmp_path / "out"
    said = valtag("inventory", folder, "--out", out)
    assert said.code == 0, said.err
    assert valtag("check", "--catalog", out).code == 0
    assert {path.parent for path in tmp_path.rglob("*.yaml")} == {out, out / "sources"}
    assert "\x1b" not in said.out
    tables = {table["place"]: table for table in valtag("inventory", folder, "--json").json["tables"]}
    assert [column["name"] for column in tables["twice.csv"]["columns"]] == ["user_id", "city"]
    assert len(tables["twice.csv"]["notes"]) == 5
    assert tables["header only.csv"]["kind"] is None
    assert tables["changing.csv"]["broken"] == 3
    assert "1,000,000 characters" in (out / "inventory.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("nothing.csv", None, "no such file"),
        ("empty.csv", "", "empty file"),
        ("things.csv", "code,name\na,b\nb,c\n", "no table has rows of persons"),
        ("${HOME}.csv", "user_id,city\n1,a\n2,b\n", "rename the file"),
    ],
)
def test_what_can_not_be_drafted_is_a_mistake_that_says_why(
    valtag: Valtag, tmp_path: Path, name: str, content: str | None, said: str
) -> None:
    if content is not None:
        (tmp_path / name).write_text(content)
    answer = valtag("inventory", tmp_path / name, "--out", tmp_path / "out")
    assert answer.code == 1
    assert said in " ".join(answer.err.split())
    assert not (tmp_path / "out" / "sources").exists()
