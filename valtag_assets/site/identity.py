"""Who is who as it was published: sizes, match rates, what identifies nobody, and what became of persons."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from valtag_assets.console.identity import Report, report_on
from valtag_assets.engine.access import Need
from valtag_assets.engine.duckdb import open_duckdb
from valtag_assets.engine.identity.figures import most_refused, newest_changes
from valtag_assets.engine.identity.tables import HISTORY, KEYS, REVIEW
from valtag_assets.engine.identity.work import Work
from valtag_assets.engine.vault import Vault
from valtag_assets.expression.resolved_identity import ResolvedIdentity
from valtag_assets.graph.figures import inline_svg
from valtag_assets.graph.identity_figures import sizes_figure
from valtag_assets.site.published import Found, Published
from valtag_assets.spec.block import Title
from valtag_assets.spec.masking import MASK

MOST = 50
"""So many rows of the review list, and changes of persons, are shown."""


@dataclass(frozen=True)
class Refused:
    """A key that identifies nobody, masked for who may not read its kind; its span as days."""

    kind: str
    key: str
    reason: str
    degree: int | None
    rows: int
    sources: str
    seen: str


@dataclass(frozen=True)
class IdentityEntry:
    """``kinds``: code, title, and how many keys are used, then refused by each of ``reasons``. ``review``: the keys
    of most rows of ``refused`` in all. ``changes``: the newest first, how often each of ``events`` happened."""

    found: Found
    report: Report | None
    reasons: tuple[str, ...]
    kinds: tuple[tuple[str, Title, tuple[int, ...]], ...]
    plot: str | None
    review: tuple[Refused, ...]
    refused: int
    events: tuple[str, ...]
    changes: tuple[tuple[int, tuple[int, ...]], ...]


def identities(published: Published) -> IdentityEntry | None:
    """The identities of the catalog; None without identity.yaml."""
    identity = published.resolved.identity
    if identity is None:
        return None
    found = published.found(KEYS)
    tables = {name: published.found(name).snapshot for name in (REVIEW, HISTORY)}
    files: dict[str, Sequence[Path]] = {
        name: snapshot.files for name, snapshot in tables.items() if snapshot is not None
    }
    if found.snapshot is None or len(files) < len(tables):
        return IdentityEntry(found, None, (), (), None, (), 0, (), ())
    report = report_on(published.setting)
    with tempfile.TemporaryDirectory() as folder, open_duckdb() as engine:
        work = Work(engine, Path(folder), files)
        review = work.rows(most_refused(MOST))
        known = Vault(published.warehouse, engine, work.folder).shown(_sealed(published, identity, review))
        changes = work.rows(newest_changes(MOST))
    events = tuple(sorted({row["event"] for row in changes}))
    return IdentityEntry(
        found=found,
        report=report,
        reasons=tuple(sorted(report.refused)),
        kinds=_kinds(identity, report),
        plot=inline_svg(sizes_figure(report.sizes)),
        review=tuple(_refused(published, identity, row, known) for row in review),
        refused=sum(sum(kinds.values()) for kinds in report.refused.values()),
        events=events,
        changes=_counted(changes, events),
    )


def _kinds(identity: ResolvedIdentity, report: Report) -> tuple[tuple[str, Title, tuple[int, ...]], ...]:
    counts = [report.kinds, *(report.refused[reason] for reason in sorted(report.refused))]
    return tuple(
        (kind.code, kind.title, tuple(count.get(kind.code, 0) for count in counts)) for kind in identity.kinds
    )


def _sealed(published: Published, identity: ResolvedIdentity, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The keys in the vault that the reader may read."""
    shown = {kind.code for kind in identity.kinds if published.readable(Need(kind.access))}
    shown &= {identity.kinds[rank].code for rank in identity.sealed}
    return [row["key"] for row in rows if row["kind"] in shown]


def _refused(
    published: Published, identity: ResolvedIdentity, row: Mapping[str, Any], known: Mapping[str, str]
) -> Refused:
    kind = identity.kinds[identity.ranks[row["kind"]]]
    key = known.get(row["key"], row["key"]) if published.readable(Need(kind.access)) else MASK
    days = sorted({str(row[end].date()) for end in ("first_seen", "last_seen") if row[end] is not None})
    return Refused(kind.code, key, row["reason"], row["degree"], row["rows"], row["sources"], " – ".join(days))


def _counted(rows: Sequence[Mapping[str, Any]], events: Sequence[str]) -> tuple[tuple[int, tuple[int, ...]], ...]:
    found: dict[int, dict[str, int]] = {}
    for row in rows:
        found.setdefault(row["ordinal"], {})[row["event"]] = row["n"]
    return tuple(
        (number, tuple(told.get(event, 0) for event in events))
        for number, told in sorted(found.items(), reverse=True)
    )
