"""Whose ids are no more, in the graph: what earlier runs kept by person is read with the persons of now."""

import dagster as dg

from valtag_assets.delivery.outbox import Outbox
from valtag_assets.engine.duckdb import open_duckdb
from valtag_assets.engine.identity.tables import HISTORY, SUCCESSORS
from valtag_assets.engine.session import Inputs
from valtag_assets.engine.successors import linked, parts, successors
from valtag_assets.engine.tags import PREVIOUS
from valtag_assets.graph.gates import Gate, Wanted
from valtag_assets.graph.setting import Setting
from valtag_assets.graph.stages import asset_key
from valtag_assets.warehouse.errors import WarehouseError
from valtag_assets.warehouse.snapshot import Snapshot, TableRef


def successor_deps(setting: Setting) -> list[dg.AssetKey]:
    """What an asset depends on that reads what was kept by person; nothing where ids never change."""
    return [asset_key(SUCCESSORS)] if linked(setting.resolved) else []


def wanted_successors(setting: Setting) -> list[Wanted]:
    """The same as an input to ask for."""
    return [Wanted(SUCCESSORS)] if linked(setting.resolved) else []


def successor_inputs(gate: Gate) -> Inputs:
    """The files of that input, where it was asked for."""
    found = gate.snapshots.get(SUCCESSORS)
    return {} if found is None else {SUCCESSORS: found.files}


def kept_inputs(setting: Setting, snapshot: Snapshot, before: Snapshot | None) -> Inputs:
    """What the tags of ``snapshot`` have kept values from: the table of the day before, and the successors they were
    read with. WarehouseError where these have been removed."""
    if before is None:
        return {}
    name, table = snapshot.inputs.get(SUCCESSORS), TableRef.parse(SUCCESSORS)
    known = None if name is None else setting.warehouse.find(table, name)
    if name is not None and known is None:
        raise WarehouseError(f"{table} {name}, from which {snapshot.table} was made, has been removed")
    return {PREVIOUS: before.files} | ({} if known is None else {SUCCESSORS: known.files})


def follow_persons(setting: Setting, outbox: Outbox) -> None:
    """Tell the ledger what became of ids by now."""
    if not linked(setting.resolved):
        return
    served = {name: setting.warehouse.current(TableRef.parse(name)) for name in (SUCCESSORS, HISTORY)}
    files = {name: snapshot.files for name, snapshot in served.items() if snapshot is not None}
    if len(files) < len(served):
        return  # nobody has become anybody else yet
    with open_duckdb(setting.spill) as engine:
        names = ", ".join(snapshot.id for snapshot in served.values() if snapshot is not None)
        outbox.follow(names, engine.fetch(successors(), files), engine.fetch(parts(), files))
