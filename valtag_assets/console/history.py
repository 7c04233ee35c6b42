"""``valtag snapshots``: every published version of a table; and which of them was served at a past instant."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.text import Text

from valtag_assets.console.doors import oversee
from valtag_assets.console.screen import count, table
from valtag_assets.graph.setting import Setting
from valtag_assets.spec.mistake import Mistake
from valtag_assets.spec.problem import did_you_mean
from valtag_assets.warehouse.errors import Removed
from valtag_assets.warehouse.snapshot import Snapshot, TableRef

_HASH_SHOWN = 12


@dataclass(frozen=True)
class Version:
    """One snapshot in the history of its table. ``replaced``: the id it took the place of, for the same as-of."""

    snapshot: Snapshot
    current: bool
    replaced: str | None

    def to_json(self) -> dict[str, Any]:
        snapshot = self.snapshot
        return {
            "as_of": snapshot.as_of,
            "known_at": snapshot.known_at,
            "snapshot": snapshot.id,
            "current": self.current,
            "replaced": self.replaced,
            "rows": snapshot.rows,
            "content_hash": snapshot.content_hash,
            "run": snapshot.run_id,
        }


def find_table(setting: Setting, name: str) -> TableRef:
    """The table of that name. Raises Mistake with what is there instead."""
    warehouse = setting.warehouse
    known = [ref.key for ref in warehouse.tables()]
    if name in known:
        return TableRef.parse(name)
    if not known:
        raise Mistake(f"nothing is published in {warehouse.root}: run valtag run first")
    raise Mistake(f"'{name}' is no table of the warehouse{did_you_mean(name, known)}")


def versions(setting: Setting, name: str, as_of: date | None) -> list[Version]:
    """The history of a table (of one as-of, if given), by as-of, then known-at."""
    oversee(setting, name)
    found: list[Version] = []
    for snapshot in setting.warehouse.snapshots(find_table(setting, name)):
        before = found[-1].snapshot if found and found[-1].snapshot.as_of == snapshot.as_of else None
        if before is not None:
            found[-1] = Version(before, False, found[-1].replaced)
        found.append(Version(snapshot, True, before.id if before else None))
    return [version for version in found if as_of is None or version.snapshot.as_of == as_of]


def find_snapshot(setting: Setting, name: str, as_of: date | None, known_at: str | None = None) -> Snapshot:
    """The snapshot served for a table: now, or at ``known_at`` (an instant, or the id of a snapshot).

    Without ``as_of`` it is that of the newest as-of then known. Raises Mistake with what is there instead.
    """
    ref, warehouse = find_table(setting, name), setting.warehouse
    if known_at is not None:
        return _served_then(setting, ref, as_of, known_at)
    snapshot = warehouse.latest(ref) if as_of is None else warehouse.current(ref, as_of)
    if snapshot is None:
        dates = sorted({str(found.as_of or "no as-of") for found in warehouse.snapshots(ref)})
        there = f"there is {', '.join(dates[-12:])}" if dates else "nothing was published yet; see valtag status"
        raise Mistake(f"{name} has no snapshot{f' of {as_of}' if as_of else ''}: {there}")
    return snapshot


def print_versions(console: Console, setting: Setting, name: str, found: Sequence[Version]) -> None:
    """One line per snapshot; instants in the catalog's time zone, to the microsecond, as --known-at takes them."""
    zone = setting.resolved.catalog.project.zone
    rows = [
        [
            version.snapshot.as_of or "all",
            local(version.snapshot.known_at, zone),
            "current" if version.current else "",
            count(version.snapshot.rows),
            version.snapshot.content_hash[:_HASH_SHOWN],
            version.snapshot.id,
            version.replaced or "",
            version.snapshot.run_id,
        ]
        for version in found
    ]
    columns = ["!as-of", "!known at", "", ">rows", "!content", "!snapshot", "!replaced", "run"]
    console.print(table(f"{name}: history 历史", columns, rows))
    console.print(Text(f"{len(rows):,} snapshots", style="dim"))


def local(instant: datetime, zone: ZoneInfo) -> str:
    """An instant as people read it, and as --known-at reads it back."""
    return instant.astimezone(zone).isoformat(sep=" ", timespec="microseconds")


def _served_then(setting: Setting, ref: TableRef, as_of: date | None, known_at: str) -> Snapshot:
    warehouse, zone = setting.warehouse, setting.resolved.catalog.project.zone
    thinned = warehouse.manifest(ref).thinned_before
    every = warehouse.snapshots(ref)
    named = next((snapshot for snapshot in every if snapshot.id == known_at), None)
    if named is not None:
        if as_of is not None and named.as_of != as_of:
            raise Mistake(f"snapshot {named.id} is of as-of {named.as_of or 'all time'}, not of {as_of}")
        return named
    instant = _instant(ref, known_at, zone)
    asked = [snapshot for snapshot in every if as_of is None or snapshot.as_of == as_of]
    then = [snapshot for snapshot in asked if snapshot.known_at <= instant]
    newest = max((snapshot.as_of or date.min for snapshot in then), default=date.min)
    if as_of is None and thinned is not None and date.min < newest < thinned:
        raise Mistake(
            f"as-ofs of {ref} before {thinned} were thinned out (project.yaml: retention), so which was the newest at"
            f" {local(instant, zone)} is not known: name one with --as-of; {newest} is there"
        )
    try:
        found = warehouse.at(ref, None if newest == date.min else newest, instant)
    except Removed as error:
        raise Mistake(str(error)) from error
    if found is None:
        what = f"{ref} had no snapshot{f' of {as_of}' if as_of else ''} at {local(instant, zone)}"
        first = min(asked, key=lambda snapshot: snapshot.known_at, default=None)
        if first is None:
            gone = f"; as-ofs before {thinned} were thinned out (project.yaml: retention)" if thinned else ""
            raise Mistake(f"{what}, and has none now{gone}: valtag snapshots {ref} lists what there is")
        raise Mistake(f"{what}: the first was published at {local(first.known_at, zone)} ({first.id})")
    return found


def _instant(ref: TableRef, text: str, zone: ZoneInfo) -> datetime:
    """An instant with its zone; without one, in the catalog's. Mistake for anything else."""
    try:
        instant = datetime.fromisoformat(text)
        date_alone = len(text) <= len("2024-01-31")
    except ValueError:
        instant, date_alone = datetime.min, True
    if date_alone:
        raise Mistake(
            f"--known-at '{text}' is neither a snapshot of {ref} nor an instant: write it as"
            f" 2024-01-31T08:00:00 ({zone.key}) or 2024-01-31T00:00:00Z; valtag snapshots {ref} lists all"
        )
    return instant if instant.tzinfo else instant.replace(tzinfo=zone)
