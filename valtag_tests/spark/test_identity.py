"""Identifiers, persons, events and keyed rows on both engines, cell by cell."""

import random
from collections.abc import Mapping
from pathlib import Path

from valtag_assets.engine.duckdb import DuckDBEngine
from valtag_assets.engine.identity.keying import keyed_rows, one_row_each
from valtag_assets.engine.identity.tables import KEYS
from valtag_assets.engine.identity.work import Work
from valtag_assets.engine.session import Engine
from valtag_assets.engine.spark import SparkEngine
from valtag_tests.engine.test_identity import FIELDS, Persons, Rows, catalog, write_rows
from valtag_tests.spark.cells import assert_equal

RULES = "apart"


def visits(seed: int) -> tuple[Rows, Rows]:
    """Visits and members with shared, recycled and odd keys."""
    draw = random.Random(seed)

    def row(fields: str, share: float) -> Mapping[str, str]:
        chosen = [field for field in FIELDS if field in fields.split() and draw.random() < share]
        return {field: f"{field[0].upper()}é{draw.randrange(12)}" for field in chosen}

    rows = [(draw.randrange(300), row("m u p p2 d", 0.5)) for _ in range(60)]
    return rows, [(0, row("m p", 0.8)) for _ in range(12)]


def see_twice(engine: Engine, folder: Path) -> None:
    """The tables of two data sets, one after the other, in ``folder``; of the second also the keyed rows."""
    folder.mkdir()
    persons = Persons(folder, engine)
    for seed in (1, 2):
        persons.see(*visits(seed), RULES)
    resolved = catalog(RULES)
    assert resolved.identity is not None
    work = Work(engine, folder, {KEYS: [folder / "keys2.parquet"], **write_rows(folder, *visits(2))})
    source = resolved.sources["visits"]
    work.write(keyed_rows(source, resolved.identity).order_by("_row"), folder / "keyed.parquet")
    master = resolved.sources["members"]
    found = work.keep("keyed", keyed_rows(master, resolved.identity))
    work.write(one_row_each(master, found), folder / "master.parquet")


def test_both_engines_find_the_same_persons(tmp_path: Path, duck: DuckDBEngine, spark: SparkEngine) -> None:
    see_twice(duck, tmp_path / "duck")
    see_twice(spark, tmp_path / "spark")
    for name in ("identifiers", "keys1", "keys2", "history2", "keyed", "master"):
        assert_equal(tmp_path / "duck" / f"{name}.parquet", tmp_path / "spark" / f"{name}.parquet")
