"""The persons a proposal is tried on: drawn by lot from the population, with all their clean rows."""

import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from valtag_assets.engine import proposed, recompute
from valtag_assets.engine.duckdb import data_type, open_duckdb, told
from valtag_assets.engine.persons import PERSONS, keyed_name, keyed_names
from valtag_assets.engine.session import Engine, EngineError
from valtag_assets.engine.tags import tags_expression, tags_name
from valtag_assets.expression.resolved import Resolved, ResolvedSource
from valtag_assets.expression.tree import Node
from valtag_assets.graph.gates import Wanted, ask
from valtag_assets.graph.setting import Setting
from valtag_assets.spec.mistake import Mistake
from valtag_assets.spec.types import DataType
from valtag_assets.warehouse.snapshot import Snapshot, TableRef
from valtag_assets.wizard.fields import KINDS, Figures, tells_kinds

PERSONS_LOOKED_AT = 20_000


@dataclass
class Sample:
    """So many ``persons`` of the ``population`` at ``as_of`` and the tables of rows (``clean``) their rows are from.

    ``spans``: the first and last date of each fact; ``often``: whether each person has two rows of it or more;
    ``reach``: the share of the persons who have a row of a source; ``rate``: rows a second, as they were just read.
    """

    setting: Setting
    engine: Engine
    as_of: date
    persons: int
    population: int
    clean: Mapping[str, Snapshot]
    files: dict[str, Sequence[Path]]
    rate: float
    figures: dict[str, dict[str, Figures]] = field(default_factory=dict)
    spans: dict[str, tuple[date, date]] = field(default_factory=dict)
    often: dict[str, pa.ChunkedArray] = field(default_factory=dict)
    reach: dict[str, float] = field(default_factory=dict)

    def look(self, source: ResolvedSource) -> None:
        """Take the figures of every field of the source."""
        row = self.engine.fetch(proposed.figures_expression(source), self.files).to_pylist()[0]
        found = {}
        for place, (name, kind) in enumerate(source.columns.items()):
            pairs: Mapping[str, Any] = {}
            if kind.kind == "text" and source.spec.kind == "fact":
                pairs = self.engine.fetch(proposed.pairs_expression(source, name), self.files).to_pylist()[0]
            found[name] = Figures(
                rows=int(row[f"{place}_rows"]),
                distinct=int(row[f"{place}_distinct"]),
                low=row.get(f"{place}_low"),
                high=row.get(f"{place}_high"),
                persons=int(pairs.get("persons", 0)),
                pairs=int(pairs.get("pairs", 0)),
                values=self._kinds(source, name) if int(row[f"{place}_distinct"]) <= KINDS else (),
            )
        self.figures[source.code] = found
        self.reach[source.code] = row[proposed.PERSONS_SEEN] / max(1, self.persons)
        if row.get(proposed.FIRST) is not None:
            self.spans[source.code] = (row[proposed.FIRST], row[proposed.LAST])
        if source.spec.kind == "fact":
            often = self.engine.fetch(proposed.often_expression(source), self.files)
            self.often[source.code] = often[proposed.OFTEN]

    def _kinds(self, source: ResolvedSource, name: str) -> tuple[str, ...]:
        if not tells_kinds(source, name) or name in source.values:
            return ()
        return tuple(self.engine.fetch(proposed.kinds_expression(source, name), self.files)[name].to_pylist())

    def values(
        self, resolved: Resolved, codes: Sequence[str], as_of: date | None = None
    ) -> dict[str, pa.ChunkedArray]:
        """Columns of ``resolved`` by code, one value per person of the sample, always in the same order.

        Raises Mistake where the engine can't compute one.
        """
        found: dict[str, pa.ChunkedArray] = {}
        for category in resolved.categories.values():
            own = [tag.code for tag in category.tags if tag.code in set(codes)]
            if own:
                expression = tags_expression(resolved, category, own, as_of or self.as_of)
                try:
                    with told():
                        table = self.engine.fetch(expression, {**self._served(category.categories), **self.files})
                except EngineError as error:
                    raise Mistake(f"{', '.join(own)} can't be computed: {error}") from error
                found |= {name: table[name] for name in own}
        return found

    def served(self) -> tuple[dict[str, pa.ChunkedArray], dict[str, DataType]]:
        """Every published tag of the catalog that is not held, by code, and its type: one value per person."""
        tables: dict[str, dict[str, DataType]] = {}
        for code, category in self.setting.resolved.categories.items():
            snapshot = self.setting.warehouse.latest(TableRef("tags", code), on_or_before=self.as_of)
            if snapshot is not None:
                own = {tag.code for tag in category.tags} - snapshot.held
                tables[tags_name(code)] = {name: data_type(kind) for name, kind in snapshot.columns if name in own}
        if not any(tables.values()):
            return {}, {}
        files = self._served(self.setting.resolved.categories) | {PERSONS: self.files[PERSONS]}
        table = self.engine.fetch(proposed.served_expression(tables), files)
        types = {code: kind for columns in tables.values() for code, kind in columns.items()}
        return {code: table[code] for code in types}, types

    def outcome(self, fact: str, where: Node | None, at: date, days: int) -> tuple[Any, Any]:
        """(happened, known) as boolean arrays, one per person: see ``proposed.outcome_expression``."""
        sources = self.setting.resolved.sources
        others = {code: sources[code] for code in self.spans}
        until = at + timedelta(days=days)
        table = self.engine.fetch(proposed.outcome_expression(sources[fact], where, others, at, until), self.files)
        columns = (proposed.HAPPENED, proposed.KNOWN)
        happened, known = (np.asarray(table[name].to_pylist(), dtype=np.bool_) for name in columns)
        return happened, known

    def _served(self, categories: Mapping[str, Any] | Sequence[str]) -> dict[str, Sequence[Path]]:
        found: dict[str, Sequence[Path]] = {}
        for code in categories:
            snapshot = self.setting.warehouse.latest(TableRef("tags", code), on_or_before=self.as_of)
            if snapshot is not None:
                found[tags_name(code)] = snapshot.files
        return found


def unseen(setting: Setting, sources: Sequence[str]) -> str | None:
    """Why nothing can be tried: what is not there to be read yet; None where all is."""
    gate = ask(setting.warehouse, [Wanted(PERSONS), *map(Wanted, keyed_names(setting.resolved, sources))])
    if gate.faults:
        return "; ".join(gate.faults)
    for code in sources:
        source = setting.resolved.sources[code]
        snapshot = gate.snapshots[keyed_name(source)]
        known = {name for name, _ in snapshot.columns}
        if missing := [name for name in source.columns if name not in known]:
            return f"{snapshot.table} was made before {code} had {', '.join(missing)}; run it again"
    return None


@contextmanager
def open_sample(setting: Setting, sources: Sequence[str], as_of: date) -> Iterator[Sample]:
    """The sample with the rows of ``sources``, masters and facts that ``unseen`` has nothing against; working files
    are gone afterwards."""
    resolved, seed = setting.resolved, setting.resolved.catalog.project.insight.seed
    gate = ask(setting.warehouse, [Wanted(PERSONS), *map(Wanted, keyed_names(setting.resolved, sources))])
    population = gate.snapshots[PERSONS]
    with open_duckdb(setting.spill) as engine, tempfile.TemporaryDirectory(dir=setting.spill) as folder:
        drawn = Path(folder) / "persons.parquet"
        engine.write(recompute.sample_expression(PERSONS_LOOKED_AT, seed, as_of), {PERSONS: population.files}, drawn)
        files: dict[str, Sequence[Path]] = {PERSONS: [drawn]}
        clean = {code: gate.snapshots[keyed_name(resolved.sources[code])] for code in sources}
        started = time.monotonic()
        for code, snapshot in clean.items():
            name, rows = keyed_name(resolved.sources[code]), Path(folder) / f"{code}.parquet"
            inputs = {name: snapshot.files, recompute.SAMPLE: [drawn]}
            engine.write(recompute.rows_of_sample(resolved.sources[code]), inputs, rows)
            files[name] = [rows]
        seconds = max(time.monotonic() - started, 1e-3)
        rate = sum(snapshot.rows for snapshot in clean.values()) / seconds
        persons = min(PERSONS_LOOKED_AT, population.rows)
        sample = Sample(setting, engine, as_of, persons, population.rows, clean, files, rate)
        for code in sources:
            sample.look(resolved.sources[code])
        yield sample
