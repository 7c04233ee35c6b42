"""Whose ids are no more, in the graph: what earlier runs kept by person is read with the persons of now."""

from collections.abc import Sequence
from pathlib import Path

import dagster as dg

from valtag_assets.delivery.outbox import Outbox
from valtag_assets.engine.duckdb import open_duckdb
from valtag_assets.engine.successors import SUCCESSORS, linked, successors_table
from valtag_assets.graph.gates import Gate, Wanted
from valtag_assets.graph.setting import Setting
from valtag_assets.graph.stages import asset_key
from valtag_assets.warehouse.snapshot import TableRef


def successor_deps(setting: Setting) -> list[dg.AssetKey]:
    """What an asset depends on that reads what was kept by person; nothing where ids never change."""
    return [asset_key(SUCCESSORS)] if linked(setting.resolved) else []


def wanted_successors(setting: Setting) -> list[Wanted]:
    """The same as an input to ask for."""
    return [Wanted(SUCCESSORS)] if linked(setting.resolved) else []


def successor_files(gate: Gate) -> Sequence[Path]:
    """The files of that input, where it was asked for."""
    found = gate.snapshots.get(SUCCESSORS)
    return () if found is None else found.files


def follow_persons(setting: Setting, outbox: Outbox) -> None:
    """Tell the ledger whose ids are no more by now."""
    served = setting.warehouse.current(TableRef.parse(SUCCESSORS)) if linked(setting.resolved) else None
    if served is not None:
        with open_duckdb(setting.spill) as engine:
            outbox.follow(served.id, engine.fetch(successors_table(), {SUCCESSORS: served.files}))
