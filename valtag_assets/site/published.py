"""What was published for one as-of: the snapshots a page about it reads, and nothing else."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property

from valtag_assets.engine.access import Need, segment_need
from valtag_assets.engine.identity.tables import TITLES as IDENTITY_TITLES
from valtag_assets.engine.identity.tables import identity_names
from valtag_assets.engine.persons import PERSONS
from valtag_assets.engine.reader import Reader
from valtag_assets.expression.resolved import Resolved
from valtag_assets.graph.insight import INSIGHT
from valtag_assets.graph.insight import TITLE as INSIGHT_TITLE
from valtag_assets.graph.setting import Setting
from valtag_assets.spec.block import Title
from valtag_assets.spec.mistake import Mistake
from valtag_assets.warehouse.snapshot import Attempt, Snapshot, TableRef
from valtag_assets.warehouse.store import Warehouse


@dataclass(frozen=True)
class Found:
    """One table of the catalog. ``snapshot`` is what is served; ``blocked`` the refusal that stands since."""

    table: TableRef
    title: Title
    snapshot: Snapshot | None
    blocked: Attempt | None

    @property
    def state(self) -> str:
        """ok, warned, held, refused, failed, or missing."""
        if self.blocked is not None:
            return self.blocked.outcome
        if self.snapshot is None:
            return "missing"
        if self.snapshot.held:
            return "held"
        return "ok" if all(verdict.passed for verdict in self.snapshot.verdicts) else "warned"


class Published:
    """The tables of a catalog as they are served for ``as_of`` (default: the newest there is), as ``reader`` may see
    them. Raises Mistake where nothing is published for it."""

    def __init__(self, setting: Setting, as_of: date | None, reader: Reader) -> None:
        self.setting, self.resolved = setting, setting.resolved
        self.warehouse: Warehouse = setting.warehouse
        self.reader = reader
        self.as_of = as_of or self._newest()
        self.tables = [self._found(table, title) for table, title in tables_of(self.resolved)]
        if not any(found.snapshot is not None and found.snapshot.as_of == self.as_of for found in self.tables):
            raise Mistake(f"nothing is published for {self.as_of}: valtag run --as-of {self.as_of}, then ask again")
        self._by_key = {found.table.key: found for found in self.tables}

    def found(self, key: str) -> Found:
        return self._by_key[key]

    @property
    def known_at(self) -> datetime:
        """The instant (aware, UTC) at which the last of the tables was published."""
        return max(found.snapshot.known_at for found in self.tables if found.snapshot is not None)

    def readable(self, *needs: Need) -> bool:
        """Whether the reader may see what takes all of that."""
        return all(self.reader.may(need) for need in needs)

    def tells(self, found: Found, counted: int) -> bool:
        """Whether the reader may be told that so many persons are in an audience, or came to it; of other tables the
        rows may be told."""
        if found.table.stage != "segments":
            return True
        need = segment_need(self.resolved, found.table.name)
        return self.reader.tells(need, counted, self._everybody)

    def told(self, found: Found) -> bool:
        """Whether the reader may be told how many rows the table has, and so how its checks went."""
        return self.tells(found, 0 if found.snapshot is None else found.snapshot.rows)

    @cached_property
    def _everybody(self) -> int:
        found = self.warehouse.current(TableRef.parse(PERSONS), None)
        return 0 if found is None else found.rows

    def history(self, table: TableRef) -> list[Snapshot]:
        """Every snapshot of the table up to the as-of."""
        return [item for item in self.warehouse.snapshots(table) if item.as_of is None or item.as_of <= self.as_of]

    def _newest(self) -> date:
        served = (self.warehouse.latest(table) for table, _ in tables_of(self.resolved))
        dates = [snapshot.as_of for snapshot in served if snapshot is not None and snapshot.as_of is not None]
        if not dates:
            raise Mistake(f"nothing is published in {self.warehouse.root}: run valtag run first")
        return max(dates)

    def _found(self, table: TableRef, title: Title) -> Found:
        manifest = self.warehouse.manifest(table)
        timeless = all(entry.as_of is None for entry in manifest.entries) and table.stage in (
            "clean",
            "keyed",
            "identity",
            "lists",
        )
        as_of = None if timeless else self.as_of
        snapshot = self.warehouse.current(table, as_of) or self.warehouse.latest(table, on_or_before=self.as_of)
        return Found(table, title, snapshot, self.warehouse.blocked(table, as_of))


def tables_of(resolved: Resolved) -> Iterator[tuple[TableRef, Title]]:
    """Every table of the catalog with its title, in the order of the flow."""
    for code, source in resolved.sources.items():
        yield TableRef("clean", code), source.spec.title
    for code, source in resolved.sources.items():
        if source.spec.kind == "list":
            yield TableRef("lists", code), source.spec.title
    if resolved.identity is not None:
        yield from ((TableRef.parse(name), IDENTITY_TITLES[name]) for name in identity_names(resolved.identity))
    yield TableRef("identity", "persons"), resolved.catalog.project.persons.title
    for code, category in resolved.catalog.categories.items():
        yield TableRef("tags", code), category.spec.title
    for code, score in resolved.scores.items():
        yield TableRef("scores", code), score.spec.title
    for code, allocation in resolved.allocations.items():
        yield TableRef("allocations", code), allocation.spec.title
    for code, segment in resolved.segments.items():
        yield TableRef("segments", code), segment.spec.title
    for code, report in resolved.reports.items():
        yield TableRef("reports", code), report.spec.title
    for code, trigger in resolved.triggers.items():
        if trigger.effect is not None:
            yield TableRef("effects", code), trigger.spec.title
    if resolved.tags:
        yield INSIGHT, INSIGHT_TITLE
