"""Shipped catalogs on both engines: every cell of every published table, and every verdict."""

from datetime import date
from pathlib import Path

import pytest

from valtag_assets.catalogs.mall.generate import UNTIL, generate
from valtag_assets.console.parity import sides_of
from valtag_assets.console.starter import init_catalog
from valtag_assets.expression.resolve import resolve_catalog
from valtag_assets.graph.setting import SHIPPED, Setting
from valtag_assets.spec.engines import Engines
from valtag_assets.warehouse.comparison import compare
from valtag_tests.golden.published import AFTER, run


def assert_parity(root: Path, data: Path, folder: Path, as_of: date, refused: tuple[str, ...] = ()) -> None:
    """``refused``: tables that say on both engines, in the same words, why they are not published."""
    both = Setting(resolve_catalog(root), data, lambda: AFTER, engine=Engines(default="spark", master="local[2]"))
    settings = sides_of(both, folder)
    said = [{key: done.reason for key, done in run(side, as_of).done.items() if done.reason} for side in settings]
    assert said[0] == said[1] and tuple(said[0]) == refused
    sides = [setting.warehouse for setting in settings]
    one, other = sides
    assert one.tables() == other.tables()
    for table in one.tables():
        mine, theirs = (side.current(table, as_of) or side.current(table) for side in sides)
        assert mine is not None and theirs is not None
        found = compare(mine, theirs)
        assert found.equal, (table.key, found)
        assert mine.content_hash == theirs.content_hash
        assert [(v.check, v.passed, v.unexpected, v.evaluated) for v in mine.verdicts] == [
            (v.check, v.passed, v.unexpected, v.evaluated) for v in theirs.verdicts
        ]


@pytest.mark.long
@pytest.mark.usefixtures("spark")
def test_the_starter(tmp_path: Path) -> None:
    assert_parity(init_catalog("starter", tmp_path), tmp_path / "data", tmp_path, date(2025, 12, 31))


@pytest.mark.long
@pytest.mark.usefixtures("spark")
def test_a_small_mall(tmp_path: Path) -> None:
    generate(tmp_path / "landing/mall", 60, 60, 7)
    # Sixty persons are too few to fit a model of customer value.
    assert_parity(SHIPPED / "mall", tmp_path, tmp_path, UNTIL, refused=("scores/ltv",))
