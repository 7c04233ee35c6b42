"""Take the inventory of a company's tables: find, load, count, guess, measure, relate."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from valtag_assets.engine.duckdb import DuckDBEngine
from valtag_assets.engine.inventory.counting import count, take_sample
from valtag_assets.engine.inventory.derived import mark_derived
from valtag_assets.engine.inventory.finding import Place, find_places
from valtag_assets.engine.inventory.guessing import guess
from valtag_assets.engine.inventory.joins import Rows, find_joins
from valtag_assets.engine.inventory.keys import find_keys
from valtag_assets.engine.inventory.loading import Loaded, load
from valtag_assets.engine.inventory.measuring import measure
from valtag_assets.engine.inventory.profile import Column, Guess, Inventory, Join, Role, Table
from valtag_assets.engine.inventory.remarks import concluded
from valtag_assets.engine.inventory.roles import role_of
from valtag_assets.engine.inventory.suspicion import is_person_key, suspect
from valtag_assets.engine.inventory.totals import mark_totals
from valtag_assets.engine.inventory.units import with_units
from valtag_assets.engine.inventory.words import PROFILE, words
from valtag_assets.engine.reading.origin import SourceError
from valtag_assets.spec.block import Title
from valtag_assets.spec.naming_law import code_of, title_of, unused
from valtag_assets.spec.project import Project

_MANY = 10  # columns: a table of codes and their names has fewer


def take_inventory(
    engine: DuckDBEngine,
    sources: Iterable[str],
    base: Path,
    project: Project,
    today: date,
    told: Callable[[str], None] = lambda _: None,
) -> Inventory:
    """The inventory of ``sources`` (see ``find_places``), read by the missing spellings and zone of ``project``.

    ``told`` hears the name of each table before it is read. SourceError: a source names nothing at all; a table that
    can't be read is in ``unread``, and the others go on.
    """
    found = find_places(sources, base)
    tables: list[Table] = []
    rows: dict[str, Rows] = {}
    unread = list(found.unread)
    with TemporaryDirectory(prefix="valtag-inventory-") as folder:
        for number, place in enumerate(found.places):
            told(place.label)
            work = Path(folder) / str(number)
            work.mkdir()
            code = unused(code_of(place.name), [table.code for table in tables])
            try:
                loaded = load(engine, place, work / "rows")
            except SourceError as error:
                unread.append((place.label, str(error)))
                continue
            table, of_table = _profiled(engine, place, code, loaded, project, today, work)
            tables.append(table)
            rows[code] = of_table
        tables = _one_spelling(_some_master(tables))
        joins = find_joins(engine, tables, rows)
        tables = mark_totals(engine, tables, joins, rows)
    tables = _with_twins(_without_copies(tables, joins))
    return Inventory(tuple(tables), tuple(joins), tuple(unread), tuple(found.ignored))


def _profiled(
    engine: DuckDBEngine, place: Place, code: str, loaded: Loaded, project: Project, today: date, work: Path
) -> tuple[Table, Rows]:
    sample, odd = take_sample(engine, loaded, work)
    columns: list[Column] = []
    if loaded.columns:
        every = count(engine, loaded, sample, odd)
        of_persons = any(map(is_person_key, every))
        for counted in every:
            suspicion = suspect(counted, of_persons=of_persons)
            made = guess(counted, suspicion, [column.code for column in columns])
            columns.append(Column(counted, made, suspicion=suspicion))
        columns = _measured(engine, loaded, columns, project, today)
        columns = mark_derived(engine, sample, columns)
    keys, copies = find_keys(engine, loaded, sample, columns)
    role = role_of(place.name, columns, keys, copies, loaded.rows)
    notes = [*place.notes, *loaded.notes]
    if copies and not role.merged:
        notes.append(
            Title(
                zh=f"{copies:,} 行与其他行完全相同，均保留；若为重复导出，请加 deduplicate",
                en=f"{copies:,} rows are exact copies of others: all are kept; were they exported twice, deduplicate",
            )
        )
    title = title_of(place.name)
    table = Table(
        place, code, title, loaded.rows, loaded.broken, sample.rows, tuple(columns), keys, role, tuple(notes)
    )
    return table, Rows(loaded, sample, sample.file.with_name("values.parquet"))


def _measured(
    engine: DuckDBEngine, loaded: Loaded, columns: list[Column], project: Project, today: date
) -> list[Column]:
    guesses: list[Guess] = [column.guess for column in columns]
    measured = measure(engine, loaded, guesses, [column.counted for column in columns], project, today)
    columns = [replace(column, measured=item) for column, item in zip(columns, measured, strict=True)]
    return with_units([concluded(column, loaded.rows) for column in columns])


def _one_spelling(tables: list[Table]) -> list[Table]:
    """The tables; keys of persons are cleaned alike in all of them, or those of one would not be found in another."""
    persons = [table.column(table.role.person).guess.field for table in tables if table.role.person]
    case = next((field.case for field in persons if field.case), None)
    replaced = tuple(dict.fromkeys(rule for field in persons for rule in field.replace))
    found = []
    for table in tables:
        columns = []
        for column in table.columns:
            if column.code == table.role.person:
                field = column.guess.field.model_copy(update={"case": case, "replace": replaced})
                column = replace(column, guess=replace(column.guess, field=field))
            columns.append(column)
        found.append(replace(table, columns=tuple(columns)))
    return found


def _without_copies(tables: list[Table], joins: list[Join]) -> list[Table]:
    """Of two tables with the same columns, rows, keys and values, the later is a copy: no source is made of it."""
    kept: list[Table] = []
    for table in tables:
        for other in kept:
            same = _content(table) == _content(other)
            joined = any(j.table == table.code and j.master == other.code and j.share == 1 for j in joins)
            if same and joined and table.rows == other.rows and other.role.kind:
                reason = Title(zh=f"与 {other.code} 内容相同", en=f"is a copy of {other.code}")
                table = replace(table, role=replace(table.role, kind=None, reason=reason))
                break
        kept.append(table)
    return kept


def _with_twins(tables: list[Table]) -> list[Table]:
    """The tables; two masters with the same columns are told that they may be one: every tag would be there twice."""
    found = []
    for table in tables:
        names = {column.name for column in table.columns}
        twins = [
            other.place.label
            for other in tables
            if table.role.kind == other.role.kind == "master"
            and other is not table
            and names == {column.name for column in other.columns}
        ]
        if twins:
            listed = ", ".join(twins)
            note = Title(
                zh=f"与 {listed} 列完全相同：若是同一张表的几部分，请用一个 source 读取（path 用通配符）",
                en=f"has exactly the columns of {listed}: are they parts of one table, let one source read them all "
                "(a path with *), or every tag is there twice",
            )
            table = replace(table, notes=(*table.notes, note))
        found.append(table)
    return found


def _content(table: Table) -> list[tuple[Any, ...]]:
    """What tells the values of two tables apart: ranges, quantiles, and how often values stand, of every column."""
    found = []
    for column in table.columns:
        seen, counted = column.measured, column.counted
        often = sorted(count for _, count in counted.top) if table.sampled is None else []
        found.append((column.name, seen.missing, seen.low, seen.high, seen.quantiles, counted.distinct, often))
    return found


def _about_persons(table: Table) -> bool:
    """Whether a table may hold persons though no name says so: by what it knows of them, or by how much."""
    profile = [column for column in table.columns if words(column.name) & (PROFILE - {"name"})]
    return len(profile) > 1 or len(table.columns) >= _MANY


def _some_master(tables: list[Table]) -> list[Table]:
    """Where no table knows a person, the largest that has one row per key is taken to be the persons' own."""
    if any(table.role.person and table.role.kind for table in tables):
        return tables
    able = [table for table in tables if table.role.kind == "lookup" and _about_persons(table)]
    if not able:
        return tables
    best = max(able, key=lambda table: table.rows)
    key = best.role.key[0]
    reason = Title(
        zh=f"没有一张表写明人员键；推测 {key} 每行一人，请确认",
        en=f"no table names the key of a person; {key} is taken for one, a row each: please confirm",
    )
    alike = [
        t for t in able if t.role.key == (key,) and {c.code for c in t.columns} == {c.code for c in best.columns}
    ]
    role = Role("master", reason, key, None, (key,), (key,))
    return [replace(table, role=role) if table in alike else table for table in tables]
