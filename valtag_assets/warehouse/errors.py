"""What can go wrong in the warehouse. Every message says what, where, and what to do."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from valtag_assets.warehouse.snapshot import Snapshot


class WarehouseError(Exception):
    """A table could not be read or published; what was published before is untouched."""


class ManifestError(WarehouseError):
    """A manifest or a snapshot's record cannot be understood."""


class NewerFormat(ManifestError):
    """A newer valtag wrote it: nothing is wrong with it, and it must not be touched."""


class Removed(WarehouseError):
    """What was asked for was there once, and was removed by the rules of retention."""


class LockTimeout(WarehouseError):
    """Another process kept a table's lock for too long."""


class ViewsError(WarehouseError):
    """``valtag.duckdb`` could not be rebuilt. ``snapshot`` (if any) *is* published all the same."""

    def __init__(self, message: str, snapshot: "Snapshot | None" = None) -> None:
        super().__init__(message)
        self.snapshot = snapshot
