"""Clean one source: raw rows → clean table, merged rows, quarantine, vault and account.

The raw rows are read once into a *judged* table: every clean column, and the name of the first rule that
catches the row. Counts, merging, sorting and the quarantine work from it. Only files that are new or changed
since the last cleaning need to be read; ``restate`` says how the rest is kept.
"""

from collections.abc import Collection, Mapping
from datetime import date, datetime, time
from pathlib import Path
from tempfile import TemporaryDirectory

import ibis
import pyarrow.parquet as pq

from valtag_assets.engine.cleaning.account import Cleaned, account_of
from valtag_assets.engine.cleaning.judge import clean_schema
from valtag_assets.engine.cleaning.judged import judge_files
from valtag_assets.engine.cleaning.quarantine import restate_quarantine
from valtag_assets.engine.cleaning.restate import Before, Parts, Restatement, standing
from valtag_assets.engine.cleaning.rows import LookupTable, RowRules, taken_types
from valtag_assets.engine.cleaning.spread import Medians
from valtag_assets.engine.cleaning.vault import restate_vault
from valtag_assets.engine.reading.tables import RawTable
from valtag_assets.engine.session import Engine, unbound
from valtag_assets.expression.ibis_types import to_ibis_type
from valtag_assets.spec.project import Project
from valtag_assets.spec.source import Source


def clean_source(
    engine: Engine,
    source: Source,
    project: Project,
    raw: RawTable | None,
    lookups: Mapping[str, LookupTable],
    rules: RowRules,
    medians: Medians,
    into: Path,
    before: Before | None = None,
    leaving: Collection[str] = (),
) -> Cleaned:
    """Clean ``raw`` into folders of ``into`` (which exists): the parts of the tables that are not as before.

    ``raw``: the rows of the files that are new or changed since ``before``; None if there is no such file.
    ``leaving``: the changed and the deleted files of ``before``. ``medians``: what ``find_medians`` found of the
    same; files that turned are read anew, as if they had changed. ``lookups``: the cleaned lookup sources by name.
    What results, with the parts of ``before`` that were not replaced, is what cleaning all files at once would
    give. ValueError: the source's rules contradict themselves or the raw table. AssertionError: rows were lost or
    multiplied, which no data can cause.
    """
    before = before or Before()
    types = clean_schema(source, taken_types(source, lookups))
    columns = ibis.schema({name: to_ibis_type(kind) for name, kind in types.items()})
    with TemporaryDirectory(dir=into, prefix=".passing-") as folder:
        work = Path(folder)
        judged = None if raw is None else judge_files(engine, source, project, raw, lookups, rules, medians.of, work)
        restatement = Restatement(engine, source, columns, judged, before, leaving, work)
        clean, merged = restatement.run(into / "clean", into / "merged")
        quarantine = restate_quarantine(engine, source, judged, before, leaving, into / "quarantine", work)
        vault = None
        if source.vaulted:
            vault = restate_vault(engine, source, judged, before, leaving, into / "vault", work)
    files = {name: item for name, item in before.files.items() if name not in leaving}
    files |= {} if judged is None else judged.files
    now = standing(clean, before.clean)
    rows = _rows(now)
    equal = _rows(standing(merged, before.merged)) if merged is not None else {}
    account = account_of(files.values(), clean=sum(rows.values()), merged=sum(equal.values()))
    refused = sum(_rows(standing(quarantine, before.quarantine)).values())
    if refused != account.quarantined:
        raise AssertionError(f"{source.source}: {account.quarantined} rows were refused, but {refused} are kept")
    until = _data_until(engine, source, columns, now)
    return Cleaned(clean, merged, quarantine, vault, rows, files, account, until)


def _rows(parts: Parts) -> dict[str, int]:
    """By the footers of the Parquet files."""
    return {name: pq.read_metadata(file).num_rows for name, file in parts.items()}


def _data_until(engine: Engine, source: Source, columns: ibis.Schema, clean: Parts) -> datetime | None:
    """The latest time of a fact (a date counts from its midnight): it lies in the last of its parts."""
    if source.kind != "fact" or source.time is None:
        return None
    # A longer name is a later year: 10000-01.
    last = max(clean, key=lambda name: (len(name), name))
    table = unbound("clean", columns)
    found = engine.fetch(table.aggregate(until=table[source.time].max()), {"clean": [clean[last]]})
    until = found["until"][0].as_py()
    if isinstance(until, date) and not isinstance(until, datetime):
        return datetime.combine(until, time())
    return until
