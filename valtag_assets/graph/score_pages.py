"""What every score keeps among its metrics, and shows on its asset page: transitions and concentration."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import dagster as dg

from valtag_assets.engine.concentration import SHOWN, Concentration
from valtag_assets.engine.transitions import Move, read_moves
from valtag_assets.graph.plots import as_image
from valtag_assets.graph.score_figures import ENTERED, LEFT, concentration_figure, transition_figure
from valtag_assets.spec.block import Title
from valtag_assets.warehouse.damage import damage
from valtag_assets.warehouse.snapshot import Snapshot, TableRef
from valtag_assets.warehouse.store import Warehouse

TRANSITIONS, CONCENTRATION = "transitions", "concentration"


def snapshot_before(warehouse: Warehouse, table: TableRef, as_of: date, meaning: str, days: int) -> Snapshot | None:
    """The newest served snapshot at least ``days`` older that meant the same and is sound, if there is one."""
    upto = as_of - timedelta(days=days)
    older = {item.as_of for item in warehouse.snapshots(table) if item.as_of is not None and item.as_of <= upto}
    for day in sorted(older, reverse=True):
        found = warehouse.current(table, day)
        if found is not None and found.metrics.get("meaning") == meaning and damage(found) is None:
            return found
    return None


def transition_metrics(
    before: Snapshot | None, count: Callable[[Sequence[Path]], Sequence[tuple[str | None, str | None, int]]]
) -> dict[str, Any]:
    """The metric ``transitions``: since when, and the moves that ``count`` finds since the files of ``before``.
    Nothing where there is nothing to compare with."""
    if before is None:
        return {}
    return {TRANSITIONS: {"as_of": str(before.as_of), "snapshot": before.id, "moves": count(before.files)}}


def concentration_metrics(found: Concentration) -> dict[str, Any]:
    """The metric ``concentration``."""
    return {CONCENTRATION: {**asdict(found), "top": {str(percent): share for percent, share in found.top.items()}}}


def moves_of(snapshot: Snapshot, titles: Mapping[str, Title]) -> tuple[str, list[Move]] | None:
    """Since which as-of, and who moved, in the order of ``titles``, those of the tiers; None: nothing to compare."""
    found = snapshot.metrics.get(TRANSITIONS)
    if found is None:
        return None
    return found["as_of"], read_moves([(before, now, persons) for before, now, persons in found["moves"]], [*titles])


def concentration_of(snapshot: Snapshot) -> Concentration | None:
    """As it was kept; None in snapshots of former versions."""
    found = snapshot.metrics.get(CONCENTRATION)
    if found is None:
        return None
    return Concentration(**{**found, "top": {int(percent): share for percent, share in found["top"].items()}})


def transition_page(snapshot: Snapshot, titles: Mapping[str, Title], days: int) -> dict[str, Any]:
    """The matrix as a picture and as a table."""
    found = moves_of(snapshot, titles)
    if found is None:
        return {"transitions 流转": nothing_to_compare(days)}
    since, moves = found
    between = (since, str(snapshot.as_of))
    records = [
        dg.TableRecord(
            {
                "from 原分层": _named(move.before, titles, ENTERED),
                "to 现分层": _named(move.now, titles, LEFT),
                "persons 人数": move.persons,
                "share of row 占原分层": f"{move.share:.1%}",
            }
        )
        for move in moves
    ]
    return {
        "transitions 流转": as_image(
            f"{snapshot.table} {since} → {snapshot.as_of}", transition_figure, moves, titles, between
        ),
        f"transitions since {since} 流转明细": dg.MetadataValue.table(records),
    }


def nothing_to_compare(days: int) -> str:
    return f"没有至少 {days} 天以前、含义相同的快照可比 · no snapshot of the same meaning at least {days} days older"


def concentration_page(snapshot: Snapshot, currency: str) -> dict[str, Any]:
    """The curve, the shares of the top persons as a table, and the Gini index."""
    found = concentration_of(snapshot)
    if found is None:
        return {}
    if found.gini is None:
        return {"concentration 收入集中度": "没有收入 · no revenue"}
    records = [
        dg.TableRecord({"top persons 前": f"{percent}%", "share of revenue 收入占比": f"{found.top[percent]:.1%}"})
        for percent in SHOWN
    ]
    shown: dict[str, Any] = {
        "concentration 收入集中度": as_image(f"{snapshot.table} concentration", concentration_figure, found),
        f"top persons 头部占比 ({currency})": dg.MetadataValue.table(records),
        "Gini 基尼系数": found.gini,
    }
    if found.below_zero:
        shown["persons below zero, counted as zero 金额为负、按零计的人数"] = found.below_zero
    return shown


def _named(tier: str | None, titles: Mapping[str, Title], none: Title) -> str:
    title = none if tier is None else titles[tier]
    return f"{title.zh} · {title.en}"
