"""What the audit log says, on the screen and as JSON."""

from collections import deque
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console
from rich.text import Text

from valtag_assets.console.doors import counting
from valtag_assets.console.screen import table
from valtag_assets.graph.setting import Setting
from valtag_assets.spec.access import Asking
from valtag_assets.warehouse.audit_chain import Entry, Verified
from valtag_assets.warehouse.own_key import pseudonym


@dataclass(frozen=True)
class Wanted:
    """Which entries somebody wants to see: the newest ``limit`` of those that fit everything given."""

    actor: str | None = None
    action: str | None = None
    person: str | None = None
    refused: bool = False
    limit: int = 50


def find_entries(setting: Setting, wanted: Wanted, by: Asking) -> list[Entry]:
    """The entries that fit, oldest first. AuditError where the log can't be read.

    Denied for a reader of some brands, and, of what concerned one person, for who may not know of single persons.
    """
    with counting(setting, "report", "the audit log", by) as visit:
        if wanted.person is not None:
            visit.reader.require_persons()
            visit.person = wanted.person
        found = _entries(setting, wanted)
        visit.rows = len(found)
    return found


def _entries(setting: Setting, wanted: Wanted) -> list[Entry]:
    hashed = None if wanted.person is None else pseudonym(setting.warehouse.root, wanted.person)
    fitting = (
        entry
        for entry in setting.audit.entries()
        if wanted.actor in (None, entry.actor)
        and wanted.action in (None, entry.action)
        and hashed in (None, entry.person)
        and (entry.refused is not None or not wanted.refused)
    )
    return list(deque(fitting, maxlen=wanted.limit))


def print_entries(console: Console, setting: Setting, entries: list[Entry]) -> None:
    """A table of the entries; instants are in the catalog's time zone."""
    if not entries:
        console.print("nothing is recorded that fits")
        return
    zone = setting.resolved.catalog.project.zone
    rows = [
        [
            entry.seq,
            f"{entry.at.astimezone(zone):%Y-%m-%d %H:%M:%S}",
            entry.actor,
            entry.role,
            entry.action,
            entry.what,
            entry.purpose,
            entry.rows,
            len(entry.tags) or None,
            entry.refused,
        ]
        for entry in entries
    ]
    columns = [">no", "!at", "actor", "role", "!action", "what", "purpose", ">rows", ">tags", "refused"]
    console.print(table("", columns, rows))


def print_verified(console: Console, found: Verified) -> None:
    """Every fault and note, and the hash to keep elsewhere."""
    for fault in found.faults:
        console.print(Text(str(fault), style="red"), soft_wrap=True)
    for note in found.notes:
        console.print(Text(f"note: {note}", style="yellow"), soft_wrap=True)
    state = "unchanged" if found.sound else f"{len(found.faults):,} faults"
    console.print(Text(f"{found.entries:,} entries, {state}; the last has the hash"), soft_wrap=True)
    console.print(Text(f"{found.hash}  (keep it elsewhere: --known proves later that it is still there)"))


def verified_json(found: Verified) -> dict[str, Any]:
    """What verifying found, for programs."""
    return {"sound": found.sound, **asdict(found)}
