"""The rows that broke the checks of a table, with their values: found anew where the table is published, and where it
was refused, and so not kept, read from the company's own files by file and row."""

import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

from valtag_assets.engine.cleaning.judge import ORIGIN, RAW, raw_table
from valtag_assets.engine.duckdb import data_type, open_duckdb
from valtag_assets.engine.persons import PERSON
from valtag_assets.engine.reading.read import read_source
from valtag_assets.engine.vault import vaulted_columns
from valtag_assets.expression.resolved import ResolvedSource
from valtag_assets.graph.setting import Setting
from valtag_assets.graph.sources import origin_of
from valtag_assets.graph.unsealing import unsealed
from valtag_assets.quality.counting import counted
from valtag_assets.quality.expectation import Expectation
from valtag_assets.quality.plan import category_expectations
from valtag_assets.quality.source import source_expectations
from valtag_assets.spec.mistake import Mistake
from valtag_assets.warehouse.snapshot import Snapshot, TableRef, Verdict

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Broken:
    """A failed check and a few of the rows that broke it, as column → value. ``refused``: it kept the table from
    being published; its rows are as the company's files have them now."""

    verdict: Verdict
    refused: bool
    rows: Sequence[Row]


def broken_rows(setting: Setting, table: TableRef, as_of: date | None, most: int) -> list[Broken]:
    """What failed in the last try and in what is served, at most so many rows of each check. Mistake for other tables
    than those of clean rows and of tags."""
    source = setting.resolved.sources.get(table.name) if table.stage == "clean" else None
    if source is None and (table.stage != "tags" or table.name not in setting.resolved.categories):
        raise Mistake(f"{table}: rows that broke a check are told of clean/<source> and tags/<category>")
    served = setting.warehouse.latest(table) if as_of is None else setting.warehouse.current(table, as_of)
    tried = setting.warehouse.newest_attempt(table)
    found: list[Broken] = []
    if tried is not None and tried.blocks:
        places = {verdict.check: _places(verdict) for verdict in tried.verdicts if not verdict.passed}
        known = {} if source is None else _raw_rows(setting, source, places.values())
        for verdict in tried.verdicts:
            if not verdict.passed:
                rows = [known[place] for place in places[verdict.check] if place in known]
                found.append(Broken(verdict, True, rows[:most]))
    if served is not None:
        found += _in_served(setting, served, most)
    return found


def _in_served(setting: Setting, served: Snapshot, most: int) -> Iterator[Broken]:
    """The failed checks of a published table, evaluated again."""
    failed = [verdict for verdict in served.verdicts if not verdict.passed]
    wanted = {verdict.check for verdict in failed}
    items = [item for item in _expectations(setting, served) if item.check in wanted]
    key = served.key[0] if served.key else PERSON
    joined = {name: found.files for name, found in _others(setting, served) if found is not None}
    columns = {name: data_type(text) for name, text in served.columns}
    tokens = vaulted_columns(setting.resolved, served.table, columns)
    with (
        open_duckdb(setting.spill) as engine,
        unsealed(engine, setting, served.files, columns, tokens, key, served) as opened,
    ):
        found = counted(engine, [opened.get(file, file) for file in served.files], items, key, joined, most)
    for verdict in failed:
        yield Broken(verdict, False, found[verdict.check].rows if verdict.check in found else ())


def _expectations(setting: Setting, served: Snapshot) -> Sequence[Expectation]:
    resolved, table = setting.resolved, served.table
    if table.stage == "clean":
        return source_expectations(resolved, resolved.sources[table.name], None)
    assert served.as_of is not None
    return category_expectations(resolved, resolved.categories[table.name], served.as_of, None)


def _others(setting: Setting, served: Snapshot) -> Iterator[tuple[str, Snapshot | None]]:
    """The tables of tags that laws may read, as they were."""
    for name, snapshot in served.inputs.items():
        if name.startswith("tags/"):
            yield name, setting.warehouse.find(TableRef.parse(name), snapshot)


def _places(verdict: Verdict) -> list[tuple[str, int]]:
    """File and row of the sampled rows."""
    return [(row[ORIGIN[0]], row[ORIGIN[1]]) for row in verdict.detail.get("sample", ()) if row.keys() >= set(ORIGIN)]


def _raw_rows(
    setting: Setting, source: ResolvedSource, wanted: Collection[Collection[tuple[str, int]]]
) -> dict[tuple[str, int], Row]:
    """The rows of the company's files at these places as they are written there, by the names of the fields."""
    places = {place for some in wanted for place in some}
    origin = origin_of(setting, source)
    files = {file for file, _ in places}
    chosen = replace(origin, paths=tuple(path for path in origin.paths if origin.label(path) in files))
    if not places or (origin.paths and not chosen.paths):
        return {}
    fields = source.spec.fields
    columns = [*dict.fromkeys(field.source_name for field in fields)]
    with tempfile.TemporaryDirectory(dir=setting.spill) as folder, open_duckdb(setting.spill) as engine:
        raw = read_source(engine.connection, chosen, columns, Path(folder) / "raw")
        rows = raw_table(raw)
        texts = {field.name: rows[field.source_name].cast("string") for field in fields}
        numbers = sorted({row for _, row in places})
        few = rows.filter(rows[ORIGIN[1]].isin(numbers)).select(*ORIGIN, **texts)
        found = engine.fetch(few, {RAW: [Path(file) for file in raw.files]}).to_pylist()
    return {place: row for row in found if (place := (row[ORIGIN[0]], row[ORIGIN[1]])) in places}
