"""Which snapshots may go. One rule for every table; what a staying snapshot was made from stays with it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

from valtag_assets.spec.project import Retention
from valtag_assets.warehouse.manifest import DETAILS, Entry, Manifest, read_details
from valtag_assets.warehouse.snapshot import TableRef


@dataclass(frozen=True)
class Expired:
    """A snapshot that may go, and why."""

    table: TableRef
    entry: Entry
    why: str


def expired(manifests: Mapping[TableRef, Manifest], retention: Retention, at: datetime, root: Path) -> list[Expired]:
    """The snapshots that nothing keeps at the instant ``at``, by table, as-of and known-at.

    A snapshot stays when it is current and its as-of is kept; when it was published or replaced lately; or when
    one that stays names it among its inputs. ManifestError when the record of one that stays can't be read.
    """
    reasons = {
        (table.key, entry.id): (table, entry, why)
        for table, manifest in manifests.items()
        for entry, why in _unkept(manifest, retention, at)
    }
    _spare_inputs(manifests, reasons, root)
    found = [Expired(table, entry, why) for table, entry, why in reasons.values()]
    return sorted(found, key=lambda item: (item.table, item.entry.as_of or date.min, item.entry.known_at))


def _unkept(manifest: Manifest, retention: Retention, at: datetime) -> Iterator[tuple[Entry, str]]:
    """The snapshots that neither being current nor being recent keeps, each with the reason."""
    as_ofs = {entry.as_of for entry in manifest.entries}
    dated = {as_of for as_of in as_ofs if as_of is not None}
    kept = _kept_as_ofs(dated, retention)
    recent = timedelta(days=retention.replaced_days)
    for as_of in as_ofs:
        history = manifest.history(as_of)
        for entry, successor in zip(history, [*history[1:], None], strict=True):
            ended = successor.known_at if successor is not None else entry.known_at
            if at - ended < recent:
                continue
            if successor is not None:
                yield entry, f"replaced {successor.known_at:%Y-%m-%d}"
            elif as_of is not None and as_of not in kept:
                yield entry, "its as-of is no longer kept"


def _kept_as_ofs(dated: set[date], retention: Retention) -> set[date]:
    """The newest days, counted from the newest as-of there is, and the last as-of of each month before."""
    newest = max(dated, default=date.min)
    kept = {as_of for as_of in dated if (newest - as_of).days < retention.days}
    if retention.month_ends:
        last = {(as_of.year, as_of.month): as_of for as_of in sorted(dated)}
        kept |= set(last.values())
    return kept


def _spare_inputs(
    manifests: Mapping[TableRef, Manifest], reasons: dict[tuple[str, str], tuple[TableRef, Entry, str]], root: Path
) -> None:
    """Take out of ``reasons`` what snapshots that stay were made from, and what that was made from."""
    waiting = [
        entry
        for table, manifest in manifests.items()
        for entry in manifest.entries
        if (table.key, entry.id) not in reasons
    ]
    while waiting:
        entry = waiting.pop()
        for named in read_details(root / entry.folder / DETAILS).inputs.items():
            if named in reasons:
                waiting.append(reasons.pop(named)[1])
