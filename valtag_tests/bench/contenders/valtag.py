"""valtag's own way: the population and each category as an engine computes and writes them, from clean tables."""

import os
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

from valtag_assets.engine.duckdb import open_duckdb
from valtag_assets.engine.persons import PERSONS, clean_name, population
from valtag_assets.engine.session import Engine
from valtag_assets.engine.tags import category_expression, tags_name
from valtag_assets.expression.resolve import resolve_catalog
from valtag_assets.expression.resolved import Resolved
from valtag_tests.bench.company import CATALOG


def build(inputs: Mapping[str, Sequence[Path]], as_of: date, into: Path, spill: Path) -> None:
    """The catalog is the bench's own, or the one that VALTAG_CATALOG names."""
    resolved = resolve_catalog(Path(os.environ.get("VALTAG_CATALOG", CATALOG)))
    with open_duckdb(spill) as engine:
        write_tags(engine, resolved, inputs, as_of, into)


def write_tags(
    engine: Engine, resolved: Resolved, inputs: Mapping[str, Sequence[Path]], as_of: date, into: Path
) -> None:
    """One Parquet file for each category of ``resolved``; ``inputs`` are the clean files by source."""
    into.mkdir()
    files = {clean_name(source): found for source, found in inputs.items()}
    engine.write(population(resolved), files, into / "persons.parquet")
    files[PERSONS] = [into / "persons.parquet"]
    waiting = dict(resolved.categories)
    while waiting:
        # A category comes after those it reads.
        code = next(code for code, item in waiting.items() if not waiting.keys() & set(item.categories))
        category = waiting.pop(code)
        read = {PERSONS, *map(clean_name, category.sources), *map(tags_name, category.categories)}
        target = into / f"{code}.parquet"
        engine.write(category_expression(resolved, category, as_of), {key: files[key] for key in read}, target)
        files[tags_name(code)] = [target]
