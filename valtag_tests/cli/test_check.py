"""valtag check, init, functions, and the command line itself."""

import subprocess
import sys
from pathlib import Path

from valtag_tests.cli.conftest import Shop, Valtag


def test_the_starter_has_no_mistake_and_is_counted(valtag: Valtag, shop: Shop) -> None:
    said = valtag("check", "--catalog", shop.catalog)
    assert said.code == 0
    assert said.out == "shop: 2 sources, 3 categories, 13 tags, 1 scores, 3 segments, 2 reports; no mistake\n"


def test_every_mistake_of_all_files_is_told_at_once_with_its_line(valtag: Valtag, shop: Shop) -> None:
    shop.edit("sources/orders.yaml", "family: transaction", "famly: transaction")
    shop.edit("segments/audiences.yaml", "title: {zh: 从未下单, en: Never bought}", "title: {zh: 从未下单}")
    said = valtag("check", "--catalog", shop.catalog)
    lines = said.out.splitlines()
    assert said.code == 1
    orders, segments = shop.catalog / "sources/orders.yaml", shop.catalog / "segments/audiences.yaml"
    assert f"{orders}:4: famly: unknown key 'famly'; did you mean 'family'?" in lines
    assert any(line.startswith(f"{segments}:") and "'en' is missing" in line for line in lines)
    assert lines[-1] == "2 mistakes"


def test_broken_yaml_names_file_and_line(valtag: Valtag, shop: Shop) -> None:
    (shop.catalog / "access.yaml").write_text("roles: {analyst: internal\ndefault_role: x\n", encoding="utf-8")
    said = valtag("check", "--catalog", shop.catalog)
    assert said.code == 1
    assert said.out.startswith(f"{shop.catalog / 'access.yaml'}:")
    assert "is no valid YAML" in said.out


def test_mistakes_as_json_say_where_each_stands(valtag: Valtag, shop: Shop) -> None:
    shop.edit("tags/lifecycle.yaml", "agg: days_since_last", "agg: days_since_lst")
    said = valtag("check", "--catalog", shop.catalog, "--json")
    assert said.code == 1
    assert said.json["ok"] is False
    problem = said.json["problems"][0]
    assert problem["file"].endswith("lifecycle.yaml") and problem["line"] == 9
    assert "days_since_lst" in problem["message"]


def test_a_good_catalog_as_json(valtag: Valtag, shop: Shop) -> None:
    said = valtag("check", "--catalog", shop.catalog, "--json")
    assert said.code == 0
    assert said.json["ok"] is True and said.json["tags"] == 13 and said.json["problems"] == []


def test_an_unknown_catalog_names_the_shipped_ones(valtag: Valtag) -> None:
    said = valtag("check", "--catalog", "startr")
    assert said.code == 1
    assert "complete_journey, mall, starter" in said.err
    assert "did you mean 'starter'?" in said.err


def test_every_command_refuses_a_wrong_catalog(valtag: Valtag, shop: Shop) -> None:
    shop.edit("project.yaml", "timezone: Asia/Shanghai", "timezone: Asia/Shanghi")
    for command in (["run"], ["tags"], ["sql", "age"], ["show", "tags/attribute"], ["status"], ["ui"]):
        said = valtag(*command, *shop.options)
        assert (command, said.code) == (command, 1)
        assert "unknown time zone 'Asia/Shanghi'" in said.out


def test_checking_needs_no_dagster() -> None:
    script = (
        "import sys; from valtag_assets.cli import main; code = main(['check', '--catalog', 'starter']);"
        "sys.exit(code or any(name in sys.modules for name in ('dagster', 'great_expectations')))"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False, capture_output=True).returncode == 0


def test_init_writes_a_catalog_of_its_own_name_and_refuses_to_overwrite(valtag: Valtag, tmp_path: Path) -> None:
    assert valtag("init", "corner_shop", "--into", tmp_path).code == 0
    project = (tmp_path / "corner_shop" / "project.yaml").read_text(encoding="utf-8")
    assert "\nname: corner_shop\n" in project
    assert (tmp_path / "corner_shop" / "data" / "orders.csv").is_file()
    again = valtag("init", "corner_shop", "--into", tmp_path)
    assert again.code == 1
    assert "exists already" in again.err


def test_init_refuses_a_name_that_is_no_code(valtag: Valtag, tmp_path: Path) -> None:
    for name in ("小店", "..", "sub/My-Shop", "", "a/../", "'; DROP", "x" * 5_000):
        said = valtag("init", name, "--into", tmp_path)
        assert said.code == 1
        assert "the last part of the path is the catalog's name" in said.err
    assert list(tmp_path.iterdir()) == []


def test_init_takes_a_path_and_its_last_part_is_the_name(valtag: Valtag, tmp_path: Path) -> None:
    made = tmp_path / "shops" / "corner_shop"
    said = valtag("init", str(made))
    assert said.code == 0 and f"valtag check --catalog {made}" in said.out
    assert "\nname: corner_shop\n" in (made / "project.yaml").read_text(encoding="utf-8")


def test_a_wrong_command_line_is_code_1_not_2(valtag: Valtag) -> None:
    assert valtag("run", "--as-of", "31.12.2025").code == 1
    assert valtag("shwo").code == 1
    assert valtag("show").code == 1


def test_help_is_no_mistake(valtag: Valtag) -> None:
    said = valtag("--help")
    assert said.code == 0
    assert "Exit codes" in said.out


def test_functions_lists_operators_and_functions_in_both_languages(valtag: Valtag) -> None:
    found = {item["name"]: item for item in valtag("functions", "--json").json}
    assert found["years_since"]["signature"] == "years_since(date)"
    assert "周岁" in found["years_since"]["zh"]
    assert "days_since(date)" in valtag("functions").out
