"""Drafts read the tables they were made of: they check, and cleaning does what they foresee."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from valtag_assets.console.draft_text import flow
from valtag_assets.console.inventory import write_drafts
from valtag_assets.engine.duckdb import open_duckdb
from valtag_assets.engine.inventory.drafting import draft_sources
from valtag_assets.engine.inventory.profile import Inventory
from valtag_assets.engine.reading.origin import locate
from valtag_assets.engine.reading.read import read_source
from valtag_assets.expression.resolve import resolve_catalog
from valtag_assets.expression.resolved import Resolved
from valtag_assets.spec.mistake import Mistake
from valtag_assets.spec.yaml_text import read_yaml
from valtag_tests.engine.cleaning.cleaned import Outcome, clean_raw
from valtag_tests.engine.inventory.stock import TODAY, inventory_of, lines, members


@pytest.fixture(scope="module")
def drafted(found: Inventory, tmp_path_factory: pytest.TempPathFactory) -> Resolved:
    into = tmp_path_factory.mktemp("drafted") / "shop"
    write_drafts(found, into, TODAY)
    return resolve_catalog(into)


def cleaned(drafted: Resolved, code: str, folder: Path) -> Outcome:
    """What cleaning makes of a drafted source, without what lookups bring."""
    spec = drafted.sources[code].spec.model_copy(update={"lookups": ()})
    columns = list(dict.fromkeys(field.source_name for field in spec.fields))
    with open_duckdb() as engine:
        raw = read_source(engine.connection, locate(spec.read, drafted.catalog.root), columns, folder / "raw")
    return clean_raw(spec, raw, folder)


def test_a_folder_of_tables_becomes_a_catalog_without_a_mistake(drafted: Resolved) -> None:
    assert set(drafted.sources) == {"members", "orders", "products"}
    project = drafted.catalog.project
    assert project.persons.sources == ("members",)
    assert str(project.start) == "2024-01-01"
    assert [(item.source, item.on, item.take) for item in drafted.sources["orders"].spec.lookups] == [
        ("products", "sku", ("brand",))
    ]


def test_a_drafted_master_is_cleaned_whole(drafted: Resolved, tmp_path: Path) -> None:
    outcome = cleaned(drafted, "members", tmp_path)
    frame = members()
    assert outcome.account.quarantined == 0 and len(outcome.rows) == len(frame)
    rows = {row["member_no"]: row for row in outcome.rows}
    phones = frame["手机号"].str.replace(" ", "").str.replace(r"^\+?86", "", regex=True)
    assert [rows[key]["phone"] for key in frame["会员号"]] == phones.tolist()
    genders = frame["性别"].map({"男": "male", "M": "male", "女": "female", "F": "female"})
    assert [rows[key]["gender"] for key in frame["会员号"]] == [None if g != g else g for g in genders]
    written = frame["生日"].where(~frame["生日"].isin(["-1", "1900-01-01"]))
    assert sum(row["birth_date"] is None for row in outcome.rows) == written.isna().sum()


def test_a_drafted_fact_refuses_what_it_says_and_merges_what_came_twice(drafted: Resolved, tmp_path: Path) -> None:
    outcome = cleaned(drafted, "orders", tmp_path)
    frame = lines()
    guests = (frame["member_no"] == "").sum()
    assert outcome.account.by_rule == {"amount.invalid": 1, "drop.no_person": guests}
    assert (outcome.account.quarantined, outcome.account.filtered) == (1, guests)
    known = frame[(frame["member_no"] != "") & (frame["amount"] != "oops")]
    assert outcome.account.clean == len(known.drop_duplicates(["order_id", "line_no"]))
    assert {row["status"] for row in outcome.rows} == {"paid", "refunded"}


def test_a_file_inside_the_catalog_is_named_from_its_folder(found: Inventory, stock: Path) -> None:
    drafts = draft_sources(found, stock)
    assert {draft.data["read"]["path"] for draft in drafts} == {"会员表.csv", "orders_*", "products.parquet"}


def test_what_is_there_is_never_overwritten(found: Inventory, tmp_path: Path) -> None:
    first = write_drafts(found, tmp_path / "shop", TODAY)
    mine = (tmp_path / "shop" / "sources" / "members.yaml").read_text() + "# mine\n"
    (tmp_path / "shop" / "sources" / "members.yaml").write_text(mine)
    again = write_drafts(found, tmp_path / "shop", TODAY)
    assert again.files == () and set(again.kept) == set(first.files)
    assert (tmp_path / "shop" / "sources" / "members.yaml").read_text() == mine


def test_a_log_without_a_year_is_no_fact_and_the_reason_is_said(tmp_path: Path) -> None:
    rows = [f"{n % 9},{n},{5 + n % 7:02},{1 + n % 28:02},0" for n in range(200)]
    (tmp_path / "log.csv").write_text("\n".join(["user_id,item_id,month,day,action", *rows]))
    with pytest.raises(Mistake, match="only month, day, and no year"):
        write_drafts(inventory_of(tmp_path / "log.csv"), tmp_path / "out", TODAY)
    assert not (tmp_path / "out").exists()


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@given(
    st.dictionaries(TEXT, st.one_of(TEXT, st.integers(-(10**9), 10**9), st.booleans(), st.lists(TEXT, max_size=3)))
)
def test_any_text_comes_through_yaml_as_it_is(data: dict[str, object]) -> None:
    assert read_yaml(f"data: {flow(data)}") == {"data": data}
    assert yaml.safe_load(f"data: {flow(data)}") is not None
