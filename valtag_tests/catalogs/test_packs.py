"""The starter packs: each is made, checks, runs, and its tags are what pandas makes of the same files."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from valtag_assets.catalogs.packs.generate import PACKS, SCRIPT, generate
from valtag_assets.expression.resolve import resolve_catalog
from valtag_tests.catalogs.pack_tags import RECOMPUTED
from valtag_tests.catalogs.raw import UNTIL
from valtag_tests.cli.conftest import Valtag, valtag

__all__ = ["valtag"]

NAMES = sorted(path.parent.name for path in PACKS.glob(f"*/{SCRIPT}"))
TABLES = ("+tags/treatment", "+tags/transaction", "+segments/vip_sleeping")
_RUNS = [
    ("clinic", TABLES),  # the others, and all tables of each, take a minute together
    *(pytest.param(name, (), marks=pytest.mark.long) for name in NAMES),
]


def test_every_pack_is_tested() -> None:
    assert sorted(RECOMPUTED) == NAMES == sorted(path.parent.name for path in PACKS.glob("*/project.yaml"))


@pytest.mark.parametrize("pack", NAMES)
def test_a_pack_is_made_under_a_name_of_its_own_and_has_no_mistake(valtag: Valtag, tmp_path: Path, pack: str) -> None:
    assert valtag("init", "mine", "--into", tmp_path, "--pack", pack, "--persons", 20).code == 0
    said = valtag("check", "--catalog", tmp_path / "mine")
    assert said.code == 0 and said.out.startswith("mine: ")
    assert list((tmp_path / "mine" / "data").glob("*.csv"))
    assert not list((tmp_path / "mine").rglob("*.sql")) and not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("pack", NAMES)
def test_equal_seeds_give_equal_files_and_others_do_not(tmp_path: Path, pack: str) -> None:
    rows = generate(PACKS / pack, tmp_path / "a", 60, 7)
    assert all(rows.values())
    assert generate(PACKS / pack, tmp_path / "b", 60, 7) == rows
    generate(PACKS / pack, tmp_path / "c", 60, 8)
    for name in rows:
        assert (tmp_path / "a" / f"{name}.csv").read_bytes() == (tmp_path / "b" / f"{name}.csv").read_bytes()
    differ = [(tmp_path / "a" / f"{n}.csv").read_bytes() != (tmp_path / "c" / f"{n}.csv").read_bytes() for n in rows]
    assert sum(differ) >= len(rows) - 1  # a table of stores may be the same


def test_no_two_columns_of_the_made_up_people_go_together(tmp_path: Path) -> None:
    # A hash that combines its arguments badly makes every column the same number.
    generate(PACKS / "clinic", tmp_path, 4000, 7)
    rows = pd.read_csv(tmp_path / "clients.csv", dtype=str).drop_duplicates("手机号")
    codes = pd.DataFrame({name: pd.factorize(rows[name])[0] for name in ("来源", "咨询师", "过敏史", "性别")})
    together = codes.corr().to_numpy()[np.triu_indices(4, 1)]
    assert np.abs(together).max() < 0.08
    assert rows["手机号"].nunique() == 4000


def test_a_pack_of_another_name_or_place_is_refused(valtag: Valtag, tmp_path: Path) -> None:
    for name in ("../starter", "..", "/etc", "retail/../clinic", "shared.sql", "Retail", ""):
        said = valtag("init", "mine", "--into", tmp_path, "--pack", name)
        assert (name, said.code) == (name, 1)
        assert "is no starter pack" in said.err
    said = valtag("init", "mine", "--into", tmp_path, "--pack", "retial")
    assert "did you mean 'retail'?" in said.err
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_already_is_left_alone(valtag: Valtag, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "precious.txt").write_text("mine", encoding="utf-8")
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    for name in ("mine", "gone"):
        said = valtag("init", name, "--into", tmp_path, "--pack", "retail")
        assert said.code == 1 and "exists already" in said.err
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["gone", "mine", "precious.txt"]


def test_a_size_out_of_range_leaves_nothing_behind(valtag: Valtag, tmp_path: Path) -> None:
    for persons in (0, 10**7):
        said = valtag("init", "mine", "--into", tmp_path, "--pack", "retail", "--persons", persons)
        assert said.code == 1 and "1 to 1,000,000" in said.err
    assert list(tmp_path.iterdir()) == []


def test_the_list_names_every_pack_in_both_languages(valtag: Valtag) -> None:
    said = valtag("init", "--pack", "list")
    assert said.code == 0
    assert all(name in said.out for name in NAMES)
    assert "零售入门包 · Retail starter pack" in said.out


@pytest.mark.parametrize(("pack", "tables"), _RUNS)
def test_a_pack_runs_as_it_is_and_its_tags_are_right(
    valtag: Valtag, tmp_path: Path, pack: str, tables: Sequence[str]
) -> None:
    persons = 150 if tables else 3000  # as they are made; a lifetime value needs its customers
    assert valtag("init", pack, "--into", tmp_path, "--pack", pack, "--persons", persons).code == 0
    where = ("--catalog", tmp_path / pack, "--data", tmp_path / "data")
    selected = [part for table in tables for part in ("--select", table)]
    ran = valtag("run", *where, "--as-of", UNTIL.date(), "--json", *selected)
    assert ran.code == 0, ran.err
    steward = list(resolve_catalog(tmp_path / pack).catalog.access.roles)[-1]
    for category, tags in RECOMPUTED[pack](tmp_path / pack / "data").items():
        shown = valtag("show", f"tags/{category}", *where, "--limit", 5000, "--role", steward, "--csv")
        table = pd.read_csv(io.StringIO(shown.out)).set_index("person_id")
        for tag, expected in tags.items():
            _same(table[tag], expected, tag)


def _same(found: pd.Series, expected: pd.Series, tag: str) -> None:
    """Equal where pandas has a value; elsewhere empty, nothing, or false."""
    assert len(expected) > 0, tag
    own = found.reindex(expected.index)
    if pd.api.types.is_numeric_dtype(expected) and expected.dtype != bool:
        np.testing.assert_allclose(own.astype(float), expected.astype(float), atol=0.00011, err_msg=tag)
    else:
        assert own.astype(str).tolist() == expected.astype(str).tolist(), tag
    rest = found.drop(expected.index).dropna()
    assert not rest.astype(bool).any(), tag
